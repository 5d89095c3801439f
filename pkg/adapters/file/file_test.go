// SPDX-License-Identifier: LGPL-2.1-or-later

package file

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}

func TestFormats(t *testing.T) {
	m := adapters.Message{TimestampMS: 1_600_000_000_123, Session: 0xab, Number: 7, Topic: []byte("a/\xff"), Key: []byte("k"),
		Payload: []byte("{\n \"x\": 1 }"), Headers: adapters.Headers{}.AppendString("n", "v\"").Append("b", []byte{0xff})}
	for _, c := range []struct{ format, payload, want string }{
		{formatPayload, "{\n \"x\": \"<>\" }", `{"x":"<>"}` + "\n"},
		{formatPayload, `{"x": 1}`, `{"x": 1}` + "\n"},
		{formatPayload, "two\nlines <b>", `"two\nlines <b>"` + "\n"},
		{formatPayload, "", `""` + "\n"},
		{formatPayload, "\x00\xff", `{"base64":"AP8="}` + "\n"},
		{formatFramed, "abc", "\x03abc"},
		{formatEnvelope, "{\n\"x\": 1 }", `{"topic-base64":"YS//","key":"k","timestamp-ms":1600000000123,"timestamp":"2020-09-13T12:26:40.123Z",` +
			`"ew-session":"00000000000000ab","ew-sequence":7,"headers":[{"name":"n","value":"v\""},{"name":"b","value-base64":"/w=="}],"payload":{"x":1}}` + "\n"},
	} {
		m.Payload = []byte(c.payload)
		if got := string(encode(nil, c.format, &m)); got != c.want {
			t.Errorf("%s of %q: %s, want %s", c.format, c.payload, got, c.want)
		}
	}
	if got := string(encode(nil, formatEnvelope, &adapters.Message{Topic: []byte("t"), Payload: []byte("x")})); got != `{"topic":"t","payload-text":"x"}`+"\n" {
		t.Error(got)
	}
}

// TestFramed: what is written is what protobuf's own readers take, and a torn end is cut off.
func TestFramed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pb")
	for run := range 3 {
		c, r := open(t, path, "format=framed\n")
		var b adapters.Batch
		for i := range uint64(3) {
			b.Append(i+1, 0, "t", nil, []byte{0x0a, 2, 'h', byte('0' + run)}) // wrapperspb.BytesValue
		}
		adaptertest.Send(t, c, &b)
		waitResults(t, r, 3)
		must(t, c.Close())
		if warned := len(r.Logs()) > 0; warned != (run > 0) {
			t.Errorf("run %d: %v", run, r.Logs())
		}
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		_, err = f.Write([]byte{200, 1, 'x'}) // 200 bytes are promised
		must(t, err)
		must(t, f.Close())
	}
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	in := bufio.NewReader(f)
	for i := range 9 {
		var v wrapperspb.BytesValue
		must(t, protodelim.UnmarshalFrom(in, &v))
		if string(v.Value) != fmt.Sprintf("h%d", i/3) {
			t.Errorf("message %d: %q", i, v.Value)
		}
	}
}

// TestRotation by size: files are never larger, nothing is lost, old ones are compressed and the oldest go.
func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.ndjson")
	c, r := open(t, path, "rotate-size=100\nrotate-gzip=1\nrotate-count=5\n")
	for i := range 60 {
		send(t, c, uint64(i+1), fmt.Sprintf(`{"n": 1%029d}`, i)) // 39 bytes with the line break: two a file
		waitResults(t, r, i+1)
	}
	adaptertest.Wait(t, "five old files, compressed", func() bool {
		names := archive(path)
		for _, n := range names {
			if !strings.HasSuffix(n, ".gz") {
				return false
			}
		}
		return len(names) == 5
	})
	text := ""
	for _, name := range archive(path) {
		f, err := os.Open(name)
		must(t, err)
		z, err := gzip.NewReader(f)
		must(t, err)
		data, err := io.ReadAll(z)
		must(t, err)
		_ = f.Close()
		text += string(data)
	}
	text += read(t, path)
	want := ""
	for i := 48; i < 60; i++ {
		want += fmt.Sprintf("{\"n\": 1%029d}\n", i)
	}
	if text != want {
		t.Errorf("%s, want %s", text, want)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) != 1 {
		t.Errorf("left over: %v", left)
	}
	// One message that is larger than a file has one for itself.
	send(t, c, 61, strings.Repeat("1", 500), "2")
	waitResults(t, r, 62)
	if got := read(t, path); got != "2\n" {
		t.Error(got)
	}
}

// TestRotationOfMany: one batch makes many files.
func TestRotationOfMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	c, r := open(t, path, "rotate-size=50\n")
	payloads := make([]string, 200)
	want := ""
	for i := range payloads {
		payloads[i] = fmt.Sprint(1000 + i)
		want += payloads[i] + "\n"
	}
	send(t, c, 1, payloads...)
	waitResults(t, r, 200)
	got := ""
	for _, p := range append(archive(path), path) {
		text := read(t, p)
		if len(text) > 50 {
			t.Errorf("%s has %d bytes", p, len(text))
		}
		got += text
	}
	if got != want {
		t.Errorf("%q", got)
	}
}

func TestRotationByAge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.ndjson")
	writeFile(t, path, "1\n")
	old := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(path, old, old))
	c, r := open(t, path, "rotate-age=60\n")
	send(t, c, 1, "2", "3")
	waitResults(t, r, 2)
	if names := archive(path); len(names) != 1 || read(t, names[0]) != "1\n" || read(t, path) != "2\n3\n" {
		t.Errorf("%v", names)
	}
}

// TestClockBack: where the clock has gone back, what is rotated is still the newest: it is not what rotate-count
// deletes, and a file that seems to be of the future has its age from now on.
func TestClockBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.ndjson")
	for _, name := range []string{"x-20990101T000000.000Z.ndjson", "x-20990101T000000.000Z-0001.ndjson", "x-20990101T000000.999Z.ndjson"} {
		writeFile(t, filepath.Join(filepath.Dir(path), name), "old\n")
	}
	writeFile(t, path, "0\n")
	future := time.Now().Add(time.Hour)
	must(t, os.Chtimes(path, future, future))
	c, r := open(t, path, "rotate-size=4\nrotate-count=2\nrotate-age=86400\n")
	for i := range 5 {
		send(t, c, uint64(i+1), fmt.Sprint(i+1))
		waitResults(t, r, i+1)
	}
	adaptertest.Wait(t, "two old files", func() bool { return len(archive(path)) == 2 })
	got := ""
	for _, name := range append(archive(path), path) {
		got += read(t, name)
	}
	if got != "0\n1\n2\n3\n4\n5\n" {
		t.Errorf("%q is left in %v", got, archive(path))
	}
	f := target{c: c, path: path, fd: -1}
	must(t, os.Chtimes(path, future, future))
	must(t, f.open())
	defer f.close()
	if f.since.After(time.Now()) {
		t.Error("the age of the file begins in the future")
	}
}

// TestTorn: a line that a crash has cut stands alone.
func TestTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.ndjson")
	writeFile(t, path, "{\"whole\":1}\n{\"tor")
	c, r := open(t, path, "")
	send(t, c, 1, `{"n":1}`, `{"n":2}`)
	waitResults(t, r, 2)
	if got := read(t, path); got != "{\"whole\":1}\n{\"tor\n{\"n\":1}\n{\"n\":2}\n" {
		t.Errorf("%q", got)
	}
}

// TestMoved: a file that another program has renamed or deleted is begun anew.
func TestMoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.ndjson")
	c, r := open(t, path, "")
	send(t, c, 1, "1")
	waitResults(t, r, 1)
	must(t, os.Rename(path, path+".1"))
	send(t, c, 2, "2")
	waitResults(t, r, 2)
	must(t, os.Remove(path))
	send(t, c, 3, "3")
	waitResults(t, r, 3)
	if read(t, path+".1") != "1\n" || read(t, path) != "3\n" {
		t.Error(read(t, path+".1"), read(t, path))
	}
}

// TestFull: on a disk without room nothing is lost, nothing torn, and the reason is told.
func TestFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("no small file system can be mounted (%v): A FULL DISK IS NOT TESTED", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	path := filepath.Join(dir, "x.ndjson")
	ballast := writeFile(t, filepath.Join(dir, "ballast"), strings.Repeat("x", 40_000))
	c, r := open(t, path, "format=envelope\n")
	payloads := make([]string, 300)
	for i := range payloads {
		payloads[i] = fmt.Sprintf(`"%0100d"`, i)
	}
	send(t, c, 1, payloads...)
	waitReason(t, r, "no space left on device; make room on the disk")
	all, _ := r.Results()
	if got := len(lines(t, path)); got != all {
		t.Errorf("%d lines, %d results", got, all) // lines fails on a torn one
	}
	must(t, os.Remove(ballast))
	waitResults(t, r, len(payloads))
	must(t, c.Close())
	got := lines(t, path)
	for i, l := range got {
		if string(l.Payload) != payloads[i] {
			t.Fatalf("line %d is %s", i, l.Payload)
		}
	}
	if len(got) != len(payloads) {
		t.Errorf("%d lines", len(got))
	}
	if s := r.States(); s[len(s)-1].State != adapters.Connected {
		t.Errorf("%+v", s)
	}
}

func TestReasons(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "file"), "")
	for path, want := range map[string]string{
		"/dev/full":                   "/dev/full: no space left on device; make room",
		dir:                           "is a directory; correct the path",
		filepath.Join(dir, "file/x"):  "not a directory; correct the path",
		filepath.Join(dir, "no/x"):    "no such file or directory; create the folder",
		filepath.Join(dir, "{topic}"): "",
		"/proc/x-{topic}":             "/proc",
		"/proc/self/nothing":          "",
	} {
		c, r := open(t, path, "")
		send(t, c, 1, "x")
		if want != "" {
			waitReason(t, r, want)
			if n, _ := r.Results(); n != 0 {
				t.Errorf("%s: %d results", path, n)
			}
		}
		must(t, c.Close())
	}
}

// TestLongTopic: a topic that makes no file name is refused alone.
func TestLongTopic(t *testing.T) {
	dir := t.TempDir()
	c, r := open(t, filepath.Join(dir, "{topic}"), "")
	var b adapters.Batch
	b.Append(1, 0, strings.Repeat("x", 300), nil, []byte("1"))
	b.Append(2, 0, "../../etc/passwd", nil, []byte("2"))
	b.Append(3, 0, "..", nil, []byte("3"))
	adaptertest.Send(t, c, &b)
	adaptertest.Wait(t, "results", func() bool { n, _ := r.Results(); return n == 3 })
	if err, _ := r.Result(1); err == nil || !strings.Contains(err.Error(), "use shorter topics") {
		t.Error(err)
	}
	if read(t, filepath.Join(dir, "%2E.%2F..%2Fetc%2Fpasswd")) != "2\n" || read(t, filepath.Join(dir, "%2E.")) != "3\n" {
		t.Error("wrong files")
	}
}

// TestManyTopics: not more files are open than may be.
func TestManyTopics(t *testing.T) {
	dir := t.TempDir()
	c, r := open(t, filepath.Join(dir, "{topic}.txt"), "")
	for round := range 3 {
		var b adapters.Batch
		for i := range 300 {
			b.Append(uint64(round*300+i+1), 0, fmt.Sprint("t", i), nil, fmt.Append(nil, round))
		}
		adaptertest.Send(t, c, &b)
		waitResults(t, r, 300*(round+1))
	}
	for i := range 300 {
		if got := read(t, filepath.Join(dir, fmt.Sprintf("t%d.txt", i))); got != "0\n1\n2\n" {
			t.Fatalf("topic %d: %q", i, got)
		}
	}
}

// TestPipe: a named pipe that nobody reads, that one reads, leaves, and that one does not empty.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	must(t, unix.Mkfifo(path, 0o600))
	c, r := open(t, path, "")
	send(t, c, 1, "1")
	waitReason(t, r, "start the reader")
	f, err := os.OpenFile(path, os.O_RDONLY, 0)
	must(t, err)
	waitResults(t, r, 1)
	line := make([]byte, 2)
	if _, err := io.ReadFull(f, line); err != nil || string(line) != "1\n" {
		t.Errorf("%q, %v", line, err)
	}
	_ = f.Close()
	send(t, c, 2, "2")
	adaptertest.Wait(t, "the end of the reader to be told", func() bool {
		s := r.States()
		return s[len(s)-1].State == adapters.Disconnected
	})
	f, err = os.OpenFile(path, os.O_RDONLY, 0)
	must(t, err)
	defer f.Close()
	waitResults(t, r, 2)
	send(t, c, 3, strings.Repeat("3", 1<<20)) // more than a pipe holds
	time.Sleep(20 * time.Millisecond)
	adaptertest.Within(t, "Close", time.Second, func() { must(t, c.Close()) })
}

const childEnv = "EDGEWIRE_TEST_STDOUT"

// TestStdout runs itself in a process whose output it reads, slowly at first.
func TestStdout(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		c, r := open(t, "-", "")
		for i := range 100 {
			payloads := make([]string, 10)
			for k := range payloads {
				payloads[k] = fmt.Sprintf(`{"n":%d,"x":"%s"}`, i*10+k, strings.Repeat("y", i*k))
			}
			send(t, c, uint64(i*10+1), payloads...)
		}
		waitResults(t, r, 1000)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestStdout$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	time.Sleep(300 * time.Millisecond)
	in := bufio.NewReader(out)
	for i := range 1000 {
		text, err := in.ReadString('\n')
		if want := fmt.Sprintf(`{"n":%d,"x":"%s"}`+"\n", i, strings.Repeat("y", i/10*(i%10))); err != nil || text != want {
			t.Fatalf("line %d: %q, %v", i, text, err)
		}
	}
	_, _ = io.Copy(io.Discard, in)
	if err := cmd.Wait(); err != nil {
		t.Error(err, errs.String())
	}
}

func TestConfig(t *testing.T) {
	for text, want := range map[string]string{
		"format=envelop\n":   "file.cfg:2: [message-broker] format: \"envelop\" is no format; did you mean envelope?",
		"sync=always\n":      "write none, interval, batch",
		"rotate-size=-1\n":   "out of range",
		"rotate-count=x\n":   "rotate-count",
		"rotate-siz=1\n":     "did you mean rotate-size?",
		"proto-cfg=\"a=b\"":  "unknown key",
		"rotate-gzip=maybe ": "write true, false",
	} {
		_, err := adapter{}.Open(adapters.Config{ConnStr: "/tmp/x", Strict: true,
			ConfigPath: writeFile(t, filepath.Join(t.TempDir(), "file.cfg"), "[message-broker]\n"+text)}, adaptertest.NewRecorder())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	t.Chdir(t.TempDir())
	c, r := open(t, "", "path=here.ndjson\ntopic=mine\n")
	if i := c.Info(); i.Topic != "mine" || !strings.HasSuffix(i.Host, "/here.ndjson") {
		t.Errorf("%+v", i)
	}
	t.Chdir("/") // the place is that of Open
	send(t, c, 1, "1")
	waitResults(t, r, 1)
	if read(t, c.Info().Host) != "1\n" {
		t.Error("not there")
	}
}
