// SPDX-License-Identifier: LGPL-2.1-or-later

package file

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"

	"golang.org/x/sys/unix"
)

// stamp is the time in the names of old files, UTC; it sorts by age.
const (
	stamp        = "20060102T150405.000Z"
	stampPattern = `-[0-9]{8}T[0-9]{6}\.[0-9]{3}Z(-[0-9]+)?`
	gzipSuffix   = ".gz"
	newSuffix    = ".new" // of a compressed file that is being written
)

// rotate gives the file its name for the archive, and begins a new one. Where that cannot be done the old one
// goes on.
func (t *target) rotate() error {
	if t.c.set.sync != syncNone {
		if err := t.sync(); err != nil {
			return err
		}
	}
	old := archiveName(t.path, time.Now())
	if err := os.Rename(t.path, old); err != nil {
		t.c.gate.Log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "file", Text: fmt.Sprintf(
			"%s cannot be renamed to %s: %v; it grows on; give this user the right to rename in its folder", t.path, filepath.Base(old), bare(err))})
		t.size, t.since = 0, time.Now() // asked again after as much
		return nil
	}
	t.close()
	select {
	case t.c.rotated <- t.path:
	default: // the next one takes care of this one too
	}
	return t.open()
}

// archiveName puts the time before the extension, and a later one where the clock has gone back: the names tell
// the order, by which the oldest are deleted.
func archiveName(path string, now time.Time) string {
	ext := filepath.Ext(path)
	if last := lastStamp(path); !last.IsZero() && now.UTC().Format(stamp) < last.Format(stamp) {
		now = last.Add(time.Millisecond)
	}
	stem := strings.TrimSuffix(path, ext) + "-" + now.UTC().Format(stamp)
	name := stem + ext
	for i := 1; exists(name) || exists(name+gzipSuffix); i++ {
		name = fmt.Sprintf("%s-%04d%s", stem, i, ext)
	}
	return name
}

// lastStamp is the time in the name of the newest old file.
func lastStamp(path string) time.Time {
	names := archive(path)
	if len(names) == 0 {
		return time.Time{}
	}
	ext := filepath.Ext(path)
	text := strings.TrimPrefix(age(names[len(names)-1], ext), strings.TrimSuffix(path, ext)+"-")
	last, err := time.Parse(stamp, text[:min(len(text), len(stamp))])
	if err != nil {
		return time.Time{}
	}
	return last
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// archive lists the old files of a path, oldest first.
func archive(path string) []string {
	ext := filepath.Ext(path)
	stem := strings.TrimSuffix(filepath.Base(path), ext)
	ours := regexp.MustCompile("^" + regexp.QuoteMeta(stem) + stampPattern + regexp.QuoteMeta(ext) + `(\.gz)?$`)
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if ours.MatchString(e.Name()) && e.Type().IsRegular() {
			names = append(names, filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
	// Without the suffix, a-…Z.x comes before a-…Z-0001.x only if the extension does not count.
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(age(a, ext), age(b, ext)) })
	return names
}

func age(name, ext string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, gzipSuffix), ext)
}

// tidy looks after old files: deletes those that are too many, and compresses.
func (c *conn) tidy() {
	if !strings.Contains(c.set.path, topicField) {
		c.tidyOne(c.set.path) // what an earlier run has left
	}
	for {
		select {
		case <-c.stop:
			return
		case path := <-c.rotated:
			c.tidyOne(path)
		}
	}
}

func (c *conn) tidyOne(path string) {
	names := archive(path)
	if n := c.set.count; n > 0 && len(names) > n {
		for _, name := range names[:len(names)-n] {
			if err := os.Remove(name); err != nil {
				c.warn(fmt.Sprintf("%s: cannot be deleted: %v", name, bare(err)))
			}
		}
		names = names[len(names)-n:]
	}
	if !c.set.gzip {
		return
	}
	for _, name := range names {
		if strings.HasSuffix(name, gzipSuffix) {
			continue
		}
		if err := c.compress(name); err != nil {
			if !c.stopped() {
				c.warn(fmt.Sprintf("%s: cannot be compressed: %v", name, bare(err)))
			}
			return
		}
	}
}

func (c *conn) warn(text string) {
	c.gate.Log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "file", Text: text})
}

// compress replaces a file by its compressed form. At every moment one of the two is whole.
func (c *conn) compress(name string) (err error) {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(name+gzipSuffix+newSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		_ = out.Close()
		if err != nil {
			_ = os.Remove(out.Name())
		}
	}()
	z := gzip.NewWriter(out)
	if _, err = io.Copy(z, &stoppable{in, c}); err != nil {
		return err
	}
	if err = z.Close(); err != nil {
		return err
	}
	if err = unix.Fdatasync(int(out.Fd())); err != nil {
		return err
	}
	if err = os.Rename(out.Name(), name+gzipSuffix); err != nil {
		return err
	}
	return os.Remove(name)
}

// A stoppable reads until the conn is closed.
type stoppable struct {
	r io.Reader
	c *conn
}

func (s *stoppable) Read(p []byte) (int, error) {
	if s.c.stopped() {
		return 0, errStopped
	}
	return s.r.Read(p)
}
