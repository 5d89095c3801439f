// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"fmt"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
	crypto "github.com/gst-edgewire/gst-edgewire/pkg/srtp"
	"github.com/gst-edgewire/gst-edgewire/plugins/srtp/padtest"
)

// BenchmarkPair is the CPU time of a packet through an encoder and a decoder, from
// the push into the one to the push out of the other. What making a packet and
// pushing it into a pad cost anyway is taken off; it is shown as base-ns.
func BenchmarkPair(b *testing.B) {
	for _, p := range []struct {
		name   string
		policy crypto.Policy
	}{{"null", crypto.Policy{}}, {"cm80", cm80}, {"gcm128", gcm128}} {
		for _, size := range []int{1200, 100} {
			for _, list := range []int{1, 32} {
				b.Run(fmt.Sprintf("%s-%d-list%d", p.name, size, list), func(b *testing.B) {
					benchPair(b, p.policy, size, list)
				})
			}
		}
	}
}

func benchPair(b *testing.B, p crypto.Policy, size, list int) {
	loop, end := padtest.NewLoop()
	defer end.Close()
	defer loop.Close()
	end.Forget()
	loop.Start("", 0)

	el := makeElement(b, "ewsrtpenc")
	inst, _ := instances.LoadAndDelete(el.Pointer())
	enc := inst.(*encBin)
	d := newDec(b)
	d.rtp.Forget()
	setState(b, el, gsttest.Playing)
	release, _ := padtest.Request(el.Pointer(), "rtp_sink_0")
	in := padtest.NewSrc(el.Pointer(), "rtp_sink_0")
	defer func() {
		setState(b, el, gsttest.Null)
		in.Close()
		release()
		el.Unref()
	}()
	if !el.Link("src", d.el, "sink") {
		d.in.Close()
		if !el.Link("src", d.el, "sink") {
			b.Fatal("cannot link")
		}
	}
	setKeys(b, enc.enc, p, 1, true)
	setKeys(b, d.dec, p, 1, true)
	in.Start(rtpCaps, 0)
	in.Bench(list, list, size, 7, 0)
	n := (b.N + list - 1) / list * list
	b.ResetTimer()
	base := loop.Bench(n, list, size, 7, list)
	took := in.Bench(n, list, size, 7, list)
	b.StopTimer()
	b.ReportMetric(float64(base)/float64(n), "base-ns")
	b.ReportMetric(float64(took-base)/float64(n), "cpu-ns/packet")
	if got := d.rtp.Count(); got != n+list {
		b.Fatalf("%d of %d packets came: %+v %+v", got, n+list, enc.enc.Stats(), d.dec.Stats())
	}
}
