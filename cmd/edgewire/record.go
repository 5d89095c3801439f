// SPDX-License-Identifier: LGPL-2.1-or-later

package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// savedRecord is a line of --out and --json: a message with all that the
// broker tells about it. Bytes that are no text are kept as base64, in the
// member whose name says so.
type savedRecord struct {
	Topic       string        `json:"topic"`
	Partition   int32         `json:"partition"`
	Offset      int64         `json:"offset"`
	Key         *string       `json:"key"` // null: the message has none
	KeyBase64   string        `json:"key_base64,omitempty"`
	Timestamp   string        `json:"timestamp"`
	Headers     []savedHeader `json:"headers"`
	Value       *string       `json:"value"`
	ValueBase64 string        `json:"value_base64,omitempty"`
}

type savedHeader struct {
	Key         string  `json:"key"`
	Value       *string `json:"value"`
	ValueBase64 string  `json:"value_base64,omitempty"`
}

func encodeRecord(r *kgo.Record) ([]byte, error) {
	s := savedRecord{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
		Timestamp: r.Timestamp.UTC().Format(time.RFC3339Nano), Headers: []savedHeader{},
	}
	s.Key, s.KeyBase64 = textOrBase64(r.Key)
	s.Value, s.ValueBase64 = textOrBase64(r.Value)
	for _, h := range r.Headers {
		kept := savedHeader{Key: h.Key}
		kept.Value, kept.ValueBase64 = textOrBase64(h.Value)
		s.Headers = append(s.Headers, kept)
	}
	return json.Marshal(&s)
}

func textOrBase64(b []byte) (*string, string) {
	switch {
	case b == nil:
		return nil, ""
	case utf8.Valid(b):
		s := string(b)
		return &s, ""
	}
	return nil, base64.StdEncoding.EncodeToString(b)
}

// payloadOf gives the message inside a line of --out, or the line itself if it
// is a bare message.
func payloadOf(line []byte) ([]byte, error) {
	var s savedRecord
	if err := json.Unmarshal(line, &s); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	switch {
	case s.Topic == "" || s.Timestamp == "":
		return line, nil
	case s.Value != nil:
		return []byte(*s.Value), nil
	case s.ValueBase64 != "":
		return base64.StdEncoding.DecodeString(s.ValueBase64)
	}
	return nil, errors.New("the message is empty")
}
