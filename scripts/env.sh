# SPDX-License-Identifier: LGPL-2.1-or-later
# Source this: it puts a Go that is new enough for go.mod on PATH, and nothing else. scripts/setup build
# fetches one where the machine has none.
# shellcheck shell=sh

_edgewire_go_new_enough() {
  _edgewire_v=$(cd / && GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
  [ "$(printf '%s\n' 1.26 "${_edgewire_v#go}" | sort -V | head -n 1)" = 1.26 ]
}

if ! _edgewire_go_new_enough go; then
  for _edgewire_dir in \
    "${EDGEWIRE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/gst-edgewire}/go/bin" /usr/local/go/bin /usr/lib/go-1.26/bin; do
    if [ -x "$_edgewire_dir/go" ] && _edgewire_go_new_enough "$_edgewire_dir/go"; then
      PATH=$_edgewire_dir:$PATH
      export PATH
      break
    fi
  done
fi
unset -f _edgewire_go_new_enough
unset _edgewire_dir _edgewire_v
