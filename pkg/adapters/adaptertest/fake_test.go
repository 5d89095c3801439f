// SPDX-License-Identifier: LGPL-2.1-or-later

package adaptertest

import (
	"testing"
)

type fakeServer struct{ f *Fake }

func (s fakeServer) ConnStr() string              { return "fake;1" }
func (s fakeServer) ConfigPath(*testing.T) string { return "" }
func (s fakeServer) Start(*testing.T)             { s.f.Down(false) }
func (s fakeServer) Stop(*testing.T)              { s.f.Down(true) }
func (s fakeServer) UnknownTopic() string         { return s.f.RejectTopic }
func (s fakeServer) TooLarge() int                { return s.f.MaxPayload + 1 }
func (s fakeServer) Malformed() []string          { return []string{"host", ";1234", "host;", "a;b;c;d;e"} }

func (s fakeServer) Consume(t *testing.T, topic string, n int) []Received {
	var got []Received
	Wait(t, "messages in "+topic, func() bool {
		got = got[:0]
		for _, m := range s.f.Received() {
			if m.Topic == topic {
				got = append(got, m)
			}
		}
		return len(got) >= n
	})
	return got
}

func TestFake(t *testing.T) {
	f := &Fake{RejectTopic: "nowhere", MaxPayload: 400_000}
	Run(t, f, fakeServer{f})
}
