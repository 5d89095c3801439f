// SPDX-License-Identifier: LGPL-2.1-or-later

package wire

// frameLimit bounds a datagram that framer builds; stacks read with buffers
// of 8 KiB and more.
const frameLimit = 8000

// framer builds datagrams for the stack. What goes into epoch 0 gets record
// headers with numbers of our own: epoch 0 is not authenticated, and a forged
// record with a high number would otherwise push the true ones out of the
// stack's replay window.
type framer struct {
	seq  uint64
	cur  []byte
	full [][]byte
}

func (f *framer) room(size int) {
	if len(f.cur) > 0 && len(f.cur)+size > frameLimit {
		f.full = append(f.full, f.cur)
		f.cur = nil
	}
}

// message appends a whole handshake message, cut where it exceeds a datagram.
func (f *framer) message(kind byte, seq uint16, body []byte) {
	const most = frameLimit - recordHeader - handshakeHeader
	for offset := 0; ; {
		size := min(len(body)-offset, most)
		f.fragment(fragment{kind: kind, length: len(body), seq: seq, offset: offset, data: body[offset : offset+size]})
		if offset += size; offset >= len(body) {
			return
		}
	}
}

// fragment appends one handshake fragment in a record of its own.
func (f *framer) fragment(frag fragment) {
	size := handshakeHeader + len(frag.data)
	f.room(recordHeader + size)
	f.cur = appendRecordHeader(f.cur, typeHandshake, version12, f.seq, size)
	f.seq++
	f.cur = appendHandshakeHeader(f.cur, frag.kind, frag.length, frag.seq, frag.offset, len(frag.data))
	f.cur = append(f.cur, frag.data...)
}

// changeCipherSpec appends one.
func (f *framer) changeCipherSpec() {
	f.room(recordHeader + 1)
	f.cur = appendRecordHeader(f.cur, typeChangeCipherSpec, version12, f.seq, 1)
	f.seq++
	f.cur = append(f.cur, 1)
}

// raw appends a record as it came.
func (f *framer) raw(record []byte) {
	f.room(len(record))
	f.cur = append(f.cur, record...)
}

// take returns what was built and begins anew; the numbers go on.
func (f *framer) take() [][]byte {
	out := f.full
	if len(f.cur) > 0 {
		out = append(out, f.cur)
	}
	f.cur, f.full = nil, nil
	return out
}
