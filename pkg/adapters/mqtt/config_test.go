// SPDX-License-Identifier: LGPL-2.1-or-later

package mqtt

import (
	"strings"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

func TestPage(t *testing.T)          { adaptertest.CheckPage(t, "mqtt.cfg", keys) }
func TestConfiguration(t *testing.T) { adaptertest.CheckMistakes(t, adapter{}, goodConnStr, mistakes) }

const goodConnStr = "127.0.0.1;1"

var mistakes = map[string]string{
	"qos=3":                          "qos",
	"clean-start=0":                  "set client-id",
	"protocol-version=3":             "write 5, 3.1.1 or auto",
	"pasword=hush":                   "did you mean password?",
	"will-payload=x":                 "set will-topic",
	"will-topic=a/#":                 "which are for subscribing alone",
	"topic=a/+":                      "which are for subscribing alone",
	"response-topic=#":               "which are for subscribing alone",
	"user-properties=hush":           "write name=value;name=value",
	"consumer-group=a/b":             "holds one of",
	"keep-alive=70000":               "keep-alive",
	"enable-tls=maybe":               "enable-tls",
	"tls-cafile=/nonexistent/ca":     "/nonexistent/ca",
	"tls-capath=/nonexistent":        "/nonexistent",
	"password-file=/nonexistent/pw":  "/nonexistent/pw",
	"tls-certfile=/nonexistent/cert": "/nonexistent/cert",
	"max-inflight=0":                 "max-inflight",
	"retain=often":                   "retain",
	"layout=fields":                  "layout",
}

// TestConnStr: the forms of a connection string, and what they have in common.
func TestConnStr(t *testing.T) {
	for in, want := range map[string]string{
		"h;1883":                 "h;1883|h:1883|",
		" h ; 1883 ; a/b ":       "h;1883|h:1883|a/b",
		"[::1];1883;":            "::1;1883|[::1]:1883|",
		"mqtt://h":               "h;1883|h:1883|",
		"tcp://h:99;t":           "h;99|h:99|t",
		"mqtts://h;t":            "mqtts://h:8883|h:8883|t",
		"WSS://h/path/x;t":       "wss://h:443/path/x|h:443|t",
		"ws://[::1]:8080":        "ws://[::1]:8080/mqtt|[::1]:8080|",
		"fe80::1%eth0;1883;a b;": "",
		"h;1883;user;hush":       "",
		"mqtt://u:hush@h":        "",
		"mqtt://h?x=hush":        "",
		"h;0":                    "",
		"h;+1":                   "",
	} {
		cs, err := parseConnStr(in)
		got := ""
		if err == nil {
			servers, topic, _ := adapter{}.SplitConnStr(in)
			got = servers + "|" + cs.address() + "|" + topic
		}
		if got != want || (err != nil && strings.Contains(err.Error(), "hush")) {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
}

// TestDeepStreamFile: a file made for DeepStream works unchanged.
func TestDeepStreamFile(t *testing.T) {
	o, err := build(adapters.Config{ConnStr: goodConnStr, Strict: true, ConfigPath: adaptertest.WriteFile(t, "ds.cfg", "[message-broker]\nusername = user\npassword = password\n"+
		"client-id = uniqueID\nloop-timeout = 2000\nkeep-alive = 60\nenable-tls = 0\ntls-cafile = /x/ca.crt\ntls-capath = /x\ntls-certfile = /x/c.crt\ntls-keyfile = /x/c.key\n"+
		"set-threaded = 1\nshare-connection = 1\n")}, func(adapters.LogEntry) {})
	if err != nil || o.ClientID != "uniqueID" || o.KeepAlive.Seconds() != 60 || o.QoS != 1 {
		t.Errorf("%+v, %v", o, err)
	}
}
