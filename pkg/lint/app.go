// SPDX-License-Identifier: LGPL-2.1-or-later

package lint

import (
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/c2d"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
)

const (
	converterGroup = "message-converter"
	sinkTypeBroker = "6" // NV_DS_SINK_MSG_CONV_BROKER
)

// appGroups are groups of deepstream-app and deepstream-test5, without their numbers: by them a file is known.
var appGroups = []string{"application", "tiled-display", "source", "source-list", "source-attr-all", "streammux", "osd", "pre-process",
	"primary-gie", "secondary-gie", "tracker", "nvds-analytics", "tests", "img-save", "dsexample"}

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
