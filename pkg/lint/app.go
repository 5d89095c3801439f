// SPDX-License-Identifier: LGPL-2.1-or-later

package lint

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/c2d"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
	"github.com/gst-edgewire/gst-edgewire/pkg/payload"
)

const (
	converterGroup = "message-converter"
	sinkTypeBroker = "6" // NV_DS_SINK_MSG_CONV_BROKER
)

// appGroups are groups of deepstream-app and deepstream-test5, without their numbers: by them a file is known.
var appGroups = []string{"application", "tiled-display", "source", "source-list", "source-attr-all", "streammux", "osd", "pre-process",
	"primary-gie", "secondary-gie", "tracker", "nvds-analytics", "tests", "img-save", "dsexample"}

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
	{"msg-conv-msg2p-lib", "nvmsgconv", "msg2p-lib", isNoLibrary, ""},
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

// isPayloadType asks the encoder.
func isPayloadType(_ string, e dsconfig.Entry) error {
	n, err := e.Int()
	if err != nil {
		return err
	}
	if _, err := payload.New(payload.Options{Type: payload.Type(n)}); err != nil {
		return e.Errorf("write 0 (full), 1 (minimal) or 2 (protobuf)", "there is no built-in schema for payload type %d", n)
	}
	return nil
}

// isNoLibrary says what msgconv says at start.
func isNoLibrary(_ string, e dsconfig.Entry) error {
	if strings.TrimSpace(e.Raw) == "" {
		return nil
	}
	return e.Errorf("remove it, and choose payload type 0, 1 or 2", "converter libraries are not supported by this version")
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

// pathOf is a path in a file of the application: relative to its folder.
func pathOf(file string, e dsconfig.Entry) (string, error) {
	text, err := e.Text()
	text = strings.TrimSpace(text)
	if err != nil || text == "" || filepath.IsAbs(text) {
		return text, err
	}
	return filepath.Join(filepath.Dir(file), text), nil
}

func text(g *dsconfig.Group, key string) (string, error) {
	e, _ := g.Get(key)
	s, err := e.Text()
	return strings.TrimSpace(s), err
}

// app looks at a file of deepstream-app or deepstream-test5.
func (l *Linter) app(kf *dsconfig.KeyFile) {
	a := &application{l: l, kf: kf}
	for _, w := range kf.Warnings {
		if a.ours(w.Group) {
			a.found = append(a.found, warning(w))
		}
	}
	for _, g := range kf.Groups {
		stem := strings.TrimRight(g.Name, "0123456789")
		switch {
		case stem == "sink" && stem != g.Name:
			a.sink(g)
		case g.Name == converterGroup:
			a.converter(g)
		case strings.HasPrefix(g.Name, c2d.ConsumerPrefix):
			a.consumer(g)
		case g.Name == brokerGroup:
			a.brokers = g
		default:
			if n := dsconfig.Nearest(stem, []string{converterGroup, c2d.ConsumerPrefix, brokerGroup}); n != "" && !slices.Contains(appGroups, stem) {
				a.add(Finding{File: kf.Path, Line: g.Line, Group: g.Name, Verdict: Warned, Text: "nobody reads this group",
					Remedy: "did you mean [" + n + strings.TrimPrefix(g.Name, stem) + "]?"})
				continue
			}
			a.others = append(a.others, g.Name)
		}
	}
	if a.brokers != nil && !a.self {
		a.add(Finding{File: kf.Path, Line: a.brokers.Line, Group: brokerGroup, Verdict: Warned, Text: "no msg-broker-config or config-file names this file, so nobody reads the group",
			Remedy: "name it, or put the group into a file of its own"})
	}
	l.report(append(a.found, passedOver(kf.Path, "the application's own", a.others)...))
	for _, visit := range a.later {
		visit()
	}
}

// An application is a file of one, while it is looked at.
type application struct {
	l       *Linter
	kf      *dsconfig.KeyFile
	found   []Finding
	others  []string
	later   []func() // files that it names
	brokers *dsconfig.Group
	self    bool // it is its own file of an adaptor
}

func (a *application) add(f Finding) { a.found = append(a.found, f) }

func (a *application) ours(group string) bool {
	return strings.HasPrefix(group, "sink") || strings.HasPrefix(group, "message-")
}

// off says why a group does nothing, and an error when enable is wrong.
func off(g *dsconfig.Group) (string, error) {
	e, ok := g.Get("enable")
	if !ok {
		return "it has no enable=1", nil
	}
	on, err := e.Bool()
	if n, ierr := e.Int(); err != nil && ierr == nil {
		on, err = n != 0, nil // deepstream-test5 has enable=2 and 3
	}
	if err != nil || on {
		return "", err
	}
	return "enable=0", nil
}

func (a *application) sink(g *dsconfig.Group) {
	kind, _ := text(g, "type")
	isBroker := kind == sinkTypeBroker
	if !isBroker {
		for _, e := range g.Entries {
			if strings.HasPrefix(e.Key, "msg-") {
				a.add(onEntry(a.kf.Path, g, e, Warned, "the sink has not the type 6, which alone publishes messages"))
			}
		}
		a.others = append(a.others, g.Name)
		return
	}
	why, err := off(g)
	if err != nil {
		a.add(wrong(a.kf.Path, err))
	}
	if why != "" {
		a.add(Finding{File: a.kf.Path, Line: g.Line, Group: g.Name, Verdict: Ignored, Text: "the sink is off: " + why})
		return
	}
	a.options(g, "nvmsgconv", "nvmsgbroker")
	a.connection(g, "msg-broker-proto-lib", "msg-broker-conn-str", "msg-broker-config", true)
}

func (a *application) converter(g *dsconfig.Group) {
	why, err := off(g)
	if err != nil {
		a.add(wrong(a.kf.Path, err))
	}
	if why != "" {
		a.add(Finding{File: a.kf.Path, Line: g.Line, Group: g.Name, Verdict: Ignored, Text: "the group is off: " + why})
		return
	}
	a.options(g, "nvmsgconv")
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
		switch {
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

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// file checks that a file can be read, and has it looked at.
func (a *application) file(g *dsconfig.Group, e dsconfig.Entry) bool {
	path, err := pathOf(a.kf.Path, e)
	if err != nil {
		a.add(wrong(a.kf.Path, err))
		return false
	}
	if path == "" {
		a.add(onEntry(a.kf.Path, g, e, Ignored, "it is empty"))
		return false
	}
	data, err := read(path)
	if err != nil {
		cause := err.Error()
		var de *dsconfig.Error
		if errors.As(err, &de) {
			cause = de.Cause
		}
		a.add(wrong(a.kf.Path, e.Errorf("check the path; it is relative to the folder of this file", "%s: %s", path, cause)))
		return false
	}
	if e.Key == "msg-conv-config" {
		a.later = append(a.later, func() { a.l.static(path, data) })
	}
	return true
}

// connection looks at where messages go to or come from, and at the adaptor's file.
func (a *application) connection(g *dsconfig.Group, protoKey, connKey, fileKey string, publishes bool) {
	failed := func(cause, remedy string) {
		a.add(Finding{File: a.kf.Path, Line: g.Line, Group: g.Name, Verdict: Wrong, Text: cause, Remedy: remedy})
	}
	proto, err := text(g, protoKey)
	protoEntry, hasProto := g.Get(protoKey)
	if err != nil {
		a.add(wrong(a.kf.Path, err))
		return
	}
	if proto == "" {
		failed(protoKey+" is not set", "name the protocol, as in "+protoKey+"=kafka (known are "+strings.Join(adapters.Names(), ", ")+")")
		return
	}
	conn, err := text(g, connKey)
	connEntry, hasConn := g.Get(connKey)
	if err != nil {
		a.add(wrong(a.kf.Path, err))
		return
	}
	fileEntry, _ := g.Get(fileKey)
	file, _ := pathOf(a.kf.Path, fileEntry)
	if conn == "" && file == "" {
		failed("neither "+connKey+" nor "+fileKey+" is set", "say where the broker is, as in "+connKey+"=localhost;9092;my-topic")
	}
	protocol, foreign, err := resolve(proto)
	if err != nil {
		a.add(wrong(a.kf.Path, protoEntry.Errorf("", "%v", err)))
		return
	}
	if hasProto {
		switch {
		case foreign:
			a.add(onEntry(a.kf.Path, g, protoEntry, Honoured, "as a library of others, which is loaded; what it makes of its configuration is not checked"))
		case proto == protocol:
			a.add(onEntry(a.kf.Path, g, protoEntry, Honoured, ""))
		default:
			a.add(onEntry(a.kf.Path, g, protoEntry, Honoured, "as the built-in %s", protocol))
		}
	}
	if foreign {
		if hasConn {
			a.add(onEntry(a.kf.Path, g, connEntry, Honoured, "by the library"))
		}
		return
	}
	if file != "" && sameFile(file, a.kf.Path) {
		a.self = true
	}
	info, bad := a.probe(file, protocol, conn)
	switch {
	case bad != nil && hasConn && conn != "":
		a.add(wrong(a.kf.Path, connEntry.Errorf("", "%v", bad)))
		return
	case bad != nil && protocol == "azure_edge" && conn == "":
		a.add(Finding{File: a.kf.Path, Line: g.Line, Group: g.Name, Verdict: Warned, Text: bad.Error()}) // the device may have what we lack
		return
	case bad != nil:
		failed(bad.Error(), "")
		return
	case hasConn:
		note := ""
		if _, ok := g.Get("topic"); publishes && !ok && info.Topic != "" {
			note = "with the topic in it"
			if a.splits(protocol, conn) == "" {
				note = ""
			}
		}
		a.add(onEntry(a.kf.Path, g, connEntry, Honoured, "%s", note))
	}
	if topic, _ := text(g, "topic"); publishes && topic != "" {
		if err := adapters.RulesOf(describer(protocol)).CheckTopic(topic); err != nil {
			e, _ := g.Get("topic")
			a.found = slices.DeleteFunc(a.found, func(f Finding) bool { return f.Group == g.Name && f.Key == "topic" && f.Verdict == Honoured })
			a.add(wrong(a.kf.Path, e.Errorf("correct the name, without quotation marks", "%v", err)))
		}
	}
	if topic, _ := text(g, "topic"); publishes && topic == "" && info.Topic == "" && a.readable(file) {
		failed("no topic is set", "write topic=NAME, or name it as the third part of "+connKey+", as in localhost;9092;my-topic")
	}
}

// splits is the topic in a connection string.
func (a *application) splits(protocol, conn string) string {
	d, _ := adapters.Lookup(protocol)
	if s, ok := d.(adapters.Splitter); ok {
		_, topic, _ := s.SplitConnStr(conn)
		return topic
	}
	return ""
}

func (a *application) readable(file string) bool {
	if file == "" {
		return true
	}
	_, err := read(file)
	return err == nil
}

// probe asks the adapter. What it says about its file is reported after the application's own file.
func (a *application) probe(file, protocol, conn string) (adapters.Info, error) {
	if file != "" && a.readable(file) {
		sub := &Linter{seen: a.l.seen}
		if conn == "" {
			// The file must name the server then: without one it is as wrong as conn-str would be.
			info, err := describer(protocol).Check(adapters.Config{ConfigPath: file}, func(adapters.LogEntry) {})
			sub.adaptor(file, protocol, "")
			a.later = append(a.later, func() { a.l.take(sub) })
			if f := (Finding{}); err != nil {
				if f = wrong(file, err); f.Line == 0 {
					return info, fmt.Errorf("%s", f.Text+"; "+f.Remedy)
				}
			}
			return info, nil
		}
		info, bad := sub.adaptor(file, protocol, conn)
		a.later = append(a.later, func() { a.l.take(sub) })
		return info, bad
	}
	info, err := describer(protocol).Check(adapters.Config{ConnStr: conn, Strict: true}, func(adapters.LogEntry) {})
	if err != nil && file == "" {
		return info, hide(err, conn)
	}
	return info, nil
}

// take adds the findings of another.
func (l *Linter) take(other *Linter) {
	l.findings = append(l.findings, other.findings...)
	l.files += other.files
}

func sameFile(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// resolve is adapters.ResolveProtoLib, but a library of others is not loaded.
func resolve(value string) (protocol string, foreign bool, err error) {
	path, asked := strings.CutPrefix(value, adapters.LibraryPrefix)
	if !asked {
		if protocol, _, err = adapters.ResolveProtoLib(value); err == nil || !errors.Is(err, adapters.ErrNoLoader) {
			return protocol, false, err
		}
	}
	path = strings.TrimPrefix(path, "//")
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() {
		return "", false, fmt.Errorf("there is no library %q; write the whole path, or the name of a protocol (known are %s)", path, strings.Join(adapters.Names(), ", "))
	}
	return "", true, nil
}

// consumer looks at a [message-consumerN] group.
func (a *application) consumer(g *dsconfig.Group) {
	e, ok := g.Get("enable")
	if on, err := e.Bool(); !ok || (err == nil && !on) {
		a.add(Finding{File: a.kf.Path, Line: g.Line, Group: g.Name, Verdict: Ignored, Text: "the group is off (enable)"})
		return
	}
	work := dsconfig.KeyFile{Path: a.kf.Path, Groups: []*dsconfig.Group{g}}
	t := &trial{path: a.kf.Path}
	for {
		_, _, _, err := c2d.ReadConsumer(a.kf.Path, work.Groups[0])
		if err == nil {
			break
		}
		f := wrong(a.kf.Path, err)
		if f.File == a.kf.Path && f.Group == g.Name {
			t.found = append(t.found, f)
		}
		if t.cut = len(t.found) >= maxMistakes; t.cut || f.Key == "" || !drop(&work, f) {
			break // also a mistake in the sensor list, which is looked at below
		}
	}
	tells := len(t.found) == 0
	t.keys(g, func(e dsconfig.Entry) Finding {
		f := onEntry(a.kf.Path, g, e, Honoured, "")
		switch e.Key {
		case "proto-lib", "conn-str":
			if tells {
				f.Verdict = "" // connection tells
			}
		case "config-file":
			if !a.file(g, e) {
				f.Verdict = ""
			}
		case "sensor-list-file":
			if path, err := pathOf(a.kf.Path, e); err == nil && path != "" {
				a.later = append(a.later, func() { a.l.sensors(path) })
			}
		}
		return f
	})
	t.found = slices.DeleteFunc(t.found, func(f Finding) bool { return f.Verdict == "" })
	a.found = append(a.found, t.found...)
	if tells {
		a.connection(g, "proto-lib", "conn-str", "config-file", false)
	}
}
