// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"math/bits"
	"sort"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A chunk is a run of messages. It is kept until the server has answered for all of them, so that what is
// under way can be sent again when a producer fails for good.
type chunk struct {
	batch    adapters.Batch
	answered []uint64 // a bit per record
	left     int      // records without an answer
	sent     int      // records handed to the adapter
	live     int      // bytes of records without an answer
	busy     bool     // the adapter is reading it
	pinned   bool     // the spooler is reading it
	sealed   bool     // nothing is appended any more
}

func (c *chunk) len() int { return c.batch.Len() }

// finished reports that nothing in the chunk is needed any more.
func (c *chunk) finished() bool { return c.left == 0 && c.sent == c.len() && !c.busy && !c.pinned }

// count enters the record that was just appended.
func (c *chunk) count(size int) {
	if n := c.len() - 1; n&63 == 0 {
		c.answered = append(c.answered[:n>>6], 0)
	}
	c.left++
	c.live += size
}

func (c *chunk) reset() {
	c.batch.Reset()
	c.answered = c.answered[:0]
	c.left, c.sent, c.live, c.busy, c.sealed = 0, 0, 0, false, false
}

// find returns the index of the record seq, or -1.
func (c *chunk) find(seq uint64) int {
	r := c.batch.Records
	if len(r) == 0 || seq < r[0].Seq || seq > r[len(r)-1].Seq {
		return -1
	}
	if i := int(seq - r[0].Seq); i < len(r) && r[i].Seq == seq {
		return i
	}
	i := sort.Search(len(r), func(i int) bool { return r[i].Seq >= seq })
	if i < len(r) && r[i].Seq == seq {
		return i
	}
	return -1
}

// answer marks record i and returns its size in bytes, or false when it was marked before.
func (c *chunk) answer(i int) (int, bool) {
	if c.answered[i>>6]&(1<<(i&63)) != 0 {
		return 0, false
	}
	c.answered[i>>6] |= 1 << (i & 63)
	c.left--
	size := recordSize(&c.batch.Records[i])
	c.live -= size
	return size, true
}

func recordSize(r *adapters.Record) int {
	return int(r.TopicLen) + int(r.KeyLen) + int(r.PayloadLen) + int(r.HeadersLen)
}

// sparse reports that the chunk holds much more memory than its unanswered messages need: one message
// that waits for long must not keep a whole chunk.
func (c *chunk) sparse() bool {
	return c.sealed && !c.busy && !c.pinned && c.sent == c.len() && c.left > 0 && c.live*4 < cap(c.batch.Data)
}

// compact keeps the unanswered records alone, in memory of their size. The chunk must not be busy.
func (c *chunk) compact() adapters.Batch {
	old := c.batch
	fresh := adapters.Batch{Data: make([]byte, 0, c.live), Records: make([]adapters.Record, 0, c.left)}
	sent := 0
	for i := range old.Records {
		if c.answered[i>>6]&(1<<(i&63)) != 0 {
			continue
		}
		m := old.At(i)
		fresh.Add(m)
		if i < c.sent {
			sent++
		}
	}
	c.batch = fresh
	c.sent = sent
	c.answered = make([]uint64, (fresh.Len()+63)/64)
	return old
}

// oldest returns the sequence number of the first unanswered record.
func (c *chunk) oldest() (uint64, bool) {
	for w, word := range c.answered {
		if i := w<<6 + bits.TrailingZeros64(^word); i < c.len() && ^word != 0 {
			return c.batch.Records[i].Seq, true
		}
	}
	return 0, false
}
