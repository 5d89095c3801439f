// SPDX-License-Identifier: LGPL-2.1-or-later

package lint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
	"github.com/gst-edgewire/gst-edgewire/pkg/c2d"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
)

const brokerGroup = settings.GroupName

// The functions that the elements use stop at the first mistake. So the line is emptied that has it, and they
// are called again: each mistake is found, in the elements' own words. A mistake that arises from an emptied
// line names its key, and is not counted.
type trial struct {
	path    string
	data    []byte
	found   []Finding
	blanked []string // keys
	single  bool     // there is one group: a key that stands twice goes as a whole
	cut     bool     // not everything was looked at
}

// maxMistakes bounds the work on a file that is something else altogether.
const maxMistakes = 100

// more notes an error, and says whether to try again without the line that it is about.
func (t *trial) more(f Finding) bool {
	if f.Line == 0 && f.Key == "" && len(t.found) > 0 {
		return false // all mistakes are found, and what is left of the file is not enough
	}
	t.cut = !t.step(f)
	return !t.cut
}

func (t *trial) step(f Finding) bool {
	line := f.Line
	if line > 0 {
		for _, g := range t.found {
			if g.Line == line {
				return false // emptying it did not help
			}
		}
	}
	follows := !strings.HasPrefix(f.Text, "unknown key") &&
		slices.ContainsFunc(t.blanked, func(key string) bool { return mentions(f.Text+" "+f.Remedy, key) })
	switch {
	case !follows:
		t.found = append(t.found, f)
	case line == 0:
		return false
	}
	if len(t.found) >= maxMistakes {
		return false
	}
	next := t.data
	switch {
	case line == 0:
		return false
	case f.Key != "" && t.single:
		next = blankKey(next, f.Key)
		t.blanked = append(t.blanked, f.Key)
	case f.Key != "":
		t.blanked = append(t.blanked, f.Key)
	case f.Group != "" && !dsconfig.IsYAML(t.path):
		next = blankGroup(next, line)
	default:
		return false
	}
	next = blank(next, line)
	if string(next) == string(t.data) {
		return false
	}
	t.data = next
	return true
}

// mentions finds a key as a word of its own.
func mentions(text, key string) bool {
	return regexp.MustCompile(`(^|[^A-Za-z0-9_.-])` + regexp.QuoteMeta(key) + `([^A-Za-z0-9_.-]|$)`).MatchString(text)
}

// keys gives each key of a group that no error is about a verdict.
func (t *trial) keys(g *dsconfig.Group, verdict func(dsconfig.Entry) Finding) {
	if t.cut {
		t.found = append(t.found, t.rest(g))
		return
	}
	taken := t.lines(Wrong)
	for _, e := range g.Entries {
		if !taken[e.Line] {
			t.found = append(t.found, verdict(e))
		}
	}
}

// rest says that other keys of a group are not looked at.
func (t *trial) rest(g *dsconfig.Group) Finding {
	return Finding{File: t.path, Line: g.Line, Group: g.Name, Verdict: Passed, Text: "the other keys, until these mistakes are corrected"}
}

// lines are those that have one of these verdicts.
func (t *trial) lines(verdicts ...Verdict) map[int]bool {
	lines := map[int]bool{}
	for _, f := range t.found {
		if slices.Contains(verdicts, f.Verdict) {
			lines[f.Line] = true
		}
	}
	return lines
}

// adaptor looks at the group [message-broker] of a file. connStr is that of the application, "" if the file is
// looked at by itself. It returns what the connection would know, and what is wrong with connStr.
func (l *Linter) adaptor(path, protocol, connStr string) (info adapters.Info, bad error) {
	data, err := read(path)
	if err != nil {
		if l.once("adaptor", path) {
			l.broken(path, err)
		}
		return info, nil
	}
	kf, err := dsconfig.ParseKeyData(path, data)
	if err != nil {
		if l.once("adaptor", path) {
			l.broken(path, err)
		}
		return info, nil
	}
	g := kf.Group(brokerGroup)
	if protocol == "" && g != nil {
		if protocol = guess(path, g); protocol == "" {
			l.broken(path, &dsconfig.Error{File: path, Line: g.Line, Group: g.Name, Cause: "the keys do not tell which protocol this is for",
				Remedy: "say it with --proto, as in --proto=kafka (known are " + strings.Join(adapters.Names(), ", ") + ")"})
			return info, nil
		}
	}
	d := describer(protocol)
	if d == nil {
		return info, nil
	}
	alone := connStr == ""
	t := &trial{path: path, data: data, single: true}
	mode := os.FileMode(0o600)
	if st, err := os.Stat(path); err == nil {
		mode = st.Mode().Perm()
	}
	var said []string
	for range 2 + len(kf.Groups)*2 + len(data)/4 {
		var failed error
		err := withData(t.data, mode, func(name string) {
			mine := func(text string) string { return strings.ReplaceAll(text, name, path) }
			info, failed = d.Check(adapters.Config{ConnStr: connStr, ConfigPath: name, Strict: true}, func(e adapters.LogEntry) {
				if text := mine(e.Text); e.Level <= adapters.LogWarning && !slices.Contains(said, text) {
					said = append(said, text)
				}
			})
			var de *dsconfig.Error
			if errors.As(failed, &de) && de.File == name {
				own := *de
				own.File, own.Cause, own.Remedy = path, mine(own.Cause), mine(own.Remedy)
				failed = &own
			} else if failed != nil {
				failed = errors.New(mine(failed.Error()))
			}
		})
		if err != nil {
			failed = err
		}
		if failed == nil {
			break
		}
		f := wrong(path, failed)
		if f.Line == 0 && connStr == "" {
			connStr = examples[protocol] // the application's conn-str is to name the server
			continue
		}
		if f.Line == 0 && bad == nil && !alone && f.Key == "" {
			bad, connStr = hide(failed, connStr), examples[protocol]
			continue
		}
		if !t.more(f) {
			break
		}
	}
	if !l.once("adaptor "+protocol, path) {
		return info, bad
	}
	for _, text := range said {
		f := located(Finding{File: path, Verdict: Warned}, path, text)
		t.found = append(t.found, f)
	}
	known := d.Keys()
	var others []string
	for _, g := range kf.Groups {
		if g.Name != brokerGroup {
			others = append(others, g.Name)
			continue
		}
		t.keys(g, func(e dsconfig.Entry) Finding {
			for _, k := range known {
				switch {
				case k.Name != e.Key:
				case k.NoEffect:
					return onEntry(path, g, e, Ignored, "%s accepts it without effect", protocol)
				case k.As != "":
					return onEntry(path, g, e, Honoured, "as %s", k.As)
				}
			}
			return onEntry(path, g, e, Honoured, "by %s", protocol)
		})
	}
	if g == nil || kindOf(kf) == kindApp {
		others = nil // another line says it
	}
	l.report(append(t.found, passedOver(path, "no groups of an adaptor", others)...))
	return info, bad
}

var quoted = regexp.MustCompile(`"[^"]*"`)

// hide takes what stands in a connection string out of an error: it may hold a password, also where none is meant to be.
func hide(err error, connStr string) error {
	cause, remedy, found := strings.Cut(err.Error(), "; write ")
	if found {
		remedy = "; write " + remedy
	}
	return errors.New(quoted.ReplaceAllStringFunc(cause, func(q string) string {
		if s := strings.Trim(q, `"`); s != "" && strings.Contains(connStr, strings.TrimSuffix(s, "…")) {
			return `"…"`
		}
		return q
	}) + remedy)
}

// withData gives data a path without writing it to a disk: it may hold secrets.
func withData(data []byte, mode os.FileMode, use func(path string)) error {
	fd, err := unix.MemfdCreate("edgewire-check", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("cannot make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "edgewire-check")
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("cannot write a file in memory: %w", err)
	}
	if err := f.Chmod(mode); err != nil {
		return fmt.Errorf("cannot make a file in memory: %w", err)
	}
	use(fmt.Sprintf("/proc/self/fd/%d", fd))
	return nil
}

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
		if !on {
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
