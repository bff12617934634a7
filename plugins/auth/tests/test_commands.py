"""``pouchdb user`` and ``pouchdb security``."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rich", reason="the command needs the extra cli")

import pouchdb
from pouchdb.cli.app import run
from pouchdb_core.errors import Unauthorized


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run the command: ``cli("user", "list", given="text")`` returns status, standard output and errors."""
    monkeypatch.setenv("POUCHDB_DIRECTORY", str(tmp_path))
    with pouchdb.setup(str(tmp_path)) as environment:
        environment["notes"].put({"_id": "a"})
        environment.auth_settings(iterations=10)

    def call(*arguments: str, given: str = "") -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        status = run(list(arguments))
        return (int(status), *capsys.readouterr())

    return call


def logs_in(path: Path, name: str, password: str) -> bool:
    with pouchdb.setup(str(path)) as environment:
        try:
            return bool(environment["notes"].login(name, password).ok)
        except Unauthorized:
            return False


def test_users(cli: Any, tmp_path: Path) -> None:
    arguments = ("user", "add", "ada", "--role", "editor", "--role", "chief", "--metadata", '{"mail": "x"}')
    assert cli(*arguments, given="secret\n")[0] == 0
    assert logs_in(tmp_path, "ada", "secret")
    assert cli("user", "add", "Zoë Ann", given="pw\r\n")[0] == 0
    status, out, _ = cli("user", "list")
    assert (status, out.splitlines()) == (0, ["Zoë Ann\t", "ada\teditor, chief"])
    lines = cli("--json", "user", "list")[1].splitlines()
    assert [json.loads(line) for line in lines][1] == {"name": "ada", "roles": ["editor", "chief"]}
    assert cli("user", "passwd", "ada", given="other\n")[0] == 0
    assert (logs_in(tmp_path, "ada", "secret"), logs_in(tmp_path, "ada", "other")) == (False, True)
    assert cli("user", "remove", "ada")[0] == 0
    assert not logs_in(tmp_path, "ada", "other")


def test_administrators(cli: Any, tmp_path: Path) -> None:
    assert cli("user", "add", "root", "--admin", given="secret\n")[0] == 0
    assert logs_in(tmp_path, "root", "secret")
    assert cli("user", "passwd", "root", "--admin", given="other\n")[0] == 0
    assert (logs_in(tmp_path, "root", "secret"), logs_in(tmp_path, "root", "other")) == (False, True)


def test_what_is_wrong(cli: Any) -> None:
    assert cli("user", "add", "ada", given="pw\n")[0] == 0
    status, _, err = cli("user", "add", "ada", given="pw\n")
    assert status != 0
    assert "conflict" in err.lower()
    assert "password" in cli("user", "add", "eve", given="")[2]
    assert cli("user", "add", "a:b", given="pw\n")[0] != 0
    assert cli("user", "add", "eve", "--metadata", '{"name": "x"}', given="pw\n")[0] != 0
    assert cli("user", "passwd", "nobody", given="pw\n")[0] != 0
    assert cli("user", "remove", "nobody")[0] != 0
    assert cli("user", "list", "--server", "nowhere")[0] != 0
    assert cli("security", "nowhere")[0] != 0


def test_security(cli: Any, tmp_path: Path) -> None:
    arguments = ("--member", "ada", "--member", "bob", "--member-role", "staff", "--admin", "ann")
    assert cli("security", "notes", *arguments)[0] == 0
    shown = json.loads(cli("--json", "security", "notes")[1])
    assert shown["members"] == {"names": ["ada", "bob"], "roles": ["staff"]}
    assert shown["admins"]["names"] == ["ann"]
    assert cli("security", "notes", "--remove", "bob", "--remove", "staff", "--admin-role", "chief")[0] == 0
    status, out, _ = cli("security", "notes")
    assert status == 0
    lines = ["members\tnames\tada", "members\troles\t", "admins\tnames\tann", "admins\troles\tchief"]
    assert out.splitlines() == lines
    assert cli("security", "notes", "--set", "{}")[0] == 0
    assert json.loads(cli("--json", "security", "notes")[1]) == {}


def test_users_of_a_server(cli: Any) -> None:
    pytest.importorskip("pouchdb_server", reason="the server is a plug-in of its own")
    from pouchdb_server.testing import couch_server

    with (
        pouchdb.setup(":memory:", plugins=["server", "auth"]) as environment,
        couch_server(environment, admins={"root": "secret"}) as server,
    ):
        environment.auth_settings(iterations=10)
        assert environment["_users"].info().doc_count == 1
        url = server.url.replace("//", "//root:secret@")
        assert cli("user", "add", "ada", "--server", url, "--role", "x", given="pw\n")[0] == 0
        assert cli("user", "list", "--server", url)[1] == "ada\tx\n"
        assert environment["notes"].multi_user_log_in("ada", "pw").ok
        assert cli("user", "remove", "ada", "--server", url)[0] == 0
        assert cli("user", "list", "--server", url)[1] == ""
