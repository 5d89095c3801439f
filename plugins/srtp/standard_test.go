// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"fmt"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
	crypto "github.com/gst-edgewire/gst-edgewire/pkg/srtp"
	"github.com/gst-edgewire/gst-edgewire/plugins/srtp/padtest"
)

func needsStandard(t *testing.T) {
	t.Helper()
	for _, f := range []string{"srtpenc", "srtpdec"} {
		el, err := gsttest.Make(f, "")
		if err != nil {
			t.Skipf("LOUD SKIP: no %s here: install gstreamer1.0-plugins-bad", f)
		}
		el.Unref()
	}
}

// Ours against the standard elements, both ways, for every policy; and those among
// themselves.
func TestStandardBothWays(t *testing.T) {
	needsStandard(t)
	aes256 := crypto.Policy{RTPCipher: crypto.CipherAES256ICM, RTPAuth: crypto.AuthHMACSHA1_80,
		RTCPCipher: crypto.CipherAES256ICM, RTCPAuth: crypto.AuthHMACSHA1_80}
	for name, p := range map[string]crypto.Policy{"cm80": cm80, "cm32": cm32, "cm256": aes256, "gcm128": gcm128, "gcm256": gcm256} {
		for _, stdEnc := range []bool{false, true} {
			for _, stdDec := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%v/%v", name, stdEnc, stdDec), func(t *testing.T) {
					testStandard(t, p, stdEnc, stdDec)
				})
			}
		}
	}
}

func testStandard(t *testing.T, p crypto.Policy, stdEnc, stdDec bool) {
	e := newEnc(t)
	if stdEnc {
		e.standard(t, true)
		e.standard(t, false)
		e.standard(t, true)
	}
	setState(t, e.el, gsttest.Playing)
	d := newDec(t)
	if stdDec {
		setState(t, d.el, gsttest.Ready)
		d.standard(t, true)
		d.standard(t, false)
		d.standard(t, true)
		setState(t, d.el, gsttest.Playing)
	}
	a, b := e.sink(t, "rtp_sink_0"), e.sink(t, "rtcp_sink_0")
	for round := range 2 { // the second after a stop
		a.Start(rtpCaps, 0)
		b.Start("application/x-rtcp", 0)
		d.in.Start("", 0)
		seq := func(i int) int { return 65530 + 1000*round + i }
		var want, muxed [][]byte
		a.Push(rtp(5, seq(0), "held"), 0, padtest.Plain)
		want = append(want, rtp(5, seq(0), "held"))
		setKeys(t, e.enc, p, byte(1+round), true)
		for i, how := range []padtest.How{padtest.Plain, padtest.Shared, padtest.Parts, padtest.ReadOnly, padtest.Meta} {
			x, y, z := rtp(5, seq(1+3*i), "x"), rtp(5, seq(2+3*i), "y"), rtcp(5, i)
			for _, ret := range []int{a.Push(x, 0, how), a.PushList([][]byte{y, z}, how), b.Push(rtcp(6, i), 0, how)} {
				if ret != 0 {
					t.Fatalf("push: %d", ret)
				}
			}
			want = append(want, x, y)
			muxed = append(muxed, z, rtcp(6, i))
		}
		sent := datas(e.out.Take())
		if len(sent) != len(want)+len(muxed) {
			t.Fatalf("%d packets, want %d: %+v", len(sent), len(want)+len(muxed), e.enc.Stats())
		}
		d.in.Push(sent[0], 0, padtest.Shared)
		setKeys(t, d.dec, p, byte(1+round), true)
		for i, x := range sent[1:5] {
			if ret := d.in.Push(x, 0, []padtest.How{padtest.Plain, padtest.Shared, padtest.Parts, padtest.ReadOnly}[i]); ret != 0 {
				t.Fatalf("decoder: %d", ret)
			}
		}
		if ret := d.in.PushList(sent[5:], padtest.Shared); ret != 0 {
			t.Fatalf("decoder: %d", ret)
		}
		wantPackets(t, "rtp_src", d.rtp.Take(), want...)
		wantPackets(t, "rtcp_src", d.rtcp.Take(), muxed...)
		if s := d.dec.Stats(); s.RTPPackets != uint64(len(want)*(1+round)) || s.RTCPPackets != uint64(len(muxed)*(1+round)) {
			t.Errorf("%+v", s)
		}
		if d.alive.Swap(0) == 0 {
			t.Error("nobody heard that the peer lives")
		}
		setState(t, e.el, gsttest.Ready)
		setState(t, d.el, gsttest.Ready)
		e.enc.ClearKeys()
		d.dec.ClearKeys()
		setState(t, e.el, gsttest.Playing)
		setState(t, d.el, gsttest.Playing)
	}
}
