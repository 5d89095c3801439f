// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
	crypto "github.com/gst-edgewire/gst-edgewire/pkg/srtp"
	"github.com/gst-edgewire/gst-edgewire/plugins/dtlssrtpdemux"
	"github.com/gst-edgewire/gst-edgewire/plugins/srtp/padtest"
)

const patience = 10 * time.Second

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "srtp-test-")
	if err != nil {
		panic(err)
	}
	gsttest.Setenv("GST_REGISTRY", filepath.Join(dir, "registry.bin"))
	gsttest.Init()
	err = gst.RegisterStatic(&gst.StaticPlugin{Name: "ewsrtptest", Description: "test bins", Version: "1", License: "LGPL",
		Source: "ewtest", Package: "ewtest", Origin: "https://example.org/",
		Init: func(p gst.Plugin) error {
			if err := p.Register("ewsrtpenc", gst.RankNone, encClass); err != nil {
				return err
			}
			if err := p.Register("ewsrtpdec", gst.RankNone, decClass); err != nil {
				return err
			}
			return dtlssrtpdemux.Register(p)
		}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if n := gsttest.Criticals(); n != 0 && code == 0 {
		fmt.Fprintf(os.Stderr, "FAIL: %d warnings or criticals of GLib and GStreamer, see above\n", n)
		code = 1
	}
	if code == 0 && made.Load() != ended.Load() {
		fmt.Fprintf(os.Stderr, "FAIL: %d of %d elements leak\n", made.Load()-ended.Load(), made.Load())
		code = 1
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

var (
	testLog     = gst.NewCategory("ewsrtptest", "tests of the SRTP engine")
	made, ended atomic.Int32 // instances
	instances   sync.Map     // unsafe.Pointer of the element → instance
)

// encBin and decBin are dtlssrtpenc and dtlssrtpdec without DTLS.
type encBin struct {
	*gst.Element
	enc EncoderBackend
	src *gst.Pad
}

var srcAny = gst.PadTemplate{Name: "src", Direction: gst.PadSrc, Presence: gst.PadAlways, Caps: "ANY"}

var encClass = &gst.Class{
	Name: "EwtSrtpEnc", Parent: gst.ParentBin, LongName: "test", Klass: "Testing", Description: "test", Author: "test",
	Pads: []gst.PadTemplate{srcAny,
		{Name: "rtp_sink_%d", Direction: gst.PadSink, Presence: gst.PadRequest, Caps: "application/x-rtp;application/x-rtcp"},
		{Name: "rtcp_sink_%d", Direction: gst.PadSink, Presence: gst.PadRequest, Caps: "application/x-rtp;application/x-rtcp"}},
	Proto: (*encBin)(nil),
	New: func(e *gst.Element) any {
		b := &encBin{Element: e}
		b.src = e.NewPad("src", "", gst.PadFuncs{})
		b.enc = NewEncoder(e, b.src, EncoderOptions{Log: testLog})
		e.AddPad(b.src)
		made.Add(1)
		instances.Store(e.Pointer(), b)
		return b
	},
}

func (b *encBin) RequestPad(template, name string, _ gst.Caps) *gst.Pad {
	k := KindRTP
	if template == "rtcp_sink_%d" {
		k = KindRTCP
	}
	p := b.enc.NewSink(template, name, k)
	if p == nil {
		return nil
	}
	if !b.AddPad(p) {
		b.enc.ReleaseSink(p)
		return nil
	}
	return p
}

func (b *encBin) ReleasePad(p *gst.Pad) { b.enc.ReleaseSink(p) }

func (b *encBin) ChangeState(t gst.StateChange) gst.StateChangeReturn {
	b.enc.Before(t)
	ret := b.ParentChangeState(t)
	if ret != gst.StateChangeFailure {
		b.enc.After(t)
	}
	return ret
}

func (b *encBin) Finalize() { b.enc.Close(); ended.Add(1) }

type decBin struct {
	*gst.Element
	dec                   DecoderBackend
	sink, rtpPad, rtcpPad *gst.Pad
	alive                 atomic.Int32

	mu     sync.Mutex
	dtls   [][]byte
	answer gst.FlowReturn
	onDTLS func()
}

var decClass = &gst.Class{
	Name: "EwtSrtpDec", Parent: gst.ParentBin, LongName: "test", Klass: "Testing", Description: "test", Author: "test",
	Pads: []gst.PadTemplate{
		{Name: "sink", Direction: gst.PadSink, Presence: gst.PadAlways, Caps: "ANY"},
		{Name: "rtp_src", Direction: gst.PadSrc, Presence: gst.PadAlways, Caps: "application/x-rtp"},
		{Name: "rtcp_src", Direction: gst.PadSrc, Presence: gst.PadAlways, Caps: "application/x-rtcp"}},
	Proto: (*decBin)(nil),
	New: func(e *gst.Element) any {
		b := &decBin{Element: e}
		b.sink = e.NewPad("sink", "", gst.PadFuncs{})
		b.rtpPad, b.rtcpPad = e.NewPad("rtp_src", "", gst.PadFuncs{}), e.NewPad("rtcp_src", "", gst.PadFuncs{})
		b.dec = NewDecoder(e, b.sink, b.rtpPad, b.rtcpPad, b.options())
		for _, p := range []*gst.Pad{b.sink, b.rtpPad, b.rtcpPad} {
			e.AddPad(p)
		}
		made.Add(1)
		instances.Store(e.Pointer(), b)
		return b
	},
}

func (b *decBin) options() DecoderOptions {
	return DecoderOptions{Log: testLog, DTLS: b.receive, Alive: func() { b.alive.Add(1) }}
}

// standard changes the backend, there or back, as srtp-backend does.
func (b *decBin) standard(t testing.TB, on bool) {
	t.Helper()
	old := b.dec
	b.dec = NewDecoder(b.Element, b.sink, b.rtpPad, b.rtcpPad, b.options())
	if on {
		b.dec.Close()
		var err error
		if b.dec, err = NewStandardDecoder(b.Element, b.sink, b.rtpPad, b.rtcpPad, b.options()); err != nil {
			t.Fatal(err)
		}
	}
	old.Close()
}

func (b *encBin) standard(t testing.TB, on bool) {
	t.Helper()
	old := b.enc
	b.enc = NewEncoder(b.Element, b.src, EncoderOptions{Log: testLog})
	if on {
		b.enc.Close()
		var err error
		if b.enc, err = NewStandardEncoder(b.Element, b.src, EncoderOptions{Log: testLog}); err != nil {
			t.Fatal(err)
		}
	}
	old.Close()
}

func (b *decBin) receive(d []byte) gst.FlowReturn {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dtls = append(b.dtls, bytes.Clone(d))
	if b.onDTLS != nil {
		b.onDTLS()
	}
	return b.answer
}

func (b *decBin) ChangeState(t gst.StateChange) gst.StateChangeReturn {
	b.dec.Before(t)
	ret := b.ParentChangeState(t)
	if ret != gst.StateChangeFailure {
		b.dec.After(t)
	}
	return ret
}

func (b *decBin) Finalize() { b.dec.Close(); ended.Add(1) }

// Ends of a test.

type encEnd struct {
	*encBin
	el   *gsttest.Element
	out  *padtest.Sink
	srcs []*padtest.Src
	ends []func()
}

func newEnc(t testing.TB) *encEnd {
	t.Helper()
	el := makeElement(t, "ewsrtpenc")
	inst, _ := instances.LoadAndDelete(el.Pointer())
	e := &encEnd{encBin: inst.(*encBin), el: el}
	e.out = padtest.NewSink(el.Pointer(), "src", false)
	t.Cleanup(func() {
		setState(t, el, gsttest.Null)
		for _, f := range e.ends {
			f()
		}
		e.out.Close()
		el.Unref()
	})
	return e
}

func (e *encEnd) sink(t testing.TB, name string) *padtest.Src {
	t.Helper()
	release, ok := padtest.Request(e.el.Pointer(), name)
	if !ok {
		t.Fatalf("no pad %s", name)
	}
	s := padtest.NewSrc(e.el.Pointer(), name)
	e.srcs = append(e.srcs, s)
	e.ends = append(e.ends, func() { s.Close(); release() })
	return s
}

type decEnd struct {
	*decBin
	el        *gsttest.Element
	in        *padtest.Src
	rtp, rtcp *padtest.Sink
}

func newDec(t testing.TB) *decEnd {
	t.Helper()
	el := makeElement(t, "ewsrtpdec")
	inst, _ := instances.LoadAndDelete(el.Pointer())
	d := &decEnd{decBin: inst.(*decBin), el: el}
	setState(t, el, gsttest.Playing)
	d.in = padtest.NewSrc(el.Pointer(), "sink")
	d.rtp = padtest.NewSink(el.Pointer(), "rtp_src", false)
	d.rtcp = padtest.NewSink(el.Pointer(), "rtcp_src", false)
	t.Cleanup(func() {
		setState(t, el, gsttest.Null)
		d.in.Close()
		d.rtp.Close()
		d.rtcp.Close()
		el.Unref()
	})
	return d
}

func makeElement(t testing.TB, factory string) *gsttest.Element {
	t.Helper()
	e, err := gsttest.Make(factory, "")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func setState(t testing.TB, e *gsttest.Element, s gsttest.State) {
	t.Helper()
	if err := e.SetState(s, patience); err != nil {
		t.Fatalf("to state %d: %v", s, err)
	}
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(200 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// within fails if f does not return in time: for what may deadlock.
func within(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s did not return", what)
	}
}

// Packets, keys.

func rtp(ssrc uint32, seq int, payload string) []byte {
	p := make([]byte, 12, 12+len(payload))
	p[0], p[1] = 0x80, 96
	binary.BigEndian.PutUint16(p[2:], uint16(seq))
	binary.BigEndian.PutUint32(p[4:], uint32(seq)*160)
	binary.BigEndian.PutUint32(p[8:], ssrc)
	return append(p, payload...)
}

func rtcp(ssrc uint32, n int) []byte {
	p := make([]byte, 28)
	p[0], p[1], p[3] = 0x80, 200, 6
	binary.BigEndian.PutUint32(p[4:], ssrc)
	binary.BigEndian.PutUint32(p[24:], uint32(n))
	return p
}

func keyFor(p crypto.Policy, n byte) []byte {
	return bytes.Repeat([]byte{n, 0x5a, n + 1}, 16)[:p.KeySize()]
}

var (
	cm80   = crypto.AES128CMHMACSHA1_80.Policy()
	cm32   = crypto.AES128CMHMACSHA1_32.Policy()
	gcm128 = crypto.AEADAES128GCM.Policy()
	gcm256 = crypto.AEADAES256GCM.Policy()
)

func setKeys(t testing.TB, to interface {
	SetKeys(crypto.Policy, []byte, bool) error
}, p crypto.Policy, n byte, fresh bool) {
	t.Helper()
	if err := to.SetKeys(p, keyFor(p, n), fresh); err != nil {
		t.Fatal(err)
	}
}

func datas(list []padtest.Packet) (d [][]byte) {
	for _, p := range list {
		d = append(d, p.Data)
	}
	return d
}

func wantPackets(t testing.TB, what string, got []padtest.Packet, want ...[]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d packets, want %d", what, len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i].Data, want[i]) {
			t.Fatalf("%s: packet %d is\n%x, want\n%x", what, i, got[i].Data, want[i])
		}
	}
}

const rtpCaps = "application/x-rtp,media=audio,clock-rate=48000,payload=96"
