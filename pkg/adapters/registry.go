// SPDX-License-Identifier: LGPL-2.1-or-later

package adapters

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
)

var registry = struct {
	sync.RWMutex
	byName    map[string]Adapter
	libraries map[string]Adapter // of others, by their names
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
	if !ok {
		a, ok = registry.libraries[name]
	}
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

// LibraryPrefix begins the names of adapters that are libraries of others; the absolute path follows. In a
// proto-lib it asks for the very library at a path, also where its name is one of DeepStream's.
const LibraryPrefix = "file:"

// ErrNoLoader is what becomes of a library of others in a program without a loader.
var ErrNoLoader = errors.New("this program cannot load protocol libraries")

// loader makes adapters of libraries; nil in programs without it.
var loader func(path string) (Adapter, error)

// RegisterLoader makes the libraries of others usable. It is called once, by the package that can load them.
func RegisterLoader(load func(path string) (Adapter, error)) { loader = load }

// ResolveProtoLib turns the value of a proto-lib property into the name of an adapter for Lookup. A path
// that ends in the file name of a DeepStream adaptor stands for the built-in adapter of that protocol:
// substituted is true then. Any other path, and file:PATH, is a library of someone else, which is loaded.
func ResolveProtoLib(value string) (name string, substituted bool, err error) {
	known := "known are " + strings.Join(Names(), ", ")
	if value == "" {
		return "", false, fmt.Errorf("proto-lib is empty; set it to the name of a protocol (%s)", known)
	}
	if file, ok := strings.CutPrefix(value, LibraryPrefix); ok {
		name, err = loadLibrary(file)
		return name, false, err
	}
	if m := deepstreamLibrary.FindStringSubmatch(path.Base(value)); m != nil {
		if _, ok := Lookup(m[1]); ok {
			return m[1], true, nil
		}
		return "", false, fmt.Errorf("proto-lib %q: the protocol %s is not built in (%s); write %s%s to load that very library",
			value, m[1], known, LibraryPrefix, value)
	}
	if _, ok := Lookup(value); ok {
		return value, false, nil
	}
	if strings.ContainsRune(value, '/') || strings.Contains(value, ".so") {
		name, err = loadLibrary(value)
		return name, false, err
	}
	hint := known
	if n, ok := nearest.Of(value, Names()); ok {
		hint = "did you mean " + n + "? " + known
	}
	return "", false, fmt.Errorf("proto-lib %q is not a known protocol; %s", value, hint)
}

// loadLibrary makes the library at a path known and returns its name.
func loadLibrary(file string) (name string, err error) {
	if loader == nil {
		return "", fmt.Errorf("proto-lib %q: %w; known are %s", file, ErrNoLoader, strings.Join(Names(), ", "))
	}
	file = strings.TrimPrefix(file, "//") // file:///path, as in a URI
	st, err := os.Stat(file)
	switch {
	case err != nil:
		return "", fmt.Errorf("proto-lib: there is no library %q; write the whole path, or the name of a protocol (known are %s): %w",
			file, strings.Join(Names(), ", "), fs.ErrNotExist)
	case !st.Mode().IsRegular():
		return "", fmt.Errorf("proto-lib %q is not a file; name the library", file)
	}
	if file, err = filepath.Abs(file); err != nil {
		return "", err
	}
	a, err := loader(file)
	if err != nil {
		return "", err
	}
	registry.Lock()
	defer registry.Unlock()
	if registry.libraries == nil {
		registry.libraries = map[string]Adapter{}
	}
	registry.libraries[a.Name()] = a
	return a.Name(), nil
}
