// SPDX-License-Identifier: LGPL-2.1-or-later

// Package nearest finds the known name that a mistyped word most likely meant.
// Error messages use it to say "did you mean …".
package nearest

import "strings"

// maxWord bounds the work that one look-up may cost: no name of ours is longer.
const maxWord = 128

// Of returns the entry of known that is nearest to word, and whether one is near enough to be worth
// suggesting. Case, and the choice between '-', '_', '.' and a blank, do not count as a difference; a
// swapped pair of letters counts as one. The first of several equally near names wins.
func Of(word string, known []string) (string, bool) {
	w := fold(word)
	if w == "" || len(w) > maxWord {
		return "", false
	}
	best, bestDistance := "", len(w)+1
	for _, k := range known {
		f := fold(k)
		if len(f) > maxWord {
			continue
		}
		limit := max(len(w), len(f)) / 3
		if limit == 0 {
			limit = 1
		}
		if len(w) == 1 && len(f) == 1 && w != f {
			continue // any two letters are one edit apart: that is no likeness
		}
		d := distance(w, f, min(limit, bestDistance-1))
		if d < bestDistance && d <= limit {
			best, bestDistance = k, d
		}
	}
	return best, best != ""
}

func fold(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '_', '.', ' ':
			return '-'
		}
		return r
	}, strings.ToLower(strings.TrimSpace(s)))
}

// distance is the optimal string alignment distance of a and b in bytes, or limit+1 when it is larger
// than limit.
func distance(a, b string, limit int) int {
	if limit < 0 || len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	var rows [3][maxWord + 1]int
	prev2, prev, cur := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, prev2[j-2]+1)
			}
			cur[j] = d
			least = min(least, d)
		}
		if least > limit {
			return limit + 1
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
