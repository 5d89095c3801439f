// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/pkg/lint"
)

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := put("cfg_redis.txt", "[message-broker]\nstreamsize=10\nflush-timeout=1\n")
	doubtful := put("doubtful.txt", "[sensor0]\nenable=1\nid=x\nidd=y\n")
	wrong := put("cfg_mqtt.txt", "[message-broker]\npassword=hunter2secret\nqos=8\n")
	either := put("either.txt", "[message-broker]\nusername=x\n")
	for name, c := range map[string]struct {
		args []string
		code int
		out  string
	}{
		"good":             {[]string{good}, exitOK, "1 file: 1 honoured, 1 ignored, 0 warnings, 0 wrong\n"},
		"good, strict":     {[]string{"--strict", good}, exitOK, "flush-timeout: ignored: redis accepts it"},
		"doubtful":         {[]string{doubtful}, exitOK, "did you mean id?"},
		"doubtful, strict": {[]string{doubtful, "--strict"}, exitDoubtful, "1 warning"},
		"wrong":            {[]string{good, wrong}, exitWrong, wrong + ":3: [message-broker] qos: wrong: is out of range; choose a number from 0 to 2\n"},
		"quiet":            {[]string{"-quiet", good}, exitOK, "1 file: 1 honoured"},
		"either":           {[]string{either}, exitWrong, "say it with --proto"},
		"amqp":             {[]string{"--proto=amqp", either}, exitOK, "username: honoured by amqp"},
		"options end":      {[]string{"--", good}, exitOK, "1 file"},
		"missing":          {[]string{filepath.Join(dir, "none")}, exitWrong, "no such file"},
	} {
		r := runLine(t.Context(), "", append([]string{"check"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.out, c.out) || r.err != "" {
			t.Errorf("%s: %+v", name, r)
		}
		if strings.Contains(r.out, "hunter2") {
			t.Errorf("%s: shows a secret: %s", name, r.out)
		}
	}
	r := runLine(t.Context(), "", "check", "--json", wrong)
	var got struct {
		Findings []lint.Finding
		Summary  lint.Summary
	}
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || r.code != exitWrong {
		t.Fatal(err, r)
	}
	want := lint.Finding{File: wrong, Line: 3, Group: "message-broker", Key: "qos", Verdict: lint.Wrong,
		Text: "is out of range", Remedy: "choose a number from 0 to 2"}
	if !slices.Contains(got.Findings, want) || got.Summary != (lint.Summary{Files: 1, Honoured: 1, Wrong: 1}) {
		t.Errorf("%+v", got)
	}
}
