// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
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
	if parts[1] == "" {
		return fail("the port is empty")
	}
	port, err := parsePort(parts[1])
	if err != nil {
		return fail("%v", err)
	}
	var servers []string
	for _, h := range strings.Split(parts[0], ",") {
		server, err := parseHost(strings.TrimSpace(h), port)
		if err != nil {
			return fail("%v", err)
		}
		servers = append(servers, server)
	}
	c := connString{servers: strings.Join(servers, ",")}
	if len(parts) == 3 && parts[2] != "" {
		if err := checkTopic(parts[2]); err != nil {
			return fail("%v", err)
		}
		c.topic = parts[2]
	}
	return c, nil
}

func parsePort(s string) (string, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || s[0] == '+' {
		return "", fmt.Errorf("the port %q is not a number from 1 to 65535", s)
	}
	return strconv.FormatUint(n, 10), nil
}

// parseHost makes host:port of one host, whose own port wins over the common one.
func parseHost(h, port string) (string, error) {
	host := h
	switch {
	case h == "":
		return "", errors.New("a host in the list is empty")
	case strings.HasPrefix(h, "["):
		end := strings.IndexByte(h, ']')
		if end < 0 {
			return "", fmt.Errorf("the host %q has no closing bracket", h)
		}
		host = h[1:end]
		if net.ParseIP(cutZone(host)) == nil || !strings.Contains(host, ":") {
			return "", fmt.Errorf("%q is not an IPv6 address", host)
		}
		rest := h[end+1:]
		if rest != "" {
			own, found := strings.CutPrefix(rest, ":")
			if !found {
				return "", fmt.Errorf("the host %q has text after the bracket", h)
			}
			var err error
			if port, err = parsePort(own); err != nil {
				return "", err
			}
		}
	case strings.Count(h, ":") == 1:
		name, own, _ := strings.Cut(h, ":")
		if name == "" {
			return "", fmt.Errorf("the host %q starts with a colon", h)
		}
		var err error
		if port, err = parsePort(own); err != nil {
			return "", err
		}
		host = name
	case strings.Contains(h, ":"):
		if net.ParseIP(cutZone(h)) == nil {
			return "", fmt.Errorf("the host %q is neither a name nor an IPv6 address", h)
		}
	}
	if !strings.Contains(host, ":") && strings.ContainsFunc(host, notInHost) {
		return "", fmt.Errorf("the host %q holds a character that no host name has", host)
	}
	return net.JoinHostPort(host, port), nil
}

func cutZone(ip string) string {
	ip, _, _ = strings.Cut(ip, "%")
	return ip
}

func notInHost(r rune) bool {
	return r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r < 0x80
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
