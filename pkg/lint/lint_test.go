// SPDX-License-Identifier: LGPL-2.1-or-later

package lint

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
	"github.com/gst-edgewire/gst-edgewire/pkg/c2d"
)

var update = flag.Bool("update", false, "write the golden files anew")

// check looks at a file and returns the lines.
func check(path, protocol string) ([]string, *Linter) {
	l := &Linter{Protocol: protocol}
	l.File(path)
	var lines []string
	for _, f := range l.Findings() {
		lines = append(lines, f.String())
	}
	return append(lines, l.Summary().String()), l
}

// write makes a file with the mode 0600.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// environment keeps what the host has set out of the tests.
func environment(t *testing.T) {
	t.Helper()
	old := settings.Getenv
	settings.Getenv = func(string) string { return "" }
	t.Cleanup(func() { settings.Getenv = old })
}

func TestGolden(t *testing.T) {
	environment(t)
	// Who checked these files out may have let others read them; the warning about it has a test of its own.
	readable := regexp.MustCompile(`(?m)^.*every user of this machine can read.*\n`)
	golden, err := filepath.Abs("testdata/golden")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("testdata")
	for _, dir := range []string{"good", "bad"} {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			path := dir + "/" + f.Name()
			lines, l := check(path, "")
			got := readable.ReplaceAllString(strings.Join(lines[:len(lines)-1], "\n")+"\n", "")
			if strings.Contains(got, "hunter2secret") || strings.Contains(got, "pa55word") {
				t.Errorf("%s: shows a secret:\n%s", path, got)
			}
			if wrong := l.Summary().Wrong > 0; wrong != (dir == "bad") && f.Name() != "sensors.txt" { // a list of sensors alone is read as a file of nvmsgconv
				t.Errorf("%s: wrong is %v", path, wrong)
			}
			file := filepath.Join(golden, dir+"-"+f.Name())
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
			}
		}
	}
}

// TestKeysOfAdapters: the linter has a verdict on each key that an adapter knows, and calls none unknown.
func TestKeysOfAdapters(t *testing.T) {
	environment(t)
	for _, name := range adapters.Names() {
		d := describer(name)
		if d == nil {
			t.Errorf("%s does not tell its keys", name)
			continue
		}
		if len(d.Keys()) == 0 {
			t.Errorf("%s has no keys", name)
		}
		for _, key := range settings.Names(d.Keys()) {
			path := write(t, "cfg.txt", "[message-broker]\n"+key+" = 1\n")
			lines, l := check(path, name)
			if !slices.ContainsFunc(l.Findings(), func(f Finding) bool { return f.Key == key && f.Line == 2 && f.Verdict != Passed }) {
				t.Errorf("%s %s: no verdict: %q", name, key, lines)
			}
			if text := strings.Join(lines, "\n"); strings.Contains(text, "unknown key") || strings.Contains(text, "not a key") {
				t.Errorf("%s %s: %s", name, key, text)
			}
		}
		path := write(t, "cfg.txt", "[message-broker]\nno-such-key-at-all = 1\n")
		if lines, l := check(path, name); l.Summary().Wrong != 1 {
			t.Errorf("%s: an unknown key: %q", name, lines)
		}
		path = write(t, "cfg.txt", "[message-broker]\nshare-connection = 1\n")
		if lines, l := check(path, name); l.Summary() != (Summary{Files: 1, Honoured: 1}) {
			t.Errorf("%s: the example of a connection string is refused: %q", name, lines)
		}
	}
}

// TestEveryAdapter: no adapter is missing among those that the linter knows.
func TestEveryAdapter(t *testing.T) {
	registers := regexp.MustCompile(`adapters\.Register\(adapter\{"?([a-z_]*)`)
	err := filepath.WalkDir("../adapters", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range registers.FindAllStringSubmatch(string(source), -1) {
			name := m[1]
			if name == "" {
				name = filepath.Base(filepath.Dir(path))
			}
			if !slices.Contains(adapters.Names(), name) || examples[name] == "" {
				t.Errorf("%s is not known to the linter", name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestOtherKeys: the same for consumers, sensor lists and reconnecting, whose keys their packages tell.
func TestOtherKeys(t *testing.T) {
	environment(t)
	verdicts := func(l *Linter, group string, keys []string) {
		t.Helper()
		for _, key := range keys {
			if !slices.ContainsFunc(l.Findings(), func(f Finding) bool {
				return f.Group == group && f.Key == key && (f.Verdict == Honoured || f.Verdict == Ignored)
			}) {
				t.Errorf("[%s] %s: no verdict", group, key)
			}
		}
	}
	dir := t.TempDir()
	put := func(name, head string, keys []string, values map[string]string) string {
		var b strings.Builder
		b.WriteString(head + "\n")
		for _, k := range keys {
			v := values[k]
			if v == "" {
				v = "1"
			}
			fmt.Fprintf(&b, "%s=%s\n", k, v)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put("sensors.txt", "[sensor0]", c2d.SensorKeys, nil)
	put("cfg.txt", "[message-broker]", []string{"keep-alive"}, nil)
	app := put("app.txt", "[message-consumer0]", c2d.ConsumerKeys, map[string]string{"proto-lib": "mqtt", "conn-str": "localhost;1883",
		"config-file": "cfg.txt", "sensor-list-file": "sensors.txt"})
	lines, l := check(app, "")
	if s := l.Summary(); s.Wrong+s.Warnings > 0 || s.Files != 3 {
		t.Errorf("%q", lines)
	}
	verdicts(l, "message-consumer0", c2d.ConsumerKeys)
	verdicts(l, "sensor0", c2d.SensorKeys)
	_, l = check(put("re.txt", "["+broker.ReconnectGroup+"]", broker.ReconnectKeys, nil), "")
	verdicts(l, broker.ReconnectGroup, broker.ReconnectKeys)
}

// TestProperties: what the linter says about properties is so in the elements, whose packages it cannot use.
func TestProperties(t *testing.T) {
	source := map[string]string{}
	for element, dir := range map[string]string{"nvmsgconv": "msgconv", "nvmsgbroker": "msgbroker"} {
		files, err := filepath.Glob("../../plugins/" + dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			source[element] += string(text)
		}
	}
	for _, o := range options {
		if o.property != "sync" && !strings.Contains(source[o.element], `"`+o.property+`"`) {
			t.Errorf("%s has no property %s", o.element, o.property)
		}
	}
	if taken := strings.Contains(source["nvmsgconv"], "msg2p.Open("); !taken {
		t.Error("msgconv takes no converter libraries any more: isLibrary and isPayloadType are to follow")
	}
}

// TestUnreadable: what is no configuration at all is told clearly, and nobody waits.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"":                          "the path of the configuration file is empty",
		filepath.Join(dir, "none"):  "no such file or directory; check the path",
		dir:                         "is not a regular file",
		fifo:                        "is not a regular file",
		write(t, "b", "[a]\n\x00="): ":2: wrong: this is no text file: it holds a NUL byte",
		write(t, "h", strings.Repeat("# long\n", 200_000)): "is larger than 1 MiB",
		write(t, "e", ""):                                                 "it has no groups",
		write(t, "g", "just text\n"):                                      ":1: wrong: this line is neither a [group] nor key=value",
		write(t, "y.yml", "a: [1\n"):                                      "is not valid YAML",
		write(t, "l.yml", "- a\n"):                                        "the file is not a map of groups",
		write(t, "c.csv", "head\na,b\n"):                                  ":2: wrong: the row has 2 columns instead of 7",
		write(t, "i.txt", "[message-broker]\nk=\xff\n"):                   "wrong",
		write(t, "o.txt", "[osd]\nenable=1\n[sink0]\nenable=1\ntype=2\n"): "passed over: [osd] [sink0]: the application's own",
	} {
		lines, l := check(path, "")
		if text := strings.Join(lines, "\n"); !strings.Contains(text, want) {
			t.Errorf("%s: %s", path, text)
		}
		if (l.Summary().Wrong == 0) != strings.HasSuffix(path, "o.txt") {
			t.Errorf("%s: %q", path, lines)
		}
	}
}

// TestFlood: a file of mistakes ends.
func TestFlood(t *testing.T) {
	environment(t)
	var b strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&b, "k%d=1\n", i)
	}
	for _, head := range []string{"[message-broker]\n", "[nvmsgbroker]\n", "[sink0]\nenable=1\ntype=6\n", "[sensor0]\nenable=1\n", "[message-consumer0]\nenable=1\n"} {
		_, l := check(write(t, "flood.txt", head+b.String()), "mqtt")
		if s := l.Summary(); s.Wrong > maxMistakes+1 {
			t.Errorf("%s: %v", head, s)
		}
	}
}

// TestNames: what a file says cannot write to the terminal.
func TestNames(t *testing.T) {
	lines, _ := check(write(t, "n.yml", "sink0:\n  type: 6\n  enable: 1\n  \"msg-\\e[31m\\n\": 1\n"), "")
	for _, line := range lines {
		if strings.ContainsAny(line, "\x1b\n") {
			t.Errorf("%q", line)
		}
	}
}

// TestOpenSecret: a secret that everyone can read is warned about, with its file.
func TestOpenSecret(t *testing.T) {
	environment(t)
	path := write(t, "cfg_mqtt.txt", "[message-broker]\nclient-id=me\npassword=hunter2secret\n")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	lines, l := check(path, "")
	text := strings.Join(lines, "\n")
	if l.Summary().Warnings != 1 || !strings.Contains(text, "every user of this machine can read") || strings.Contains(text, "/proc/") || strings.Contains(text, "hunter2") {
		t.Error(text)
	}
}

// TestHide: an error about a connection string shows nothing of it.
func TestHide(t *testing.T) {
	got := hide(errors.New(`conn-str "a;b;hunter2": the host "a" is bad; write host;port, such as "localhost;9092"`), "a;b;hunter2").Error()
	if got != `conn-str "…": the host "…" is bad; write host;port, such as "localhost;9092"` {
		t.Error(got)
	}
}

func TestGuess(t *testing.T) {
	environment(t)
	for text, want := range map[string]string{
		"proto-cfg=\"linger.ms=1\"": "kafka", "exchange=x": "amqp", "custom_msg_properties=a=b": "azure", "streamsize=1": "redis",
		"user-properties=a=b": "mqtt", "jetstream=1": "nats", "rotate-size=1": "file",
	} {
		lines, _ := check(write(t, "cfg.txt", "[message-broker]\n"+text+"\n"), "")
		if !strings.Contains(lines[0], "by "+want) {
			t.Errorf("%s: %q", text, lines)
		}
	}
}

// TestDocs: the page shows these very files and this very output.
func TestDocs(t *testing.T) {
	environment(t)
	page, err := os.ReadFile("../../docs/edgewire-check.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("testdata/doc")
	lines, _ := check("app.txt", "")
	want := []string{"```\n" + strings.Join(lines, "\n") + "\n```"}
	for _, name := range []string{"app.txt", "cfg_kafka.txt"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, "```ini\n"+string(text)+"```")
	}
	for _, w := range want {
		if !strings.Contains(string(page), w) {
			t.Errorf("the page has not\n%s", w)
		}
	}
}

// TestApplications: verdicts that hang together with others.
func TestApplications(t *testing.T) {
	environment(t)
	for _, c := range []struct{ text, want, not string }{
		{"[sink0]\nenable=1\ntype=6\ndisable-msgconv=1\nmsg-conv-payload-type=257\nmsg-broker-proto-lib=kafka\nmsg-broker-conn-str=h;1;t\n",
			"msg-conv-payload-type: ignored: disable-msgconv leaves nvmsgconv out", "wrong:"},
		{"[sink0]\nenable=1\ntype=6\nmsg-broker-proto-lib=kafka\nmsg-broker-conn-str=h;1\ntopic=\"x y\"\n", "[sink0] topic: wrong:", "topic: honoured"},
		{"[sink0]\nenable=1\ntype=6\nmsg-broker-proto-lib=mqtt\n", "neither msg-broker-conn-str nor msg-broker-config is set", ""},
		{"[sink0]\nenable=perhaps\ntype=6\n", "enable: wrong: is not a boolean", ""},
		{"[sink0]\nenable=1\ntype=6\nmsg-broker-proto-lib=kafka\nmsg-broker-conn-str=h;1;t\nmsg-broker-config=app.txt\n[message-broker]\nlinger=1\n",
			"linger: wrong: unknown key", "nobody reads"},
		{"[sink0]\nenable=1\ntype=6\nmsg-broker-proto-lib=kafka\nmsg-broker-config=app.txt\n[message-broker]\ntopic=t\n", "no server is named", "honoured with"},
		{"[message-converter]\nenable=1\nmsg-conv-payload-type=2\n", "honoured as payload-type of nvmsgconv", "wrong:"},
		{"[message-converter]\nenable=1\nmsg-conv-payload-type=257\n", "warning: without a library of one's own there are no messages of payload type 257, or placeholders alone; name the library", "honoured"},
		{"[message-converter]\nenable=1\nmsg-conv-payload-type=3\nmsg-conv-msg2p-lib=app.txt\n", "wrong: there is no payload type 3", ""},
		{"[message-converter]\nenable=1\nmsg-conv-payload-type=257\nmsg-conv-msg2p-lib=app.txt\nmultiple-payloads=1\n",
			"multiple-payloads: honoured as multiple-payloads of nvmsgconv", "wrong:"},
		{"[message-converter]\nenable=1\nmsg-conv-msg2p-lib=none.so\n", "wrong: there is no library", ""},
		{"[message-converter]\nenable=1\nmsg-conv-msg2p-lib=/opt/nvidia/deepstream/deepstream/lib/libnvds_msgconv.so\nmultiple-payloads=1\n",
			"msg-conv-msg2p-lib: honoured by the built-in schemas", "wrong:"},
		{"[message-consumer0]\nenable=0\nwhatever=1\n", "the group is off (enable)", "wrong:"},
		{"[message-consumerX]\nenable=1\n", "wrong", ""},
	} {
		path := write(t, "app.txt", c.text)
		lines, _ := check(path, "")
		text := strings.Join(lines[:len(lines)-1], "\n")
		if !strings.Contains(text, c.want) || (c.not != "" && strings.Contains(text, c.not)) {
			t.Errorf("%s:\n%s", c.text, text)
		}
	}
}

// FuzzFile: no file makes the linter fail, hang or show a line of two.
func FuzzFile(f *testing.F) {
	for _, dir := range []string{"good", "bad"} {
		files, _ := filepath.Glob("testdata/" + dir + "/*")
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(filepath.Ext(file), data)
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, ext string, data []byte) {
		if !slices.Contains([]string{".txt", ".yml", ".csv"}, ext) {
			ext = ".txt"
		}
		path := filepath.Join(dir, "f"+ext)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		lines, _ := check(path, "")
		if len(lines) < 2 {
			t.Errorf("nothing was said: %q", lines)
		}
		for _, line := range lines {
			if strings.ContainsAny(line, "\n\x1b\x00") {
				t.Errorf("%q", line)
			}
		}
	})
}
