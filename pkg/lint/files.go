// SPDX-License-Identifier: LGPL-2.1-or-later

package lint

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
	"github.com/gst-edgewire/gst-edgewire/pkg/c2d"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
)

const brokerGroup = settings.GroupName

// reconnect looks at cfg_nvmsgbroker.txt.
func (l *Linter) reconnect(kf *dsconfig.KeyFile) {
	t := &trial{path: kf.Path}
	work := *kf
	for {
		_, err := broker.ReadReconnect(&work)
		if err == nil {
			break
		}
		f := wrong(kf.Path, err)
		t.found = append(t.found, f)
		if t.cut = f.Line == 0 || len(t.found) >= maxMistakes || !drop(&work, f); t.cut {
			break
		}
	}
	for _, w := range kf.Warnings {
		t.found = append(t.found, warning(w))
	}
	var others []string
	for _, g := range kf.Groups {
		if g.Name != broker.ReconnectGroup {
			others = append(others, g.Name)
			continue
		}
		t.keys(g, func(e dsconfig.Entry) Finding {
			switch e.Key {
			case "work-interval":
				return onEntry(kf.Path, g, e, Ignored, "nothing is polled here")
			case "retry-interval":
				return onEntry(kf.Path, g, e, Honoured, "as the first pause; pauses double up to max-retry-interval, with jitter")
			}
			return onEntry(kf.Path, g, e, Honoured, "")
		})
	}
	t.found = append(t.found, Finding{File: kf.Path, Verdict: Ignored,
		Text: "the elements read this file where reconnect-config or the environment's EDGEWIRE_RECONNECT_CONFIG names it"})
	l.report(append(t.found, passedOver(kf.Path, "not read", others)...))
}

// drop takes the key of a finding out of a copy of its group.
func drop(kf *dsconfig.KeyFile, f Finding) bool {
	for i, g := range kf.Groups {
		at := slices.IndexFunc(g.Entries, func(e dsconfig.Entry) bool { return e.Line == f.Line && e.Key == f.Key })
		if g.Name != f.Group || at < 0 {
			continue
		}
		own := *g
		own.Entries = slices.Delete(slices.Clone(g.Entries), at, at+1)
		kf.Groups = slices.Clone(kf.Groups)
		kf.Groups[i] = &own
		return true
	}
	return false
}

// static looks at a file of nvmsgconv.
func (l *Linter) static(path string, data []byte) {
	if !l.once("static", path) {
		return
	}
	t := &trial{path: path, data: data}
	var warnings []dsconfig.Warning
	for range len(data)/2 + 2 {
		static, w, err := dsconfig.LoadData(path, t.data)
		warnings = w
		if err == nil {
			if strings.EqualFold(filepath.Ext(path), ".csv") {
				t.found = append(t.found, Finding{File: path, Verdict: Honoured, Text: fmt.Sprintf("with %d sensors", len(static.Sensors))})
			}
			break
		}
		if !t.more(wrong(path, err)) {
			break
		}
	}
	for _, w := range warnings {
		t.found = append(t.found, warning(w))
	}
	if strings.EqualFold(filepath.Ext(path), ".csv") {
		l.report(t.found)
		return
	}
	kf, err := dsconfig.ParseGroups(path, data)
	if err != nil {
		l.report(t.found)
		return
	}
	for _, g := range kf.Groups {
		var err error
		ignored := slices.ContainsFunc(t.found, func(f Finding) bool {
			return f.Line == g.Line && f.Verdict == Warned && strings.Contains(f.Text, "ignored")
		})
		if ignored {
			continue // one line says it
		}
		e, on := g.Get("enable")
		if on {
			on, err = e.Bool()
			if yes := strings.ToLower(e.Raw); dsconfig.IsYAML(path) && (yes == "yes" || yes == "on" || yes == "true") {
				on = true
			}
		}
		if !on && !dsconfig.IsDataMap(g.Name) { // which needs no enable
			if !slices.ContainsFunc(t.found, func(f Finding) bool { return f.Line == g.Line || (err != nil && f.Line == e.Line) }) {
				t.found = append(t.found, Finding{File: path, Line: g.Line, Group: g.Name, Verdict: Ignored, Text: "the group is off (enable)"})
			}
			continue
		}
		if t.cut {
			t.found = append(t.found, t.rest(g))
			continue
		}
		taken := t.lines(Wrong, Warned)
		for _, e := range g.Entries {
			if !taken[e.Line] {
				t.found = append(t.found, onEntry(path, g, e, Honoured, ""))
			}
		}
	}
	l.report(t.found)
}

// sensors looks at the sensor list of a [message-consumerN] group.
func (l *Linter) sensors(path string) {
	if !l.once("sensors", path) {
		return
	}
	data, err := read(path)
	if err != nil {
		l.broken(path, err)
		return
	}
	t := &trial{path: path, data: data}
	for range len(data)/2 + 2 {
		_, warnings, err := c2d.ReadSensors(path, t.data)
		if err == nil {
			for _, w := range warnings {
				t.found = append(t.found, warning(w))
			}
			break
		}
		if !t.more(wrong(path, err)) {
			break
		}
	}
	if kf, err := dsconfig.ParseKeyData(path, data); err == nil {
		var others []string
		for _, g := range kf.Groups {
			if !strings.HasPrefix(g.Name, "sensor") {
				others = append(others, g.Name)
				continue
			}
			e, on := g.Get("enable")
			if on {
				on, _ = e.Bool()
			}
			if !on && !slices.ContainsFunc(t.found, func(f Finding) bool { return f.Line == e.Line }) {
				t.found = append(t.found, Finding{File: path, Line: g.Line, Group: g.Name, Verdict: Ignored, Text: "the group is off (enable)"})
				continue
			}
			t.keys(g, func(e dsconfig.Entry) Finding {
				if slices.Contains([]string{"enable", "id", "element"}, e.Key) {
					return onEntry(path, g, e, Honoured, "")
				}
				return onEntry(path, g, e, Ignored, "a sensor list needs no more than enable, id and element")
			})
		}
		t.found = append(t.found, passedOver(path, "no groups of a sensor list", others)...)
	}
	l.report(t.found)
}
