#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The demo ends well, and leaves what it promises: every message came back, and a picture to look at.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

scripts/demo --fps 2 --out "$out"

sent=$(sed -n 's/.*msgbroker-stats.*[ ,]sent=(guint64)\([0-9]*\).*/\1/p' "$out/pipeline.log" | tail -n 1)
lines=$(wc -l <"$out/messages.jsonl")
[ "$sent" -gt 50 ] || { echo "only $sent messages were sent"; exit 1; }
[ "$lines" = "$sent" ] || { echo "$sent sent, $lines consumed"; exit 1; }
grep -q 'Person' "$out/messages.jsonl" || { echo "no message names a person"; exit 1; }
[ "$(head -c 8 "$out/annotated.png" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] || { echo "annotated.png is no PNG"; exit 1; }
