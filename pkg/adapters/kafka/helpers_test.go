// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

func openConn(t testing.TB, connStr, config string, sink adapters.Sink) *conn {
	t.Helper()
	c, err := adapter{}.Open(adapters.Config{ConnStr: connStr, ConfigPath: config, Strict: true}, sink)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*conn)
}

// batchOf makes count messages of size bytes, numbered from seq on.
func batchOf(seq uint64, topic string, count, size int) *adapters.Batch {
	var b adapters.Batch
	payload := bytes.Repeat([]byte("x"), size)
	for i := range count {
		b.Append(seq+uint64(i), 0, topic, nil, payload)
	}
	return &b
}

func logged(r *adaptertest.Recorder, text string) bool {
	for _, l := range r.Logs() {
		if strings.Contains(l.Text, text) {
			return true
		}
	}
	return false
}
