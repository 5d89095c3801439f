// SPDX-License-Identifier: LGPL-2.1-or-later

package lint

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
)

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
