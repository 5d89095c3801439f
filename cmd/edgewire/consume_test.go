// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	minimalMessage = `{"version":"4.0","id":"12","@timestamp":"2026-01-02T03:04:05.678Z","sensorId":"cam-1","objects":[` +
		`"7|10|20|40.6|60|person|#|male|30|0.93","8|1|2|3|4|car"]}`
	fullMessage = `{"messageid":"u","mdsversion":"1.0","@timestamp":"2026-01-02T03:04:05.678Z","place":{"id":"1","name":"garage"},` +
		`"sensor":{"id":"cam-2"},"analyticsModule":null,"object":{"id":"42","speed":0.0,"vehicle":{"type":"van","confidence":0.5},` +
		`"bbox":{"topleftx":1,"toplefty":2,"bottomrightx":30,"bottomrighty":40}},"event":{"id":"e","type":"entry"},"videoPath":""}`
)

func TestConsumePrintsForAPerson(t *testing.T) {
	address, _ := startBroker(t)
	send(t, address, "mixed", text(minimalMessage, fullMessage, `{"a" : [1, 2]}`, "plain \x1b[31mtext", "\xff\x00\x01", "")...)
	folder := t.TempDir()
	r := runLine(t.Context(), "", "consume", "--brokers", address, "--topic", "mixed", "--from-start", "--count", "6",
		"--idle-timeout", "10s", "--summary", filepath.Join(folder, "s.json"), "--out", filepath.Join(folder, "m.jsonl"))
	if r.code != exitOK || r.err != "" {
		t.Fatalf("exit code %d: %s", r.code, r.err)
	}
	clock := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC).Local().Format("15:04:05.000")
	lines := strings.Split(r.out, "\n")
	for i, want := range []string{
		clock + "  frame 12    sensor cam-1  2 objects  person (10,20)–(41,60) 0.93  car (1,2)–(3,4)",
		clock + "  entry  object 42  vehicle (1,2)–(30,40) 0.50  sensor cam-2  at garage",
	} {
		if lines[i] != want {
			t.Errorf("line %d is\n%q, want\n%q", i+1, lines[i], want)
		}
	}
	for i, want := range []string{`  {"a":[1,2]}`, "  3 bytes: ff 00 01", "  (empty)"} {
		if line := lines[[]int{2, 4, 5}[i]]; !strings.HasSuffix(line, want) {
			t.Errorf("%q does not end in %q", line, want)
		}
	}
	if strings.Contains(r.out, "\x1b") {
		t.Error("an escape sequence of a message reached the terminal")
	}
	for _, want := range []string{"6 messages", "3 objects: 1 car, 1 person, 1 vehicle", "busiest frame: 12 with 2 objects",
		"mixed partition 0: 6 messages, offsets 0 to 5"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("the summary lacks %q:\n%s", want, r.out)
		}
	}
	var sum summary
	b, err := os.ReadFile(filepath.Join(folder, "s.json"))
	if err != nil || json.Unmarshal(b, &sum) != nil {
		t.Fatalf("summary %q, %v", b, err)
	}
	if sum.Messages != 6 || sum.Objects != 3 || sum.Busiest == nil || sum.Busiest.Frame != "12" || sum.Partitions[0].Last != 5 {
		t.Errorf("summary as JSON: %s", b)
	}
	if b, _ := os.ReadFile(filepath.Join(folder, "m.jsonl")); strings.Count(string(b), "\n") != 6 {
		t.Errorf("--out holds %q, want 6 lines", b)
	}
}

func TestConsumePrintsHeaders(t *testing.T) {
	address, _ := startBroker(t)
	send(t, address, "headers", &kgo.Record{Value: []byte("m"), Headers: []kgo.RecordHeader{{Key: "site\x1b", Value: []byte("dock 7")},
		{Key: "ew-session", Value: []byte("0000000000000001")}, {Key: "ew-sequence", Value: []byte("1")}, {Key: "raw", Value: []byte{0xff}}}})
	r := runLine(t.Context(), "", "consume", "--brokers", address, "--topic", "headers", "--from-start", "--count", "1", "--idle-timeout", "10s")
	if line, _, _ := strings.Cut(r.out, "\n"); !strings.HasSuffix(line, "  m  [site\uFFFD=dock 7 raw=1 bytes: ff]") {
		t.Errorf("%q", line)
	}
}

func TestConsumeColoursOnlyATerminal(t *testing.T) {
	d := describe([]byte(minimalMessage))
	if s := (printer{}).line(nil, d, time.Time{}); strings.Contains(s, "\x1b") {
		t.Errorf("colour without a terminal: %q", s)
	}
	if s := (printer{colour: true}).line(nil, d, time.Time{}); !strings.Contains(s, "\x1b[1m12") {
		t.Errorf("no colour on a terminal: %q", s)
	}
}

func TestConsumeKeepsWholeMessages(t *testing.T) {
	address, _ := startBroker(t)
	when := time.Date(2026, 5, 6, 7, 8, 9, 123e6, time.UTC)
	send(t, address, "kept",
		&kgo.Record{Value: []byte(minimalMessage), Key: []byte("k\"1"), Timestamp: when, Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("v")}}},
		&kgo.Record{Value: []byte{0xff, 0}, Timestamp: when})
	r := runLine(t.Context(), "", "consume", "--brokers", address, "--topic", "kept", "--from-start", "--count", "2", "--json", "--idle-timeout", "10s")
	if r.code != exitOK {
		t.Fatal(r.err)
	}
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), r.out)
	}
	var first, second savedRecord
	if json.Unmarshal([]byte(lines[0]), &first) != nil || json.Unmarshal([]byte(lines[1]), &second) != nil {
		t.Fatalf("no JSON: %s", r.out)
	}
	if first.Topic != "kept" || first.Offset != 0 || *first.Key != `k"1` || first.Timestamp != "2026-05-06T07:08:09.123Z" ||
		first.Headers[0].Key != "h" || *first.Headers[0].Value != "v" {
		t.Errorf("first line: %s", lines[0])
	}
	for i, want := range []string{minimalMessage, "\xff\x00"} {
		if got, err := payloadOf([]byte(lines[i])); err != nil || string(got) != want {
			t.Errorf("message %d comes back as %q (%v), want %q", i, got, err, want)
		}
	}
	if second.Key != nil || second.Value != nil || second.ValueBase64 != "/wA=" {
		t.Errorf("second line: %s", lines[1])
	}
	if !strings.Contains(r.err, "2 messages") {
		t.Errorf("the summary must not mix with --json: standard error is %q", r.err)
	}
}

func TestConsumeBeginsWithNewMessages(t *testing.T) {
	address, _ := startBroker(t)
	send(t, address, "old", text("before")...)
	for _, args := range [][]string{{"--topic", "old"}, {"--topic", "old", "--topic", "later"}, nil} {
		done := make(chan result, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		want := "after\n"
		topic := "old"
		if len(args) > 2 {
			topic = "later" // does not exist yet
		}
		go func() {
			done <- runLine(ctx, "", append([]string{"consume", "--brokers", address, "--raw", "--count", "1"}, args...)...)
		}()
		// There is no telling from outside when it has asked for the end: sending goes on until it stops.
		var r result
	wait:
		for {
			select {
			case r = <-done:
				break wait
			case <-time.After(300 * time.Millisecond):
				send(t, address, topic, text("after")...)
			}
		}
		cancel()
		if r.code != exitOK || r.out != want {
			t.Errorf("%v: exit code %d, %q, want %q; %s", args, r.code, r.out, want, r.err)
		}
	}
}

func TestConsumeStopsWhenIdle(t *testing.T) {
	address, _ := startBroker(t)
	send(t, address, "quiet", text("one")...)
	began := time.Now()
	r := runLine(t.Context(), "", "consume", "--brokers", address, "--topic", "quiet", "--from-start", "--idle-timeout", "700ms")
	if r.code != exitOK || !strings.Contains(r.out, "1 message,") {
		t.Errorf("exit code %d, %q", r.code, r.out)
	}
	if d := time.Since(began); d < 700*time.Millisecond {
		t.Errorf("stopped after %v, before the idle timeout", d)
	}
}

func TestConsumeStopsWhenInterrupted(t *testing.T) {
	address, _ := startBroker(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan result, 1)
	go func() { done <- runLine(ctx, "", "consume", "--brokers", address, "--topic", "none") }()
	time.Sleep(300 * time.Millisecond)
	cancel()
	select {
	case r := <-done:
		if r.code == exitUsage || (r.code == exitOK && !strings.Contains(r.out, "0 messages")) {
			t.Errorf("exit code %d, %q, %q", r.code, r.out, r.err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("consume did not stop")
	}
}

func TestConsumeNamesTheAbsentBroker(t *testing.T) {
	r := runLine(t.Context(), "", "consume", "--brokers", "127.0.0.1:1", "--topic", "x", "--wait", "2s")
	if r.code != exitError {
		t.Errorf("exit code %d", r.code)
	}
	for _, want := range []string{"127.0.0.1:1", "connection refused", "edgewire broker"} {
		if !strings.Contains(r.err, want) {
			t.Errorf("the error %q lacks %q", r.err, want)
		}
	}
}

func TestConsumeReportsAnUnwritableFile(t *testing.T) {
	address, _ := startBroker(t)
	send(t, address, "x", text("m")...)
	r := runLine(t.Context(), "", "consume", "--brokers", address, "--topic", "x", "--from-start", "--count", "1", "--out", t.TempDir()+"/no/file")
	if r.code != exitError || !strings.Contains(r.err, "--out") || !strings.Contains(r.err, "no such file") {
		t.Errorf("exit code %d, %q", r.code, r.err)
	}
}

func TestDescribe(t *testing.T) {
	for _, c := range []struct {
		name, value string
		schema      schema
		objects     int
	}{
		{"minimal", minimalMessage, schemaMinimal, 2},
		{"minimal without objects", `{"version":"4.0","id":"1","objects":[]}`, schemaMinimal, 0},
		{"an object string that is cut off", `{"version":"4.0","id":"1","objects":["1|2|3","1|a|2|3|4|x",""]}`, schemaMinimal, 0},
		{"embedding after the attributes", `{"version":"4.0","id":"1","objects":["1|2|3|4|5|Person|#|m|0.25|#|embedding|1,2|"]}`, schemaMinimal, 1},
		{"full", fullMessage, schemaFull, 1},
		{"full without a class", `{"mdsversion":"1.0","object":{"id":"1"},"sensor":null,"place":null,"event":{}}`, schemaFull, 1},
		{"other JSON", `{"a":1}`, schemaOther, 0},
		{"JSON array", `[1]`, schemaOther, 0},
		{"other types", `{"version":4,"objects":{}}`, schemaOther, 0},
		{"empty", ``, schemaOther, 0},
		{"text", `hello`, schemaOther, 0},
	} {
		d := describe([]byte(c.value))
		if d.schema != c.schema || len(d.objects) != c.objects {
			t.Errorf("%s: schema %d with %d objects, want %d with %d", c.name, d.schema, len(d.objects), c.schema, c.objects)
		}
	}
	o := describe([]byte(`{"version":"4.0","id":"1","objects":["1|2|3|4|5|Person|#|m|0.25|#|embedding|1,2|"]}`)).objects[0]
	if !o.hasConfidence || o.confidence != 0.25 || o.box != [4]float64{2, 3, 4, 5} || o.label != "Person" || o.id != "1" {
		t.Errorf("object %+v", o)
	}
}
