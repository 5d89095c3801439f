// SPDX-License-Identifier: LGPL-2.1-or-later

package c2d

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTheReferencesRecordingCommands(t *testing.T) {
	now := time.Date(2020, 5, 18, 20, 2, 10, 0, time.UTC)
	for _, c := range []struct {
		name, json     string
		command        string
		back, duration time.Duration
	}{
		{"as documented", `{"command":"start-recording","start":"2020-05-18T20:02:00.051Z","end":"2020-05-18T20:02:02.851Z","sensor":{"id":" CAMERA_ID "}}`,
			StartRecording, 9949 * time.Millisecond, 2800 * time.Millisecond},
		{"no command means start", `{"start":"2020-05-18T20:02:00.000Z","sensor":{"id":"CAMERA_ID"}}`, StartRecording, 10 * time.Second, 0},
		{"a zone", `{"command":"start-recording","start":"2020-05-18T22:02:00+02:00","sensor":{"id":"CAMERA_ID"}}`, StartRecording, 10 * time.Second, 0},
		{"small letters", `{"command":"start-recording","start":"2020-05-18t20:02:00z","sensor":"CAMERA_ID"}`, StartRecording, 10 * time.Second, 0},
		{"the future is now", `{"command":"start-recording","start":"2020-05-18T20:02:20Z","sensor":{"id":"CAMERA_ID"}}`, StartRecording, 0, 0},
		{"stop", `{"command":"stop-recording","sensor":{"id":"CAMERA_ID"}}`, StopRecording, 0, 0},
		{"an empty end", `{"command":"start-recording","start":"2020-05-18T20:02:10Z","end":"","sensor":{"id":"CAMERA_ID"}}`, StartRecording, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseCommand([]byte(c.json))
			if err != nil {
				t.Fatal(err)
			}
			if got.Name != c.command || got.Sensor != "CAMERA_ID" || got.Recording == nil {
				t.Fatalf("%+v", got)
			}
			if c.command == StartRecording && (got.Recording.Back(now) != c.back || got.Recording.Duration() != c.duration) {
				t.Errorf("%v back for %v", got.Recording.Back(now), got.Recording.Duration())
			}
		})
	}
}

// A time is what it says wherever the device stands: the reference goes through the local zone.
func TestTimesDoNotDependOnTheLocalZone(t *testing.T) {
	saved := time.Local
	defer func() { time.Local = saved }()
	time.Local = time.FixedZone("far", -9*3600)
	c, err := ParseCommand([]byte(`{"start":"2026-10-25T02:30:00.000Z","sensor":{"id":"c"}}`))
	if err != nil || c.Recording.Start.UnixMilli() != 1792895400000 {
		t.Fatalf("%v %v", c.Recording, err)
	}
}

func TestGenericCommand(t *testing.T) {
	c, err := ParseCommand([]byte(`{"command":"model-update","sensor":"cam-1","arguments":{"url":"https://a/b","n":[1,2.5],"deep":{"x":null}},"reply-to":"replies","id":42,"@timestamp":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	args, _ := json.Marshal(c.Arguments)
	if c.Name != "model-update" || c.ReplyTo != "replies" || c.ID != "42" || c.Recording != nil || fmt.Sprint(c.Ignored) != "[@timestamp]" ||
		string(args) != `{"url":"https://a/b","n":[1,2.5],"deep":{"x":null}}` {
		t.Fatalf("%+v %s", c, args)
	}
	r := c.Reply(Done, "")
	r.Time = time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.FixedZone("x", 3600))
	if got := string(r.JSON()); got != `{"command":"model-update","id":"42","sensor":"cam-1","status":"ok","time":"2026-01-02T02:04:05.678Z"}` {
		t.Error(got)
	}
	r.Result = &Object{Members: []Member{{"x", json.Number("no number")}}}
	if got := string(r.JSON()); !strings.Contains(got, `"status":"ok"`) {
		t.Error(got)
	}
}

func TestMalformedCommandsAreRefusedWithAReason(t *testing.T) {
	long := strings.Repeat("x", MaxText+1)
	for in, want := range map[string]string{
		``:                                 "ends too early",
		`null`:                             "not a JSON object",
		`[1]`:                              "not a JSON object",
		`{"command":`:                      "ends too early",
		`{"command":"x"}}`:                 "follows",
		`{"command":"x"} {}`:               "follows",
		`{"command":"x","command":"y"}`:    "twice",
		"{\"command\":\"\xff\"}":           "UTF-8",
		`{}`:                               `"command" is missing`,
		`{"command":7}`:                    "not a text",
		`{"command":""}`:                   "empty",
		`{"command":"` + long + `"}`:       "longer",
		`{"command":"a\u0007b"}`:           "control",
		`{"comand":"x"}`:                   `did you mean "command"`,
		`{"command":"x","sensor":{}}`:      `no "id"`,
		`{"command":"x","sensor":[1]}`:     "neither",
		`{"command":"x","arguments":[]}`:   "not an object",
		`{"command":"x","id":{}}`:          "neither a text nor a number",
		`{"command":"x","reply-to":"a b"}`: "blank",
		`{"command":"start-recording","sensor":{"id":"c"}}`:                                                           `"start" is missing`,
		`{"command":"start-recording","start":"2020-05-18T20:02:00Z"}`:                                                `"sensor" is missing`,
		`{"command":"start-recording","start":"2020-05-18T20:02:00","sensor":"c"}`:                                    "no time",
		`{"command":"start-recording","start":"2020-05-18T20:02:00,5Z","sensor":"c"}`:                                 "no time",
		`{"command":"start-recording","start":"yesterday","sensor":"c"}`:                                              "no time",
		`{"command":"start-recording","start":"2020-02-30T20:02:00Z","sensor":"c"}`:                                   "no time",
		`{"command":"start-recording","start":"2020-05-18T20:02:00Z","end":"2020-05-18T20:02:00Z","sensor":"c"}`:      "not after",
		`{"command":"start-recording","start":"2020-05-18T20:02:00Z","ends":"x","sensor":"c"}`:                        `did you mean "end"`,
		`{"command":"stop-recording","sensor":"c","session":-1}`:                                                      "whole number",
		`{"command":"stop-recording","sensor":"c","session":1.5}`:                                                     "whole number",
		`{"command":"stop-recording","sensor":"c","session":"1"}`:                                                     "not a number",
		`{"command":"x","arguments":` + strings.Repeat(`{"a":`, MaxDepth) + "1" + strings.Repeat("}", MaxDepth) + "}": "nested deeper",
		`{"command":"x","arguments":{"a":[` + strings.Repeat("1,", MaxValues) + `1]}}`:                                "more than 4096 values",
		`{"command":"x"` + strings.Repeat(" ", MaxSize) + `}`:                                                         "bytes",
	} {
		c, err := ParseCommand([]byte(in))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", in, err, want)
		}
		if c == nil {
			t.Errorf("%.60s: no command to answer", in)
		}
	}
}

func TestTheReasonFindsItsWayBack(t *testing.T) {
	c, err := ParseCommand([]byte(`{"command":7,"reply-to":"replies","id":"a"}`))
	if err == nil || c.ReplyTo != "replies" || c.ID != "a" {
		t.Fatalf("%+v %v", c, err)
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadConsumers(t *testing.T) {
	path := write(t, "app.txt", `[application]
perf=1
[message-consumer1]
enable=1
proto-lib=redis
conn-str=localhost;6379
subscribe-topic-list=a;b;a;
config-file=/etc/redis.txt
[message-consumer0]
enable=1
proto-lib=/opt/nvidia/libnvds_kafka_proto.so
conn-str=host;9092
config-file=kafka.txt
subscribe-topic-list=commands
sensor-list-file=sensors.txt
[message-consumer7]
enable=0
`)
	dir := filepath.Dir(path)
	if err := os.WriteFile(filepath.Join(dir, "sensors.txt"), []byte("[sensor2]\nenable=1\nid=cam-2\n[sensor0]\nenable=1\nid=cam-0\nelement=door\n[sensor1]\nenable=0\nid=off\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, warnings, err := LoadConsumers(path)
	if err != nil || len(warnings) != 0 || len(list) != 2 {
		t.Fatal(list, warnings, err)
	}
	if c := list[0]; c.Number != 0 || c.ProtoLib != "/opt/nvidia/libnvds_kafka_proto.so" || c.ConfigFile != filepath.Join(dir, "kafka.txt") || fmt.Sprint(c.Topics) != "[commands]" {
		t.Errorf("%+v", c)
	}
	if c := list[1]; c.Number != 1 || c.ConfigFile != "/etc/redis.txt" || fmt.Sprint(c.Topics) != "[a b]" || c.Sensors != nil {
		t.Errorf("%+v", c)
	}
	if s, ok := list[0].Sensors.Find("cam-0"); !ok || s.Element != "door" || s.Number != 0 {
		t.Errorf("%+v", s)
	}
	if _, ok := list[0].Sensors.Find("off"); ok {
		t.Error("a sensor that is off was found")
	}
	if _, ok := list[1].Sensors.Find("cam-0"); ok {
		t.Error("found in no list")
	}
}

func TestConsumerErrorsNameTheLine(t *testing.T) {
	const good = "[message-consumer0]\nenable=1\nproto-lib=kafka\nconn-str=h;1\nsubscribe-topic-list=t\n"
	for text, want := range map[string]string{
		"[x]\na=1\n": "no [message-consumerN] group",
		strings.Replace(good, "consumer0", "consumer", 1):   ":1: [message-consumer] the group has no number",
		strings.Replace(good, "consumer0", "consumer-1", 1): ":1: [message-consumer-1]",
		strings.Replace(good, "proto-lib", "proto_lib", 1):  ":3: [message-consumer0] proto_lib: unknown key; did you mean proto-lib?",
		strings.Replace(good, "enable=1", "enable=yes", 1):  ":2: [message-consumer0] enable: is not a boolean",
		strings.Replace(good, "conn-str=h;1\n", "", 1):      ":1: [message-consumer0] conn-str is not set",
		strings.Replace(good, "list=t", "list=;", 1):        ":1: [message-consumer0] subscribe-topic-list names no topic",
		good + "sensor-list-file=/nowhere/x\n":              "/nowhere/x: cannot open",
		good + "[message-consumer00]\nenable=1\n":           ":6: [message-consumer00] message-consumer0 stands in line 1 already",
	} {
		_, _, err := LoadConsumers(write(t, "app.txt", text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"[sensor0]\nenable=1\n":                                  ":1: [sensor0] id is not set",
		"[sensor0]\nenable=1\nid=a\n[sensor1]\nenable=1\nid=a\n": ":6: [sensor1] id: [sensor0] has the same id",
		"[sensor99999]\nenable=1\nid=a\n":                        ":1: [sensor99999]",
		"[sensor0]\nenable=0\nid=a\n":                            "no [sensorN] group that is on",
		"[sensor0]\nenable=1\nid=a\nelment=x\n":                  "did you mean element?",
	} {
		_, _, err := LoadSensors(write(t, "sensors.txt", text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestAllow(t *testing.T) {
	a, err := ParseAllow(" osd.display-text, my.bin.level ,")
	if err != nil || !a.Has("osd", "display-text") || !a.Has("my.bin", "level") || a.Has("osd", "display") || a.Has("my", "bin.level") ||
		a.String() != "osd.display-text,my.bin.level" || a.Empty() {
		t.Fatalf("%q %v", a, err)
	}
	if a, err := ParseAllow(""); err != nil || !a.Empty() || a.Has("", "") {
		t.Fatal(a, err)
	}
	for in, want := range map[string]string{"x": "not ELEMENT.PROPERTY", ".x": "not ELEMENT", "x.": "not ELEMENT", "*.x": "wildcards", "x.a b": "no name", "x.y,x.y": "twice",
		strings.Repeat("x.y,", 0) + many(): "more than"} {
		if _, err := ParseAllow(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v", in, err)
		}
	}
}

func many() string {
	var b strings.Builder
	for i := range MaxAllowed + 1 {
		fmt.Fprintf(&b, "e%d.p,", i)
	}
	return b.String()
}

func TestSetting(t *testing.T) {
	for in, want := range map[string]string{
		`{"element":"a","property":"b","value":3}`:    "",
		`{"element":"a","property":"b","value":"x"}`:  "",
		`{"element":"a","property":"b","value":true}`: "",
		`{"element":"a","property":"b"}`:              `no "value"`,
		`{"element":"a","value":1}`:                   "must name",
		`{"element":1,"property":"b","value":1}`:      "not a text",
		`{"element":"a","property":"b","value":null}`: "not a text, a number",
		`{"element":"a","property":"b","value":[1]}`:  "not a text, a number",
	} {
		c, err := ParseCommand([]byte(`{"command":"set-property","arguments":` + in + `}`))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Setting()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", in, err)
		}
	}
	if _, err := (&Command{}).Setting(); err == nil {
		t.Error("no arguments")
	}
}

func FuzzCommand(f *testing.F) {
	f.Add([]byte(`{"command":"start-recording","start":"2020-05-18T20:02:00.051Z","end":"2020-05-18T20:02:02.851Z","sensor":{"id":"c"}}`))
	f.Add([]byte(`{"command":"set-property","sensor":"c","arguments":{"element":"a","property":"b","value":[1,{"x":null}]},"reply-to":"r","id":42}`))
	f.Add([]byte("{\"a\":\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCommand(data)
		if c == nil {
			t.Fatal("no command")
		}
		if len(c.Name) > MaxText || len(c.Sensor) > MaxText || len(c.ReplyTo) > MaxText || len(c.ID) > MaxText {
			t.Fatalf("too long: %+v", c)
		}
		if err == nil && c.Name == "" {
			t.Fatal("accepted without a name")
		}
		if r := c.Recording; err == nil && r != nil && (r.Duration() < 0 || c.Sensor == "") {
			t.Fatalf("%+v", r)
		}
		_, _ = c.Setting()
		reply := c.Reply(Refused, "why")
		reply.Result = c.Arguments
		if !json.Valid(reply.JSON()) {
			t.Fatalf("the reply is no JSON: %s", reply.JSON())
		}
	})
}

func FuzzConsumers(f *testing.F) {
	f.Add("[message-consumer0]\nenable=1\nproto-lib=kafka\nconn-str=h;1\nsubscribe-topic-list=t\n")
	f.Add("[sensor0]\nenable=1\nid=a\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "x.txt")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		list, _, err := LoadConsumers(path)
		for _, c := range list {
			if err != nil || c.ProtoLib == "" || c.ConnStr == "" || len(c.Topics) == 0 {
				t.Fatalf("%+v %v", c, err)
			}
		}
		_, _, _ = LoadSensors(path)
	})
}

// TestReplyIsNoCommand: whoever names a topic of commands for the reply makes nobody do the command again.
func TestReplyIsNoCommand(t *testing.T) {
	c, err := ParseCommand([]byte(`{"command": "restart", "id": 7, "sensor": "cam-1", "reply-to": "commands"}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Status{Done, Started, Refused, Failed} {
		if _, err := ParseCommand(c.Reply(s, "").JSON()); err == nil || !strings.Contains(err.Error(), "a reply") {
			t.Errorf("%s: %v", s, err)
		}
	}
	if _, err := ParseCommand([]byte(`{"command": "tell", "status": "x"}`)); err != nil {
		t.Error(err)
	}
}
