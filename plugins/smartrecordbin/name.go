// SPDX-License-Identifier: LGPL-2.1-or-later

package smartrecordbin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
)

// nameFields are what a file-template can hold.
var nameFields = []string{"prefix", "sensor", "time", "session", "name", "pid"}

// defaultTemplate gives names such as Smart_Record_cam-1_20261121T140305.123Z_1.
const defaultTemplate = "{prefix}_{sensor}_{time}_{session}"

// maxName bounds a file name without its ending, in bytes; file systems take 255.
const maxName = 200

type nameValues struct {
	prefix, sensor, name string
	start                time.Time
	session              uint32
}

// checkTemplate says what is wrong with a template.
func checkTemplate(t string) error {
	_, err := expand(t, func(field string) string { return field })
	if err == nil && strings.ContainsRune(t, '/') {
		err = errors.New("a file name has no /: the folder is smart-rec-dir-path")
	}
	return err
}

// expand puts values in the place of {fields}. A field that is empty takes the separator before it along.
func expand(t string, value func(string) string) (string, error) {
	var b strings.Builder
	for t != "" {
		before, rest, found := strings.Cut(t, "{")
		b.WriteString(before)
		if !found {
			break
		}
		field, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", errors.New("a { has no }")
		}
		known := false
		for _, f := range nameFields {
			known = known || f == field
		}
		if !known {
			hint := "the fields are {" + strings.Join(nameFields, "}, {") + "}"
			if n, ok := nearest.Of(field, nameFields); ok {
				hint = "did you mean {" + n + "}?"
			}
			return "", fmt.Errorf("there is no field {%s}; %s", clean(field), hint)
		}
		if v := value(field); v != "" {
			b.WriteString(v)
		} else if s := b.String(); strings.HasSuffix(s, "_") || strings.HasSuffix(s, "-") {
			b.Reset()
			b.WriteString(s[:len(s)-1])
		}
		t = after
	}
	return b.String(), nil
}

// fileName is the name of a file, without its ending.
func fileName(template string, v nameValues) (string, error) {
	s, err := expand(template, func(field string) string {
		switch field {
		case "prefix":
			return clean(v.prefix)
		case "sensor":
			return clean(v.sensor)
		case "name":
			return clean(v.name)
		case "time":
			return v.start.UTC().Format("20060102T150405.000Z")
		case "session":
			return fmt.Sprint(v.session)
		default:
			return fmt.Sprint(os.Getpid())
		}
	})
	if s = strings.TrimLeft(s, "."); err == nil && s == "" {
		s = fmt.Sprint("recording_", v.session)
	}
	if len(s) > maxName {
		s = strings.ToValidUTF8(s[:maxName], "")
	}
	return s, err
}

// clean makes a text that may come from afar fit for a file name: it stays in its folder and can be typed.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r == unicode.ReplacementChar || unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune(`:*?"<>|{}`, r) {
			return '-'
		}
		return r
	}, strings.ToValidUTF8(s, "-"))
	if len(s) > 100 {
		s = strings.ToValidUTF8(s[:100], "")
	}
	return strings.TrimLeft(s, ".")
}

// create makes a new, empty file: none that exists is written over.
func create(dir, name, ending string) (string, error) {
	for n := 1; ; n++ {
		path := filepath.Join(dir, name+ending)
		if n > 1 {
			path = filepath.Join(dir, fmt.Sprintf("%s-%d%s", name, n, ending))
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err == nil {
			return path, f.Close()
		}
		if !errors.Is(err, os.ErrExist) || n == 10000 {
			return "", err
		}
	}
}

// checkFolder says why recordings cannot be written to a folder, and what to do.
func checkFolder(dir string) error {
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the folder %s does not exist: make it (mkdir -p), or set smart-rec-dir-path to another", dir)
	case err != nil:
		return err
	case !st.IsDir():
		return fmt.Errorf("%s is no folder: set smart-rec-dir-path to one", dir)
	}
	f, err := os.CreateTemp(dir, ".smartrecordbin-*")
	if err != nil {
		return fmt.Errorf("the folder %s cannot be written to: %w; change its permissions, or set smart-rec-dir-path to another", dir, bare(err))
	}
	f.Close()
	return os.Remove(f.Name())
}

func bare(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
