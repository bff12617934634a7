"""Write guards: what they see, what becomes of their verdicts, when they are asked again."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB, hookimpl
from pouchdb_core.errors import Conflict, Forbidden, NotFound, PouchDBError, ReentrantWrite, Unauthorized
from pouchdb_core.jsontext import load
from pouchdb_core.requests import NEVER, Proposed, UserContext, Write

Verdicts = Sequence[PouchDBError | None] | None
WAIT = 60


class Guarding:
    """A plug-in with one guard; ``asked`` has what it was asked, ``requests`` for whom."""

    def __init__(self, guard: Callable[[Sequence[Proposed]], Verdicts]) -> None:
        self.guard = guard
        self.asked: list[list[Proposed]] = []
        self.requests: list[Write] = []

    @hookimpl
    def pouchdb_write_guards(self, database: SyncPouchDB, request: Write) -> Any:
        self.requests.append(request)

        def guard(proposed: Sequence[Proposed]) -> Verdicts:
            self.asked.append(list(proposed))
            return self.guard(proposed)

        return guard


def no_bad(proposed: Sequence[Proposed]) -> Verdicts:
    return [Forbidden(each.new["bad"]) if "bad" in each.new else None for each in proposed]


@pytest.fixture(params=["file", "memory"])
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Any], SyncPouchDB]]:
    """Make a database with these guards."""
    made: list[SyncEnvironment] = []

    def make(*plugins: Any) -> SyncPouchDB:
        made.append(pouchdb.setup(tmp_path if request.param == "file" else ":memory:", plugins=plugins))
        return made[-1]["notes"]

    yield make
    for environment in made:
        environment.close()


def test_verdicts_are_answered_in_input_order(guarded: Any) -> None:
    db = guarded(Guarding(no_bad))
    taken = db.put({"_id": "taken"})
    docs = [
        {"_id": "z", "bad": "first"},
        {"_id": "taken"},
        {"_id": "y"},
        {"_id": "_reserved"},
        {"_id": "_local/l", "bad": "but local"},
        {"_id": "x", "bad": "last"},
    ]
    answers = db.bulk_docs(docs)
    assert [each.get("name", "ok") for each in answers] == [
        "forbidden",
        "conflict",
        "ok",
        "bad_request",
        "ok",
        "forbidden",
    ]
    assert [each.get("id") for each in answers if each is not answers[3]] == ["z", "taken", "y", "_local/l", "x"]
    assert answers[0].message == "first"
    assert list(db) == ["taken", "y"]
    assert db.get("taken")._rev == taken.rev


def test_a_verdict_is_raised_by_the_calls_for_one_document(guarded: Any) -> None:
    db = guarded(Guarding(no_bad))
    for write in (lambda: db.put({"_id": "a", "bad": "no"}), lambda: db.post({"bad": "no"})):
        with pytest.raises(Forbidden, match="no"):
            write()
    assert db.info().update_seq == 0


def test_guards_judge_before_revisions_are_checked(guarded: Any) -> None:
    db = guarded(Guarding(no_bad))
    db.put({"_id": "a"})
    with pytest.raises(Forbidden):
        db.put({"_id": "a", "_rev": "1-abc", "bad": "and stale"})
    with pytest.raises(Conflict):
        db.put({"_id": "a", "_rev": "1-abc"})


def test_guards_judge_replicated_revisions(guarded: Any) -> None:
    db = guarded(plugin := Guarding(no_bad))
    errors = db.with_purpose("replication").bulk_docs(
        [
            {"_id": "a", "_rev": "2-b", "_revisions": {"start": 2, "ids": ["b", "a"]}, "bad": "no"},
            {"_id": "b", "_rev": "2-b", "_revisions": {"start": 2, "ids": ["b", "a"]}},
        ],
        new_edits=False,
    )
    assert [(each.id, each.name) for each in errors] == [("a", "forbidden")]
    assert list(db) == ["b"]
    assert plugin.requests[0].purpose == "replication"
    assert plugin.requests[0].new_edits is False
    first = plugin.asked[0][0]
    assert first.new == {
        "bad": "no",
        "_id": "a",
        "_rev": "2-b",
        "_revisions": {"start": 2, "ids": ["b", "a"]},
    }


def test_what_a_guard_sees(guarded: Any) -> None:
    db = guarded(plugin := Guarding(lambda proposed: None))
    one = db.put({"_id": "a", "n": 1, "_attachments": {"t": {"content_type": "text/plain", "data": b"hello"}}})
    new = plugin.asked[0][0].new
    assert plugin.asked[0][0].old is None
    assert (new.n, new._id, new._rev) == (1, "a", one.rev)
    assert new._attachments.t.stub is True
    assert new._attachments.t.length == 5
    assert "data" not in new._attachments.t

    two = db.put({"_id": "a", "_rev": one.rev, "n": 2})
    proposed = plugin.asked[1][0]
    assert proposed.old is not None
    assert (proposed.old.n, proposed.old._rev) == (1, one.rev)
    assert proposed.new._revisions.start == 2
    assert proposed.new._revisions.ids == [rev.split("-")[1] for rev in (two.rev, one.rev)]

    three = db.remove(db.get("a"))
    assert plugin.asked[2][0].new._deleted is True
    # Over a tombstone: the old winner is the deleted one.
    db.put({"_id": "a", "n": 4})
    assert plugin.asked[3][0].old is not None
    assert plugin.asked[3][0].old._deleted is True
    assert plugin.asked[3][0].old._rev == three.rev


def test_a_guard_gets_copies(guarded: Any) -> None:
    def vandal(proposed: Sequence[Proposed]) -> None:
        for each in proposed:
            each.new["text"] = "changed"
            each.new["nested"]["list"].append("changed")
            if each.old is not None:
                each.old.clear()

    def sees_it_whole(proposed: Sequence[Proposed]) -> Verdicts:
        return [Forbidden("changed") if each.new["text"] == "changed" else None for each in proposed]

    db = guarded(Guarding(sees_it_whole), Guarding(vandal), Guarding(sees_it_whole))
    given = {"_id": "a", "text": "original", "nested": {"list": []}}
    rev = db.put(given).rev
    assert given == {"_id": "a", "text": "original", "nested": {"list": []}}
    assert db.get("a") == {**given, "_rev": rev}
    db.put({**given, "_rev": rev})
    assert db.get("a").text == "original"


def test_the_first_guard_that_refuses_is_answered_and_all_are_asked(guarded: Any) -> None:
    def refuse(error: type[PouchDBError]) -> Guarding:
        return Guarding(lambda proposed: [error("no")] * len(proposed))

    db = guarded(one := refuse(Forbidden), two := refuse(Unauthorized))
    # pluggy's order: the plug-in that came last is asked first.
    with pytest.raises(Unauthorized):
        db.put({"_id": "a"})
    assert (len(one.asked), len(two.asked)) == (1, 1)


def test_local_documents_are_not_judged(guarded: Any) -> None:
    db = guarded(plugin := Guarding(no_bad))
    db.put({"_id": "_local/a", "bad": "fine here"})
    assert db.get("_local/a").bad == "fine here"
    assert plugin.asked == []


def test_a_document_twice_in_a_batch_is_judged_over_the_edit_before(guarded: Any) -> None:
    db = guarded(plugin := Guarding(no_bad))
    one = db.put({"_id": "a", "n": 1})
    two, three = db.bulk_docs(
        [
            {"_id": "b", "_rev": "1-b", "n": 1, "_revisions": {"start": 1, "ids": ["b"]}},
            {"_id": "b", "_rev": "2-b", "n": 2, "_revisions": {"start": 2, "ids": ["b", "b"]}},
        ],
        new_edits=False,
    ) or (None, None)
    assert (two, three) == (None, None)
    seen = [(each.new.n, each.old.n if each.old else None) for asked in plugin.asked[1:] for each in asked]
    assert seen == [(1, None), (2, 1)]

    del plugin.asked[:]
    answers = db.bulk_docs([{"_id": "a", "_rev": one.rev, "n": 2}, {"_id": "a", "_rev": one.rev, "n": 3}])
    assert [each.get("name", "ok") for each in answers] == ["ok", "conflict"]
    seen = [(each.new.n, each.old.n if each.old else None) for asked in plugin.asked for each in asked]
    assert seen == [(2, 1), (3, 2)]


def test_an_atomic_batch_is_refused_whole(guarded: Any) -> None:
    db = guarded(Guarding(no_bad))
    with pytest.raises(Forbidden, match="no"):
        db.bulk_docs([{"_id": "a"}, {"_id": "b", "bad": "no"}, {"_id": "c"}], atomic=True)
    assert db.info().update_seq == 0
    assert [each.ok for each in db.bulk_docs([{"_id": "a"}, {"_id": "b"}], atomic=True)] == [True, True]


def test_a_guard_that_raises_fails_the_call_and_nothing_is_written(guarded: Any) -> None:
    def broken(proposed: Sequence[Proposed]) -> None:
        raise RuntimeError("broken guard")

    db = guarded(Guarding(broken))
    with pytest.raises(RuntimeError, match="broken guard"):
        db.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    assert db.info().update_seq == 0


def test_user_and_purpose_are_seen(guarded: Any) -> None:
    db = guarded(plugin := Guarding(lambda proposed: None))
    db.put({"_id": "a"})
    db.as_user({"name": "ada", "roles": ["editor"]}).put({"_id": "b"})
    db.as_user(UserContext("bob")).with_purpose("index").bulk_docs([{"_id": "c"}])
    db.environment.as_user({"name": "eve"})["notes"].post({})
    assert [(request.user, request.purpose) for request in plugin.requests] == [
        (None, "api"),
        (UserContext("ada", ("editor",)), "api"),
        (UserContext("bob"), "index"),
        (UserContext("eve"), "api"),
    ]
    assert db.user is None
    assert db.environment.user is None


def test_a_guard_sees_a_document_as_it_was_sent(guarded: Any) -> None:
    db = guarded(plugin := Guarding(lambda proposed: None))
    one = db.put({"_id": "a", "n": 1})
    assert plugin.asked[0][0].id == "a"
    assert plugin.asked[0][0].sent == {"n": 1, "_id": "a"}
    two = db.put({"_id": "a", "_rev": one.rev, "n": 2})
    ids = [rev.split("-")[1] for rev in (two.rev, one.rev)]
    sent = plugin.asked[1][0].sent
    assert sent == {"n": 2, "_id": "a", "_rev": one.rev, "_revisions": {"start": 1, "ids": ids[1:]}}
    db.put({"_id": "a", "_rev": two.rev, "n": 3})
    assert plugin.asked[2][0].sent._revisions == {"start": 2, "ids": ids}
    # A revision nobody has is shown as it was sent; that it is a conflict is found later.
    with pytest.raises(Conflict):
        db.put({"_id": "a", "_rev": "7-abc"})
    assert plugin.asked[3][0].sent == {"_id": "a", "_rev": "7-abc", "_revisions": {"start": 7, "ids": ["abc"]}}
    assert plugin.asked[3][0].parent is None


def test_the_text_of_a_document_is_what_was_sent(guarded: Any) -> None:
    def compares(proposed: Sequence[Proposed]) -> None:
        for each in proposed:
            text, sent = each.sent_json, each.sent
            assert load(text) == sent
            assert list(load(text)) == list(sent), "members have one order"

    db = guarded(plugin := Guarding(compares))
    attached = {"t": {"data": b"x", "content_type": "text/plain"}}
    one = db.put({"_id": "a"})
    two = db.put({"_id": "a", "_rev": one.rev, "n": {"nested": [1.5, None, "é\ud800"]}})
    db.remove("a", two.rev)
    db.bulk_docs(
        [{"_id": "a", "n": 1}, {"n": 2}, {"_id": "b", "_attachments": attached}, {"_id": "c", "_deleted": True}]
    )
    db.bulk_docs([{"_id": "r", "_rev": "2-b", "n": 1, "_revisions": {"start": 2, "ids": ["b", "a"]}}], new_edits=False)
    assert sum(map(len, plugin.asked)) == 8


def test_a_guard_sees_a_replicated_document_as_it_was_sent(guarded: Any) -> None:
    db = guarded(plugin := Guarding(lambda proposed: None))
    revisions = {"start": 2, "ids": ["b", "a"]}
    db.bulk_docs([{"_id": "x", "_rev": "2-b", "_revisions": revisions}], new_edits=False)
    assert plugin.asked[0][0].sent == plugin.asked[0][0].new == {"_id": "x", "_rev": "2-b", "_revisions": revisions}


def test_the_parent_is_the_revision_that_was_edited(guarded: Any) -> None:
    db = guarded(plugin := Guarding(lambda proposed: None))
    leaves = [
        {"_id": "a", "_rev": "2-b", "n": "loses", "_revisions": {"start": 2, "ids": ["b", "a"]}},
        {"_id": "a", "_rev": "2-c", "n": "wins", "_revisions": {"start": 2, "ids": ["c", "a"]}},
    ]
    db.bulk_docs(leaves, new_edits=False)
    db.put({"_id": "a", "_rev": "2-b", "n": "edited"})
    [proposed] = plugin.asked[-1]
    assert (proposed.old.n, proposed.parent.n) == ("wins", "loses")
    assert proposed.parent == leaves[0]
    # Of a replicated revision it is the newest ancestor that has content: none has here.
    db.bulk_docs([{"_id": "a", "_rev": "3-d", "_revisions": {"start": 3, "ids": ["d", "c", "a"]}}], new_edits=False)
    assert plugin.asked[-1][0].parent == leaves[1]
    db.bulk_docs([{"_id": "a", "_rev": "2-e", "_revisions": {"start": 2, "ids": ["e", "a"]}}], new_edits=False)
    assert plugin.asked[-1][0].parent is None


def test_a_document_made_again_has_no_parent_but_an_old_one(guarded: Any) -> None:
    db = guarded(plugin := Guarding(lambda proposed: None))
    db.put({"_id": "a", "n": 1})
    db.remove(db.get("a"))
    assert plugin.asked[-1][0].parent.n == 1
    db.put({"_id": "a", "n": 2})
    [proposed] = plugin.asked[-1]
    assert proposed.parent is None
    assert proposed.old._deleted is True
    assert proposed.sent == {"_id": "a", "n": 2}
    assert proposed.new._rev.startswith("3-")


def test_content_of_new_attachments_is_given_on_request(guarded: Any) -> None:
    def judge(proposed: Sequence[Proposed]) -> Verdicts:
        for each in proposed:
            for name, entry in each.new.get("_attachments", {}).items():
                assert entry.stub is True
                read.append([name, *(b"".join(each.content(name)) for _ in range(2))])
        return None

    read: list[Any] = []
    db = guarded(plugin := Guarding(judge))
    big = bytes(range(256)) * 5000
    given = {"text": {"data": "aGVsbG8="}, "bytes": {"data": b"raw"}, "file": {"data": io.BytesIO(big)}}
    rev = db.put({"_id": "a", "_attachments": given}).rev
    assert read == [["text", b"hello", b"hello"], ["bytes", b"raw", b"raw"], ["file", big, big]]
    assert db.get_attachment("a", "file").data == big

    plugin.guard = lambda proposed: [*map(unreadable, proposed)]
    doc = db.get("a")
    with pytest.raises(Forbidden, match="no content"):
        db.put(doc)
    assert db.get("a")._rev == rev


def unreadable(proposed: Proposed) -> PouchDBError | None:
    assert proposed.old is not None
    assert proposed.old._attachments.text.stub is True
    for name in ("text", "unknown"):
        with pytest.raises(NotFound):
            proposed.content(name)
    return Forbidden("no content")


def test_a_method_hands_its_context_to_the_guard(guarded: Any) -> None:
    db = guarded(plugin := Guarding(lambda proposed: None))
    view = db.with_context({"acme": {"strict": True}}).with_context({"other": 1}).as_user({"name": "ada"})
    view.put({"_id": "a"})
    view.bulk_docs([{"_id": "b"}])
    view.put_attachment("c", "x", b"x")
    view.remove(view.get("a"))
    db.put({"_id": "d"})
    assert [dict(each.context) for each in plugin.requests] == [{"acme": {"strict": True}, "other": 1}] * 4 + [{}]
    assert db.request_context == {}
    with pytest.raises(TypeError):
        view.request_context["acme"] = 1


def test_who_says_never_is_not_asked_again(guarded: Any) -> None:
    class Reluctant(Guarding):
        @hookimpl
        def pouchdb_write_guards(self, database: SyncPouchDB, request: Write) -> Any:
            self.requests.append(request)
            return NEVER

        @hookimpl
        def pouchdb_documents_written(self, database: SyncPouchDB, results: Any) -> Any:
            self.asked.append(results)
            return NEVER

    db = guarded(eager := Guarding(no_bad), plugin := Reluctant(no_bad))
    for number in range(3):
        db.put({"_id": str(number)})
    with pytest.raises(Forbidden):
        db.put({"_id": "a", "bad": "no"})
    assert (len(plugin.requests), len(plugin.asked), len(eager.requests)) == (1, 1, 4)
    # Of users' writes it said nothing yet; a method's own are always asked about.
    ada = db.as_user({"name": "ada"})
    for number in range(3):
        ada.put({"_id": f"ada {number}"})
        db.with_context({"acme": number}).put({"_id": f"acme {number}"})
    assert [each.user and each.user.name for each in plugin.requests[1:]].count("ada") == 1
    other = db.environment["other"]
    other.put({"_id": "a"})
    assert len(plugin.asked) < 50
    asked = len(plugin.requests)
    db.put({"_id": "x"})
    assert len(plugin.requests) == asked
    db.ask_guards_again()
    db.put({"_id": "y"})
    assert len(plugin.requests) == asked + 1


# -- asked again ---------------------------------------------------------------------------------


class Interferes(Guarding):
    """Writes itself, on the program's behalf, the first time it is asked."""

    def __init__(self, interfere: Callable[[SyncPouchDB], object]) -> None:
        super().__init__(self.judge)
        self.interfere = interfere
        self.plain: SyncPouchDB | None = None
        self.done = False

    def judge(self, proposed: Sequence[Proposed]) -> Verdicts:
        if not self.done:
            self.done = True
            assert self.plain is not None
            self.interfere(self.plain)
        return [Forbidden("over a locked one") if each.old and each.old.get("locked") else None for each in proposed]


def test_guards_are_asked_again_when_the_winner_changed_meanwhile(guarded: Any) -> None:
    db = guarded(plugin := Interferes(lambda db: db.put({"_id": "a", "locked": True})))
    plugin.plain = db
    with pytest.raises(Forbidden, match="over a locked one"):
        db.put({"_id": "a", "n": 1})
    assert db.get("a").locked is True


def test_only_those_are_asked_about_again_that_changed(guarded: Any) -> None:
    db = guarded(plugin := Interferes(lambda db: db.put({"_id": "b", "locked": True})))
    plugin.plain = db
    answers = db.bulk_docs([{"_id": "a"}, {"_id": "b"}, {"_id": "c"}])
    assert [each.get("name", "ok") for each in answers] == ["ok", "forbidden", "ok"]
    assert [[each.new._id for each in asked] for asked in plugin.asked] == [["a", "b", "c"], ["b"], ["b"]]


def test_all_are_asked_about_again_when_a_design_document_changed_meanwhile(guarded: Any) -> None:
    db = guarded(plugin := Interferes(lambda db: db.put({"_id": "_design/rules"})))
    plugin.plain = db
    db.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    ids = [[each.new._id for each in asked] for asked in plugin.asked]
    assert ids == [["a", "b"], ["_design/rules"], ["a", "b"]]
    first, _, again = (asked[0].ddocs_seq for asked in plugin.asked)
    assert first < again == db.adapter.ddocs_seq()


def test_a_winner_that_keeps_changing_ends(guarded: Any) -> None:
    """A guard that makes its own verdict stale is asked again under the write lock, where it cannot write."""

    class Restless(Guarding):
        @hookimpl
        def pouchdb_write_guards(self, database: SyncPouchDB, request: Write) -> Any:
            if request.purpose == "index":
                return None
            return super().pouchdb_write_guards(database, request)

    def edit(proposed: Sequence[Proposed]) -> None:
        if len(plugin.asked) < 50:
            db.with_purpose("index").bulk_docs([{"_id": "a", "_rev": f"1-{len(plugin.asked):032x}"}], new_edits=False)

    db = guarded(plugin := Restless(edit))
    with pytest.raises(ReentrantWrite):
        db.put({"_id": "a"})
    assert len(plugin.asked) < 50


# -- never under the write lock --------------------------------------------------------------------


class Waits(Guarding):
    """Waits for an event before it lets the document "slow" pass."""

    def __init__(self) -> None:
        super().__init__(self.judge)
        self.asking, self.go_on = threading.Event(), threading.Event()

    def judge(self, proposed: Sequence[Proposed]) -> None:
        if any(each.new._id == "slow" for each in proposed):
            self.asking.set()
            assert self.go_on.wait(WAIT)


@pytest.mark.parametrize("atomic", [pytest.param(False, id="plain"), pytest.param(True, id="atomic")])
def test_others_write_while_a_guard_ponders(guarded: Any, atomic: bool) -> None:
    db = guarded(plugin := Waits())
    slow = threading.Thread(target=lambda: db.bulk_docs([{"_id": "slow"}], atomic=atomic))
    quick = threading.Thread(target=lambda: db.put({"_id": "quick"}))
    slow.start()
    try:
        assert plugin.asking.wait(WAIT)
        quick.start()
        # Were the lock held, this would wait for the other.
        quick.join(3)
        wrote = not quick.is_alive()
    finally:
        plugin.go_on.set()
    slow.join(WAIT)
    quick.join(WAIT)
    assert wrote
    assert sorted(db) == ["quick", "slow"]


@pytest.mark.parametrize(
    "verdicts",
    [[], [None], [None, None, None], [None, "no"], [True, None], {}, "no"],
    ids=["none", "too few", "too many", "text", "true", "mapping", "one text"],
)
def test_verdicts_of_another_shape_let_nothing_pass(guarded: Any, verdicts: Any) -> None:
    db = guarded(Guarding(lambda proposed: verdicts))
    with pytest.raises(Exception, match=r"guard|verdict"):
        db.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    assert db.info().update_seq == 0


def test_a_guard_that_raises_about_the_second_edit_of_a_document_leaves_nothing_half_written(guarded: Any) -> None:
    def broken_second(proposed: Sequence[Proposed]) -> None:
        if any(each.old is not None for each in proposed):
            raise RuntimeError("broken guard")

    db = guarded(Guarding(broken_second))
    with pytest.raises(RuntimeError, match="broken guard"):
        db.bulk_docs([{"_id": "a", "n": 1}, {"_id": "b"}, {"_id": "a", "n": 2}])
    assert db.info().update_seq == 0


class WhileNoRules:
    """A plug-in whose rule is in a design document: without one, everything passes."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.before_answering: Callable[[], Any] = lambda: None
        self.none_at: int | None = None

    @hookimpl
    def pouchdb_write_guards(self, database: SyncPouchDB, request: Write) -> Any:
        plugin = self

        class Guard:
            def passes_all(self, ddocs_seq: int) -> bool:
                plugin.before_answering()
                return plugin.none_at == ddocs_seq

            def __call__(self, proposed: Sequence[Proposed]) -> Verdicts:
                plugin.asked.extend(each.id for each in proposed)
                if "_design/rule" in database:
                    return no_bad(proposed)
                plugin.none_at = proposed[0].ddocs_seq
                return None

        return Guard()


def test_a_guard_that_lets_everything_pass_is_not_called_until_design_documents_change(guarded: Any) -> None:
    rules = WhileNoRules()
    database = guarded(rules)
    database.put({"_id": "a", "bad": "here"})
    done = database.bulk_docs([{"_id": "b", "bad": "1"}, {"_id": "c"}, {"_id": "c"}])
    assert [each.get("name") for each in done] == [None, None, "conflict"]
    assert rules.asked == ["a"]
    database.put({"_id": "_design/rule"})
    with pytest.raises(Forbidden, match="here"):
        database.put({"_id": "d", "bad": "here"})
    assert rules.asked == ["a", "d"]
    database.remove(database["_design/rule"])
    database.put({"_id": "d", "bad": "here"})
    database.put({"_id": "e", "bad": "here"})
    assert rules.asked == ["a", "d", "_design/rule", "d"]


def test_a_rule_that_comes_while_a_guard_says_that_there_is_none(guarded: Any) -> None:
    rules = WhileNoRules()
    database = guarded(rules)
    database.put({"_id": "a"})

    def meanwhile() -> None:
        rules.before_answering = lambda: None
        database.put({"_id": "_design/rule"})

    rules.before_answering = meanwhile
    with pytest.raises(Forbidden, match="too late"):
        database.put({"_id": "b", "bad": "too late"})
    assert "b" not in database
    # By then there is another edit of the document, which nobody need be asked about when everything passes.
    database.remove(database["_design/rule"])
    database.put({"_id": "a2"})
    rules.before_answering = lambda: (setattr(rules, "before_answering", lambda: None), database.put({"_id": "c"}))
    with pytest.raises(Conflict):
        database.put({"_id": "c"})


def test_a_rule_that_another_process_writes_is_seen_by_the_next_write(tmp_path: Path) -> None:
    rules, theirs = WhileNoRules(), WhileNoRules()
    with pouchdb.setup(tmp_path, plugins=[rules]) as env, pouchdb.setup(tmp_path, plugins=[theirs]) as other:
        database = env["notes"]
        database.put({"_id": "a"})
        database.put({"_id": "b", "bad": "allowed"})
        assert rules.asked == ["a"]
        other["notes"].put({"_id": "_design/rule"})
        with pytest.raises(Forbidden, match="too late"):
            database.put({"_id": "c", "bad": "too late"})
        assert [each.get("name") for each in database.bulk_docs([{"_id": "d", "bad": "1"}, {"_id": "e"}])] == [
            "forbidden",
            None,
        ]

