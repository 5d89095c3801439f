// SPDX-License-Identifier: LGPL-2.1-or-later

package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/websocket"
)

// A Dialer makes the transport of a connection.
type Dialer struct {
	Address   string                                     // host:port
	TLS       func(context.Context) (*tls.Config, error) // nil, or one that gives nil: no TLS. Called for each connection
	WebSocket string                                     // path of MQTT over WebSocket; "": plain
}

// Dial is for Options.Dial.
func (d *Dialer) Dial(ctx context.Context) (net.Conn, error) {
	var conf *tls.Config
	if d.TLS != nil {
		var err error
		if conf, err = d.TLS(ctx); err != nil {
			return nil, err
		}
	}
	if d.WebSocket != "" {
		return d.webSocket(ctx, conf)
	}
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", d.Address)
	if err != nil || conf == nil {
		return nc, err
	}
	tc := tls.Client(nc, conf)
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, TLSError(err)
	}
	return tc, nil
}

func (d *Dialer) webSocket(ctx context.Context, conf *tls.Config) (net.Conn, error) {
	u := url.URL{Scheme: "ws", Host: d.Address, Path: d.WebSocket}
	if conf != nil {
		u.Scheme = "wss"
	}
	wd := websocket.Dialer{Subprotocols: []string{"mqtt"}, TLSClientConfig: conf, Proxy: http.ProxyFromEnvironment,
		ReadBufferSize: readChunk, WriteBufferSize: writeChunk}
	wc, resp, err := wd.DialContext(ctx, u.String(), nil)
	if err != nil {
		if errors.Is(err, websocket.ErrBadHandshake) && resp != nil {
			return nil, fmt.Errorf("the server answers %q at %s instead of opening a WebSocket; check the path, and that the port serves MQTT over WebSocket",
				printable(resp.Status), d.WebSocket)
		}
		if conf != nil {
			var op *net.OpError
			if !errors.As(err, &op) || op.Op != "dial" {
				return nil, TLSError(err)
			}
		}
		return nil, err
	}
	if wc.Subprotocol() != "mqtt" {
		_ = wc.Close()
		return nil, errors.New("the server opened a WebSocket without the sub-protocol mqtt; check path and port")
	}
	return &webSocketConn{Conn: wc.NetConn(), ws: wc}, nil
}

// A webSocketConn carries the stream in binary frames: MQTT 5.0, section 6.
type webSocketConn struct {
	net.Conn // deadlines and addresses
	ws       *websocket.Conn
	r        io.Reader
}

func (w *webSocketConn) Read(b []byte) (int, error) {
	for {
		if w.r == nil {
			kind, r, err := w.ws.NextReader()
			if err != nil {
				var ce *websocket.CloseError
				if errors.As(err, &ce) {
					return 0, io.EOF
				}
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("the server sent text over the WebSocket instead of MQTT")
			}
			w.r = r
		}
		n, err := w.r.Read(b)
		if err == io.EOF {
			w.r, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (w *webSocketConn) Write(b []byte) (int, error) {
	if err := w.ws.WriteMessage(websocket.BinaryMessage, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// CloseWrite tells the server that no more comes.
func (w *webSocketConn) CloseWrite() error {
	return w.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(closePatience))
}
