"""List functions pull their rows, and what they send goes out while they run."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pouchdb_core.javascript import (
    Answer,
    Engine,
    JavaScriptPool,
    Limits,
    OutputTooLarge,
    Sandbox,
    SandboxKey,
    Streamed,
    ThrownError,
    TimedOut,
    WorkerClosed,
    WorkerCrashed,
)

Make = Callable[..., Sandbox]
ALL = "function (head, req) { var row; while ((row = getRow())) { send(row.key + ','); } return 'end'; }"


def stream(sandbox: Sandbox, source: str, rows: Any = (), negotiate: Any = None) -> Streamed:
    sandbox.compile(source, "list", source)
    return sandbox.stream(source, [{}, {}], rows, negotiate)


def numbers(count: int, seen: list[int] | None = None) -> Iterator[dict[str, int]]:
    for n in range(count):
        if seen is not None:
            seen.append(n)
        yield {"key": n}


def test_everything_arrives_in_order(sandbox: Sandbox) -> None:
    pieces = stream(sandbox, ALL, numbers(1000))
    assert "".join(pieces) == "".join(f"{n}," for n in range(1000))
    assert pieces.answer == Answer("end", "string", {}, "", [], [], first={})


def test_the_first_piece_comes_before_the_last_row_is_read(sandbox: Sandbox) -> None:
    seen: list[int] = []
    pieces = stream(sandbox, ALL, numbers(1000, seen))
    assert seen == []
    assert next(pieces) == "".join(f"{n}," for n in range(10))
    assert len(seen) == 10
    assert pieces.started == {}
    pieces.close()
    assert len(seen) < 1000


def test_head_is_known_with_the_first_piece(sandbox: Sandbox) -> None:
    source = "function () { start({code: 201}); send('a'); while (getRow()) { start({code: 500}); } return 'b'; }"
    pieces = stream(sandbox, source, numbers(20))
    assert next(pieces) == "a"
    assert (pieces.started, pieces.first) == ({"code": 201}, {"code": 201})
    assert list(pieces) == []
    assert pieces.answer == Answer("b", "string", {"code": 201}, "", [], [], first={"code": 201})


@pytest.mark.parametrize(
    ("body", "started"),
    [
        # From CouchDB's own tests: "HTTP header response set after getRow() called in _list function".
        ("getRow(); start({code: 400}); send('x');", {"code": 400}),
        ("while (getRow()) {} start({code: 400}); return 'x';", {"code": 400}),
        ("getRow(); send('x'); start({code: 400}); getRow();", {"code": 400}),
        ("send('x'); getRow(); start({code: 400});", {}),
        ("send(''); getRow(); start({code: 400}); send('x');", {}),
    ],
)
@pytest.mark.parametrize("rows", [0, 1, 30])
def test_the_head_is_that_of_the_first_thing_sent(sandbox: Sandbox, body: str, started: object, rows: int) -> None:
    pieces = stream(sandbox, f"function () {{ {body} }}", numbers(rows))
    list(pieces)
    assert pieces.started == started


def test_the_head_goes_with_the_next_row_and_not_when_there_is_none(sandbox: Sandbox) -> None:
    source = "function () { getRow(); start({code: 400}); getRow(); send('x'); getRow(); start({code: 500}); }"
    for rows, code in ((0, 500), (1, 500), (2, 400), (30, 400)):
        pieces = stream(sandbox, source, numbers(rows))
        list(pieces)
        assert pieces.started == {"code": code}, rows


def test_nothing_is_sent(sandbox: Sandbox) -> None:
    pieces = stream(sandbox, "function () { return {json: 1}; }")
    assert list(pieces) == []
    assert pieces.answer == Answer({"json": 1}, "object", None, "", [], [])


def test_large_pieces_without_rows(sandbox: Sandbox) -> None:
    source = "function () { var s = Array(400001).join('é𝄞'); send('é'); send(s); send(s); }"
    pieces = list(stream(sandbox, source))
    assert len(pieces) >= 2
    whole = "".join(pieces)
    assert whole == "é" + 800_000 * "é𝄞"
    assert all(not piece.startswith("\udd1e") for piece in pieces)


def test_a_provider_streams(sandbox: Sandbox) -> None:
    source = """function () {
        provides('csv', function () { var row; while ((row = getRow())) { send(row.key + ';'); } return '.'; });
        provides('html', function () { throw 1; }); return 'own'; }"""
    asked: list[Answer] = []

    def negotiate(answer: Answer) -> str:
        asked.append(answer)
        return "csv"

    pieces = stream(sandbox, source, numbers(30), negotiate)
    assert "".join(pieces) == "".join(f"{n};" for n in range(30))
    assert (asked[0].value, asked[0].providers) == ("own", ["csv", "html"])
    assert pieces.answer is not None
    assert pieces.answer.value == "."


def test_what_negotiation_raises_ends_the_call(sandbox: Sandbox) -> None:
    def negotiate(answer: Answer) -> str:
        raise LookupError("406")

    pieces = stream(sandbox, "function () { provides('csv', function () {}); }", (), negotiate)
    with pytest.raises(LookupError, match="406"):
        next(pieces)
    assert "".join(stream(sandbox, ALL, numbers(3))) == "0,1,2,"


def test_thrown_before_anything_was_sent(sandbox: Sandbox) -> None:
    pieces = stream(sandbox, "function () { getRow(); throw {forbidden: 'no'}; }", numbers(30))
    with pytest.raises(ThrownError) as caught:
        next(pieces)
    assert caught.value.thrown == {"forbidden": "no"}


def test_thrown_in_the_middle(sandbox: Sandbox) -> None:
    pieces = stream(sandbox, "function () { send('x'); getRow(); throw 'late'; }", numbers(30))
    assert next(pieces) == "x"
    with pytest.raises(ThrownError) as caught:
        next(pieces)
    assert caught.value.text == "late"
    assert list(pieces) == []


def test_rows_that_fail(sandbox: Sandbox) -> None:
    def rows() -> Iterator[Any]:
        yield from numbers(200)
        raise LookupError("the view is gone")

    with pytest.raises(LookupError, match="the view is gone"):
        list(stream(sandbox, ALL, rows()))
    assert "".join(stream(sandbox, ALL, numbers(3))) == "0,1,2,"


def test_rows_are_closed(sandbox: Sandbox) -> None:
    closed: list[bool] = []

    def rows() -> Iterator[Any]:
        try:
            yield from numbers(1000)
        finally:
            closed.append(True)

    for source in (ALL, "function () { getRow(); return 1; }", "function () { getRow(); throw 1; }"):
        pieces = stream(sandbox, source, rows())
        try:
            list(pieces)
        except ThrownError:
            assert "throw" in source
    pieces = stream(sandbox, ALL, rows())
    next(pieces)
    pieces.close()
    assert closed == [True] * 4


def test_rows_may_be_json_text(sandbox: Sandbox) -> None:
    assert "".join(stream(sandbox, ALL, [b'{"key":1}', b'{"key":"x"}'])) == "1,x,"


def test_collected(sandbox: Sandbox) -> None:
    sandbox.compile("all", "list", ALL)
    answer = sandbox.call("all", [{}, {}], numbers(500))
    assert answer.sent == "".join(f"{n}," for n in range(500))
    assert answer.value == "end"


# ---- limits ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def pool(quickjs: Engine) -> Iterator[JavaScriptPool]:
    limits = Limits(seconds=0.5, workers=2, output=300_000, response=2_000_000, streams=2)
    pool = JavaScriptPool(quickjs, limits)
    yield pool
    pool.close()


def opened(pool: JavaScriptPool, database: str = "db") -> Sandbox:
    return pool.open(SandboxKey(database, "_design/a", "1-a"), {})


def free(pool: JavaScriptPool) -> bool:
    state = pool._states[-1]
    return (state.turns.running, state.turns.waiting, state.streams, len(state.alive) - len(state.idle)) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    "body",
    [
        "for (;;) {}",
        "getRow(); for (;;) {}",
        "for (;;) { getRow(); }",
        "while (getRow()) {} for (;;) {}",
        "while (getRow()) {} for (;;) { send('x'); }",
        "for (;;) { try { for (;;) { send('x'); } } catch (e) {} }",
        "send('x'); getRow(); try { for (;;) {} } finally { for (;;) {} }",
        "provides('html', function () { for (;;) { send('x'); } });",
        "String.prototype.slice = JSON.parse = function () { for (;;) {} }; getRow(); for (;;) {}",
    ],
)
def test_endless_functions_end(pool: JavaScriptPool, body: str) -> None:
    pieces = stream(opened(pool), f"function () {{ {body} }}", numbers(50), lambda answer: "html")
    with pytest.raises((TimedOut, OutputTooLarge)):
        list(pieces)
    assert free(pool)
    assert "".join(stream(opened(pool, "other"), ALL, numbers(3))) == "0,1,2,"


@pytest.mark.parametrize(
    "body",
    [
        "for (;;) { send('0123456789'); }",
        "var s = 'x'; while (s.length < 400000) { s += s; } send(s);",
        "while (getRow()) {} var s = new Array(1e5).join('x'); for (;;) { send(s); }",
        "start({x: new Array(4e5).join('x')}); send(1); getRow();",
    ],
)
def test_too_much_output_for_a_portion_of_rows(pool: JavaScriptPool, body: str) -> None:
    with pytest.raises(OutputTooLarge):
        list(stream(opened(pool), f"function () {{ {body} }}", numbers(5)))
    assert free(pool)


def test_output_and_time_are_counted_for_each_portion_of_rows(pool: JavaScriptPool) -> None:
    """1.5 MB and about one second in all, where 0.3 MB and half a second are the limits."""
    source = """function () {
        var row, x = new Array(501).join('x'), end;
        while ((row = getRow())) {
            send(x);
            if (row.key % 100 === 0) { end = Date.now() + 40; while (Date.now() < end) {} }
        }
    }"""
    assert sum(map(len, stream(opened(pool), source, numbers(3000)))) == 1_500_000


def test_a_response_that_is_too_large_to_collect(pool: JavaScriptPool) -> None:
    sandbox = opened(pool)
    source = "function () { var x = new Array(1001).join('x'); while (getRow()) { send(x); } }"
    sandbox.compile("f", "list", source)
    with pytest.raises(OutputTooLarge, match="too large to be collected"):
        sandbox.call("f", [{}, {}], numbers(3000))
    assert free(pool)


def test_the_clients_slowness_is_not_the_functions_time(pool: JavaScriptPool) -> None:
    pieces = stream(opened(pool), ALL, numbers(150))
    first = next(pieces)
    time.sleep(0.8)
    assert first + "".join(pieces) == "".join(f"{n}," for n in range(150))


def test_slow_rows_are_not_the_functions_time(pool: JavaScriptPool) -> None:
    def rows() -> Iterator[Any]:
        time.sleep(0.8)
        yield {"key": 1}

    assert "".join(stream(opened(pool), ALL, rows())) == "1,"


def test_others_run_while_a_client_is_slow(pool: JavaScriptPool) -> None:
    """Two seats, and more suspended functions than that, of the same database too."""
    sandbox = opened(pool)
    suspended = [stream(sandbox, ALL, numbers(3000)) for _ in range(2)]
    for pieces in suspended:
        next(pieces)
    for _ in range(20):
        assert "".join(stream(sandbox, ALL, numbers(3))) == "0,1,2,"
    for pieces in suspended:
        assert "".join(pieces).endswith(",2999,")
    assert free(pool)


def test_rows_may_need_functions_themselves(pool: JavaScriptPool) -> None:
    sandbox = opened(pool)
    sandbox.compile("double", "update", "function (n) { return 2 * n; }")

    def rows() -> Iterator[Any]:
        for n in range(25):
            [key] = sandbox.call_each("double", [[n]])
            yield {"key": key}

    assert "".join(stream(sandbox, ALL, rows())) == "".join(f"{2 * n}," for n in range(25))


def test_more_slow_clients_than_processes_get_their_output_from_a_file(pool: JavaScriptPool) -> None:
    many = [stream(opened(pool, f"db{n}"), ALL, numbers(2000)) for n in range(6)]
    firsts = [next(pieces) for pieces in many]
    state = pool._states[-1]
    assert len(state.alive) - len(state.idle) == 2  # only those may keep theirs
    wholes = [first + "".join(pieces) for first, pieces in zip(firsts, many, strict=True)]
    assert wholes == ["".join(f"{n}," for n in range(2000))] * 6
    assert many[5].answer == Answer("end", "string", {}, "", [], [], first={})
    assert free(pool)


def test_a_file_that_becomes_too_large(pool: JavaScriptPool) -> None:
    waiting = [stream(opened(pool), ALL, numbers(2000)) for _ in range(2)]
    for pieces in waiting:
        next(pieces)
    source = "function () { var x = new Array(1001).join('x'); while (getRow()) { send(x); } }"
    with pytest.raises(OutputTooLarge, match="too large to be kept"):
        next(stream(opened(pool), source, numbers(3000)))
    for pieces in waiting:
        pieces.close()
    assert free(pool)


def test_a_client_that_goes_away(pool: JavaScriptPool) -> None:
    pieces = stream(opened(pool), ALL, numbers(3000))
    next(pieces)
    del pieces
    assert free(pool)


def test_a_stream_that_nobody_reads_starts_nothing(pool: JavaScriptPool) -> None:
    sandbox = opened(pool)
    sandbox.compile("f", "list", ALL)
    for pid in pool.pids:
        os.kill(pid, 9)
    before = pool.pids
    sandbox.stream("f", [{}, {}], numbers(3)).close()
    assert pool.pids == before


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_worker_that_dies_in_the_middle(pool: JavaScriptPool) -> None:
    pieces = stream(opened(pool), ALL, numbers(3000))
    next(pieces)
    for pid in pool.pids:
        os.kill(pid, 9)
    with pytest.raises(WorkerCrashed):
        list(pieces)
    assert free(pool)
    assert "".join(stream(opened(pool), ALL, numbers(3))) == "0,1,2,"


def test_close_ends_a_suspended_stream(pool: JavaScriptPool) -> None:
    pieces = stream(opened(pool), ALL, numbers(3000))
    next(pieces)
    pool.close()
    with pytest.raises(WorkerClosed):
        list(pieces)


def test_streams_in_many_threads(pool: JavaScriptPool) -> None:
    results: list[str] = []

    def run(n: int) -> None:
        results.append("".join(stream(opened(pool, f"db{n % 3}"), ALL, numbers(400))))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["".join(f"{n}," for n in range(400))] * 9
    assert free(pool)
