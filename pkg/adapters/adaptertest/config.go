// SPDX-License-Identifier: LGPL-2.1-or-later

package adaptertest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

// WriteFile makes a file for one test, which only we can read, and gives its path.
func WriteFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	rowPattern       = regexp.MustCompile("(?m)^\\| (`[^|]*) \\|")
	keyPattern       = regexp.MustCompile("`([a-z0-9_-]+)`")
	commentedPattern = regexp.MustCompile("(?m)^#([a-z_-]+ = )")
)

// CheckPage: the page of an adapter, README.md of its folder, has every key in the table of its section Configuration, and
// no other one; its sample has keys that are known, those that are commented out included.
func CheckPage(t *testing.T, sample string, keys []settings.Key) {
	t.Helper()
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "## Configuration")
	if !found {
		t.Fatal("README.md has no section Configuration")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var table []string
	for _, row := range rowPattern.FindAllStringSubmatch(section, -1) {
		for _, name := range keyPattern.FindAllStringSubmatch(row[1], -1) {
			table = append(table, name[1])
		}
	}
	for _, k := range keys {
		if !slices.Contains(table, k.Name) {
			t.Errorf("README.md has no row for %s", k.Name)
		}
	}
	for _, name := range table {
		if name != "share-connection" && !slices.ContainsFunc(keys, func(k settings.Key) bool { return k.Name == name }) {
			t.Errorf("README.md has a row for %s, which is no key", name)
		}
	}
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(text), commentedPattern.ReplaceAllString(string(text), "$1")} {
		if _, err := settings.Load(WriteFile(t, "sample.cfg", text), keys, true, nil); err != nil {
			t.Error(err)
		}
	}
}

// CheckMistakes: each configuration, lines of the group [message-broker], is refused with what is wanted and with the
// file's name, and without the word hush, which stands for a secret.
func CheckMistakes(t *testing.T, a adapters.Adapter, connStr string, mistakes map[string]string) {
	t.Helper()
	for lines, want := range mistakes {
		path := WriteFile(t, "bad.cfg", "[message-broker]\n"+lines+"\n")
		c, err := a.Open(adapters.Config{ConnStr: connStr, ConfigPath: path, Strict: true}, NewRecorder())
		if err == nil {
			_ = c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v, want %q", lines, err, want)
		}
	}
}
