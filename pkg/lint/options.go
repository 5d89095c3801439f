// SPDX-License-Identifier: LGPL-2.1-or-later

package lint

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
	"github.com/gst-edgewire/gst-edgewire/pkg/payload"
)

// An option is a key of the application that becomes a property of an element.
type option struct {
	key, element, property string
	check                  func(path string, e dsconfig.Entry) error // nil: any text
	ignored                string                                    // why it does nothing; "" means that it is honoured
}

// options are the keys of messages in a sink of type 6 (deepstream_sinks.h: NvDsSinkMsgConvBrokerConfig, and the
// parsers of its keys). Those of the converter may stand in [message-converter] too, for deepstream-test5.
var options = []option{
	{"msg-conv-config", "nvmsgconv", "config", nil, ""},
	{"msg-conv-payload-type", "nvmsgconv", "payload-type", isPayloadType, ""},
	{"msg-conv-msg2p-lib", "nvmsgconv", "msg2p-lib", isLibrary, ""},
	{"msg-conv-comp-id", "nvmsgconv", "comp-id", isUint(0), ""},
	{"msg-conv-frame-interval", "nvmsgconv", "frame-interval", isUint(1), ""},
	{"msg-conv-msg2p-new-api", "nvmsgconv", "msg2p-newapi", isBool, ""},
	{"msg-conv-dummy-payload", "nvmsgconv", "dummy-payload", isBool, ""},
	{"debug-payload-dir", "nvmsgconv", "debug-payload-dir", isFolder, ""},
	{"multiple-payloads", "nvmsgconv", "multiple-payloads", isBool, "the built-in schemas make one message either way"},

	{"msg-broker-proto-lib", "nvmsgbroker", "proto-lib", nil, ""},
	{"msg-broker-conn-str", "nvmsgbroker", "conn-str", nil, ""},
	{"msg-broker-config", "nvmsgbroker", "config", nil, ""},
	{"msg-broker-comp-id", "nvmsgbroker", "comp-id", isUint(0), ""},
	{"topic", "nvmsgbroker", "topic", nil, ""},
	{"new-api", "nvmsgbroker", "new-api", isBool, "both values use one connection, which always reconnects"},
	{"sync", "nvmsgbroker", "sync", isInt, ""},
}

// applicationKeys are those of a sink that the application itself uses.
var applicationKeys = []string{"enable", "type", "source-id", "link-to-demux", "qos", "gpu-id", "nvbuf-memory-type"}

func isBool(_ string, e dsconfig.Entry) error { _, err := e.Bool(); return err }

func isInt(_ string, e dsconfig.Entry) error {
	_, err := e.IntRange(math.MinInt32, math.MaxInt32)
	return err
}

func isUint(least int64) func(string, dsconfig.Entry) error {
	return func(_ string, e dsconfig.Entry) error { _, err := e.IntRange(least, math.MaxUint32); return err }
}

// The payload types that only a library makes.
const typeReserved, typeCustom = 256, 257

// isPayloadType asks the encoder.
func isPayloadType(_ string, e dsconfig.Entry) error {
	n, err := e.Int()
	if err != nil || n == typeReserved || n == typeCustom {
		return err
	}
	if _, err := payload.New(payload.Options{Type: payload.Type(n)}); err != nil {
		return e.Errorf("write 0 (full), 1 (minimal), 2 (protobuf), or 257 with msg-conv-msg2p-lib", "there is no payload type %d", n)
	}
	return nil
}

// isLibrary looks for the file. DeepStream's own library need not be there.
func isLibrary(path string, e dsconfig.Entry) error {
	lib, err := pathOf(path, e)
	if err != nil || lib == "" || filepath.Base(lib) == payload.StockLibrary {
		return err
	}
	if st, err := os.Stat(lib); err != nil || st.IsDir() {
		return e.Errorf("check the path; it is relative to the folder of this file", "there is no library %s", lib)
	}
	return nil
}

// libraryOf is the name of the converter library that a group names, "" for none.
func libraryOf(g *dsconfig.Group) string {
	lib, err := text(g, "msg-conv-msg2p-lib")
	if err != nil || lib == "" {
		return ""
	}
	return filepath.Base(lib)
}

func isFolder(path string, e dsconfig.Entry) error {
	dir, err := pathOf(path, e)
	if err != nil || dir == "" {
		return err
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return e.Errorf("make the folder, or remove the key", "there is no such folder")
	}
	return nil
}

// options looks at the keys that become properties of these elements.
func (a *application) options(g *dsconfig.Group, elements ...string) {
	var known []string
	for _, o := range options {
		if slices.Contains(elements, o.element) {
			known = append(known, o.key)
		}
	}
	own, without := 0, false
	if e, ok := g.Get("disable-msgconv"); ok && slices.Contains(elements, "nvmsgbroker") {
		var err error
		if without, err = e.Bool(); err != nil {
			a.add(wrong(a.kf.Path, err))
		} else {
			a.add(onEntry(a.kf.Path, g, e, Honoured, "by the application"))
		}
	}
	for _, e := range g.Entries {
		if e.Key == "disable-msgconv" && slices.Contains(elements, "nvmsgbroker") {
			continue
		}
		at := slices.IndexFunc(options, func(o option) bool { return o.key == e.Key && slices.Contains(elements, o.element) })
		if at < 0 {
			near := dsconfig.Nearest(e.Key, known)
			switch {
			case slices.Contains(applicationKeys, e.Key):
				own++
			case near != "":
				f := onEntry(a.kf.Path, g, e, Warned, "the application does not know this key")
				f.Remedy = "did you mean " + near + "?"
				a.add(f)
			case strings.HasPrefix(e.Key, "msg-"):
				f := onEntry(a.kf.Path, g, e, Warned, "the application does not know this key")
				f.Remedy = "known are " + strings.Join(known, ", ")
				a.add(f)
			default:
				own++
			}
			continue
		}
		o := options[at]
		if without && o.element == "nvmsgconv" {
			a.add(onEntry(a.kf.Path, g, e, Ignored, "disable-msgconv leaves nvmsgconv out"))
			continue
		}
		if o.check != nil {
			if err := o.check(a.kf.Path, e); err != nil {
				a.add(wrong(a.kf.Path, err))
				continue
			}
		}
		lib := libraryOf(g)
		if n, _ := e.Int(); e.Key == "msg-conv-payload-type" && n >= typeReserved && (lib == "" || lib == payload.StockLibrary) {
			f := onEntry(a.kf.Path, g, e, Warned, "without a library of one's own there are no messages of payload type %d, or placeholders alone", n)
			f.Remedy = "name the library that makes them with msg-conv-msg2p-lib, or write 0 (full), 1 (minimal) or 2 (protobuf)"
			a.add(f)
			continue
		}
		switch {
		case e.Key == "multiple-payloads" && lib != "" && lib != payload.StockLibrary:
			o.ignored = ""
		case e.Key == "msg-conv-msg2p-lib" && lib == payload.StockLibrary:
			a.add(onEntry(a.kf.Path, g, e, Honoured, "by the built-in schemas, which are those of that library"))
			continue
		case e.Key == "msg-broker-proto-lib" || e.Key == "msg-broker-conn-str":
			continue // connection tells
		case e.Key == "msg-conv-config" || e.Key == "msg-broker-config":
			if !a.file(g, e) {
				continue
			}
		}
		if o.ignored != "" {
			a.add(onEntry(a.kf.Path, g, e, Ignored, "%s", o.ignored))
		} else {
			a.add(onEntry(a.kf.Path, g, e, Honoured, "as %s of %s", o.property, o.element))
		}
	}
	if own > 0 {
		a.add(Finding{File: a.kf.Path, Line: g.Line, Group: g.Name, Verdict: Passed, Text: plural(own, "key") + " of the application's own"})
	}
}
