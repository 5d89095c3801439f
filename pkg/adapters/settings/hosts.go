// SPDX-License-Identifier: LGPL-2.1-or-later

package settings

import (
	"errors"
	"net"
	"strconv"
	"strings"
)

// A Server is where a server listens.
type Server struct {
	Host string // a name, or an address without brackets
	Port int
}

// String is host:port, with brackets around an IPv6 address.
func (s Server) String() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// JoinServers makes a list of host:port, separated by commas.
func JoinServers(servers []Server) string {
	names := make([]string, len(servers))
	for i, s := range servers {
		names[i] = s.String()
	}
	return strings.Join(names, ",")
}

// ParsePort reads a port. Its error, like those of ParseHost and ParseServers, does not repeat the text: a connection
// string that was written in another order may have a password there.
func ParsePort(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	switch {
	case text == "":
		return 0, errors.New("the port is empty")
	case err != nil || n == 0 || text[0] == '+':
		return 0, errors.New("the port is not a number from 1 to 65535")
	}
	return int(n), nil
}

// ParseHost reads a name or an address; one of IPv6 may stand in brackets and have a zone.
func ParseHost(text string) (string, error) {
	host := text
	if rest, ok := strings.CutPrefix(text, "["); ok {
		if host, ok = strings.CutSuffix(rest, "]"); !ok {
			return "", errors.New("the host has no closing bracket")
		}
		if !strings.Contains(host, ":") {
			return "", errors.New("the host in brackets is not an IPv6 address")
		}
	}
	address, _, _ := strings.Cut(host, "%")
	switch {
	case host == "":
		return "", errors.New("the host is empty")
	case strings.Contains(host, ":") && net.ParseIP(address) == nil:
		return "", errors.New("the host is neither a name nor an IPv6 address")
	case !strings.Contains(host, ":") && strings.ContainsFunc(host, notInName):
		return "", errors.New("the host holds a character that no host name has")
	}
	return host, nil
}

func notInName(r rune) bool {
	return r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r < 0x80
}

// ParseServers reads hosts separated by commas. One may have a port of its own, as in a:1,b or [::1]:1; the others have
// the common one.
func ParseServers(list string, port int) ([]Server, error) {
	var servers []Server
	for text := range strings.SplitSeq(list, ",") {
		text = strings.TrimSpace(text)
		s := Server{Port: port}
		if text == "" {
			return nil, errors.New("a host in the list is empty")
		}
		host, own := text, ""
		if i := strings.LastIndexByte(text, ':'); i >= 0 && (strings.Count(text, ":") == 1 || i > 0 && text[i-1] == ']') {
			host, own = text[:i], text[i+1:]
		}
		var err error
		if s.Host, err = ParseHost(host); err != nil {
			return nil, err
		}
		if len(host) < len(text) {
			if s.Port, err = ParsePort(own); err != nil {
				return nil, err
			}
		}
		servers = append(servers, s)
	}
	return servers, nil
}
