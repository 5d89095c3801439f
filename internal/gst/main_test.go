// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
)

// Everything here runs against real GStreamer elements: the test elements are
// written with the layer's own API, the pipelines run through gsttest.

const patience = 10 * time.Second

// expectedCriticals counts what tests provoke in GLib on purpose.
var expectedCriticals int

var logLines struct {
	sync.Mutex
	list []gsttest.LogLine
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gst-test-")
	if err != nil {
		panic(err)
	}
	if os.Getenv("GST_REGISTRY") == "" {
		gsttest.Setenv("GST_REGISTRY", filepath.Join(dir, "registry.bin"))
	}
	gsttest.Init()
	if err := registerAll(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var code int
	if child := os.Getenv("EWT_CHILD"); child != "" {
		children[child]()
	} else {
		gsttest.WatchLog("ewtest:LOG,edgewire:ERROR,GLib*:WARNING", func(l gsttest.LogLine) {
			logLines.Lock()
			defer logLines.Unlock()
			logLines.list = append(logLines.list, l)
		})
		code = m.Run()
		if n := gsttest.Criticals(); n != expectedCriticals && code == 0 {
			fmt.Fprintf(os.Stderr, "FAIL: %d warnings or criticals of GLib and GStreamer, see above; %d are expected\n", n, expectedCriticals)
			code = 1
		}
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// findLog waits for a log line with the text.
func findLog(t *testing.T, text string) gsttest.LogLine {
	t.Helper()
	var found gsttest.LogLine
	eventually(t, "a log line with "+text, func() bool {
		logLines.Lock()
		defer logLines.Unlock()
		for _, l := range logLines.list {
			if strings.Contains(l.Text, text) {
				found = l
				return true
			}
		}
		return false
	})
	return found
}

var testClasses = map[string]*Class{}

// factory declares a test element; it is called by package variables.
func factory(name string, c *Class) *Class {
	c.Name = "Ewt" + strings.ReplaceAll(strings.TrimPrefix(name, "ewt"), "-", "")
	c.LongName, c.Klass, c.Description, c.Author = name, "Testing", "A test element", "gst-edgewire"
	testClasses[name] = c
	return c
}

func registerAll() error {
	return RegisterStatic(&StaticPlugin{
		Name: "ewtest", Description: "test elements", Version: "1", License: "LGPL", Source: "ewtest", Package: "ewtest",
		Origin: "https://example.org/",
		Init: func(p Plugin) error {
			for name, c := range testClasses {
				if err := p.Register(name, RankNone, c); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

var sinkAny = PadTemplate{Name: "sink", Direction: PadSink, Presence: PadAlways, Caps: "ANY"}
var srcAny = PadTemplate{Name: "src", Direction: PadSrc, Presence: PadAlways, Caps: "ANY"}

func launch(t testing.TB, line string) *gsttest.Pipeline {
	t.Helper()
	p, err := gsttest.Launch(line)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	t.Cleanup(p.Close)
	return p
}

func byName(t testing.TB, p *gsttest.Pipeline, name string) *gsttest.Element {
	t.Helper()
	e := p.ByName(name)
	if e == nil {
		t.Fatalf("no element %s", name)
	}
	t.Cleanup(e.Unref)
	return e
}

func makeElement(t testing.TB, factory string) *gsttest.Element {
	t.Helper()
	e, err := gsttest.Make(factory, "")
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func pad(t testing.TB, e *gsttest.Element, name string) *gsttest.Pad {
	t.Helper()
	p := e.StaticPad(name)
	if p == nil {
		t.Fatalf("no pad %s", name)
	}
	t.Cleanup(p.Unref)
	return p
}

func setState(t testing.TB, e *gsttest.Element, s gsttest.State) {
	t.Helper()
	if err := e.SetState(s, patience); err != nil {
		t.Fatalf("to state %d: %v", s, err)
	}
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// within fails if f does not return in time: for what may deadlock.
func within(t testing.TB, d time.Duration, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(d):
		t.Fatalf("%s did not return in %v", what, d)
	}
}

// instOf finds the Go instance behind an element.
func instOf[T any](t testing.TB, e *gsttest.Element) *T {
	t.Helper()
	inst := instanceAt(e.Pointer())
	i, ok := inst.(*T)
	if !ok {
		t.Fatalf("the instance is a %T", inst)
	}
	return i
}

// instanceAt searches the handle table, as only a test may.
func instanceAt(p any) any {
	for _, pg := range *handles.pages.Load() {
		for i := range pg {
			if v := pg[i].value.Load(); v != nil {
				if e, ok := (*v).(*Element); ok && any(e.p) == p {
					return e.inst
				}
			}
		}
	}
	return nil
}

// liveNames tells what the handles in use stand for.
func liveNames() (names []string) {
	for _, pg := range *handles.pages.Load() {
		for i := range pg {
			if v := pg[i].value.Load(); v != nil {
				switch v := (*v).(type) {
				case *Element:
					names = append(names, "element "+v.class.Name)
				case *Pad:
					names = append(names, fmt.Sprintf("pad %q of %s, %d uses", v.Name(), v.owner.class.Name, v.uses.Load()))
				}
			}
		}
	}
	return names
}
