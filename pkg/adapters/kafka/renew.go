// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gst-edgewire/gst-edgewire/pkg/adapters"
)

// librdkafka reads certificates, keys and passwords once. When their files are replaced, which is how
// certificates are renewed, the producer is: it answers for what it has, takes nothing more meanwhile, and
// gives way to one that reads the new files.

var (
	renewInterval = 2 * time.Second  // between two looks at the files; tests shorten it
	renewPatience = 10 * time.Second // for answers under way
)

// renewedOptions are those whose files are watched.
var renewedOptions = []string{"ssl.certificate.location", "ssl.key.location", "ssl.keystore.location", "ssl.ca.location",
	"ssl.crl.location", "https.ca.location"}

// A stamp tells one version of a file from the next.
type stamp struct {
	changed  time.Time
	size     int64
	dev, ino uint64 // a copy may keep time and size
	missing  bool
}

// A watchedFile is one that was read, or is about to be.
type watchedFile struct {
	name string
	used stamp // taken before it was read: a file that changes meanwhile is read again
}

func stampOf(file string) stamp {
	st, err := os.Stat(file) // follows links: Kubernetes replaces those
	if err != nil {
		return stamp{missing: true}
	}
	s := stamp{changed: st.ModTime(), size: st.Size()}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		s.dev, s.ino = uint64(sys.Dev), sys.Ino
	}
	return s
}

// A renewal watches files.
type renewal struct {
	files     []string
	used      []stamp // of what librdkafka has read
	seen      []stamp // with the last look
	next      time.Time
	told      []stamp // a version that was complained about
	cert, key string  // "" unless the pair can be checked
	ca        string  // a file with certificates; ""
	check     func() error
	since     time.Time
}

// newRenewal watches the files that rc names, and those of secrets. check tries the whole configuration.
func newRenewal(rc *conf, secrets []watchedFile, check func() error) *renewal {
	r := &renewal{check: check}
	for _, f := range secrets {
		r.files, r.used = append(r.files, f.name), append(r.used, f.used)
	}
	for _, option := range renewedOptions {
		if p, ok := rc.set[option]; ok && p.value != "" && p.value != "probe" {
			r.files, r.used = append(r.files, p.value), append(r.used, stampOf(p.value))
		}
	}
	if st, err := os.Stat(rc.set["ssl.ca.location"].value); err == nil && st.Mode().IsRegular() {
		r.ca = rc.set["ssl.ca.location"].value
	}
	if _, encrypted := rc.set["ssl.key.password"]; !encrypted {
		r.cert, r.key = rc.set["ssl.certificate.location"].value, rc.set["ssl.key.location"].value
	}
	r.seen = r.used
	return r
}

func (r *renewal) look() []stamp {
	stamps := make([]stamp, len(r.files))
	for i, f := range r.files {
		stamps[i] = stampOf(f)
	}
	return stamps
}

// due reports that there are new files which have not changed since the last look, and complains about
// those that cannot be used.
func (r *renewal) due(now time.Time, complain func(string)) bool {
	if len(r.files) == 0 || now.Before(r.next) {
		return false
	}
	r.next = now.Add(renewInterval)
	stamps := r.look()
	settled := slices.Equal(stamps, r.seen)
	r.seen = stamps
	if !settled || slices.Equal(stamps, r.used) || slices.Equal(stamps, r.told) {
		return false
	}
	if problem := r.problem(stamps); problem != "" {
		r.told = stamps
		complain(problem + "; the connection goes on with what was read before; correct the files")
		return false
	}
	return true
}

// problem says why the new files cannot be used: with them a sound connection would be given up for none.
func (r *renewal) problem(stamps []stamp) string {
	for i, s := range stamps {
		if s.missing {
			return "the file " + r.files[i] + " is gone"
		}
	}
	if r.cert != "" && r.key != "" {
		if _, err := tls.LoadX509KeyPair(r.cert, r.key); err != nil {
			return fmt.Sprintf("%s and %s do not make a pair: %v", r.cert, r.key, err)
		}
	}
	if r.ca != "" {
		if text, err := os.ReadFile(r.ca); err == nil && !x509.NewCertPool().AppendCertsFromPEM(text) {
			return r.ca + " holds no certificate"
		}
	}
	if err := r.check(); err != nil {
		return strings.TrimSuffix(err.Error(), ".")
	}
	return ""
}

// checkFiles looks after the files of certificates and passwords.
func (p *poller) checkFiles() {
	if p.fatal.Load() != nil {
		return
	}
	now := time.Now()
	if !p.renewing.Load() {
		if !p.renewal.due(now, func(problem string) {
			p.sink.Log(adapters.LogEntry{Level: adapters.LogWarning, Facility: "kafka", Text: problem})
		}) {
			return
		}
		p.renewal.since = now
		p.renewing.Store(true)
	}
	if p.done.Load() >= p.accepted.Load() || p.state != adapters.Connected || now.Sub(p.renewal.since) > renewPatience {
		var names []string
		for i, s := range p.renewal.seen {
			if s != p.renewal.used[i] {
				names = append(names, filepath.Base(p.renewal.files[i]))
			}
		}
		p.fail("files were replaced (" + strings.Join(names, ", ") + "): connecting anew with them")
	}
}
