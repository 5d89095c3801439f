// SPDX-License-Identifier: LGPL-2.1-or-later

package nats

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// An authority is what nsc keeps: the operator of a server, and an account whose users it signs.
type authority struct {
	operator, account, system string // JWTs
	name, systemName          string // of the accounts
	signer                    nkeys.KeyPair
}

func pairOf(t *testing.T, make func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
	t.Helper()
	pair, err := make()
	must(t, err)
	public, err := pair.PublicKey()
	must(t, err)
	return pair, public
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	operator, operatorName := pairOf(t, nkeys.CreateOperator)
	account, accountName := pairOf(t, nkeys.CreateAccount)
	_, systemName := pairOf(t, nkeys.CreateAccount)
	a := &authority{name: accountName, systemName: systemName, signer: account}
	o := jwt.NewOperatorClaims(operatorName)
	o.SystemAccount = systemName
	c := jwt.NewAccountClaims(accountName)
	c.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: jwt.NoLimit, MemoryStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	var err error
	a.operator, err = o.Encode(operator)
	must(t, err)
	a.account, err = c.Encode(operator)
	must(t, err)
	a.system, err = jwt.NewAccountClaims(systemName).Encode(operator)
	must(t, err)
	return a
}

// options are those of a server that trusts the operator and nobody else.
func (a *authority) options() (lines []string) {
	for _, line := range []string{"operator: " + a.operator, "system_account: " + a.systemName, "resolver: MEMORY",
		fmt.Sprintf("resolver_preload: { %s: %s, %s: %s }", a.name, a.account, a.systemName, a.system)} {
		lines = append(lines, "--config-line", line)
	}
	return lines
}

// user makes a file as nsc does, of a user whose word ends at end, and gives the seed, too.
func (a *authority) user(t *testing.T, end time.Time) (file, seed string) {
	t.Helper()
	pair, name := pairOf(t, nkeys.CreateUser)
	u := jwt.NewUserClaims(name)
	if !end.IsZero() {
		u.Expires = end.Unix()
	}
	token, err := u.Encode(a.signer)
	must(t, err)
	secret, err := pair.Seed()
	must(t, err)
	text, err := jwt.FormatUserConfig(token, secret)
	must(t, err)
	file = filepath.Join(t.TempDir(), "user.creds")
	must(t, os.WriteFile(file, text, 0o600))
	return file, string(secret)
}

// TestCredentials: a server of decentralised authority, and the files that nsc makes for its users.
func TestCredentials(t *testing.T) {
	a := newAuthority(t)
	s := server(t, a.options()...)
	good, seed := a.user(t, time.Time{})
	const stream = "stream=secured\nstream-create=1\nstream-subjects=secured\n"
	c, r := open(t, s.ConnStr(), stream+"credentials-file="+good+"\n")
	adaptertest.Send(t, c, adaptertest.BatchOf(1, "secured", 10))
	r.WaitResults(t, 10)
	if _, failed := r.Results(); failed != 0 {
		t.Errorf("%d failures", failed)
	}
	must(t, c.Close())

	refused := "authorisation violation"
	fails(t, s.ConnStr(), "", refused)
	stranger, _ := newAuthority(t).user(t, time.Time{})
	fails(t, s.ConnStr(), "credentials-file="+stranger+"\n", refused)
	expired, _ := a.user(t, time.Now().Add(-time.Hour))
	fails(t, s.ConnStr(), "credentials-file="+expired+"\n", refused)

	// The seed of one and the word of another.
	mine, err := os.ReadFile(good)
	must(t, err)
	_, other := a.user(t, time.Time{})
	mixed := filepath.Join(t.TempDir(), "mixed.creds")
	must(t, os.WriteFile(mixed, []byte(strings.ReplaceAll(string(mine), seed, other)), 0o600))
	fails(t, s.ConnStr(), "credentials-file="+mixed+"\n", refused)

	// A file that is replaced counts from the next connection on.
	c, r = open(t, s.ConnStr(), "credentials-file="+mixed+"\n")
	r.WaitReason(t, refused)
	must(t, os.WriteFile(mixed, mine, 0o600))
	r.WaitState(t, adapters.Connected)
	must(t, c.Close())

	// One that ends while we are connected, and is renewed in its place.
	short, _ := a.user(t, time.Now().Add(2*time.Second))
	c, r = open(t, s.ConnStr(), stream+"credentials-file="+short+"\n")
	r.WaitReason(t, refused)
	adaptertest.Send(t, c, adaptertest.BatchOf(1, "secured", 10))
	must(t, os.WriteFile(short, mine, 0o600))
	r.WaitResults(t, 10)
	if _, failed := r.Results(); failed != 0 {
		t.Errorf("%d failures", failed)
	}
}

// TestCredentialsFile: what is no such file is told as such, at once, and without a word of what stands in it.
func TestCredentialsFile(t *testing.T) {
	good, seed := newAuthority(t).user(t, time.Time{})
	text, err := os.ReadFile(good)
	must(t, err)
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	must(t, syscall.Mkfifo(pipe, 0o600))
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for path, want := range map[string]string{
		write("empty", ""): "holds no JWT", write("garbage", "hunter2 hunter2\n"): "holds no JWT",
		write("seed", seed): "holds no JWT", write("cut", strings.Split(string(text), seed)[0]): "holds no seed of a user",
		write("large", strings.Repeat("x", 1<<20)): "larger than 64 KiB", dir: "not a regular file", pipe: "not a regular file",
		filepath.Join(dir, "none"): "cannot read the file " + filepath.Join(dir, "none") + ": no such file",
	} {
		_, err := adapter{}.Open(adapters.Config{ConnStr: "127.0.0.1;1", ConfigPath: config(t, "credentials-file="+path+"\n"), Strict: true}, adaptertest.NewRecorder())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), seed) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	// Others can read it; the systemd service has its own.
	open644 := write("user.creds", string(text))
	must(t, os.Chmod(open644, 0o644))
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	_, r := open(t, "127.0.0.1;1", "credentials-file=user.creds\n")
	adaptertest.Wait(t, "a warning", func() bool {
		for _, e := range r.Logs() {
			if e.Level == adapters.LogWarning && strings.Contains(e.Text, open644) && strings.Contains(e.Text, "chmod 600") {
				return true
			}
		}
		return false
	})
}
