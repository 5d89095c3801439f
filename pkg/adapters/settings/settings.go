// SPDX-License-Identifier: LGPL-2.1-or-later

// Package settings reads what the adapters share of their configuration: the group [message-broker] of a key
// file, with passwords that may stand elsewhere, and TLS.
//
// Errors and warnings name file, line and key, and never a value.
package settings

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
)

// GroupName is the section that DeepStream's adaptors read.
const GroupName = "message-broker"

// shareKey is a matter of package broker; every adapter's group may have it.
const shareKey = "share-connection"

// fileSuffix makes the key that names a secret's file of the secret's own.
const fileSuffix = "-file"

// A Key is one that an adapter knows.
type Key struct {
	Name   string
	Secret bool   // NAME-file is known too, and says where the secret stands
	Doc    string // one line for the documentation

	As       string // the key of ours that it is another name of
	NoEffect bool   // it is accepted and does nothing
}

// A Describer is an Adapter whose configuration can be looked at without a connection.
type Describer interface {
	adapters.Adapter
	// Keys are those of the group [message-broker], share-connection apart.
	Keys() []Key
	// Check is Open up to the point where a connection would be made. The Info is what Conn.Info would say.
	Check(cfg adapters.Config, log func(adapters.LogEntry)) (adapters.Info, error)
}

// Names lists what may stand in the group of an adapter with these keys.
func Names(keys []Key) []string {
	names := []string{shareKey}
	for _, k := range keys {
		names = append(names, k.Name)
		if k.Secret {
			names = append(names, k.Name+fileSuffix)
		}
	}
	slices.Sort(names)
	return names
}

// A Group is the group [message-broker] of a file; an empty one when there is no file.
type Group struct {
	path  string
	group *dsconfig.Group
	known []Key
	alias map[string]string // the name of another system for a key, by the key
	log   func(adapters.LogEntry)

	mu      sync.Mutex // TLS may be called by several goroutines
	secrets []string
	told    map[string]bool
}

// Load reads the file at path; "" means none. What is unknown is an error when strict, else a warning to log.
func Load(path string, known []Key, strict bool, log func(adapters.LogEntry)) (*Group, error) {
	g := &Group{path: path, known: known, log: log, told: map[string]bool{}}
	if path == "" {
		return g, nil
	}
	kf, err := dsconfig.ParseKeyFile(path)
	if err != nil {
		return nil, err
	}
	warn := func(w dsconfig.Warning) error {
		if strict {
			return w.Error()
		}
		g.warn(w.String())
		return nil
	}
	for _, w := range kf.Warnings {
		g.warn(w.String())
	}
	g.group = kf.Group(GroupName)
	if g.group == nil {
		remedy := "write [" + GroupName + "] above the keys"
		if n, ok := nearest.Of(GroupName, kf.GroupNames()); ok {
			remedy = "rename [" + n + "] to [" + GroupName + "]"
		}
		return g, warn(dsconfig.Warning{File: path, Cause: "there is no [" + GroupName + "] group", Remedy: remedy})
	}
	names := Names(g.known)
	for _, e := range g.group.Entries {
		if slices.Contains(names, e.Key) {
			continue
		}
		remedy := "remove it; known are " + strings.Join(names, ", ")
		if n, ok := nearest.Of(e.Key, names); ok {
			remedy = "did you mean " + n + "?"
		}
		if err := warn(e.Warn("unknown key", remedy)); err != nil {
			return nil, err
		}
	}
	if e, ok := g.group.Get(shareKey); ok {
		if _, err := e.Bool(); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (g *Group) warn(text string) {
	if g.log != nil {
		g.log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "settings", Text: text})
	}
}

// warnOnce is warn for what is looked at again with each connection.
func (g *Group) warnOnce(text string) {
	g.mu.Lock()
	told := g.told[text]
	g.told[text] = true
	g.mu.Unlock()
	if !told {
		g.warn(text)
	}
}

// Alias makes key known under a second name, such as DeepStream's own; key itself wins.
func (g *Group) Alias(name, key string) {
	if g.alias == nil {
		g.alias = map[string]string{}
	}
	g.alias[key] = name
}

func (g *Group) get(key string) (dsconfig.Entry, bool) {
	e, ok := g.group.Get(key)
	if name := g.alias[key]; !ok && name != "" {
		return g.group.Get(name)
	}
	return e, ok
}

// Has reports whether the key stands in the group.
func (g *Group) Has(key string) bool {
	_, ok := g.get(key)
	return ok
}

// Text is the value of key without the quotation marks that DeepStream writes around some, or def.
func (g *Group) Text(key, def string) (string, error) {
	e, ok := g.get(key)
	if !ok {
		return def, nil
	}
	text, err := e.Text()
	if err != nil {
		return "", err
	}
	return unquote(strings.TrimRight(text, " \t")), nil
}

// List is the value of key split at semicolons, blanks and empty items dropped.
func (g *Group) List(key string) ([]string, error) {
	text, err := g.Text(key, "")
	var list []string
	for item := range strings.SplitSeq(text, ";") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list, err
}

// Bool is the value of key (true, false, 1, 0), or def.
func (g *Group) Bool(key string, def bool) (bool, error) {
	if e, ok := g.unquoted(key); ok {
		return e.Bool()
	}
	return def, nil
}

// Int is the value of key, which must lie between lo and hi, both included, or def.
func (g *Group) Int(key string, def, lo, hi int64) (int64, error) {
	if e, ok := g.unquoted(key); ok {
		return e.IntRange(lo, hi)
	}
	return def, nil
}

// Duration is the value of key, a whole number of units between lo and hi, or def.
func (g *Group) Duration(key string, unit, def, lo, hi time.Duration) (time.Duration, error) {
	n, err := g.Int(key, int64(def/unit), int64(lo/unit), int64(hi/unit))
	if err == nil && !g.Has(key) {
		return def, nil
	}
	return time.Duration(n) * unit, err
}

// Choice is the value of key, one of values in any case, or the first of them.
func (g *Group) Choice(key string, values ...string) (string, error) {
	v, err := g.Text(key, values[0])
	if err != nil {
		return "", err
	}
	for _, x := range values {
		if strings.EqualFold(v, x) {
			return x, nil
		}
	}
	remedy := "write " + strings.Join(values, ", ")
	if n, ok := nearest.Of(v, values); ok {
		remedy = "did you mean " + n + "? " + remedy
	}
	return "", g.Errorf(key, remedy, "%q is no %s", v, key)
}

// Errorf makes an error that points at key, with what to do about it.
func (g *Group) Errorf(key, remedy, format string, args ...any) error {
	if e, ok := g.get(key); ok {
		return e.Errorf(remedy, format, args...)
	}
	return &dsconfig.Error{File: g.path, Group: GroupName, Key: key, Cause: fmt.Sprintf(format, args...), Remedy: remedy}
}

func (g *Group) unquoted(key string) (dsconfig.Entry, bool) {
	e, ok := g.get(key)
	e.Raw = unquote(strings.TrimRight(e.Raw, " \t"))
	return e, ok
}

func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}
