// SPDX-License-Identifier: LGPL-2.1-or-later

package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lockFile is locked for as long as a process uses the folder, and names the process.
const lockFile = "lock"

// ErrInUse is what Open's error wraps when another user holds the folder.
var ErrInUse = errors.New("in use")

// lock takes the folder for this process. The kernel lets go of it when the process ends, however it ends.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("spool folder %s cannot be written: %w; make it writable for this user, or name another one", dir, reason(err))
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		if err = f.Truncate(0); err == nil {
			_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		}
		if err == nil {
			return f, nil
		}
		_ = f.Close()
		return nil, fmt.Errorf("spool folder %s cannot be written: %w; free space on the disk, or name another folder", dir, reason(err))
	}
	defer func() { _ = f.Close() }()
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("spool folder %s cannot be locked: %w; name a folder on a local disk", dir, err)
	}
	holder := "another process"
	text := make([]byte, 20)
	n, _ := f.ReadAt(text, 0)
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n]))); err == nil {
		holder = fmt.Sprintf("process %d", pid)
		if pid == os.Getpid() {
			holder = fmt.Sprintf("another connection of this process (%d)", pid)
		}
	}
	return nil, fmt.Errorf("spool folder %s is %w by %s; give each connection a folder of its own", dir, ErrInUse, holder)
}

// reason is err without the path, which the caller's text names.
func reason(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
