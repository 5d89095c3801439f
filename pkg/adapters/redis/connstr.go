// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"fmt"
	"net"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

// connStrForm is quoted in every complaint.
const connStrForm = `host;port or host;port;stream, such as "localhost;6379"`

// A connString is a parsed connection string.
type connString struct {
	servers []string // host:port; none for an empty connection string
	stream  string   // "" when not given
}

// parseConnStr reads host;port[;stream]. host may be a list separated by commas whose members may carry a port
// of their own, and an IPv6 address with or without brackets. An empty string is accepted: the configuration
// may name the server.
func parseConnStr(s string) (connString, error) {
	fail := func(shown, format string, args ...any) (connString, error) {
		return connString{}, fmt.Errorf("conn-str %q: %s; write %s", shown, fmt.Sprintf(format, args...), connStrForm)
	}
	if strings.TrimSpace(s) == "" {
		return connString{}, nil
	}
	parts := strings.Split(s, ";")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	if len(parts) > 3 {
		// What follows may be a user and a password meant for another protocol.
		return fail(strings.Join(parts[:2], ";")+";…", "%d parts between semicolons, at most 3 are expected; user and password belong in the configuration file", len(parts))
	}
	if len(parts) == 1 {
		if h, p, err := net.SplitHostPort(parts[0]); err == nil && h != "" && p != "" {
			return fail(s, "host and port are separated by a colon, a semicolon is expected")
		}
		return fail(s, "the port is missing")
	}
	if parts[0] == "" {
		return fail(s, "the host is empty")
	}
	servers, err := parseHosts(parts[0], parts[1])
	if err != nil {
		return fail(s, "%v", err)
	}
	c := connString{servers: servers}
	if len(parts) == 3 {
		c.stream = parts[2]
	}
	return c, nil
}

// parseHosts makes a list of host:port of hosts separated by commas, whose own ports win over the common one.
func parseHosts(list, port string) ([]string, error) {
	common, err := settings.ParsePort(port)
	if err != nil {
		return nil, err
	}
	servers, err := settings.ParseServers(list, common)
	if err != nil {
		return nil, err
	}
	return strings.Split(settings.JoinServers(servers), ","), nil
}
