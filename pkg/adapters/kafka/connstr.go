// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"fmt"
	"net"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

// connStrForm is quoted in every complaint.
const connStrForm = `write host;port or host;port;topic, such as "localhost;9092"`

// A connString is a parsed connection string.
type connString struct {
	servers string // bootstrap.servers: host:port[,host:port…]; "" for an empty connection string
	topic   string // "" when not given
}

// parseConnStr reads host;port[;topic]. host may be a list separated by commas whose members may carry a
// port of their own, and an IPv6 address with or without brackets. An empty string is accepted: the
// configuration may name the servers.
func parseConnStr(s string) (connString, error) {
	fail := func(format string, args ...any) (connString, error) {
		return connString{}, fmt.Errorf("conn-str %q: %s; %s", s, fmt.Sprintf(format, args...), connStrForm)
	}
	if strings.TrimSpace(s) == "" {
		return connString{}, nil
	}
	parts := strings.Split(s, ";")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	if len(parts) > 3 {
		// What follows the port may be a user and a password meant for another protocol.
		s = strings.Join(parts[:2], ";") + ";…"
		return fail("%d parts between semicolons, at most 3 are expected", len(parts))
	}
	if len(parts) == 1 {
		if h, p, err := net.SplitHostPort(parts[0]); err == nil && h != "" && p != "" {
			return fail("host and port are separated by a colon, a semicolon is expected")
		}
		return fail("the port is missing")
	}
	if parts[0] == "" {
		return fail("the host is empty")
	}
	port, err := settings.ParsePort(parts[1])
	if err != nil {
		return fail("%v", err)
	}
	servers, err := settings.ParseServers(parts[0], port)
	if err != nil {
		return fail("%v", err)
	}
	c := connString{servers: settings.JoinServers(servers)}
	if len(parts) == 3 && parts[2] != "" {
		if err := checkTopic(parts[2]); err != nil {
			return fail("%v", err)
		}
		c.topic = parts[2]
	}
	return c, nil
}

// checkTopic applies Kafka's rule for topic names.
func checkTopic(t string) error {
	if len(t) > 249 || t == "." || t == ".." || t == "" || strings.ContainsFunc(t, func(r rune) bool {
		return r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return fmt.Errorf("%q is not a topic name (letters, digits, '.', '_' and '-', at most 249)", t)
	}
	return nil
}
