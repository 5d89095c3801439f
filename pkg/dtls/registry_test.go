// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"errors"
	"strings"
	"testing"
)

func TestRegistry(t *testing.T) {
	before := Connections()
	id := newID()
	if Lookup(id) {
		t.Fatal("it is there already")
	}
	if _, err := OpenEncoder("", "e", EncoderHandler{}); err == nil {
		t.Error("an empty id was taken by an encoder")
	}
	if _, err := OpenDecoder("", "d", DecoderConfig{}, DecoderHandler{}); err == nil {
		t.Error("an empty id was taken by a decoder")
	}
	for range 3 {
		e, err := OpenEncoder(id, "the encoder", EncoderHandler{})
		if err != nil {
			t.Fatal(err)
		}
		d, err := OpenDecoder(id, "the decoder", DecoderConfig{}, DecoderHandler{})
		if err != nil {
			t.Fatal(err)
		}
		if e.Connection() != d.Connection() || !Lookup(id) || Connections() != before+1 {
			t.Fatal("the sides do not share a connection")
		}
		var taken *TakenError
		if _, err := OpenDecoder(id, "another", DecoderConfig{}, DecoderHandler{}); !errors.As(err, &taken) || taken.Side != "decoder" || taken.Owner != "the decoder" || !strings.Contains(err.Error(), id) {
			t.Errorf("a second decoder: %v", err)
		}
		if _, err := OpenEncoder(id, "another", EncoderHandler{}); !errors.As(err, &taken) || taken.Side != "encoder" || taken.Owner != "the encoder" {
			t.Errorf("a second encoder: %v", err)
		}
		e.Close()
		if !Lookup(id) {
			t.Error("the connection went with its encoder alone")
		}
		e.Close()
		if err := e.Start(EncoderConfig{}); !errors.Is(err, ErrClosed) {
			t.Errorf("Start after Close: %v", err)
		}
		if err := e.Write([]byte("x")); !errors.Is(err, ErrClosed) {
			t.Errorf("Write after Close: %v", err)
		}
		d.Close()
		d.Close()
		if err := d.Receive([]byte("x")); !errors.Is(err, ErrClosed) {
			t.Errorf("Receive after Close: %v", err)
		}
		if Lookup(id) || Connections() != before {
			t.Fatal("the connection outlives its sides")
		}
	}
}
