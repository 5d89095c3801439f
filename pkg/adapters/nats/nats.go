// SPDX-License-Identifier: LGPL-2.1-or-later

// Package nats carries messages to NATS: to JetStream, which keeps and acknowledges them, or to whoever
// listens. See README.md beside it.
//
// github.com/nats-io/nats.go speaks the protocol. Publishing with acknowledgement is ours: a request whose
// reply subject names the message, one subscription for all replies.
package nats

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

func init() { adapters.Register(adapter{}) }

type adapter struct{}

// Name is "nats".
func (adapter) Name() string { return "nats" }

// Capabilities of JetStream. Keys and timestamps travel as headers.
func (adapter) Capabilities() adapters.Capabilities {
	return adapters.Capabilities{Keys: true, Timestamps: true, Headers: true, Acknowledged: true, Binary: true, Subscribe: true, Retained: true}
}

// Keys are those of the group [message-broker].
func (adapter) Keys() []settings.Key { return slices.Concat(Keys, settings.TLSKeys) }

// Check is Open without a connection.
func (adapter) Check(cfg adapters.Config, log func(adapters.LogEntry)) (adapters.Info, error) {
	set, err := loadAll(cfg, log)
	if err != nil {
		return adapters.Info{}, err
	}
	return set.info(), nil
}

// Open checks connection string and configuration, and starts to connect in the background.
func (adapter) Open(cfg adapters.Config, sink adapters.Sink) (adapters.Conn, error) {
	set, err := loadAll(cfg, sink.Log)
	if err != nil {
		return nil, err
	}
	return start(cfg, set, sink), nil
}

func loadAll(cfg adapters.Config, log func(adapters.LogEntry)) (*set, error) {
	set, err := load(cfg, log)
	if err != nil {
		return nil, err
	}
	// What is missing on disk is told now, not with the first connection.
	if _, err := set.group.TLS(set.servers[0].Hostname()); err != nil {
		return nil, err
	}
	if _, err := set.auth(); err != nil {
		return nil, err
	}
	return set, nil
}

// Match compares a subject with a pattern: tokens between dots, * for one, > for one or more at the end.
func (adapter) Match(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range p {
		switch {
		case token == ">":
			return i == len(p)-1 && len(s) > i
		case i >= len(s) || (token != "*" && token != s[i]):
			return false
		}
	}
	return len(p) == len(s)
}

// checkSubject says what is wrong with a subject, if anything is. Wildcards are for subscribing alone.
func checkSubject(subject string, wildcards bool) error {
	switch {
	case subject == "":
		return fmt.Errorf("the subject is empty; write words separated by dots")
	case len(subject) > 1000:
		return fmt.Errorf("the subject has %d bytes; write at most 1000", len(subject))
	case strings.ContainsFunc(subject, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return fmt.Errorf("the subject %q holds a blank or a control character; write words separated by dots", subject)
	}
	tokens := strings.Split(subject, ".")
	for i, t := range tokens {
		switch {
		case t == "":
			return fmt.Errorf("the subject %q has an empty word; write words separated by single dots", subject)
		case !strings.ContainsAny(t, "*>"):
		case !wildcards:
			return fmt.Errorf("the subject %q holds a wildcard, which is for subscribing; write it without * and >", subject)
		case len(t) > 1 || t == ">" && i < len(tokens)-1:
			return fmt.Errorf("the subject %q holds a wildcard beside other characters, or > before the end; write a.*.c or a.>", subject)
		}
	}
	return nil
}
