// SPDX-License-Identifier: LGPL-2.1-or-later

package settings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
)

// Getenv reads the environment. Inside a GStreamer process it is replaced by one that sees what the host
// sets after the start, which Go's own does not.
var Getenv = os.Getenv

// credentialsEnv is where systemd puts the credentials of a service (systemd.exec(5), LoadCredential=).
const credentialsEnv = "CREDENTIALS_DIRECTORY"

// maxSecret is more than any password or token needs.
const maxSecret = 64 << 10

// Secret finds the secret called key: the first of the environment variables env that is not empty, else the
// content of the file that KEY-file names (one line break at its end is cut), else the key itself. where says
// which it was, for people; "" when there is none. A file name without a slash is looked for among the
// credentials of the systemd service first. A file that others can read gets a warning.
func (g *Group) Secret(key string, env ...string) (value, where string, err error) {
	for _, name := range env {
		if value = Getenv(name); value != "" {
			return g.keep(value), "the environment variable " + name, nil
		}
	}
	file, err := g.Text(key+fileSuffix, "")
	if err != nil {
		return "", "", err
	}
	if file != "" {
		value, err = g.readSecret(key+fileSuffix, file)
		return g.keep(value), "the file " + file, err
	}
	if !g.Has(key) {
		return "", "", nil
	}
	if value, err = g.Text(key, ""); err != nil {
		return "", "", err
	}
	g.checkMode(key, g.path)
	return g.keep(value), g.path, nil
}

// CredentialsFile reads the file that key names, of any number of lines, which holds a secret; see Secret. nil when there is
// none. What of it must be hidden is told to Hide.
func (g *Group) CredentialsFile(key string) (data []byte, err error) {
	file, err := g.Text(key, "")
	if err != nil || file == "" {
		return nil, err
	}
	if data, err = g.readFile(key, credential(file), maxSecret); err != nil {
		return nil, err
	}
	g.checkMode(key, credential(file))
	return data, nil
}

// Hide makes Mask hide a secret that was not read by Secret.
func (g *Group) Hide(secret string) { g.keep(secret) }

// keep notes a secret for Mask.
func (g *Group) keep(secret string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if secret != "" && !slices.Contains(g.secrets, secret) {
		g.secrets = append(g.secrets, secret)
	}
	return secret
}

// Mask hides every secret that was read from the group in text.
func (g *Group) Mask(text string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Mask(text, g.secrets...)
}

// Mask hides secrets in text, such as an error of a library. Very short ones are left: they would mask
// ordinary words.
func Mask(text string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) >= 3 {
			text = strings.ReplaceAll(text, s, "***")
		}
	}
	return text
}

// credential is where a file is meant to be.
func credential(file string) string {
	if dir := Getenv(credentialsEnv); dir != "" && !strings.ContainsRune(file, '/') {
		if path := filepath.Join(dir, file); isFile(path) {
			return path
		}
	}
	return file
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

func (g *Group) readSecret(key, file string) (string, error) {
	value, p := secretOf(file)
	if p != nil {
		return "", p.at(func(remedy, format string, args ...any) error { return g.Errorf(key, remedy, format, args...) })
	}
	g.checkMode(key, credential(file))
	return value, nil
}

// SecretFile reads the secret that stands in the file which e names; see Group.Secret. warning is not empty
// when others can read it.
func SecretFile(e dsconfig.Entry) (value, warning string, err error) {
	file, err := e.Text()
	if err != nil {
		return "", "", err
	}
	file = unquote(strings.TrimRight(file, " \t"))
	value, p := secretOf(file)
	if p != nil {
		return "", "", p.at(e.Errorf)
	}
	return value, OpenToAll(e.Key, credential(file)), nil
}

// FilePath is where the file of a secret is looked for, from the value of its key.
func FilePath(value string) string { return credential(unquote(strings.TrimRight(value, " \t"))) }

// A problem is what is wrong with a file, before it is known who asks for it.
type problem struct {
	cause, remedy string
	err           error
}

// at makes an error of p that names the place.
func (p *problem) at(errorf func(remedy, format string, args ...any) error) error {
	err := errorf(p.remedy, "%s", p.cause)
	var de *dsconfig.Error
	if errors.As(err, &de) {
		de.Err = p.err
	}
	return err
}

func secretOf(file string) (string, *problem) {
	data, p := contents(credential(file), maxSecret)
	if p != nil {
		return "", p
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case text == "":
		return "", &problem{cause: "the file " + file + " is empty", remedy: "write the secret into it, on one line"}
	case strings.ContainsAny(text, "\n\x00"):
		return "", &problem{cause: "the file " + file + " holds more than one line", remedy: "write the secret alone into it, on one line"}
	}
	return text, nil
}

// readFile reads a file that key names, of at most limit bytes.
func (g *Group) readFile(key, file string, limit int64) ([]byte, error) {
	data, p := contents(file, limit)
	if p != nil {
		return nil, p.at(func(remedy, format string, args ...any) error { return g.Errorf(key, remedy, format, args...) })
	}
	return data, nil
}

// contents reads a file of at most limit bytes.
func contents(file string, limit int64) ([]byte, *problem) {
	fail := func(err error, remedy string) *problem {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return &problem{cause: fmt.Sprintf("cannot read the file %s: %v", file, err), remedy: remedy, err: err}
	}
	st, err := os.Stat(file) // a look at the kind first: opening a named pipe would wait for a writer
	if err != nil {
		return nil, fail(err, "check the path and its permissions")
	}
	if !st.Mode().IsRegular() {
		return nil, fail(errors.New("it is not a regular file"), "name a file")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fail(err, "check the path and its permissions")
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fail(err, "check the file")
	}
	if int64(len(data)) > limit {
		return nil, fail(fmt.Errorf("it is larger than %d KiB", limit>>10), "check the path")
	}
	return data, nil
}

// checkMode warns when others can read a file with a secret.
func (g *Group) checkMode(key, file string) {
	if warning := OpenToAll(key, file); warning != "" {
		g.warnOnce(warning)
	}
}

// OpenToAll is a warning when every user can read a file with the secret of key, else "".
func OpenToAll(key, file string) string {
	st, err := os.Stat(file)
	if err != nil || st.Mode().Perm()&0o004 == 0 {
		return ""
	}
	return fmt.Sprintf("%s: every user of this machine can read this file, which holds the secret of %s; chmod 600 it",
		file, strings.TrimSuffix(key, fileSuffix))
}
