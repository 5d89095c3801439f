// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// TestBlocks: payloads of every size arrive whole while the memory that they travel in is used again and
// again; a topic that nobody takes keeps some of it for long.
func TestBlocks(t *testing.T) {
	s := newServer(t, kfake.SeedTopics(1, "blocks"))
	r := adaptertest.NewRecorder()
	config := writeFile(t, "blocks.cfg", "[message-broker]\nproto-cfg = \"topic.metadata.propagation.max.ms=60000;message.max.bytes=3000000\"\n")
	c := openConn(t, s.ConnStr(), config, r)
	rnd := rand.New(rand.NewPCG(1, 2))
	content := func(n, size int) []byte {
		return bytes.Repeat(fmt.Appendf(nil, "%d,", n), size/len(fmt.Sprint(n, ","))+1)[:size]
	}
	sizes := []int{0, 1, 383, 384, 385, 1000, 4096, 32767, 32768, 32769, 100_000, 262_144, 700_000}
	var want [][]byte
	seq := uint64(0)
	for seq < 6000 {
		var b adapters.Batch
		for range 200 {
			seq++
			size := sizes[rnd.IntN(7)]
			if seq%50 == 0 {
				size = sizes[rnd.IntN(len(sizes))]
			}
			payload := content(int(seq), size)
			topic := "blocks"
			if seq%40 == 0 {
				topic = "nowhere"
			} else {
				want = append(want, payload)
			}
			b.Append(seq, 0, topic, nil, payload)
		}
		adaptertest.Send(t, c, &b)
		for i := range b.Data {
			b.Data[i] = 'x'
		}
	}
	adaptertest.Wait(t, "results", func() bool { n, _ := r.Results(); return n == len(want) })
	got := consume(t, s.addr(), "blocks", len(want))
	if len(got) != len(want) {
		t.Fatalf("%d arrived, want %d", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i].Payload, want[i]) {
			t.Fatalf("message %d is damaged", i)
		}
	}
	adaptertest.Within(t, "Close with messages under way", time.Second, func() { _ = c.Close() })
}
