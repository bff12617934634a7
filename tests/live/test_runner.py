"""The runner: jobs in slices on a few threads, woken and timed, none of them lost."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest

from pouchdb_core.errors import DatabaseClosed
from pouchdb_core.runner import Idle, Runner

SOON = 10.0
"""Seconds a test waits for what must happen; nothing takes as long when it works."""


@pytest.fixture
def runner() -> Iterator[Runner]:
    runner = Runner("test", threads=4)
    yield runner
    runner.close(SOON)


def wait_for(condition: threading.Condition, predicate: object) -> None:
    with condition:
        assert condition.wait_for(predicate, SOON)  # type: ignore[arg-type]  # a function


class Counter:
    """Counts steps, and wakes who waits for a number of them."""

    def __init__(self) -> None:
        self.count = 0
        self.condition = threading.Condition()

    def add(self) -> int:
        with self.condition:
            self.count += 1
            self.condition.notify_all()
            return self.count

    def wait(self, count: int) -> None:
        wait_for(self.condition, lambda: self.count >= count)


def test_a_job_runs_when_it_is_woken_and_only_then(runner: Runner) -> None:
    steps = Counter()
    job = runner.job(lambda: steps.add() and Idle())
    done = threading.Event()
    runner.call(done.set)
    assert done.wait(SOON)
    assert steps.count == 0
    for number in range(1, 4):
        job.wake()
        steps.wait(number)


@pytest.mark.parametrize(
    ("outcomes", "count"),
    [
        pytest.param([False], 1, id="over at once"),
        pytest.param([None, None, False], 3, id="goes on until it is over"),
        pytest.param([Idle(0.0), Idle(0.0, seq=7), False], 3, id="gives others their turn"),
        pytest.param([Idle(0.001), False], 2, id="after a time"),
    ],
)
def test_what_a_step_answers(runner: Runner, outcomes: list[object], count: int) -> None:
    steps, over = Counter(), threading.Event()
    left = list(outcomes)

    def step() -> object:
        steps.add()
        outcome = left.pop(0)
        if outcome is False:
            over.set()
        return outcome

    job = runner.job(step)  # type: ignore[arg-type]
    job.wake()
    assert over.wait(SOON)
    job.wake()
    done = threading.Event()
    runner.call(done.set)
    assert done.wait(SOON)
    assert steps.count == count, "a job that is over is not stepped again"


def test_a_wake_while_it_runs_is_not_lost(runner: Runner) -> None:
    inside, go_on, steps = threading.Event(), threading.Event(), Counter()

    def step() -> Idle:
        if steps.add() == 1:
            inside.set()
            go_on.wait(SOON)
        return Idle()

    job = runner.job(step)
    job.wake()
    assert inside.wait(SOON)
    for _ in range(5):
        job.wake()
    go_on.set()
    steps.wait(2)
    done = threading.Event()
    runner.call(done.set)
    assert done.wait(SOON)
    assert steps.count == 2, "five wakes while it ran are one more step"


def test_no_two_threads_step_one_job() -> None:
    runner = Runner("test", threads=8)
    inside = threading.Lock()
    steps = Counter()

    def step() -> Idle:
        assert inside.acquire(blocking=False), "two threads at once"
        steps.add()
        inside.release()
        return Idle()

    job = runner.job(step)
    threads = [threading.Thread(target=lambda: [job.wake() for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    before = steps.count
    job.wake()
    steps.wait(before + 1)
    runner.close(SOON)


def test_two_jobs_at_once_get_two_threads(runner: Runner) -> None:
    # A thread that was notified, but has not come yet, is spoken for.
    both = threading.Barrier(4)
    for _ in range(20):
        for _ in range(3):
            runner.call(both.wait, SOON)
        both.wait(SOON)
    assert runner.threads <= 4


def test_waiting_costs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pouchdb_core.runner.LINGER", 0.01)
    runner = Runner("test", threads=4)
    stepped = Counter()
    jobs = [runner.job(lambda: stepped.add() and Idle()) for _ in range(1000)]
    for job in jobs:
        job.wake()
    stepped.wait(1000)
    for thread in [each for each in threading.enumerate() if each.name.startswith("test-")]:
        thread.join(SOON)
    assert runner.threads == 0
    jobs[0].wake()
    stepped.wait(1001)
    runner.close(SOON)


def test_a_time_out_keeps_one_thread_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pouchdb_core.runner.LINGER", 0.01)
    runner = Runner("test", threads=4)
    together = threading.Barrier(5)

    def step() -> Idle:
        together.wait(SOON)
        return Idle(600)

    jobs = [runner.job(step) for _ in range(4)]
    for job in jobs:
        job.wake()
    together.wait(SOON)
    threads = [each for each in threading.enumerate() if each.name.startswith("test-")]
    assert len(threads) == 4
    for thread in threads:
        thread.join(0.5)
    assert runner.threads == 1
    runner.close(SOON)
    assert runner.threads == 0


def test_deadlines_are_kept_in_order_and_forgotten_when_woken() -> None:
    now = [0.0]
    runner = Runner("test", threads=1, clock=lambda: now[0])
    order: list[str] = []
    seen = Counter()

    def timed(name: str, timeout: float) -> object:
        first = [True]

        def step() -> Idle | bool:
            if first[0]:
                first[0] = False
                seen.add()
                return Idle(timeout)
            order.append(name)
            seen.add()
            return False

        return runner.job(step)

    jobs = {name: timed(name, timeout) for name, timeout in (("late", 30), ("early", 10), ("woken", 20))}
    for job in jobs.values():
        job.wake()  # type: ignore[attr-defined]
    seen.wait(3)
    jobs["woken"].wake()  # type: ignore[attr-defined]
    seen.wait(4)
    now[0] = 100.0
    runner.call(seen.add)
    seen.wait(7)
    assert order == ["woken", "early", "late"]
    runner.close(SOON)


def test_a_job_that_is_woken_often_leaves_no_deadlines_behind(runner: Runner) -> None:
    steps = Counter()
    job = runner.job(lambda: steps.add() and Idle(600))
    for number in range(1, 2001):
        job.wake()
        steps.wait(number)
    assert len(runner._deadlines) < 200


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), KeyboardInterrupt()])
def test_a_job_that_raises_is_logged_and_stops_nothing_else(
    runner: Runner, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def step() -> None:
        raise error

    runner.job(step).wake()
    done = threading.Event()
    runner.call(done.set)
    assert done.wait(SOON)
    runner.close(SOON)
    assert "a job failed" in caplog.text


def test_close_steps_what_is_ready_and_takes_no_more() -> None:
    runner = Runner("test", threads=1)
    inside, go_on, told = threading.Event(), threading.Event(), []

    def step() -> None:
        inside.set()
        go_on.wait(SOON)

    runner.call(step)
    assert inside.wait(SOON)
    runner.call(told.append, 1)
    closing = threading.Thread(target=runner.close, args=(SOON,))
    closing.start()
    go_on.set()
    closing.join(SOON)
    assert told == [1]
    runner.call(told.append, 2)
    assert runner.threads == 0
    assert told == [1]


def test_what_was_woken_while_it_ran_is_stepped_once_more_at_the_end() -> None:
    runner = Runner("test", threads=1)
    inside, go_on, steps = threading.Event(), threading.Event(), Counter()

    def step() -> Idle:
        if steps.add() == 1:
            inside.set()
            go_on.wait(SOON)
        return Idle()

    job = runner.job(step)
    job.wake()
    assert inside.wait(SOON)
    job.wake()
    closing = threading.Thread(target=runner.close, args=(SOON,))
    closing.start()
    while not runner.closed:
        pass
    go_on.set()
    closing.join(SOON)
    assert steps.count == 2


def test_what_the_last_steps_call_is_called() -> None:
    runner = Runner("test", threads=1)
    inside, go_on, told = threading.Event(), threading.Event(), []

    def step() -> None:
        inside.set()
        go_on.wait(SOON)
        runner.call(told.append, "the end")

    runner.call(step)
    assert inside.wait(SOON)
    closing = threading.Thread(target=runner.close, args=(SOON,))
    closing.start()
    while not runner.closed:
        pass
    go_on.set()
    closing.join(SOON)
    assert told == ["the end"]


def test_at_the_interpreter_s_shutdown_close_steps_what_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Since Python 3.12 functions of ``atexit`` cannot start a thread."""

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    runner = Runner("test", threads=1)
    called: list[object] = []

    def first() -> None:
        called.append(threading.current_thread())
        runner.call(called.append, "what the first calls")

    monkeypatch.setattr(threading.Thread, "start", start)
    runner.call(first)
    assert called == []
    runner.close(SOON)
    assert called == [threading.current_thread(), "what the first calls"]
    assert runner.threads == 0
    runner.call(called.append, "too late")
    assert len(called) == 2


def test_a_thread_that_cannot_be_started_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    runner = Runner("test", threads=1)
    called: list[object] = []
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        runner.call(called.append, 1)
    runner.close()
    assert called == []


def test_close_by_one_of_its_own_threads_does_not_wait_for_itself() -> None:
    runner = Runner("test", threads=1)
    closed = threading.Event()

    def close() -> None:
        runner.close(SOON)
        closed.set()

    runner.call(close)
    assert closed.wait(SOON / 2)


def test_it_knows_its_own_threads(runner: Runner) -> None:
    told: list[bool] = []
    done = threading.Event()
    runner.call(lambda: (told.append(runner.current()), done.set()))
    assert done.wait(SOON)
    assert told == [True]
    assert not runner.current()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_starts_without_jobs(runner: Runner) -> None:
    steps = Counter()
    job = runner.job(lambda: steps.add() and Idle())
    job.wake()
    steps.wait(1)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            job.wake()
            done = threading.Event()
            runner.call(done.set)
            code = 0 if done.wait(SOON) and steps.count == 1 and runner.threads == 1 else 2
            runner.close(SOON)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    job.wake()
    steps.wait(2)


# -- many calls at once ----------------------------------------------------------------------------


def test_map_returns_the_results_in_the_order_of_the_items_and_uses_all_threads(runner: Runner) -> None:
    most = runner._most
    together = threading.Barrier(most)

    def call(number: int) -> int:
        together.wait(SOON)
        return number * 2

    assert runner.map(call, iter(range(4 * most))) == [2 * number for number in range(4 * most)]
    assert runner.map(call, []) == []


def test_map_raises_the_first_error_in_the_order_of_the_items_and_begins_no_more_calls() -> None:
    runner = Runner("test", threads=1)
    begun = []

    def call(number: int) -> None:
        begun.append(number)
        if number == 2:
            raise ValueError(number)

    with pytest.raises(ValueError, match=r"^2$"):
        runner.map(call, range(100))
    assert begun == [0, 1, 2]
    assert runner.map(str, range(3)) == ["0", "1", "2"]
    runner.close(SOON)


def test_map_waits_for_the_calls_that_run_when_one_fails() -> None:
    runner = Runner("test", threads=2)
    inside, failed = threading.Event(), threading.Event()
    ended = []

    def call(number: int) -> None:
        if number == 0:
            inside.set()
            assert failed.wait(SOON)
            ended.append(number)
        else:
            assert inside.wait(SOON)
            failed.set()
            raise ValueError(number)

    with pytest.raises(ValueError, match=r"^1$"):
        runner.map(call, [0, 1])
    assert ended == [0]
    runner.close(SOON)


def test_map_on_a_closed_runner_raises(runner: Runner) -> None:
    runner.close(SOON)
    with pytest.raises(DatabaseClosed):
        runner.map(str, [1])
    with pytest.raises(DatabaseClosed):
        runner.map(str, [])


def test_map_ends_when_the_runner_is_closed_meanwhile() -> None:
    # As requests do when their environment is closed: what was accepted is called, and finds out by itself.
    runner = Runner("test", threads=2)
    begun = threading.Event()

    def call(number: int) -> int:
        begun.set()
        runner.close()
        return number

    assert runner.map(call, range(20)) == list(range(20))
    assert begun.is_set()


def test_a_call_that_hangs_does_not_keep_the_program_from_ending() -> None:
    program = """
        import threading
        from pouchdb_core.adapters.http.pool import Http
        http, begun = Http(), threading.Event()
        def hang(_):
            begun.set()
            threading.Event().wait()
        threading.Thread(target=http.requests.map, args=(hang, [1, 2]), daemon=True).start()
        begun.wait()
        print("ended")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")
