// SPDX-License-Identifier: LGPL-2.1-or-later

package adapters_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

type named struct{ *adaptertest.Fake }

func (named) Name() string { return "kafka" }

func init() { adapters.Register(named{&adaptertest.Fake{}}) }

func TestResolveProtoLib(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a name was registered twice")
		}
	}()
	for in, substituted := range map[string]bool{
		"kafka": false,
		"/opt/nvidia/deepstream/deepstream/lib/libnvds_kafka_proto.so": true,
		"libnvds_kafka_proto.so.1.2":                                   true,
		"./libnvds_kafka_proto.so":                                     true,
	} {
		if name, sub, err := adapters.ResolveProtoLib(in); name != "kafka" || sub != substituted || err != nil {
			t.Errorf("%s: %s, %v, %v", in, name, sub, err)
		}
	}
	for in, want := range map[string]string{
		"":                            "proto-lib is empty",
		"kafak":                       "did you mean kafka?",
		"pigeon":                      "is not a known protocol; known are kafka",
		"file:/x/libmine.so":          "this program cannot load protocol libraries",
		"/x/libmine.so":               "this program cannot load protocol libraries",
		"/x/libnvds_redis_proto.so":   "the protocol redis is not built in (known are kafka); write file:/x/libnvds_redis_proto.so",
		"/x/libnvds_kafka_proto.so.x": "this program cannot load protocol libraries",
	} {
		if _, _, err := adapters.ResolveProtoLib(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
	adapters.Register(named{&adaptertest.Fake{}})
}

func TestBatch(t *testing.T) {
	var b adapters.Batch
	b.Append(7, 1, "same", []byte("k"), []byte("one"))
	b.Append(8, 2, "same", nil, nil)
	b.Append(9, 3, "other", []byte{}, []byte{0})
	if b.Len() != 3 || string(b.Data) != "samekoneother\x00" {
		t.Errorf("%d records, data %q", b.Len(), b.Data)
	}
	m := b.At(0)
	if m.Seq != 7 || m.TimestampMS != 1 || string(m.Topic) != "same" || string(m.Key) != "k" || string(m.Payload) != "one" {
		t.Errorf("%+v", m)
	}
	if m = b.At(1); string(m.Topic) != "same" || m.Key != nil || len(m.Payload) != 0 {
		t.Errorf("%+v", m)
	}
	if m = b.At(2); string(m.Topic) != "other" || m.Key != nil || string(m.Payload) != "\x00" {
		t.Errorf("%+v", m)
	}
	b.Reset()
	if b.Len() != 0 || len(b.Data) != 0 {
		t.Error("not empty")
	}
}

func TestDeliveryError(t *testing.T) {
	e := &adapters.DeliveryError{Kind: adapters.ErrTooLarge, Topic: "t", Host: "h:1", Cause: "too big", Remedy: "send less"}
	if e.Error() != "topic t on h:1: too big; send less" || !errors.Is(e, adapters.ErrTooLarge) {
		t.Error(e)
	}
}
