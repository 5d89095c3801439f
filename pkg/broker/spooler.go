// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/spool"
)

const (
	spoolTick     = 100 * time.Millisecond // between two looks at the clock: syncs, cursor, expiry
	spoolLinger   = 2 * time.Millisecond   // for which messages are collected before they are written
	spoolPatience = time.Second            // between two attempts to write to a disk that refuses
	flushPatience = 300 * time.Millisecond // how long Close may write …
	savePatience  = 150 * time.Millisecond // … and then wait for the disk
	reopenWait    = 10 * time.Second       // how long Connect waits for a folder that Close is still saving
)

// Why messages of the spool are given up.
var (
	errExpired = errors.New("older than the spool's max-age; raise spool-max-age if such old ones are wanted")
	errDamaged = errors.New("unreadable in the spool; check the disk")
	errOldest  = errors.New("the spool is full, and the oldest make room; see why the broker does not keep up, or raise spool-max-bytes")
)

// A spooler moves messages between memory and disk. Fields below mu of the link unless said otherwise.
type spooler struct {
	l    *link
	s    *spool.Spool
	mode SpoolMode
	most int64 // bytes that a message may have

	stage     queue // on the way to disk; of a queue only add and pop are used
	active    bool  // messages go through the stage
	inQueue   int   // messages of the link's queue that are on disk as well
	waiting   int   // messages on disk that are not in the queue
	writing   int   // messages of the stage that are being written
	inserting bool  // what is only in memory is being written: answers to it are yet to be noted on disk
	toInsert  bool  // what is only in memory is to be written
	failing   bool  // the disk refuses
	errors    uint64
	unspooled uint64 // messages that went on without the disk
	flush     bool   // Close wants everything on disk

	expired, lost uint64 // of the spool's, that are counted as dropped

	// Of the spooler's goroutine.
	retry    time.Time // before it the disk is left alone
	deadline time.Time // of close

	poke chan struct{} // one token: look
	wg   sync.WaitGroup
}

// Folders that a Close is still saving.
var saving = struct {
	sync.Mutex
	m map[string]chan struct{}
}{m: map[string]chan struct{}{}}

func openSpooler(l *link) error {
	o := l.opts.Spool
	saving.Lock()
	busy := saving.m[o.Dir]
	saving.Unlock()
	if busy != nil {
		select {
		case <-busy:
		case <-time.After(reopenWait):
		}
	}
	p := &spooler{l: l, mode: o.Mode, poke: make(chan struct{}, 1)}
	s, err := spool.Open(o.Dir, spool.Options{MaxBytes: o.MaxBytes, MaxAge: o.MaxAge, Sync: o.Sync, OnDamage: p.damaged})
	if err != nil {
		return err
	}
	p.s = s
	p.most = o.MaxBytes / 2
	if o.MaxBytes == 0 {
		p.most = spool.DefaultMaxBytes / 2
	}
	st := s.Stats()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq = s.Next() - 1
	l.base = l.seq
	l.stats.recovered = uint64(st.Messages)
	p.active = o.Mode == SpoolAlways || st.Unread > 0
	p.waiting = st.Unread
	if st.Messages > 0 {
		l.logLocked(adapters.LogEntry{Level: adapters.LogInfo, Facility: "spool",
			Text: fmt.Sprintf("%s holds %d messages of an earlier run; they are sent first", o.Dir, st.Messages)})
	}
	l.sp = p // under the lock: the adapter tells its state already
	return nil
}

func (p *spooler) start() {
	safe.Go(&p.wg, "the spool "+p.l.opts.Spool.Dir, p.l.panicked, p.run)
}

// damaged is told by the spool.
func (p *spooler) damaged(d spool.Damage) {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	p.l.logLocked(adapters.LogEntry{Level: adapters.LogWarning, Facility: "spool", Text: d.String()})
	p.l.lastErrorLocked(d.String())
}

// takesLocked reports whether the next message goes through the stage. Memory is spilled when half of it is
// in use, so that the other half is there for what comes while the disk is busy.
func (p *spooler) takesLocked() bool {
	if !p.active && (p.l.q.messages >= p.l.maxMessages/2 || p.l.q.bytes >= p.l.maxBytes/2 || p.l.awayLocked()) {
		p.active = true
	}
	return p.active
}

func (p *spooler) pokeLocked() { token(p.poke) }

// awayLocked is told that the server is away: what is only in memory goes to disk now.
func (p *spooler) awayLocked() {
	p.active, p.toInsert = true, true
	p.pokeLocked()
}

// answeredLocked is told that a message of the queue has its answer.
func (p *spooler) answeredLocked(seq uint64) {
	if p.s.Ack(seq) {
		p.inQueue--
	}
}

// roomLocked is how many messages and bytes the queue may get from stage or disk. An empty queue takes
// anything.
func (p *spooler) roomLocked() (messages int, bytes int64) {
	messages, bytes = max(p.l.maxMessages/2, 1)-p.l.q.messages, p.l.maxBytes/2-p.l.q.bytes
	if p.l.q.messages == 0 {
		bytes = max(bytes, 1)
	}
	return messages, bytes
}

// fitsLocked reports whether the queue may get records of b.
func (p *spooler) fitsLocked(b *adapters.Batch, from, to int) bool {
	messages, bytes := p.roomLocked()
	for i := from; i < to && bytes > 0; i++ {
		bytes -= int64(recordSize(&b.Records[i]))
	}
	return to-from <= messages && bytes > 0
}

// pendingLocked counts the messages that are on disk and not in the queue, and those on the way there.
func (p *spooler) pendingLocked() int { return p.waiting + p.stage.messages + p.writing }

// run is the goroutine that does all reading and writing.
func (p *spooler) run() {
	tick := time.NewTicker(spoolTick)
	defer tick.Stop()
	for {
		worked := p.work()
		if p.maintain() {
			return
		}
		if worked {
			continue
		}
		select {
		case <-p.poke:
			if !p.urgent() {
				time.Sleep(spoolLinger)
			}
		case <-tick.C:
		}
	}
}

// urgent reports that what is to be written had better not wait for company.
func (p *spooler) urgent() bool {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	return p.flush || p.toInsert || p.stage.bytes >= chunkSize/2 || p.stage.messages >= p.l.maxMessages/8
}

// maintain does what the clock asks for, and reports that Close wants the end.
func (p *spooler) maintain() bool {
	if err := p.s.Maintain(); err != nil {
		p.refused(err)
	}
	st := p.s.Stats()
	l := p.l
	l.mu.Lock()
	defer l.mu.Unlock()
	l.droppedLocked(dropExpired, errExpired, st.Expired-p.expired)
	l.droppedLocked(dropDamaged, errDamaged, st.Lost-p.lost)
	if gone := int(st.Expired + st.Lost - p.expired - p.lost); gone > 0 {
		p.waiting -= gone
		l.signalLocked()
	}
	p.expired, p.lost = st.Expired, st.Lost
	if p.active && p.mode == SpoolOverflow && !l.awayLocked() && !p.toInsert && p.stage.messages == 0 && st.Unread == 0 &&
		l.q.messages < l.maxMessages/4 && l.q.bytes < l.maxBytes/4 {
		p.active = false
	}
	return p.flush
}

// work does one piece of what there is to do and reports whether there was some.
func (p *spooler) work() bool {
	did := p.insert()
	did = p.write() || did
	return p.read() || did
}

// write takes the oldest part of the stage to disk, and into the queue if that is its place.
func (p *spooler) write() bool {
	l := p.l
	l.mu.Lock()
	pass := time.Now().Before(p.retry) // do not bother the disk
	if p.stage.messages == 0 || (pass && !p.mayPassLocked(&p.stage.chunks[0].batch, 0)) {
		l.mu.Unlock()
		return false
	}
	c := p.stage.pop()
	p.writing = c.left
	ahead := p.s.Unread() > 0 // others are to be read first
	l.mu.Unlock()

	batch := c.batch
	n, err := 0, error(nil)
	if !pass {
		n, err = p.s.Append(&batch, c.sent)
		p.refused(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p.writing = 0
	if n > 0 {
		if p.failing && err == nil { // the disk is back: what went on without it is better there as well
			p.failing, p.toInsert = false, p.toInsert || l.awayLocked()
		}
		p.waiting += n
		if p.mode == SpoolAlways {
			l.stats.accepted += uint64(n)
		}
		if !ahead && p.fitsLocked(&batch, c.sent, c.sent+n) {
			p.toQueueLocked(&batch, c.sent, c.sent+n)
			p.inQueue, p.waiting = p.inQueue+n, p.waiting-n
			p.s.Skip(batch.Records[c.sent+n-1].Seq)
		}
		c.sent += n
	}
	full := errors.Is(err, spool.ErrFull)
	if full {
		p.retry = time.Now().Add(spoolTick)
	}
	if left := batch.Len() - c.sent; left > 0 && (pass || err != nil) && p.mayPassLocked(&batch, c.sent) {
		p.toQueueLocked(&batch, c.sent, batch.Len())
		p.unspooled += uint64(left)
		if p.mode == SpoolAlways {
			l.stats.accepted += uint64(left)
		}
		c.sent = batch.Len()
	}
	if c.sent < batch.Len() {
		p.stage.unpop(c)
	} else {
		p.stage.recycle(c)
	}
	l.signalLocked()
	return !full || p.makeRoomLocked()
}

// mayPassLocked reports whether messages may go on without the disk: it refuses, or it is full and they need
// not be there, and nothing older is there and not in the queue.
func (p *spooler) mayPassLocked(b *adapters.Batch, from int) bool {
	return (p.failing || p.mode == SpoolOverflow) && p.s.Unread() == 0 && p.fitsLocked(b, from, b.Len())
}

// toQueueLocked puts messages of the stage into the queue.
func (p *spooler) toQueueLocked(b *adapters.Batch, from, to int) {
	for i := from; i < to; i++ {
		m := b.At(i)
		p.l.q.addMessage(&m)
	}
	p.l.wakeLocked()
}

// makeRoomLocked drops the oldest of a full spool if the policy is so.
func (p *spooler) makeRoomLocked() bool {
	if p.l.opts.FullPolicy != DropOldest {
		return false
	}
	n := p.s.DropOldest()
	p.l.droppedLocked(dropOldest, errOldest, uint64(n))
	p.waiting -= n
	if n > 0 {
		p.retry = time.Time{}
	}
	return n > 0
}

// refused notes an error of the disk.
func (p *spooler) refused(err error) {
	if err == nil || errors.Is(err, spool.ErrFull) {
		return
	}
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	p.failing = true
	p.retry = time.Now().Add(spoolPatience)
	p.errors++
	text := "spool: " + err.Error() + "; free space on the disk and make the folder writable. Until then messages are kept in memory"
	p.l.lastErrorLocked(text)
	p.l.logLocked(adapters.LogEntry{Level: adapters.LogError, Facility: "spool", Text: text})
}

// read brings what is next on disk into the queue, if there is room.
func (p *spooler) read() bool {
	l := p.l
	l.mu.Lock()
	messages, room := p.roomLocked()
	want := !p.flush && messages > 0 && room > 0 && p.s.Unread() > 0
	l.mu.Unlock()
	if !want {
		return false
	}
	b := adapters.Batch{Data: make([]byte, 0, chunkSize+chunkSize/4)}
	n, err := p.s.Read(&b, messages, int(min(room, chunkSize)))
	p.refused(err)
	if n == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.q.adopt(b)
	p.inQueue, p.waiting = p.inQueue+n, p.waiting-n
	l.wakeLocked()
	return true
}

// insert writes what is only in memory.
func (p *spooler) insert() bool {
	l := p.l
	l.mu.Lock()
	if !p.toInsert || time.Now().Before(p.retry) {
		l.mu.Unlock()
		return false
	}
	p.toInsert, p.inserting = false, true
	defer func() {
		l.mu.Lock()
		p.inserting = false
		l.signalLocked()
		l.mu.Unlock()
	}()
	var last uint64 // the chunks are looked for anew each time: answers change the list
	l.mu.Unlock()
	for {
		l.mu.Lock()
		c := l.q.pin(last)
		if c == nil {
			l.mu.Unlock()
			return true
		}
		batch := c.batch
		answered := append([]uint64(nil), c.answered...)
		l.mu.Unlock()
		skip := func(i int) bool {
			return answered[i>>6]&(1<<(i&63)) != 0 || p.s.Holds(batch.Records[i].Seq)
		}
		wrote := make([]bool, batch.Len())
		for i := range wrote {
			wrote[i] = !skip(i)
		}
		n, err := p.s.Insert(&batch, 0, skip)
		p.refused(err)
		last = batch.Records[batch.Len()-1].Seq
		p.s.Skip(last)
		l.mu.Lock()
		for i := range n {
			if !wrote[i] {
				continue
			}
			// One that was answered before it was on disk is still to be acknowledged there; answeredLocked has
			// acknowledged the others, and counted them off before they were counted.
			if seq := batch.Records[i].Seq; l.q.holds(seq) || !p.s.Ack(seq) {
				p.inQueue++
			}
		}
		l.q.unpin(c)
		if err != nil { // also when the spool is full: these are the oldest, and wait in memory
			p.toInsert = true
			p.retry = time.Now().Add(spoolPatience)
		}
		over := err != nil || (p.flush && time.Now().After(p.deadline))
		l.mu.Unlock()
		if over {
			return false
		}
	}
}
