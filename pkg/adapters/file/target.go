// SPDX-License-Identifier: LGPL-2.1-or-later

package file

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"

	"golang.org/x/sys/unix"
)

const (
	// What is at most this long goes into a pipe in one piece (POSIX: PIPE_BUF), and never waits when poll
	// says that there is room.
	pipeBuf     = 4096
	pollTimeout = 50 // ms, until the end of the conn is looked for again
)

var errStopped = errors.New("the connection is closed")

// A target is one file, pipe or terminal.
type target struct {
	c    *conn
	path string
	used time.Time

	fd      int
	regular bool
	size    int64
	since   time.Time // the age of the file counts from here
	dev     uint64
	ino     uint64
	torn    bool // a line was begun and not ended

	// What is to be written.
	buf     []byte
	numbers []uint64 // of the messages in buf …
	ends    []int    // … and where each ends there
	written int      // how many of them are
}

func (t *target) add(format string, m *outbox.Message) {
	t.buf = encode(t.buf, format, &m.Message)
	t.numbers = append(t.numbers, m.Tag)
	t.ends = append(t.ends, len(t.buf))
}

func (t *target) forget() {
	t.buf, t.numbers, t.ends, t.written = t.buf[:0], t.numbers[:0], t.ends[:0], 0
	if cap(t.buf) > 1<<20 {
		t.buf = nil
	}
}

// ready opens the file if it is not open, or if what has its name now is another one.
func (t *target) ready() error {
	if t.fd >= 0 && t.path != stdout {
		var st unix.Stat_t
		if err := unix.Stat(t.path, &st); err != nil || st.Ino != t.ino || uint64(st.Dev) != t.dev {
			t.close()
		}
	}
	if t.fd >= 0 {
		return nil
	}
	return t.open()
}

func (t *target) open() error {
	var err error
	if t.path == stdout {
		t.fd, err = unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3)
	} else {
		if folder := filepath.Dir(t.path); folder != t.c.set.base {
			if err := checkFolder(t.c.set.base); err != nil {
				return err
			}
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return &pathError{folder, bare(err)}
			}
		}
		// Not blocking: a named pipe without a reader is refused instead of waited for.
		t.fd, err = unix.Open(t.path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0o644)
	}
	if err != nil {
		t.fd = -1
		return &pathError{t.name(), err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(t.fd, &st); err != nil {
		t.close()
		return &pathError{t.name(), err}
	}
	t.regular = st.Mode&unix.S_IFMT == unix.S_IFREG && t.path != stdout
	t.dev, t.ino, t.size, t.since = uint64(st.Dev), st.Ino, st.Size, time.Now()
	t.torn = t.torn && t.path == stdout
	if t.regular && t.size > 0 {
		if changed := time.Unix(st.Mtim.Unix()); changed.Before(t.since) { // else the clock has gone back
			t.since = changed
		}
		return t.mend()
	}
	return nil
}

// name is the path for people.
func (t *target) name() string {
	if t.path == stdout {
		return "standard output"
	}
	return t.path
}

func (t *target) close() {
	if t.fd >= 0 {
		_ = unix.Close(t.fd)
		t.fd = -1
	}
}

func (t *target) sync() error {
	if t.fd < 0 || !t.regular {
		return nil
	}
	if err := unix.Fdatasync(t.fd); err != nil {
		return &pathError{t.name(), err}
	}
	return nil
}

// mend looks whether the file that is there ends in the middle of a message, as after a power cut. A line is
// ended before the next one; a frame, behind which nothing could be read any more, is cut off.
func (t *target) mend() error {
	f, err := os.Open(t.path)
	if err != nil {
		return nil // ours to write, not to read
	}
	defer f.Close()
	if t.c.set.format != formatFramed {
		var last [1]byte
		_, err := f.ReadAt(last[:], t.size-1)
		t.torn = err == nil && last[0] != '\n'
		return nil
	}
	whole, r := int64(0), bufio.NewReaderSize(f, 1<<16)
	for {
		length, err := binary.ReadUvarint(r)
		if err != nil || length > uint64(t.size) {
			break
		}
		if _, err := io.CopyN(io.Discard, r, int64(length)); err != nil {
			break
		}
		whole += int64(len(binary.AppendUvarint(nil, length))) + int64(length)
	}
	if whole == t.size {
		return nil
	}
	t.c.gate.Log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "file", Text: fmt.Sprintf(
		"%s: the file ends in the middle of a message; its last %d bytes are cut off", t.path, t.size-whole)})
	if err := unix.Ftruncate(t.fd, whole); err != nil {
		return &pathError{t.path, err}
	}
	t.size = whole
	return nil
}

// flush writes what was added, in as many files as the rotation makes of it.
func (t *target) flush() error {
	if err := t.ready(); err != nil {
		return err
	}
	for t.written < len(t.ends) {
		if t.regular && t.due() {
			if err := t.rotate(); err != nil {
				return err
			}
		}
		last := t.written + 1 // the messages up to here go out together
		for limit := t.start() + t.room(); last < len(t.ends) && int64(t.ends[last]) <= limit; {
			last++
		}
		if err := t.put(last); err != nil {
			return err
		}
	}
	return nil
}

// start is where in buf the first message begins that is not written.
func (t *target) start() int64 {
	if t.written == 0 {
		return 0
	}
	return int64(t.ends[t.written-1])
}

// room is how many bytes may be written at once.
func (t *target) room() int64 {
	switch {
	case !t.regular:
		return pipeBuf
	case t.c.set.size > 0:
		return t.c.set.size - t.size
	}
	return 1 << 40
}

// due reports whether a new file is to be begun before the next message.
func (t *target) due() bool {
	s := t.c.set
	return t.size > 0 && ((s.size > 0 && t.size+int64(t.ends[t.written])-t.start() > s.size) || (s.age > 0 && time.Since(t.since) >= s.age))
}

// put writes the messages up to last. What could not be written whole is taken back, as far as that is
// possible.
func (t *target) put(last int) error {
	from, end := t.start(), int64(t.ends[last-1])
	if t.torn {
		if _, err := t.writeAll([]byte("\n")); err != nil {
			return err
		}
		t.size++
		t.torn = false
	}
	n, err := t.writeAll(t.buf[from:end])
	for t.written < last && int64(t.ends[t.written]) <= from+int64(n) {
		t.written++
	}
	whole := t.start() - from
	t.size += whole
	if rest := int64(n) - whole; rest > 0 {
		t.takeBack(rest)
	}
	return err
}

// takeBack removes the last n bytes of the file, if nobody else has written behind them.
func (t *target) takeBack(n int64) {
	var st unix.Stat_t
	if t.regular && unix.Fstat(t.fd, &st) == nil && st.Size == t.size+n && unix.Ftruncate(t.fd, t.size) == nil {
		return
	}
	t.size += n
	t.torn = true
}

// writeAll writes data, and tells how much of it was written.
func (t *target) writeAll(data []byte) (n int, err error) {
	for n < len(data) {
		piece := data[n:]
		if !t.regular {
			if err := t.poll(); err != nil {
				return n, err
			}
			piece = piece[:min(len(piece), pipeBuf)]
		}
		k, err := unix.Write(t.fd, piece)
		if k > 0 {
			n += k
		}
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
		case err != nil:
			return n, &pathError{t.name(), err}
		case k <= 0:
			return n, &pathError{t.name(), unix.EIO}
		}
	}
	return n, nil
}

// poll waits until a pipe or terminal takes something.
func (t *target) poll() error {
	for {
		if t.c.stopped() {
			return errStopped
		}
		fds := []unix.PollFd{{Fd: int32(t.fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(fds, pollTimeout)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return &pathError{t.name(), err}
		case n > 0 && fds[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 && fds[0].Revents&unix.POLLOUT == 0:
			return &pathError{t.name(), unix.EPIPE}
		case n > 0:
			return nil
		}
	}
}

// checkFolder reports whether files can be made in a folder.
func checkFolder(folder string) error {
	st, err := os.Stat(folder)
	if err != nil {
		return &pathError{folder, bare(err)}
	}
	if !st.IsDir() {
		return &pathError{folder, unix.ENOTDIR}
	}
	if err := unix.Access(folder, unix.W_OK|unix.X_OK); err != nil {
		return &pathError{folder, err}
	}
	return nil
}

// bare drops the operation and the path that errors of package os repeat.
func bare(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		return le.Err
	}
	return err
}
