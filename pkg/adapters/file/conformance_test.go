// SPDX-License-Identifier: LGPL-2.1-or-later

package file

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// A folder is the server of the common tests: it goes away by being renamed.
type folder struct {
	dir, name, config string
}

func (f folder) ConnStr() string { return filepath.Join(f.dir, f.name) }
func (f folder) ConfigPath(t *testing.T) string {
	return writeFile(t, filepath.Join(t.TempDir(), "file.cfg"), f.config)
}
func (f folder) Start(t *testing.T)   { must(t, os.Rename(f.dir+".away", f.dir)) }
func (f folder) Stop(t *testing.T)    { must(t, os.Rename(f.dir, f.dir+".away")) }
func (f folder) UnknownTopic() string { return "" }
func (f folder) TooLarge() int        { return 0 }
func (f folder) Malformed() []string {
	return []string{"", "/var/tmp/", "localhost;9092", "localhost;9092;topic", "/tmp/{topik}.ndjson", "/tmp/{topic", "a\x00b"}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeFile(t testing.TB, path, content string) string {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

type line struct {
	Topic   string          `json:"topic"`
	Key     string          `json:"key"`
	Time    int64           `json:"timestamp-ms"`
	Session string          `json:"ew-session"`
	Number  uint64          `json:"ew-sequence"`
	Payload json.RawMessage `json:"payload"`
	Text    string          `json:"payload-text"`
	Binary  []byte          `json:"payload-base64"`
	Headers []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
		Bytes []byte `json:"value-base64"`
	} `json:"headers"`
}

// lines reads a file of envelopes, and every old file of it.
func lines(t testing.TB, path string) (all []line) {
	t.Helper()
	for _, p := range append(archive(path), path) {
		data, err := os.ReadFile(p)
		if os.IsNotExist(err) {
			continue
		}
		must(t, err)
		for text := range bytes.Lines(data) {
			var l line
			if err := json.Unmarshal(text, &l); err != nil || !bytes.HasSuffix(text, []byte("\n")) {
				t.Fatalf("%s: %v in %.200q", p, err, text)
			}
			all = append(all, l)
		}
	}
	return all
}

func (f folder) Consume(t *testing.T, topic string, n int) []adaptertest.Received {
	path := filepath.Join(f.dir, strings.ReplaceAll(f.name, topicField, fileName(topic)))
	var got []adaptertest.Received
	adaptertest.Wait(t, fmt.Sprintf("%d messages in %s", n, path), func() bool {
		got = nil
		for _, l := range lines(t, path) {
			if l.Topic != topic {
				continue
			}
			session, _ := strconv.ParseUint(l.Session, 16, 64)
			payload := l.Binary
			if payload == nil {
				payload = []byte(l.Text)
			}
			if l.Payload != nil {
				payload = l.Payload
			}
			var headers adapters.Headers
			for _, h := range l.Headers {
				headers = headers.AppendString(h.Name, h.Value)
			}
			got = append(got, adaptertest.Received{Headers: headers, Topic: l.Topic, Key: []byte(l.Key), Payload: payload, TimestampMS: l.Time,
				Session: session, Number: l.Number})
		}
		return len(got) >= n
	})
	return got
}

func TestConformance(t *testing.T) {
	for name, f := range map[string]folder{
		"one file":        {name: "all.ndjson", config: "[message-broker]\nformat=envelope\n"},
		"file per topic":  {name: "{topic}.ndjson", config: "[message-broker]\nformat=envelope\nsync=interval\n"},
		"rotation":        {name: "all.ndjson", config: "[message-broker]\nformat=envelope\nrotate-size=20000\nsync=batch\n"},
		"topic in folder": {name: "of-{topic}/x", config: "[message-broker]\nformat=envelope\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f.dir = filepath.Join(t.TempDir(), "here")
			must(t, os.Mkdir(f.dir, 0o700))
			adaptertest.Run(t, adapter{}, f)
		})
	}
}

func open(t testing.TB, path, config string) (*conn, *adaptertest.Recorder) {
	t.Helper()
	r := adaptertest.NewRecorder()
	cfg := ""
	if config != "" {
		cfg = writeFile(t, filepath.Join(t.TempDir(), "file.cfg"), "[message-broker]\n"+config)
	}
	c, err := adapter{}.Open(adapters.Config{ConnStr: path, ConfigPath: cfg, Strict: true}, r)
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c.(*conn), r
}

// send publishes payloads, numbered from seq on.
func send(t *testing.T, c *conn, seq uint64, payloads ...string) {
	t.Helper()
	var b adapters.Batch
	for i, p := range payloads {
		b.Append(seq+uint64(i), 0, "t", nil, []byte(p))
	}
	adaptertest.Send(t, c, &b)
}

func waitResults(t *testing.T, r *adaptertest.Recorder, n int) {
	t.Helper()
	adaptertest.Wait(t, fmt.Sprint(n, " results"), func() bool { all, _ := r.Results(); return all == n })
	if _, failed := r.Results(); failed != 0 {
		t.Errorf("%d failures", failed)
	}
}

func waitReason(t *testing.T, r *adaptertest.Recorder, text string) {
	t.Helper()
	adaptertest.Wait(t, "a reason with "+text, func() bool {
		for _, e := range r.States() {
			if e.State == adapters.Disconnected && strings.Contains(e.Reason, text) {
				return true
			}
		}
		return false
	})
}
