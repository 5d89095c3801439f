// SPDX-License-Identifier: LGPL-2.1-or-later

package c2d

import (
	"encoding/json"
	"time"
)

// A Status says what became of a command.
type Status string

// The statuses of a reply.
const (
	Done    Status = "ok"      // it was carried out
	Started Status = "started" // it goes on; another reply tells of its end
	Refused Status = "refused" // it was not carried out: malformed, unknown or not allowed
	Failed  Status = "failed"  // it was tried and went wrong
)

// HTTP is the status for protocols that want it as in HTTP (Azure direct methods).
func (s Status) HTTP() int {
	switch s {
	case Done:
		return 200
	case Started:
		return 202
	case Refused:
		return 400
	}
	return 500
}

// A Reply answers a command.
type Reply struct {
	Command string    `json:"command,omitempty"`
	ID      string    `json:"id,omitempty"`
	Sensor  string    `json:"sensor,omitempty"`
	Status  Status    `json:"status"`
	Reason  string    `json:"reason,omitempty"`
	Session uint32    `json:"session,omitempty"` // of a recording
	Result  *Object   `json:"result,omitempty"`
	Time    time.Time `json:"time"`
}

// Reply begins the answer to a command.
func (c *Command) Reply(s Status, reason string) Reply {
	return Reply{Command: c.Name, ID: c.ID, Sensor: c.Sensor, Status: s, Reason: reason}
}

// JSON is the reply as it is sent. Its time is in UTC, to the millisecond; now if there is none.
func (r Reply) JSON() []byte {
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	r.Time = r.Time.UTC().Truncate(time.Millisecond)
	b, err := json.Marshal(r)
	if err != nil { // a Result with a number that is none: the sender still gets an answer
		r.Result = nil
		b, _ = json.Marshal(r)
	}
	return b
}
