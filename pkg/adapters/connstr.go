// SPDX-License-Identifier: LGPL-2.1-or-later

package adapters

import (
	"regexp"
	"strings"
)

// secretField is a NAME=VALUE whose value is a secret: SharedAccessKey=…, password=…, sig=…. The name of a key is none.
var secretField = regexp.MustCompile(`(?i)^\s*[a-z0-9_.-]*(key|password|passwd|pwd|secret|token|signature|sig)\s*=`)

const hidden = "***"

// ShowConnStr is a connection string of any protocol as others may see it, such as in a picture of the pipeline: with ***
// in the place of what can be a secret. Those are the value of a key or a password, what stands between a URL's user
// and its host, and the fourth part of host;port;user;password and whatever follows it.
func ShowConnStr(connStr string) string {
	if strings.Contains(connStr, "://") {
		return showURL(connStr)
	}
	parts := strings.Split(connStr, ";")
	fields := false // NAME=VALUE, as of Azure; their number says nothing
	for i, p := range parts {
		if i == 0 {
			fields = strings.Contains(p, "=")
		}
		switch {
		case secretField.MatchString(p):
			parts[i] = p[:strings.IndexByte(p, '=')+1] + hidden
		case !fields && i > 2 && strings.TrimSpace(p) != "":
			parts[i] = hidden
		}
	}
	return strings.Join(parts, ";")
}

// showURL hides from the first user's name on what may belong to it: a password may hold any of a URL's marks. A name
// without a password is hidden too, since a token can stand there alone.
func showURL(text string) string {
	at := strings.LastIndexByte(text, '@')
	begin := strings.Index(text, "://") + len("://")
	if at < begin {
		return text
	}
	user, _, hasPassword := strings.Cut(text[begin:at], ":")
	if hasPassword && !strings.ContainsAny(user, "/?#@,;") {
		return text[:begin] + user + ":" + hidden + text[at:]
	}
	return text[:begin] + hidden + text[at:]
}
