// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/internal/gst/gsttest"
)

// teller posts what a test asks it to, when it starts.
type teller struct {
	*Element
	tell func(*teller)
}

func (x *teller) ChangeState(t StateChange) StateChangeReturn {
	if t == NullToReady && x.tell != nil {
		x.tell(x)
	}
	return x.ParentChangeState(t)
}

var _ = factory("ewttell", &Class{
	Parent: ParentElement, Proto: (*teller)(nil), New: func(e *Element) any { return &teller{Element: e} },
})

var testLog = NewCategory("ewtest", "the layer's tests")

func told(t *testing.T, tell func(*teller)) *gsttest.Message {
	t.Helper()
	p := launch(t, "ewttell name=x")
	instOf[teller](t, byName(t, p, "x")).tell = tell
	setState(t, &p.Element, gsttest.Ready)
	m := p.Wait(gsttest.Error|gsttest.Warning|gsttest.Info|gsttest.ElementMsg, patience)
	if m == nil || m.Source != "x" {
		t.Fatalf("got %v", m)
	}
	return m
}

func TestErrorsWarningsInfos(t *testing.T) {
	place := regexp.MustCompile(`^message_test\.go\(\d+\): .*internal/gst\.TestErrorsWarningsInfos\.func\d+ \(\): /GstPipeline:.*/Ewttell:x`)
	for _, c := range []struct {
		tell   func(*teller)
		kind   gsttest.MessageType
		domain string
		code   int
		text   string
		debug  string
	}{
		{func(x *teller) { x.Error(ResourceNotFound, "no such thing", "looked everywhere") }, gsttest.Error, "gst-resource-error-quark", 3, "no such thing", "looked everywhere"},
		{func(x *teller) { x.Error(CoreFailed, "core", "") }, gsttest.Error, "gst-core-error-quark", 1, "core", ""},
		{func(x *teller) { x.Warning(StreamEncode, "cannot encode", "d") }, gsttest.Warning, "gst-stream-error-quark", 8, "cannot encode", "d"},
		{func(x *teller) { x.Info(LibrarySettings, "as you wish", "d") }, gsttest.Info, "gst-library-error-quark", 5, "as you wish", "d"},
		{func(x *teller) { x.Warning(ResourceWrite, "not\xffUTF-8 \x00 100%s", "") }, gsttest.Warning, "gst-resource-error-quark", 10, "not\uFFFDUTF-8 \uFFFD 100%s", ""},
	} {
		m := told(t, c.tell)
		if m.Type != c.kind || m.Domain != c.domain || m.Code != c.code || m.Text != c.text ||
			!place.MatchString(m.Debug) || !strings.HasSuffix(m.Debug, c.debug) {
			t.Errorf("got %v", m)
		}
	}
}

func TestElementMessage(t *testing.T) {
	m := told(t, func(x *teller) {
		if !x.PostMessage(Structure{Name: "news", Fields: []Field{{"n", int32(3)}, {"b", []byte("x")}}}) {
			t.Error("no bus took it")
		}
	})
	if m.Type != gsttest.ElementMsg || m.Name != "news" || !reflect.DeepEqual(m.Fields, map[string]any{"n": int32(3), "b": []byte("x")}) {
		t.Errorf("got %v", m)
	}
}

func TestDebugCategory(t *testing.T) {
	logLines.Lock()
	logLines.list = nil
	logLines.Unlock()
	e := makeElement(t, "ewttell")
	defer e.Unref()
	x := instOf[teller](t, e)
	if !testLog.Enabled(LevelLog) || testLog.Enabled(LevelTrace) {
		t.Error("the threshold LOG is not respected")
	}
	testLog.Log(LevelTrace, nil, "too fine to be shown")
	testLog.Log(LevelInfo, x.Element, "with %s and a\x00NUL", "an element")
	testLog.Log(LevelWarning, nil, "100%% without an element")
	l := findLog(t, "with an element")
	if l.Category != "ewtest" || l.Level != int(LevelInfo) || l.File != "message_test.go" || l.Line == 0 ||
		!strings.HasSuffix(l.Function, "gst.TestDebugCategory") || l.Object != x.Name() || l.Text != "with an element and a\uFFFDNUL" {
		t.Errorf("%+v", l)
	}
	if l := findLog(t, "100%"); l.Object != "" || l.Text != "100% without an element" {
		t.Errorf("%+v", l)
	}
	logLines.Lock()
	defer logLines.Unlock()
	for _, l := range logLines.list {
		if strings.Contains(l.Text, "too fine") {
			t.Errorf("%+v", l)
		}
	}
}

// What is left of an element after its end answers with a Go panic, which every
// callback and every goroutine of ours recovers, and touches no freed memory.
func TestAnElementAfterItsEnd(t *testing.T) {
	e := makeElement(t, "ewttell")
	x := instOf[teller](t, e)
	e.Unref()
	if x.Pointer() != nil {
		t.Error("it still has a pointer")
	}
	for name, f := range map[string]func(){
		"Name": func() { x.Name() }, "Error": func() { x.Error(CoreFailed, "x", "") }, "Notify": func() { x.Notify("name") },
		"PostMessage": func() { x.PostMessage(Structure{Name: "x"}) }, "RunningTime": func() { x.RunningTime() },
		"ParentChangeState": func() { x.ParentChangeState(NullToReady) },
	} {
		func() {
			defer func() {
				if v, _ := recover().(string); v != "a Ewttell is used after its end" {
					t.Errorf("%s: %v", name, v)
				}
			}()
			f()
		}()
	}
	testLog.Log(LevelInfo, x.Element, "from beyond")
	findLog(t, "from beyond")
}

func TestVersionAndEnvironment(t *testing.T) {
	if major, minor, _ := Version(); major != 1 || minor < 20 {
		t.Errorf("version %d.%d", major, minor)
	}
	gsttest.Setenv("EWT_LATE", "set by the host after Go started")
	if got := Getenv("EWT_LATE"); got != "set by the host after Go started" {
		t.Errorf("%q", got)
	}
	if got := Getenv("EWT_NEVER"); got != "" {
		t.Errorf("%q", got)
	}
}
