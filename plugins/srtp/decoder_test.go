// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
	crypto "github.com/gst-edgewire/gst-edgewire/pkg/srtp"
	"github.com/gst-edgewire/gst-edgewire/plugins/srtp/padtest"
)

type sealer struct {
	t testing.TB
	s *crypto.Sender
}

func newSealer(t testing.TB, p crypto.Policy, key byte) *sealer {
	t.Helper()
	s, err := crypto.NewSender(p, keyFor(p, key), crypto.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &sealer{t, s}
}

func (s *sealer) rtp(b []byte) []byte {
	s.t.Helper()
	out := make([]byte, len(b)+32)
	n, err := s.s.ProtectRTP(out, b)
	if err != nil {
		s.t.Fatal(err)
	}
	return out[:n]
}

func (s *sealer) rtcp(b []byte) []byte {
	s.t.Helper()
	out := make([]byte, len(b)+32)
	n, err := s.s.ProtectRTCP(out, b)
	if err != nil {
		s.t.Fatal(err)
	}
	return out[:n]
}

func TestDemultiplexed(t *testing.T) {
	d := newDec(t)
	d.in.Start("", 0)
	setKeys(t, d.dec, cm80, 1, true)
	s := newSealer(t, cm80, 1)
	in := [][]byte{
		{22, 0xfe, 0xfd, 1}, s.rtp(rtp(1, 1, "a")), {0, 1}, {17}, {64, 1}, {5}, {80}, {200}, nil, s.rtcp(rtcp(1, 1)), {63}, s.rtp(rtp(1, 2, "b")),
	}
	for _, how := range []padtest.How{padtest.Plain, padtest.Parts} {
		for _, b := range in[:6] {
			d.in.Push(b, 0, how)
		}
		if ret := d.in.PushList(in[6:], how); ret != 0 {
			t.Errorf("list: %d", ret)
		}
	}
	wantPackets(t, "rtp_src", d.rtp.Take(), rtp(1, 1, "a"), rtp(1, 2, "b"))
	wantPackets(t, "rtcp_src", d.rtcp.Take(), rtcp(1, 1))
	equalAll(t, d.dtls, in[0], in[10], in[0], in[10])
	st := d.dec.Stats()
	if st.STUN != 2 || st.ZRTP != 2 || st.TURN != 2 || st.Other != 6 || st.Empty != 2 || st.Replay != 3 {
		t.Errorf("%+v", st)
	}
	if ev := d.rtp.Events(); !slices.Equal(ev, []string{"stream-start", "caps", "segment"}) || d.rtp.Caps() != "application/x-rtp" {
		t.Errorf("%v, caps %s", ev, d.rtp.Caps())
	}
	if ev := d.rtcp.Events(); !slices.Equal(ev, []string{"stream-start", "caps", "segment"}) || d.rtcp.Caps() != "application/x-rtcp" {
		t.Errorf("%v, caps %s", ev, d.rtcp.Caps())
	}
}

func TestTheDTLSAnswerGoesUpstream(t *testing.T) {
	d := newDec(t)
	d.in.Start("", 0)
	d.answer = gst.FlowEOS
	if ret := d.in.Push([]byte{22}, 0, padtest.Plain); ret != -3 {
		t.Errorf("%d", ret)
	}
	if ret := d.in.PushList([][]byte{{22}, {23}}, padtest.Plain); ret != -3 || len(d.dtls) != 2 {
		t.Errorf("%d, %d datagrams", ret, len(d.dtls))
	}
}

func TestHeldUntilTheKeyComesToTheDecoder(t *testing.T) {
	d := newDec(t)
	d.in.Start("", 0)
	s := newSealer(t, gcm128, 1)
	var want [][]byte
	for i := range 300 {
		b := rtp(1, i, "x")
		if i >= 300-256 {
			want = append(want, b)
		}
		if i%2 == 0 {
			d.in.Push(s.rtp(b), 0, padtest.Shared)
		} else {
			d.in.PushList([][]byte{s.rtp(b)}, padtest.Plain)
		}
	}
	if st := d.dec.Stats(); st.Held != 256 || st.BeforeKey != 44 || d.rtp.Count() != 0 {
		t.Fatalf("%+v, %d passed on", st, d.rtp.Count())
	}
	setKeys(t, d.dec, gcm128, 1, true)
	late := rtp(1, 300, "y")
	d.in.Push(s.rtp(late), 0, padtest.Plain)
	wantPackets(t, "rtp_src", d.rtp.Take(), append(want, late)...)
}

// The keys come from inside the DTLS callback, as they may.
func TestKeysInsideTheCallback(t *testing.T) {
	d := newDec(t)
	d.in.Start("", 0)
	s := newSealer(t, cm80, 1)
	d.onDTLS = func() { setKeys(t, d.dec, cm80, 1, true) }
	d.in.Push(s.rtp(rtp(1, 1, "a")), 0, padtest.Plain)
	d.in.PushList([][]byte{s.rtp(rtp(1, 2, "b")), {22}, s.rtp(rtp(1, 3, "c"))}, padtest.Plain)
	got := datas(d.rtp.Take())
	equalAll(t, got, rtp(1, 1, "a"), rtp(1, 2, "b"), rtp(1, 3, "c"))
}

func TestWhatFailsGoesNowhere(t *testing.T) {
	for name, p := range map[string]crypto.Policy{"cm80": cm80, "gcm128": gcm128} {
		t.Run(name, func(t *testing.T) {
			d := newDec(t)
			d.in.Start("", 0)
			setKeys(t, d.dec, p, 1, true)
			good, other := newSealer(t, p, 1), newSealer(t, p, 2)
			first := good.rtp(rtp(1, 1, "a"))
			broken := bytes.Clone(good.rtp(rtp(1, 2, "b")))
			broken[len(broken)-1] ^= 1
			for _, how := range []padtest.How{padtest.Plain, padtest.Shared, padtest.Parts, padtest.ReadOnly} {
				for _, b := range [][]byte{broken, other.rtp(rtp(1, 100+int(how), "c")), first[:11], first[:15]} {
					if ret := d.in.Push(b, 0, how); ret != 0 {
						t.Errorf("%d", ret)
					}
				}
			}
			d.in.Push(first, 0, padtest.Plain)
			d.in.Push(first, 0, padtest.Plain)
			wantPackets(t, "rtp_src", d.rtp.Take(), rtp(1, 1, "a"))
			st := d.dec.Stats()
			if st.Auth != 8 || st.Malformed != 8 || st.Replay != 1 || d.rtcp.Count() != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestAnUnlinkedOrEndedBranchStopsNothing(t *testing.T) {
	d := newDec(t)
	d.in.Start("", 0)
	setKeys(t, d.dec, cm80, 1, true)
	s := newSealer(t, cm80, 1)
	d.rtcp.Close()
	if ret := d.in.Push(s.rtcp(rtcp(1, 1)), 0, padtest.Plain); ret != 0 {
		t.Errorf("rtcp_src unlinked: %d", ret)
	}
	if ret := d.in.Push(s.rtp(rtp(1, 1, "")), 0, padtest.Plain); ret != 0 || d.rtp.Count() != 1 {
		t.Errorf("%d", ret)
	}
	d.rtp.Answer(-3)
	if ret := d.in.Push(s.rtp(rtp(1, 2, "")), 0, padtest.Plain); ret != -3 {
		t.Errorf("the only branch has ended: %d", ret)
	}
	d.rtp.Answer(-5)
	if ret := d.in.PushList([][]byte{s.rtp(rtp(1, 3, "")), s.rtcp(rtcp(1, 2))}, padtest.Plain); ret != -5 {
		t.Errorf("an error: %d", ret)
	}
	d.rtp.Close()
	if ret := d.in.Push(s.rtp(rtp(1, 4, "")), 0, padtest.Plain); ret != 0 {
		t.Errorf("both unlinked: %d", ret)
	}
}

func TestCapsAndEventsOfTheSources(t *testing.T) {
	d := newDec(t)
	d.in.Start("application/x-srtp,media=audio,payload=96,srtp-key=(buffer)0102,srtp-cipher=aes-128-icm,srtcp-auth=null", time.Second)
	if got := d.rtp.Caps(); got != "application/x-rtp, media=(string)audio, payload=(int)96" {
		t.Errorf("caps %s", got)
	}
	if got := d.rtcp.Caps(); got != "application/x-rtcp" {
		t.Errorf("caps %s", got)
	}
	d.in.FlushStart()
	d.in.FlushStop()
	d.in.Start(rtpCaps, 0)
	d.in.EOS()
	for name, got := range map[string][]string{"rtp_src": d.rtp.Events(), "rtcp_src": d.rtcp.Events()} {
		got = slices.DeleteFunc(got, func(e string) bool { return e == "caps" })
		if !slices.Equal(got, []string{"stream-start", "segment", "flush-start", "flush-stop", "stream-start", "segment", "eos"}) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestStopWhileDownstreamOfTheDecoderBlocks(t *testing.T) {
	d := newDec(t)
	d.in.Start("", 0)
	setKeys(t, d.dec, cm80, 1, true)
	s := newSealer(t, cm80, 1)
	pad := d.el.StaticPad("rtp_src")
	defer pad.Unref()
	unblock := pad.Block()
	defer unblock()
	done := make(chan int)
	b := s.rtp(rtp(1, 1, ""))
	go func() { done <- d.in.Push(b, 0, padtest.Plain) }()
	eventually(t, "the push", d.in.Inside)
	within(t, "the stop", func() { setState(t, d.el, gsttest.Null) })
	within(t, "the push", func() {
		if ret := <-done; ret != flushing {
			t.Errorf("%d", ret)
		}
	})
}

// A change of keys, as the peer may do it.
func TestKeyring(t *testing.T) {
	now := time.Unix(1000, 0)
	for name, p := range map[string]crypto.Policy{"cm80": cm80, "gcm128": gcm128} {
		for _, fresh := range []bool{false, true} {
			for _, peerFresh := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%v/%v", name, fresh, peerFresh), func(t *testing.T) {
					k := keyring{now: func() time.Time { return now }}
					open := func(b []byte) ([]byte, error) {
						in := bytes.Clone(b)
						n, err := k.open(in, in, false)
						return in[:max(n, 0)], err
					}
					must := func(b, want []byte) {
						t.Helper()
						if got, err := open(b); err != nil || !bytes.Equal(got, want) {
							t.Fatalf("%x %v, want %x", got, err, want)
						}
					}
					if err := k.add(p, keyFor(p, 1), true, crypto.Options{}); err != nil {
						t.Fatal(err)
					}
					old := newSealer(t, p, 1)
					for i := range 70000 {
						if i%100 == 0 || i > 69000 {
							must(old.rtp(rtp(1, i, "x")), rtp(1, i, "x"))
						}
					}
					if err := k.add(p, keyFor(p, 2), fresh, crypto.Options{}); err != nil {
						t.Fatal(err)
					}
					next := newSealer(t, p, 2)
					if !peerFresh {
						next.s.Inherit(old.s)
					}
					late := old.rtp(rtp(1, 70000, "late"))
					must(old.rtp(rtp(1, 70001, "before")), rtp(1, 70001, "before"))
					first := next.rtp(rtp(1, 70002, "first"))
					must(first, rtp(1, 70002, "first"))
					must(late, rtp(1, 70000, "late"))
					if _, err := open(first); err == nil {
						t.Error("a replay was taken")
					}
					other := next.rtp(rtp(8, 5, "new source"))
					must(other, rtp(8, 5, "new source"))
					later := old.rtp(rtp(1, 70003, "later"))
					now = now.Add(graceAfterFirst + time.Second)
					if _, err := open(later); err == nil {
						t.Error("the old key outlives its grace")
					}
					must(next.rtp(rtp(1, 70004, "go on")), rtp(1, 70004, "go on"))
					if len(k.keys) != 1 {
						t.Errorf("%d receivers are left", len(k.keys))
					}
				})
			}
		}
	}
}

func TestAnOldKeyWaitsForThePeerToChange(t *testing.T) {
	now := time.Unix(1000, 0)
	k := keyring{now: func() time.Time { return now }}
	open := func(b []byte) error { _, err := k.open(bytes.Clone(b), b, false); return err }
	k.add(cm80, keyFor(cm80, 1), true, crypto.Options{})
	old := newSealer(t, cm80, 1)
	k.add(gcm256, keyFor(gcm256, 2), false, crypto.Options{})
	now = now.Add(graceAfterFirst + time.Second)
	if err := open(old.rtp(rtp(1, 1, "x"))); err != nil {
		t.Errorf("the peer has not changed yet: %v", err)
	}
	now = now.Add(graceAtMost)
	if err := open(old.rtp(rtp(1, 2, "x"))); err == nil {
		t.Error("the old key lives for ever")
	}
}

func TestErrorsOfKeys(t *testing.T) {
	d, e := newDec(t), newEnc(t)
	for _, x := range []interface {
		SetKeys(crypto.Policy, []byte, bool) error
	}{d.dec, e.enc} {
		if err := x.SetKeys(cm80, []byte("too short"), true); err == nil || strings.Contains(err.Error(), "too short\"") {
			t.Errorf("%v", err)
		}
	}
}
