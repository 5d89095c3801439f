// SPDX-License-Identifier: LGPL-2.1-or-later

package cloud

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/c2d"
)

// TestNamesEverNew: commands whose arguments have ever new names are refused in the end, deep ones too;
// others are not.
func TestNamesEverNew(t *testing.T) {
	parse := func(name string) *c2d.Object {
		c, err := c2d.ParseCommand(fmt.Appendf(nil, `{"command": "x", "arguments": {"deep": [{%q: 1}]}}`, name))
		if err != nil {
			t.Fatal(err)
		}
		return c.Arguments
	}
	refused := 0
	for i := range gst.MaxFieldNames + 100 {
		if err := nameable(parse(fmt.Sprint("ever-new-", i))); err != nil {
			refused++
			if !strings.Contains(err.Error(), "ever-new-") {
				t.Fatal(err)
			}
		}
	}
	if refused < 100 {
		t.Errorf("%d refused", refused)
	}
	if err := nameable(parse("ever-new-0")); err != nil {
		t.Error(err)
	}
	if err := nameable(nil); err != nil {
		t.Error(err)
	}
}
