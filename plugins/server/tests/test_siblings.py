"""What the processes of one server ask each other, without processes; and the sockets they share."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import threading

import pytest
from pouchdb_server.guesses import FREE, Guesses, TooManyRequests
from pouchdb_server.processes import siblings as module
from pouchdb_server.processes.shares import MOST, shares
from pouchdb_server.processes.siblings import ANSWER, ASK, ASKED, HERE, LEFT, STOP, Others, Siblings
from pouchdb_server.processes.sockets import SPREADS, listen

PATIENCE = 20


class Parent:
    """The other end of the pipe, by hand."""

    def __init__(self) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        self.stopped = threading.Event()
        self.siblings = Siblings()
        self.siblings.join(theirs, self.stopped.set)
        assert self.next() == (HERE,)

    def next(self):
        assert self.connection.poll(PATIENCE)
        return self.connection.recv()

    def send(self, *message) -> None:
        self.connection.send(message)


@pytest.fixture
def parent():
    made = Parent()
    yield made
    made.siblings.close()
    made.connection.close()


def in_thread(function, *arguments):
    found = []
    thread = threading.Thread(target=lambda: found.append(function(*arguments)))
    thread.start()
    return thread, found


def test_alone_there_is_nobody_to_ask():
    alone = Siblings()
    assert not alone.exist
    assert alone.ask("anything") == []
    alone.tell("anything")
    alone.note("anything", 1)
    alone.close()


def test_answers_of_all_are_collected(parent):
    asking, found = in_thread(parent.siblings.ask, "tasks", 1, "two")
    kind, number, *asked = parent.next()
    assert (kind, asked) == (ASK, ["tasks", (1, "two"), True])
    parent.send(ANSWER, number, [["a"]], 1)
    parent.send(ANSWER, number, [None, ["b"]], 0)
    asking.join(PATIENCE)
    assert found == [[["a"], ["b"]]]


def test_who_does_not_answer_is_not_waited_for(parent, monkeypatch, caplog):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    asking, found = in_thread(parent.siblings.ask, "tasks")
    number = parent.next()[1]
    parent.send(ANSWER, number, ["only this"], 1)
    asking.join(PATIENCE)
    assert found == [["only this"]]
    assert "does not answer" in caplog.text
    # Later it does, and nobody is there any more.
    parent.send(ANSWER, number, ["late"], 0)
    parent.send(STOP)
    assert parent.stopped.wait(PATIENCE)


def test_what_is_asked_is_answered_by_all_handlers(parent, caplog):
    parent.siblings.on("sum", lambda a, b: a + b)
    off = parent.siblings.on("sum", lambda a, b: a * b)
    parent.siblings.on("broken", lambda: 1 / 0)
    parent.send(ASKED, "back", "sum", (3, 4), True)
    assert parent.next() == (ANSWER, "back", [7, 12])
    off()
    parent.send(ASKED, "back", "sum", (3, 4), True)
    assert parent.next() == (ANSWER, "back", [7])
    parent.send(ASKED, "back", "broken", (), True)
    assert parent.next() == (ANSWER, "back", [])
    assert "broken, asked by another process of this server, failed" in caplog.text
    parent.send(ASKED, "back", "unknown", (), True)
    assert parent.next() == (ANSWER, "back", [])


def test_what_is_told_is_handled_in_order_and_acknowledged(parent):
    heard = []
    parent.siblings.on("databases", lambda name, kind: heard.append((name, kind)))
    parent.siblings.on(LEFT, lambda: heard.append(LEFT))
    for number in range(50):
        parent.send(ASKED, None, "databases", (f"db{number}", "created"), False)
    parent.send(LEFT)
    parent.send(ASKED, "back", "databases", ("last", "deleted"), False)
    assert parent.next() == (ANSWER, "back", [])
    assert heard == [*((f"db{number}", "created") for number in range(50)), LEFT, ("last", "deleted")]


def test_notes_are_collected_and_overtaken_by_nothing(parent):
    for name in ("a", "b", "a", "a"):
        parent.siblings.note("written", name)
    parent.siblings.send("databases", "a", "deleted")
    sent = [parent.next()]
    while sent[-1][2] != "databases":
        sent.append(parent.next())
    noted = [name for message in sent[:-1] for name in message[3][0]]
    assert set(noted) == {"a", "b"}
    assert len(noted) <= 4
    assert sent[-1] == (ASK, None, "databases", ("a", "deleted"), False)
    parent.siblings.note("written", "c")
    assert parent.next() == (ASK, None, "written", (["c"],), False)


def test_without_a_parent_it_stops(parent):
    parent.connection.close()
    assert parent.stopped.wait(PATIENCE)
    # What is said then is lost, and nobody is held up by it.
    parent.siblings.send("databases", "a", "created")


def test_every_prefix_is_by_itself(parent):
    Others(parent.siblings, "one-").on("tasks", lambda: "of one")
    Others(parent.siblings, "two-").on("tasks", lambda: "of two")
    asking, _ = in_thread(Others(parent.siblings, "one-").ask, "tasks")
    _, number, name, arguments, wants = parent.next()
    parent.send(ASKED, "back", name, arguments, wants)
    assert parent.next() == (ANSWER, "back", ["of one"])
    parent.send(ANSWER, number, [], 0)
    asking.join(PATIENCE)


def test_attempts_counted_elsewhere_count():
    now, told = [0.0], []
    here = Guesses(lambda: now[0], told.append)
    there = Guesses(lambda: now[0])
    for _ in range(FREE):
        here.attempt("ann", "address")
    for each in told:
        there.noted(*each)
    with pytest.raises(TooManyRequests):
        there.check("ann", "address")
    there.check("ann", "another address")
    now[0] += 1000
    here.attempt("ann", "address")
    there.noted(*told[-1])
    assert told[-1] == ("ann", "address", 1)
    there.check("ann", "address")
    here.succeeded("ann", "address")
    assert told[-1] == ("ann", "address", 0)
    there.noted(*told[-1])
    there.check("ann", "address")


@pytest.mark.parametrize("spread", [False, pytest.param(True, marks=pytest.mark.skipif(not SPREADS, reason="Linux's"))])
def test_sockets_of_one_address(spread):
    sockets = listen("127.0.0.1", 0, 3, spread=spread)
    try:
        addresses = {each.getsockname() for each in sockets}
        assert len(addresses) == 1
        assert len(set(sockets)) == (3 if spread else 1)
        # Nobody accepts them, and yet they are not refused.
        with socket.create_connection(addresses.pop(), PATIENCE) as first:
            assert first.getpeername() == sockets[0].getsockname()
            with pytest.raises(OSError, match="in use"):
                listen("127.0.0.1", sockets[0].getsockname()[1], 3, spread=spread)
    finally:
        for each in set(sockets):
            each.close()


def test_an_address_that_is_not_ours():
    with pytest.raises(OSError):
        listen("192.0.2.1", 0, 2)


@pytest.mark.skipif(not SPREADS, reason="Linux's")
def test_no_more_connections_are_passed_on_in_a_second_than_are_worth_it():
    taken, kept, now = [], [], [100.0]

    class Taking(asyncio.Protocol):
        def connection_made(self, transport):
            taken.append(transport)
            transport.write(b"taken")
            transport.close()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport):
            # One place has five connections without it, the other one none.
            if not one.pass_on(transport, 5):
                kept.append(transport)
                transport.write(b"kept")
                transport.close()

    async def asked(count):
        for _ in range(count):
            reader, writer = await asyncio.open_connection(*address)
            assert await reader.read() in (b"taken", b"kept")
            writer.close()
            await writer.wait_closed()

    async def run():
        nonlocal address
        loop = asyncio.get_running_loop()
        loop.time = lambda: now[0]
        one.take(Taking)
        two.take(Taking)
        listening = await loop.create_server(Accepting, "127.0.0.1", 0)
        address = listening.sockets[0].getsockname()
        await asked(MOST + 3)
        assert (len(taken), len(kept)) == (MOST, 3)
        now[0] += 1
        await asked(2)
        assert (len(taken), len(kept)) == (MOST + 2, 3)
        two.count(5)
        await asked(1)
        two.is_away()
        await asked(1)
        one.leave()
        await asked(1)
        assert (len(taken), len(kept)) == (MOST + 2, 6)
        two.leave()
        listening.close()
        await listening.wait_closed()

    address = ("", 0)
    one, two = shares(2)
    try:
        asyncio.run(run())
    finally:
        one.close()
        two.close()
