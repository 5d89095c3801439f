// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
)

// Cipher is an encryption transform, by the names and in the order of GStreamer's GstSrtpCipherType.
type Cipher uint8

// The ciphers. ICM is the RFCs' AES-CM (counter mode).
const (
	CipherNull Cipher = iota
	CipherAES128ICM
	CipherAES256ICM
	CipherAES128GCM
	CipherAES256GCM
)

// Auth is a message authentication transform, by the names and in the order of GStreamer's GstSrtpAuthType.
type Auth uint8

// The authentication transforms. GCM authenticates by itself and goes with AuthNull.
const (
	AuthNull Auth = iota
	AuthHMACSHA1_32
	AuthHMACSHA1_80
)

var cipherTable = []struct {
	nick      string
	key, salt int // bytes
	gcm       bool
}{
	CipherNull:      {"null", 0, 0, false},
	CipherAES128ICM: {"aes-128-icm", 16, 14, false},
	CipherAES256ICM: {"aes-256-icm", 32, 14, false},
	CipherAES128GCM: {"aes-128-gcm", 16, 12, true},
	CipherAES256GCM: {"aes-256-gcm", 32, 12, true},
}

var authTable = []struct {
	nick string
	tag  int // bytes
}{
	AuthNull:        {"null", 0},
	AuthHMACSHA1_32: {"hmac-sha1-32", 4},
	AuthHMACSHA1_80: {"hmac-sha1-80", 10},
}

func (c Cipher) valid() bool { return int(c) < len(cipherTable) }
func (a Auth) valid() bool   { return int(a) < len(authTable) }
func (c Cipher) gcm() bool   { return c.valid() && cipherTable[c].gcm }

// String is the nick, as GStreamer's srtp-cipher properties take it.
func (c Cipher) String() string {
	if !c.valid() {
		return fmt.Sprintf("cipher %d", uint8(c))
	}
	return cipherTable[c].nick
}

// String is the nick, as GStreamer's srtp-auth properties take it.
func (a Auth) String() string {
	if !a.valid() {
		return fmt.Sprintf("auth %d", uint8(a))
	}
	return authTable[a].nick
}

// ParseCipher finds a cipher by its nick. The error names the nearest and all of them.
func ParseCipher(nick string) (Cipher, error) {
	nicks := make([]string, len(cipherTable))
	for i, c := range cipherTable {
		nicks[i] = c.nick
	}
	i, err := parseNick("cipher", nick, nicks)
	return Cipher(i), err
}

// ParseAuth finds an authentication transform by its nick. The error names the nearest and all of them.
func ParseAuth(nick string) (Auth, error) {
	nicks := make([]string, len(authTable))
	for i, a := range authTable {
		nicks[i] = a.nick
	}
	i, err := parseNick("authentication", nick, nicks)
	return Auth(i), err
}

func parseNick(what, word string, nicks []string) (int, error) {
	w := strings.ToLower(strings.TrimSpace(word))
	for i, n := range nicks {
		if w == n {
			return i, nil
		}
	}
	hint := ""
	if n, ok := nearest.Of(w, nicks); ok {
		hint = fmt.Sprintf(" (did you mean %q?)", n)
	}
	return 0, fmt.Errorf("unknown SRTP %s %q%s; known are %s", what, word, hint, strings.Join(nicks, ", "))
}

// Policy says how RTP and RTCP are protected. The zero Policy protects nothing: packets pass as they are.
type Policy struct {
	RTPCipher  Cipher
	RTPAuth    Auth
	RTCPCipher Cipher
	RTCPAuth   Auth
}

// Validate reports combinations that no transform exists for, or that the RFCs forbid. RTP and RTCP may
// differ. Counter mode without authentication is allowed for RTP (RFC 3711 section 9.5 warns of it), but
// not for RTCP (section 3.4).
func (p Policy) Validate() error {
	for _, side := range []struct {
		name   string
		cipher Cipher
		auth   Auth
	}{{"RTP", p.RTPCipher, p.RTPAuth}, {"RTCP", p.RTCPCipher, p.RTCPAuth}} {
		switch {
		case !side.cipher.valid():
			return fmt.Errorf("SRTP policy: unknown cipher number %d for %s", uint8(side.cipher), side.name)
		case !side.auth.valid():
			return fmt.Errorf("SRTP policy: unknown authentication number %d for %s", uint8(side.auth), side.name)
		case side.cipher.gcm() && side.auth != AuthNull:
			return fmt.Errorf("SRTP policy: %v for %s authenticates by itself; set its authentication to %v instead of %v",
				side.cipher, side.name, AuthNull, side.auth)
		}
	}
	if p.RTCPCipher != CipherNull && !p.RTCPCipher.gcm() && p.RTCPAuth == AuthNull {
		return errors.New("SRTP policy: RTCP that is encrypted must be authenticated (RFC 3711 section 3.4); " +
			"set its authentication to hmac-sha1-80")
	}
	return nil
}

// String names the policy; it is also what prints where a Sender or Receiver is printed, so that no key is.
func (p Policy) String() string {
	return fmt.Sprintf("SRTP policy {RTP %v, %v; RTCP %v, %v}", p.RTPCipher, p.RTPAuth, p.RTCPCipher, p.RTCPAuth)
}

// none tells a policy that protects nothing at all.
func (p Policy) none() bool { return p == Policy{} }

// master is the length of the master key and of the master salt in bytes. Where RTP and RTCP differ, the
// cipher with the longer pair decides, as in GStreamer's srtpenc. HMAC alone takes RFC 3711's default.
func (p Policy) master() (key, salt int) {
	for _, c := range []Cipher{p.RTPCipher, p.RTCPCipher} {
		if c.valid() && cipherTable[c].key+cipherTable[c].salt > key+salt {
			key, salt = cipherTable[c].key, cipherTable[c].salt
		}
	}
	if key == 0 && !p.none() {
		key, salt = cipherTable[CipherAES128ICM].key, cipherTable[CipherAES128ICM].salt
	}
	return key, salt
}

// KeySize is the length of master key and master salt together in bytes: 30, 46, 28 or 44, and 0 for the
// policy that protects nothing.
func (p Policy) KeySize() int { k, s := p.master(); return k + s }

// RTPOverhead is how many bytes ProtectRTP adds.
func (p Policy) RTPOverhead() int { return tagLen(p.RTPCipher, p.RTPAuth) }

// RTCPOverhead is how many bytes ProtectRTCP adds: the tag, and the SRTCP index with its E flag.
func (p Policy) RTCPOverhead() int {
	if p.none() {
		return 0
	}
	return tagLen(p.RTCPCipher, p.RTCPAuth) + rtcpIndexLen
}

func tagLen(c Cipher, a Auth) int {
	switch {
	case c.gcm():
		return gcmTagLen
	case a.valid():
		return authTable[a].tag
	}
	return 0
}
