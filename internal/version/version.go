// SPDX-License-Identifier: LGPL-2.1-or-later

// Package version holds the project's version. The file VERSION beside this
// one is its only source: meson reads it as well.
package version

import (
	_ "embed"
	"strings"
)

//go:embed VERSION
var file string

// String returns the version, for instance "0.1.0".
func String() string { return strings.TrimSpace(file) }
