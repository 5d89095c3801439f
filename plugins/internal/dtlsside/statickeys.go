// SPDX-License-Identifier: LGPL-2.1-or-later

package dtlsside

import (
	"fmt"
	"sync"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/pkg/srtp"
)

// StaticKeys are the properties of a bin by which DTLS is switched off: a key
// and the names of ciphers, set by hand.
type StaticKeys struct {
	// Changed is told, with no lock held, after one of the properties was set.
	Changed func()

	// Lock order: mu is taken alone.
	mu                                       sync.Mutex
	key                                      []byte
	rtpCipher, rtpAuth, rtcpCipher, rtcpAuth string
	on                                       bool
}

// On reports whether DTLS is switched off. That cannot be undone, as with the C bins.
func (k *StaticKeys) On() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.on
}

// Get gives policy and key, or what does not fit. Before a key that is needed
// is set, key is nil.
func (k *StaticKeys) Get() (policy srtp.Policy, key []byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	policy, err = ParsePolicy(k.rtpCipher, k.rtpAuth, k.rtcpCipher, k.rtcpAuth)
	if err != nil {
		return policy, nil, err
	}
	need := policy.KeySize()
	if len(k.key) != need && len(k.key) != 0 && need != 0 {
		return policy, nil, fmt.Errorf("key: it has %d bytes, but %s and %s need %d (master key and salt)",
			len(k.key), policy.RTPCipher, policy.RTCPCipher, need)
	}
	if need == 0 {
		return policy, []byte{}, nil
	}
	if len(k.key) == 0 {
		return policy, nil, nil
	}
	return policy, append([]byte(nil), k.key...), nil
}

// Apply puts policy and key into use by f. Between two setters they may not fit
// each other: only at the start is that an error, and posted.
func (k *StaticKeys) Apply(e *gst.Element, log *gst.Category, atStart bool, f func(srtp.Policy, []byte) error) bool {
	policy, key, err := k.Get()
	if err == nil && key == nil && atStart {
		err = fmt.Errorf("key: not set, but %s needs %d bytes of master key and salt", policy.RTPCipher, policy.KeySize())
	}
	if err == nil && key != nil {
		err = f(policy, key)
	}
	switch {
	case err == nil:
		return true
	case atStart:
		e.Error(gst.ResourceSettings, e.Name()+": "+err.Error(), "")
	default:
		log.Log(gst.LevelWarning, e, "%v: what was set before stays in use", err)
	}
	return false
}

func (k *StaticKeys) set(f func()) {
	k.mu.Lock()
	f()
	k.on = true
	changed := k.Changed
	k.mu.Unlock()
	if changed != nil {
		changed()
	}
}

// StaticKeyProperties are key, srtp-cipher, srtp-auth, srtcp-cipher and srtcp-auth.
func StaticKeyProperties[T any](of func(*T) *StaticKeys) []gst.Property {
	name := func(name, what, nicks string, f func(*StaticKeys) *string) gst.Property {
		return gst.StringProp(name, what+" for key: "+nicks+". If this property is set, DTLS is off", "", gst.MutablePlaying,
			func(t *T) string {
				k := of(t)
				k.mu.Lock()
				defer k.mu.Unlock()
				return *f(k)
			},
			func(t *T, s string) {
				k := of(t)
				k.set(func() { *f(k) = s })
			})
	}
	ciphers := "null, aes-128-icm (the default), aes-256-icm, aes-128-gcm or aes-256-gcm"
	auths := "null (the default with GCM), hmac-sha1-32 or hmac-sha1-80 (the default)"
	return []gst.Property{
		gst.BoxedProp("key", "SRTP master key and salt. If this property is set, DTLS is off", gst.TypeBuffer, gst.MutablePlaying,
			func(t *T) any {
				k := of(t)
				k.mu.Lock()
				defer k.mu.Unlock()
				if k.key == nil {
					return nil
				}
				return gst.NewBuffer(k.key)
			},
			func(t *T, v any) {
				var key []byte
				if b, ok := v.(gst.Buffer); ok && !b.IsNil() {
					b.Map(func(p []byte) { key = append([]byte{}, p...) })
				}
				k := of(t)
				k.set(func() { k.key = key })
			}),
		name("srtp-cipher", "SRTP cipher", ciphers, func(k *StaticKeys) *string { return &k.rtpCipher }),
		name("srtp-auth", "SRTP authentication", auths, func(k *StaticKeys) *string { return &k.rtpAuth }),
		name("srtcp-cipher", "SRTCP cipher", ciphers, func(k *StaticKeys) *string { return &k.rtcpCipher }),
		name("srtcp-auth", "SRTCP authentication", auths, func(k *StaticKeys) *string { return &k.rtcpAuth }),
	}
}

// WarnSoftLimit tells that an SRTP key is soon used up for a source (RFC 3711,
// section 9.2): what comes after the limit is dropped.
func WarnSoftLimit(e *gst.Element, ssrc uint32) {
	e.Warning(gst.StreamEncode, fmt.Sprintf("%s: the SRTP key is nearly used up for the SSRC 0x%08X (2^48 RTP or 2^31 RTCP packets): "+
		"shake hands again by restarting one end, or set another key", e.Name(), ssrc), "")
}
