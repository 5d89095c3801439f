// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"crypto/rand"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"
	"unsafe"

	pion "github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
	"github.com/pion/logging"
)

// What pion has no setting for is set in its connection, on the goroutine
// that uses it. A test fails when a field is not where it was.

// field is the field of a struct that p points to, by the names on the way.
func field(p any, names ...string) (unsafe.Pointer, reflect.Type, error) {
	v := reflect.ValueOf(p)
	for _, n := range names {
		for v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			return nil, nil, fmt.Errorf("pion/dtls: %s is not in a struct", n)
		}
		if v = v.FieldByName(n); !v.IsValid() || !v.CanAddr() {
			return nil, nil, fmt.Errorf("pion/dtls: there is no field %s", n)
		}
	}
	return v.Addr().UnsafePointer(), v.Type(), nil
}

func set[T any](value T, p any, names ...string) error {
	at, typ, err := field(p, names...)
	if err != nil {
		return err
	}
	if typ != reflect.TypeFor[T]() {
		return fmt.Errorf("pion/dtls: the field %v is a %v", names, typ)
	}
	*(*T)(at) = value
	return nil
}

// setInterface is set for a field that is an interface.
func setInterface(value, p any, names ...string) error {
	at, typ, err := field(p, names...)
	if err != nil {
		return err
	}
	if typ.Kind() != reflect.Interface || !reflect.TypeOf(value).Implements(typ) {
		return fmt.Errorf("pion/dtls: the field %v is a %v", names, typ)
	}
	reflect.NewAt(typ, at).Elem().Set(reflect.ValueOf(value))
	return nil
}

// setTransport puts a transport in the place of pion's wrapper around one, which
// starts a goroutine for every read and every write. What has none of that works
// as well, so it is no error that the field is missing.
func setTransport(c *pion.Conn, t stackConn) error { return setInterface(t, c, "nextConn") }

// setSilent spares the stack the close_notify of its Close, which would go
// nowhere: the session is not its any more. Close does not close the transport then.
func setSilent(c *pion.Conn) error { return set(true, c, "connectionClosedByUser") }

// setCookie makes a server take the cookie that the front has given out.
func setCookie(c *pion.Conn, cookie []byte) error {
	return set(append([]byte(nil), cookie...), c, "state", "cookie")
}

// setHelloTime fixes the first four bytes of a client's random, which pion
// takes from the clock: an attempt that goes on needs the same random.
func setHelloTime(c *pion.Conn, t time.Time) error {
	return set(t, c, "state", "localRandom", "GMTUnixTime")
}

// forgetProfiles lets a client go on with a server that left use_srtp out.
func forgetProfiles(c *pion.Conn) error {
	return set([]pion.SRTPProtectionProfile(nil), c, "handshakeConfig", "localSRTPProtectionProfiles")
}

// helloRandom is a client's random.
type helloRandom struct {
	time  time.Time
	bytes [handshake.RandomBytesLength]byte
}

func newRandom() helloRandom {
	// The time is random as well: RFC 5246 does not ask for the right one, and
	// it would say which clock this is.
	var b [4 + handshake.RandomBytesLength]byte
	_, _ = rand.Read(b[:]) // never fails
	r := helloRandom{time: time.Unix(int64(b[0])<<24|int64(b[1])<<16|int64(b[2])<<8|int64(b[3]), 0)}
	copy(r.bytes[:], b[4:])
	return r
}

// marshal is the random as it is in a ClientHello.
func (r helloRandom) marshal() [32]byte {
	return (&handshake.Random{GMTUnixTime: r.time, RandomBytes: r.bytes}).MarshalFixed()
}

// LogLevel is how much a line of the log matters.
type LogLevel = int

// The levels of SetLog.
const (
	LogError LogLevel = iota + 1
	LogWarning
	LogInfo
	LogDebug
	LogTrace
)

type logSink struct {
	enabled func(level int) bool
	write   func(level int, text string)
}

var logHook atomic.Pointer[logSink]

// SetLog gives the package's log, and that of the handshake, to write, as far as
// enabled says that somebody reads it; without it the log is dropped. No secret is
// ever in it. Both may be called from any goroutine and must not call this package.
func SetLog(enabled func(level int) bool, write func(level int, text string)) {
	logHook.Store(&logSink{enabled, write})
}

func logf(level int, format string, args ...any) {
	if s := logHook.Load(); s != nil && s.enabled(level) {
		s.write(level, fmt.Sprintf(format, args...))
	}
}

// pionLog hands pion's log on.
type pionLog struct{}

func (pionLog) NewLogger(string) logging.LeveledLogger { return pionLog{} }

func (pionLog) Trace(s string)            { logf(LogTrace, "%s", s) }
func (pionLog) Tracef(s string, a ...any) { logf(LogTrace, s, a...) }
func (pionLog) Debug(s string)            { logf(LogDebug, "%s", s) }
func (pionLog) Debugf(s string, a ...any) { logf(LogDebug, s, a...) }
func (pionLog) Info(s string)             { logf(LogInfo, "%s", s) }
func (pionLog) Infof(s string, a ...any)  { logf(LogInfo, s, a...) }
func (pionLog) Warn(s string)             { logf(LogWarning, "%s", s) }
func (pionLog) Warnf(s string, a ...any)  { logf(LogWarning, s, a...) }
func (pionLog) Error(s string)            { logf(LogError, "%s", s) }
func (pionLog) Errorf(s string, a ...any) { logf(LogError, s, a...) }
