// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"

	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/handshake"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/wire"
)

// The record layer of DTLS 1.2 (RFC 6347 section 4.1).
const (
	typeChangeCipherSpec = 20
	typeAlert            = 21
	typeHandshake        = 22
	typeData             = 23

	headerSize    = 13
	explicitNonce = 8
	tagSize       = 16
	overhead      = explicitNonce + tagSize
	maxPlaintext  = 1 << 14
	maxSequence   = 1<<48 - 1
)

// The messages of the handshake that are told apart here (RFC 5246 section 7.4).
const (
	msgClientHello        = 1
	msgHelloVerifyRequest = 3
	msgFinished           = 20

	messageHeader = 12
)

var errKeysSpent = errors.New("the record sequence numbers of this DTLS connection are used up: a new handshake is needed")

// nextRecord cuts the first record off a datagram.
func nextRecord(p []byte) (record, rest []byte, ok bool) {
	if len(p) < headerSize {
		return nil, nil, false
	}
	n := headerSize + int(binary.BigEndian.Uint16(p[11:]))
	if n > len(p) || p[0] < typeChangeCipherSpec || p[0] > typeData || p[1] != 0xfe || (p[2] != 0xff && p[2] != 0xfd) {
		return nil, nil, false
	}
	return p[:n], p[n:], true
}

func recordEpoch(record []byte) uint16 { return binary.BigEndian.Uint16(record[3:]) }

func recordSequence(record []byte) uint64 {
	return binary.BigEndian.Uint64(record[3:]) & maxSequence
}

// putHeader writes a record header.
func putHeader(dst []byte, typ byte, epoch uint16, seq uint64, n int) {
	dst[0], dst[1], dst[2] = typ, 0xfe, 0xfd
	binary.BigEndian.PutUint64(dst[3:], uint64(epoch)<<48|seq&maxSequence)
	binary.BigEndian.PutUint16(dst[11:], uint16(n))
}

// messageOf is the type of the handshake message that an unprotected record
// begins with, and whether its first byte is the message's.
func messageOf(record []byte) (msg byte, first bool) {
	if record[0] != typeHandshake || len(record) < headerSize+messageHeader {
		return 0, false
	}
	b := record[headerSize:]
	return b[0], b[6] == 0 && b[7] == 0 && b[8] == 0
}

// protection protects the records of epoch 1 (RFC 5288: AES-GCM with an
// explicit nonce, which is the record's epoch and sequence number).
type protection struct {
	send, recv     cipher.AEAD
	sendIV, recvIV [4]byte
	next           uint64 // the sequence number of the next record out
	window         window
}

func newProtection(s *handshake.Secrets, client bool) (p *protection, err error) {
	p = &protection{}
	sendKey, recvKey, sendIV, recvIV := s.Keys()
	if !client {
		sendKey, recvKey = recvKey, sendKey
		sendIV, recvIV = recvIV, sendIV
	}
	if p.send, err = newGCM(sendKey); err != nil {
		return nil, err
	}
	if p.recv, err = newGCM(recvKey); err != nil {
		return nil, err
	}
	copy(p.sendIV[:], sendIV)
	copy(p.recvIV[:], recvIV)
	return p, nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}

// additional is the additional data of a record (RFC 5246 section 6.2.3.3).
func additional(header []byte, n int) (aad [headerSize]byte) {
	copy(aad[:8], header[3:11])
	copy(aad[8:11], header[:3])
	binary.BigEndian.PutUint16(aad[11:], uint16(n))
	return aad
}

// seal appends one protected record to dst.
func (p *protection) seal(dst []byte, typ byte, plain []byte) ([]byte, error) {
	if p.next > maxSequence {
		return dst, errKeysSpent
	}
	at := len(dst)
	var header [headerSize + explicitNonce]byte
	putHeader(header[:], typ, 1, p.next, overhead+len(plain))
	copy(header[headerSize:], header[3:11])
	p.next++
	var nonce [12]byte
	copy(nonce[:], p.sendIV[:])
	copy(nonce[4:], header[headerSize:])
	dst = append(dst, header[:]...)
	aad := additional(dst[at:], len(plain))
	return p.send.Seal(dst, nonce[:], plain, aad[:]), nil
}

// open authenticates and decrypts a record of epoch 1 into memory of its own.
// Only then is its sequence number taken as seen.
func (p *protection) open(record []byte) (plain []byte, drop wire.Reason, ok bool) {
	if plain, drop, ok = p.peek(record); ok {
		p.window.mark(recordSequence(record))
	}
	return plain, drop, ok
}

// peek is open for a record that will be opened again.
func (p *protection) peek(record []byte) (plain []byte, drop wire.Reason, ok bool) {
	if n := len(record) - headerSize - overhead; n < 0 || n > maxPlaintext {
		return nil, wire.DropMalformed, false
	}
	if p.window.seen(recordSequence(record)) {
		return nil, wire.DropReplay, false
	}
	plain, err := openWith(p.recv, p.recvIV, record)
	if err != nil {
		return nil, wire.DropAuth, false
	}
	return plain, 0, true
}

func openWith(aead cipher.AEAD, iv [4]byte, record []byte) ([]byte, error) {
	var nonce [12]byte
	copy(nonce[:], iv[:])
	copy(nonce[4:], record[headerSize:])
	aad := additional(record, len(record)-headerSize-overhead)
	sealed := record[headerSize+explicitNonce:]
	return aead.Open(make([]byte, 0, len(sealed)-tagSize), nonce[:], sealed, aad[:])
}

// window is the replay window of RFC 6347 section 4.1.2.6, 64 records wide.
type window struct {
	next uint64 // one above the highest sequence number seen
	bits uint64 // bit i: next-1-i was seen
}

func (w *window) seen(seq uint64) bool {
	if seq >= w.next {
		return false
	}
	age := w.next - 1 - seq
	return age >= 64 || w.bits&(1<<age) != 0
}

func (w *window) mark(seq uint64) {
	if seq >= w.next {
		if shift := seq + 1 - w.next; shift < 64 {
			w.bits <<= shift
		} else {
			w.bits = 0
		}
		w.next = seq + 1
		w.bits |= 1
		return
	}
	w.bits |= 1 << (w.next - 1 - seq)
}
