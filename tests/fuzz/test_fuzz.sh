#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# scripts/test runs a fuzz target again that failed by the end of its time alone, and no other: what a target finds is
# reported whatever it says.
set -euo pipefail
cd "$(dirname "$0")/../.."
source <(sed -n '/^deadline_only()/,/^}/p; /^fuzz()/,/^}/p' scripts/test)
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
export EDGEWIRE_FUZZTIME=2s

# run TARGET CODE AGAIN: how fuzz ends, and how often it runs again.
run() {
  local rc=0 again
  fuzz "$1" ./pkg >"$logs/out" 2>&1 || rc=$?
  again=$(grep -c 'ended with its time' "$logs/out") || true
  if [ "$rc $again" != "$2 $3" ]; then
    cat "$logs/out"
    echo "$1 ended with $rc and ran again $again times, wanted $2 and $3"
    exit 1
  fi
}

mkdir "$logs/pkg"
cat >"$logs/go.mod" <<'E'
module x
go 1.21
E
cat >"$logs/pkg/x_test.go" <<'E'
package x

import (
	"os"
	"testing"
)

func start(f *testing.F, find func(*testing.T)) {
	f.Add([]byte("a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 2 {
			find(t)
		}
	})
}

func FuzzSays(f *testing.F)   { start(f, func(t *testing.T) { t.Fatal("context deadline exceeded") }) }
func FuzzPanics(f *testing.F) { start(f, func(*testing.T) { panic("context deadline exceeded") }) }
func FuzzExits(f *testing.F)  { start(f, func(*testing.T) { os.Exit(3) }) }
E
cd "$logs"
run FuzzSays 1 0
run FuzzPanics 1 0
run FuzzExits 1 0
[ "$(find pkg/testdata -type f | wc -l)" = 3 ] || { echo "a finding was not written down"; exit 1; }

# A go that fails that way for the first runs, of which there are as many as the file says.
mkdir bin
cat >bin/go <<'E'
#!/usr/bin/env bash
left=$(($(cat left) - 1))
echo "$left" >left
if [ "$left" -ge 0 ]; then
  printf 'fuzz: elapsed: 4s, execs: 16229 (0/sec), new interesting: 1 (total: 4)\n--- FAIL: FuzzSlow (4.20s)\n    context deadline exceeded\nFAIL\n'
  printf 'exit status 1\nFAIL\tx/pkg\t4.203s\n'
  exit 1
fi
printf 'ok  \tx/pkg\t4.2s\n'
E
chmod +x bin/go
PATH=$logs/bin:$PATH
for flakes in 0 1 2 3; do
  echo "$flakes" >left
  run FuzzSlow $((flakes == 3)) "$flakes"
done
