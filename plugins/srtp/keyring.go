// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"crypto/subtle"
	"errors"
	"time"
	"unsafe"

	crypto "github.com/gst-edgewire/gst-edgewire/pkg/srtp"
)

// How long keys live on after new ones.
const (
	graceAfterFirst = 5 * time.Second  // since the first packet under the new ones
	graceAtMost     = 30 * time.Second // since the new ones came
)

const maxReceivers = 4

// A keyring is the receivers of which a packet may be, the likeliest first. Mostly
// there is one. After a change of keys there are up to two of the new key, one that
// goes on with the roll-over counters and one that begins at 0, since both are done:
// by re-keying (RFC 3711 section 3.3.1) and by a peer that has restarted. The first
// packet that tells them apart decides.
type keyring struct {
	keys   []*crypto.Receiver
	newest int // how many of keys are of the newest key
	policy crypto.Policy
	key    []byte // the newest
	set    time.Time
	first  time.Time // when the first packet under the newest key came
	spare  []byte
	now    func() time.Time // nil for time.Now; for tests
}

func (k *keyring) clock() time.Time {
	if k.now != nil {
		return k.now()
	}
	return time.Now()
}

func (k *keyring) clear() {
	clear(k.key)
	*k = keyring{now: k.now}
}

// add makes a key the newest. The same one again changes nothing: a second receiver
// of it would let a replay through.
func (k *keyring) add(p crypto.Policy, key []byte, fresh bool, o crypto.Options) error {
	if len(k.keys) > 0 && p == k.policy && subtle.ConstantTimeCompare(key, k.key) == 1 {
		return nil
	}
	begin, err := crypto.NewReceiver(p, key, o)
	if err != nil {
		return err
	}
	keys := []*crypto.Receiver{begin}
	if len(k.keys) > 0 && len(k.keys[0].Streams()) > 0 {
		goOn, err := crypto.NewReceiver(p, key, o)
		if err != nil {
			return err
		}
		goOn.Inherit(k.keys[0])
		keys = append(keys, goOn)
		if !fresh {
			keys[0], keys[1] = keys[1], keys[0]
		}
	}
	newest := len(keys)
	if len(k.keys) > 0 {
		keys = append(keys, k.keys[0])
		keys = append(keys, k.keys[k.newest:]...)
	}
	k.keys, k.newest = keys[:min(len(keys), maxReceivers)], newest
	k.policy, k.key = p, append([]byte(nil), key...)
	k.set, k.first = k.clock(), time.Time{}
	return nil
}

func unprotect(r *crypto.Receiver, dst, pkt []byte, rtcp bool) (int, error) {
	if rtcp {
		return r.UnprotectRTCP(dst, pkt)
	}
	return r.UnprotectRTP(dst, pkt)
}

// open decrypts pkt, which may be dst's memory.
func (k *keyring) open(dst, pkt []byte, rtcp bool) (int, error) {
	switch len(k.keys) {
	case 0:
		return 0, errNoKey
	case 1:
		return unprotect(k.keys[0], dst, pkt, rtcp)
	}
	return k.openAmong(dst, pkt, rtcp)
}

var errNoKey = errors.New("there is no key")

// openAmong is open while there is a choice of keys.
func (k *keyring) openAmong(dst, pkt []byte, rtcp bool) (int, error) {
	now := k.clock()
	if now.Sub(k.set) > graceAtMost || !k.first.IsZero() && now.Sub(k.first) > graceAfterFirst {
		k.keys, k.newest = k.keys[:1:1], 1
		return unprotect(k.keys[0], dst, pkt, rtcp)
	}
	if unsafe.SliceData(dst) == unsafe.SliceData(pkt) {
		// An AEAD that fails leaves zeros where its output would be.
		k.spare = append(k.spare[:0], pkt...)
		pkt = k.spare
	}
	var why error
	for i := 0; i < len(k.keys); i++ {
		n, err := unprotect(k.keys[i], dst, pkt, rtcp)
		if err == nil {
			if i < k.newest {
				k.opened(i, now)
			}
			return n, nil
		}
		if why == nil || i < k.newest && errors.Is(why, crypto.ErrAuth) {
			why = err
		}
		// A replay to one receiver of a key must not be tried with the other. Nor what does not
		// authenticate to one that knows how the source counts: to the other, which has not seen
		// what this one has, an old packet would be new.
		if i < k.newest && (!errors.Is(err, crypto.ErrAuth) || !rtcp && k.keys[i].Opened(pkt)) {
			i = k.newest - 1
		}
	}
	return 0, why
}

// opened tells that receiver i, of the newest key, has opened a packet.
func (k *keyring) opened(i int, now time.Time) {
	if k.first.IsZero() {
		k.first = now
	}
	if i > 0 { // the one before could not: this is how the peer counts
		for _, other := range k.keys[:i] {
			k.keys[i].TakeOver(other)
		}
		k.keys = k.keys[i:]
		k.newest -= i
	}
}
