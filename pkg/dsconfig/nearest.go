// SPDX-License-Identifier: LGPL-2.1-or-later

package dsconfig

import "github.com/gst-edgewire/gst-edgewire/internal/nearest"

// Nearest returns the entry of known that word most likely means, or "" when none is near.
func Nearest(word string, known []string) string {
	s, _ := nearest.Of(word, known)
	return s
}

// suggest words the remedy for an unknown name.
func suggest(word string, known []string, otherwise string) string {
	if s := Nearest(word, known); s != "" {
		return "did you mean " + s + "?"
	}
	return otherwise
}
