// SPDX-License-Identifier: LGPL-2.1-or-later

package srtp

import (
	"crypto/cipher"
	"reflect"
	"unsafe"
)

// counterFields finds the start counter and the offset inside the stream that cipher.NewCTR makes of an AES
// block, so that one stream serves every packet. NewCTR itself would allocate half a kilobyte and copy the
// key schedule for each (measured: 170 to 300 ns, more than the encryption of 1200 bytes), and a block at a
// time costs 3.5 times as much as the stream.
//
// The fields are looked for by name and type at run time, so that a Go release that arranges them
// otherwise yields ok == false and not a stray write; the caller then proves by a known answer that they
// mean what they should. The pointers point into the stream and keep it alive.
func counterFields(s cipher.Stream) (lo, hi, offset *uint64, ok bool) {
	v := reflect.ValueOf(s)
	if v.Kind() == reflect.Struct && v.NumField() == 1 {
		v = v.Field(0)
	}
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil, nil, nil, false
	}
	v = v.Elem()
	var p [3]*uint64
	for i, name := range []string{"ivlo", "ivhi", "offset"} {
		f := v.FieldByName(name)
		if !f.IsValid() || f.Kind() != reflect.Uint64 || !f.CanAddr() {
			return nil, nil, nil, false
		}
		p[i] = (*uint64)(unsafe.Pointer(f.UnsafeAddr()))
	}
	return p[0], p[1], p[2], true
}

// inPlace reports whether dst and pkt start at the same byte, and ErrOverlap where they overlap otherwise.
func inPlace(dst, pkt []byte) (bool, error) {
	d, p := uintptr(unsafe.Pointer(unsafe.SliceData(dst))), uintptr(unsafe.Pointer(unsafe.SliceData(pkt)))
	if d == p {
		return true, nil
	}
	if d < p+uintptr(len(pkt)) && p < d+uintptr(len(dst)) {
		return false, ErrOverlap
	}
	return false, nil
}
