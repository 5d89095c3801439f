// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"errors"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/spool"
)

// close writes what memory holds, within its patience, and gives the folder back. The dispatcher has
// ended. It returns how many messages are on disk and how many are nowhere.
func (p *spooler) close() (spooled, lost int) {
	l := p.l
	l.mu.Lock()
	p.flush = true
	p.pokeLocked()
	l.mu.Unlock()
	p.wg.Wait()
	l.mu.Lock()
	p.retry, p.toInsert = time.Time{}, true
	l.mu.Unlock()
	p.deadline = time.Now().Add(flushPatience)
	p.insert()
	for time.Now().Before(p.deadline) && p.flushStage() {
		_ = p.s.Maintain()
	}
	l.mu.Lock()
	spooled = p.s.Stats().Messages
	lost = l.q.messages - p.inQueue + p.stage.messages
	l.mu.Unlock()
	dir, finished := l.opts.Spool.Dir, make(chan struct{})
	saving.Lock()
	saving.m[dir] = finished
	saving.Unlock()
	var wg sync.WaitGroup
	safe.Go(&wg, "the end of the spool "+dir, nil, func() {
		defer func() {
			saving.Lock()
			if saving.m[dir] == finished {
				delete(saving.m, dir)
			}
			saving.Unlock()
			close(finished)
		}()
		_ = p.s.Close()
	})
	timer := time.NewTimer(savePatience)
	defer timer.Stop()
	select {
	case <-finished:
	case <-timer.C: // a sync may take its time: the next Connect waits for it
	}
	return spooled, lost
}

// flushStage writes one part of the stage and reports whether to go on.
func (p *spooler) flushStage() bool {
	p.l.mu.Lock()
	if p.stage.messages == 0 {
		p.l.mu.Unlock()
		return false
	}
	c := p.stage.pop()
	p.l.mu.Unlock()
	n, err := p.s.Append(&c.batch, c.sent)
	p.refused(err)
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	c.sent += n
	p.waiting += n
	if p.mode == SpoolAlways {
		p.l.stats.accepted += uint64(n)
	}
	if c.sent < c.len() {
		p.stage.unpop(c)
		return errors.Is(err, spool.ErrFull) && p.makeRoomLocked()
	}
	return true
}
