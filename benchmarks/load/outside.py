"""What is outside of the deployment, in one process: the source of changes, and the sink of posts.

`python -m benchmarks.load.outside --items 1000 --statuses 1000` prints its port and serves until it is ended.
As little Python as possible stands between the socket and the record: its processor time is measured apart,
but it takes the same cores.

GET /changes?after=N    every change behind N: what the listener reads
POST /hook              the sink: 204, or 208 for an idempotency key that it has already
POST /change?count=K    K items change now, one after the other in a round
GET /counts             reads of the source, posts, distinct keys
GET /arrivals?after=N   the posts from the Nth on: [time, key, execution, action]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from typing import Any

ANSWER = b"HTTP/1.1 %d %s\r\nContent-Length: %d\r\n\r\n"


class World:
    """Everything that has changed and everything that has arrived."""

    def __init__(self, items: int, statuses: int) -> None:
        self.items = items
        self.statuses = statuses
        self.changes: list[tuple[int, str, str, float]] = []
        self.posts: list[tuple[float, str, bytes]] = []
        self.keys: set[str] = set()
        self.reads = 0

    def change(self, count: int) -> int:
        """The next `count` items change; returns how many changes there were in all."""
        now = time.time()
        for place in range(len(self.changes), len(self.changes) + count):
            item = place % self.items
            self.changes.append((place, f"item-{item}", f"s{item % self.statuses}", now))
        return len(self.changes)

    def take(self, key: str, body: bytes) -> bool:
        """Write a post down; whether its key is new."""
        self.posts.append((time.time(), key, body))
        is_new = key not in self.keys
        self.keys.add(key)
        return is_new

    def answer(self, path: str, query: int) -> Any:
        """What a path other than the sink's gives."""
        match path:
            case "/changes":
                self.reads += 1
                cursor = len(self.changes) - 1
                return {"cursor": cursor, "changes": self.changes[query + 1 :]}
            case "/change":
                return {"changes": self.change(query)}
            case "/counts":
                return {"reads": self.reads, "posts": len(self.posts), "keys": len(self.keys)}
            case "/arrivals":
                return [_arrival(*post) for post in self.posts[query:]]
        return None


def _arrival(at: float, key: str, body: bytes) -> tuple[float, str, str, str]:
    facts = json.loads(body)["facts"]
    return at, key, facts["execution_id"], facts["action"]


class Talk(asyncio.Protocol):
    """One connection of HTTP/1.1, kept alive; a request's head and body may come in pieces."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to answer."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is there as a whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            line, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
            pairs = (one.partition(":") for one in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            until = end + 4 + int(headers.get("content-length", 0))
            if len(self._buffer) < until:
                return
            body, self._buffer = self._buffer[end + 4 : until], self._buffer[until:]
            self._reply(line.split(" ")[1], headers, body)

    def _reply(self, target: str, headers: dict[str, str], body: bytes) -> None:
        assert self._transport is not None
        if target == "/hook":
            is_new = self._world.take(headers["idempotency-key"], body)
            self._transport.write(ANSWER % ((204, b"No Content", 0) if is_new else (208, b"Already", 0)))
            return
        path, _, query = target.partition("?")
        found = json.dumps(self._world.answer(path, int(query.partition("=")[2] or 0))).encode()
        self._transport.write(ANSWER % (200, b"OK", len(found)) + found)


async def serve(items: int, statuses: int) -> None:
    """Print the port, then serve for ever."""
    world = World(items, statuses)
    server = await asyncio.get_running_loop().create_server(lambda: Talk(world), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, required=True)
    parser.add_argument("--statuses", type=int, required=True)
    asked = parser.parse_args()
    asyncio.run(serve(asked.items, asked.statuses))
