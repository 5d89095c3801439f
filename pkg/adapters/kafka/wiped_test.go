// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
)

// TestRealWiped: a server that comes back without its data, on the same port, gets what it had not
// acknowledged. librdkafka by itself waits for ever: to it, the new server's metadata is old.
func TestRealWiped(t *testing.T) {
	if external() == "" {
		t.Skip("EDGEWIRE_KAFKA is not set: a server that loses its data is NOT tested")
	}
	before := stuckAfter
	stuckAfter = 2 * time.Second // and 8 of the configuration
	t.Cleanup(func() { stuckAfter = before })
	dir := filepath.Join(t.TempDir(), "kafka")
	script := func(args ...string) string {
		ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, "../../../scripts/kafka", args...).Output()
		if err != nil {
			t.Fatalf("scripts/kafka %v: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	t.Cleanup(func() { script("stop", dir) })
	addr := strings.TrimPrefix(script("start", dir), "bootstrap=")
	connStr := strings.Replace(addr, ":", ";", 1)
	config := writeFile(t, "wiped.cfg", "[message-broker]\nproto-cfg = \"topic.metadata.propagation.max.ms=8000\"\n")
	c := connect(t, nil, broker.Options{ConnStr: connStr, ConfigPath: config, Topic: "wiped", OnState: func(change broker.StateChange) {
		t.Log(time.Now().Format("05.000 "), change.New, change.Reason)
	}})
	publish := func(from, to int) {
		for i := from; i < to; i++ {
			if err := c.Publish(broker.Message{Payload: fmt.Append(nil, i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish(0, 50)
	adaptertest.Wait(t, "50 answers", func() bool { return c.Stats().Acknowledged == 50 })
	script("stop", dir, "--keep") // a restart raises the leader epoch, which the new server's is below
	script("start", dir)
	publish(50, 60)
	adaptertest.Wait(t, "60 answers", func() bool { return c.Stats().Acknowledged == 60 })
	script("stop", dir)
	publish(60, 100)
	_, port, _ := strings.Cut(addr, ":")
	script("start", dir, "--port", port)
	t.Log(time.Now().Format("05.000 "), "the server is back")
	adaptertest.Wait(t, "100 answers", func() bool { st := c.Stats(); return st.Acknowledged+st.Failed == 100 })
	if st := c.Stats(); st.Failed != 0 {
		t.Fatalf("%d messages were refused: %s", st.Failed, st.LastError)
	}
	got := consume(t, addr, "wiped", 40)
	for i, m := range got {
		if string(m.Payload) != fmt.Sprint(60+i) {
			t.Fatalf("message %d is %s", i, m.Payload)
		}
	}
	if st := c.Stats(); len(got) != 40 || st.Failed != 0 {
		t.Errorf("%d arrived, want 40; %+v", len(got), st)
	}
}
