// SPDX-License-Identifier: LGPL-2.1-or-later

package adapters_test

import (
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

func TestHeaders(t *testing.T) {
	h := adapters.Headers(nil).AppendString("a", "1").Append("", nil).AppendString("a", "2")
	var got []string
	h.Each(func(n, v []byte) bool { got = append(got, string(n)+"="+string(v)); return true })
	if len(got) != 3 || got[0] != "a=1" || got[1] != "=" || got[2] != "a=2" || h.Len() != 3 || h.Check() != nil {
		t.Errorf("%q, %d, %v", got, h.Len(), h.Check())
	}
	if v, ok := h.Get("a"); !ok || string(v) != "1" {
		t.Errorf("a is %q, %v", v, ok)
	}
	if _, ok := h.Get("b"); ok {
		t.Error("b is there")
	}
	for n := range h {
		cut := h[:n]
		if whole := n == 0 || n == 8 || n == 14; (cut.Check() == nil) != whole {
			t.Errorf("cut to %d bytes: %v", n, cut.Check())
		}
		cut.Len() // does not run over
	}
	var b adapters.Batch
	b.Add(adapters.Message{Topic: []byte("t"), Payload: []byte("p"), Headers: h})
	b.Add(adapters.Message{Topic: []byte("t"), Payload: []byte("q")})
	if m := b.At(0); string(m.Headers) != string(h) || string(m.Payload) != "p" {
		t.Errorf("%+v", m)
	}
	if m := b.At(1); m.Headers != nil || string(m.Payload) != "q" {
		t.Errorf("%+v", m)
	}
}
