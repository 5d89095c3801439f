// SPDX-License-Identifier: LGPL-2.1-or-later

package dsconfig

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"
)

// IsYAML tells by its extension whether a file is meant to be YAML.
func IsYAML(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return ext == ".yml" || ext == ".yaml"
}

// ParseGroups parses data as a configuration file of an application: YAML, if the extension of path says so, or
// a key file. The groups of a YAML file are the maps at its top level, and their entries are those with a single
// value.
func ParseGroups(path string, data []byte) (*KeyFile, error) {
	if !IsYAML(path) {
		return ParseKeyData(path, data)
	}
	kf := &KeyFile{Path: path}
	doc, err := parseYAML(data)
	if err != nil {
		return nil, yamlError(path, err)
	}
	if doc == nil || isNull(doc) {
		return kf, nil
	}
	if doc.Kind != yaml.MappingNode {
		return nil, &Error{File: path, Line: doc.Line, Cause: "the file is not a map of groups", Remedy: "write groups such as `sink0:` with indented keys"}
	}
	for i := 0; i+1 < len(doc.Content); i += 2 {
		name, body := doc.Content[i], resolve(doc.Content[i+1])
		if other := kf.Group(name.Value); other != nil {
			return nil, &Error{File: path, Line: name.Line, Group: printable(name.Value),
				Cause: fmt.Sprintf("this group stands in line %d already", other.Line), Remedy: "keep one of them"}
		}
		g := &Group{Name: name.Value, Line: name.Line, path: path}
		kf.Groups = append(kf.Groups, g)
		if body.Kind != yaml.MappingNode {
			continue
		}
		for k := 0; k+1 < len(body.Content); k += 2 {
			key, value := body.Content[k], resolve(body.Content[k+1])
			if value.Kind != yaml.ScalarNode {
				continue
			}
			raw := strings.ReplaceAll(value.Value, `\`, `\\`)
			if isNull(value) {
				raw = ""
			}
			kf.add(g, Entry{Key: key.Value, Raw: raw, Line: key.Line, path: path, group: name.Value})
		}
	}
	return kf, nil
}

func yamlError(path string, err error) error {
	line, cause := 0, err.Error()
	var le *yaml.LoadError
	if errors.As(err, &le) {
		line, cause = le.Mark.Line, le.Message
	}
	return &Error{File: path, Line: line, Cause: "is not valid YAML: " + printableCause(cause), Remedy: "correct the syntax"}
}
