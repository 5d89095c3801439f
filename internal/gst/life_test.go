// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
)

func TestStaleHandles(t *testing.T) {
	var table handleTable
	a := table.put("a")
	if a == 0 || table.get(a) != "a" || table.live() != 1 {
		t.Fatal("put and get")
	}
	table.drop(a)
	b := table.put("b") // takes a's slot
	if table.get(a) != nil || table.get(b) != "b" {
		t.Error("a stale handle finds a stranger")
	}
	table.drop(a) // must not hit b
	table.drop(a)
	if table.get(b) != "b" || table.live() != 1 {
		t.Error("dropping a stale handle hit a stranger")
	}
	for _, h := range []uintptr{0, 1 << slotBits, ^uintptr(0), b + 1, b + 100000} {
		table.drop(h)
		if v := table.get(h); v != nil {
			t.Errorf("handle %#x finds %v", h, v)
		}
	}
	if table.live() != 1 {
		t.Error("dropping nothing changed the count")
	}
}

func TestHandlesFromSeveralThreads(t *testing.T) {
	var table handleTable
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 5000 {
				v := g*100000 + i
				h := table.put(v)
				if got := table.get(h); got != v {
					t.Errorf("got %v, put %v", got, v)
					return
				}
				table.drop(h)
				if table.get(h) == v {
					t.Error("dropped, but there")
					return
				}
			}
		}()
	}
	wg.Wait()
	if table.live() != 0 {
		t.Errorf("%d handles are left", table.live())
	}
}

func rssKB(t *testing.T) int {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc: ", err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(data))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize() / 1024
}

func TestCreateAndDestroyWithoutGrowth(t *testing.T) {
	factories := []string{"ewttag", "ewtcollect", "ewttick", "ewtspread", "ewtprops"}
	cycle := func(n int) {
		for i := range n {
			e := makeElement(t, factories[i%len(factories)])
			switch i % len(factories) {
			case 3:
				e.Release(e.RequestPad("src_%u"))
			case 4:
				e.SetAny("caps", gsttest.Raw("video/x-raw"))
				e.SetAny("strv", []string{"a", "b"})
				e.Get("strv")
			}
			e.Unref()
		}
	}
	settle := func() int {
		runtime.GC()
		return rssKB(t)
	}
	handlesBefore := handles.live()
	cycle(20000)
	before := settle()
	cycle(100000)
	after := settle()
	t.Logf("resident: %d kB, after 100000 more elements %d kB", before, after)
	if after > before+4096 { // an allocator settles late, a leak goes on
		cycle(100000)
		if more := settle(); more > after+4096 {
			t.Errorf("resident memory grew from %d to %d to %d kB", before, after, more)
		}
	}
	if n := handles.live(); n != handlesBefore {
		t.Errorf("%d handles are left", n-handlesBefore)
	}
}

func TestGarbageCollectionWhileDataFlows(t *testing.T) {
	p := launch(t, "fakesrc num-buffers=3000 sizetype=fixed sizemax=100 filltype=pattern ! tee name=t "+
		"t. ! queue ! ewttag ! ewtcollect t. ! queue ! ewtspread ! fakesink sync=false async=false")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	err := p.Run(20 * time.Second)
	close(stop)
	wg.Wait()
	if err != nil {
		t.Error(err)
	}
}

// children are what the test binary does when it calls itself.
var children = map[string]func(){
	"leaks":         func() { everything(false); gsttest.Deinit() },
	"leaks-control": func() { everything(true); gsttest.Deinit() },
}

// everything uses each kind of test element once; with leak it forgets one.
func everything(leak bool) {
	must := func(err error) {
		if err != nil {
			fmt.Println("CHILD FAILED:", err)
			os.Exit(3)
		}
	}
	for _, line := range []string{
		"fakesrc num-buffers=20 ! tee name=t t. ! queue ! ewttag ! ewtcollect t. ! queue ! ewtbin ! fakesink sync=false",
		"videotestsrc num-buffers=5 ! video/x-raw,width=4,height=4 ! ewtcount ! text/x-raw ! fakesink sync=false",
		"ewttick ! fakesink sync=false",
		"fakesrc num-buffers=20 ! ewtspread name=s s. ! queue ! fakesink sync=false s. ! queue ! fakesink sync=false",
	} {
		p, err := gsttest.Launch(line)
		must(err)
		must(p.Run(patience))
		p.Close()
	}
	p, err := gsttest.Launch("ewtpush ! fakesink sync=false")
	must(err)
	must(p.SetState(gsttest.Playing, 5*time.Second))
	p.Close()
	e, err := gsttest.Make("ewtprops", "")
	must(err)
	e.SetAny("caps", gsttest.Raw("video/x-raw"))
	e.SetAny("caps", gsttest.Raw("audio/x-raw"))
	e.Get("caps")
	e.SetAny("structure", gsttest.Raw("s, c=(structure)[t, x=(int)1;]"))
	e.Get("structure")
	e.Unref()
	e, err = gsttest.Make("ewtsignals", "")
	must(err)
	e.Emit("make-caps")
	e.Connect("boxed", func([]any) any { return gsttest.Raw("audio/x-raw") })
	caps := NewCaps("text/x-raw")
	instanceAt(e.Pointer()).(*signaller).Emit("boxed", caps, []byte("x")).(Caps).Unref()
	caps.Unref()
	e.Unref()
	for _, f := range []string{"ewtstillborn", "ewtpanic"} {
		e, err = gsttest.Make(f, "")
		must(err)
		if f == "ewtpanic" {
			e.Release(e.RequestPad("src_%u"))
		}
		e.Unref()
	}
	if leak {
		_, err = gsttest.Make("ewttag", "forgotten")
		must(err)
	}
}

func TestLeaksTracer(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two processes")
	}
	run := func(child string) (alive []string) {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), "EWT_CHILD="+child, "GST_TRACERS=leaks", "GST_DEBUG=GST_TRACER:7", "GST_DEBUG_NO_COLOR=1", "GST_DEBUG_FILE=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", child, err, out)
		}
		for l := range strings.Lines(string(out)) {
			if strings.Contains(l, "object-alive, type-name=(string)") && !strings.Contains(l, "%s") {
				alive = append(alive, l)
			}
		}
		return alive
	}
	if control := run("leaks-control"); len(control) == 0 || !strings.Contains(strings.Join(control, ""), "Ewttag") {
		t.Fatalf("the tracer does not see a leak that is there: %q", control)
	}
	if alive := run("leaks"); len(alive) != 0 {
		t.Errorf("alive at the end:\n%s", strings.Join(alive, ""))
	}
}

// A host may derive from our elements, as Python applications do: the subclass
// works through the class's own vfuncs, properties, signals and pads.
func TestSubclasses(t *testing.T) {
	before := handles.live()
	sub := func(factory string) *gsttest.Element {
		e, err := gsttest.MakeSubclass(factory, "EwtSubOf"+strings.TrimPrefix(factory, "ewt"))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := sub("ewtprops")
	e.SetAny("int", int32(5))
	if e.Get("int") != int32(5) || instOf[propHolder](t, e).i != 5 {
		t.Error("the subclass's property does not reach the instance")
	}
	e.Unref()
	e = sub("ewtsignals")
	if e.Emit("make-caps") != gsttest.Raw("audio/x-raw") || instOf[signaller](t, e).Emit("first-wins", int32(1)) != int32(9) {
		t.Error("the subclass's signals")
	}
	e.Unref()
	e = sub("ewtspread")
	p := e.RequestPad("src_%u")
	e.Release(p)
	e.Unref()

	pipe, err := gsttest.Launch("fakesrc num-buffers=10 name=s ! identity name=i")
	if err != nil {
		t.Fatal(err)
	}
	tag, sink := sub("ewttag"), sub("ewtcollect")
	i := pipe.ByName("i")
	if !pipe.Add(tag) || !pipe.Add(sink) || !i.Link("", tag, "") || !tag.Link("", sink, "") {
		t.Fatal("cannot link subclasses")
	}
	if err := pipe.Run(patience); err != nil {
		t.Error(err)
	}
	if n := instOf[tagger](t, tag).seen.Load(); n != 10 {
		t.Errorf("the subclass saw %d buffers", n)
	}
	for _, x := range []*gsttest.Element{i, tag, sink} {
		x.Unref()
	}
	pipe.Close()
	// A streaming thread of GStreamer's may hold its element a moment longer than the state change takes.
	eventually(t, "the handles' end", func() bool { return handles.live() <= before })
}
