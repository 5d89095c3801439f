// SPDX-License-Identifier: LGPL-2.1-or-later

package dsconfig

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// yaml reads the YAML form: one map per group at the top level.
func (l *loader) yaml(data []byte) error {
	doc, err := parseYAML(data)
	if err != nil {
		return yamlError(l.path, err)
	}
	if doc == nil || isNull(doc) {
		return nil // an empty file describes nothing
	}
	if doc.Kind != yaml.MappingNode {
		return &Error{File: l.path, Line: doc.Line, Cause: "the file is not a map of groups", Remedy: "write groups such as `sensor0:` with indented keys"}
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(doc.Content); i += 2 {
		name, body := doc.Content[i], resolve(doc.Content[i+1])
		if first, twice := seen[name.Value]; twice {
			return &Error{File: l.path, Line: name.Line, Group: printable(name.Value),
				Cause: fmt.Sprintf("this group stands in line %d already", first), Remedy: "keep one of them"}
		}
		seen[name.Value] = name.Line
		if IsDataMap(name.Value) {
			if err := l.dataMap(name, body); err != nil {
				return err
			}
			continue
		}
		if _, _, _, ok := splitGroup(name.Value); ok && body.Kind != yaml.MappingNode {
			return &Error{File: l.path, Line: name.Line, Group: printable(name.Value), Cause: "is not a map of keys",
				Remedy: "indent the keys below it, one `key: value` a line"}
		}
		fields, err := l.yamlFields(name.Value, body)
		if err != nil {
			return err
		}
		if err := l.group(name.Value, name.Line, fields); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) yamlFields(group string, body *yaml.Node) ([]field, error) {
	var fields []field
	if body.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(body.Content); i += 2 {
		k, v := body.Content[i], resolve(body.Content[i+1])
		f := field{yaml: true, Entry: Entry{Key: k.Value, Line: k.Line, path: l.path, group: group}}
		for _, other := range fields {
			if other.Key == f.Key {
				return nil, f.Errorf("keep one of them", "set in line %d already", other.Line)
			}
		}
		if _, _, _, ok := splitGroup(group); (ok || IsDataMap(group)) && v.Kind != yaml.ScalarNode {
			return nil, f.Errorf("write one text; lists are written like 1.5;2.5;3.5", "is not a single value")
		}
		f.Raw = v.Value
		if isNull(v) && v.Value != "" {
			f.Raw = "null" // as the reference reads ~
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// parseYAML parses the first document of data, without giving types to its values: 007 and 3.10 stay as
// they are written.
func parseYAML(data []byte) (root *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil { // the parser's own mistakes must not end the host
			err = fmt.Errorf("the parser gave up: %v", r)
		}
	}()
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return nil, nil
	}
	return resolve(doc.Content[0]), nil
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// printableCause keeps a parser's message on one line.
func printableCause(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	if r := []rune(s); len(r) > 160 {
		return string(r[:160]) + "…"
	}
	return s
}
