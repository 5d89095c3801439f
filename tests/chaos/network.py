# SPDX-License-Identifier: LGPL-2.1-or-later
"""The runs with Redis, and those in which the network fails, for Kafka and Redis."""
import time

from chaoslib import Load, all_there, check
from proxy import Proxy
from servers import KafkaServer, RedisServer, Wire

RATE = 5000
DRAIN = "drain-timeout=60000"


def redis_restart(c):
    """Redis (appendfsync always) is killed (SIGKILL) and started again 10 times (twice), with 1000 messages a second."""
    server, times = RedisServer(c), 10 if c.full else 2
    load = Load(c, 1000, 3600, f"{server.conn('restart')} spool-dir={c.dir}/spool {DRAIN}")
    for _ in range(times):
        progress(load, 1000)
        server.kill()
        time.sleep(2)
        server.start()
    progress(load, 1000)
    load.process.terminate()
    row = c.one_session(server, "restart", load.finish(120))
    all_there(row)
    return row


def progress(load, n):
    before = load.now.get("acknowledged", 0)
    load.wait_for(lambda s: s["acknowledged"] > before + n, 60, "acknowledgements")


def redis_stall(c):
    """Redis is stopped (SIGSTOP) under load for 10 s (4 s), and goes on."""
    server, seconds = RedisServer(c), 10 if c.full else 4
    load = Load(c, RATE, seconds + 6, f"{server.conn('stall')} spool-dir={c.dir}/spool {DRAIN}")
    load.wait_for(lambda s: s["acknowledged"] > RATE, 30, "start")
    server.pause()
    time.sleep(seconds)
    server.resume()
    row = c.one_session(server, "stall", load.finish(120))
    all_there(row)
    check(row["resent"] == 0, f"a stall of less than response-timeout made messages come twice: {row}")
    return row


def wired_kafka(c, wire):
    return KafkaServer(c, f"listeners=PLAIN://0.0.0.0:@PORT@,CONTROLLER://127.0.0.1:@CONTROLLER_PORT@\n"
                          f"advertised.listeners=PLAIN://{wire.HOST}:@PORT@\n", wire.server)


def wired_redis(c, wire):
    return RedisServer(c, "--config-line", f"bind 127.0.0.1 {wire.HOST}", prefix=wire.server, host=wire.HOST)


def cut(c, make, more=""):
    wire = Wire(c)
    server, times = make(c, wire), 5 if c.full else 2
    port = server.address.rsplit(":", 1)[1]
    load = Load(c, RATE, 3600, f"{server.conn('cut', f'{wire.HOST}:{port}')} spool-dir={c.dir}/spool {DRAIN} {more}", prefix=wire.client)
    for i in range(times):
        progress(load, RATE)
        wire.cut()
        time.sleep(6 if c.full else 3)
        if i == times - 1:  # the server forgets its connections, the client does not know
            server.kill()
            server.start()
        wire.mend()
    progress(load, RATE)
    load.process.terminate()
    row = c.one_session(server, "cut", load.finish(150))
    all_there(row)
    return row


def cut_kafka(c):
    """A namespace's wire to Kafka is cut 5 times for 6 s (twice, 3 s); the last time Kafka restarts meanwhile."""
    return cut(c, wired_kafka)


def cut_redis(c):
    """A namespace's wire to Redis is cut 5 times for 6 s (twice, 3 s); the last time Redis restarts meanwhile."""
    return cut(c, wired_redis)


def bad_network(c, proxy, server, more):
    """Latency and loss, then connections are torn, then half open, then refused."""
    load = Load(c, 1000, 3600, f"{server.conn('bad', f'127.0.0.1:{proxy.port}')} spool-dir={c.dir}/spool {DRAIN} {more}")
    progress(load, 1000)
    for _ in range(3 if c.full else 1):
        proxy.latency, proxy.loss = 0.05, 0.02
        progress(load, 3000)
        proxy.reset()
        progress(load, 1000)
        proxy.silent = True
        time.sleep(3)
        proxy.reset()  # in the middle of a silence: what is on its way is lost
        proxy.silent = False
        progress(load, 1000)
        proxy.refuse = True
        proxy.reset()
        time.sleep(2)
        proxy.refuse = False
        progress(load, 1000)
    proxy.latency = proxy.loss = 0.0
    progress(load, 1000)
    load.process.terminate()
    row = c.one_session(server, "bad", load.finish(150))
    all_there(row)
    return row


def bad_kafka(c):
    """A proxy before Kafka: 50 ms and 2 % loss each way, torn, half-open and refused connections, 3 times (once)."""
    proxy = Proxy(c)
    server = KafkaServer(c, f"advertised.listeners=PLAIN://127.0.0.1:{proxy.port}\n")
    proxy.target = server.address.rsplit(":", 1)
    return bad_network(c, proxy, server, "")


def bad_redis(c):
    """A proxy before Redis: 50 ms and 2 % loss each way, torn, half-open and refused connections, 3 times (once)."""
    proxy, server = Proxy(c), RedisServer(c)
    proxy.target = server.address.rsplit(":", 1)
    return bad_network(c, proxy, server, "")


RUNS = {"redis-stall": redis_stall, "redis-restart": redis_restart, "cut-kafka": cut_kafka, "cut-redis": cut_redis,
        "bad-kafka": bad_kafka, "bad-redis": bad_redis}
