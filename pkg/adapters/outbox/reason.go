// SPDX-License-Identifier: LGPL-2.1-or-later

package outbox

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// Reason words why the network or TLS failed, with what to do about it. secure says that we speak TLS. "" when
// err is about neither.
func Reason(err error, secure bool) string {
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	text := ""
	if err != nil {
		text = strings.TrimPrefix(err.Error(), "remote error: ")
	}
	switch {
	case err == nil:
		return ""
	case errors.As(err, &dns):
		return "the name " + dns.Name + " cannot be resolved: " + dns.Err + "; check the host name"
	case errors.As(err, &record):
		return "the server does not speak TLS on this port; use its port for TLS, or turn TLS off"
	case errors.As(err, &unknown):
		return "the server's certificate is of an authority that is not trusted; set tls-ca-file to that of its authority"
	case errors.As(err, &name):
		return "the server's certificate is for another name: " + strings.TrimPrefix(name.Error(), "x509: ") + "; correct the host, or set tls-server-name"
	case errors.As(err, &invalid):
		return "the server's certificate is not valid: " + strings.TrimPrefix(invalid.Error(), "x509: ") + "; renew it, and check the clock"
	case errors.As(err, &verify):
		return "the server's certificate cannot be verified: " + verify.Err.Error() + "; check tls-ca-file"
	case errors.As(err, &alert) || strings.Contains(err.Error(), "remote error: tls:"):
		return "the server refuses our TLS: " + text + "; check tls-cert-file and tls-key-file, and that the server accepts their authority and our version"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused; check that the server runs and that host and port are right"
	case errors.Is(err, os.ErrDeadlineExceeded) || isTimeout(err):
		return "the server does not answer; check the network and that the server is well"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "the server cannot be reached; check the network and the address"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		if secure {
			return "the server has closed the connection; check that it runs, and that this port speaks TLS"
		}
		return "the server has closed the connection; check that it runs, and that this port does not want TLS"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error() + "; check the network and the address"
	}
	if strings.HasPrefix(err.Error(), "tls: ") {
		return err.Error() + "; check the tls keys here and TLS at the server"
	}
	return ""
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
