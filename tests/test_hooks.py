"""Every hook of the core, one test each, by a small plug-in class."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pluggy
import pytest

import pouchdb
from pouchdb_core import Record, SyncEnvironment, SyncPouchDB, Transform, hookimpl, hookspec, operation, registering
from pouchdb_core.adapters.base import Place, Storage
from pouchdb_core.adapters.sqlite.sqlite_adapter import MemoryAdapter
from pouchdb_core.dump import dump, load
from pouchdb_core.errors import BadRequest, Conflict, Forbidden, NotFound, PluginError
from pouchdb_core.requests import (
    Administer,
    AnyRequest,
    Changes,
    Destroy,
    Listing,
    Open,
    Read,
    Replicate,
    UserContext,
    Write,
)

SetUp = Callable[..., SyncEnvironment]


@pytest.fixture
def set_up() -> Iterator[SetUp]:
    made: list[SyncEnvironment] = []

    def make(*plugins: object, where: Any = ":memory:") -> SyncEnvironment:
        made.append(pouchdb.setup(where, plugins=plugins))
        return made[-1]

    yield make
    for environment in made:
        environment.close()


class Log:
    """Collects what a plug-in was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []


# -- set-up --------------------------------------------------------------------------------------


class HostSpecs:
    @hookspec
    def greeter_greeting(self, name: str) -> str:  # type: ignore[empty-body]
        """Return a greeting."""

    @hookspec
    def pouchdb_greeting(self, name: str) -> str:  # type: ignore[empty-body]
        """Return a greeting."""


class Host:
    """A plug-in that has plug-ins itself."""

    @hookimpl
    def pouchdb_addhooks(self, manager: pluggy.PluginManager) -> None:
        manager.add_hookspecs(HostSpecs)
        self.manager = manager


class Guest:
    @hookimpl(optionalhook=True)
    def pouchdb_greeting(self, name: str) -> str:
        return f"hello {name}"


@pytest.mark.parametrize("guest_first", [False, True], ids=["host first", "guest first"])
def test_hook_addhooks(set_up: SetUp, guest_first: bool) -> None:
    host, guest = Host(), Guest()
    set_up(*((guest, host) if guest_first else (host, guest)))
    assert host.manager.hook.pouchdb_greeting(name="Ada") == ["hello Ada"]


def test_a_guest_without_its_host(set_up: SetUp) -> None:
    assert set_up(Guest())["notes"].put({"_id": "a"}).ok


def test_a_guest_that_disagrees_with_its_host_is_refused(set_up: SetUp) -> None:
    class Wrong:
        @hookimpl(optionalhook=True)
        def pouchdb_greeting(self, nam: str) -> str:
            return nam

    for plugins in ((Host(), Wrong()), (Wrong(), Host())):
        with pytest.raises(PluginError, match=r"Wrong-[0-9a-f]+.*pouchdb_greeting(.|\n)*'nam'"):
            set_up(*plugins)


class ThirdAdapter(MemoryAdapter):
    name = "third"
    options = MemoryAdapter.options | {"colour"}


def test_hook_adapters(set_up: SetUp) -> None:
    class Third:
        @hookimpl
        def pouchdb_adapters(self) -> list[type[ThirdAdapter]]:
            return [ThirdAdapter]

    env = set_up(Third())
    db = env.PouchDB("notes", adapter="third", colour="green")
    db.put({"_id": "a"})
    assert db.info().adapter == "third"
    # Who says no adapter gets the one that has the database: what is listed can be opened and destroyed.
    assert env["notes"].info().adapter == "third"
    assert env["other"].info().adapter == "memory"
    assert list(env) == ["notes", "other"]
    del env["notes"]
    assert list(env) == ["other"]


def test_hook_storages(set_up: SetUp) -> None:
    class Shelves(Log):
        @hookimpl
        def pouchdb_adapters(self) -> list[type[MemoryAdapter]]:
            return [Shelf]

        @hookimpl
        def pouchdb_storages(self, url: str) -> Storage | None:
            self.told.append(url)
            return Storage("shelf") if url.startswith("shelf://") else None

    class Shelf(MemoryAdapter):
        name = "shelf"
        urls: ClassVar[list[str | None]] = []

        @classmethod
        def open(cls, place: Place, name: str, options: Mapping[str, Any]) -> MemoryAdapter:
            cls.urls.append(place.url)
            return super().open(place, name, options)

    shelves = Shelves()
    env = pouchdb.setup("shelf://anna:secret@wall/3", plugins=[shelves])
    try:
        assert env["notes"].info().adapter == "shelf"
        assert (Shelf.urls, shelves.told) == (["shelf://anna:secret@wall/3"], ["shelf://anna:secret@wall/3"])
        assert pouchdb.setup("shelf://anna:secret@wall/3", plugins=[shelves]) is env
        assert env.plugin_directory("x").is_dir()
    finally:
        env.close()
    with pytest.raises(BadRequest, match=r"databases at other:// URLs; setup\(\) takes a directory\"}$"):
        pouchdb.setup("other://anna:secret@wall", plugins=[shelves])
    with pytest.raises(BadRequest, match=r"a database on a server is opened by its URL: setup\(\)\[url\]"):
        pouchdb.setup("http://127.0.0.1:5984", plugins=[])


def test_hook_choose_adapter(set_up: SetUp) -> None:
    class Chooser(Log):
        @hookimpl
        def pouchdb_adapters(self) -> list[type[ThirdAdapter]]:
            return [ThirdAdapter]

        @hookimpl
        def pouchdb_choose_adapter(self, environment: SyncEnvironment, name: str, options: Any) -> str | None:
            self.told.append((name, dict(options)))
            return "third" if name.startswith("_") else None

    env = set_up(plugin := Chooser())
    assert env["_users"].info().adapter == "third"
    assert env.PouchDB("notes", auto_compaction=True).info().adapter == "memory"
    assert env.PouchDB("_users", adapter="memory").info().adapter == "memory"
    assert plugin.told == [("_users", {}), ("notes", {"auto_compaction": True})]


def count_words(env: SyncEnvironment, name: str, *, at_least: int = 0) -> int:
    """Count the words of all documents."""
    return sum(len(row.doc.text.split()) for row in env[name].all_docs(include_docs=True).rows if at_least == 0)


def test_hook_environment_methods(set_up: SetUp) -> None:
    class Methods:
        @hookimpl
        def pouchdb_environment_methods(self) -> list[Any]:
            return [operation(count_words, reads=True)]

    env: Any = set_up(Methods())
    env["notes"].put({"_id": "a", "text": "one two"})
    assert env.count_words("notes") == env.countWords("notes") == 2
    assert env.count_words.__doc__ == "Count the words of all documents."
    with pytest.raises(pouchdb.PouchDBError, match="it takes: name, at_least"):
        env.count_words("notes", atleast=1)
    assert not hasattr(set_up(), "count_words")


def first_word(db: SyncPouchDB, id: str) -> str:
    return str(db.get(id).text.split()[0])


def test_hook_database_methods(set_up: SetUp) -> None:
    class Methods:
        @hookimpl
        def pouchdb_database_methods(self) -> list[Any]:
            return [operation(first_word, reads=True)]

    db: Any = set_up(Methods())["notes"]
    db.put({"_id": "a", "text": "one two"})
    assert db.first_word("a") == db.firstWord("a") == db.as_user(None).first_word("a") == "one"
    assert isinstance(db, pouchdb.SyncPouchDB)
    assert not hasattr(set_up()["notes"], "first_word")


def test_methods_that_register_answer_at_once_on_every_kind_of_database(tmp_path: Path) -> None:
    def noted(subject: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        """Note a function."""
        assert isinstance(subject, (SyncPouchDB, SyncEnvironment))
        told.append(function)
        return function

    class Notes:
        @hookimpl
        def pouchdb_database_methods(self) -> list[Any]:
            return [registering(noted, name="note_that")]

        @hookimpl
        def pouchdb_environment_methods(self) -> list[Any]:
            return [registering(noted, name="note_that")]

    told: list[Any] = []
    with pouchdb.setup(tmp_path, plugins=[Notes()]) as env:
        for subject in (env, env.async_view, env["a"], env.async_view["a"]):

            @subject.note_that  # type: ignore[union-attr]
            def function() -> None:
                raise AssertionError("only noted")

            assert told[-1] is function
            assert subject.noteThat(function) is function  # type: ignore[union-attr]
            with pytest.raises(BadRequest, match=r"note_that\(\): missing a required argument: 'function'"):
                subject.note_that()  # type: ignore[union-attr]
        assert len(told) == 8


def test_hook_environment_opened(set_up: SetUp) -> None:
    class Opened(Log):
        @hookimpl
        def pouchdb_environment_opened(self, environment: SyncEnvironment) -> None:
            # Ready to be used, methods of plug-ins included.
            environment["made at set-up"].put({"_id": "a"})
            self.told.append(environment)

    plugin = Opened()
    env = set_up(plugin)
    assert plugin.told == [env]
    assert list(env) == ["made at set-up"]


def test_an_environment_that_a_plugin_refuses_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refuses:
        @hookimpl
        def pouchdb_environment_opened(self, environment: SyncEnvironment) -> None:
            raise PluginError("not today")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(PluginError, match="not today"):
        pouchdb.setup(plugins=[Refuses()])
    assert list(tmp_path.iterdir()) == []


# -- opening -------------------------------------------------------------------------------------


def test_hook_open(set_up: SetUp) -> None:
    class Opens(Log):
        @hookimpl(wrapper=True)
        def pouchdb_open(self, environment: SyncEnvironment, request: Open) -> Iterator[None]:
            if request.name == "secret":
                raise Forbidden("not that one")
            db = yield
            self.told.append((request, db))
            return db

    env = set_up(plugin := Opens())
    db = env.PouchDB("notes", revs_limit=5)
    assert plugin.told == [(Open("notes", None, {"revs_limit": 5}), db)]
    with pytest.raises(Forbidden, match="not that one"):
        env["secret"]
    assert list(env) == ["notes"]


class Announcements(Log):
    @hookimpl
    def pouchdb_database_created(self, database: SyncPouchDB) -> None:
        self.told.append(("created", database.name, database.info().doc_count))

    @hookimpl
    def pouchdb_database_opened(self, database: SyncPouchDB) -> None:
        self.told.append(("opened", database.name, database.info().doc_count))

    @hookimpl
    def pouchdb_database_closed(self, database: SyncPouchDB) -> None:
        self.told.append(("closed", database.name, database.closed))

    @hookimpl
    def pouchdb_database_destroyed(self, environment: SyncEnvironment, name: str) -> None:
        self.told.append(("destroyed", name, list(environment)))

    @hookimpl
    def pouchdb_environment_closing(self, environment: SyncEnvironment) -> None:
        self.told.append(("closing", [environment[name].name for name in environment], environment.closed))


@pytest.fixture(params=["file", "memory"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return tmp_path / "data" if request.param == "file" else ":memory:"


def test_hook_database_created(set_up: SetUp, where: Any) -> None:
    env = set_up(plugin := Announcements(), where=where)
    env["notes"].put({"_id": "a"})
    assert plugin.told == [("created", "notes", 0), ("opened", "notes", 0)]
    env["notes"].destroy()
    env["notes"]
    assert plugin.told[-2:] == [("created", "notes", 0), ("opened", "notes", 0)]


def test_hook_database_opened(set_up: SetUp, where: Any) -> None:
    env = set_up(plugin := Announcements(), where=where)
    env["notes"].put({"_id": "a"})
    del plugin.told[:]
    env["notes"].as_user({"name": "ada"})
    assert plugin.told == [("opened", "notes", 1)]


# -- operations ----------------------------------------------------------------------------------


class Wrapper(Log):
    """Wraps an operation: notes the request, calls ``before``, hands the result to ``after``."""

    def __init__(self, before: Callable[[Any], None] | None = None, after: Callable[[Any], Any] | None = None) -> None:
        super().__init__()
        self.before, self.after = before or (lambda request: None), after or (lambda result: result)

    def wrap(self, subject: Any, request: Any) -> Iterator[Any]:
        self.told.append(request)
        self.before(request)
        result = yield
        return self.after(result)


def refuse(request: Any) -> None:
    raise Forbidden("not you")


class WriteWrapper(Wrapper):
    @hookimpl(wrapper=True)
    def pouchdb_write(self, database: SyncPouchDB, request: Write) -> Any:
        return (yield from self.wrap(database, request))


def test_hook_transforms(set_up: SetUp) -> None:
    class Shouts(Transform):
        def outgoing(self, doc: Record, request: Any) -> Record:
            doc["text"] = doc["text"].upper()
            return doc

    class Shouting(Log):
        @hookimpl
        def pouchdb_transforms(self, database: SyncPouchDB) -> Transform | None:
            self.told.append(database.name)
            return Shouts() if database.name == "loud" else None

    env = set_up(shouting := Shouting())
    for name, text in (("loud", "HELLO"), ("quiet", "hello")):
        env[name].put({"_id": "a", "text": "hello"})
        assert env[name]["a"].text == text
    assert shouting.told == ["loud", "quiet"]


class Rights(Log):
    """Lets users without the role only read."""

    @hookimpl
    def pouchdb_authorise(
        self, environment: SyncEnvironment, database: SyncPouchDB | None, request: AnyRequest
    ) -> None:
        what = request.action if isinstance(request, Administer) else type(request).__name__
        self.told.append((None if database is None else database.name, what, request.user and request.user.name))
        if isinstance(request, (Write, Destroy, Administer)) and "editor" not in request.user.roles:  # type: ignore[union-attr]
            raise Forbidden(f"{what} is not for you")


CALLS: list[tuple[str, Callable[[SyncPouchDB], Any]]] = [
    ("Write", lambda db: db.put({"_id": "b"})),
    ("Write", lambda db: db.bulk_docs([{"_id": "_local/b"}])),
    ("info", lambda db: db.info()),
    ("id", lambda db: db.id()),
    ("get_security", lambda db: db.get_security()),
    ("put_security", lambda db: db.put_security({})),
    ("compact", lambda db: db.compact()),
    ("purge", lambda db: db.purge("a", "1-a")),
    ("purge", lambda db: db.purge({"a": ["1-a"]})),
    ("revs_limit", lambda db: db.revs_limit()),
    ("revs_limit", lambda db: db.revs_limit(5)),
    ("revs_diff", lambda db: db.revs_diff({"a": ["1-a"]})),
    ("view_cleanup", lambda db: db.view_cleanup()),
    ("conflicts", lambda db: list(db.conflicts())),
    ("design_documents", lambda db: db.design_documents()),
    ("integrity_check", lambda db: db.integrity_check()),
    ("backup", lambda db: db.backup("/nowhere/at/all")),
    ("dump", lambda db: dump(db, io.BytesIO())),
    ("load", lambda db: load(db, io.BytesIO())),
    ("close", lambda db: db.close()),
    ("Destroy", lambda db: db.destroy()),
    ("Destroy", lambda db: db.environment.destroy("notes")),
]


@pytest.mark.parametrize(("name", "call"), CALLS, ids=[f"{number} {name}" for number, (name, _) in enumerate(CALLS)])
@pytest.mark.parametrize("how", ["as_user", "environment", "current"])
def test_hook_authorise(set_up: SetUp, name: str, call: Callable[[SyncPouchDB], Any], how: str) -> None:
    env = set_up(rights := Rights())
    db = env["notes"]
    db.put({"_id": "a"})
    assert rights.told == []
    eve = {"name": "eve", "roles": ["reader"]}
    if how == "current":
        env.set_current_user(eve)
        view = db
    else:
        view = db.as_user(eve) if how == "as_user" else env.as_user(eve)["notes"]
    with pytest.raises(Forbidden, match=f"{name} is not for you"):
        call(view)
    assert view.get("a")._id == "a"
    assert len(view.all_docs().rows) == len(list(view.changes().results)) == 1
    assert rights.told[-3:] == [("notes", kind, "eve") for kind in ("Read", "Listing", "Changes")]
    # The program itself may do everything.
    assert db.as_user(None).put({"_id": "b"}).ok


def test_what_causes_requests_of_others_is_authorised(set_up: SetUp) -> None:
    env = set_up(rights := Rights())
    source, target = env["source"], env["target"]
    source.put({"_id": "a"})
    eve = env.as_user({"name": "eve"})
    with pytest.raises(Forbidden):
        eve.replicate("source", "target")
    # By name, too, a database is opened on the behalf of who asks.
    with pytest.raises(Forbidden):
        source.as_user({"name": "eve"}).replicate_to("target")
    assert list(target) == []
    assert (None, "Open", "eve") in rights.told
    ada = env.as_user({"name": "ada", "roles": ["editor"]})
    assert ada["source"].replicate_to("target").docs_written == 1
    assert {(None, "Replicate", "ada"), ("source", "Changes", "ada"), ("target", "Write", "ada")} <= set(rights.told)


def test_hook_administer(set_up: SetUp) -> None:
    class Keeper(Log):
        @hookimpl(wrapper=True)
        def pouchdb_administer(self, database: SyncPouchDB, request: Administer) -> Iterator[None]:
            self.told.append((database.name, request.action, dict(request.arguments), request.user, request.purpose))
            if request.action == "purge":
                raise Forbidden("nothing is purged here")
            answer = yield
            return Record(answer, kept=True) if request.action == "info" else answer  # type: ignore[return-value]

    db = set_up(keeper := Keeper())["notes"]
    rev = db.put({"_id": "a"}).rev
    assert db.info().kept is True
    with pytest.raises(Forbidden, match="nothing is purged"):
        db.purge("a", rev)
    assert db.compact() is None
    assert db.revs_limit(7) == 7
    assert db.as_user({"name": "ada"}).put_security({"x": 1}) == {"ok": True}
    assert keeper.told == [
        ("notes", "info", {}, None, "api"),
        ("notes", "purge", {"revs": {"a": [rev]}}, None, "api"),
        ("notes", "compact", {"interval": None}, None, "api"),
        ("notes", "revs_limit", {"limit": 7}, None, "api"),
        ("notes", "put_security", {"security": {"x": 1}}, UserContext("ada"), "api"),
    ]


def test_hook_write(set_up: SetUp, where: Any) -> None:
    def add_note(outcomes: Any) -> Any:
        return [Record(each, note="seen") if isinstance(each, Record) else each for each in outcomes]

    db = set_up(plugin := WriteWrapper(after=add_note), where=where)["notes"]
    assert db.put({"_id": "a"}).note == "seen"
    assert [each.get("note") for each in db.bulk_docs([{"_id": "b"}, {"_id": "_b"}])] == ["seen", None]
    db.post({})
    db.put_attachment("b", "text", b"x", rev=db.get("b")._rev)
    db.remove(db.get("a"))
    db.put({"_id": "_local/a"})
    assert [len(request.docs) for request in plugin.told] == [1, 2, 1, 1, 1, 1]

    db = set_up(WriteWrapper(refuse))["notes"]
    with pytest.raises(Forbidden, match="not you"):
        db.put({"_id": "a"})
    assert len(db) == 0


def test_a_wrapper_sees_what_the_operation_raised(set_up: SetUp) -> None:
    class Retries:
        @hookimpl(wrapper=True)
        def pouchdb_read(self, database: SyncPouchDB, request: Read) -> Any:
            try:
                return (yield)
            except NotFound:
                # What it returns is the result.
                return Record(_id=request.id, made_up=True)

    db = set_up(Retries())["notes"]
    assert db.get("nobody").made_up


def test_a_wrapper_that_loses_the_result_is_named(set_up: SetUp) -> None:
    class Loses:
        @hookimpl(wrapper=True)
        def pouchdb_read(self, database: SyncPouchDB, request: Read) -> Any:
            yield

    db = set_up(Loses())["notes"]
    db.put({"_id": "a"})
    with pytest.raises(PluginError, match=r"pouchdb_read has no result: .*'Loses-"):
        db.get("a")


def test_hook_read(set_up: SetUp) -> None:
    class ReadWrapper(Wrapper):
        @hookimpl(wrapper=True)
        def pouchdb_read(self, database: SyncPouchDB, request: Read) -> Any:
            return (yield from self.wrap(database, request))

    env = set_up(plugin := ReadWrapper(after=lambda result: {**result, "read": True}))
    db = env["notes"]
    db.put({"_id": "a"})
    assert db.get("a")["read"]
    assert plugin.told[-1].id == "a"
    db = set_up(ReadWrapper(refuse))["notes"]
    for read in (lambda: db.get("a"), lambda: db.bulk_get([{"id": "a"}]), lambda: db.get_attachment("a", "b")):
        with pytest.raises(Forbidden):
            read()


def test_a_plugin_may_answer_an_operation_instead_of_the_core(set_up: SetUp) -> None:
    class Clock:
        @hookimpl
        def pouchdb_read(self, database: SyncPouchDB, request: Read) -> Any:
            return Record(_id="clock", time=12) if request.id == "clock" else None

    db = set_up(Clock())["notes"]
    db.put({"_id": "a"})
    assert db.get("clock").time == 12
    assert db.get("a")._id == "a"


def test_hook_list(set_up: SetUp) -> None:
    class ListWrapper(Wrapper):
        @hookimpl(wrapper=True)
        def pouchdb_list(self, database: SyncPouchDB, request: Listing) -> Any:
            return (yield from self.wrap(database, request))

    def hide(result: Record) -> Record:
        return Record(result, rows=[row for row in result.rows if not row.id.startswith("hidden")])

    db = set_up(plugin := ListWrapper(after=hide))["notes"]
    db.bulk_docs([{"_id": "a"}, {"_id": "hidden"}])
    assert [row.id for row in db.all_docs(limit=10).rows] == ["a"]
    assert plugin.told[-1].limit == 10
    with pytest.raises(Forbidden):
        set_up(ListWrapper(refuse))["notes"].all_docs()


def test_hook_changes(set_up: SetUp) -> None:
    class Hides(Log):
        @hookimpl(wrapper=True)
        def pouchdb_changes(self, database: SyncPouchDB, request: Changes) -> Any:
            rows = yield
            self.told.append(request)
            return self.visible(rows)

        @staticmethod
        def visible(rows: Iterator[Record]) -> Iterator[Record]:
            while True:
                try:
                    row = next(rows)
                except StopIteration as stop:
                    # Where to go on is after the hidden rows too.
                    return stop.value
                if not row.id.startswith("hidden"):
                    yield row

    db = set_up(plugin := Hides())["notes"]
    db.bulk_docs([{"_id": "hidden1"}, {"_id": "a"}, {"_id": "hidden2"}])
    feed = db.changes(since=0)
    assert [row.id for row in feed.results] == ["a"]
    assert feed.last_seq == 3
    assert plugin.told[-1].since == 0


def test_a_plain_iterator_may_answer_changes(set_up: SetUp) -> None:
    class Plain:
        @hookimpl
        def pouchdb_changes(self, database: SyncPouchDB) -> Any:
            return iter([Record(seq=7, id="a", changes=[])])

    feed = set_up(Plain())["notes"].changes()
    assert (feed.last_seq, [row.id for row in feed.results]) == (7, ["a"])


def test_hook_write_guards(set_up: SetUp, where: Any) -> None:
    class Guards(Log):
        @hookimpl
        def pouchdb_write_guards(self, database: SyncPouchDB, request: Write) -> Any:
            self.told.append((database.name, len(request.docs)))
            if request.purpose == "index":
                return None
            return lambda proposed: [Forbidden("no") if each.new.get("bad") else None for each in proposed]

    db = set_up(plugin := Guards(), where=where)["notes"]
    answers = db.bulk_docs([{"_id": "a"}, {"_id": "b", "bad": True}, {"_id": "c"}])
    assert [each.get("name") for each in answers] == [None, "forbidden", None]
    assert list(db) == ["a", "c"]
    db.with_purpose("index").put({"_id": "b", "bad": True})
    assert plugin.told == [("notes", 3), ("notes", 1)]


def test_hook_documents_written(set_up: SetUp, where: Any) -> None:
    class Written(Log):
        @hookimpl
        def pouchdb_documents_written(self, database: SyncPouchDB, results: Any) -> None:
            seen: list[Any] = []

            def read() -> None:
                seen.extend(each["id"] for each in results if database.get(each["id"]))

            # Committed: this thread and any other can read the documents.
            read()
            thread = threading.Thread(target=read)
            thread.start()
            thread.join(30)
            self.told.append(seen)

    db = set_up(plugin := Written(), where=where)["notes"]
    db.bulk_docs([{"_id": "a"}, {"_id": "_bad"}, {"_id": "b"}])
    db.put({"_id": "c"})
    with pytest.raises(Conflict):
        db.put({"_id": "c"})
    db.bulk_docs([{"_id": "r", "_rev": "1-abc"}], new_edits=False)
    assert plugin.told == [["a", "b"] * 2, ["c"] * 2, ["r"] * 2]


@pytest.mark.parametrize("wrapped", [False, True])
def test_hooks_of_writes_are_called_in_one_order_with_the_arguments_they_name(set_up: SetUp, wrapped: bool) -> None:
    calls: list[str] = []

    class Both:
        @hookimpl
        def pouchdb_write_guards(self, database: SyncPouchDB, request: Write) -> None:
            calls.append(f"guards {len(request.docs)}")

        @hookimpl
        def pouchdb_documents_written(self, database: SyncPouchDB, results: Any) -> None:
            calls.append(f"written {len(results)}")

    class First:
        @hookimpl(tryfirst=True)
        def pouchdb_write_guards(self, database: SyncPouchDB, request: Write) -> Any:
            calls.append("first")
            return lambda proposed: [Forbidden("no") if each.new["_id"] == "no" else None for each in proposed]

    class Turned:
        @hookimpl(trylast=True)
        def pouchdb_documents_written(self, results: Any, database: SyncPouchDB) -> None:
            calls.append(f"turned {database.name} {len(results)}")

    class Wrapper:
        @hookimpl(wrapper=True)
        def pouchdb_write_guards(self) -> Any:
            calls.append("around")
            return (yield)

        @hookimpl(wrapper=True)
        def pouchdb_documents_written(self) -> Any:
            calls.append("around")
            return (yield)

    db = set_up(Turned(), First(), Both(), *([Wrapper()] if wrapped else []))["notes"]
    outcomes = db.bulk_docs([{"_id": "yes"}, {"_id": "no"}])
    assert ["error" in each for each in outcomes] == [False, True]
    around = ["around"] if wrapped else []
    assert calls == [*around, "first", "guards 2", *around, "written 1", "turned notes 1"]


def test_what_a_listener_for_written_documents_raises_reaches_the_writer(set_up: SetUp) -> None:
    class Raises:
        @hookimpl
        def pouchdb_documents_written(self) -> None:
            raise RuntimeError("the index is broken")

    db = set_up(Raises())["notes"]
    with pytest.raises(RuntimeError, match="the index is broken"):
        db.put({"_id": "a"})
    assert list(db) == ["a"]


def test_hook_replicate(set_up: SetUp, where: Any) -> None:
    class Border(Log):
        @hookimpl(wrapper=True)
        def pouchdb_replicate(self, environment: SyncEnvironment, request: Replicate) -> Any:
            self.told.append((environment, request.source.name, request.target.name))
            if request.target.name == "abroad":
                raise Forbidden("not over there")
            return (yield)

    env = set_up(plugin := Border(), where=where)
    env["notes"].put({"_id": "a"})
    assert env.replicate("notes", "copy").ok
    assert list(env["copy"]) == ["a"]
    with pytest.raises(Forbidden, match="not over there"):
        env.replicate("notes", "abroad")
    assert plugin.told == [(env, "notes", "copy"), (env, "notes", "abroad")]


# -- the end -------------------------------------------------------------------------------------


def test_hook_database_closed(set_up: SetUp, where: Any) -> None:
    env = set_up(plugin := Announcements(), where=where)
    db, other = env["notes"], env["notes"]
    del plugin.told[:]
    db.close()
    db.close()
    assert plugin.told == [("closed", "notes", True)]
    assert other.info().doc_count == 0
    env.close()
    assert plugin.told.count(("closed", "notes", True)) == 2
    assert other.closed


def test_hook_destroy(set_up: SetUp) -> None:
    class Protects(Log):
        @hookimpl(wrapper=True)
        def pouchdb_destroy(self, environment: SyncEnvironment, request: Destroy) -> Any:
            self.told.append(request)
            if request.name == "precious":
                raise Forbidden("not that one")
            return (yield)

    env = set_up(plugin := Protects())
    env["notes"], env["precious"]
    env["notes"].destroy()
    for destroy in (lambda: env.destroy("precious"), lambda: env["precious"].destroy()):
        with pytest.raises(Forbidden):
            destroy()
    assert list(env) == ["precious"]
    assert [request.name for request in plugin.told] == ["notes", "precious", "precious"]


def test_hook_database_destroyed(set_up: SetUp, where: Any) -> None:
    env = set_up(plugin := Announcements(), where=where)
    env["notes"]
    del plugin.told[:]
    env.destroy("notes")
    env.destroy("never existed")
    assert plugin.told == [("destroyed", "notes", []), ("destroyed", "never existed", [])]


def test_hook_environment_closing(set_up: SetUp, where: Any) -> None:
    env = set_up(plugin := Announcements(), where=where)
    env["notes"]
    del plugin.told[:]
    env.as_user({"name": "ada"}).close()
    env.close()
    told = [each for each in plugin.told if each[0] == "closing"]
    assert told == [("closing", ["notes"], False)]
    assert env.closed


def test_an_environment_closes_whatever_a_plugin_raises(set_up: SetUp, tmp_path: Path) -> None:
    class Raises:
        @hookimpl
        def pouchdb_environment_closing(self) -> None:
            raise RuntimeError("closing")

        @hookimpl
        def pouchdb_database_closed(self) -> None:
            raise RuntimeError("closed")

    env = set_up(Raises(), where=tmp_path)
    db, other = env["notes"], env["other"]
    with pytest.raises(RuntimeError):
        env.close()
    assert env.closed
    assert db.closed
    assert other.closed
    env.close()


def test_hooks_run_in_the_order_that_pluggy_gives(set_up: SetUp) -> None:
    class First(Log):
        def __init__(self, log: Log, name: str) -> None:
            self.log, self.name = log, name

        @hookimpl
        def pouchdb_database_opened(self) -> None:
            self.log.told.append(self.name)

    log = Log()
    set_up(First(log, "first"), First(log, "second"))["notes"]
    assert log.told == ["second", "first"]
