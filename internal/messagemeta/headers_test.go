// SPDX-License-Identifier: LGPL-2.1-or-later

package messagemeta

import (
	"fmt"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// TestHeadersEverNew: names of headers, which GLib never forgets, are bounded.
func TestHeadersEverNew(t *testing.T) {
	named := 0
	for i := range gst.MaxFieldNames + 100 {
		m := adapters.Incoming{Headers: adapters.Headers(nil).AppendString(fmt.Sprint("name-", i), "v").AppendString("name-0", "w")}
		s := Headers(&m)
		named += len(s.Fields) - 1
		if v, _ := s.Get("name-0").(string); v == "" {
			t.Fatal("a name that is known is left out")
		}
	}
	over := adapters.Headers(nil).AppendString("name-over", "v").AppendString("name-0", "w")
	if kept := nameable(over); kept.Len() != 1 {
		t.Errorf("%q are kept for a buffer", kept)
	}
	if named > gst.MaxFieldNames {
		t.Errorf("%d names of headers became fields", named)
	}
}
