// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/adaptertest"
)

// TestNoFile: what is neither file nor folder is refused without being opened, which could take for ever.
func TestNoFile(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	try := func(option, path string) error {
		done := make(chan error, 1)
		config := writeFile(t, "test.cfg", "[message-broker]\nproto-cfg = \"security.protocol=ssl;"+option+"="+path+"\"\n")
		go func() {
			c, err := adapter{}.Open(adapters.Config{ConnStr: "127.0.0.1;1", ConfigPath: config}, adaptertest.NewRecorder())
			if err == nil {
				_ = c.Close()
			}
			done <- err
		}()
		select {
		case err := <-done:
			return err
		case <-time.After(5 * time.Second):
			t.Fatalf("%s=%s: Open hangs", option, path)
			return nil
		}
	}
	for option := range fileOptions {
		for _, path := range []string{fifo, "/dev/zero"} {
			if err := try(option, path); err == nil || !strings.Contains(err.Error(), `"`+option+`" names `+path+", which is not a regular file; name a file") {
				t.Errorf("%s=%s: %v", option, path, err)
			}
		}
	}
	if err := try("ssl.key.location", folder); err == nil || !strings.Contains(err.Error(), "which is a folder") {
		t.Errorf("a folder as key: %v", err)
	}
	if err := try("ssl.ca.location", folder); err != nil {
		t.Errorf("a folder of certificates: %v", err)
	}
}

// TestPartsOfSecrets: a semicolon that is not escaped shows no part of a password.
func TestPartsOfSecrets(t *testing.T) {
	const start = "[message-broker]\nproto-cfg = \"security.protocol=sasl_plaintext;sasl.mechanisms=PLAIN;sasl.username=u;sasl.password=Endpoint=sb://ns/;"
	for config, want := range map[string]string{
		start + "Topsecret=hunter2\"\n":               "test.cfg:2: [message-broker] proto-cfg: item 5 is not an option of librdkafka; correct its name, or, if it belongs to the value of sasl.password before it, write the semicolon inside that value as \\;",
		start + "hunter2=Topsecret;hunter2=1\"\n":     "item 5 is not an option",
		start + "x.secret=1;hunter2=1\"\n":            "item 5 is not an option",
		start + "hunter2\"\n":                         "item 5 has no option=value",
		start + "linger.ms=1;compresion.type=lz4\"\n": `"compresion.type" does not exist; did you mean compression.type?`,
	} {
		_, _, err := tryOpen(t, "127.0.0.1;1", config, true)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(strings.ToLower(err.Error()), "topsecret") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
		if !strings.Contains(config, "hunter2=") {
			continue
		}
		_, r, err := tryOpen(t, "127.0.0.1;1", config, false)
		if err != nil || logged(r, "hunter2") || !logged(r, "is not an option") {
			t.Errorf("%s: %v, %v", config, err, r.Logs())
		}
	}
	if _, _, err := tryOpen(t, "127.0.0.1;1", start[:len(start)-1]+`\;SharedAccessKeyName=Root\;SharedAccessKey=x="`+"\n", true); err != nil {
		t.Error(err)
	}
}

// TestSecretInSecret: no order of the options leaves the rest of a longer secret.
func TestSecretInSecret(t *testing.T) {
	for _, order := range [][]property{
		{{name: "sasl.password", value: "abc"}, {name: "ssl.key.password", value: "abcdef"}},
		{{name: "ssl.key.password", value: "abcdef"}, {name: "sasl.password", value: "abc"}},
	} {
		c := newConf()
		for _, p := range order {
			if err := c.apply(p, false); err != nil {
				t.Fatal(err)
			}
		}
		if got := c.mask("x abcdef y abc z"); got != "x *** y *** z" {
			t.Error(got)
		}
		c.free()
	}
}
