# SPDX-License-Identifier: LGPL-2.1-or-later
"""The runs. Each gets a chaoslib.Chaos and gives a row of the table; a bar that is not met is a Failure."""
import time

import network
import protocols
from chaoslib import Failure, Load, Server, all_there, check, no_harm

RATE = 5000  # messages of 1 kB a second, except where full speed is the point
DRAIN = "drain-timeout=60000"


def stall(c):
    """Kafka is stopped (SIGSTOP) under load for 10 s (4 s), and goes on."""
    server, seconds = Server(c), 10 if c.full else 4
    load = Load(c, RATE, seconds + 6, f"{server.conn('stall')} spool-dir={c.dir}/spool {DRAIN}")
    load.wait_for(lambda s: s["acknowledged"] > RATE, 30, "start")
    server.pause()
    time.sleep(seconds)
    server.resume()
    row = c.one_session(server, "stall", load.finish(120))
    all_there(row)
    return row


def restart(c):
    """Kafka is killed (SIGKILL) and started again 10 times (twice), with 1000 messages a second."""
    server, times = Server(c), 10 if c.full else 2
    load = Load(c, 1000, 3600, f"{server.conn('restart')} spool-dir={c.dir}/spool {DRAIN}")
    for _ in range(times):
        before = load.now.get("acknowledged", 0)
        load.wait_for(lambda s, b=before: s["acknowledged"] > b + 1000, 60, "acknowledgements")
        server.kill()
        time.sleep(2)
        server.start()
    before = load.now["acknowledged"]
    load.wait_for(lambda s: s["acknowledged"] > before + 1000, 60, "acknowledgements after the last start")
    load.process.terminate()
    row = c.one_session(server, "restart", load.finish(120))
    all_there(row)
    return row


def crash(c):
    """The pipeline's process is killed (SIGKILL) 8 times (3 times) with spool-mode=always, and started again."""
    server, times = Server(c), 8 if c.full else 3
    properties = f"{server.conn('crash')} spool-dir={c.dir}/spool spool-mode=always {DRAIN}"
    lines = []
    for i in range(times):
        load = Load(c, RATE, 3600, properties)
        load.wait_for(lambda s: s["accepted"] > RATE, 60, "acceptance")
        if i % 2 == 1:  # with a backlog that only the disk has
            server.pause()
            time.sleep(1.5)
        load.kill()
        if server.stopped:
            server.resume()
        lines.append(load.now)
    load = Load(c, RATE, 3, properties)
    lines.append(load.finish(120))
    row = c.sessions_row(server, "crash", lines)
    check(row["dropped"] == 0 and row["spooled"] == 0, f"{row}")
    return row


def full_speed(c):
    """As fast as it goes, a small spool, and Kafka is stopped for 10 s (5 s): not all of it fits."""
    server, seconds = Server(c), 10 if c.full else 5
    load = Load(c, 0, seconds + (7 if c.full else 3), f"{server.conn('full')} spool-dir={c.dir}/spool spool-max-bytes=67108864 "
                f"max-queue-messages=20000 block-timeout=500 {DRAIN}")
    load.wait_for(lambda s: s["acknowledged"] > 1000, 30, "start")
    server.pause()
    time.sleep(seconds)
    server.resume()
    final = load.finish(120)
    row = c.one_session(server, "full", final)
    no_harm(row)
    check(row["produced"] == row["delivered"] + row["dropped"] + row["spooled"], f"the counts do not add up: {row}")
    check(final["longest_us"] < 1_000_000, f"a push took {final['longest_us']} µs, those in which the machine stood still not counted, with block-timeout=500")
    return row


def disk_full(c):
    """The spool's disk has 6 MB, and Kafka is stopped: memory goes on where the disk ends."""
    server, disk = Server(c), c.tmpfs(6)
    load = Load(c, RATE, 3600, f"{server.conn('disk')} spool-dir={disk}/spool max-queue-messages=20000 full-policy=drop-newest {DRAIN}")
    load.wait_for(lambda s: s["acknowledged"] > RATE, 30, "start")
    before = load.now["acknowledged"]
    server.pause()
    time.sleep(6)  # which bring more than memory and disk hold
    load.wait_for(lambda s: s["spool-errors"] > 0 and s["dropped"] > 0, 30, "end of disk and memory")
    held = load.now["accepted"] - before
    server.resume()
    load.wait_for(lambda s: s["acknowledged"] >= before + held + 2 * RATE, 30, "acknowledgement of what was held, and of more")
    load.process.terminate()
    final = load.finish(120)
    row = c.one_session(server, "disk", final)
    no_harm(row)
    check(final["spool-errors"] > 0, f"the disk did not fill: {final}")
    check(row["produced"] == row["delivered"] + row["dropped"] + row["spooled"], f"the counts do not add up: {row}")
    check("no space left on device" in load.text() and str(disk) in load.text(), f"nothing was told:\n{load.text()}")
    # Memory's 20000 at least were taken while Kafka was stopped.
    check(held >= 20000, f"memory did not go on, it and the disk held {held}: {row}")
    check(row["delivered"] >= before + held, f"what was held did not come, {held}: {row}")
    return row


def read_only(c):
    """The spool's folder becomes immutable under load, with spool-mode=always; then a start on a read-only mount."""
    server, folder = Server(c), c.dir / "spool"
    properties = f"{server.conn('readonly')} spool-dir={folder} {DRAIN} spool-mode=always"
    # A small spool has small segments: the next one cannot be made soon.
    load = Load(c, RATE, 3600, f"{properties} spool-max-bytes=4194304")
    load.wait_for(lambda s: s["acknowledged"] > RATE, 30, "start")
    with c.immutable(folder):
        load.wait_for(lambda s: s["spool-errors"] > 0 and s["unspooled"] > 4 * RATE, 30, "messages in memory alone")
        load.process.terminate()
        final = load.finish(120)
    row = c.one_session(server, "readonly", final)
    no_harm(row)
    check(row["produced"] == row["delivered"] and row["dropped"] == 0, f"not everything was delivered: {row}")
    check(final["spool-errors"] > 0 and final["unspooled"] > 0, f"the folder was not read-only: {final}")
    check("operation not permitted" in load.text() and str(folder) in load.text(), f"nothing was told:\n{load.text()}")
    c.mount_read_only(folder)
    second = Load(c, RATE, 1, properties)
    second.process.wait(30)
    check(second.process.returncode == 1 and "read-only file system" in second.text() and str(folder) in second.text(),
          f"a read-only folder: {second.process.returncode}\n{second.text()}")
    return row


def two_users(c):
    """A second process names the folder of the first: it is refused, and the first one is not disturbed."""
    server = Server(c)
    properties = f"{server.conn('two')} spool-dir={c.dir}/spool spool-mode=always {DRAIN}"
    load = Load(c, RATE, 3600, properties)
    load.wait_for(lambda s: s["acknowledged"] > 1000, 30, "start")
    second = Load(c, RATE, 1, properties)
    second.process.wait(30)
    if second.process.returncode != 1 or f"in use by process {load.process.pid}" not in second.text():
        raise Failure(f"the second process: {second.process.returncode}\n{second.text()}")
    before = load.now["acknowledged"]
    load.wait_for(lambda s: s["acknowledged"] > before + 4 * RATE, 30, "acknowledgements after the second process")
    load.process.terminate()
    row = c.one_session(server, "two", load.finish(120))
    all_there(row)
    return row


RUNS = {"stall": stall, "restart": restart, "crash": crash, "full-speed": full_speed, "disk-full": disk_full,
        "read-only": read_only, "two-users": two_users}
RUNS |= network.RUNS | protocols.RUNS
