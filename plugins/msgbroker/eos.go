// SPDX-License-Identifier: LGPL-2.1-or-later

package msgbroker

import (
	"context"
	"fmt"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/gst"
	"github.com/gst-edgewire/gst-edgewire/internal/payloadmeta"
	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/broker"
	"github.com/gst-edgewire/gst-edgewire/plugins/internal/brokerside"
)

// eosCheckInterval is the time between two looks at an EOS that a bin keeps.
const eosCheckInterval = 100 * time.Millisecond

// SinkEvent drains the connection at EOS.
func (s *sink) SinkEvent(ev gst.Event) bool {
	if ev.Type() == gst.EventSegment { // messages are about to come
		s.ask()
	}
	if ev.Type() != gst.EventEOS {
		return s.ParentEvent(gst.SinkSide, ev)
	}
	s.drain()
	ok := s.ParentEvent(gst.SinkSide, ev)
	s.watchEOS()
	return ok
}

// Query tells the elements in front of us which fields are wanted, before they
// make the first message.
func (s *sink) Query(side gst.Side, q gst.Query) bool {
	if payloadmeta.IsFieldsQuery(q) {
		s.ask()
		return false // the question is for our neighbours behind a tee as well
	}
	return s.ParentQuery(side, q)
}

// drain waits for what is under way, up to drain-timeout, and tells how it
// ended. A pause interrupts it, and does not count.
func (s *sink) drain() {
	conn := s.connection()
	if conn == nil {
		return
	}
	var waited time.Duration
	var report broker.DrainReport
	for {
		s.mu.Lock()
		wait, flushing := time.Duration(s.set.drainTimeout)*time.Millisecond, s.flushing
		s.mu.Unlock()
		began := time.Now()
		interrupted := brokerside.Flushing{Context: context.Background(), Ended: flushing}
		ctx, cancel := context.WithTimeout(interrupted, max(wait-waited, 0))
		s.PrerollUnlocked(func() { report = conn.Drain(ctx) })
		cancel()
		waited += time.Since(began)
		if report.Remaining+report.Spooled == 0 || interrupted.Err() == nil || s.WaitPrerollAgain() != gst.FlowOK {
			break
		}
	}
	log.Log(gst.LevelInfo, s.Element, "EOS: %d acknowledged since, %d spooled, %d still in memory", report.Acknowledged, report.Spooled, report.Remaining)
	if report.Remaining > 0 {
		stats := conn.Stats()
		s.Warning(gst.ResourceFailed, fmt.Sprintf("msgbroker: EOS with %s still undelivered to %s after %v: %s.",
			plural(report.Remaining, "message"), stats.Host, waited.Round(100*time.Millisecond), undelivered(stats)), "")
	}
	conn.FlushReports()
	if s.messages == 0 && s.buffers > 0 {
		s.Warning(gst.StreamFormat, fmt.Sprintf("msgbroker: nothing was published: %s came, none with a message. "+
			"Put msgconv in front of msgbroker (and a detector in front of that), or feed it application/json, text/x-raw or application/x-protobuf; "+
			"if comp-id is set, msgconv's comp-id must be the same.", plural(s.buffers, "buffer")), "caps "+s.caps)
	}
	s.postStats()
}

// watchEOS sees to it that the pipeline ends. GStreamer can forget to post the
// EOS of a pipeline whose PAUSED came from decodebin's thread while the
// application already set PLAYING; sinks without preroll are the ones that
// meet this. See docs/decisions.md.
func (s *sink) watchEOS() {
	if s.CheckEOS(false) == gst.EOSPassed {
		return
	}
	done := s.closed
	failed := func(e *safe.PanicError) { log.Log(gst.LevelError, nil, "%v\n%s", e, e.Stack) }
	safe.Go(&s.watchers, "the watch for EOS of msgbroker", failed, func() {
		tick := time.NewTicker(eosCheckInterval)
		defer tick.Stop()
		for last := gst.EOSKept; last != gst.EOSPassed; {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			now := s.CheckEOS(last == gst.EOSStuck)
			if last == gst.EOSStuck && now == gst.EOSStuck {
				log.Log(gst.LevelInfo, s.Element, "the bin kept EOS although all of its sinks ended in PLAYING; its state was posted again")
			}
			last = now
		}
	})
}
