// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"encoding/binary"

	pion "github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/protocol/extension"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
)

// collector puts one handshake message together from its fragments.
type collector struct {
	body   []byte
	filled []bool
	left   int
}

const maxCollected = 4096

func (c *collector) add(length, offset int, fragment []byte) {
	if length == 0 || length > maxCollected || offset+len(fragment) > length {
		return
	}
	if len(c.body) != length {
		c.body, c.filled, c.left = make([]byte, length), make([]bool, length), length
	}
	for i, b := range fragment {
		if !c.filled[offset+i] {
			c.filled[offset+i] = true
			c.left--
		}
		c.body[offset+i] = b
	}
}

func (c *collector) message() ([]byte, bool) { return c.body, c.body != nil && c.left == 0 }

// hasExtension looks for an extension in a complete ServerHello.
func (c *collector) hasExtension(typ uint16) bool {
	b, ok := c.message()
	if !ok || len(b) < 38 {
		return false
	}
	at := 35 + int(b[34]) + 3
	if len(b) < at+2 {
		return false
	}
	_, ok = findExtension(b[at+2:], typ)
	return ok
}

func findExtension(b []byte, typ uint16) ([]byte, bool) {
	for len(b) >= 4 {
		t, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if b = b[4:]; n > len(b) {
			return nil, false
		}
		if t == typ {
			return b[:n], true
		}
		b = b[n:]
	}
	return nil, false
}

const extensionUseSRTP = 14

// offeredProfiles are the SRTP profiles of a ClientHello in one record.
func offeredProfiles(record []byte) []pion.SRTPProtectionProfile {
	if len(record) < headerSize+messageHeader+35 {
		return nil
	}
	b := record[headerSize+messageHeader+34:]
	skip := func(width int) bool {
		if len(b) < width {
			return false
		}
		n := int(b[0])
		if width == 2 {
			n = int(binary.BigEndian.Uint16(b))
		}
		if len(b) < width+n {
			return false
		}
		b = b[width+n:]
		return true
	}
	for _, width := range []int{1, 1, 2, 1} { // session_id, cookie, cipher_suites, compression_methods
		if !skip(width) {
			return nil
		}
	}
	if len(b) < 2 {
		return nil
	}
	ext, ok := findExtension(b[2:], extensionUseSRTP)
	if !ok || len(ext) < 2 {
		return nil
	}
	n := int(binary.BigEndian.Uint16(ext))
	if ext = ext[2:]; n > len(ext) {
		return nil
	}
	var profiles []pion.SRTPProtectionProfile
	for ext = ext[:n]; len(ext) >= 2; ext = ext[2:] {
		profiles = append(profiles, pion.SRTPProtectionProfile(binary.BigEndian.Uint16(ext)))
	}
	return profiles
}

func common(a, b []pion.SRTPProtectionProfile) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}

// withoutSRTP leaves use_srtp out of a ServerHello.
func withoutSRTP(m handshake.MessageServerHello) handshake.Message {
	kept := m.Extensions[:0:0]
	for _, e := range m.Extensions {
		if _, ok := e.(*extension.UseSRTP); !ok {
			kept = append(kept, e)
		}
	}
	m.Extensions = kept
	return &m
}
