// SPDX-License-Identifier: LGPL-2.1-or-later

package broker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/nearest"
	"github.com/gst-edgewire/gst-edgewire/pkg/dsconfig"
)

// Defaults of Reconnect.
const (
	DefaultRetryInterval    = 500 * time.Millisecond
	DefaultMaxRetryInterval = 30 * time.Second
)

// Reconnect says how a server that is away is tried again: after Interval, and after pauses that double up
// to MaxInterval, each with jitter, for ever or until Limit is over. An adapter whose library reconnects
// by itself gets the intervals if they were set; its own defaults hold otherwise.
type Reconnect struct {
	Off         bool          // a connection that cannot be made, or is lost, has failed
	Interval    time.Duration // 0 means DefaultRetryInterval
	MaxInterval time.Duration // 0 means DefaultMaxRetryInterval, or Interval if that is longer
	Limit       time.Duration // how long the server may be away before the connection has failed; 0 means for ever

	asked time.Duration // Interval as it was set
}

func (r *Reconnect) complete() error {
	if r.Interval < 0 || r.MaxInterval < 0 || r.Limit < 0 {
		return errors.New("a retry interval or limit is negative; set it to 0 for the default")
	}
	if r.MaxInterval > 0 && r.MaxInterval < r.Interval {
		return fmt.Errorf("the longest retry interval (%v) is shorter than the first (%v); raise it", r.MaxInterval, r.Interval)
	}
	r.asked = r.Interval
	if r.Interval == 0 {
		r.Interval = DefaultRetryInterval
	}
	if r.MaxInterval == 0 {
		r.MaxInterval = max(DefaultMaxRetryInterval, r.Interval)
	}
	return nil
}

// pause is Pause with the dice of the process.
func (r *Reconnect) pause(attempts int) time.Duration { return r.Pause(attempts, rand.N) }

// Pause is how long to wait after so many attempts in a row have failed: between half and one and a half
// of the doubled interval, so that a thousand devices do not come back in one moment. random gives a
// number from 0 to below its argument. Interval and MaxInterval must be set (simulations use it).
func (r *Reconnect) Pause(attempts int, random func(time.Duration) time.Duration) time.Duration {
	d := r.Interval
	for ; attempts > 1 && d < r.MaxInterval; attempts-- {
		d *= 2
	}
	d = min(d, r.MaxInterval)
	return d/2 + random(d)
}

// ReconnectGroup is the section of DeepStream's cfg_nvmsgbroker.txt.
const ReconnectGroup = "nvmsgbroker"

// ReconnectKeys are those of the group; work-interval is without effect.
var ReconnectKeys = []string{"auto-reconnect", "retry-interval", "max-retry-interval", "max-retry-limit", "work-interval"}

// LoadReconnect reads the group [nvmsgbroker] of a file such as DeepStream's cfg_nvmsgbroker.txt:
// auto-reconnect (0 or 1), retry-interval, max-retry-limit and, an addition, max-retry-interval, in seconds.
// work-interval is accepted and without effect: nothing is polled here. A key that is missing has the
// default of Reconnect, not 0. Unknown keys are errors.
func LoadReconnect(path string) (Reconnect, error) {
	kf, err := dsconfig.ParseKeyFile(path)
	if err != nil {
		return Reconnect{}, err
	}
	return ReadReconnect(kf)
}

// ReadReconnect is LoadReconnect for a file that has been parsed.
func ReadReconnect(kf *dsconfig.KeyFile) (Reconnect, error) {
	var r Reconnect
	path := kf.Path
	g := kf.Group(ReconnectGroup)
	if g == nil {
		return r, dsconfig.Warning{File: path, Cause: "there is no [" + ReconnectGroup + "] group",
			Remedy: "write [" + ReconnectGroup + "] above the keys"}.Error()
	}
	for _, e := range g.Entries {
		if !slices.Contains(ReconnectKeys, e.Key) {
			remedy := "remove it; known are " + strings.Join(ReconnectKeys, ", ")
			if n, ok := nearest.Of(e.Key, ReconnectKeys); ok {
				remedy = "did you mean " + n + "?"
			}
			return r, e.Warn("unknown key", remedy).Error()
		}
		if e.Key == "auto-reconnect" {
			on, err := e.Bool()
			if err != nil {
				return r, err
			}
			r.Off = !on
			continue
		}
		n, err := e.IntRange(0, 1<<31)
		if err != nil {
			return r, err
		}
		switch e.Key {
		case "retry-interval":
			r.Interval = time.Duration(n) * time.Second
		case "max-retry-interval":
			r.MaxInterval = time.Duration(n) * time.Second
		case "max-retry-limit":
			r.Limit = time.Duration(n) * time.Second
		}
	}
	if err := new(r).complete(); err != nil {
		return r, fmt.Errorf("%s: [%s]: %w", path, ReconnectGroup, err)
	}
	return r, nil
}
