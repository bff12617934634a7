"""Names, paths and URLs; info, create, destroy, compact, backup, tree, conflicts, plugins, completion."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest

from pouchdb.cli.app import build
from pouchdb.cli.status import redacted
from pouchdb_core import SyncEnvironment, hookimpl
from pouchdb_core.errors import PluginError
from pouchdb_core.plugins import Plugins
from pouchdb_core.revisions import Tree

Cli = Callable[..., Any]
SECRET = "s3cr3t"


def test_importing_pouchdb_needs_neither_click_nor_rich() -> None:
    code = "import sys, pouchdb; print(sorted({'click', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from pouchdb import __main__

    monkeypatch.setattr(__main__, "find_spec", lambda name: None if name == "rich" else find_spec(name))
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 1
    assert "pip install 'pouchdb[cli]'" in capsys.readouterr().err


# -- names -----------------------------------------------------------------------------------------


def test_a_database_is_named_by_name_or_path(cli: Cli, env: SyncEnvironment, directory: Path) -> None:
    env["notes"].put({"_id": "a"})
    env["user/ada"].put({"_id": "b"})
    for name in ("notes", "data/notes", "./data/notes", "data/notes.pouchdb", str(directory / "notes")):
        assert cli("ls", name).lines[0][0] == "a", name
    assert cli("ls", "user/ada").lines[0][0] == "b"
    assert cli("ls", "data/user%2fada.pouchdb").lines[0][0] == "b"
    assert cli("--directory", "elsewhere", "ls", "data/notes").status == 0


@pytest.mark.parametrize("where", ["before", "after", "variable"])
def test_the_directory_is_chosen(cli: Cli, env: SyncEnvironment, directory: Path, monkeypatch: Any, where: str) -> None:
    env["notes"].put({"_id": "a"})
    monkeypatch.chdir(directory)
    if where == "variable":
        monkeypatch.setenv("POUCHDB_DIRECTORY", str(directory))
        assert cli("ls", "notes").status == 0
    elif where == "before":
        assert cli("-d", str(directory), "ls", "notes").status == 0
    else:
        assert cli("ls", "notes", "--directory", str(directory)).status == 0


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("nots", 3, "did you mean notes"),
        ("zzz", 3, "there are: notes"),
        ("", 2, "empty"),
        ("nowhere/notes", 3, "no database"),
        ("./nowhere/notes", 3, "no directory"),
        ("data/nots.pouchdb", 3, "no database"),
        ("ftp://ada:s3cr3t@host/db", 2, "http://"),
        ("http://ada:s3cr3t@127.0.0.1:1/db", 6, "cannot be reached"),
        ("http://ada:s3cr3t/x@127.0.0.1:1/db", 2, "must be escaped"),
        ("http://ada:s3cr3t@/db", 2, "not the URL"),
        ("http://", 1, "URL"),
        ("\x1b[31mred", 3, "\\x1b"),
        ("n" * 5000, 3, "no database"),
    ],
)
def test_wrong_names_and_urls(cli: Cli, env: SyncEnvironment, name: str, status: int, text: str) -> None:
    env["notes"].close()
    for command in (["info", name], ["changes", name], ["get", name, "a"], ["replicate", name, "notes"]):
        done = cli(*command)
        assert done.status == status, (command, done)
        assert text in done.err
        assert "\x1b" not in done.err
        assert SECRET not in done.err + done.out
        assert SECRET not in cli(*command, "--json").err
    assert env.names() == ["notes"], "a wrong name makes nothing"


def test_reading_makes_no_directory(cli: Cli, directory: Path) -> None:
    assert cli("-d", "elsewhere", "ls").status == 3
    assert cli("-d", "elsewhere", "info").status == 0
    assert not (directory.parent / "elsewhere").exists()


def test_credentials_are_taken_out_of_any_text() -> None:
    assert redacted("http://ada:pw@h/x and https://b@h/y") == "http://h/x and https://h/y"
    assert redacted("mail ada@example.org") == "mail ada@example.org"


def test_a_server_is_as_good_as_a_directory(cli: Cli, env: SyncEnvironment, monkeypatch: Any) -> None:
    testing = pytest.importorskip("pouchdb_server.testing")
    with testing.couch_server(admins={"ada": SECRET}) as server:
        url = server.url.replace("http://", "http://ada@") + "/far"
        assert cli("create", url).status == 5
        monkeypatch.setenv("POUCHDB_PASSWORD", SECRET)
        made = cli("create", url)
        assert made.status == 0
        assert cli("create", url).status == 4
        assert "far" in [line[0] for line in cli("ls", url.removesuffix("far")).lines]
        assert cli("put", url, '{"_id": "a", "x": 1}').status == 0
        for command in (["get", url, "a"], ["ls", url], ["changes", url], ["info", url], ["tree", url, "a"],
                        ["conflicts", url], ["compact", url], ["checkpoints", url], ["doctor", url],
                        ["query", url, "--map", "function (doc) { emit(1); }"], ["dump", url, "far.jsonl"],
                        ["replicate", url, "near"], ["sync", "near", url], ["rm", url, "a"]):  # fmt: skip
            done = cli(*command)
            assert done.status == 0, (command, done)
            assert SECRET not in done.out + done.err
        assert SECRET not in Path("far.jsonl").read_text()
        missing = cli("ls", url + "ther")
        assert (missing.status, cli("get", url, "zz").status) == (3, 3)
        assert cli("backup", url, "x.pouchdb").status == 1
        assert cli("destroy", url, "--yes").status == 0
        assert cli("ls", url).status == 3


# -- databases -------------------------------------------------------------------------------------


def test_create_and_destroy(cli: Cli, env: SyncEnvironment, monkeypatch: Any) -> None:
    assert cli("create", "notes").out == "created\tnotes\n"
    assert cli("create", "notes").status == 4
    assert cli("destroy", "notes", "--json").status == 2, "a script cannot be asked"
    done = cli("destroy", "notes")
    assert (done.status, "--yes" in done.err) == (2, True), "nor where there is no terminal"
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.confirm", lambda *args, **options: None)
    assert cli("destroy", "notes").status == 0
    assert env.names() == []
    assert cli("destroy", "notes", "--yes").status == 3
    env["note"].close()
    assert "did you mean" not in cli("destroy", "notes", "--yes").err, "a guess would be the wrong one to remove"
    assert "did you mean note?" in cli("info", "notes").err


def test_info(cli: Cli, env: SyncEnvironment) -> None:
    env["notes"].put({"_id": "a"})
    env.replicate("notes", "copy")
    told = dict(line for line in cli("info", "notes").lines if len(line) == 2)
    assert (told["doc_count"], told["  notes to copy"]) == ("1", "stopped")
    assert cli("info", "notes", "--json").json["doc_count"] == 1
    assert cli("info", "--json").json["databases"] == 2


def test_compact_and_backup(cli: Cli, env: SyncEnvironment, directory: Path) -> None:
    db = env["notes"]
    rev = db.put({"_id": "a", "text": "x" * 100_000}).rev
    for n in range(20):
        rev = db.put({"_id": "a", "_rev": rev, "text": str(n) * 100_000}).rev
    sizes = cli("compact", "notes", "--json").json
    assert sizes["after"] < sizes["before"] / 2
    (directory.parent / "backups").mkdir()
    assert cli("backup", "notes", "backups").status == 0
    assert cli("ls", "backups/notes").lines[0][0] == "a"
    again = cli("backup", "notes", "backups")
    assert again.status == 4
    assert "exists" in again.err


# -- trees -----------------------------------------------------------------------------------------


def conflicted(env: SyncEnvironment) -> None:
    db = env["notes"]
    rows = [("3-c", ["c", "b", "a"]), ("3-d", ["d", "b", "a"]), ("2-x", ["x", "a"]), ("1-z", ["z"])]
    docs: list[dict[str, Any]] = [
        {"_id": "doc", "_rev": rev, "_revisions": {"start": len(ids), "ids": ids}, "is": rev} for rev, ids in rows
    ]
    docs[2]["_deleted"] = True
    db.bulk_docs(docs, new_edits=False)


def test_the_tree_is_drawn(cli: Cli, env: SyncEnvironment) -> None:
    conflicted(env)
    assert cli("tree", "notes", "doc").out.splitlines() == [
        "doc",
        "├─ 1-a",
        "│  ├─ 2-b",
        "│  │  ├─ 3-d  the winner",
        "│  │  └─ 3-c  conflict",
        "│  └─ 2-x  deleted",
        "└─ 1-z  conflict",
    ]
    told = cli("tree", "notes", "doc", "--json").json
    assert told["winner"] == "3-d"
    assert {"rev": "2-b", "parent": "1-a", "body": False} in told["revisions"]
    assert cli("tree", "notes", "none").status == 3


def test_a_long_history_is_cut_unless_all_is_wanted(cli: Cli, env: SyncEnvironment) -> None:
    ids = [f"{n:032x}" for n in range(1000, 0, -1)]
    history = {"_id": "a", "_rev": f"1000-{ids[0]}", "_revisions": {"start": 1000, "ids": ids}}
    env["notes"].bulk_docs([history], new_edits=False)
    short = cli("tree", "notes", "a").out.splitlines()
    assert len(short) == 8
    assert "┆ 994 more" in short[4]
    assert len(cli("tree", "notes", "a", "--all").out.splitlines()) == 1001
    assert "the winner" in short[-1]


def test_a_tombstone_is_drawn(cli: Cli, env: SyncEnvironment) -> None:
    env["notes"].put({"_id": "a"})
    env["notes"].remove(env["notes"]["a"])
    assert cli("tree", "notes", "a").out.splitlines()[-1].endswith("  deleted, the winner")


def test_a_tree_in_ascii() -> None:
    from pouchdb.cli.trees import drawn

    tree = Tree()
    tree.merge(["2-b", "1-a"])
    tree.merge(["2-c", "1-a"])
    text = [
        "".join(part if isinstance(part, str) else part[0] for part in line) for line in drawn(tree, {}, unicode=False)
    ]
    assert text == ["1-a", "|- 2-c  the winner", "`- 2-b  conflict"]


def test_conflicts_are_listed_shown_and_resolved(cli: Cli, env: SyncEnvironment) -> None:
    conflicted(env)
    assert cli("conflicts", "notes").lines == [["doc", "3-d", "3-c 1-z"]]
    assert [each["doc"]["is"] for each in cli("conflicts", "notes", "doc", "--json").json] == ["3-d", "3-c", "1-z"]
    assert cli("conflicts", "notes", "doc", "--keep", "2-x").status == 3
    assert cli("conflicts", "notes", "--keep", "2-x").status == 2
    assert cli("conflicts", "notes", "doc", "--keep", "3-c").status == 0
    assert env["notes"].get("doc", conflicts=True)["is"] == "3-c"
    assert "_conflicts" not in env["notes"].get("doc", conflicts=True)
    assert cli("conflicts", "notes").out == ""


def test_all_conflicts_are_resolved_at_once(cli: Cli, env: SyncEnvironment) -> None:
    conflicted(env)
    assert cli("conflicts", "notes", "--keep-winners", "--json").json["removed"] == 2
    assert env["notes"]["doc"]["is"] == "3-d"
    assert list(env["notes"].conflicts()) == []


# -- plug-ins --------------------------------------------------------------------------------------


class Greeter:
    @hookimpl
    def pouchdb_commands(self, group: Any) -> None:
        import click

        @group.command()
        @click.argument("db")
        @click.pass_obj
        def greet(session: Any, db: str) -> None:
            """Greet a database."""
            session.output.pairs({"hello": session.database(db).name})


def test_hook_commands(cli: Cli, env: SyncEnvironment, monkeypatch: Any) -> None:
    """A command of a plug-in has the options, errors and statuses of every command."""
    monkeypatch.setattr("pouchdb.cli.app.installed_plugins", lambda: [("greeter", Greeter())])
    env["notes"].close()
    assert cli("greet", "notes").out == "hello\tnotes\n"
    assert cli("greet", "notes", "--json").json == {"hello": "notes"}
    assert cli("greet", "nots").status == 3
    assert "Commands of plug-ins:\n  greet" in cli("--help").out
    group, owners = build()
    assert (owners["greet"], owners["ls"]) == ("greeter", "pouchdb")
    both = Plugins([("one", Greeter()), ("two", Greeter())])
    with pytest.raises(PluginError, match="'one' and 'two' both bring a command 'greet'"):
        both.commands(type(group)("pouchdb"), "pouchdb")

    class Thief(Greeter):
        @hookimpl
        def pouchdb_commands(self, group: Any) -> None:
            group.commands["ls"] = group.commands["get"]

    monkeypatch.setattr("pouchdb.cli.app.installed_plugins", lambda: [("thief", Thief())])
    done = cli("ls")
    assert done.status == 1
    assert "'pouchdb' and 'thief' both bring a command 'ls'" in done.err


def test_plugins_tells_who_adds_what(cli: Cli) -> None:
    pytest.importorskip("pouchdb_server")
    told = {about["name"]: about for about in cli("plugins", "--json").json}
    assert told["server"]["commands"] == ["serve"]
    assert told["all_dbs"]["environment_methods"] == ["all_dbs", "reset_all_dbs"]
    assert "pouchdb_write_guards" in told["server"]["hooks"]
    core = {about["name"]: about for about in cli("plugins", "--core", "--json").json}
    assert any("sqlite" in about["adapters"] for about in core.values())
    assert "commands: serve" in cli("plugins").out


def test_a_plugin_that_cannot_be_loaded_is_named(cli: Cli, monkeypatch: Any) -> None:
    def broken() -> list[tuple[str, object]]:
        raise PluginError("plug-in 'x' of x-dist cannot be loaded: ImportError('y')")

    monkeypatch.setattr("pouchdb.cli.app.installed_plugins", broken)
    done = cli("ls")
    assert done.status == 1
    assert "plug-in 'x' of x-dist cannot be loaded" in done.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(cli: Cli, shell: str) -> None:
    assert "_POUCHDB_COMPLETE" in cli("completion", shell).out
    assert cli("completion", "tcsh").status == 2


def test_the_shell_is_offered_commands_and_options(process: Any, env: SyncEnvironment) -> None:
    env["notes"].close()
    done = process(_POUCHDB_COMPLETE="bash_complete", COMP_WORDS="pouchdb re", COMP_CWORD="1")
    assert done.communicate(timeout=60)[0].splitlines() == ["plain,replicate"]
    done = process(_POUCHDB_COMPLETE="bash_complete", COMP_WORDS="pouchdb replicate --li", COMP_CWORD="2")
    assert done.communicate(timeout=60)[0].splitlines() == ["plain,--live"]
    done = process(_POUCHDB_COMPLETE="bash_complete", COMP_WORDS="pouchdb get no", COMP_CWORD="2")
    assert done.communicate(timeout=60)[0].splitlines() == ["plain,notes"], "databases too"


def test_usage(cli: Cli) -> None:
    assert cli().status == 2
    assert cli("bogus").status == 2
    assert "pouchdb get [OPTIONS] DB ID" in cli("get").err
    assert cli("get", "--json").error["error"] == "usage"
    assert cli("--version").out.startswith("pouchdb ")
    assert cli("-V").out == cli("--version").out
    assert cli("help").out.startswith("Usage: pouchdb [OPTIONS] COMMAND")
    assert cli("help", "views", "build").out.startswith("Usage: pouchdb views build")
    assert cli("help", "get", "x").status == 2
    assert cli("help", "bogus").status == 2
    commands = build()[0].commands
    names = [(name,) for name, command in commands.items() if not isinstance(command, click.Group)]
    groups = [(name, command) for name, command in commands.items() if isinstance(command, click.Group)]
    names += [(name, each) for name, group in groups for each in group.commands]
    for name in names:
        done = cli(*name, "--help")
        assert done.status == 0
        assert "--json" in done.out
