"""The validating methods: what functions see, what they may do, what comes of it (spec: plugins, section 3)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb import Conflict, Forbidden, NotFound, PouchDBError, Unauthorized
from pouchdb_core.errors import MissingId

SKELETON = {"admins": {"names": [], "roles": []}, "members": {"names": [], "roles": []}}


def seen(call: Any, *args: Any, **options: Any) -> Any:
    """Return what a function that shows its arguments was given."""
    with pytest.raises(Forbidden) as caught:
        call(*args, **options)
    return json.loads(caught.value.message)


@pytest.mark.parametrize("spelling", ["snake", "camel"])
def test_every_method_is_the_plain_one_without_functions(env: Any, spelling: str) -> None:
    db = env["test"]
    names = ["put", "post", "remove", "bulk_docs", "put_attachment", "remove_attachment"]
    if spelling == "camel":
        names = ["Put", "Post", "Remove", "BulkDocs", "PutAttachment", "RemoveAttachment"]
    prefix = "validating_" if spelling == "snake" else "validating"
    put, post, remove, bulk, put_attachment, remove_attachment = (getattr(db, prefix + name) for name in names)
    first = put({"_id": "a", "x": 1})
    assert (first.ok, first.id) == (True, "a")
    assert put('{"x": 2}', "a", first.rev).rev.startswith("2-")
    assert post({"x": 1}).id in db
    assert post('{"x": 1}').ok
    rev = put_attachment("b", "t", b"x", "text/plain").rev
    assert db.get_attachment("b", "t").data == b"x"
    assert remove_attachment("b", "t", rev).ok
    assert "_attachments" not in db["b"]
    assert remove(db["b"]).ok
    assert remove("a", db["a"]._rev).ok
    assert [each.id for each in bulk([{"_id": "c"}, {"_id": "d"}])] == ["c", "d"]
    assert [each.id for each in bulk({"docs": [{"_id": "e"}]})] == ["e"]
    assert remove(json.dumps(db["e"])).ok


ERRORS: dict[str, tuple[dict[str, Any], int, str, Any]] = {
    "forbidden": ({"f": "no"}, 403, "forbidden", "no"),
    "unauthorized": ({"u": "who?"}, 401, "unauthorized", "who?"),
    "both": ({"both": True}, 401, "unauthorized", "u"),
    "an object": ({"f": {"why": [1]}}, 403, "forbidden", {"why": [1]}),
    "null": ({"f": None}, 403, "forbidden", None),
    "unicode": ({"f": "nein é \U0001f600"}, 403, "forbidden", "nein é \U0001f600"),
    "a string": ({"string": True}, 500, "unknown_error", "a string\n\nundefined"),
    "a number": ({"number": True}, 500, "unknown_error", "3\n\nundefined"),
    "another object": ({"object": True}, 500, "unknown_error", "[object Object]\n\nundefined"),
    "null itself": ({"nothing": True}, 500, "unknown_error", "null\n\nundefined"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_functions_throw(flags: Any, case: str) -> None:
    members, status, name, message = ERRORS[case]
    with pytest.raises(PouchDBError) as caught:
        flags.validating_put({"_id": "a", **members})
    error = caught.value
    assert (error.status, error.name, error.message) == (status, name, message)
    assert error["id"] == "a"
    assert "a" not in flags


def test_errors_keep_name_and_text(flags: Any) -> None:
    with pytest.raises(PouchDBError) as caught:
        flags.validating_put({"_id": "a", "error": True})
    assert (caught.value.status, caught.value.name) == (500, "TypeError")
    assert caught.value.message.startswith("TypeError: wrong type\n\n")
    with pytest.raises(PouchDBError) as caught:
        flags.validating_put({"_id": "a", "variable": True})
    assert (caught.value.status, caught.value.name) == (500, "ReferenceError")
    assert "undefinedVariable" in caught.value.message


@pytest.mark.parametrize("source", ["function (", "3", "", "'text'", "function () {}; function", "syntax error"])
def test_what_is_no_function(db: Any, source: str) -> None:
    db.put({"_id": "_design/broken", "validate_doc_update": f"{source};  " if source else source})
    with pytest.raises(PouchDBError) as caught:
        db.validating_put({"_id": "a"})
    assert (caught.value.status, caught.value.name) == (500, "compilation_error")
    assert caught.value.message == f"Expression does not eval to a function. {source}"


@pytest.mark.parametrize("value", [3, True, ["function () {}"], {"x": 1}])
def test_what_is_no_source(db: Any, value: Any) -> None:
    db.put({"_id": "_design/broken", "validate_doc_update": value})
    with pytest.raises(PouchDBError) as caught:
        db.validating_put({"_id": "a"})
    assert caught.value.name == "compilation_error"
    rejected = db.validating_bulk_docs([{"_id": "b"}, {"_id": "c"}])
    assert [(each["id"], each["design_document"]) for each in rejected] == [(id, "_design/broken") for id in "bc"]


def test_null_is_no_function_and_no_error(db: Any) -> None:
    db.put({"_id": "_design/none", "validate_doc_update": None})
    assert db.validating_put({"_id": "a"}).ok


def test_all_are_compiled_before_any_runs_and_asked_in_id_order(db: Any) -> None:
    db.put({"_id": "_design/b", "validate_doc_update": "function (doc) { if (doc.x) throw({forbidden: 'b'}); }"})
    db.put({"_id": "_design/a", "validate_doc_update": "function (doc) { if (doc.x) throw({forbidden: 'a'}); }"})
    with pytest.raises(Forbidden, match='"a"'):
        db.validating_put({"_id": "d", "x": 1})
    db.put({"_id": "_design/c", "validate_doc_update": "broken"})
    with pytest.raises(PouchDBError) as caught:
        db.validating_put({"_id": "d", "x": 1})
    assert caught.value.name == "compilation_error"


def test_a_changed_function_counts_at_once(flags: Any) -> None:
    with pytest.raises(Forbidden):
        flags.validating_put({"_id": "a", "f": "no"})
    flags["_design/flags"] = {"validate_doc_update": "function () {}"}
    assert flags.validating_put({"_id": "a", "f": "no"}).ok
    del flags["_design/flags"]
    assert flags.validating_put({"_id": "b", "f": "no"}).ok


def test_design_and_local_documents_pass(flags: Any) -> None:
    assert flags.validating_put({"_id": "_design/x", "f": "no"}).ok
    assert flags.validating_put({"_id": "_local/x", "f": "no"}).ok


def test_arguments_of_a_new_document(flags: Any) -> None:
    shown = seen(flags.validating_put, {"_id": "a", "show": 1})
    assert shown == {
        "new": {"_id": "a", "show": 1},
        "old": None,
        "user": {"db": "test", "name": None, "roles": ["_admin"]},
        "sec": SKELETON,
        "self": "_design/flags",
    }


def test_arguments_of_an_edit(flags: Any) -> None:
    first = flags.put({"_id": "a", "x": 1})
    second = flags.put({"_id": "a", "_rev": first.rev, "x": 2})
    ids = [second.rev[2:], first.rev[2:]]
    shown = seen(flags.validating_put, {"_id": "a", "_rev": second.rev, "show": 1})
    assert shown["old"] == {"_id": "a", "_rev": second.rev, "x": 2, "_revisions": {"start": 2, "ids": ids}}
    assert shown["new"] == {"_id": "a", "_rev": second.rev, "show": 1, "_revisions": {"start": 2, "ids": ids}}
    # A deleted document is none.
    flags.remove("a", second.rev)
    assert seen(flags.validating_put, {"_id": "a", "show": 1})["old"] is None


def test_positional_id_and_rev(flags: Any) -> None:
    first = flags.put({"_id": "a"})
    shown = seen(flags.validating_put, {"show": 1}, "a", first.rev)
    assert (shown["new"]["_id"], shown["new"]["_rev"]) == ("a", first.rev)


def test_a_rejection_comes_before_a_conflict(flags: Any) -> None:
    flags.put({"_id": "a"})
    with pytest.raises(Forbidden):
        flags.validating_put({"_id": "a", "_rev": "1-stale", "f": "no"})
    with pytest.raises(Conflict):
        flags.validating_put({"_id": "a", "_rev": "1-stale"})


def test_a_rejection_comes_before_a_missing_id(flags: Any) -> None:
    assert seen(flags.validating_put, {"show": 1})["new"] == {"show": 1}
    with pytest.raises(Unauthorized):
        flags.validating_put({"u": "who?"})
    with pytest.raises(MissingId):
        flags.validating_put({"x": 1})


def test_remove_shows_what_was_given(flags: Any) -> None:
    rev = flags.put({"_id": "a", "kept": 1}).rev
    shown = seen(flags.validating_remove, {"_id": "a", "_rev": rev, "show": 1})
    assert {key: value for key, value in shown["new"].items() if key != "_revisions"} == {
        "_id": "a",
        "_rev": rev,
        "show": 1,
        "_deleted": True,
    }
    assert shown["old"]["kept"] == 1
    assert flags.validating_remove("a", rev).ok
    with pytest.raises(NotFound):
        flags.get("a")


def test_post_and_bulk_have_their_ids(flags: Any) -> None:
    assert len(seen(flags.validating_post, {"show": 1})["new"]["_id"]) >= 30
    (entry,) = flags.validating_bulk_docs([{"show": 1}])
    assert json.loads(entry.message)["new"]["_id"] == entry.id


def test_bulk_answers_in_input_order(flags: Any) -> None:
    flags.put({"_id": "6"})
    docs = [{"_id": "1"}, {"_id": "2", "f": "f"}, {"_id": "3"}, {"_id": "4", "u": "u"}, {"_id": "5", "variable": 1}]
    answer = flags.validating_bulk_docs([*docs, {"_id": "6"}])
    assert [each.get("name", "ok") for each in answer] == [
        "ok",
        "forbidden",
        "ok",
        "unauthorized",
        "ReferenceError",
        "conflict",
    ]
    assert [each["id"] for each in answer] == ["1", "2", "3", "4", "5", "6"]
    assert (answer[1].status, answer[1].message, answer[1].error) == (403, "f", True)
    with pytest.raises(pouchdb.BadRequest, match="Missing JSON list of 'docs'"):
        flags.validating_bulk_docs({})


@pytest.mark.parametrize("place", ["option", "body"])
def test_new_edits_false(flags: Any, place: str) -> None:
    docs = [{"_id": "a", "_rev": "3-abc"}, {"_id": "b", "_rev": "3-abc", "f": "no"}]
    if place == "option":
        answer = flags.validating_bulk_docs(docs, new_edits=False)
    else:
        answer = flags.validating_bulk_docs({"docs": docs, "new_edits": False})
    assert [(each.id, each.name) for each in answer] == [("b", "forbidden")]
    assert flags["a"]._rev == "3-abc"


def test_user_and_security_are_merged_by_key(flags: Any) -> None:
    shown = seen(
        flags.validating_put, {"_id": "a", "show": 1}, userCtx={"name": "bob"}, secObj={"admins": {"names": ["x"]}}
    )
    assert shown["user"] == {"db": "test", "name": "bob", "roles": ["_admin"]}
    assert shown["sec"] == {**SKELETON, "admins": {"names": ["x"], "roles": []}}
    shown = seen(flags.validating_put, {"_id": "a", "show": 1}, user_ctx={"roles": []}, sec_obj={"extra": 1})
    assert shown["user"]["roles"] == [], "a list replaces"
    assert shown["sec"] == {**SKELETON, "extra": 1}
    with pytest.raises(pouchdb.BadRequest, match="userCtx"):
        flags.validating_put({"_id": "a"}, userCtx="bob")


def test_nothing_of_the_caller_is_changed(db: Any) -> None:
    db.put({"_id": "_design/d", "validate_doc_update": "function (doc) { doc.changed = true; delete doc.x; }"})
    doc, user = {"_id": "a", "x": 1, "deep": {"y": 1}}, {"name": "bob"}
    db.validating_put(doc, userCtx=user)
    assert (doc, user) == ({"_id": "a", "x": 1, "deep": {"y": 1}}, {"name": "bob"})
    assert {key: value for key, value in db["a"].items() if key != "_rev"} == doc


def test_attachments(flags: Any) -> None:
    rev = flags.put(
        {"_id": "a", "show": 1, "_attachments": {"old": {"data": b"old", "content_type": "text/plain"}}}
    ).rev
    shown = seen(flags.validating_put_attachment, "a", "new", b"new", "text/x", rev)["new"]
    assert shown["_attachments"]["new"] == {
        "content_type": "text/x",
        "data": base64.b64encode(b"new").decode(),
    }
    assert shown["_attachments"]["old"]["stub"] is True
    shown = seen(flags.validating_remove_attachment, "a", "old", rev)["new"]
    assert shown["_attachments"] == {}, "it stays visible"
    with pytest.raises(NotFound):
        flags.validating_remove_attachment("b", "old", rev)
    inline = {"_id": "i", "show": 1, "_attachments": {"t": {"data": "eA==", "content_type": "text/plain"}}}
    assert seen(flags.validating_put, inline)["new"]["_attachments"] == inline["_attachments"]
    assert flags.validating_put_attachment("c", "t", b"x", "text/plain").ok


def test_require_this_and_helpers(db: Any) -> None:
    db.put(
        {
            "_id": "_design/d",
            "lib": {"check": "exports.check = function (doc) { return isArray(doc.x) && sum(doc.x) === 6; };"},
            "limit": 7,
            "validate_doc_update": """function (doc) {
                log("checking");
                if (!require('lib/check').check(doc)) throw({forbidden: toJSON(doc.x) + JSON.stringify(this.limit)});
            }""",
        }
    )
    assert db.validating_put({"_id": "a", "x": [1, 2, 3]}).ok
    with pytest.raises(Forbidden) as caught:
        db.validating_put({"_id": "b", "x": [1]})
    assert caught.value.message == "[1]7"


def test_an_endless_function_ends(env: Any) -> None:
    with pouchdb.setup(":memory:", plugins=["validation"], js_limits={"seconds": 0.5}) as environment:
        db = environment["slow"]
        db.put({"_id": "_design/d", "validate_doc_update": "function () { for (;;) {} }"})
        with pytest.raises(PouchDBError) as caught:
            db.validating_put({"_id": "a"})
        assert caught.value.status == 500
        assert "a" not in db
        del db["_design/d"]
        assert db.validating_put({"_id": "a"}).ok


# -- installed methods -------------------------------------------------------------------------------


def test_installed_methods_validate(flags: Any, env: Any) -> None:
    other = env["test"]
    flags.installValidationMethods()
    with pytest.raises(Forbidden):
        flags.put({"_id": "a", "f": "no"})
    assert flags.bulk_docs([{"_id": "b", "u": "no"}])[0].name == "unauthorized"
    with pytest.raises(Forbidden):
        flags.post({"f": "no"})
    assert other.put({"_id": "a", "f": "fine"}).ok, "another object is not affected"
    with pytest.raises(PouchDBError) as caught:
        flags.install_validation_methods()
    assert (caught.value.status, caught.value.name) == (500, "already_installed")
    assert caught.value.message == "Validation methods are already installed on this database."
    flags.uninstallValidationMethods()
    assert flags.put({"_id": "c", "f": "fine"}).ok
    with pytest.raises(PouchDBError) as caught:
        flags.uninstall_validation_methods()
    assert (caught.value.status, caught.value.name) == (500, "already_not_installed")


def test_what_is_replicated_into_it_is_judged(flags: Any, env: Any) -> None:
    source = env["source"]
    source.bulk_docs([{"_id": "good"}, {"_id": "bad", "f": "no"}])
    flags.install_validation_methods()
    result = source.replicate_to(flags)
    assert (result.docs_written, result.doc_write_failures) == (1, 1)
    assert result.errors[0]["id"] == "bad"
    assert "bad" not in flags


# -- users -------------------------------------------------------------------------------------------


def test_every_write_of_a_user_is_judged_as_couchdb_does(flags: Any) -> None:
    flags.put_security({"admins": {"names": ["boss"], "roles": []}, "members": {"names": [], "roles": []}})
    eve = flags.as_user({"name": "eve", "roles": ["r"]})
    shown = seen(eve.put, {"_id": "a", "show": 1})
    assert shown["user"] == {"db": "test", "name": "eve", "roles": ["r"]}
    assert shown["sec"]["admins"]["names"] == ["boss"]
    with pytest.raises(PouchDBError) as caught:
        eve.put({"_id": "a", "string": 1})
    assert (caught.value.name, caught.value.message) == ("unknown_error", "a string")
    with pytest.raises(PouchDBError) as caught:
        eve.put({"_id": "a", "object": 1})
    assert (caught.value.name, caught.value.message) == ("unknown_error", "x")
    with pytest.raises(PouchDBError) as caught:
        eve.put({"_id": "a", "error": 1})
    assert (caught.value.name, caught.value.message) == ("TypeError", "wrong type")
    assert eve.bulk_docs([{"_id": "r", "_rev": "1-a", "f": "no"}], new_edits=False)[0].name == "forbidden"
    assert flags.put({"_id": "p", "f": "the program may"}).ok


# -- Python validators -------------------------------------------------------------------------------


def test_python_validators_stand_beside(db: Any) -> None:
    calls: list[Any] = []

    @db.validator
    def titled(new: Any, old: Any, user: Any, security: Any) -> None:
        calls.append((new["_id"], old, user["name"], security["admins"]))
        new["changed"] = True
        if "title" not in new:
            raise pouchdb.Forbidden("a document needs a title")

    assert titled is not None
    with pytest.raises(Forbidden, match="needs a title"):
        db.validating_put({"_id": "a"})
    db.validating_put({"_id": "a", "title": "x"}, userCtx={"name": "bob"})
    assert "changed" not in db["a"]
    assert calls == [("a", None, None, SKELETON["admins"]), ("a", None, "bob", SKELETON["admins"])]
    assert db.put({"_id": "b"}).ok, "plain writes are not judged"
    with pytest.raises(Forbidden):
        db.as_user({"name": "eve"}).put({"_id": "c"})


def test_python_validators_fail_as_errors(db: Any) -> None:
    db.validator(lambda new: new["missing"])
    with pytest.raises(PouchDBError) as caught:
        db.validating_put({"_id": "a"})
    assert (caught.value.status, caught.value.name, caught.value.message) == (500, "KeyError", "'missing'")
    with pytest.raises(pouchdb.BadRequest):
        db.validator("no function")


def test_validators_that_always_judge(db: Any, env: Any) -> None:
    @db.validator(always=True)
    def numbered(new: Any) -> None:
        if not isinstance(new.get("n"), int):
            raise pouchdb.Forbidden("n must be a number")

    with pytest.raises(Forbidden):
        db.put({"_id": "a"})
    assert db.put({"_id": "a", "n": 1}).ok
    source = env["source"]
    source.bulk_docs([{"_id": "x"}, {"_id": "y", "n": 2}])
    result = db.replicate_from(source)
    assert (result.docs_written, result.doc_write_failures) == (1, 1)
    assert env["source"].put({"_id": "z"}).ok


def test_validators_of_plugins() -> None:
    class Rules:
        @pouchdb.hookimpl(optionalhook=True)
        def pouchdb_validators(self, database: Any) -> Any:
            def no_spaces(new: Any) -> None:
                if " " in new["_id"]:
                    raise pouchdb.Forbidden(f"no spaces in ids of {database.name}")

            return [no_spaces]

    with pouchdb.setup(":memory:", plugins=["validation", Rules()]) as env:
        db: Any = env["notes"]
        with pytest.raises(Forbidden, match="no spaces in ids of notes"):
            db.validating_put({"_id": "a b"})


# -- asynchronous ------------------------------------------------------------------------------------


def test_asynchronous_calls() -> None:
    env: Any = pouchdb.setup(":memory:", plugins=["validation"], async_=True)
    db = env["test"]

    @db.validator
    def checked(new: Any) -> None:
        if new.get("bad"):
            raise pouchdb.Unauthorized("bad")

    got: list[Any] = []

    def callback(err: Any, resp: Any = None) -> None:
        got.append((err and err["name"], resp and resp.id))

    calls = [
        lambda: db.validatingPut({"_id": "a"}, callback),
        lambda: db.validatingPut({"bad": 1}, "b", callback),
        lambda: db.validatingPost({"_id": "c"}, callback),
        lambda: db.validatingPutAttachment("d", "t", b"x", "text/plain", callback),
        lambda: db.validatingPut({"_id": "e", "bad": 1}, {"userCtx": {"name": "x"}}, callback),
    ]
    for call in calls:
        call()
        assert env.context.waitUntilCalled(callback, timeout=20)
    assert got == [(None, "a"), ("unauthorized", None), (None, "c"), (None, "d"), ("unauthorized", None)]
    with pytest.raises(Unauthorized):
        env.run(db.validating_put({"_id": "f", "bad": 1}))
    env.run(env.close())


def test_a_user_of_a_database_without_validators_waits_for_no_look_at_its_documents(
    env: Any, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pouchdb_validation import guard

    judged: list[int] = []
    judge = guard._Guard.__call__
    monkeypatch.setattr(guard._Guard, "__call__", lambda self, docs: judged.append(len(docs)) or judge(self, docs))
    ada = db.as_user({"name": "ada", "roles": []})
    for number in range(5):
        ada.put({"_id": f"before {number}"})
    assert judged == [1]
    db.put({"_id": "_design/rule", "validate_doc_update": "function () { throw({forbidden: 'never'}); }"})
    for _ in range(2):
        with pytest.raises(Forbidden, match="never"):
            ada.put({"_id": "after"})
    db.remove(db["_design/rule"])
    ada.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    ada.put({"_id": "c"})
    assert judged == [1, 1, 1, 2]

    @db.validator
    def no_d(new: Any, old: Any, user: Any, security: Any) -> None:
        if new["_id"] == "d":
            raise Forbidden("no d")

    with pytest.raises(Forbidden, match="no d"):
        ada.put({"_id": "d"})


def test_a_function_that_another_process_changes_judges_the_next_write(tmp_path: Path) -> None:
    def only(word: str) -> dict[str, Any]:
        source = f"function (doc) {{ if (doc.n !== '{word}') throw({{forbidden: 'only {word}'}}); }}"
        return {"_id": "_design/rule", "validate_doc_update": source}

    # Of other plug-ins, so that it is not the same environment.
    with (
        pouchdb.setup(tmp_path, plugins=["validation"]) as one,
        pouchdb.setup(tmp_path, plugins=["validation", "all_dbs"]) as other,
    ):
        ada = one["test"].as_user({"name": "ada", "roles": []})
        rev = one["test"].put(only("a")).rev
        ada.put({"_id": "1", "n": "a"})
        for word in ("b", "c"):
            rev = other["test"].put({**only(word), "_rev": rev}).rev
            with pytest.raises(Forbidden, match=f"only {word}"):
                ada.put({"_id": "2", "n": "a"})
            assert ada.put({"_id": word, "n": word}).ok
            assert [each.get("name") for each in ada.bulk_docs([{"n": word}, {"n": "a"}])] == [None, "forbidden"]
        other["test"].remove("_design/rule", rev)
        assert ada.put({"_id": "2", "n": "a"}).ok
