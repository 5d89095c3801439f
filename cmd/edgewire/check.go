// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/lint"
)

// Exit codes of check.
const (
	exitDoubtful = 1 // with --strict: there are warnings
	exitWrong    = 2
)

const checkHelp = `
usage: edgewire check [OPTIONS] FILE…

Says what becomes of DeepStream's configuration files here, key by key: honoured,
ignored and why, or wrong and what to do. It knows the files of deepstream-app and
deepstream-test5 (key file or YAML) with all files that these name, those of the
protocol adaptors ([message-broker]), cfg_nvmsgbroker.txt, and those of nvmsgconv
(key file, YAML, CSV). Templates of messages (payload-template) are checked too. No server is asked, and no secret is shown.

Exit code: 0 all is fine; 1 with --strict there are warnings; 2 something is wrong.`

func runCheck(_ context.Context, args []string, s streams) error {
	fs := newFlags("check", checkHelp, s)
	proto := fs.String("proto", "", "`PROTOCOL` of [message-broker] files; without it, it is guessed by their keys and names")
	asJSON := fs.Bool("json", false, "print one JSON object instead of lines")
	strict := fs.Bool("strict", false, "end with exit code 1 if there are warnings")
	quiet := fs.Bool("quiet", false, "print only warnings, mistakes and the summary")
	files, err := parseWords(fs, args)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return usagef("check: name a file, such as a configuration of deepstream-app (edgewire help check tells more)")
	}
	if _, known := adapters.Lookup(*proto); *proto != "" && !known {
		remedy := "known are " + strings.Join(adapters.Names(), ", ")
		if near, ok := nearest.Of(*proto, adapters.Names()); ok {
			remedy = "did you mean " + near + "?"
		}
		return usagef("check --proto: there is no protocol %q; %s", *proto, remedy)
	}
	l := &lint.Linter{Protocol: *proto}
	for _, file := range files {
		l.File(file)
	}
	sum := l.Summary()
	findings := []lint.Finding{}
	for _, f := range l.Findings() {
		if !*quiet || f.Verdict == lint.Warned || f.Verdict == lint.Wrong {
			findings = append(findings, f)
		}
	}
	out := bufio.NewWriter(s.out)
	if *asJSON {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err = e.Encode(struct {
			Findings []lint.Finding `json:"findings"`
			Summary  lint.Summary   `json:"summary"`
		}{findings, sum})
	} else {
		for _, f := range findings {
			fmt.Fprintln(out, f)
		}
		_, err = fmt.Fprintln(out, sum)
	}
	if err == nil {
		err = out.Flush()
	}
	switch {
	case err != nil:
		return fmt.Errorf("cannot write the findings: %w", err)
	case sum.Wrong > 0:
		return exitCode(exitWrong)
	case sum.Warnings > 0 && *strict:
		return exitCode(exitDoubtful)
	}
	return nil
}
