// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/gst-edgewire/gst-edgewire/internal/version"
)

// result is what a command line gave.
type result struct {
	code     int
	out, err string
}

func runLine(ctx context.Context, stdin string, args ...string) result {
	var out, errs bytes.Buffer
	code := run(ctx, args, streams{in: strings.NewReader(stdin), out: &out, err: &errs})
	return result{code, out.String(), errs.String()}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		name     string
		args     []string
		code     int
		out, err string // must be contained
	}{
		{"nothing", nil, exitUsage, "", "usage: edgewire COMMAND"},
		{"help", []string{"help"}, exitOK, "annotate   draw", ""},
		{"help of a command", []string{"help", "consume"}, exitOK, "-idle-timeout", ""},
		{"-h of a command", []string{"broker", "-h"}, exitOK, "-ready-file", ""},
		{"help of an unknown command", []string{"help", "brokr"}, exitUsage, "", `did you mean "broker"?`},
		{"version", []string{"version"}, exitOK, "edgewire " + version.String() + "\n", ""},
		{"--version", []string{"--version"}, exitOK, version.String(), ""},
		{"near command", []string{"comsume"}, exitUsage, "", `did you mean "consume"?`},
		{"far command", []string{"xyzzy"}, exitUsage, "", "the commands are broker, consume, check, annotate, version and help"},
		{"near option", []string{"consume", "--form-start"}, exitUsage, "", "did you mean --from-start?"},
		{"far option", []string{"consume", "--qqqqqqq"}, exitUsage, "", "edgewire help consume tells the options"},
		{"stray argument", []string{"broker", "now"}, exitUsage, "", `takes no argument "now"`},
		{"bad number", []string{"consume", "--count", "many"}, exitUsage, "", `invalid value "many"`},
		{"exclusive options", []string{"consume", "--raw", "--json"}, exitUsage, "", "exclude each other"},
		{"adapter of another version", []string{"consume", "--adapter", "mqtt"}, exitUsage, "", "this version knows kafka"},
		{"bad broker", []string{"consume", "--brokers", "localhost"}, exitUsage, "", "not HOST:PORT"},
		{"any address", []string{"broker", "--listen", "0.0.0.0:9092"}, exitUsage, "", "name one address"},
		{"no port", []string{"broker", "--listen", "127.0.0.1"}, exitUsage, "", "not ADDRESS:PORT"},
		{"bad port", []string{"broker", "--listen", "127.0.0.1:99999"}, exitUsage, "", "0 to 65535"},
		{"no partitions", []string{"broker", "--partitions", "0"}, exitUsage, "", "between 1 and 1000"},
		{"check without files", []string{"check"}, exitUsage, "", "name a file"},
		{"check of a protocol that is none", []string{"check", "--proto", "kafak", "x"}, exitUsage, "", "did you mean kafka?"},
		{"annotate without options", []string{"annotate"}, exitUsage, "", "needs --image"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := runLine(t.Context(), "", c.args...)
			if r.code != c.code {
				t.Errorf("exit code %d, want %d", r.code, c.code)
			}
			if !strings.Contains(r.out, c.out) {
				t.Errorf("standard output %q does not contain %q", r.out, c.out)
			}
			if !strings.Contains(r.err, c.err) {
				t.Errorf("standard error %q does not contain %q", r.err, c.err)
			}
			if c.err == "" && r.err != "" {
				t.Errorf("unexpected on standard error: %q", r.err)
			}
		})
	}
}
