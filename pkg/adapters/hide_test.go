// SPDX-License-Identifier: LGPL-2.1-or-later

package adapters

import (
	"strings"
	"testing"
)

func TestHideSecrets(t *testing.T) {
	for in, want := range map[string]string{
		"":                                    "",
		"localhost;9092":                      "localhost;9092",
		"localhost;9092;my-topic":             "localhost;9092;my-topic",
		"a,b,[::1];9092;t":                    "a,b,[::1];9092;t",
		"host;5672;joe;pa55word":              "host;5672;joe;***",
		"host;5672;joe;pa55;word;":            "host;5672;joe;***",
		"amqp://joe:pa55word@host:5672/vhost": "amqp://***@host:5672/vhost",
		"amqp://joe:pa55/word@host/v":         "amqp://***@host/v",
		"amqps://u:pa/t@55word@h/v":           "amqps://***@h/v",
		"host;5672;joe;=pa55word":             "host;5672;joe;***",
		"HostName=h; sharedaccesssignature =pa55word;x=y": "HostName=h; sharedaccesssignature =***;x=y",
		"amqp://joe:pa;55=word@host":                      "amqp://***@host",
		"nats://pa55word@host:4222":                       "nats://***@host:4222",
		"nats://u:pa55word@a:1,nats://u:pa55word@b:2":     "nats://***@a:1,nats://***@b:2",
		"mqtts://host;cameras/1":                          "mqtts://host;cameras/1",
		"mqtt://host;cameras@home":                        "mqtt://host;cameras@home",
		"redis://host/0?password=pa55word&x=1":            "redis://host/0?password=***",
		"HostName=h;DeviceId=d;SharedAccessKey=pa55word=": "HostName=h;DeviceId=d;SharedAccessKey=***",
		"HostName=h;SharedAccessKeyName=device;sharedaccesskey = pa55word;GatewayHostName=g;x509=false":    "HostName=h;SharedAccessKeyName=device;sharedaccesskey =***;GatewayHostName=g;x509=false",
		"host=h;port=1;client-secret=pa55word;ssl.key.location=/etc/key.pem;access_token=pa55word;pwd=p55": "host=h;port=1;client-secret=***;ssl.key.location=/etc/key.pem;access_token=***;pwd=***",
	} {
		got := HideSecrets(in)
		if got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
		if strings.Contains(got, "55word") || HideSecrets(got) != got {
			t.Errorf("%s becomes %s, and that %s", in, got, HideSecrets(got))
		}
	}
}
