// SPDX-License-Identifier: LGPL-2.1-or-later

package azure

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

// TestPage: the page of the adapter has every key, and no other one; the sample has keys that are known, those
// that are commented out included.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	section := strings.Split(strings.Split(string(page), "## Configuration")[1], "\n## ")[0]
	var table []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\|").FindAllStringSubmatch(section, -1) {
		for _, name := range regexp.MustCompile("`([a-z0-9_-]+)`").FindAllStringSubmatch(row[1], -1) {
			table = append(table, name[1])
		}
	}
	for _, k := range keys {
		if !slices.Contains(table, k.Name) {
			t.Errorf("README.md has no row for %s", k.Name)
		}
	}
	for _, name := range table {
		if name != "share-connection" && !slices.ContainsFunc(keys, func(k settings.Key) bool { return k.Name == name }) {
			t.Errorf("README.md has a row for %s, which is no key", name)
		}
	}
	sample, err := os.ReadFile("azure.cfg")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile("(?m)^#([a-z_-]+ = )").ReplaceAllString(string(sample), "$1")
	for _, text := range []string{string(sample), all} {
		if _, err := settings.Load(writeFile(t, "sample.cfg", text), keys, true, nil); err != nil {
			t.Error(err)
		}
	}
}

// TestConfiguration: mistakes are named with file, line and what to do, and never with a secret.
func TestConfiguration(t *testing.T) {
	for conf, want := range mistakes {
		path := writeFile(t, "bad.cfg", "[message-broker]\n"+conf+"\n")
		c, err := adapter{"azure"}.Open(adapters.Config{ConnStr: goodConnStr, ConfigPath: path, Strict: true}, adaptertest.NewRecorder())
		if err == nil {
			_ = c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v, want %q", conf, err, want)
		}
	}
}

const goodConnStr = "HostName=h.example;DeviceId=d;SharedAccessKey=" + testKey

var mistakes = map[string]string{
	"qos=2":                              "qos",
	"keep-alive=0":                       "keep-alive",
	"tls=false":                          "IoT Hub speaks TLS alone",
	"sas-ttl=1":                          "sas-ttl",
	"custom_msg_properties=hush":         "write name=value;name=value",
	"custom_msg_property=a=b":            "did you mean custom_msg_properties?",
	"port=99999":                         "port",
	"tls-ca-file=/nonexistent/ca":        "/nonexistent/ca",
	"tls-key-file=/nonexistent/k":        "tls-cert-file",
	"websocket=perhaps":                  "websocket",
	"max-inflight=0":                     "max-inflight",
	"connection_str=x\nconection_str=hu": "did you mean connection_str?",
}

// TestConnectionStringInAFile: no secret in the launch line.
func TestConnectionStringInAFile(t *testing.T) {
	h := newHub(t, "tcp")
	r := adaptertest.NewRecorder()
	c := h.open(t, "azure", "", "connection_str-file="+writeFile(t, "cs", connStr("cam7", "")+"\n")+"\n", r)
	adaptertest.Send(t, c, batchOf(1, 5, 10))
	adaptertest.Wait(t, "all acknowledgements", func() bool { n, failed := r.Results(); return n == 5 && failed == 0 })
	if _, err := (adapter{"azure"}).Open(adapters.Config{}, r); err == nil || !strings.Contains(err.Error(), "write HostName=") {
		t.Error(err)
	}
	if _, err := (adapter{"azure_edge"}).Open(adapters.Config{ConnStr: connStr("cam7", "")}, r); err == nil || !strings.Contains(err.Error(), "ModuleId is missing") {
		t.Error(err)
	}
}

// TestTopicIsNotNeeded: a device has none (DeepStream's adaptor ignores it), a module's is an output, and who receives
// names what to receive.
func TestTopicIsNotNeeded(t *testing.T) {
	module := goodConnStr + ";ModuleId=m"
	for _, c := range []struct {
		name string
		cfg  adapters.Config
		want string
	}{
		{"azure", adapters.Config{ConnStr: goodConnStr}, "events"}, {"azure", adapters.Config{ConnStr: goodConnStr, ReceiveOnly: true}, ""},
		{"azure", adapters.Config{ConnStr: module}, ""}, {"azure_edge", adapters.Config{ConnStr: module}, ""},
	} {
		if info, err := (adapter{c.name}).Check(c.cfg, nil); err != nil || info.Topic != c.want {
			t.Errorf("%s %+v: %q, %v", c.name, c.cfg, info.Topic, err)
		}
	}
}
