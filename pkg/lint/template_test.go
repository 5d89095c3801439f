// SPDX-License-Identifier: LGPL-2.1-or-later

package lint

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/paytemplate"
)

func TestTemplates(t *testing.T) {
	good := "{{/* msgconv: per=object content-type=text/csv */}}\n{{.object.id}}\n"
	for name, c := range map[string]struct{ file, text, want string }{
		"by its name":   {"a.tmpl", "[{{.frame.num}}]", "a.tmpl: honoured as payload-template of msgconv: a message per frame, application/json"},
		"by its header": {"a.txt", good, "a.txt: honoured as payload-template of msgconv: a message per object, text/csv"},
		"mistakes":      {"a.TMPL", "[{{.frame.nun}}\n{{.sensr.id}}]", "a.TMPL:2:3: wrong: there is no field .sensr; did you mean .sensor?\n1 file: 0 honoured, 0 ignored, 0 warnings, 2 wrong"},
		"nothing":       {"a.tmpl", "", "the template is empty"},
	} {
		lines, _ := check(write(t, c.file, c.text), "")
		if text := strings.Join(lines, "\n"); !strings.Contains(text, c.want) {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

// TestTemplateMessages: the linter's words are the element's.
func TestTemplateMessages(t *testing.T) {
	path := write(t, "a.tmpl", "{\"a\": {{.frame.nun}}}")
	_, err := paytemplate.Load(path)
	lines, _ := check(path, "")
	if err == nil || strings.Replace(lines[0], "wrong: ", "", 1) != err.Error() {
		t.Errorf("%q\n%v", lines, err)
	}
}

// TestExamples: the templates that come along are fine.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/templates/*")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if lines, l := check(f, ""); l.Summary().Honoured != 1 || l.Summary().Wrong != 0 {
			t.Errorf("%q", lines)
		}
	}
}
