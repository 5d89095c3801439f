// SPDX-License-Identifier: LGPL-2.1-or-later

package adapters

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
)

var registry = struct {
	sync.RWMutex
	byName map[string]Adapter
}{byName: map[string]Adapter{}}

// Register makes an adapter known under its name. It panics when the name is taken: two adapters of one
// name in a program are a mistake of the program.
func Register(a Adapter) {
	registry.Lock()
	defer registry.Unlock()
	if _, taken := registry.byName[a.Name()]; taken {
		panic("adapters: " + a.Name() + " is registered twice")
	}
	registry.byName[a.Name()] = a
}

// Lookup returns the adapter called name.
func Lookup(name string) (Adapter, bool) {
	registry.RLock()
	defer registry.RUnlock()
	a, ok := registry.byName[name]
	return a, ok
}

// Names lists the registered adapters in alphabetical order.
func Names() []string {
	registry.RLock()
	defer registry.RUnlock()
	names := make([]string, 0, len(registry.byName))
	for n := range registry.byName {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// deepstreamLibrary is the file name of a protocol adaptor of DeepStream; the protocol is its middle.
var deepstreamLibrary = regexp.MustCompile(`^libnvds_([a-z_]+)_proto\.so(\.[0-9]+)*$`)

// ResolveProtoLib turns the value of a proto-lib property into the name of a built-in adapter. A path
// that ends in the file name of a DeepStream adaptor stands for the built-in adapter of that protocol:
// substituted is true then. file:PATH asks for that very library, which this version cannot load.
func ResolveProtoLib(value string) (name string, substituted bool, err error) {
	known := "known are " + strings.Join(Names(), ", ")
	if value == "" {
		return "", false, fmt.Errorf("proto-lib is empty; set it to the name of a protocol (%s)", known)
	}
	if rest, ok := strings.CutPrefix(value, "file:"); ok {
		return "", false, fmt.Errorf("proto-lib %q: protocol libraries of others are not supported by this version; "+
			"drop file: to use the built-in adapter for %s, or name a protocol (%s)", value, path.Base(rest), known)
	}
	if m := deepstreamLibrary.FindStringSubmatch(path.Base(value)); m != nil {
		if _, ok := Lookup(m[1]); ok {
			return m[1], true, nil
		}
		return "", false, fmt.Errorf("proto-lib %q: the protocol %s is not supported by this version; %s", value, m[1], known)
	}
	if _, ok := Lookup(value); ok {
		return value, false, nil
	}
	if strings.ContainsRune(value, '/') || strings.Contains(value, ".so") {
		return "", false, fmt.Errorf("proto-lib %q is not the name of a DeepStream adaptor (libnvds_kafka_proto.so and the like), "+
			"and protocol libraries of others are not supported by this version; name a protocol (%s)", value, known)
	}
	hint := known
	if n, ok := nearest.Of(value, Names()); ok {
		hint = "did you mean " + n + "? " + known
	}
	return "", false, fmt.Errorf("proto-lib %q is not a known protocol; %s", value, hint)
}
