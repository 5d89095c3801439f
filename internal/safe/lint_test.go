// SPDX-License-Identifier: LGPL-2.1-or-later

package safe

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The repository's root, seen from this package.
const root = "../.."

// bareGo finds the go statements of a source file.
func bareGo(name string, src any) ([]string, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []string
	ast.Inspect(f, func(n ast.Node) bool {
		if g, ok := n.(*ast.GoStmt); ok {
			found = append(found, fset.Position(g.Pos()).String())
		}
		return true
	})
	return found, nil
}

func TestTheLintSeesABareGo(t *testing.T) {
	const src = "package p\n\nfunc f() {\n\tif true {\n\t\tfunc() { go f() }()\n\t}\n}\n"
	if found, err := bareGo("p.go", src); err != nil || !slices.Equal(found, []string{"p.go:5:12"}) {
		t.Fatalf("found %v, %v", found, err)
	}
}

// A goroutine that panics without Go or Recover of this package ends the host.
func TestNoBareGoStatement(t *testing.T) {
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (name == "testdata" || name == "build" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || filepath.Clean(path) == filepath.Join(root, "internal/safe/safe.go") {
			return nil
		}
		files++
		found, err := bareGo(path, nil)
		for _, at := range found {
			t.Errorf("%s: a bare go statement: start the goroutine by safe.Go, which recovers its panics", at)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Fatalf("only %d files were looked at: is %s the repository?", files, root)
	}
}

// The shared core must not be linked from the Go bindings of GStreamer: they
// are for Go programs only.
func TestTheCoreHasNoBindings(t *testing.T) {
	if _, err := os.Stat(filepath.Join(root, "core")); os.IsNotExist(err) {
		t.Skip("there is no core yet")
	}
	cmd := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}}", "./core")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(fmt.Errorf("go list: %w\n%s", err, out))
	}
	deps := strings.Fields(string(out))
	if !slices.ContainsFunc(deps, func(d string) bool { return strings.HasSuffix(d, "/internal/gst") }) {
		t.Errorf("core does not even need internal/gst: %d packages", len(deps))
	}
	for _, d := range deps {
		if strings.Contains(d, "go-gst") || strings.Contains(d, "go-glib") {
			t.Errorf("core needs %s", d)
		}
	}
}
