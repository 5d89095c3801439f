// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gst-edgewire/gst-edgewire/internal/safe"
	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/wire"
	"github.com/gst-edgewire/gst-edgewire/pkg/srtp"
	pion "github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/elliptic"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
)

const (
	attemptDatagrams = 64
	attemptBytes     = 128 << 10

	// serverAttempt bounds a server's attempt when there is no handshake-timeout.
	serverAttempt = time.Minute
	// kickAfter: a client that asks again sooner has only crossed our answer.
	kickAfter = 20 * time.Millisecond
)

var (
	errStalled = errors.New("the peer has not answered the handshake's last flight")
	errRequest = errors.New("the attempt followed a HelloVerifyRequest that the server contradicts")
)

// curves are offered in this order. P-256 costs the least: the stack computes
// public keys twice, which is quick on a curve with tables.
var curves = []elliptic.Curve{elliptic.P256, elliptic.X25519, elliptic.P384}

// attempt is one handshake of pion's stack and the packet transport beneath it.
type attempt struct {
	r            *run
	hello        *wire.Hello // of a server
	random       helloRandom // of a client
	clientRandom [32]byte
	order        uint64
	began        time.Time
	ctx          context.Context
	cancel       context.CancelFunc
	conn         *pion.Conn
	noProfile    bool // the client offers use_srtp without one of ours

	// Results.
	profile          srtp.Profile
	pem, fingerprint string // of the peer; written with the connection's lock held

	mu          sync.Mutex
	wake        chan struct{}
	guard       *wire.Guard
	err         error // why it was given up, if this end did so
	closed      bool
	expired     bool // the read deadline
	detached    bool
	primed      bool
	cipherSpec  bool // the peer's ChangeCipherSpec has been passed
	in          [][]byte
	inBytes     int
	pass        [][]byte // judged, for the stack
	held        [][]byte // records of epoch 1 that nobody can open yet
	heldBytes   int
	ready       [][]byte // records that have authenticated, for the session
	readyBytes  int
	serverHello collector
	secrets     *secrets
	protection  *protection

	sequence    uint64 // of the next record of epoch 0
	flight      []outRecord
	flightSince time.Time
	sentAt      time.Time
	due         time.Time // of the next retransmission; zero: none
	interval    time.Duration
	timer       *time.Timer
	alarm       time.Time // when the timer fires; zero: it does not
}

// outRecord is a record of the last flight, unprotected.
type outRecord struct {
	typ   byte
	epoch uint16
	body  []byte
}

// newAttempt makes an attempt: a server's has a hello, a client's a random.
// c.mu is held.
func newAttempt(r *run, hello *wire.Hello, random helloRandom) *attempt {
	ctx, cancel := context.WithCancel(r.ctx)
	r.order++
	a := &attempt{
		r: r, hello: hello, random: random, order: r.order, began: time.Now(),
		ctx: ctx, cancel: cancel, wake: make(chan struct{}, 1),
		guard: wire.NewGuard(r.config.IsClient), interval: r.config.RetransmitInitial,
	}
	if hello != nil {
		a.clientRandom = hello.Random
		a.in = [][]byte{hello.Primer}
	} else {
		a.clientRandom = random.marshal()
	}
	return a
}

// shake runs the handshake to its end.
func (a *attempt) shake() error {
	handshakeBegins()
	defer handshakeEnds()
	r := a.r
	id, err := r.dec.Identity()
	if err != nil {
		return &localError{fmt.Errorf("no certificate could be made: %w", err)}
	}
	cert := id.TLS()
	opts := []pion.Option{
		pion.WithCipherSuites(cipherSuites...),
		pion.WithEllipticCurves(curves...),
		pion.WithMTU(r.config.MTU - headerSize - messageHeader),
		pion.WithFlightInterval(24 * time.Hour), // retransmission is ours
		pion.WithLoggerFactory(pionLog{}),
		pion.WithKeyLogWriter(keyLog{a}),
		pion.WithInsecureSkipVerify(true), // judge does it
		pion.WithVerifyPeerCertificate(a.verify),
	}
	profiles := make([]pion.SRTPProtectionProfile, 0, len(r.config.Profiles))
	for _, p := range r.config.Profiles {
		profiles = append(profiles, pion.SRTPProtectionProfile(p))
	}
	var conn *pion.Conn
	if r.config.IsClient {
		client := []pion.ClientOption{
			pion.WithHelloRandomBytesGenerator(a.fixRandom),
			pion.WithGetClientCertificate(func(*pion.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }),
		}
		if name := r.dec.configuration().ServerName; name != "" {
			client = append(client, pion.WithServerName(name))
		}
		for _, o := range opts {
			client = append(client, o)
		}
		if len(profiles) > 0 {
			client = append(client, pion.WithSRTPProtectionProfiles(profiles...))
		}
		conn, err = pion.ClientWithOptions(a, memoryAddr{}, client...)
	} else {
		server := []pion.ServerOption{
			pion.WithCertificates(cert),
			pion.WithClientAuth(pion.RequireAnyClientCert),
		}
		for _, o := range opts {
			server = append(server, o)
		}
		offered := offeredProfiles(a.hello.Primer)
		if len(offered) > 0 && !common(profiles, offered) {
			// Pion refuses such a client; RFC 5764 section 4.1 leaves the
			// extension out and goes on.
			a.noProfile = true
			profiles = offered
			server = append(server, pion.WithServerHelloMessageHook(withoutSRTP))
		}
		if len(profiles) > 0 {
			server = append(server, pion.WithSRTPProtectionProfiles(profiles...))
		}
		conn, err = pion.ServerWithOptions(a, memoryAddr{}, server...)
	}
	if err != nil {
		return &localError{fmt.Errorf("the DTLS stack does not take the configuration: %w", err)}
	}
	if err := setTransport(conn, stackConn{a}); err != nil {
		logf(LogDebug, "connection-id %q: %v", r.c.id, err)
	}
	if err := setSilent(conn); err != nil {
		logf(LogDebug, "connection-id %q: %v", r.c.id, err)
	}
	a.mu.Lock()
	a.conn = conn
	a.mu.Unlock()
	err = conn.HandshakeContext(a.ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		if a.err != nil {
			err = a.err
		}
		return err
	}
	if p, ok := conn.SelectedSRTPProtectionProfile(); ok && !a.noProfile {
		a.profile = srtp.Profile(p)
	}
	return nil
}

// verify is called by the stack when the peer has proved that it has the key
// of its certificate.
func (a *attempt) verify(chain [][]byte, _ [][]*x509.Certificate) (err error) {
	err = errors.New("a panic") // unless this returns
	defer safe.Recover("the verification of a DTLS peer", a.panicked)
	if len(chain) == 0 {
		return errors.New("the peer has no certificate")
	}
	a.r.setPeer(a, chain[0])
	pem, fingerprint := a.pem, a.fingerprint
	cfg := a.r.dec.configuration()
	if cfg.Accept != nil && a.r.wasAccepted(pem) {
		cfg.Accept = nil
	}
	err = judge(a.ctx, a.r.dec, cfg, chain, pem, fingerprint, !a.r.config.IsClient)
	if err != nil {
		a.mu.Lock()
		if a.err == nil {
			a.err = err
		}
		a.mu.Unlock()
		return err
	}
	if cfg.Accept != nil {
		a.r.setAccepted(pem)
	}
	return nil
}

// fixRandom gives the stack the random of this handshake.
func (a *attempt) fixRandom() [handshake.RandomBytesLength]byte {
	if err := setHelloTime(a.conn, a.random.time); err != nil {
		a.fail(&localError{err})
	}
	return a.random.bytes
}

// fail gives the attempt up for a reason.
func (a *attempt) fail(err error) {
	a.mu.Lock()
	a.failLocked(err)
	a.mu.Unlock()
}

func (a *attempt) failLocked(err error) {
	if a.err == nil {
		a.err = err
	}
	a.cancel()
}

// abort ends the attempt from outside.
func (a *attempt) abort() { a.fail(context.Canceled) }

// close ends what is left of the stack. Nothing that it still writes goes out.
func (a *attempt) close() {
	a.cancel()
	a.mu.Lock()
	a.detached = true
	conn := a.conn
	a.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
	_ = a.Close()
}

// push takes a datagram of the network.
func (a *attempt) push(p []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.in) >= attemptDatagrams || a.inBytes+len(p) > attemptBytes {
		a.r.c.counters.drop(wire.DropQueueFull)
		return
	}
	a.in = append(a.in, p)
	a.inBytes += len(p)
	a.signal()
}

// kick sends the last flight again, because the peer asks for it.
func (a *attempt) kick() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := time.Now(); !a.due.IsZero() && now.Sub(a.sentAt) >= kickAfter {
		a.due = now
		a.signal()
	}
}

// hint says what was seen instead of what was waited for.
func (a *attempt) hint() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.guard.Hint()
}

// detach takes the established session over from the stack, which sends and
// receives nothing any more. rest is what came for the session already.
func (a *attempt) detach() (s *session, rest [][]byte, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.protection == nil {
		return nil, nil, &localError{errors.New("the DTLS stack has not logged its master secret")}
	}
	a.detached = true
	a.guard.Established()
	s = &session{
		r: a.r, clientRandom: a.clientRandom, p: a.protection, guard: a.guard, sequence: a.sequence,
	}
	if a.hello != nil {
		for _, o := range a.flight {
			if o.epoch == 1 && o.typ == typeHandshake {
				s.finished = o.body
			}
		}
	}
	rest = append(append(a.ready, a.held...), a.in...)
	a.ready, a.held, a.in, a.pass, a.flight = nil, nil, nil, nil, nil
	return s, rest, nil
}

// keyLog takes the master secret from the stack, in the format of NSS. It is
// pion's only way to hand it out, and never leaves this process.
type keyLog struct{ a *attempt }

func (k keyLog) Write(line []byte) (int, error) {
	a := k.a
	defer safe.Recover("the keys of a DTLS handshake", a.panicked)
	words := strings.Fields(string(line))
	if len(words) != 3 || words[0] != "CLIENT_RANDOM" {
		return len(line), nil
	}
	master, err := hex.DecodeString(words[2])
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		err = a.setSecrets(master)
	}
	if err != nil {
		a.failLocked(&localError{err})
	}
	a.signal()
	return len(line), nil
}

func (a *attempt) setSecrets(master []byte) error {
	body, ok := a.serverHello.message()
	if !ok || len(body) < 38 {
		return errors.New("no ServerHello was seen")
	}
	s := &secrets{master: master, clientRandom: a.clientRandom}
	copy(s.serverRandom[:], body[2:34])
	at := 35 + int(body[34])
	if len(body) < at+2 {
		return errors.New("the ServerHello is short")
	}
	var err error
	if s.suite, err = suiteByID(binary.BigEndian.Uint16(body[at:])); err != nil {
		return err
	}
	if a.protection, err = newProtection(s, a.r.config.IsClient); err != nil {
		return err
	}
	a.secrets = s
	return nil
}
