// SPDX-License-Identifier: LGPL-2.1-or-later

package adapters

import (
	"regexp"
	"strings"
)

// hidden stands for a secret.
const hidden = "***"

// The names of Name=value in a connection string whose value is a secret, and those of them whose value is not.
var (
	secretName = regexp.MustCompile(`(?i)key|passw|passphrase|pwd|secret|token|signature`)
	publicName = regexp.MustCompile(`(?i)(name|file|location|path)\s*$`)
)

// HideSecrets gives a connection string, as any protocol writes it, without what may be a secret: what can be
// read of an element shows up in dot files and in every inspector. Hidden are user and password of a URI, the
// fourth part and what is behind it (host;port;user;password), and the values of parts such as
// SharedAccessKey=… .
func HideSecrets(connStr string) string {
	uris := strings.Split(connStr, "://") // also of several servers
	for i := range uris {
		at := strings.LastIndexByte(uris[i], '@')
		if i == 0 || at < 0 {
			continue
		}
		// Without a colon an @ in a path or a topic is no end of a user; with one it may be, with a password that
		// nobody has percent-encoded.
		if before := uris[i][:at]; strings.Contains(before, ":") || !strings.ContainsAny(before, "/;") {
			uris[i] = hidden + uris[i][at:]
		}
	}
	parts := strings.Split(strings.Join(uris, "://"), ";")
	for i, part := range parts {
		if name, _, ok := strings.Cut(part, "="); ok && secretName.MatchString(name) && !publicName.MatchString(name) {
			parts[i] = name + "=" + hidden
		}
	}
	if len(parts) > 3 && !strings.Contains(parts[0]+parts[1], "=") {
		parts = append(parts[:3], hidden)
	}
	return strings.Join(parts, ";")
}
