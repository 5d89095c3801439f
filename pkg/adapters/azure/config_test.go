// SPDX-License-Identifier: LGPL-2.1-or-later

package azure

import (
	"strings"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

func TestPage(t *testing.T) { adaptertest.CheckPage(t, "azure.cfg", keys) }
func TestConfiguration(t *testing.T) {
	adaptertest.CheckMistakes(t, adapter{"azure"}, goodConnStr, mistakes)
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
	c := h.open(t, "azure", "", "connection_str-file="+adaptertest.WriteFile(t, "cs", connStr("cam7", "")+"\n")+"\n", r)
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
