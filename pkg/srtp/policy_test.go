// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestProfiles(t *testing.T) {
	for _, c := range []struct {
		p             Profile
		name          string
		key, salt     int
		rtp, rtcp, ks int
	}{
		{AES128CMHMACSHA1_80, "SRTP_AES128_CM_HMAC_SHA1_80", 16, 14, 10, 14, 30},
		{AES128CMHMACSHA1_32, "SRTP_AES128_CM_HMAC_SHA1_32", 16, 14, 4, 14, 30},
		{AEADAES128GCM, "SRTP_AEAD_AES_128_GCM", 16, 12, 16, 20, 28},
		{AEADAES256GCM, "SRTP_AEAD_AES_256_GCM", 32, 12, 16, 20, 44},
	} {
		pol := c.p.Policy()
		if c.p.String() != c.name || c.p.KeyLen() != c.key || c.p.SaltLen() != c.salt || pol.KeySize() != c.ks ||
			pol.RTPOverhead() != c.rtp || pol.RTCPOverhead() != c.rtcp || pol.Validate() != nil {
			t.Errorf("%v: key %d, salt %d, %v, size %d, overhead %d and %d; want %+v", c.p, c.p.KeyLen(), c.p.SaltLen(),
				pol, pol.KeySize(), pol.RTPOverhead(), pol.RTCPOverhead(), c)
		}
	}
	unknown := Profile(0x1234)
	if unknown.String() != "SRTP profile 0x1234" || unknown.KeyLen() != 0 || unknown.Policy() != (Policy{}) {
		t.Errorf("unknown profile: %v, %d, %v", unknown, unknown.KeyLen(), unknown.Policy())
	}
}

func TestParseProfile(t *testing.T) {
	for name, want := range map[string]Profile{
		"SRTP_AES128_CM_HMAC_SHA1_80": AES128CMHMACSHA1_80,
		"SRTP_AES128_CM_SHA1_80":      AES128CMHMACSHA1_80,
		"srtp_aes128_cm_sha1_32":      AES128CMHMACSHA1_32,
		"AES_CM_128_HMAC_SHA1_32":     AES128CMHMACSHA1_32,
		" SRTP_AEAD_AES_128_GCM ":     AEADAES128GCM,
		"aead-aes-256-gcm":            AEADAES256GCM,
	} {
		if got, err := ParseProfile(name); err != nil || got != want {
			t.Errorf("ParseProfile(%q) = %v, %v; want %v", name, got, err, want)
		}
	}
	for name, hint := range map[string]string{
		"SRTP_AEAD_AES_265_GCM": `did you mean "SRTP_AEAD_AES_256_GCM"`,
		"AES128_CM_SHA_80":      `did you mean "SRTP_AES128_CM_SHA1_80"`,
		"":                      "unknown SRTP profile",
		"F8":                    "unknown SRTP profile",
	} {
		_, err := ParseProfile(name)
		if err == nil || !strings.Contains(err.Error(), hint) || !strings.Contains(err.Error(), "SRTP_AES128_CM_HMAC_SHA1_32") {
			t.Errorf("ParseProfile(%q): error %v; want %s and the list", name, err, hint)
		}
	}
}

func TestParseNicks(t *testing.T) {
	for c := range cipherTable {
		if got, err := ParseCipher(" " + strings.ToUpper(Cipher(c).String())); err != nil || got != Cipher(c) {
			t.Errorf("ParseCipher(%v) = %v, %v", Cipher(c), got, err)
		}
	}
	for a := range authTable {
		if got, err := ParseAuth(Auth(a).String()); err != nil || got != Auth(a) {
			t.Errorf("ParseAuth(%v) = %v, %v", Auth(a), got, err)
		}
	}
	if _, err := ParseCipher("aes-128-gmc"); err == nil || !strings.Contains(err.Error(), `did you mean "aes-128-gcm"`) {
		t.Errorf("ParseCipher: %v", err)
	}
	if _, err := ParseAuth("hmac-sha1-8"); err == nil || !strings.Contains(err.Error(), `did you mean "hmac-sha1-80"`) {
		t.Errorf("ParseAuth: %v", err)
	}
}

func TestPolicyValidate(t *testing.T) {
	for _, c := range []struct {
		p    Policy
		hint string // "": valid
		size int
	}{
		{Policy{}, "", 0},
		{Policy{CipherAES128GCM, AuthHMACSHA1_80, CipherAES128GCM, AuthNull}, "authenticates by itself", 28},
		{Policy{CipherAES128GCM, AuthNull, CipherAES128GCM, AuthHMACSHA1_32}, "for RTCP", 28},
		{Policy{CipherAES128ICM, AuthNull, CipherAES128ICM, AuthNull}, "section 3.4", 30},
		{Policy{CipherAES128ICM, AuthNull, CipherAES128ICM, AuthHMACSHA1_80}, "", 30},
		{Policy{CipherNull, AuthHMACSHA1_80, CipherNull, AuthHMACSHA1_80}, "", 30},
		{Policy{CipherAES128ICM, AuthHMACSHA1_80, CipherAES256GCM, AuthNull}, "", 44},
		{Policy{CipherAES128GCM, AuthNull, CipherAES128ICM, AuthHMACSHA1_80}, "", 30},
		{Policy{CipherAES256GCM, AuthNull, CipherAES256ICM, AuthHMACSHA1_80}, "", 46},
		{Policy{CipherAES256GCM, AuthNull, CipherNull, AuthNull}, "", 44},
		{Policy{Cipher(9), AuthNull, CipherNull, AuthNull}, "unknown cipher number 9", 0},
		{Policy{CipherNull, AuthNull, CipherNull, Auth(7)}, "unknown authentication number 7", 30},
	} {
		err := c.p.Validate()
		if (err == nil) != (c.hint == "") || err != nil && !strings.Contains(err.Error(), c.hint) {
			t.Errorf("%v: %v; want %q", c.p, err, c.hint)
		}
		if err == nil && c.p.KeySize() != c.size {
			t.Errorf("%v: key size %d, want %d", c.p, c.p.KeySize(), c.size)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	p := AEADAES128GCM.Policy()
	for _, c := range []struct {
		name string
		p    Policy
		key  []byte
		o    Options
		hint string
	}{
		{"short key", p, make([]byte, 27), Options{}, "have 27 bytes, but"},
		{"no key", p, nil, Options{}, "needs 28"},
		{"key without use", Policy{}, make([]byte, 30), Options{}, "needs 0"},
		{"bad policy", Policy{RTPCipher: CipherAES128GCM, RTPAuth: AuthHMACSHA1_80}, nil, Options{}, "authenticates by itself"},
		{"window too small", p, testKey(p), Options{ReplayWindow: 63}, "64 to 32768"},
		{"window too large", p, testKey(p), Options{ReplayWindow: 32769}, "64 to 32768"},
		{"negative window", p, testKey(p), Options{ReplayWindow: -1}, "64 to 32768"},
	} {
		if _, err := NewSender(c.p, c.key, c.o); err == nil || !strings.Contains(err.Error(), c.hint) {
			t.Errorf("%s: NewSender: %v; want %q", c.name, err, c.hint)
		}
		if _, err := NewReceiver(c.p, c.key, c.o); err == nil || !strings.Contains(err.Error(), c.hint) {
			t.Errorf("%s: NewReceiver: %v; want %q", c.name, err, c.hint)
		}
	}
}

// Printing must not show keys.
func TestPrintsNoKey(t *testing.T) {
	for _, p := range policies() {
		s, r := mustSender(t, p, testKey(p), Options{}), mustReceiver(t, p, testKey(p), Options{})
		for _, f := range []string{"%v", "%+v", "%#v", "%s"} {
			want := fmt.Sprint(p)
			if got := fmt.Sprintf(f, s); got != "Sender under "+want {
				t.Fatalf("%s: %s", f, got)
			}
			if got := fmt.Sprintf(f, r); got != "Receiver under "+want {
				t.Fatalf("%s: %s", f, got)
			}
		}
	}
}

func TestKeyIsCopied(t *testing.T) {
	p := AES128CMHMACSHA1_80.Policy()
	key := testKey(p)
	s, r := mustSender(t, p, key, Options{}), mustReceiver(t, p, testKey(p), Options{})
	clear(key)
	if _, err := unprotectRTP(t, r, protectRTP(t, s, rtpPacket(1, 1, 20))); err != nil {
		t.Error(err)
	}
}

func TestIsRTCP(t *testing.T) {
	for b := range 256 {
		if got, want := IsRTCP([]byte{0x80, byte(b)}), b >= 192 && b <= 223; got != want {
			t.Errorf("second byte %d: %v", b, got)
		}
	}
	if IsRTCP(nil) || IsRTCP([]byte{200}) {
		t.Error("RTCP of less than two bytes")
	}
}

func TestErrorsWrap(t *testing.T) {
	for _, err := range []error{errTooShort, errNoTag, errTooLong, errVersion, errEncrypted} {
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%v is not ErrMalformed", err)
		}
	}
}
