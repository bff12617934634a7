"""The worker's life: lazily started, restarted after any death, shared by threads, forgotten by forked children."""

from __future__ import annotations

import ast
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import pouchdb_core.javascript
from pouchdb_core.javascript import (
    Engine,
    JavaScriptPool,
    Limits,
    QuickJS,
    Sandbox,
    SandboxKey,
    TimedOut,
    WorkerClosed,
    WorkerCrashed,
)
from pouchdb_core.javascript.process import ProcessEnded, WorkerProcess

LIMITS = Limits(seconds=5.0)
FAST = Limits(seconds=0.4)
IDENTITY = "function (doc) { emit(doc._id, null); }"
COUNT = "function () { return typeof n === 'undefined' ? (n = 1) : (n += 1); }"
SPIN = "function (doc) { var end = Date.now() + doc.ms; while (Date.now() < end) {} emit(doc.ms, null); }"

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
New = Callable[..., JavaScriptPool]


@pytest.fixture
def new(quickjs: Engine) -> Iterator[New]:
    """Make workers that are closed at the end."""
    made: list[JavaScriptPool] = []

    def new(limits: Limits = LIMITS, engine: Engine = quickjs, **options: Any) -> JavaScriptPool:
        made.append(JavaScriptPool(engine, limits, **options))
        return made[-1]

    yield new
    for worker in made:
        worker.close()


def open_one(worker: JavaScriptPool, name: str = "a", source: str = IDENTITY, **options: Any) -> Sandbox:
    sandbox = worker.open(SandboxKey("db", f"_design/{name}", "1-a"), {"name": name}, **options)
    sandbox.compile("m", "map", source)
    return sandbox


def works(sandbox: Sandbox) -> bool:
    return sandbox.map(["m"], [{"_id": "x"}]) == [[[["x", None]]]]


def test_nothing_starts_before_the_first_call(new: New) -> None:
    worker = new()
    sandbox = worker.open(SandboxKey("db", "_design/a", "1-a"), {})
    assert worker.pids == []
    sandbox.compile("m", "map", IDENTITY)
    assert len(worker.pids) == 1


def test_one_process_for_all(new: New) -> None:
    worker = new()
    first = open_one(worker, "a")
    pids = worker.pids
    assert works(open_one(worker, "b"))
    assert works(first)
    assert worker.pids == pids


def test_opening_twice_is_one_sandbox_until_the_content_differs(new: New) -> None:
    worker = new()
    key = SandboxKey("db", "_design/a", "1-a")
    first = worker.open(key, {"x": 1})
    assert worker.open(key, {"x": 1}) is first
    assert worker.open(key, b'{"x":1}') is first
    assert worker.open(key, {"x": 2}) is not first


def test_killed_between_calls(new: New) -> None:
    worker = new()
    sandbox = open_one(worker)
    [pid] = worker.pids
    os.kill(pid, signal.SIGTERM)
    assert works(sandbox)
    assert worker.pids != [pid]


def test_functions_are_compiled_again_after_a_kill(new: New) -> None:
    worker = new(FAST)
    sandbox = open_one(worker)
    sandbox.compile("loop", "map", "function (doc) { for (;;) { [].sort(); } }")
    with pytest.raises(TimedOut):
        sandbox.map(["loop"], [{}])
    assert works(sandbox)


def test_a_batch_is_one_request(engine: Engine, new: New, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = open_one(new(engine=engine))
    requests: list[str] = []
    plain = WorkerProcess.request

    def request(self: WorkerProcess, line: str, text: bytes, seconds: float) -> tuple[bytes, bytes]:
        requests.append(line)
        return plain(self, line, text, seconds)

    monkeypatch.setattr(WorkerProcess, "request", request)
    monkeypatch.setattr(Sandbox, "_keep_pace", lambda self, count, seconds: None)  # however slow this machine is now
    documents = [{"_id": f"{n}", "text": "x" * 500} for n in range(250)]
    assert [row[0][0][0] for row in sandbox.map(["m"], documents)] == [f"{n}" for n in range(250)]
    assert len(requests) == 3
    del requests[:]
    sandbox.map(["m"], [{"_id": "a", "text": "x" * 200_000}, {"_id": "b", "text": "x" * 200_000}])
    assert len(requests) == 2


def test_a_function_that_was_not_compiled(new: New) -> None:
    sandbox = open_one(new())
    for wrong in (
        lambda: sandbox.map(["x"], [{}]),
        lambda: sandbox.reduce(["x"], None, [], True),
        lambda: sandbox.call_each("x", [[]]),
        lambda: sandbox.call("x", []),
    ):
        with pytest.raises(KeyError, match="no function 'x' was compiled"):
            wrong()


# ---- time -----------------------------------------------------------------------------------------------------------


def test_a_slow_batch_of_documents_in_time_is_no_offence(new: New) -> None:
    sandbox = open_one(new(FAST), source=SPIN)
    for _ in range(4):
        assert sandbox.map(["m"], [{"ms": 60}] * 10) == [[[[60, None]]]] * 10


def test_the_document_that_hangs_is_found(new: New) -> None:
    sandbox = open_one(new(FAST), source=SPIN)
    documents = [{"_id": f"d{n}", "ms": 600_000 if n == 7 else 0} for n in range(20)]
    with pytest.raises(TimedOut) as caught:
        sandbox.map(["m"], documents)
    assert (caught.value.design_document, caught.value.document) == ("_design/a", "d7")
    assert "d7" in str(caught.value)


def test_quarantine_after_three_kills_until_the_design_document_changes(new: New) -> None:
    worker = new(FAST)
    sandbox = open_one(worker, source=SPIN)
    for _ in range(3):
        with pytest.raises(TimedOut):
            sandbox.map(["m"], [{"ms": 600_000}])
    pids = worker.pids
    with pytest.raises(TimedOut, match="when the design document changes"):
        sandbox.map(["m"], [{"ms": 0}])
    assert worker.pids == pids
    assert works(open_one(worker, "b"))
    changed = worker.open(SandboxKey("db", "_design/a", "2-b"), {"name": "a"})
    changed.compile("m", "map", IDENTITY)
    assert works(changed)
    worker.release(sandbox.key)
    assert sandbox.map(["m"], [{"ms": 0}]) == [[[[0, None]]]]


def test_limits_of_one_sandbox(new: New) -> None:
    worker = new(FAST)
    patient = open_one(worker, source=SPIN, limits=replace(FAST, seconds=30.0))
    assert patient.map(["m"], [{"ms": 700}]) == [[[[700, None]]]]


# ---- memory and crashes ---------------------------------------------------------------------------------------------


def test_contexts_are_dropped_least_recently_used_first(new: New) -> None:
    worker = new(replace(LIMITS, contexts=2))
    sandboxes = [worker.open(SandboxKey("db", f"_design/{n}", "1-a"), {}) for n in range(3)]
    for sandbox in sandboxes:
        sandbox.compile("n", "update", COUNT)
    first, second, third = sandboxes
    assert [second.call_each("n", [[]]), third.call_each("n", [[]])] == [[1], [1]]
    assert second.call_each("n", [[]]) == [2]
    assert first.call_each("n", [[]]) == [1]  # third had to go
    assert second.call_each("n", [[]]) == [3]
    assert third.call_each("n", [[]]) == [1]


def test_contexts_of_forgotten_sandboxes_are_dropped(new: New) -> None:
    worker = new()
    for n in range(5):
        open_one(worker, f"{n}")
    gc.collect()
    last = open_one(worker, "last")
    [process] = worker._states[-1].alive
    assert list(process.open_contexts) == [last.number]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_memory_that_others_hold_is_not_the_innocents_fault(new: New) -> None:
    worker = new(Limits(memory=64 * 2**20, process_memory=300 * 2**20))
    hoard = "function () { a = []; for (var i = 0; i < 50; i += 1) { a.push(new Uint8Array(1e6).fill(1)); } return 1; }"
    kept = []
    for n in range(8):
        sandbox = worker.open(SandboxKey("db", f"_design/{n}", "1-a"), {})
        sandbox.compile("hoard", "update", hoard)
        assert sandbox.call_each("hoard", [[]]) == [1]
        kept.append(sandbox)


BROKEN = """
import os
with open({path!r}, encoding="utf-8") as file:
    exec(file.read())
Whole = Context
class Context(Whole):
    def call(self, operation, text):
        if operation == "map" and "CRASH" in text:
            os._exit(7)
        if operation == "map" and "BREAK" in text:
            raise RuntimeError("broken")
        if operation == "map" and "NOISE" in text:
            return "no JSON"
        return super().call(operation, text)
"""


class Broken(QuickJS):
    """An engine that dies of certain documents."""

    name = "broken"

    def __init__(self, folder: Path) -> None:
        self._inside = folder / "inside_broken.py"
        self._inside.write_text(BROKEN.format(path=str(QuickJS().inside)))

    @property
    def inside(self) -> Path:
        return self._inside


@pytest.mark.parametrize("word", ["CRASH", "BREAK"])
def test_an_engine_that_dies_in_the_middle_of_a_batch(new: New, quickjs: Engine, tmp_path: Path, word: str) -> None:
    worker = new(engine=Broken(tmp_path))
    sandbox = open_one(worker)
    documents = [{"_id": "a"}, {"_id": "b", "x": word}, {"_id": "c"}]
    with pytest.raises(WorkerCrashed) as caught:
        sandbox.map(["m"], documents)
    assert caught.value.document == "b"
    assert works(sandbox)
    assert works(open_one(worker, "b"))


def test_an_answer_that_is_no_json(new: New, quickjs: Engine, tmp_path: Path) -> None:
    sandbox = open_one(new(engine=Broken(tmp_path)))
    first, second = sandbox.map(["m"], [{"_id": "a"}, {"_id": "NOISE"}])
    assert first == [[["a", None]]]
    assert isinstance(second[0], pouchdb_core.javascript.OutputTooLarge)


def test_a_question_that_came_together_with_its_deadline_is_a_time_out(quickjs: Engine) -> None:
    process = WorkerProcess(quickjs, LIMITS)
    process._watchdog.arm(0.0)
    process._process.wait()
    process.kill()
    with pytest.raises(ProcessEnded) as caught:
        process.request("answer 1.0", b"", 1.0)
    assert caught.value.expired
    with pytest.raises(ProcessEnded):
        process.tell("drop 1")


# ---- threads, forks, ends -------------------------------------------------------------------------------------------


def test_threads(new: New) -> None:
    worker = new()

    def run(n: int) -> list[Any]:
        sandbox = open_one(worker, f"{n}", f"function (doc) {{ emit({n}, doc.i); }}")
        return [sandbox.map(["m"], [{"i": i}])[0][0] for i in range(50)]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(run, range(8)))
    assert results == [[[[n, i]] for i in range(50)] for n in range(8)]


def in_child(run: Callable[[], Any]) -> Any:
    """Return what `run` returns in a forked child."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        text = b'"failed"'
        try:
            text = json.dumps(run()).encode()
        finally:
            os.write(sink, text)
            os._exit(0)
    os.close(sink)
    with os.fdopen(source, "rb") as file:
        text = file.read()
    os.waitpid(child, 0)
    return json.loads(text)


@needs_fork
def test_a_forked_child_starts_its_own(new: New) -> None:
    worker = new()
    sandbox = open_one(worker)
    pids = worker.pids
    inherited, well, own = in_child(lambda: [worker.pids, works(sandbox), worker.pids])
    assert inherited == []
    assert well is True
    assert len(own) == 1
    assert own != pids
    assert worker.pids == pids
    assert works(sandbox)
    assert worker.pids == pids


@needs_fork
def test_a_child_that_closes_leaves_the_parents_process(new: New) -> None:
    worker = new()
    sandbox = open_one(worker)
    pids = worker.pids
    in_child(worker.close)
    assert works(sandbox)
    assert worker.pids == pids


@needs_fork
def test_forked_while_another_thread_is_in_a_call(new: New) -> None:
    worker = new(replace(LIMITS, seconds=1.0))
    sandbox, slow = open_one(worker), open_one(worker, "slow", "function (doc) { for (;;) {} }")
    state = worker._states[-1]

    def spin() -> None:
        with pytest.raises(TimedOut):
            slow.map(["m"], [{}])

    thread = threading.Thread(target=spin)
    thread.start()
    while not state.turns.running:  # until the thread has its turn
        pass
    assert in_child(lambda: works(sandbox)) is True
    thread.join()
    assert works(sandbox)


def test_close(new: New) -> None:
    worker = new()
    sandbox = open_one(worker)
    worker.close()
    worker.close()
    assert worker.pids == []
    with pytest.raises(WorkerClosed):
        works(sandbox)
    with pytest.raises(WorkerClosed):
        worker.open(SandboxKey("db", "x", "1"), {})


def test_close_before_anything(new: New) -> None:
    new().close()


def test_close_ends_a_call_of_another_thread(new: New) -> None:
    worker = new(Limits(seconds=300.0))
    sandbox = open_one(worker, source="function (doc) { for (;;) {} }")
    state = worker._states[-1]
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(sandbox.map, ["m"], [{}])
        while not state.turns.running:
            pass
        worker.close()
        with pytest.raises(WorkerClosed):
            call.result()


def test_interrupted_call_does_not_mix_answers(new: New, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = new()
    sandbox = open_one(worker)

    def interrupted(self: WorkerProcess) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(WorkerProcess, "_read_frame", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sandbox.map(["m"], [{"_id": "lost"}])
    assert works(sandbox)


def test_process_ends_with_the_program(quickjs: Engine) -> None:
    program = """
from pouchdb_core.javascript import *
worker = JavaScriptPool(QuickJS())
worker.open(SandboxKey("db", "_design/a", "1"), {}).compile("m", "map", "function (doc) {}")
print(*worker.pids)
"""
    root = str(Path(pouchdb_core.javascript.__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


def test_process_ends_when_the_parent_is_gone(quickjs: Engine) -> None:
    process = WorkerProcess(quickjs, LIMITS)
    process._requests.close()
    assert process._process.wait(timeout=30) == 0
    process.kill()


# ---- the rest -------------------------------------------------------------------------------------------------------


def test_orjson_as_codec(new: New) -> None:
    orjson = pytest.importorskip("orjson")
    sandbox = open_one(new(dumps=orjson.dumps, loads=orjson.loads), source="function (doc) { emit(doc._id, doc.v); }")
    value = {"a": [1, 2.5, None, True, "日本"]}
    assert sandbox.map(["m"], [{"_id": "x", "v": value}]) == [[[["x", value]]]]


def test_log_goes_to_the_logger(new: New, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "pouchdb.javascript")
    works(open_one(new(), source="function (doc) { log('hello'); }"))
    assert [record.getMessage() for record in caplog.records] == ["_design/a of database db: hello"]


def test_a_logger_may_call_again(new: New) -> None:
    seen: list[Any] = []

    def on_log(key: SandboxKey, message: str) -> None:
        if message == "outer":
            seen.append(inner.map(["m"], [{"_id": "x"}]))

    worker = new(on_log=on_log)
    inner = open_one(worker, "inner")
    open_one(worker, "outer", "function (doc) { log('outer'); }").map(["m"], [{}])
    assert seen == [[[[["x", None]]]]]


@pytest.mark.parametrize("name", ["worker.py", "inside_quickjs.py", "inside_js2py.py"])
def test_what_runs_in_the_worker_imports_only_the_standard_library(name: str) -> None:
    tree = ast.parse(Path(pouchdb_core.javascript.__file__).with_name(name).read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
