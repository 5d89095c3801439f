// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestProof(t *testing.T) {
	var sum summary
	send := func(session string, producer int64, key string, numbers ...int) {
		for _, n := range numbers {
			sum.add(&kgo.Record{Topic: "t", Key: []byte(key), ProducerID: producer, Headers: []kgo.RecordHeader{
				{Key: "ew-session", Value: []byte(session)}, {Key: "ew-sequence", Value: fmt.Append(nil, n)}}}, described{})
		}
	}
	send("a", 1, "k", 1, 2, 3, 4, 5)
	send("b", 1, "k", 1, 2, 4, 3, 4) // 3 is late, 4 comes twice
	send("b", 2, "k", 4, 5, 9)       // 4 is sent again, 6 to 8 are missing
	send("b", 2, "other", 6)         // another key: not out of order
	sum.add(&kgo.Record{Topic: "t"}, described{})
	sum.close()
	if len(sum.Sessions) != 2 {
		t.Fatalf("%v", sum.Sessions)
	}
	a, b := *sum.Sessions[0], *sum.Sessions[1]
	a.seen, a.last, b.seen, b.last = nil, nil, nil, nil
	if got := fmt.Sprint(a, b); got != "{a 5 1 5 0 0 0 0 map[] map[]} {b 7 1 9 2 1 1 1 map[] map[]}" {
		t.Error(got)
	}
	var text strings.Builder
	sum.write(&text)
	if !strings.Contains(text.String(), "session b: 7 messages up to number 9, 2 missing, 1 duplicated, 1 sent again by another producer, 1 out of order") {
		t.Error(text.String())
	}
}
