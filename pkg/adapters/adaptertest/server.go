// SPDX-License-Identifier: LGPL-2.1-or-later

package adaptertest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A Process is a real server that one of the scripts runs (scripts/redis and the like).
type Process struct {
	Addr   string            // host:port
	Dir    string            // its files
	Fields map[string]string // what else the script told, such as port2
	script string
	args   []string
}

// errMissing: the server is not installed.
var errMissing = errors.New("the server is not installed")

// StartServer starts a server by scripts/SCRIPT with the options args and stops it when the test is over.
// Without the server the test is skipped, saying so.
func StartServer(t testing.TB, script string, args ...string) *Process {
	t.Helper()
	base, err := os.MkdirTemp("", "edgewire-"+script+"-")
	if err != nil {
		t.Fatal(err)
	}
	p, err := LaunchServer(filepath.Join(base, "server"), script, args...)
	t.Cleanup(func() {
		if p != nil {
			if err := p.Remove(); err != nil {
				t.Error(err)
			}
		}
		_ = os.RemoveAll(base)
	})
	if errors.Is(err, errMissing) {
		t.Skipf("%v: NOTHING of %s is tested here", err, script)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// LaunchServer is StartServer for a TestMain: it starts a server whose files are in dir, which Remove ends.
// A server whose test program ends without that ends by itself.
func LaunchServer(dir, script string, args ...string) (*Process, error) {
	path, err := scriptPath(script)
	if err != nil {
		return nil, err
	}
	p := &Process{Dir: dir, script: path, args: append([]string{"--while-pid", fmt.Sprint(os.Getpid())}, args...)}
	if err := p.start(); err != nil {
		return nil, err
	}
	return p, nil
}

// scriptPath finds the project's scripts from the folder of any of its packages.
func scriptPath(script string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return filepath.Join(d, "scripts", script), nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("no go.mod above %s", dir)
		}
	}
}

func (p *Process) call(args ...string) (string, error) {
	cmd := exec.Command(p.script, args...)
	var out, msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msg
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 77 {
		return "", fmt.Errorf("%w: %s", errMissing, strings.TrimSpace(msg.String()))
	}
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", filepath.Base(p.script), strings.Join(args, " "), err, msg.Bytes())
	}
	return out.String(), nil
}

func (p *Process) start() error {
	out, err := p.call(slices.Concat([]string{"start", p.Dir}, p.args)...)
	if err != nil {
		return err
	}
	p.Fields = map[string]string{}
	for _, f := range strings.Fields(out) {
		name, value, _ := strings.Cut(f, "=")
		p.Fields[name] = value
	}
	if p.Addr = p.Fields["address"]; p.Addr == "" {
		return fmt.Errorf("%s told no address: %q", filepath.Base(p.script), out)
	}
	return nil
}

// Start brings a server back that was stopped, with its data and on its port.
func (p *Process) Start(t testing.TB) {
	t.Helper()
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
}

// Stop ends the server in an orderly way and keeps its files.
func (p *Process) Stop(t testing.TB) { p.end(t, "--keep") }

// Kill ends the server at once, as a power cut would, and keeps its files.
func (p *Process) Kill(t testing.TB) { p.end(t, "--kill") }

func (p *Process) end(t testing.TB, how string) {
	t.Helper()
	if _, err := p.call("stop", p.Dir, how); err != nil {
		t.Fatal(err)
	}
}

// Remove ends the server and deletes its files.
func (p *Process) Remove() error {
	_, err := p.call("stop", p.Dir)
	return err
}

// ConnStr is the address as host;port.
func (p *Process) ConnStr() string {
	i := strings.LastIndexByte(p.Addr, ':')
	return p.Addr[:i] + ";" + p.Addr[i+1:]
}
