// SPDX-License-Identifier: LGPL-2.1-or-later

package lint

import (
	"regexp"
	"slices"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
)

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
