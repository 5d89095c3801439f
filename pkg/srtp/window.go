// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

const (
	maxRTPIndex  = 1<<48 - 1 // RFC 3711 section 9.2
	maxRTCPIndex = 1<<31 - 1

	// So many packets before the limit the soft limit is reported.
	rtpSoftMargin  = 1 << 20
	rtcpSoftMargin = 1 << 16
)

// window remembers which of the last size indexes were used (RFC 3711 section 3.3.2).
type window struct {
	highest uint64
	started bool // highest is valid
	size    uint64
	bits    []uint64 // a ring: index i is bit i modulo its length, which is a power of two
}

func newWindow(size int) window {
	words := 1
	for words*64 < size {
		words *= 2
	}
	return window{size: uint64(size), bits: make([]uint64, words)}
}

func (w *window) bit(index uint64) (word *uint64, mask uint64) {
	return &w.bits[index/64&uint64(len(w.bits)-1)], 1 << (index % 64)
}

// check says whether index may still be used.
func (w *window) check(index uint64) error {
	if !w.started || index > w.highest {
		return nil
	}
	if w.highest-index >= w.size {
		return ErrOld
	}
	if word, mask := w.bit(index); *word&mask != 0 {
		return ErrReplay
	}
	return nil
}

// add marks index, which check has passed, as used.
func (w *window) add(index uint64) {
	switch {
	case !w.started:
		w.started, w.highest = true, index
	case index > w.highest:
		if index-w.highest >= uint64(len(w.bits))*64 {
			clear(w.bits)
		} else {
			for i := w.highest + 1; i < index; i++ {
				word, mask := w.bit(i)
				*word &^= mask
			}
		}
		w.highest = index
	}
	word, mask := w.bit(index)
	*word |= mask
}

// forget empties the window but keeps its place: what comes next is judged by highest, and under a new key
// nothing has been used yet.
func (w *window) forget() { clear(w.bits) }

// copyFrom takes over another window's place and contents; sizes may differ.
func (w *window) copyFrom(old *window) {
	clear(w.bits)
	w.highest, w.started = old.highest, old.started
	if !old.started {
		return
	}
	for i := uint64(0); i < min(w.size, old.size) && i <= old.highest; i++ {
		if word, mask := old.bit(old.highest - i); *word&mask != 0 {
			word, mask = w.bit(w.highest - i)
			*word |= mask
		}
	}
	// What the smaller old window cannot tell counts as used.
	for i := old.size; i < w.size && i <= w.highest; i++ {
		word, mask := w.bit(w.highest - i)
		*word |= mask
	}
}

// rtpIndex estimates the 48-bit index of a packet from its sequence number and the highest index so far
// (RFC 3711 section 3.3.1 and appendix A). Where that would take the roll-over counter below 0 it stays 0,
// as in libsrtp. The result may exceed maxRTPIndex.
func (w *window) rtpIndex(seq uint16) uint64 {
	if !w.started {
		return uint64(seq)
	}
	roc, last := w.highest>>16, int(w.highest&0xffff)
	switch d := int(seq) - last; {
	case last < 1<<15 && d > 1<<15 && roc > 0:
		roc--
	case last >= 1<<15 && d < -1<<15:
		roc++
	}
	return roc<<16 | uint64(seq)
}
