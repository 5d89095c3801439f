// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"fmt"
	"sync/atomic"
)

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

// SetLog gives the package's log to write, as far as enabled says that somebody
// reads it; without it the log is dropped. No secret is ever in it. Both may be
// called from any goroutine and must not call this package.
func SetLog(enabled func(level int) bool, write func(level int, text string)) {
	logHook.Store(&logSink{enabled, write})
}

func logf(level int, format string, args ...any) {
	if s := logHook.Load(); s != nil && s.enabled(level) {
		s.write(level, fmt.Sprintf(format, args...))
	}
}
