// SPDX-License-Identifier: LGPL-2.1-or-later

package adapters

import (
	"strings"
	"testing"
)

func TestShowConnStr(t *testing.T) {
	for in, want := range map[string]string{
		"":                                      "",
		"localhost;9092":                        "localhost;9092",
		"a,b:1,[::1];9092;a.topic":              "a,b:1,[::1];9092;a.topic",
		"/var/tmp/messages.ndjson":              "/var/tmp/messages.ndjson",
		"h;5672;user":                           "h;5672;user",
		"h;5672;user;hunter2":                   "h;5672;user;***",
		"h;5672;user;hun;ter2":                  "h;5672;user;***;***",
		"h;5672;user;":                          "h;5672;user;",
		"h;5672;user;=hunter2":                  "h;5672;user;***",
		"amqp://u:hunter2@h:5672/v":             "amqp://u:***@h:5672/v",
		"amqps://u:hun/t@er2@h/v":               "amqps://u:***@h/v",
		"nats://hunter2@h":                      "nats://***@h",
		"nats://u:hunter2@a,nats://u:hunter2@b": "nats://u:***@b",
		"mqtts://h:8883/;a/topic":               "mqtts://h:8883/;a/topic",
		"wss://h/path;t;hunter2@x":              "wss://***@x",
		"HostName=h;DeviceId=d;ModuleId=m;SharedAccessKeyName=owner;SharedAccessKey=aHVudGVyMg==": "HostName=h;DeviceId=d;ModuleId=m;SharedAccessKeyName=owner;SharedAccessKey=***",
		"SharedAccessKey=hunter2;HostName=h;DeviceId=d;GatewayHostName=g;x509=true":               "SharedAccessKey=***;HostName=h;DeviceId=d;GatewayHostName=g;x509=true",
		"HostName=h; sharedaccesssignature =hunter2;DeviceId=d":                                   "HostName=h; sharedaccesssignature =***;DeviceId=d",
		"broker=h;user=u;Password=hunter2":                                                        "broker=h;user=u;Password=***",
	} {
		if got := ShowConnStr(in); got != want || strings.Contains(got, "hunter2") {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
