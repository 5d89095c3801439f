// SPDX-License-Identifier: LGPL-2.1-or-later

// Command edgewire is the companion of the gst-edgewire plugins: a broker to
// try them with, and eyes for what they send.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
	"github.com/gst-edgewire/gst-edgewire/internal/version"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // what was asked for did not work
	exitUsage = 2 // the command line makes no sense
)

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
	colour   bool // out is a terminal that takes colours
}

// exitCode ends a command that has said all that there is to say.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// command is one word that may follow "edgewire".
type command struct {
	name    string
	summary string
	// run gets the words after the name. A context that ends asks it to
	// finish in order.
	run func(ctx context.Context, args []string, s streams) error
}

func commands() []command {
	return []command{
		{"broker", "run a small Kafka-compatible broker in this process", runBroker},
		{"consume", "print the messages of a topic as they arrive", runConsume},
		{"check", "say what becomes of DeepStream's configuration files here", runCheck},
		{"annotate", "draw what a message describes onto a picture", runAnnotate},
		{"version", "print the version", runVersion},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, colour: wantColour(os.Stdout)})
	stop()
	os.Exit(code)
}

// wantColour tells whether f is a terminal and the user has not asked for
// plain text (https://no-color.org).
func wantColour(f *os.File) bool {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Mode()&os.ModeDevice != 0
}

// usageError is a mistake in the command line.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

func run(ctx context.Context, args []string, s streams) int {
	if len(args) == 0 {
		writeHelp(s.err)
		return exitUsage
	}
	name, rest := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		if name == "help" && len(rest) > 0 {
			return finish(ctx, rest[0], []string{"-h"}, s)
		}
		writeHelp(s.out)
		return exitOK
	case "-version", "--version":
		name = "version"
	}
	return finish(ctx, name, rest, s)
}

func finish(ctx context.Context, name string, args []string, s streams) int {
	err := dispatch(ctx, name, args, s)
	var usage usageError
	var code exitCode
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(s.err, "edgewire: %v\n", err)
		return exitUsage
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintf(s.err, "edgewire %s: %v\n", name, err)
	return exitError
}

func dispatch(ctx context.Context, name string, args []string, s streams) error {
	var names []string
	for _, c := range commands() {
		if c.name == name {
			return c.run(ctx, args, s)
		}
		names = append(names, c.name)
	}
	if near, ok := nearest.Of(name, append(names, "help")); ok {
		return usagef("there is no command %q; did you mean %q?", name, near)
	}
	return usagef("there is no command %q; the commands are %s and help", name, strings.Join(names, ", "))
}

func writeHelp(w io.Writer) {
	fmt.Fprintf(w, "edgewire %s, the companion of the gst-edgewire plugins\n\nusage: edgewire COMMAND [OPTIONS]\n\n", version.String())
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.summary)
	}
	fmt.Fprintf(w, "\nedgewire help COMMAND tells the options of a command.\n")
}

// newFlags makes the flag set of a command whose help begins with intro.
func newFlags(name, intro string, s streams) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // parse words the errors itself
	fs.Usage = func() {
		fmt.Fprintf(s.out, "%s\n\noptions:\n", strings.TrimSpace(intro))
		fs.SetOutput(s.out)
		fs.PrintDefaults()
		fs.SetOutput(io.Discard)
	}
	return fs
}

// parse reads args, which are options only.
func parse(fs *flag.FlagSet, args []string) error {
	if err := parseOptions(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return usagef("%s takes no argument %q (edgewire help %s tells the options)", fs.Name(), fs.Arg(0), fs.Name())
	}
	return nil
}

// parseWords reads args, in which options and words may be mixed; behind -- all are words.
func parseWords(fs *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := parseOptions(fs, args); err != nil {
			return nil, err
		}
		rest := fs.Args()
		if used := len(args) - len(rest); len(rest) == 0 || (used > 0 && args[used-1] == "--") {
			return append(words, rest...), nil
		}
		words, args = append(words, rest[0]), rest[1:]
	}
}

// parseOptions reads the options in front of args.
func parseOptions(fs *flag.FlagSet, args []string) error {
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	if err != nil {
		text := err.Error()
		if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
			text = fmt.Sprintf("%s has no option --%s", fs.Name(), strings.TrimPrefix(name, "-"))
			var known []string
			fs.VisitAll(func(f *flag.Flag) { known = append(known, f.Name) })
			if near, found := nearest.Of(strings.TrimLeft(name, "-"), known); found {
				text += fmt.Sprintf("; did you mean --%s?", near)
			}
		}
		return usagef("%s (edgewire help %s tells the options)", text, fs.Name())
	}
	return nil
}

// list is an option that may be given several times, or once with commas.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(v string) error {
	for _, word := range strings.Split(v, ",") {
		if word = strings.TrimSpace(word); word != "" {
			*l = append(*l, word)
		}
	}
	return nil
}

func runVersion(_ context.Context, args []string, s streams) error {
	if err := parse(newFlags("version", "usage: edgewire version", s), args); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.out, "edgewire %s\n", version.String())
	return err
}
