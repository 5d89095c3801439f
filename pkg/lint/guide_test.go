// SPDX-License-Identifier: LGPL-2.1-or-later

package lint

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const guide = "../../docs/deepstream.md"

// deepStreamKeys are all keys of the reference that the migration guide must answer for, by the guide's headings.
var deepStreamKeys = map[string][]string{
	"application": {"msg-conv-config", "msg-conv-payload-type", "msg-conv-msg2p-lib", "msg-conv-comp-id", "msg-conv-frame-interval",
		"msg-conv-msg2p-new-api", "msg-conv-dummy-payload", "debug-payload-dir", "multiple-payloads", "msg-broker-proto-lib",
		"msg-broker-conn-str", "msg-broker-config", "msg-broker-comp-id", "topic", "new-api", "sync", "disable-msgconv"},
	"kafka": {"proto-cfg", "producer-proto-cfg", "consumer-proto-cfg", "partition-key", "consumer-group-id", "share-connection"},
	"redis": {"hostname", "port", "password", "streamsize", "payloadkey", "consumergroup", "consumername", "flush-timeout", "sensorid",
		"share-connection"},
	"amqp": {"hostname", "port", "username", "password", "exchange", "topic", "amqp-framesize", "amqp-heartbeat", "share-connection"},
	"mqtt": {"username", "password", "client-id", "loop-timeout", "keep-alive", "enable-tls", "tls-cafile", "tls-capath", "tls-certfile",
		"tls-keyfile", "set-threaded", "share-connection"},
	"azure":       {"connection_str", "custom_msg_properties", "cleanup-timeout", "share-connection"},
	"nvmsgbroker": {"auto-reconnect", "retry-interval", "max-retry-limit", "work-interval"},

	"message-consumer": {"enable", "proto-lib", "conn-str", "config-file", "subscribe-topic-list", "sensor-list-file"},
	"sensor":           {"enable", "id", "type", "description", "location", "coordinate"},
	"place":            {"enable", "id", "type", "name", "location", "coordinate", "place-sub-field1", "place-sub-field2", "place-sub-field3"},
	"analytics":        {"enable", "id", "source", "description", "version"},
	"ds3d::datamap": {"2d_objects_key", "3d_objects_key", "fused_detection_key", "lidar_data_key", "lidar_element_size",
		"lidar_element_max_points"},
}

// tables gives the rows of each table of a Markdown text whose heading is of the third level, and of behaviours.
func tables(text string) map[string][][]string {
	out, heading := map[string][][]string{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name := strings.TrimLeft(line, "#"); name != line && strings.HasPrefix(line, "##") {
			heading = strings.TrimSpace(name)
			continue
		}
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		out[heading] = append(out[heading], cells)
	}
	return out
}

// TestGuideKeyByKey: what docs/deepstream.md says of each key is what edgewire check finds.
func TestGuideKeyByKey(t *testing.T) {
	environment(t)
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if out, err := exec.Command("../../scripts/test-pki", dir).CombinedOutput(); err != nil {
		t.Fatalf("scripts/test-pki: %v\n%s", err, out)
	}
	for name, content := range map[string]string{"msgconv.txt": "[sensor0]\nenable=1\nid=camera\n", "cfg_kafka.txt": "[message-broker]\npartition-key=sensorId\n",
		"sensors.txt": "[sensor0]\nenable=1\nid=door\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found := tables(string(text))
	for heading, keys := range deepStreamKeys {
		rows := map[string][]string{}
		for _, cells := range found[heading] {
			if len(cells) == 4 && strings.HasPrefix(cells[0], "`") {
				rows[strings.Trim(cells[0], "`")] = cells
			}
		}
		for key := range rows {
			if !slices.Contains(keys, key) {
				t.Errorf("%s: the guide has the key %s, which the reference has not", heading, key)
			}
		}
		for _, key := range keys {
			t.Run(heading+"/"+key, func(t *testing.T) {
				cells := rows[key]
				if cells == nil {
					t.Fatalf("the guide does not speak of it")
				}
				value := strings.Trim(cells[1], "`")
				if rest, ok := strings.CutPrefix(value, "@"); ok {
					value = filepath.Join(dir, rest)
				}
				if got := verdictOf(t, dir, heading, key, value); got != cells[2] {
					t.Errorf("the guide says %s, edgewire check says %s", cells[2], got)
				}
			})
		}
	}
}

// verdictOf has a file checked in which the key has this value, beside what must be there with it.
func verdictOf(t *testing.T, dir, heading, key, value string) string {
	t.Helper()
	group, beside := "message-broker", map[string]string{}
	name := "cfg_" + heading + ".txt"
	switch heading {
	case "application":
		group, name = "sink1", "app.txt"
		beside = map[string]string{"enable": "1", "type": "6", "msg-broker-proto-lib": "kafka", "msg-broker-conn-str": "localhost;9092", "topic": "events"}
	case "nvmsgbroker":
		group = "nvmsgbroker"
	case "message-consumer":
		group, name = "message-consumer0", "app.txt"
		beside = map[string]string{"enable": "1", "proto-lib": "kafka", "conn-str": "localhost;9092", "subscribe-topic-list": "commands"}
	case "sensor", "place", "analytics":
		group = heading + "0"
		beside["enable"] = "1"
	case "ds3d::datamap":
		group, name = heading, "datamap.yml"
	case "azure":
		beside["connection_str"] = examples["azure"]
	case "redis", "amqp":
		beside["hostname"] = "localhost"
	case "mqtt":
		if strings.HasPrefix(key, "tls-") {
			beside["enable-tls"] = "1"
		}
		switch key {
		case "enable-tls":
			beside["tls-cafile"] = filepath.Join(dir, "ca.pem")
		case "tls-certfile":
			beside["tls-keyfile"] = filepath.Join(dir, "client-key.pem")
		case "tls-keyfile":
			beside["tls-certfile"] = filepath.Join(dir, "client.pem")
		case "password":
			beside["username"] = "user"
		}
	}
	beside[key] = value
	lines := []string{"[" + group + "]"}
	for k, v := range beside {
		lines = append(lines, k+"="+v)
	}
	slices.Sort(lines[1:])
	if strings.HasSuffix(name, ".yml") {
		lines = []string{group + ":", "  " + key + ": " + value}
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	protocol := heading
	if examples[heading] == "" {
		protocol = ""
	}
	l := &Linter{Protocol: protocol}
	l.File(path)
	for _, f := range l.Findings() {
		if f.Key == key && f.Group == group {
			t.Log(f)
			return string(f.Verdict)
		}
	}
	for _, f := range l.Findings() {
		t.Log(f)
	}
	return "nothing"
}

// TestGuideBehaviours: the tests that the guide names are there.
func TestGuideBehaviours(t *testing.T) {
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	rows := tables(string(text))["Behaviour by behaviour"]
	named := regexp.MustCompile("^`([a-z_/.0-9]+)`(?:: `([A-Za-z_0-9-]+)`)$")
	count := 0
	for _, cells := range rows {
		if len(cells) != 4 {
			t.Errorf("%v has not four cells", cells)
			continue
		}
		if cells[3] == "test" {
			continue
		}
		m := named.FindStringSubmatch(cells[3])
		if m == nil {
			t.Errorf("%s: %q names no test", cells[0], cells[3])
			continue
		}
		count++
		source, err := os.ReadFile("../../" + m[1])
		if err != nil {
			t.Errorf("%s: %v", cells[0], err)
			continue
		}
		if !regexp.MustCompile(`(?m)(^func |def |")` + regexp.QuoteMeta(m[2]) + `(\(|")`).Match(source) {
			t.Errorf("%s: %s has no test %s", cells[0], m[1], m[2])
		}
	}
	if count < 15 {
		t.Errorf("only %d behaviours", count)
	}
}
