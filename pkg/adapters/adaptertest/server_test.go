// SPDX-License-Identifier: LGPL-2.1-or-later

package adaptertest

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// TestServerScript: a server comes, goes, comes back on its port, and leaves nothing behind.
func TestServerScript(t *testing.T) {
	up := func(addr string) bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}
	var p *Process
	t.Run("life", func(t *testing.T) {
		p = StartServer(t, "redis")
		addr := p.Addr
		if !up(addr) || p.Fields["port2"] == "" {
			t.Fatalf("%+v", p)
		}
		for _, end := range []func(testing.TB){p.Stop, p.Kill} {
			end(t)
			if up(addr) {
				t.Error("it is still there")
			}
			p.Start(t)
			if p.Addr != addr || !up(addr) {
				t.Errorf("it came back at %s, not %s", p.Addr, addr)
			}
		}
		if _, err := LaunchServer(filepath.Join(t.TempDir(), "server"), "redis", "--config-line", "nonsense"); err == nil {
			t.Error("a configuration that the server refuses was taken")
		}
	})
	if t.Skipped() || p == nil {
		return
	}
	if _, err := os.Stat(filepath.Dir(p.Dir)); up(p.Addr) || !os.IsNotExist(err) {
		t.Errorf("left behind: %v", err)
	}
}
