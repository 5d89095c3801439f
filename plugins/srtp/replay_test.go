// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"testing"
	"time"

	crypto "github.com/gst-edgewire/gst-edgewire/pkg/srtp"
)

// Re-keyed by a handshake; the peer begins afresh (ROC 0). While the old keys are in grace, it sends more than 65536 packets.
func TestReplayAfterRekeyAndWrap(t *testing.T) {
	now := time.Unix(1000, 0)
	k := &keyring{now: func() time.Time { return now }}
	p := gcm128
	old, _ := crypto.NewSender(p, keyFor(p, 1), crypto.Options{})
	if err := k.add(p, keyFor(p, 1), true, crypto.Options{}); err != nil {
		t.Fatal(err)
	}
	prot := func(s *crypto.Sender, b []byte) []byte {
		out := make([]byte, len(b)+20)
		n, err := s.ProtectRTP(out, b)
		if err != nil {
			t.Fatal(err)
		}
		return out[:n]
	}
	open := func(b []byte) error {
		_, err := k.open(make([]byte, 2000), append([]byte(nil), b...), false)
		return err
	}
	if err := open(prot(old, rtp(5, 100, "x"))); err != nil {
		t.Fatal(err)
	}
	if err := k.add(p, keyFor(p, 2), true, crypto.Options{}); err != nil {
		t.Fatal(err)
	}
	s, _ := crypto.NewSender(p, keyFor(p, 2), crypto.Options{})
	var kept []byte
	for i := 200; i < 200+65536+50; i++ {
		b := prot(s, rtp(5, i, "x"))
		if i == 300 {
			kept = b
		}
		if err := open(b); err != nil {
			t.Fatal(i, err)
		}
	}
	err := open(kept)
	if err == nil {
		t.Error("a replay was accepted")
	}
	bad := 0
	for i := 200 + 65536 + 50; i < 200+65536+150; i++ {
		if open(prot(s, rtp(5, i, "x"))) != nil {
			bad++
		}
	}
	if bad > 0 {
		t.Errorf("after it %d of 100 packets of the peer are refused", bad)
	}
}

// The same with sources that only the new key has seen, before their sequence numbers have wrapped.
func TestReplayToTheOtherReceiver(t *testing.T) {
	for _, fresh := range []bool{true, false} {
		k := &keyring{now: func() time.Time { return time.Unix(1000, 0) }}
		p := cm80
		sender := func(n byte) *crypto.Sender { s, _ := crypto.NewSender(p, keyFor(p, n), crypto.Options{}); return s }
		prot := func(s *crypto.Sender, b []byte) []byte {
			out := make([]byte, len(b)+20)
			n, err := s.ProtectRTP(out, b)
			if err != nil {
				t.Fatal(err)
			}
			return out[:n]
		}
		open := func(b []byte) error {
			_, err := k.open(make([]byte, 2000), append([]byte(nil), b...), false)
			return err
		}
		k.add(p, keyFor(p, 1), true, crypto.Options{})
		a := sender(1)
		for seq := range 3 { // source 5 stays at 0, source 6 wraps
			if err := open(prot(a, rtp(5, seq, "x"))); err != nil {
				t.Fatal(err)
			}
		}
		for seq := 65000; seq < 65800; seq++ {
			open(prot(a, rtp(6, seq, "x")))
		}
		k.add(p, keyFor(p, 2), fresh, crypto.Options{})
		b := sender(2)
		if !fresh {
			b.Inherit(a)
		}
		var kept [][]byte
		for seq := 10; seq < 40000; seq++ {
			for _, ssrc := range []uint32{5, 7} {
				x := prot(b, rtp(ssrc, seq, "x"))
				if seq < 20 || seq > 39990 {
					kept = append(kept, x)
				}
				if err := open(x); err != nil {
					t.Fatal(ssrc, seq, err)
				}
			}
		}
		for i, x := range kept {
			if open(x) == nil {
				t.Errorf("fresh %v: replay %d was accepted", fresh, i)
			}
		}
		seq := 0
		if !fresh {
			seq = 65800
		}
		if err := open(prot(b, rtp(6, seq, "x"))); err != nil {
			t.Errorf("fresh %v: source 6: %v", fresh, err)
		}
		for i, x := range kept {
			if open(x) == nil {
				t.Errorf("fresh %v: later replay %d was accepted", fresh, i)
			}
		}
		for _, ssrc := range []uint32{5, 7} {
			if err := open(prot(b, rtp(ssrc, 40001, "x"))); err != nil {
				t.Errorf("fresh %v: source %d: %v", fresh, ssrc, err)
			}
		}
	}
}
