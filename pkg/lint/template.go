// SPDX-License-Identifier: LGPL-2.1-or-later

package lint

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/paytemplate"
)

// isTemplate tells a template of messages by its name or its header.
func isTemplate(path string, data []byte) bool {
	return strings.EqualFold(filepath.Ext(path), ".tmpl") || paytemplate.Is(data)
}

// template looks at a template of messages (payload-template of msgconv), which is read as the element reads it.
func (l *Linter) template(path string, data []byte) {
	t, err := paytemplate.Parse(path, data)
	var mistakes paytemplate.Errors
	if errors.As(err, &mistakes) {
		found := make([]Finding, len(mistakes))
		for i, m := range mistakes {
			found[i] = Finding{File: path, Line: m.Line, Column: m.Column, Verdict: Wrong, Text: m.Cause, Remedy: m.Remedy}
		}
		l.report(found)
		return
	}
	what := "frame"
	if t.PerObject() {
		what = "object"
	}
	l.report([]Finding{{File: path, Verdict: Honoured, Text: "as payload-template of msgconv: a message per " + what + ", " + t.ContentType()}})
}
