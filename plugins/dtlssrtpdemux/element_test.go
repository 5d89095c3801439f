// SPDX-License-Identifier: LGPL-2.1-or-later

package dtlssrtpdemux

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
	"github.com/gst-edgewire/gst-edgewire/plugins/srtp/padtest"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "demux-test-")
	if err != nil {
		panic(err)
	}
	gsttest.Setenv("GST_REGISTRY", filepath.Join(dir, "registry.bin"))
	gsttest.Init()
	err = gst.RegisterStatic(&gst.StaticPlugin{Name: "ewdemuxtest", Description: "the element under test", Version: "1", License: "LGPL",
		Source: "ewtest", Package: "ewtest", Origin: "https://example.org/",
		// Not under its own name: the system may have an element that is called so.
		Init: func(p gst.Plugin) error { return p.Register("ewdemux", gst.RankNone, Class) }})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if n := gsttest.Criticals(); n != 0 && code == 0 {
		fmt.Fprintf(os.Stderr, "FAIL: %d warnings or criticals, see above\n", n)
		code = 1
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

type ends struct {
	el        *gsttest.Element
	in        *padtest.Src
	rtp, dtls *padtest.Sink
}

func start(t testing.TB) ends {
	t.Helper()
	el, err := gsttest.Make("ewdemux", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := el.SetState(gsttest.Playing, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	e := ends{el, padtest.NewSrc(el.Pointer(), "sink"), padtest.NewSink(el.Pointer(), "rtp_src", false),
		padtest.NewSink(el.Pointer(), "dtls_src", false)}
	e.in.Start("", 0)
	t.Cleanup(func() {
		el.SetState(gsttest.Null, 0)
		e.in.Close()
		e.rtp.Close()
		e.dtls.Close()
		el.Unref()
	})
	return e
}

var hows = []padtest.How{padtest.Plain, padtest.Shared, padtest.Parts, padtest.ReadOnly, padtest.Meta}

// Every first byte, by RFC 7983 section 7.
func TestEveryFirstByte(t *testing.T) {
	e := start(t)
	var list [][]byte
	for b := range 256 {
		list = append(list, []byte{byte(b), 1, 2})
	}
	for _, how := range hows {
		for _, b := range list {
			if ret := e.in.Push(b, 0, how); ret != 0 {
				t.Fatalf("%x: %d", b, ret)
			}
		}
		if ret := e.in.Push(nil, 0, how); ret != 0 {
			t.Fatalf("empty: %d", ret)
		}
		if ret := e.in.PushList(list, how); ret != 0 {
			t.Fatalf("list: %d", ret)
		}
		check := func(name string, s *padtest.Sink, from, to byte) {
			t.Helper()
			got := s.Take()
			if len(got) != 2*(int(to-from)+1) {
				t.Fatalf("%s: %d datagrams", name, len(got))
			}
			for i, p := range got {
				if want := from + byte(i%(len(got)/2)); p.Data[0] != want {
					t.Fatalf("%s: %d, want %d", name, p.Data[0], want)
				}
			}
		}
		check("rtp_src", e.rtp, 128, 191)
		check("dtls_src", e.dtls, 20, 63)
	}
	n := uint64(2 * len(hows))
	want := map[string]any{"dropped-stun": 4 * n, "dropped-zrtp": 4 * n, "dropped-turn": 16 * n, "dropped-empty": n / 2,
		"dropped-other": (256 - 64 - 44 - 24) * n}
	got := e.el.Get("stats").(gsttest.Structure).Fields
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s = %v, want %v", k, got[k], v)
		}
	}
}

// A list of one kind goes on as it is.
func TestListsStayLists(t *testing.T) {
	e := start(t)
	e.in.PushList([][]byte{{128}, {129}, {191}}, padtest.Plain)
	e.in.PushList([][]byte{{20}, {63}}, padtest.Plain)
	if e.rtp.Lists() != 1 || e.dtls.Lists() != 1 || e.rtp.Count() != 3 || e.dtls.Count() != 2 {
		t.Errorf("%d lists of %d, %d lists of %d", e.rtp.Lists(), e.rtp.Count(), e.dtls.Lists(), e.dtls.Count())
	}
	if ret := e.in.PushList([][]byte{{1}, {}, {99}}, padtest.Plain); ret != 0 {
		t.Errorf("a list that is dropped: %d", ret)
	}
}

func TestFlows(t *testing.T) {
	e := start(t)
	e.dtls.Close()
	if ret := e.in.Push([]byte{22}, 0, padtest.Plain); ret != 0 {
		t.Errorf("dtls_src unlinked: %d", ret)
	}
	if ret := e.in.PushList([][]byte{{22}, {128}}, padtest.Plain); ret != 0 || e.rtp.Count() != 1 {
		t.Errorf("dtls_src unlinked, a mixed list: %d", ret)
	}
	e.rtp.Answer(-3)
	if ret := e.in.Push([]byte{128}, 0, padtest.Plain); ret != -3 {
		t.Errorf("EOS: %d", ret)
	}
	e.rtp.Close()
	for _, b := range []byte{22, 128} {
		if ret := e.in.Push([]byte{b}, 0, padtest.Plain); ret != -1 {
			t.Errorf("both unlinked: %d", ret)
		}
	}
	if ret := e.in.PushList([][]byte{{22}, {128}}, padtest.Plain); ret != -1 {
		t.Errorf("both unlinked, a mixed list: %d", ret)
	}
}

func TestEventsGoBothWays(t *testing.T) {
	e := start(t)
	e.in.EOS()
	for _, s := range []*padtest.Sink{e.rtp, e.dtls} {
		ev := s.Events()
		if len(ev) == 0 || ev[len(ev)-1] != "eos" {
			t.Errorf("%v", ev)
		}
	}
}

func BenchmarkDemux(b *testing.B) {
	for _, list := range []int{1, 32} {
		b.Run(fmt.Sprint("list", list), func(b *testing.B) {
			e := start(b)
			e.rtp.Forget()
			n := (b.N + list - 1) / list * list
			took := e.in.Bench(n, list, 100, 1, 0)
			b.ReportMetric(float64(took)/float64(n), "cpu-ns/packet")
		})
	}
}
