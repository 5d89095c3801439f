// SPDX-License-Identifier: LGPL-2.1-or-later

package amqp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

const takeAtOnce = 64 // messages

// A publisher sends what is in the box. run is its goroutine; that of the library's reader calls the methods
// of listener.
type publisher struct {
	c       *conn
	enc     encoder
	backoff *outbox.Backoff
	session atomic.Int64 // of the box
	taken   atomic.Bool  // the server has taken a message since the last pause
	moved   chan struct{}
	nacked  chan struct{}

	messages []outbox.Message
	answers  outbox.Answers // of the reader
	lastBack uint64         // the message returned last, for the search of the next

	blocked string // why the server takes nothing for now; "" when it does
	probing bool   // after a refusal: one message at a time until one is taken

	// The server ends the channel of a message that is too large, and with it the answers to all others. So one
	// that is larger than any before goes alone.
	trusted int64 // payloads of this size are taken
	trial   int64 // the size of the one that is under way; 0: none is
	waits   bool  // one waits for the others to be answered
}

// trustedSize is so small that no server refuses it.
const trustedSize = 64 << 10

func (p *publisher) prepare(c *conn) {
	p.c, p.backoff = c, outbox.NewBackoff(c.Cfg)
	p.moved, p.nacked = make(chan struct{}, 1), make(chan struct{}, 1)
	p.enc = encoder{exchange: c.set.exchange, mandatory: c.set.mandatory, persistent: c.set.persistent, content: c.set.content, id: max(rand.Uint64(), 1)}
}

func (p *publisher) tell(s adapters.State, reason string, attempt int, next time.Duration) {
	p.c.Parts.Set(outbox.Publishing, s, reason, attempt, next)
}

func (p *publisher) run() {
	for {
		err := p.serve()
		attempt, pause := p.pause()
		select {
		case <-p.c.Stop:
			return
		default:
		}
		p.tell(adapters.Disconnected, p.c.set.reason(err), attempt, pause)
		if !outbox.Sleep(pause, p.c.Stop) {
			return
		}
	}
}

// pause is how long to wait now; the first pause again if anything was taken since the last one.
func (p *publisher) pause() (attempt int, d time.Duration) {
	if p.taken.Swap(false) {
		p.backoff.Reset()
	}
	return p.backoff.Next()
}

// serve is one connection, from the attempt to its end.
func (p *publisher) serve() error {
	k, err := p.c.dial(p, "publisher")
	if err != nil {
		return err
	}
	defer k.end()
	p.blocked, p.trusted = "", trustedSize
	closed, ch, err := p.openChannel(k)
	if err != nil {
		return err
	}
	p.ready()
	var again <-chan time.Time // to try once more what was refused
	for {
		var wake, room, moved <-chan struct{}
		if p.trial > 0 && p.c.Box.Sent() == 0 {
			p.trusted, p.trial = max(p.trusted, p.trial), 0
		}
		switch {
		case p.blocked != "" || again != nil:
		case (p.probing || p.trial > 0) && p.c.Box.Sent() > 0:
		case k.wire.full():
			room = k.wire.room
		case p.pump(k):
			wake = closedChan // there is more
		default:
			wake = p.c.Box.Wake()
		}
		if p.probing || p.waits || p.trial > 0 {
			moved = p.moved
		}
		select {
		case <-p.c.Stop:
			return nil
		default:
		}
		select {
		case <-p.c.Stop:
			return nil
		case e := <-k.closed:
			return p.lost(k, e)
		case b, ok := <-k.blocks:
			if !ok {
				return p.lost(k, <-k.closed)
			}
			p.block(b)
		case e := <-closed:
			if k.IsClosed() {
				return p.lost(k, <-k.closed)
			}
			if err := p.refusal(e); err != nil {
				return err
			}
			if closed, ch, err = p.openChannel(k); err != nil {
				return err
			}
		case <-p.nacked:
			if again == nil {
				attempt, pause := p.pause()
				again = time.After(pause)
				p.tell(adapters.Disconnected, "the server refuses messages for now (basic.nack); a queue is full (overflow=reject-publish): "+
					"consume from it, or raise its limit", attempt, pause)
			}
		case <-again:
			// By now the others have their answers, so that what was refused is all that is sent again.
			again = nil
			_ = ch.Close()
			if closed, ch, err = p.openChannel(k); err != nil {
				return err
			}
			p.probing = true
			p.drainNacks()
		case <-moved:
			if p.c.Box.Sent() == 0 && p.probing {
				p.probing = false
				p.ready()
			}
		case <-room:
		case <-wake:
		}
	}
}

var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (p *publisher) lost(k *link, e *rabbit.Error) error {
	if e == nil {
		e = rabbit.ErrClosed
	}
	return k.lost(e)
}

func (p *publisher) ready() {
	if !p.probing {
		p.tell(adapters.Connected, "", 0, 0)
	}
}

// block follows connection.blocked and connection.unblocked: RabbitMQ's alarms of memory and disk.
func (p *publisher) block(b rabbit.Blocking) {
	if !b.Active {
		p.blocked = ""
		p.ready()
		return
	}
	p.blocked = b.Reason
	p.tell(adapters.Disconnected, "the server takes no messages for now: "+b.Reason+"; free its memory or disk, or raise vm_memory_high_watermark or lower disk_free_limit", 0, 0)
}

func (p *publisher) drainNacks() {
	select {
	case <-p.nacked:
	default:
	}
}

// openChannel makes the channel for publishing, and puts everything without a Result before it again.
func (p *publisher) openChannel(k *link) (chan *rabbit.Error, *rabbit.Channel, error) {
	ch, err := k.Channel()
	if err != nil {
		return nil, nil, k.lost(err)
	}
	if err := p.c.set.declare(ch); err != nil {
		return nil, nil, k.lost(err)
	}
	closed := ch.NotifyClose(make(chan *rabbit.Error, 1))
	if err := ch.Confirm(false); err != nil {
		return nil, nil, k.lost(err)
	}
	p.enc.channel = k.wire.bind()
	p.enc.frame = k.Config.FrameSize - frameOverhead
	if k.Config.FrameSize <= frameOverhead {
		p.enc.frame = defaultFrame - frameOverhead
	}
	p.c.frame.Store(int64(min(p.enc.frame, p.c.set.frame)))
	p.session.Store(int64(p.c.Box.Rewind(1))) // the first delivery tag of a channel is 1
	p.lastBack, p.trial, p.waits = 0, 0, false
	return closed, ch, nil
}

// declare makes the exchange, or makes sure that it is there.
func (s *set) declare(ch *rabbit.Channel) error {
	switch {
	case s.exchange == "":
		return nil
	case s.kind != "":
		return ch.ExchangeDeclare(s.exchange, s.kind, s.durable, false, false, false, nil)
	}
	return ch.ExchangeDeclarePassive(s.exchange, "topic", s.durable, false, false, false, nil)
}

// pump publishes some messages, and reports whether there may be more.
func (p *publisher) pump(k *link) bool {
	n := takeAtOnce
	if p.probing {
		n = 1
	}
	p.messages, p.waits = p.c.Box.TakeAlone(int(p.session.Load()), n, p.trusted, p.messages[:0])
	if len(p.messages) == 0 || !k.wire.publish(&p.enc, p.messages) {
		return false
	}
	if size := int64(len(p.messages[0].Payload)); size > p.trusted {
		p.trial = size
		return false
	}
	return !p.probing && !p.waits
}

// confirmed answers messages. What the server refuses for now is sent again later.
func (p *publisher) confirmed(number uint64, multiple, ok bool) {
	session := int(p.session.Load())
	if ok {
		p.taken.Store(true)
	}
	switch {
	case ok && multiple:
		p.c.Box.AnswerTo(session, &p.answers, number)
	case ok:
		p.c.Box.Answer(session, &p.answers, number, nil)
	case multiple:
		p.c.Box.HoldTo(session, number)
		outbox.Token(p.nacked)
	default:
		p.c.Box.Hold(session, number)
		outbox.Token(p.nacked)
	}
}

// unroutable answers a message that came back. Its confirmation follows and finds it answered.
func (p *publisher) unroutable(r *returned) {
	run, number, ok := splitMessageID(r.id)
	if !ok {
		return
	}
	session := int(p.session.Load())
	is := func(m *outbox.Message) bool {
		if m.Session != 0 {
			return m.Session == run && m.Number == number
		}
		return p.enc.id == run && m.Seq == number
	}
	// They come in the order of sending.
	n, ok := p.c.Box.Find(session, p.lastBack+1, is)
	if !ok {
		n, ok = p.c.Box.Find(session, 0, is)
	}
	if !ok {
		return
	}
	p.lastBack = n
	topic := ""
	p.c.Box.Find(session, n, func(m *outbox.Message) bool { topic = string(m.Topic); return true })
	p.c.Box.Answer(session, &p.answers, n, p.c.DeliveryError(adapters.ErrUnknownTopic, topic,
		fmt.Sprintf("no queue is bound to the exchange %q for this routing key (%d %s)", p.c.set.exchange, r.code, r.text),
		"bind a queue, correct the topic, or set mandatory=false to let such messages vanish"))
}

// settled passes on what came at once.
func (p *publisher) settled() (under int) {
	p.c.Box.Tell(&p.answers)
	outbox.Token(p.moved)
	return p.c.Box.Sent()
}

var (
	topicRefused = regexp.MustCompile(`access to topic '(.*)' in exchange`)
	sizeRefused  = regexp.MustCompile(`message size (\d+) is larger than configured max size (\d+)`)
)

// refusal weighs why the server has closed the channel. A message that is to blame is answered, and nil
// returned; else the connection is given up.
func (p *publisher) refusal(e *rabbit.Error) error {
	if e == nil {
		return errors.New("the channel was closed without a reason")
	}
	var answers outbox.Answers
	session := int(p.session.Load())
	find := func(is func(m *outbox.Message) bool, err func(m *outbox.Message) error) (found bool) {
		for {
			var cause error
			n, ok := p.c.Box.Find(session, 0, func(m *outbox.Message) bool {
				if !is(m) {
					return false
				}
				cause = err(m)
				return true
			})
			if !ok {
				return found
			}
			found = p.c.Box.Answer(session, &answers, n, cause)
		}
	}
	found := false
	if m := sizeRefused.FindStringSubmatch(e.Reason); m != nil {
		limit, _ := strconv.ParseInt(m[2], 10, 64)
		p.c.maxBody.Store(limit)
		found = find(func(m *outbox.Message) bool { return int64(len(m.Payload)) > limit },
			func(m *outbox.Message) error { return p.c.tooLarge(string(m.Topic), len(m.Payload)) })
	} else if m := topicRefused.FindStringSubmatch(e.Reason); m != nil && e.Code == rabbit.AccessRefused {
		p.c.mu.Lock()
		if len(p.c.denied) >= maxDenied {
			clear(p.c.denied)
		}
		p.c.denied[m[1]] = time.Now().Add(deniedFor)
		p.c.mu.Unlock()
		found = find(func(x *outbox.Message) bool { return string(x.Topic) == m[1] },
			func(x *outbox.Message) error { return p.c.unauthorized(string(x.Topic)) })
	}
	p.c.Box.Tell(&answers)
	if !found {
		return &lostError{server: e}
	}
	return nil
}
