# SPDX-License-Identifier: LGPL-2.1-or-later
"""A proxy that is a bad network: latency, what loss does to a TCP connection, cut and half-open connections."""
import asyncio
import random
import threading


class Proxy:
    """Listens on a port of 127.0.0.1 and passes everything on to target, as the attributes say. They may be changed
    while it runs. The random numbers are seeded: runs differ by nothing else than the machine."""

    def __init__(self, chaos):
        self.target = None   # (host, port)
        self.latency = 0.0   # seconds each way
        self.loss = 0.0      # of the pieces passed on, how many wait for a retransmission: 0.2 s, then twice that …
        self.silent = False  # nothing is passed on, and nobody is told: connections are half open
        self.refuse = False  # new connections are closed at once
        self.connections = set()
        self.random = random.Random(7)
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self.thread.start()
        self.ready.wait(10)
        chaos.stack.callback(self.close)

    async def _main(self):
        self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        await self.over.wait()
        server.close()
        for w in list(self.connections):
            w.transport.abort()
        for t in asyncio.all_tasks() - {asyncio.current_task()}:
            t.cancel()
        await asyncio.sleep(0.1)

    async def _accept(self, reader, writer):
        if self.refuse:
            writer.transport.abort()
            return
        self.connections.add(writer)
        try:
            r, w = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            self.connections.discard(writer)
            return
        self.connections.add(w)
        await asyncio.gather(self._pass(reader, w), self._pass(r, writer), return_exceptions=True)
        self.connections -= {w, writer}

    async def _pass(self, reader, writer):
        queue = asyncio.Queue(64)  # pieces on their way: what has been sent later is not delayed by them

        async def deliver():
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0, due - self.loop.time()))
                wait = 0.2
                while self.random.random() < self.loss:
                    await asyncio.sleep(wait)
                    wait *= 2
                while self.silent:
                    await asyncio.sleep(0.02)
                if data is None:
                    writer.close()
                    return
                writer.write(data)
                await writer.drain()

        task = asyncio.create_task(deliver())
        try:
            while data := await reader.read(65536):
                await queue.put((self.loop.time() + self.latency, data))
            await queue.put((self.loop.time() + self.latency, None))
            await task
            return
        except OSError:
            pass
        finally:
            if not task.done():
                writer.transport.abort()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def reset(self):
        """Every connection is torn down, and what is on its way is lost."""
        def abort():
            for w in list(self.connections):
                w.transport.abort()
        self.loop.call_soon_threadsafe(abort)

    def close(self):
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join(10)
