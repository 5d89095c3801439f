# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads the events of `go test -json` on standard input and counts them.

usage: go_report.py LOG COUNTS: everything that the tests printed goes to LOG, what failed to standard
output, and "passed failed skipped" to COUNTS. A test with subtests counts by its subtests. A package
that does not build, or that ends before its tests do, is one failure.
"""
import collections
import json
import sys

log_path, counts_path = sys.argv[1:3]
results = {}  # (package, test) -> action
output = collections.defaultdict(list)  # (package, test or "") -> lines
broken = {}  # package -> True
build = []

with open(log_path, "w", encoding="utf-8") as log:
    for line in sys.stdin:
        try:
            event = json.loads(line)
        except ValueError:  # go itself: a build error of an old kind
            log.write(line)
            build.append(line)
            continue
        action, package, test = event.get("Action"), event.get("Package", ""), event.get("Test", "")
        if action == "build-output":
            log.write(event.get("Output", ""))
            build.append(event.get("Output", ""))
        elif action == "output":
            log.write(event["Output"])
            output[package, test].append(event["Output"])
        elif action in ("pass", "fail", "skip"):
            if test:
                results[package, test] = action
            elif action == "fail":
                broken[package] = True

parents = {(p, t.rsplit("/", 1)[0]) for p, t in results if "/" in t}
counts = collections.Counter()
for (package, test), action in results.items():
    children_failed = any(a == "fail" and p == package and t.startswith(test + "/") for (p, t), a in results.items()) \
        if (package, test) in parents else False
    if (package, test) in parents and not (action == "fail" and not children_failed):
        continue
    counts[action] += 1
    if action == "fail":
        print(f"--- FAIL {package} {test}")
        print("".join(output[package, test]), end="")
for package in broken:
    if not any(p == package and a == "fail" for (p, _), a in results.items()):
        counts["fail"] += 1
        print(f"--- FAIL {package}")
        print("".join(output[package, ""]), end="")
        unfinished = [t for (p, t) in output if p == package and t and (p, t) not in results]
        for t in unfinished[-3:]:
            print(f"    unfinished: {t}")
            print("".join(output[package, t][-60:]), end="")
if build:
    print("".join(build), end="")
    if not broken:
        counts["fail"] += 1
with open(counts_path, "w", encoding="utf-8") as f:
    f.write(f"{counts['pass']} {counts['fail']} {counts['skip']}\n")
