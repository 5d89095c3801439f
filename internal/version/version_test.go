// SPDX-License-Identifier: LGPL-2.1-or-later

package version

import (
	"regexp"
	"testing"
)

func TestVersionIsWellFormed(t *testing.T) {
	if v := String(); !regexp.MustCompile(`^\d+\.\d+\.\d+(-[a-z0-9.]+)?$`).MatchString(v) {
		t.Errorf("VERSION holds %q, want MAJOR.MINOR.PATCH", v)
	}
}
