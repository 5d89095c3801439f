// SPDX-License-Identifier: LGPL-2.1-or-later

package redis

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

const (
	replyBuffer  = 64 << 10
	maxReplyLine = 32 << 10 // of an error or a number; Redis's own are much shorter
	maxReplyBulk = 16 << 10 // of an answer to XADD, or to what a new connection says
)

// errReply: what came is not Redis's protocol.
var errReply = errors.New("the server's answer is not Redis's protocol")

// errSpeaksTLS: what came is an alert of TLS.
var errSpeaksTLS = errors.New("the server speaks TLS")

// A reply is an answer. Its text is valid until the next one is read.
type reply struct {
	kind byte   // '+', '-', ':', '$', '*'
	text []byte // of '+', '-', ':' and '$'
	n    int    // elements of '*'; -1 means none, of '$' too
}

// A replyReader reads answers from a connection.
type replyReader struct {
	r          io.Reader
	buf        []byte
	start, end int // what was read and not used
}

func newReplyReader(r io.Reader) *replyReader {
	return &replyReader{r: r, buf: make([]byte, replyBuffer)}
}

// next gives the next answer that is there as a whole. ok is false when more has to be read first.
func (r *replyReader) next() (p reply, ok bool, err error) {
	b := r.buf[r.start:r.end]
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		if len(b) > maxReplyLine {
			return p, false, errReply
		}
		return p, false, r.first(b)
	}
	if i < 2 || b[i-1] != '\r' {
		return p, false, errors.Join(r.first(b), errReply)
	}
	p.kind, p.text = b[0], b[1:i-1]
	used := i + 1
	switch p.kind {
	case '+', '-', ':':
	case '$', '*':
		n, err := strconv.Atoi(string(p.text))
		if err != nil || n < -1 || n > maxReplyBulk {
			return p, false, errReply
		}
		p.n = n
		if p.kind == '$' && n >= 0 {
			if len(b) < used+n+2 {
				return p, false, nil
			}
			p.text = b[used : used+n]
			used += n + 2
			if b[used-2] != '\r' || b[used-1] != '\n' {
				return p, false, errReply
			}
		}
	default:
		return p, false, errors.Join(r.first(b), errReply)
	}
	r.start += used
	return p, true, nil
}

// first looks whether b can be the beginning of an answer.
func (r *replyReader) first(b []byte) error {
	if len(b) == 0 || bytes.IndexByte([]byte("+-:$*"), b[0]) >= 0 {
		return nil
	}
	if b[0] == 0x15 { // content type alert
		return errSpeaksTLS
	}
	return errReply
}

// fill reads more, at least one byte.
func (r *replyReader) fill() error {
	if r.start > 0 {
		copy(r.buf, r.buf[r.start:r.end])
		r.end -= r.start
		r.start = 0
	}
	if r.end == len(r.buf) {
		return errReply
	}
	n, err := r.r.Read(r.buf[r.end:])
	r.end += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// read waits for one answer.
func (r *replyReader) read() (reply, error) {
	for {
		p, ok, err := r.next()
		if ok || err != nil {
			return p, err
		}
		if err := r.fill(); err != nil {
			return p, err
		}
	}
}

// value waits for one answer and gives it as text, with its elements if it is a list. An error of the server
// is a *serverError.
func (r *replyReader) value() (text string, list []string, err error) {
	p, err := r.read()
	if err != nil {
		return "", nil, err
	}
	switch p.kind {
	case '-':
		return "", nil, &serverError{text: string(p.text)}
	case '*':
		for range p.n {
			item, err := r.read()
			if err != nil {
				return "", nil, err
			}
			if item.kind == '*' {
				return "", nil, fmt.Errorf("%w: a list in a list", errReply)
			}
			list = append(list, string(item.text))
		}
		return "", list, nil
	}
	return string(p.text), nil, nil
}
