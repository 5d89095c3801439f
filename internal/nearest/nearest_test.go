// SPDX-License-Identifier: LGPL-2.1-or-later

package nearest

import (
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	known := []string{"proto-cfg", "producer-proto-cfg", "consumer-proto-cfg", "partition-key", "share-connection", "ssl.key.password", "message.timeout.ms"}
	for _, c := range []struct{ word, want string }{
		{"proto-cfgs", "proto-cfg"},
		{"protocfg", "proto-cfg"},
		{"Proto_Cfg", "proto-cfg"},
		{"partiton-key", "partition-key"},
		{"parttiion-key", "partition-key"},
		{"ssl.key. password", "ssl.key.password"},
		{"message-timeout-ms", "message.timeout.ms"},
		{"producer-proto-cgf", "producer-proto-cfg"},
		{"hostname", ""},
		{"", ""},
		{"x", ""},
		{strings.Repeat("a", 500), ""},
	} {
		got, ok := Of(c.word, known)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("Of(%q) = %q, %v; want %q", c.word, got, ok, c.want)
		}
	}
}

func TestOfPrefersTheNearest(t *testing.T) {
	if got, _ := Of("acks", []string{"tacks", "acks", "backs"}); got != "acks" {
		t.Errorf("got %q", got)
	}
	if got, ok := Of("a", []string{"b"}); ok {
		t.Errorf("two different letters are not near, got %q", got)
	}
	if got, ok := Of("word", nil); ok {
		t.Errorf("nothing known, got %q", got)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"abc", "abcd", 1},
		{"abc", "xbc", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}, {"", "abc", 3},
	} {
		if got := distance(c.a, c.b, 9); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := distance(c.b, c.a, 9); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.b, c.a, got, c.want)
		}
		if c.want > 0 {
			if got := distance(c.a, c.b, c.want-1); got != c.want {
				t.Errorf("distance(%q, %q) limited to %d = %d", c.a, c.b, c.want-1, got)
			}
		}
	}
}
