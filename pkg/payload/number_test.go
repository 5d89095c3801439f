// SPDX-License-Identifier: LGPL-2.1-or-later

package payload

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestAppendDouble(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0.0", math.Copysign(0, -1): "-0.0", 1: "1.0", -17: "-17.0", 0.1: "0.10000000000000001", 1e15: "1000000000000000.0",
		1e16: "10000000000000000.0", 1e17: "1e+17", -1e20: "-1e+20", 1e-7: "9.9999999999999995e-08", 1e-4: "0.0001",
		40.55: "40.549999999999997", 123456789012345680: "1.2345678901234568e+17", 5e-324: "4.9406564584124654e-324",
		math.NaN(): "null", math.Inf(1): "null", math.Inf(-1): "null", float64(float32(0.9)): "0.89999997615814209",
	} {
		if got := string(appendDouble(nil, f)); got != want {
			t.Errorf("%g: %s, want %s", f, got, want)
		}
	}
}

func TestAppendPixel(t *testing.T) {
	for f, want := range map[float32]string{0: "0", -0.9: "0", 1.99: "1", -1.99: "-1", 16777216: "16777216", 0x1p62: "4611686018427387904",
		0x1p63: "9223372036854775807", -0x1p63: "-9223372036854775808", -1e30: "-9223372036854775808",
		float32(math.NaN()): "null", float32(math.Inf(-1)): "null"} {
		if got := string(appendPixel(nil, f)); got != want {
			t.Errorf("%g: %s, want %s", f, got, want)
		}
	}
}

// The short way of appendG must give what the long way gives.
func TestAppendGAgrees(t *testing.T) {
	check := func(f float64) {
		t.Helper()
		if got, want := string(appendG(nil, f)), string(appendFloat(nil, f, 'g')); got != want {
			t.Fatalf("%.17g: %s, want %s", f, got, want)
		}
		if got, want := string(appendG32(nil, float32(f))), string(appendFloat(nil, float64(float32(f)), 'g')); got != want {
			t.Fatalf("%.17g: %s, want %s", float32(f), got, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		check(float64(math.Float32frombits(r.Uint32())))
		check(float64(float32(math.Exp(r.Float64()*26-11)) * float32(1-2*r.IntN(2))))
		check(float64(float32(r.IntN(2_000_000)) / 8))
	}
	for _, f := range []float64{0, math.Copysign(0, -1), 1e-4, 9.99999e-5, 0.1, 0.01, 0.001, 1, 9.99999, 9.999999, 99999.95, 999999, 999999.5, 1e6,
		float64(float32(0.1)), float64(float32(0.01)), float64(float32(0.001)), float64(float32(0.0001)), 0.5, 0.25, 100.5, 1234.565, 123456.5} {
		check(f)
		check(-f)
		check(float64(math.Nextafter32(float32(f), 0)))
		check(float64(math.Nextafter32(float32(f), 1e9)))
	}
	for f, want := range map[float64]string{math.NaN(): "nan", math.Copysign(math.NaN(), -1): "-nan", math.Inf(1): "inf", math.Inf(-1): "-inf"} {
		if got := string(appendG(nil, f)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// So must that of appendDouble.
func TestAppendDoubleAgrees(t *testing.T) {
	check := func(f float64) {
		t.Helper()
		want := strconv.FormatFloat(f, 'g', 17, 64)
		if !strings.ContainsAny(want, ".e") {
			want += ".0"
		}
		if got := string(appendDouble(nil, f)); got != want {
			t.Fatalf("%.17g: %s, want %s", f, got, want)
		}
	}
	finite := func(f float32) float64 {
		if f != f || math.IsInf(float64(f), 0) || math.Abs(float64(f)) >= 1e15 {
			f = 0.5
		}
		return float64(f)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 50_000 {
		check(finite(math.Float32frombits(r.Uint32())))
		check(float64(float32(math.Exp(r.Float64()*22-9)) * float32(1-2*r.IntN(2))))
		check(float64(r.Float32()))
		check(float64(r.Uint32N(1<<24)|1) / (1 << 18)) // ties: the 18th digit is the last one, and a 5
		check(r.Float64())
	}
	for _, f := range []float64{1e-3, 0.01, 0.1, 1, 10, 100, 1000, 1e4, 1e5} {
		for _, near := range []float32{float32(f), math.Nextafter32(float32(f), 0), math.Nextafter32(float32(f), 1e9)} {
			check(float64(near))
			check(-float64(near))
		}
	}
}

func TestAppendUint(t *testing.T) {
	check := func(n uint64) {
		t.Helper()
		if got := string(appendUint([]byte("x"), n)); got != "x"+strconv.FormatUint(n, 10) {
			t.Errorf("%s for %d", got, n)
		}
		if got := string(appendInt(nil, int64(n))); got != strconv.FormatInt(int64(n), 10) {
			t.Errorf("%s for %d", got, int64(n))
		}
	}
	for n := range uint64(10_100) {
		check(n)
		check(-n)
	}
	for n := uint64(1); n != 0; n <<= 1 {
		check(n)
		check(n - 1)
	}
}

func TestParseTimeAgrees(t *testing.T) {
	for s, ok := range map[string]bool{
		"2025-02-03T04:05:06Z": true, "2025-02-03T04:05:06.1Z": true, "2024-02-29T23:59:59.999999999Z": true,
		"2025-02-03T04:05:06.5+02:30": true, "2025-02-03T04:05:06-11:00": true, "0001-01-01T00:00:00Z": true, "9999-12-31T23:59:59Z": true,
		"2025-02-29T00:00:00Z": false, "2025-13-01T00:00:00Z": false, "2025-02-03T24:00:00Z": false, "2025-02-03T04:60:00Z": false,
		"2025-02-03T04:05:60Z": false, "2025-02-03t04:05:06Z": false, "2025-02-03T04:05:06z": false, "2025-02-03 04:05:06Z": false,
		"2025-02-03T04:05:06": false, "2025-02-03T04:05:06.Z": false, "2025-02-03T04:05:06.1": false, "2025-02-03T04:05:06+0230": false,
		"2025-02-03T04:05:06+24:00": false, "2025-02-03T04:05:06ZZ": false, "": false, "0000-01-01T00:00:00Z": false, "2025-0x-03T04:05:06Z": false,
		"2025-02-03T04:05:06.123+1:30x": false, "2025-02-03T04:05:06+": false,
	} {
		sec, nanos, got := parseTime(s)
		if got != ok {
			t.Errorf("%q: %v", s, got)
			continue
		}
		if want, err := time.Parse(time.RFC3339Nano, s); ok && (err != nil || want.Unix() != sec || want.Nanosecond() != int(nanos)) {
			t.Errorf("%q: %d.%09d, want %v, %v", s, sec, nanos, want, err)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2025-02-03T04:05:06.789Z", "2025-02-03T04:05:06+02:30", "2025-02-03T04:05:06.", "2025-02-03T04:05:06."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sec, nanos, ok := parseTime(s)
		if !ok {
			return
		}
		if nanos < 0 || nanos > 999_999_999 || sec < -62135596800-86400 || sec > 253402300799+86400 {
			t.Errorf("%q: %d.%s", s, sec, strconv.Itoa(int(nanos)))
		}
	})
}
