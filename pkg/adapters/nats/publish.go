// SPDX-License-Identifier: LGPL-2.1-or-later

package nats

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
	"github.com/gst-edgewire/gst-edgewire/pkg/adapters/outbox"
)

const (
	takeAtOnce  = 128
	maxInFlight = 4096 // JetStream does not push back by itself
	// Without an answer for so long a message is sent again; the stream knows it by its id.
	answerPatience = 10 * time.Second
	headerRoom     = 256 // of our own headers

	idHeader        = "Nats-Msg-Id"
	streamHeader    = "Nats-Expected-Stream"
	keyHeader       = "ew-key"
	keyBinaryHeader = "ew-key-base64"
	timeHeader      = "ew-timestamp-ms"
)

// JetStream's error codes (server/errors.json).
const (
	codeResources     = 10023
	codeNoMemory      = 10028
	codeNotEnabled    = 10076
	codeTooLarge      = 10054
	codeWrongStream   = 10060
	codeStoreFailed   = 10077
	codeAccountLimits = 10002
)

// A publisher sends what is in the box. run is its goroutine; one of the library brings the answers.
type publisher struct {
	c       *conn
	id      uint64
	backoff *outbox.Backoff
	session atomic.Int64
	next    uint64 // number of the next message
	moved   chan struct{}
	taken   atomic.Bool // a message was acknowledged since the last pause

	mu       sync.Mutex
	answers  outbox.Answers
	homeless []uint64 // numbers that no stream took
	refusal  string   // why the server takes nothing for now
	trouble  chan struct{}
}

func (p *publisher) prepare(c *conn) {
	p.c, p.backoff, p.id, p.next = c, outbox.NewBackoff(c.Cfg), max(rand.Uint64(), 1), 1
	p.moved, p.trouble = make(chan struct{}, 1), make(chan struct{}, 1)
}

func (p *publisher) tell(s adapters.State, reason string, attempt int, next time.Duration) {
	p.c.Parts.Set(outbox.Publishing, s, reason, attempt, next)
}

func (p *publisher) run() {
	for {
		err := p.serve()
		select {
		case <-p.c.Stop:
			return
		default:
		}
		attempt, pause := p.pause()
		p.tell(adapters.Disconnected, p.c.set.reason(err), attempt, pause)
		if !outbox.Sleep(pause, p.c.Stop) {
			return
		}
	}
}

func (p *publisher) pause() (attempt int, d time.Duration) {
	if p.taken.Swap(false) {
		p.backoff.Reset()
	}
	return p.backoff.Next()
}

// serve is one connection, from the attempt to its end.
func (p *publisher) serve() error {
	k, err := p.c.dial(0)
	if err != nil {
		return err
	}
	defer k.end()
	prefix := ""
	if p.c.set.jetstream {
		if err := p.c.stream(k); err != nil {
			return k.explain(err)
		}
		prefix = client.NewInbox() // our own, so that answers of an earlier connection are not mistaken
		prefix = p.c.set.inbox + "." + prefix[strings.LastIndexByte(prefix, '.')+1:] + "."
		sub, err := k.Subscribe(prefix+"*", func(m *client.Msg) { p.answered(m, len(prefix)) })
		if err != nil {
			return &lostError{err, k.secure}
		}
		_ = sub.SetPendingLimits(-1, -1)
	}
	p.rewind()
	p.tell(adapters.Connected, "", 0, 0)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	progress := time.Now()
	var messages []outbox.Message
	var again <-chan time.Time
	for {
		var wake, moved <-chan struct{}
		switch {
		case again != nil:
		case p.c.Box.Sent() >= maxInFlight:
			moved = p.moved
		default:
			messages = p.c.Box.Take(int(p.session.Load()), takeAtOnce, messages[:0])
			if len(messages) == 0 {
				wake = p.c.Box.Wake()
				break
			}
			if err := p.send(k, prefix, messages); err != nil {
				return err
			}
			wake = closedChan
		}
		select {
		case <-p.c.Stop:
			return nil
		case <-k.closed:
			return k.lost()
		case err := <-k.errors:
			if err := p.denied(err); err != nil {
				return err
			}
		case <-p.trouble:
			p.homelessMessages(k)
			p.mu.Lock()
			refusal := p.refusal
			p.refusal = ""
			p.mu.Unlock()
			if refusal != "" && again == nil {
				attempt, pause := p.pause()
				p.tell(adapters.Disconnected, refusal, attempt, pause)
				again = time.After(pause)
			}
		case <-again: // the answers of the others have come
			again = nil
			p.rewind()
			if p.c.Box.Waiting() == 0 {
				p.tell(adapters.Connected, "", 0, 0)
			}
		case <-moved:
			progress = time.Now()
		case <-ticker.C:
			if p.taken.Load() && again == nil {
				p.tell(adapters.Connected, "", 0, 0)
			}
			select {
			case <-p.moved:
				progress = time.Now()
			default:
			}
			if p.c.Box.Sent() == 0 {
				progress = time.Now()
			}
			if time.Since(progress) > answerPatience {
				p.rewind()
				progress = time.Now()
			}
		case <-wake:
		}
	}
}

var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// rewind puts everything without a Result before the server again. Numbers are never used twice.
func (p *publisher) rewind() { p.session.Store(int64(p.c.Box.Rewind(p.next))) }

// send publishes messages; without JetStream it also makes sure that the server has them.
func (p *publisher) send(k *link, prefix string, messages []outbox.Message) error {
	var reply []byte
	for i := range messages {
		m := &messages[i]
		msg := &client.Msg{Subject: string(m.Topic), Data: m.Payload, Header: p.headers(m)}
		p.next = m.Tag + 1
		if prefix != "" {
			reply = strconv.AppendUint(append(reply[:0], prefix...), m.Tag, 36)
			msg.Reply = string(reply)
		}
		switch err := k.PublishMsg(msg); {
		case errors.Is(err, client.ErrMaxPayload):
			p.answer(m.Tag, p.c.tooLarge(msg.Subject, len(m.Payload)))
		case err != nil:
			return &lostError{err, k.secure}
		}
	}
	if prefix == "" {
		if err := k.FlushTimeout(askPatience); err != nil {
			return &lostError{err, k.secure}
		}
		p.mu.Lock()
		p.c.Box.AnswerTo(int(p.session.Load()), &p.answers, messages[len(messages)-1].Tag)
		p.c.Box.Tell(&p.answers)
		p.mu.Unlock()
		p.taken.Store(true)
	}
	return nil
}

// headers of a message. The id is the same when it is sent again, so that the stream keeps it once.
func (p *publisher) headers(m *outbox.Message) client.Header {
	run, number := m.Session, m.Number
	if run == 0 {
		run, number = p.id, m.Seq
	}
	session := fmt.Sprintf("%016x", run)
	h := client.Header{idHeader: {session + "-" + strconv.FormatUint(number, 10)}}
	if p.c.set.stream != "" && p.c.set.jetstream {
		h[streamHeader] = []string{p.c.set.stream}
	}
	if m.Session != 0 {
		h[adapters.SessionHeader] = []string{session}
		h[adapters.NumberHeader] = []string{strconv.FormatUint(number, 10)}
	}
	if m.TimestampMS != 0 {
		h[timeHeader] = []string{strconv.FormatInt(m.TimestampMS, 10)}
	}
	if len(m.Key) > 0 {
		if key := string(m.Key); utf8.ValidString(key) && !strings.ContainsFunc(key, func(r rune) bool { return r < ' ' }) && strings.TrimSpace(key) == key {
			h[keyHeader] = []string{key}
		} else {
			h[keyBinaryHeader] = []string{base64.StdEncoding.EncodeToString(m.Key)}
		}
	}
	m.Headers.Each(func(name, value []byte) bool {
		h[string(name)] = append(h[string(name)], string(value))
		return true
	})
	return h
}

// answer gives message number tag its Result.
func (p *publisher) answer(tag uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.c.Box.Answer(int(p.session.Load()), &p.answers, tag, err)
	p.c.Box.Tell(&p.answers)
}

// answered weighs the answer of JetStream to one message.
func (p *publisher) answered(m *client.Msg, prefix int) {
	tag, err := strconv.ParseUint(m.Subject[min(prefix, len(m.Subject)):], 36, 64)
	if err != nil {
		return
	}
	defer outbox.Token(p.moved)
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		p.mu.Lock()
		p.homeless = append(p.homeless, tag)
		p.mu.Unlock()
		outbox.Token(p.trouble)
		return
	}
	var a struct {
		Stream string              `json:"stream"`
		Error  *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &a); err != nil || a.Error == nil && a.Stream == "" {
		return // an answer of someone else; the message is sent again
	}
	if a.Error == nil {
		p.taken.Store(true)
		p.answer(tag, nil)
		return
	}
	kind, remedy := adapters.ErrRejected, "see the stream's configuration"
	switch a.Error.ErrorCode {
	case codeResources, codeNoMemory, codeStoreFailed, codeAccountLimits, codeNotEnabled:
		p.mu.Lock()
		p.refusal = "JetStream takes no messages for now: " + a.Error.Description + "; make room, or raise its limits"
		p.mu.Unlock()
		outbox.Token(p.trouble)
		return
	case codeTooLarge:
		kind, remedy = adapters.ErrTooLarge, "raise max_msg_size of the stream, or send less"
	case codeWrongStream:
		kind, remedy = adapters.ErrUnknownTopic, "add the subject to the stream "+p.c.set.stream+", or correct stream"
	}
	topic := p.topicOf(tag)
	p.answer(tag, p.c.DeliveryError(kind, topic, "JetStream refuses the message: "+a.Error.Description, remedy))
}

func (p *publisher) topicOf(tag uint64) (topic string) {
	p.c.Box.Find(int(p.session.Load()), tag, func(m *outbox.Message) bool { topic = string(m.Topic); return true })
	return topic
}

// homelessMessages are those that no stream took. Where there is a stream it had no leader for a moment.
func (p *publisher) homelessMessages(k *link) {
	p.mu.Lock()
	tags := p.homeless
	p.homeless = nil
	p.mu.Unlock()
	known := map[string]error{}
	for _, tag := range tags {
		topic := p.topicOf(tag)
		err, ok := known[topic]
		if !ok {
			_, err = k.js.StreamNameBySubject(p.c.ctx, topic)
			known[topic] = err
		}
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			p.answer(tag, p.c.DeliveryError(adapters.ErrUnknownTopic, topic, "no stream has this subject",
				"add it to a stream, set stream and stream-create=true, or set jetstream=false"))
			continue
		}
		p.mu.Lock()
		p.refusal = "no stream answers for " + topic + "; it may have no leader for the moment"
		if err != nil {
			p.refusal = p.c.set.reason(err)
		}
		p.mu.Unlock()
	}
}

// denied weighs an error that belongs to no call. Messages to a subject that is not allowed have no other
// answer.
func (p *publisher) denied(err error) error {
	_, rest, found := strings.Cut(strings.ToLower(err.Error()), `permissions violation for publish to "`)
	if !errors.Is(err, client.ErrPermissionViolation) || !found {
		p.c.Gate.Log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "nats", Text: p.c.set.where() + ": " + p.c.set.group.Mask(err.Error())})
		return nil
	}
	subject, _, _ := strings.Cut(rest, `"`)
	for {
		topic := ""
		tag, ok := p.c.Box.Find(int(p.session.Load()), 0, func(m *outbox.Message) bool {
			topic = string(m.Topic)
			return strings.EqualFold(topic, subject)
		})
		if !ok {
			return nil
		}
		p.answer(tag, p.c.DeliveryError(adapters.ErrUnauthorized, topic, "the server does not allow us to publish to this subject", "grant it in the user's permissions"))
	}
}

// stream makes sure that the stream is there, or makes it.
func (c *conn) stream(k *link) error {
	if c.set.stream == "" {
		_, err := k.js.AccountInfo(c.ctx)
		return err
	}
	_, err := k.js.Stream(c.ctx, c.set.stream)
	if !errors.Is(err, jetstream.ErrStreamNotFound) || !c.set.create {
		return err
	}
	config := jetstream.StreamConfig{Name: c.set.stream, Subjects: c.set.subjects, Replicas: c.set.replicas, MaxBytes: c.set.maxBytes,
		MaxAge: c.set.maxAge, Duplicates: c.set.window}
	if c.set.memory {
		config.Storage = jetstream.MemoryStorage
	}
	if config.MaxAge > 0 && config.Duplicates > config.MaxAge {
		config.Duplicates = config.MaxAge
	}
	_, err = k.js.CreateStream(c.ctx, config)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // someone else was quicker
		return nil
	}
	return err
}
