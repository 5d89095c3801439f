// SPDX-License-Identifier: LGPL-2.1-or-later

package smartrecordbin

import "bytes"

// maxParams bounds the parameter sets that are kept; real ones have some hundred bytes.
const maxParams = 64 << 10

// parameterSets finds the parameter sets at the head of an access unit in byte-stream format (ITU-T H.264
// and H.265, Annex B), each with its start code, in their order. complete: a sequence parameter set is among
// them, so that a decoder can begin with these.
func parameterSets(unit []byte, h265 bool) (sets []byte, complete bool) {
	start := bytes.Index(unit, startCode)
	for start >= 0 && start+3 < len(unit) {
		rest := unit[start+3:]
		next := bytes.Index(rest, startCode)
		end := len(unit)
		if next >= 0 {
			end = start + 3 + next
		}
		kind := rest[0] & 0x1f
		isSet, isSequence, isSlice := kind == 7 || kind == 8 || kind == 13 || kind == 15, kind == 7, kind >= 1 && kind <= 5
		if h265 {
			kind = rest[0] >> 1 & 0x3f
			isSet, isSequence, isSlice = kind >= 32 && kind <= 34, kind == 33, kind < 32
		}
		if isSlice {
			break // they stand before the first slice
		}
		if isSet && len(sets)+end-start <= maxParams {
			sets = append(append(sets, 0), bytes.TrimRight(unit[start:end], "\x00")...)
			complete = complete || isSequence
		}
		if next < 0 {
			break
		}
		start = end
	}
	return sets, complete
}

var startCode = []byte{0, 0, 1}
