// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

// clientHello is a ClientHello's body cut into its fields (RFC 6347 4.3.2).
// The slices point into it.
type clientHello struct {
	version   int
	random    []byte // 32 bytes
	sessionID []byte
	cookie    []byte
	head      []byte // cipher suites and compression methods, with their lengths
	tail      []byte // extensions
}

// parseHelloStart reads the fields up to the cookie: all of them lie in the
// first fragment of any sane ClientHello.
func parseHelloStart(body []byte) (h clientHello, rest []byte, ok bool) {
	c := cursor{b: body}
	h.version = c.uint16()
	h.random = c.take(32)
	h.sessionID = c.vector8()
	h.cookie = c.vector8()
	// The major version of all DTLS 1.x is 254.
	if c.bad || h.version>>8 != 0xFE || len(h.sessionID) > 32 {
		return clientHello{}, nil, false
	}
	return h, c.b, true
}

// parseHello reads a whole ClientHello, checking every length in it.
func parseHello(body []byte) (clientHello, bool) {
	h, rest, ok := parseHelloStart(body)
	if !ok {
		return clientHello{}, false
	}
	c := cursor{b: rest}
	suites := c.vector16()
	methods := c.vector8()
	if c.bad || len(suites) < 2 || len(suites)%2 != 0 || len(methods) == 0 {
		return clientHello{}, false
	}
	h.head = rest[:len(rest)-len(c.b)]
	h.tail = c.b
	if len(c.b) > 0 && !extensionsOK(&c) || !c.done() {
		return clientHello{}, false
	}
	return h, true
}

// extensionsOK reads a list of extensions and checks that their lengths add up.
func extensionsOK(c *cursor) bool {
	list := cursor{b: c.vector16()}
	for len(list.b) > 0 && !list.bad {
		list.uint16()
		list.vector16()
	}
	return !c.bad && list.done()
}
