// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"crypto"
	"errors"
	"fmt"

	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/handshake"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/wire"
	"github.com/gst-edgewire/gst-edgewire/pkg/srtp"
)

// The steps of an attempt. All of them are work's.

// begin makes what the handshake starts with.
func (a *attempt) begin() error {
	r := a.r
	id, err := r.dec.Identity()
	if err != nil {
		return &localError{fmt.Errorf("no certificate could be made: %w", err)}
	}
	cert := id.TLS()
	config := handshake.Config{Chain: cert.Certificate}
	var ok bool
	if config.Key, ok = cert.PrivateKey.(crypto.Signer); !ok {
		return &localError{errors.New("the private key of the certificate cannot sign")}
	}
	for _, p := range r.config.Profiles {
		config.Profiles = append(config.Profiles, uint16(p))
	}
	if !r.config.IsClient {
		a.server = handshake.NewServer(config)
		return a.take(a.guard.Hello(a.hello))
	}
	config.ServerName = r.dec.configuration().ServerName
	a.client = handshake.NewClient(config, a.random)
	return a.sendHello(nil)
}

func (a *attempt) sendHello(cookie []byte) error {
	hello, err := a.client.Hello(cookie)
	if err != nil {
		return &localError{err}
	}
	return a.sendFlight([][]byte{hello}, nil)
}

// take acts on what the guard passed.
func (a *attempt) take(in wire.Input) error {
	for _, d := range in.Drops {
		a.r.c.counters.drop(d)
	}
	if in.Hello != nil {
		flight, err := a.server.Hello(in.Hello)
		if err != nil {
			a.refuse(err)
			return local(err)
		}
		if err := a.sendFlight(flight, nil); err != nil {
			return err
		}
	}
	if in.Cookie != nil {
		if err := a.sendHello(in.Cookie); err != nil {
			return err
		}
	}
	if in.Flight != nil {
		if err := a.peerFlight(in.Flight); err != nil {
			return err
		}
	}
	if in.Insists && a.client != nil && !a.helloFlight() {
		a.again() // the server has not got our answer
	}
	for _, record := range in.Records {
		a.hold(record)
	}
	return a.openHeld()
}

// local marks an error that is not one of the peer.
func local(err error) error {
	var fault *handshake.Error
	if errors.As(err, &fault) {
		return err
	}
	return &localError{err}
}

// peerFlight takes the peer's flight, whose signature the guard has verified.
func (a *attempt) peerFlight(f *wire.Flight) (err error) {
	var chain [][]byte
	if a.client != nil {
		err = a.client.Flight(f.Messages, f.Leaf, f.Scheme)
		chain = a.client.Chain()
	} else {
		err = a.server.Flight(f.Messages, f.Leaf, f.Scheme)
		chain = a.server.Chain()
	}
	if err != nil {
		return err
	}
	cfg := a.r.dec.configuration()
	asks := a.r.setPeer(a, chain[0], &cfg)
	if err := judge(cfg, chain, a.fingerprint, a.client == nil); err != nil {
		return a.refused(err)
	}
	if !asks {
		return a.trusted()
	}
	pem := a.pem
	a.r.dec.calls.post(func() {
		answer := refused
		defer func() { // also after a panic
			a.mu.Lock()
			a.answer = answer
			a.schedule()
			a.mu.Unlock()
		}()
		// The verdict also counts for an attempt that follows this one, should
		// this one end before it is there.
		if a.r.hasAccepted(pem) || cfg.Accept(pem) {
			a.r.setAccepted(pem)
			answer = accepted
		}
	})
	return nil
}

// judged acts on the application's verdict.
func (a *attempt) judged(ok bool) error {
	if !ok {
		return a.refused(&RefusedError{Fingerprint: a.fingerprint, Reason: "the application did not accept it"})
	}
	if err := a.trusted(); err != nil {
		return err
	}
	return a.openHeld()
}

// refused tells the peer that its certificate is refused.
func (a *attempt) refused(err error) error {
	a.alert(42) // bad_certificate
	return err
}

// refuse tells a client why its ClientHello cannot be answered. Alerts of a
// handshake under way are unprotected and some peers die of forged ones: later
// than this they go out only with refused.
func (a *attempt) refuse(err error) {
	var fault *handshake.Error
	if errors.As(err, &fault) {
		a.alert(fault.Alert)
	}
}

func (a *attempt) alert(description byte) {
	a.send(a.number(nil, outRecord{typ: typeAlert, body: []byte{2, description}}))
}

// trusted goes on with a peer whose certificate is good.
func (a *attempt) trusted() error {
	if a.client == nil {
		return a.setSecrets(a.server.Secrets())
	}
	flight, finished, err := a.client.Reply()
	if err != nil {
		return local(err)
	}
	if err := a.setSecrets(a.client.Secrets()); err != nil {
		return err
	}
	return a.sendFlight(flight, finished)
}

func (a *attempt) setSecrets(s *handshake.Secrets) (err error) {
	a.secrets = s
	if a.protection, err = newProtection(s, a.client != nil); err != nil {
		return &localError{err}
	}
	return nil
}

// takeFinished takes the peer's Finished, the last message.
func (a *attempt) takeFinished(raw []byte) error {
	if a.client != nil {
		if err := a.client.Finished(raw); err != nil {
			return err
		}
		a.profile = srtp.Profile(a.client.Profile())
	} else {
		finished, err := a.server.Finished(raw)
		if err != nil {
			return local(err)
		}
		a.profile = srtp.Profile(a.server.Profile())
		a.finished = finished
		if err := a.sendFlight(nil, finished); err != nil {
			return err
		}
	}
	a.complete = true
	return nil
}
