// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// A session is what was seen of one run of msgbroker, by the headers of its messages.
type session struct {
	Session    string `json:"session"`
	Messages   uint64 `json:"messages"`   // different ones
	First      uint64 `json:"first"`      // the smallest number
	Last       uint64 `json:"last"`       // and the largest
	Missing    uint64 `json:"missing"`    // numbers between 1 and Last that did not come
	Duplicates uint64 `json:"duplicates"` // came again from the same producer
	Resent     uint64 `json:"resent"`     // came again from another producer, after a crash or a fatal error
	Reordered  uint64 `json:"reordered"`  // came behind a later one of the same topic, partition and key

	seen map[int64]*bitmap // by producer
	last map[string]uint64 // largest number by topic, partition and key
}

// A bitmap is a set of numbers that mostly are neighbours.
type bitmap map[uint64]uint64

func (b *bitmap) has(n uint64) bool { return (*b)[n>>6]&(1<<(n&63)) != 0 }
func (b *bitmap) add(n uint64)      { (*b)[n>>6] |= 1 << (n & 63) }

// proof collects sessions.
type proof map[string]*session

// maxKeys bounds what is remembered of a session for the order per key.
const maxKeys = 1 << 20

func (p proof) add(r *kgo.Record) {
	var name string
	var number uint64
	for _, h := range r.Headers {
		switch h.Key {
		case adapters.SessionHeader:
			name = string(h.Value)
		case adapters.NumberHeader:
			number, _ = strconv.ParseUint(string(h.Value), 10, 64)
		}
	}
	if name == "" || number == 0 {
		return
	}
	s := p[name]
	if s == nil {
		s = &session{Session: name, First: number, seen: map[int64]*bitmap{}, last: map[string]uint64{}}
		p[name] = s
	}
	own := s.seen[r.ProducerID]
	if own == nil {
		own = &bitmap{}
		s.seen[r.ProducerID] = own
	}
	if own.has(number) {
		s.Duplicates++
		return
	}
	again := false
	for _, b := range s.seen {
		again = again || b.has(number)
	}
	own.add(number)
	if again {
		s.Resent++
		return
	}
	s.Messages++
	s.First, s.Last = min(s.First, number), max(s.Last, number)
	key := fmt.Sprint(r.Topic, "\x00", r.Partition, "\x00", string(r.Key))
	switch last, known := s.last[key]; {
	case known && number < last:
		s.Reordered++
	case known || len(s.last) < maxKeys:
		s.last[key] = number
	}
}

func (p proof) sorted() []*session {
	var out []*session
	for _, s := range p {
		s.Missing = s.Last - s.Messages
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *session) int { return cmp.Compare(a.Session, b.Session) })
	return out
}

func writeSessions(w io.Writer, sessions []*session) {
	for _, s := range sessions {
		fmt.Fprintf(w, "  session %s: %s up to number %d, %d missing, %d duplicated, %d sent again by another producer, %d out of order\n",
			clean(s.Session), plural(int(s.Messages), "message"), s.Last, s.Missing, s.Duplicates, s.Resent, s.Reordered)
	}
}
