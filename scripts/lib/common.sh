# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by the scripts: where the cache is, and how they talk to a person.
# shellcheck shell=bash disable=SC2034

# Everything that a script downloads is kept here; deleting it is always safe.
edgewire_cache=${EDGEWIRE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/gst-edgewire}

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
  c_bold=$'\e[1m' c_red=$'\e[31m' c_green=$'\e[32m' c_off=$'\e[0m'
else
  c_bold='' c_red='' c_green='' c_off=''
fi

step() { printf '%s==> %s%s\n' "$c_bold" "$*" "$c_off" >&2; }
note() { printf '    %s\n' "$*" >&2; }
good() { printf '%s    %s%s\n' "$c_green" "$*" "$c_off" >&2; }
die() { printf '%s%s: %s%s\n' "$c_red" "${0##*/}" "$*" "$c_off" >&2; exit 1; }

# progress TEXT: one line that the next one overwrites on a terminal; said once per text elsewhere.
progress() {
  if [ -t 2 ]; then
    printf '\r\e[K    %s' "$*" >&2
  elif [ "$*" != "${progress_last:-}" ]; then
    printf '    %s\n' "$*" >&2
    progress_last=$*
  fi
}
progress_end() { if [ -t 2 ]; then printf '\r\e[K' >&2; fi; }

# version_ge A B: is A, in dotted numbers, at least B?
version_ge() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }
