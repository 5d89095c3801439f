// SPDX-License-Identifier: LGPL-2.1-or-later

package kafka

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	changed time.Time
	size    int64
	missing bool
}

func stampOf(file string) stamp {
	st, err := os.Stat(file) // follows links: Kubernetes replaces those
	if err != nil {
		return stamp{missing: true}
	}
	return stamp{changed: st.ModTime(), size: st.Size()}
}

// A renewal watches files.
type renewal struct {
	files     []string
	used      []stamp // of what librdkafka has read
	seen      []stamp // with the last look
	next      time.Time
	told      []stamp // a version that was complained about
	cert, key string  // "" unless the pair can be checked
	since     time.Time
}

func newRenewal(rc *conf, secrets []string) *renewal {
	r := &renewal{files: slices.Clone(secrets)}
	for _, option := range renewedOptions {
		if p, ok := rc.set[option]; ok && p.value != "" && p.value != "probe" {
			r.files = append(r.files, p.value)
		}
	}
	if _, encrypted := rc.set["ssl.key.password"]; !encrypted {
		r.cert, r.key = rc.set["ssl.certificate.location"].value, rc.set["ssl.key.location"].value
	}
	r.used = r.look()
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
	problem := ""
	for i, s := range stamps {
		if s.missing {
			problem = "the file " + r.files[i] + " is gone"
		}
	}
	if problem == "" && r.cert != "" && r.key != "" {
		if _, err := tls.LoadX509KeyPair(r.cert, r.key); err != nil {
			problem = fmt.Sprintf("%s and %s do not make a pair: %v", r.cert, r.key, err)
		}
	}
	if problem != "" {
		r.told = stamps
		complain(problem + "; the connection goes on with what was read before; correct the files")
		return false
	}
	return true
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
