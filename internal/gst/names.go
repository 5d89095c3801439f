// SPDX-License-Identifier: LGPL-2.1-or-later

package gst

import "sync"

// Bounds of the names of fields that come from afar.
const (
	MaxFieldNames     = 10_000
	MaxFieldNameBytes = 1 << 20 // together
)

var fieldNames = struct {
	sync.Mutex
	known map[string]struct{}
	bytes int
}{known: map[string]struct{}{}}

// FieldName reports whether a name that somebody else has chosen may be that of a field. GLib keeps the name
// of every field as long as the process lives: who sends ever new ones would fill the memory. So names that
// are new are refused once there have been too many.
func FieldName(name string) bool {
	n := &fieldNames
	n.Lock()
	defer n.Unlock()
	if _, ok := n.known[name]; ok {
		return true
	}
	if len(n.known) >= MaxFieldNames || n.bytes+len(name) > MaxFieldNameBytes {
		return false
	}
	n.known[name] = struct{}{}
	n.bytes += len(name)
	return true
}
