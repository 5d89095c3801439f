// SPDX-License-Identifier: LGPL-2.1-or-later

package dsconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"
)

// MaxFileSize is the largest configuration file that is read, in bytes. Whatever is larger is not a
// configuration file but a mistaken path.
const MaxFileSize = 16 << 20

// A KeyFile is a parsed file in the GLib key file syntax: `[group]` lines, `key=value` lines and `#`
// comments. Groups of the same name are merged, and of two equal keys the later one wins, as in GLib.
type KeyFile struct {
	Path     string    // as given to the parser
	Groups   []*Group  // in the order of their first appearance
	Warnings []Warning // duplicate groups and keys

	byName map[string]*Group // while it is parsed
}

// A Group is one `[name]` section.
type Group struct {
	Name    string
	Line    int     // line of its first header, from 1
	Entries []Entry // in file order, each key once

	path  string
	byKey map[string]int // index of Entries, while it is parsed
}

// An Entry is one `key=value` line. Its value is kept raw: Text, Strings, Bool and the other getters
// interpret it.
type Entry struct {
	Key  string
	Raw  string // the value as it stands in the file, without leading blanks
	Line int    // from 1

	path, group string
}

// ParseKeyFile reads and parses the key file at path. Errors are of type *Error.
func ParseKeyFile(path string) (*KeyFile, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ParseKeyData(path, data)
}

// ParseKeyData parses data as a key file; name stands for the file in errors and warnings. A UTF-8 byte
// order mark and CRLF line ends are accepted.
func ParseKeyData(name string, data []byte) (*KeyFile, error) {
	kf := &KeyFile{Path: name}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	var cur *Group
	line := 0
	for text := range bytes.Lines(data) {
		line++
		s := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
		s = strings.TrimLeft(s, " \t\v\f\r")
		if s == "" || s[0] == '#' {
			continue
		}
		if s[0] == '[' {
			g, err := kf.header(s, line)
			if err != nil {
				return nil, err
			}
			cur = g
			continue
		}
		key, value, found := strings.Cut(s, "=")
		if !found {
			remedy := "write key=value, a [group], or put # in front of a comment"
			if s[0] == ';' || strings.HasPrefix(s, "//") {
				remedy = "comments start with #"
			}
			return nil, &Error{File: name, Line: line, Group: groupName(cur),
				Cause: "this line is neither a [group] nor key=value", Remedy: remedy}
		}
		key = strings.TrimRight(key, " \t")
		if cur == nil {
			return nil, &Error{File: name, Line: line, Key: printable(key),
				Cause: "a key before the first [group]", Remedy: "put a group header such as [message-broker] above it"}
		}
		if cause := badKey(key); cause != "" {
			return nil, &Error{File: name, Line: line, Group: cur.Name, Cause: cause,
				Remedy: "write key=value on one line"}
		}
		kf.add(cur, Entry{Key: key, Raw: strings.TrimLeft(value, " \t"), Line: line, path: name, group: cur.Name})
	}
	return kf, nil
}

func (kf *KeyFile) header(s string, line int) (*Group, error) {
	s = strings.TrimRight(s, " \t")
	end := strings.IndexByte(s, ']')
	if end < 0 || end != len(s)-1 {
		return nil, &Error{File: kf.Path, Line: line, Cause: "a group header must end with ]",
			Remedy: "write [name] alone on the line"}
	}
	name := s[1:end]
	if name == "" || strings.ContainsAny(name, "[]") || strings.ContainsFunc(name, isControl) || !utf8.ValidString(name) {
		return nil, &Error{File: kf.Path, Line: line, Cause: "a group name is empty or holds a bracket, a control character or invalid UTF-8",
			Remedy: "write [name]"}
	}
	if g := kf.byName[name]; g != nil {
		kf.Warnings = append(kf.Warnings, Warning{File: kf.Path, Line: line, Group: name,
			Cause:  fmt.Sprintf("this group stands in line %d already; the two are merged", g.Line),
			Remedy: "keep one of them"})
		return g, nil
	}
	g := &Group{Name: name, Line: line, path: kf.Path}
	kf.Groups = append(kf.Groups, g)
	if kf.byName == nil {
		kf.byName = map[string]*Group{}
	}
	kf.byName[name] = g
	return g, nil
}

func (kf *KeyFile) add(g *Group, e Entry) {
	if i, twice := g.byKey[e.Key]; twice {
		kf.Warnings = append(kf.Warnings, Warning{File: kf.Path, Line: e.Line, Group: g.Name, Key: e.Key,
			Cause:  fmt.Sprintf("set in line %d already; the later value is used", g.Entries[i].Line),
			Remedy: "keep one of them"})
		g.Entries[i] = e
		return
	}
	if g.byKey == nil {
		g.byKey = map[string]int{}
	}
	g.byKey[e.Key] = len(g.Entries)
	g.Entries = append(g.Entries, e)
}

// Group returns the group called name, or nil.
func (kf *KeyFile) Group(name string) *Group {
	for _, g := range kf.Groups {
		if g.Name == name {
			return g
		}
	}
	return nil
}

// GroupNames lists the groups in file order.
func (kf *KeyFile) GroupNames() []string {
	names := make([]string, len(kf.Groups))
	for i, g := range kf.Groups {
		names[i] = g.Name
	}
	return names
}

// Get returns the entry called key. It is safe on a nil Group.
func (g *Group) Get(key string) (Entry, bool) {
	if g == nil {
		return Entry{}, false
	}
	for _, e := range g.Entries {
		if e.Key == key {
			return e, true
		}
	}
	return Entry{}, false
}

// Errorf makes an *Error that points at this entry.
func (e Entry) Errorf(remedy, format string, args ...any) error {
	return &Error{File: e.path, Line: e.Line, Group: e.group, Key: e.Key, Cause: fmt.Sprintf(format, args...), Remedy: remedy}
}

// Warn makes a Warning that points at this entry.
func (e Entry) Warn(cause, remedy string) Warning {
	return Warning{File: e.path, Line: e.Line, Group: e.group, Key: e.Key, Cause: cause, Remedy: remedy}
}

func badKey(key string) string {
	switch {
	case key == "":
		return "a line starts with = and has no key"
	case !utf8.ValidString(key) || strings.ContainsFunc(key, isControl):
		return "a key holds a control character or invalid UTF-8"
	}
	return ""
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

func groupName(g *Group) string {
	if g == nil {
		return ""
	}
	return g.Name
}

// printable keeps a piece of a broken file fit for a log line.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if isControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// ReadFile reads a configuration file whole. What is no regular file, or larger than MaxFileSize, is an *Error.
func ReadFile(path string) ([]byte, error) {
	fail := func(err error, cause, remedy string) error {
		return &Error{File: path, Cause: cause, Remedy: remedy, Err: err}
	}
	if path == "" {
		return nil, fail(fs.ErrNotExist, "the path of the configuration file is empty", "give a path")
	}
	// A look at the kind of file comes first: opening a named pipe would wait for a writer.
	st, err := os.Stat(path)
	if err != nil {
		return nil, fail(err, "cannot open the configuration file: "+bareError(err), "check the path and its permissions")
	}
	if !st.Mode().IsRegular() {
		return nil, fail(errNotAFile, "is not a regular file", "give the path of a configuration file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fail(err, "cannot open the configuration file: "+bareError(err), "check the path and its permissions")
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	if err != nil {
		return nil, fail(err, "cannot read the configuration file: "+bareError(err), "check the file")
	}
	if len(data) > MaxFileSize {
		return nil, fail(errTooLarge, fmt.Sprintf("is larger than %d MiB", MaxFileSize>>20), "give the path of a configuration file")
	}
	return data, nil
}

var (
	errNotAFile = errors.New("not a regular file")
	errTooLarge = errors.New("file too large")
)

// bareError drops the operation and the path that os errors repeat.
func bareError(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}
