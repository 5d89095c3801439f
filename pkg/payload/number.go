// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"time"
)

// appendDouble appends f as C's "%.17g" would, with ".0" where that leaves a whole number, so that readers
// keep the type. JSON has no NaN and no infinity: they become null.
func appendDouble(dst []byte, f float64) []byte {
	if n := int64(f); float64(n) == f && n > -1e15 && n < 1e15 {
		if n == 0 && math.Signbit(f) {
			return append(dst, "-0.0"...)
		}
		return append(appendInt(dst, n), ".0"...)
	}
	if a := math.Abs(f); float64(float32(f)) == f && a >= 1e-3 && a < 1e5 {
		return appendShort17(dst, f, a)
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'g', 17, 64)
	for _, c := range dst[start:] {
		if c == '.' || c == 'e' {
			return dst
		}
	}
	return append(dst, ".0"...)
}

// appendShort17 appends a float32, the usual confidence, that is no whole number and from 0.001 to 100000; a is
// its absolute value. Such a number is m/2^k with m of 24 bits, so that 17 digits of it are a product and a
// shift, exactly.
func appendShort17(dst []byte, f, a float64) []byte {
	if f < 0 {
		dst = append(dst, '-')
	}
	decimals := 16
	switch {
	case a >= 1:
		for limit := 10.0; a >= limit; limit *= 10 {
			decimals--
		}
	case a >= 0.1:
		decimals = 17
	case a >= 0.01:
		decimals = 18
	default:
		decimals = 19
	}
	bits32 := math.Float32bits(float32(a))
	m := uint64(bits32&(1<<23-1) | 1<<23)
	k := 127 + 23 - bits32>>23 // 7 to 33
	high, low := bits.Mul64(m, pow10int[decimals])
	n := high<<(64-k) | low>>k
	rest, half := low&(1<<k-1), uint64(1)<<(k-1)
	if rest > half || rest == half && n&1 == 1 { // to the nearest, of two the even one
		n++
	}
	if a >= 1 {
		whole := uint64(a)
		dst = append(appendUint(dst, whole), '.')
		n -= whole * pow10int[decimals]
		dst = appendDigits(dst, n/1e8, decimals-8)
	} else {
		dst = append(dst, "0.00"[:2+decimals-17]...)
		dst = append(dst, byte('0'+n/1e16))
		dst = appendDigits(dst, n/1e8%1e8, 8)
	}
	dst = appendDigits(dst, n%1e8, 8)
	for dst[len(dst)-1] == '0' { // never all of them
		dst = dst[:len(dst)-1]
	}
	return dst
}

// appendDigits appends the last count digits of n, which is below 10^8.
func appendDigits(dst []byte, n uint64, count int) []byte {
	return appendWord(dst, digits8(n)>>(8*(8-count)&63), count)
}

// appendWord appends the lowest count bytes of word, the lowest first.
func appendWord(dst []byte, word uint64, count int) []byte {
	return binary.LittleEndian.AppendUint64(dst, word)[:len(dst)+count]
}

// digits8 gives the eight digits of n, which is below 10^8, as the bytes of a number, the first in the lowest.
func digits8(n uint64) uint64 {
	v := n/1e4 | n%1e4<<32              // four digits in each half
	h := v * 10486 >> 20 & 0x7f0000007f // their hundreds
	v = h | (v-100*h)<<16               // two in each quarter
	t := v * 103 >> 10 & 0x000f000f000f000f
	return (t | (v-10*t)<<8) + 0x3030303030303030
}

// pow10int are the powers of ten that fit 64 bits.
var pow10int = func() (t [20]uint64) {
	t[0] = 1
	for i := 1; i < len(t); i++ {
		t[i] = 10 * t[i-1]
	}
	return t
}()

// digitPairs holds the two digits of each number below 100.
var digitPairs = func() (t [100][2]byte) {
	for i := range t {
		t[i] = [2]byte{byte('0' + i/10), byte('0' + i%10)}
	}
	return t
}()

// appendUint appends n in decimal. Most numbers of a message are short.
func appendUint(dst []byte, n uint64) []byte {
	switch {
	case n < 10:
		return append(dst, byte('0'+n))
	case n < 100:
		return append(dst, digitPairs[n][0], digitPairs[n][1])
	case n < 1000:
		return append(dst, byte('0'+n/100), digitPairs[n%100][0], digitPairs[n%100][1])
	case n < 10000:
		return append(dst, digitPairs[n/100][0], digitPairs[n/100][1], digitPairs[n%100][0], digitPairs[n%100][1])
	}
	return strconv.AppendUint(dst, n, 10)
}

func appendInt(dst []byte, n int64) []byte {
	if n < 0 {
		return appendUint(append(dst, '-'), -uint64(n))
	}
	return appendUint(dst, uint64(n))
}

// appendPixel appends f cut towards zero. What does not fit 64 bits becomes the nearest number that does;
// NaN and infinity become null.
func appendPixel(dst []byte, f float32) []byte {
	switch {
	case f > -0x1p63 && f < 0x1p63:
		return appendInt(dst, int64(f))
	case math.IsNaN(float64(f)) || math.IsInf(float64(f), 0):
		return append(dst, "null"...)
	case f > 0:
		return strconv.AppendInt(dst, math.MaxInt64, 10)
	}
	return strconv.AppendInt(dst, math.MinInt64, 10)
}

var pow10 = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8}

// appendG appends f as C's "%g" would: six significant digits, no trailing zeros.
func appendG(dst []byte, f float64) []byte {
	// A float32 times a power of ten up to 10^8 is exact in a float64 (24 + 19 bits), so rounding it to a
	// whole number of six digits is what printf does. Most numbers of a message are such.
	if a := math.Abs(f); float64(float32(f)) == f && a >= 1e-3 && a < 999999 {
		return appendG6(dst, f, a)
	}
	return appendFloat(dst, f, 'g')
}

// appendG32 is appendG for the numbers of a box, which are often whole.
func appendG32(dst []byte, f float32) []byte {
	if n := int32(f); n > 0 && n < 999999 && float32(n) == f {
		return appendUint(dst, uint64(n))
	}
	return appendG(dst, float64(f))
}

func appendG6(dst []byte, f, a float64) []byte {
	if f < 0 {
		dst = append(dst, '-')
	}
	whole := uint64(a)
	if float64(whole) == a {
		return appendUint(dst, whole)
	}
	decimals := 5
	switch {
	case a >= 1:
		for limit := uint64(10); whole >= limit; limit *= 10 {
			decimals--
		}
	case a >= 0.1:
		decimals = 6
	case a >= 0.01:
		decimals = 7
	default:
		decimals = 8
	}
	fraction := uint64(math.RoundToEven(a*pow10[decimals])) - whole*pow10int[decimals]
	if fraction == pow10int[decimals] {
		whole, fraction = whole+1, 0
	}
	dst = appendUint(dst, whole)
	if fraction == 0 {
		return dst
	}
	digits := digits8(fraction)
	zeros := bits.LeadingZeros64(digits^0x3030303030303030) / 8 // at the end
	dst = append(dst, '.')
	return appendWord(dst, digits>>(8*(8-decimals)&63), decimals-zeros)
}

// appendF appends f as C's "%f" would: six decimals.
func appendF(dst []byte, f float64) []byte {
	if n := int64(f); float64(n) == f && n > -1e15 && n < 1e15 && (n != 0 || !math.Signbit(f)) {
		return append(appendInt(dst, n), ".000000"...)
	}
	return appendFloat(dst, f, 'f')
}

func appendFloat(dst []byte, f float64, format byte) []byte {
	switch {
	case math.IsNaN(f):
		if math.Signbit(f) {
			dst = append(dst, '-')
		}
		return append(dst, "nan"...)
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	}
	return strconv.AppendFloat(dst, f, format, 6, 64)
}

// clock renders times as RFC 3339 in UTC with milliseconds, the rest cut off. The messages of one frame
// share their time, so it remembers the last one.
type clock struct {
	sec  int64
	ms   int
	text []byte
}

func (c *clock) append(dst []byte, t time.Time) []byte {
	sec, ms := t.Unix(), t.Nanosecond()/1e6
	if len(c.text) == 0 || sec != c.sec || ms != c.ms {
		c.sec, c.ms = sec, ms
		c.text = t.UTC().AppendFormat(c.text[:0], "2006-01-02T15:04:05.000Z")
	}
	return append(dst, c.text...)
}

// parseTime reads an RFC 3339 time: capital T, "Z" or an offset, up to nine digits of fraction (more are
// cut), no leap seconds, years 1 to 9999.
func parseTime(s string) (sec int64, nanos int32, ok bool) {
	number := func(from, to int) int {
		if len(s) < to {
			return -1
		}
		n := 0
		for _, c := range []byte(s[from:to]) {
			if c < '0' || c > '9' {
				return -1
			}
			n = n*10 + int(c-'0')
		}
		return n
	}
	if len(s) < 20 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return 0, 0, false
	}
	year, month, day := number(0, 4), number(5, 7), number(8, 10)
	hour, minute, second := number(11, 13), number(14, 16), number(17, 19)
	if year < 1 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 {
		return 0, 0, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if t.Day() != day { // 30 February
		return 0, 0, false
	}
	i := 19
	if s[i] == '.' {
		scale := int32(1e8)
		i++
		first := i
		for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
			nanos += int32(s[i]-'0') * scale
			scale /= 10
		}
		if i == first {
			return 0, 0, false
		}
	}
	sec = t.Unix()
	switch {
	case i == len(s)-1 && s[i] == 'Z':
		return sec, nanos, true
	case len(s)-i == 6 && (s[i] == '+' || s[i] == '-') && s[i+3] == ':':
		h, m := number(i+1, i+3), number(i+4, i+6)
		if h < 0 || h > 23 || m < 0 || m > 59 {
			return 0, 0, false
		}
		offset := int64(h*3600 + m*60)
		if s[i] == '+' {
			offset = -offset
		}
		return sec + offset, nanos, true
	}
	return 0, 0, false
}
