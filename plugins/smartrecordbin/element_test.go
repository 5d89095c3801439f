// SPDX-License-Identifier: LGPL-2.1-or-later

package smartrecordbin

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "smartrecordbin-test-")
	if err != nil {
		panic(err)
	}
	gsttest.Setenv("GST_REGISTRY", filepath.Join(dir, "registry.bin"))
	gsttest.Init()
	err = gst.RegisterStatic(&gst.StaticPlugin{Name: "ewrecordtest", Description: "the element under test", Version: "1", License: "LGPL",
		Source: "ewtest", Package: "ewtest", Origin: "https://example.org/",
		Init: func(p gst.Plugin) error { return p.Register("ewrecord", gst.RankNone, Class) }})
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

// Everything at once, for the race detector: requests, changes of properties, stats, and stops in the middle.
func TestRaces(t *testing.T) {
	dir := t.TempDir()
	p, err := gsttest.Launch("videotestsrc num-buffers=1500 ! video/x-raw,width=64,height=48,framerate=50/1 ! openh264enc gop-size=10 ! h264parse ! " +
		"ewrecord name=r smart-rec-dir-path=" + dir + " ! fakesink")
	if err != nil {
		t.Skip(err)
	}
	defer p.Close()
	r := p.ByName("r")
	for range 3 {
		if err := p.SetState(gsttest.Playing, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for n := range 3 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					switch n {
					case 0:
						r.Emit("start-recording", uint64(i%3*300), uint64(i%4*200), "n")
					case 1:
						r.Emit("stop-recording", uint32(0))
						time.Sleep(5 * time.Millisecond)
					default:
						r.Set("smart-rec-cache", fmt.Sprint(i%5))
						r.Get("stats")
						r.Get("recording")
					}
				}
			}()
		}
		time.Sleep(300 * time.Millisecond)
		if err := p.SetState(gsttest.Null, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		close(stop)
		wg.Wait()
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) == 0 {
		t.Errorf("nothing was recorded: %v", err)
	}
}
