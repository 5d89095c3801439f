// SPDX-License-Identifier: LGPL-2.1-or-later

package dsconfig

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

func parse(t *testing.T, text string) *KeyFile {
	t.Helper()
	kf, err := ParseKeyData("test.cfg", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return kf
}

func entry(t *testing.T, kf *KeyFile, group, key string) Entry {
	t.Helper()
	e, ok := kf.Group(group).Get(key)
	if !ok {
		t.Fatalf("no [%s] %s", group, key)
	}
	return e
}

func TestParseKeyFile(t *testing.T) {
	kf := parse(t, "\xef\xbb\xbf# comment\r\n\n[message-broker]\r\n  proto-cfg = \"a=b;c=d\" \r\npartition-key=sensorId\n"+
		"# another\n[other group]\nempty=\nname[de]=deutsch\n[message-broker]\ntopic=x\ntopic=y")
	if got, want := kf.GroupNames(), []string{"message-broker", "other group"}; !reflect.DeepEqual(got, want) {
		t.Errorf("groups %q, want %q", got, want)
	}
	for _, c := range []struct {
		group, key, raw string
		line            int
	}{
		{"message-broker", "proto-cfg", `"a=b;c=d" `, 4},
		{"message-broker", "partition-key", "sensorId", 5},
		{"message-broker", "topic", "y", 12},
		{"other group", "empty", "", 8},
		{"other group", "name[de]", "deutsch", 9},
	} {
		if e := entry(t, kf, c.group, c.key); e.Raw != c.raw || e.Line != c.line {
			t.Errorf("[%s] %s = %q in line %d, want %q in line %d", c.group, c.key, e.Raw, e.Line, c.raw, c.line)
		}
	}
	if len(kf.Warnings) != 2 || kf.Warnings[0].Line != 10 || kf.Warnings[1].Line != 12 {
		t.Errorf("warnings: %v", kf.Warnings)
	}
	if kf.Group("message-broker").Line != 3 {
		t.Error("the group's line is that of its first header")
	}
	if _, ok := kf.Group("absent").Get("key"); ok {
		t.Error("a nil group has no entries")
	}
}

func TestParseKeyFileErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"key=value\n", "test.cfg:1: key: a key before the first [group]"},
		{"[a]\nno equals sign\n", "test.cfg:2: [a] this line is neither"},
		{"[a]\n; comment\n", "comments start with #"},
		{"[a]\n=value\n", "test.cfg:2: [a] a line starts with ="},
		{"[a\n", "test.cfg:1: a group header must end with ]"},
		{"[a] trailing\n", "test.cfg:1: a group header must end with ]"},
		{"[]\n", "test.cfg:1: a group name is empty"},
		{"\n\n[a\x01]\n", "test.cfg:3: a group name"},
		{"[a]\nk\xff=v\n", "test.cfg:2: [a] a key holds"},
	} {
		_, err := ParseKeyData("test.cfg", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.text, err, c.want)
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: error is %T", c.text, err)
		}
	}
}

func TestErrorsKeepValuesSecret(t *testing.T) {
	kf := parse(t, "[a]\npassword=hunter2\\q\n")
	e := entry(t, kf, "a", "password")
	for name, err := range map[string]error{
		"text": func() error { _, err := e.Text(); return err }(),
		"bool": func() error { _, err := e.Bool(); return err }(),
		"int":  func() error { _, err := e.Int(); return err }(),
		"line": func() error { _, err := ParseKeyData("f", []byte("[a]\nhunter2\n")); return err }(),
	} {
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEntryText(t *testing.T) {
	for _, c := range []struct{ raw, want, err string }{
		{`plain`, "plain", ""},
		{`Ty\sp\te`, "Ty p\te", ""},
		{`a\nb\rc\\d`, "a\nb\rc\\d", ""},
		{`spaced id  `, "spaced id  ", ""},
		{`grün;a`, "grün;a", ""},
		{`a\qb`, "", `test.cfg:2: [g] k: unknown escape \q`},
		{`a\`, "", "lone backslash"},
		{`a\;b`, "", `unknown escape \;`},
		{"a\xffb", "", "not valid UTF-8"},
	} {
		e := entry(t, parse(t, "[g]\nk="+c.raw+"\n"), "g", "k")
		got, err := e.Text()
		checkResult(t, c.raw, got, c.want, err, c.err)
	}
}

func TestEntryTyped(t *testing.T) {
	get := func(raw string) Entry { return entry(t, parse(t, "[g]\nk="+raw+"\n"), "g", "k") }
	for raw, want := range map[string]string{"1": "", "true": "", "0 ": "", "false": "", "yes": "is not a boolean", "TRUE": "is not a boolean", "": "is not a boolean"} {
		v, err := get(raw).Bool()
		checkResult(t, raw, v, strings.HasPrefix(raw, "1") || raw == "true", err, want)
	}
	n, err := get("-42 ").Int()
	checkResult(t, "-42", n, int64(-42), err, "")
	_, err = get("4x").Int()
	checkResult(t, "4x", 0, 0, err, "test.cfg:2: [g] k: is not an integer")
	_, err = get("11").IntRange(0, 10)
	checkResult(t, "11", 0, 0, err, "choose a number from 0 to 10")
	n, err = get("10").IntRange(0, 10)
	checkResult(t, "10", n, int64(10), err, "")

	for _, c := range []struct {
		raw  string
		want []string
		err  string
	}{
		{"", nil, ""}, {"a", []string{"a"}, ""}, {"a;b;", []string{"a", "b"}, ""}, {"a;;b", []string{"a", "", "b"}, ""},
		{`a\;b;c\\;`, []string{"a;b", `c\`}, ""}, {`a;\q`, nil, "unknown escape"}, {`\q;a`, nil, "unknown escape"},
	} {
		got, err := get(c.raw).Strings()
		checkResult(t, c.raw, got, c.want, err, c.err)
	}
	for _, c := range []struct {
		raw  string
		want []float64
		err  string
	}{
		{"1.5;2.5;3.5;", []float64{1.5, 2.5, 3.5}, ""}, {" 1.5 ; -2 ;3e-5", []float64{1.5, -2, 3e-5}, ""},
		{"1;x", nil, "item 2 is not a finite number"}, {"1e999", nil, "item 1"}, {"nan", nil, "item 1"}, {"1_0", nil, "item 1"}, {"1;;2", nil, "item 2"},
	} {
		got, err := get(c.raw).Doubles()
		checkResult(t, c.raw, got, c.want, err, c.err)
	}
}

func checkResult(t *testing.T, name string, got, want any, err error, wantErr string) {
	t.Helper()
	if wantErr != "" {
		if err == nil || !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%q: error %v, want %q", name, err, wantErr)
		}
		return
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q: %#v, %v; want %#v", name, got, err, want)
	}
}

func TestParseKeyFileOnDisk(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.cfg")
	if err := os.WriteFile(path, []byte("[g]\nk=v\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	kf, err := ParseKeyFile(path)
	if err != nil || kf.Path != path {
		t.Fatal(kf, err)
	}
	_, err = ParseKeyFile(filepath.Join(dir, "absent.cfg"))
	if !errors.Is(err, fs.ErrNotExist) || !IsMissing(err) || !strings.Contains(err.Error(), "absent.cfg: cannot open") {
		t.Errorf("absent file: %v", err)
	}
	if _, err = ParseKeyFile(""); !IsMissing(err) {
		t.Errorf("empty path: %v", err)
	}
	if _, err = ParseKeyFile(dir); !IsMissing(err) || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("directory: %v", err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err == nil {
		if _, err = ParseKeyFile(fifo); !IsMissing(err) { // must not wait for a writer
			t.Errorf("named pipe: %v", err)
		}
	}
	if _, err = ParseKeyData("f", []byte("x")); IsMissing(err) {
		t.Error("a syntax error is not a missing file")
	}
}

func TestWarningAndNearest(t *testing.T) {
	e := entry(t, parse(t, "[g]\nproto-cgf=v\n"), "g", "proto-cgf")
	w := e.Warn("unknown key", suggest(e.Key, []string{"proto-cfg", "topic"}, "remove it"))
	if got, want := w.String(), "test.cfg:2: [g] proto-cgf: unknown key; did you mean proto-cfg?"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if w.Error().Error() != w.String() {
		t.Error("a warning and the error made of it read alike")
	}
	if Nearest("zzz", []string{"proto-cfg"}) != "" || suggest("zzz", nil, "remove it") != "remove it" {
		t.Error("nothing is near")
	}
}

func FuzzParseKeyData(f *testing.F) {
	for _, s := range []string{"[a]\nk=v\n", "[a]\nk=1;2\\;3\\\n#x\n[b]", "\xef\xbb\xbf[a]\r\nk = \\s\r\n", "[a]\nk=\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		kf, err := ParseKeyData("f", data)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without text")
			}
			return
		}
		for _, g := range kf.Groups {
			for _, e := range g.Entries {
				if e.Line < 1 || e.Key == "" {
					t.Errorf("entry %+v", e)
				}
				_, _ = e.Text()
				_, _ = e.Strings()
				_, _ = e.Doubles()
			}
		}
	})
}
