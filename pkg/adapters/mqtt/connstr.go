// SPDX-License-Identifier: LGPL-2.1-or-later

package mqtt

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/mqtt/engine"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/settings"
)

const connStrForm = `write host;port or host;port;topic, such as "localhost;1883", or mqtt://host, mqtts://host, ws://host/mqtt or wss://host/mqtt`

// A connString is a parsed connection string.
type connString struct {
	host, port string
	scheme     string // mqtt, mqtts, ws, wss; "" when written as host;port
	path       string // of a WebSocket
	topic      string
}

var ports = map[string]string{"mqtt": "1883", "mqtts": "8883", "ws": "80", "wss": "443"}

func (c *connString) address() string { return net.JoinHostPort(c.host, c.port) }

// servers is the connection string without its topic, in one form whatever the user has written.
func (c *connString) servers() string {
	if c.scheme == "" || c.scheme == "mqtt" {
		return c.host + ";" + c.port
	}
	return c.scheme + "://" + c.address() + c.path
}

// parseConnStr reads host;port[;topic] or a URL, with ;topic behind it.
func parseConnStr(s string) (connString, error) {
	fail := func(format string, args ...any) (connString, error) {
		return connString{}, fmt.Errorf("conn-str: %s; %s", fmt.Sprintf(format, args...), connStrForm)
	}
	var c connString
	var err error
	text := strings.TrimSpace(s)
	if scheme, _, ok := strings.Cut(text, "://"); ok {
		text, c.topic, _ = strings.Cut(text, ";")
		if err = c.parseURL(scheme, text); err != nil {
			return fail("%v", err)
		}
	} else {
		parts := strings.SplitN(text, ";", 3)
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		switch {
		case len(parts) == 1 && strings.Contains(parts[0], ":"):
			return fail("host and port are separated by a colon, a semicolon is expected")
		case len(parts) == 1:
			return fail("the port is missing")
		case parts[0] == "":
			return fail("the host is empty")
		}
		if c.port, err = parsePort(parts[1]); err != nil {
			return fail("%v", err)
		}
		if c.host, err = settings.ParseHost(parts[0]); err != nil {
			return fail("%v", err)
		}
		if len(parts) == 3 {
			c.topic = parts[2]
			if strings.Contains(c.topic, ";") {
				return fail("%d parts between semicolons, at most 3 are expected", strings.Count(text, ";")+1)
			}
		}
	}
	if c.topic = strings.TrimSpace(c.topic); c.topic != "" {
		if err := engine.CheckTopic(c.topic); err != nil {
			return fail("%v", err)
		}
	}
	return c, nil
}

func (c *connString) parseURL(scheme, text string) error {
	scheme = strings.ToLower(scheme)
	switch scheme {
	case "tcp":
		scheme = "mqtt"
	case "ssl", "tls":
		scheme = "mqtts"
	}
	def, ok := ports[scheme]
	if !ok {
		return errors.New("the scheme in front of :// is none of mqtt, mqtts, ws, wss")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("the URL cannot be read") // its text may hold a password
	case u.User != nil:
		return errors.New("a user name stands in the URL: write username and password into the configuration file instead")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("the URL has a query or a fragment, which mean nothing here")
	}
	c.scheme = scheme
	if c.host, err = settings.ParseHost(u.Hostname()); err != nil {
		return err
	}
	if c.port = u.Port(); c.port == "" {
		c.port = def
	}
	if c.port, err = parsePort(c.port); err != nil {
		return err
	}
	if scheme == "ws" || scheme == "wss" {
		if c.path = u.EscapedPath(); c.path == "" || c.path == "/" {
			c.path = "/mqtt"
		}
	} else if u.Path != "" && u.Path != "/" {
		return errors.New("the URL has a path; a topic is written behind a semicolon, as in mqtt://host;topic")
	}
	return nil
}

func parsePort(s string) (string, error) {
	n, err := settings.ParsePort(s)
	return strconv.Itoa(n), err
}
