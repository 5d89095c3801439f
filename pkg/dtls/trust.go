// SPDX-License-Identifier: LGPL-2.1-or-later

package dtls

import (
	"crypto/x509"
	"fmt"

	"github.com/gst-edgewire/gst-edgewire/pkg/dtls/identity"
)

// judge says why a chain of certificates is refused, or nil. Accept is asked
// afterwards.
func judge(cfg DecoderConfig, chain [][]byte, fingerprint string, asServer bool) error {
	refuse := func(format string, args ...any) error {
		return &RefusedError{Fingerprint: fingerprint, Reason: fmt.Sprintf(format, args...)}
	}
	if len(cfg.Pins) > 0 && !pinned(cfg.Pins, chain[0]) {
		return refuse("it is not the one that peer-fingerprint names")
	}
	if cfg.Verify == VerifyCA {
		if err := verifyChain(cfg, chain, asServer); err != nil {
			return refuse("its chain does not verify (ca-file): %v", err)
		}
	}
	return nil
}

func pinned(pins []identity.Pin, der []byte) bool {
	for _, p := range pins {
		if p.Match(der) {
			return true
		}
	}
	return false
}

func verifyChain(cfg DecoderConfig, chain [][]byte, asServer bool) error {
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return err
	}
	opts := x509.VerifyOptions{
		Roots: cfg.CAs, DNSName: cfg.ServerName, Intermediates: x509.NewCertPool(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	if asServer {
		opts.DNSName = "" // the name is that of a server
	}
	for _, der := range chain[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			opts.Intermediates.AddCert(c)
		}
	}
	_, err = leaf.Verify(opts)
	return err
}
