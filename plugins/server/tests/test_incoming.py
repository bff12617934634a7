"""Bodies on their way: small ones are received into memory while there is room, all others go to files."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from pouchdb_server.bulkheads import Bulkheads
from pouchdb_server.incoming import PIECE, SMALL, Incoming, Room
from pouchdb_server.joining import MOST, Joining
from pouchdb_server.messages import Headers
from pouchdb_server.settings import Settings
from pouchdb_server.workers import Workers

CHUNK = 64 * 1024


def received(size: int, room: Room, *, declared: bool = True, during=lambda incoming: None) -> tuple[bytes, bool]:
    """Receive a body; return it, and whether it was in a file."""
    body = bytes(range(256)) * (size // 256 + 1)
    chunks = [body[start : start + CHUNK] for start in range(0, size, CHUNK)]
    headers = {"content-length": str(sum(map(len, chunks)))} if declared else {"transfer-encoding": "chunked"}

    async def receive():
        await asyncio.sleep(0)
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def run():
        workers = Workers()
        incoming = Incoming(SimpleNamespace(headers=Headers.of(headers)), receive, Settings(), room)
        try:
            await incoming.collect(None, None, Bulkheads(workers, 4, 2, 10).uploads)
            during(incoming)
            return incoming.taken(), incoming.file() is not None
        finally:
            incoming.close()
            workers.close()

    whole = b"".join(chunks)
    taken, spooled = asyncio.run(run())
    assert taken == whole
    return taken, spooled


def test_small_bodies_stay_in_memory_while_there_is_room():
    room = Room(SMALL)
    others = []

    def meanwhile(incoming):
        # The first one has taken most of it.
        others.append(room.take(SMALL // 2))

    assert received(CHUNK, room)[1] is False
    assert received(SMALL - CHUNK, room, during=meanwhile)[1] is False
    assert others == [False]
    # It was given back.
    assert room.take(SMALL)
    assert received(SMALL - CHUNK, room)[1] is True
    assert received(PIECE - CHUNK, room)[1] is False
    room.give_back(SMALL)
    assert received(SMALL - CHUNK, room)[1] is False


@pytest.mark.parametrize(("size", "declared"), [(SMALL + CHUNK, True), (4 * PIECE, False)])
def test_what_is_large_or_of_unknown_length_takes_no_room(size, declared):
    room = Room(8 * SMALL)
    assert received(size, room, declared=declared)[1] is True
    assert room.take(8 * SMALL)


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.written.append(b"closed")

    def is_closing(self) -> bool:
        return self.written[-1:] == [b"closed"]


def test_a_head_is_written_with_its_body():
    joining = Joining(transport := Transport())
    joining.write(b"continue")
    joining.hold()
    joining.write(b"head")
    assert transport.written == [b"continue"]
    joining.write(b"body")
    joining.write(b"more")
    assert transport.written == [b"continue", b"headbody", b"more"]
    joining.hold()
    joining.write(b"head")
    joining.write(long := b"x" * (MOST + 1))
    assert transport.written[3:] == [b"head", long]
    joining.hold()
    joining.write(b"last")
    assert not joining.is_closing()
    joining.close()
    assert transport.written[5:] == [b"last", b"closed"]
    assert joining.is_closing()
    joining.hold()
    joining.close()
    assert transport.written[7:] == [b"closed"]
    # uvloop raises an error for what is written after that.
    joining.hold()
    joining.write(b"head")
    joining.write(b"body")
    assert transport.written[8:] == []


def test_responses_are_one_write(server):
    """Whatever the request is, also in the middle of a pipeline."""
    host, port = server.url.removeprefix("http://").split(":")

    async def run():
        reader, writer = await asyncio.open_connection(host, int(port.strip("/")))
        heads = [
            b"GET / HTTP/1.1",
            b"HEAD / HTTP/1.1",
            b"GET /_up HTTP/1.1",
            b"GET /nowhere HTTP/1.1",
            b"GET / HTTP/1.1",
        ]
        last = b"\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        writer.write(b"\r\nHost: localhost\r\n\r\n".join(heads) + last)
        answer = await reader.read()
        writer.close()
        return answer

    answer = asyncio.run(run())
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"200", b"404", b"200"]
    assert answer.count(b'{"couchdb":') == 2
    assert answer.endswith(b"}\n")
