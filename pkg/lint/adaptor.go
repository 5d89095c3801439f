// SPDX-License-Identifier: LGPL-2.1-or-later

package lint

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
)

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
