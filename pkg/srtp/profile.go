// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"fmt"
	"strings"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
)

// Profile is a DTLS-SRTP protection profile, with the number that the use_srtp extension carries (RFC 5764
// section 4.1.2, RFC 7714 section 14.2).
type Profile uint16

// The profiles that this package can do.
const (
	AES128CMHMACSHA1_80 Profile = 0x0001 // SRTP_AES128_CM_HMAC_SHA1_80
	AES128CMHMACSHA1_32 Profile = 0x0002 // SRTP_AES128_CM_HMAC_SHA1_32; its SRTCP has 80-bit tags
	AEADAES128GCM       Profile = 0x0007 // SRTP_AEAD_AES_128_GCM
	AEADAES256GCM       Profile = 0x0008 // SRTP_AEAD_AES_256_GCM
)

// profiles lists, for each profile, its RFC name first and then the other names it goes by: OpenSSL's, and
// that of SDP security descriptions (RFC 4568). All without "SRTP_".
var profiles = []struct {
	profile Profile
	names   []string
	policy  Policy
}{
	{AES128CMHMACSHA1_80, []string{"AES128_CM_HMAC_SHA1_80", "AES128_CM_SHA1_80", "AES_CM_128_HMAC_SHA1_80"},
		Policy{CipherAES128ICM, AuthHMACSHA1_80, CipherAES128ICM, AuthHMACSHA1_80}},
	{AES128CMHMACSHA1_32, []string{"AES128_CM_HMAC_SHA1_32", "AES128_CM_SHA1_32", "AES_CM_128_HMAC_SHA1_32"},
		Policy{CipherAES128ICM, AuthHMACSHA1_32, CipherAES128ICM, AuthHMACSHA1_80}},
	{AEADAES128GCM, []string{"AEAD_AES_128_GCM"},
		Policy{CipherAES128GCM, AuthNull, CipherAES128GCM, AuthNull}},
	{AEADAES256GCM, []string{"AEAD_AES_256_GCM"},
		Policy{CipherAES256GCM, AuthNull, CipherAES256GCM, AuthNull}},
}

const profilePrefix = "SRTP_"

// ParseProfile finds a profile by its name: the RFCs' names with or without "SRTP_", OpenSSL's
// ("SRTP_AES128_CM_SHA1_80") and those of RFC 4568 ("AES_CM_128_HMAC_SHA1_80"). Case, and '-' in the place
// of '_', do not matter. The error names the nearest profile and all of them.
func ParseProfile(name string) (Profile, error) {
	word := strings.ReplaceAll(strings.ToUpper(strings.TrimSpace(name)), "-", "_")
	word = strings.TrimPrefix(word, profilePrefix)
	var known, all []string
	for _, p := range profiles {
		for _, n := range p.names {
			if word == n {
				return p.profile, nil
			}
			known = append(known, n)
		}
		all = append(all, p.profile.String())
	}
	hint := ""
	if n, ok := nearest.Of(word, known); ok {
		hint = fmt.Sprintf(" (did you mean %q?)", profilePrefix+n)
	}
	return 0, fmt.Errorf("unknown SRTP profile %q%s; known are %s", name, hint, strings.Join(all, ", "))
}

// String is the RFC's name, or "SRTP profile 0x…" for a number that this package does not know.
func (p Profile) String() string {
	for _, known := range profiles {
		if p == known.profile {
			return profilePrefix + known.names[0]
		}
	}
	return fmt.Sprintf("SRTP profile 0x%04x", uint16(p))
}

// KeyLen is the length of the master key in bytes, 0 for an unknown profile.
func (p Profile) KeyLen() int { k, _ := p.Policy().master(); return k }

// SaltLen is the length of the master salt in bytes, 0 for an unknown profile.
func (p Profile) SaltLen() int { _, s := p.Policy().master(); return s }

// Policy is what the profile stands for. It is all null for an unknown profile, so check the profile first
// where it comes from outside.
func (p Profile) Policy() Policy {
	for _, known := range profiles {
		if p == known.profile {
			return known.policy
		}
	}
	return Policy{}
}
