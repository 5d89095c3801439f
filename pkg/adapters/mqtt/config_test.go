// SPDX-License-Identifier: LGPL-2.1-or-later

package mqtt

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
	sample, err := os.ReadFile("mqtt.cfg")
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
		c, err := adapter{}.Open(adapters.Config{ConnStr: goodConnStr, ConfigPath: path, Strict: true}, adaptertest.NewRecorder())
		if err == nil {
			_ = c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v, want %q", conf, err, want)
		}
	}
}

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
	o, err := build(adapters.Config{ConnStr: goodConnStr, Strict: true, ConfigPath: writeFile(t, "ds.cfg", "[message-broker]\nusername = user\npassword = password\n"+
		"client-id = uniqueID\nloop-timeout = 2000\nkeep-alive = 60\nenable-tls = 0\ntls-cafile = /x/ca.crt\ntls-capath = /x\ntls-certfile = /x/c.crt\ntls-keyfile = /x/c.key\n"+
		"set-threaded = 1\nshare-connection = 1\n")}, func(adapters.LogEntry) {})
	if err != nil || o.ClientID != "uniqueID" || o.KeepAlive.Seconds() != 60 || o.QoS != 1 {
		t.Errorf("%+v, %v", o, err)
	}
}
