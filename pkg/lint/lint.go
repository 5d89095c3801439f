// SPDX-License-Identifier: LGPL-2.1-or-later

// Package lint says what becomes of configuration files of DeepStream here: of each key whether it is honoured,
// ignored or wrong. It reads
//
//   - files of deepstream-app and deepstream-test5 (key file or YAML): sinks of type 6, [message-converter],
//     [message-consumerN], and the files that these name;
//   - files of the protocol adaptors ([message-broker]);
//   - cfg_nvmsgbroker.txt ([nvmsgbroker]);
//   - files of nvmsgconv (key file, YAML, CSV);
//   - templates of messages (payload-template of msgconv).
//
// What is wrong is found by the functions that the elements use, with the elements' strictness. No server is
// asked. Values are not shown, except where an element's own message does so; those never show secrets.
package lint

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
	"github.com/gst-edgewire/gst-edgewire/pkg/c2d"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
)

// A Verdict says what becomes of a key.
type Verdict string

// The verdicts.
const (
	Honoured Verdict = "honoured"
	Ignored  Verdict = "ignored" // and nothing is missed
	Warned   Verdict = "warning" // it works, but perhaps not as meant
	Wrong    Verdict = "wrong"   // the element refuses to start
	Passed   Verdict = "passed over"
)

// A Finding is the verdict on one key, group or file.
type Finding struct {
	File    string  `json:"file"`
	Line    int     `json:"line,omitempty"`
	Column  int     `json:"column,omitempty"`
	Group   string  `json:"group,omitempty"`
	Key     string  `json:"key,omitempty"`
	Verdict Verdict `json:"verdict"`
	Text    string  `json:"text,omitempty"`
	Remedy  string  `json:"remedy,omitempty"`
}

// String is `file:line:column: [group] key: verdict: text; remedy`.
func (f Finding) String() string {
	var b strings.Builder
	b.WriteString(clean(f.File))
	if f.Line > 0 {
		b.WriteString(":" + strconv.Itoa(f.Line))
	}
	if f.Column > 0 {
		b.WriteString(":" + strconv.Itoa(f.Column))
	}
	b.WriteString(": ")
	if f.Group != "" {
		b.WriteString("[" + clean(f.Group) + "] ")
	}
	if f.Key != "" {
		b.WriteString(clean(f.Key) + ": ")
	}
	b.WriteString(string(f.Verdict))
	switch {
	case f.Text == "":
	case f.Verdict == Honoured:
		b.WriteString(" " + clean(f.Text))
	default:
		b.WriteString(": " + clean(f.Text))
	}
	if f.Remedy != "" {
		b.WriteString("; " + clean(f.Remedy))
	}
	return b.String()
}

// clean keeps a text on one line and harmless for a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// A Summary counts findings.
type Summary struct {
	Files    int `json:"files"`
	Honoured int `json:"honoured"`
	Ignored  int `json:"ignored"`
	Warnings int `json:"warnings"`
	Wrong    int `json:"wrong"`
}

// A Linter looks at files.
type Linter struct {
	// Protocol is that of [message-broker] files that are looked at by themselves; "" guesses it.
	Protocol string

	findings []Finding
	seen     map[string]bool
	files    int
}

// Findings are those so far: by file in the order in which they were looked at, then by line.
func (l *Linter) Findings() []Finding { return l.findings }

// Summary counts the findings.
func (l *Linter) Summary() Summary {
	s := Summary{Files: l.files}
	for _, f := range l.findings {
		switch f.Verdict {
		case Honoured:
			s.Honoured++
		case Ignored:
			s.Ignored++
		case Warned:
			s.Warnings++
		case Wrong:
			s.Wrong++
		}
	}
	return s
}

// once says that a file is looked at for this purpose for the first time.
func (l *Linter) once(purpose, path string) bool {
	if l.seen == nil {
		l.seen = map[string]bool{}
	}
	key := purpose + "\x00" + filepath.Clean(path)
	if l.seen[key] {
		return false
	}
	l.seen[key] = true
	return true
}

// report adds the findings on one file.
func (l *Linter) report(list []Finding) {
	l.files++
	slices.SortStableFunc(list, func(a, b Finding) int {
		if (a.Line == 0) != (b.Line == 0) {
			return b.Line - a.Line // what concerns the whole file stands last
		}
		return a.Line - b.Line
	})
	l.findings = append(l.findings, list...)
}

// broken reports a file that cannot be read at all.
func (l *Linter) broken(path string, err error) {
	l.report([]Finding{wrong(path, err)})
}

// maxSize is less than the elements read: a file is gone through once for each mistake in it.
const maxSize = 1 << 20

// read reads a text file.
func read(path string) ([]byte, error) {
	data, err := dsconfig.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(data) > maxSize {
		return nil, &dsconfig.Error{File: path, Cause: fmt.Sprintf("is larger than %d MiB", maxSize>>20), Remedy: "give the path of a configuration file"}
	}
	if at := bytes.IndexByte(data, 0); at >= 0 {
		return nil, &dsconfig.Error{File: path, Line: 1 + bytes.Count(data[:at], []byte("\n")), Cause: "this is no text file: it holds a NUL byte",
			Remedy: "give the path of a configuration file, saved as UTF-8"}
	}
	return data, nil
}

// File looks at a file and at those that it names.
func (l *Linter) File(path string) {
	if !l.once("file", path) {
		return
	}
	data, err := read(path)
	if err != nil {
		l.broken(path, err)
		return
	}
	if isTemplate(path, data) {
		l.template(path, data)
		return
	}
	if strings.EqualFold(filepath.Ext(path), ".csv") {
		l.static(path, data)
		return
	}
	kf, err := dsconfig.ParseGroups(path, data)
	if err != nil {
		l.broken(path, err)
		return
	}
	switch kindOf(kf) {
	case kindReconnect:
		l.reconnect(kf)
	case kindApp:
		l.app(kf)
	case kindAdaptor:
		l.adaptor(path, l.Protocol, "")
	case kindStatic:
		l.static(path, data)
	default:
		var groups []string
		for _, name := range kf.GroupNames() {
			groups = append(groups, "["+name+"]")
		}
		found := "it has no groups"
		if len(groups) > 0 {
			found = "its groups are " + strings.Join(groups[:min(len(groups), 8)], ", ")
		}
		remedy := "known are files of deepstream-app, [message-broker], [nvmsgbroker], [sensor0], [place0], [analytics0], and templates (.tmpl)"
		for _, name := range kf.GroupNames() {
			if n := dsconfig.Nearest(name, []string{brokerGroup, broker.ReconnectGroup, converterGroup}); n != "" {
				remedy = "did you mean [" + n + "]?"
			}
		}
		l.broken(path, &dsconfig.Error{File: path, Cause: "this is no configuration of messages: " + found, Remedy: remedy})
	}
}

type kind int

const (
	kindUnknown kind = iota
	kindApp
	kindAdaptor
	kindReconnect
	kindStatic
)

// kindOf tells what a file is by its groups.
func kindOf(kf *dsconfig.KeyFile) kind {
	k := kindUnknown
	for _, g := range kf.Groups {
		stem := strings.TrimRight(g.Name, "0123456789")
		switch {
		case g.Name == broker.ReconnectGroup:
			return kindReconnect
		case stem == "sink" || stem == c2d.ConsumerPrefix || g.Name == converterGroup || slices.Contains(appGroups, stem):
			return kindApp
		case g.Name == brokerGroup:
			k = kindAdaptor
		case k == kindUnknown && (stem == "sensor" || stem == "place" || stem == "analytics" || dsconfig.IsDataMap(g.Name)):
			k = kindStatic
		}
	}
	return k
}

// wrong is the finding that an error makes. Its place is in path, or the error says it in its own words.
func wrong(path string, err error) Finding {
	f := Finding{File: path, Verdict: Wrong}
	var de *dsconfig.Error
	if errors.As(err, &de) && de.File == path {
		f.Line, f.Group, f.Key, f.Text, f.Remedy = de.Line, de.Group, de.Key, de.Cause, de.Remedy
		return f
	}
	return located(f, path, err.Error())
}

// located reads `path:line: [group] key: text`, the form in which adapters tell a place.
func located(f Finding, path, text string) Finding {
	f.Text = text
	rest, ok := strings.CutPrefix(text, path+":")
	if !ok {
		return f
	}
	number, rest, ok := strings.Cut(rest, ": ")
	line, err := strconv.Atoi(number)
	if !ok || err != nil {
		f.Text = strings.TrimSpace(strings.TrimPrefix(text, path+":"))
		return f
	}
	f.Line, f.Text = line, rest
	if tail, ok := strings.CutPrefix(rest, "["); ok {
		if group, tail, ok := strings.Cut(tail, "] "); ok {
			f.Group, f.Text = group, tail
			if key, tail, ok := strings.Cut(tail, ": "); ok && !strings.ContainsAny(key, " \"") {
				f.Key, f.Text = key, tail
			}
		}
	}
	return f
}

func warning(w dsconfig.Warning) Finding {
	return Finding{File: w.File, Line: w.Line, Group: w.Group, Key: w.Key, Verdict: Warned, Text: w.Cause, Remedy: w.Remedy}
}

func onEntry(path string, g *dsconfig.Group, e dsconfig.Entry, v Verdict, format string, args ...any) Finding {
	return Finding{File: path, Line: e.Line, Group: g.Name, Key: e.Key, Verdict: v, Text: fmt.Sprintf(format, args...)}
}

// passedOver makes one line of all the groups that are not ours.
func passedOver(path, why string, groups []string) []Finding {
	if len(groups) == 0 {
		return nil
	}
	for i, g := range groups {
		groups[i] = "[" + g + "]"
	}
	return []Finding{{File: path, Verdict: Passed, Text: strings.Join(groups, " ") + ": " + why}}
}

// blank empties a line, so that what stands behind it keeps its number.
func blank(data []byte, line int) []byte {
	lines := bytes.SplitAfter(data, []byte("\n"))
	if line < 1 || line > len(lines) {
		return data
	}
	end := ""
	if bytes.HasSuffix(lines[line-1], []byte("\n")) {
		end = "\n"
	}
	lines = slices.Clone(lines)
	lines[line-1] = []byte(end)
	return bytes.Join(lines, nil)
}

// String is `2 files: 14 honoured, 3 ignored, 1 warning, 2 wrong`.
func (s Summary) String() string {
	return fmt.Sprintf("%s: %d honoured, %d ignored, %s, %d wrong", plural(s.Files, "file"), s.Honoured, s.Ignored, plural(s.Warnings, "warning"), s.Wrong)
}

// blankKey empties each line key=… of a key file.
func blankKey(data []byte, key string) []byte {
	line := 0
	for text := range bytes.Lines(data) {
		line++
		if name, _, ok := bytes.Cut(text, []byte("=")); ok && string(bytes.TrimSpace(name)) == key {
			data = blank(data, line)
		}
	}
	return data
}

// blankGroup empties the lines of a key file from a group's header to the next.
func blankGroup(data []byte, header int) []byte {
	line := 0
	for text := range bytes.Lines(data) {
		line++
		if line > header && bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
			break
		}
		if line >= header {
			data = blank(data, line)
		}
	}
	return data
}
