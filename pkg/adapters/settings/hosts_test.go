// SPDX-License-Identifier: LGPL-2.1-or-later

package settings

import (
	"strings"
	"testing"
)

func TestParseServers(t *testing.T) {
	for in, want := range map[string]string{
		"h": "h:7", " a , b:8 ": "a:7,b:8", "127.0.0.1:1": "127.0.0.1:1", "::1": "[::1]:7", "[::1]": "[::1]:7", "[::1]:9": "[::1]:9",
		"fe80::1%eth0": "[fe80::1%eth0]:7", "[fe80::1%eth0]:9,h": "[fe80::1%eth0]:9,h:7", "bücher.example": "bücher.example:7", "a_b-c.d": "a_b-c.d:7",
		"": "", "a,": "", ",": "", ":1": "", "h:": "", "h:0": "", "h:70000": "", "h:+1": "", "[::1": "", "::1]": "", "[h]": "", "[]": "", "[::1]x": "", "[::1]x:1": "",
		"a b": "", "u@h": "", "u:hush@h": "", "h/v": "", "h:1:2": "", "a\x00": "", "h;1": "", "http://h": "",
	} {
		got, err := ParseServers(in, 7)
		if JoinServers(got) != want || (err == nil) != (want != "") || err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v, %v, want %q", in, got, err, want)
		}
	}
}

func TestParsePort(t *testing.T) {
	for in, want := range map[string]int{"1": 1, "65535": 65535, "0080": 80, "": 0, "0": 0, "65536": 0, "-1": 0, "+1": 0, "1 ": 0, "hush": 0, "0x10": 0, "1_0": 0} {
		if got, err := ParsePort(in); got != want || (err == nil) != (want != 0) || err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %d, %v", in, got, err)
		}
	}
}
