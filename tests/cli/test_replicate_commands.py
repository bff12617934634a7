"""replicate, sync, checkpoints, changes --follow: progress, events, and what a signal leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment

Cli = Callable[..., Any]
Process = Callable[..., "subprocess.Popen[str]"]


def filled(env: SyncEnvironment, name: str, count: int) -> None:
    env[name].bulk_docs([{"_id": f"{n:05}", "text": "x" * 100} for n in range(count)])


def events(stream: IO[str]) -> Iterator[Any]:
    for line in stream:
        yield json.loads(line)


def test_replicate_and_sync(cli: Cli, env: SyncEnvironment) -> None:
    filled(env, "a", 20)
    assert cli("replicate", "a", "b").out == "a to b: 20 written\n"
    assert cli("replicate", "a", "b", "--json").json["docs_written"] == 0
    env["b"].put({"_id": "new"})
    assert cli("sync", "a", "b").lines == [["a to b: 0 written"], ["b to a: 1 written"]]
    told = cli("sync", "a", "c", "--json").json
    assert (told["push"]["docs_written"], told["pull"]["docs_written"]) == (21, 0)


def test_a_wrong_source_makes_nothing(cli: Cli, env: SyncEnvironment) -> None:
    filled(env, "a", 1)
    for command in (["replicate", "aa", "b"], ["sync", "x", "y"], ["replicate", "a", "b", "--no-create"]):
        assert cli(*command).status == 3, command
    assert env.names() == ["a"]
    done = cli("replicate", "a", "a")
    assert done.status == 1
    assert "itself" in done.err or "same" in done.err


def test_documents_are_chosen(cli: Cli, env: SyncEnvironment) -> None:
    env["a"].bulk_docs([{"_id": f"{n}", "even": n % 2 == 0} for n in range(10)])
    source = "function (doc, req) { return doc.even === (req.query.even === 'yes'); }"
    env["a"].put({"_id": "_design/d", "filters": {"f": source}})
    assert cli("replicate", "a", "ids", "--doc-id", "1", "--doc-id", "2").out == "a to ids: 2 written\n"
    chosen = cli("replicate", "a", "filtered", "--filter", "d/f", "--param", "even=yes")
    assert chosen.out == "a to filtered: 5 written\n"
    assert cli("replicate", "a", "b", "--param", "nothing").status == 2
    assert cli("replicate", "a", "b", "--selector", "7").status == 2


def test_what_is_refused_is_told(cli: Cli, env: SyncEnvironment) -> None:
    testing = pytest.importorskip("pouchdb_server.testing")
    with testing.couch_server() as server:
        server.environment["far"].put_security({"admins": {"names": ["root"], "roles": []}})
        env["a"].bulk_docs([{"_id": "_design/d", "x": 1}, {"_id": "good"}])
        server.fail(403, "/far/_design%2Fd", times=20)
        server.fail(403, "/far/_design/d", times=20)
        done = cli("replicate", "a", f"{server.url}/far")
    assert done.status in (0, 7)


def test_a_directory_and_another_one(cli: Cli, env: SyncEnvironment, tmp_path: Path) -> None:
    filled(env, "a", 3)
    (tmp_path / "usb").mkdir()
    assert cli("replicate", "a", "usb/a").status == 0
    with pouchdb.setup(tmp_path / "usb", plugins=[]) as other:
        assert len(other["a"]) == 3


def test_checkpoints(cli: Cli, env: SyncEnvironment) -> None:
    filled(env, "a", 3)
    cli("replicate", "a", "b")
    cli("replicate", "a", "c")
    told = cli("checkpoints", "a", "--json").json
    assert [(each["source"], each["last_seq"], each["refused"]) for each in told] == [("a", 3, 0)] * 2
    one = told[0]["id"].removeprefix("_local/")
    assert cli("checkpoints", "a", "--reset").status != 0, "nobody answers"
    assert cli("checkpoints", "a", "--reset", "--json").status == 2
    assert cli("checkpoints", "a", one, "--reset", "--yes", "--json").json == {"reset": [told[0]["id"]]}
    assert len(cli("checkpoints", "a").lines) == 1
    assert cli("checkpoints", "a", "nothing").status == 3
    env["a"].put({"_id": "_local/settings"})
    assert cli("checkpoints", "a", "settings").status == 3
    assert cli("checkpoints", "a", "--reset", "--yes").status == 0
    assert list(env["a"].adapter.local_ids("_local/")) == ["_local/settings"]
    # It starts over, and sends nothing that is there.
    assert cli("replicate", "a", "b").out == "a to b: 0 written\n"


# -- signals ---------------------------------------------------------------------------------------


def checkpoint_seq(directory: Path) -> tuple[int, int]:
    """Return how far the checkpoint says that b has got, and how many documents it has."""
    with pouchdb.setup(directory, plugins=[]) as env:
        b = env["b"]
        (id,) = b.adapter.local_ids("_local/py")
        assert b.integrity_check() == []
        return b.get(id)["source_last_seq"], len(b)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("impatient", [False, True], ids=["once", "twice"])
def test_an_interrupted_replication_leaves_a_valid_checkpoint(
    process: Process, env: SyncEnvironment, how: signal.Signals, impatient: bool
) -> None:
    """While the server has a batch: it is waited for, unless somebody is asked a second time; the next run goes on."""
    testing = pytest.importorskip("pouchdb_server.testing")
    filled(env, "a", 300)
    env.close()
    held: list[Any] = []
    with testing.couch_server() as server:
        target = server.environment["far"]

        def written() -> None:
            # In the thread of the server, so that it is the very next batch that waits.
            if not held and target.info().update_seq >= 100:
                held.append(server.hold("/far/_bulk_docs", "POST", times=None))

        target.adapter.subscribe(written)
        running = process("replicate", "a", f"{server.url}/far", "--batch-size", "20")
        assert running.stderr is not None
        while not held:
            assert running.poll() is None, running.communicate()
            threading.Event().wait(0.01)
        assert held[0].hit.wait(60)
        running.send_signal(how)
        assert "it ends when the server has taken what is under way" in running.stderr.readline()
        if impatient:
            running.send_signal(how)
        else:
            held[0].end()
        out, err = running.communicate(timeout=60)
        assert running.returncode == 130, err
        assert "interrupted: " in out
        assert "goes on from here" in err
        server.heal()
        there = len(target)
        checkpoints = [target.get(id)["source_last_seq"] for id in target.adapter.local_ids("_local/py")]
        if impatient:
            assert all(seq <= there for seq in checkpoints), "nothing is claimed that is not there"
        else:
            assert checkpoints == [there], "all that was done is remembered"
        again = process("replicate", "a", f"{server.url}/far", "--json")
        result = json.loads(again.communicate(timeout=100)[0])
        assert result["docs_written"] <= 300 - there
        assert len(target) == 300


def test_a_live_replication_follows_and_ends_with_a_signal(
    process: Process, directory: Path, env: SyncEnvironment
) -> None:
    filled(env, "a", 3)
    running = process("replicate", "a", "b", "--live", "--json")
    assert running.stdout is not None
    told = events(running.stdout)
    assert next(each for each in told if each["event"] == "paused") == {"event": "paused"}
    env["a"].put({"_id": "new"})
    assert next(each for each in told if each["event"] == "change")["docs_written"] == 4
    running.send_signal(signal.SIGINT)
    last = list(told)[-1]
    assert (last["status"], last["docs_written"]) == ("cancelled", 4)
    assert running.wait(60) == 0, "that is how it ends"
    assert running.stderr is not None
    assert running.stderr.read() == ""
    assert checkpoint_seq(directory) == (4, 4)


def test_changes_are_followed(process: Process, env: SyncEnvironment) -> None:
    env["a"].put({"_id": "first"})
    running = process("changes", "a", "--follow", "--json")
    assert running.stdout is not None
    told = events(running.stdout)
    assert next(told)["id"] == "first"
    env["a"].put({"_id": "second"})
    assert next(told)["id"] == "second"
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 0


def test_a_reader_that_has_enough_ends_it(process: Process, env: SyncEnvironment) -> None:
    filled(env, "a", 5000)
    running = process("ls", "a")
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.readline()
    running.stdout.close()
    assert running.wait(60) == 141
    assert running.stderr.read() == ""


# -- terminals -------------------------------------------------------------------------------------

pty = pytest.importorskip("pty", reason="terminals of POSIX")


def screen(directory: Path, *commands: list[str], columns: int = 100, **variables: str) -> tuple[list[int], str]:
    """Run commands on a terminal of that width, in one process; return their statuses and all that they wrote."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "CI")}
    code = "import json, sys; from pouchdb.cli.app import run; "
    code += "print('STATUS', [int(run(each)) for each in json.loads(sys.argv[1])])"
    running = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, json.dumps(commands)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=directory.parent,
        env={**environment, "TERM": "xterm-256color", **variables},
    )
    os.close(theirs)
    written = b""
    try:
        while piece := os.read(ours, 65536):
            written += piece
    except OSError:
        # Linux's way to say that the other side is closed.
        pass
    os.close(ours)
    assert running.wait(60) == 0, written
    text, _, statuses = written.decode().rpartition("STATUS ")
    return json.loads(statuses), text


ESC = "\x1b["


def test_a_terminal_sees_a_bar_with_rate_and_remaining_time(directory: Path, env: SyncEnvironment) -> None:
    filled(env, "a", 20_000)
    statuses, text = screen(directory, ["replicate", "a", "b", "--batch-size", "200"])
    assert statuses == [0]
    assert "a to b: 20,000 written" in text
    assert "━" in text
    assert "/s" in text
    assert "to go" in text
    assert ESC + "?25h" in text, "the cursor is shown again"


@pytest.mark.parametrize(
    ("variables", "columns"),
    [({"NO_COLOR": "1"}, 100), ({"TERM": "dumb"}, 100), ({}, 0), ({}, 7), ({"PYTHONIOENCODING": "ascii"}, 100)],
)
def test_poor_terminals(directory: Path, env: SyncEnvironment, variables: dict[str, str], columns: int) -> None:
    """No colour, no cursor movement, no width, no letters: what is told is the same."""
    filled(env, "a", 100)
    env["a"].put({"_id": "umläut \x1b[31m", "x": "日本"})
    commands = [["replicate", "a", "b"], ["ls", "a", "--prefix", "u"], ["tree", "a", "00001"]]
    statuses, text = screen(directory, *commands, columns=columns, **variables)
    text = text.replace("\r\n", "")
    assert statuses == [0, 0, 0]
    assert "101 written" in text
    assert "the winner" in text
    assert "\\x1b[31m" in text, "control codes of an id are shown, not obeyed"
    assert "\x1b[31mred" not in text
    if "NO_COLOR" in variables:
        assert ESC + "3" not in text
    if variables.get("TERM") == "dumb":
        assert ESC not in text


def test_a_pipe_gets_plain_lines(process: Process, env: SyncEnvironment) -> None:
    env["a"].put({"_id": "x" * 300, "n": 1})
    out, err = process("ls", "a", FORCE_COLOR="").communicate(timeout=60)
    assert out.split("\t")[0] == "x" * 300, "nothing is cut or wrapped"
    assert ESC not in out + err


def test_binary_is_not_thrown_at_a_terminal(directory: Path, env: SyncEnvironment) -> None:
    env["a"].put_attachment("doc", "b.bin", b"\x00\x1b[31m", "application/x-thing")
    commands = [["get", "a", "doc", "--attachment", "b.bin"], ["dump", "a"]]
    statuses, text = screen(directory, *commands)
    assert statuses == [1, 2]
    assert "--output" in text
