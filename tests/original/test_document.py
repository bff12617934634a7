"""The document of Python-PouchDB 0.4, method by method: names, spellings, names of parameters, properties, exceptions.

The tables are its class reference. What differs on purpose is in docs/coming-from-python-pouchdb.md.
"""

from __future__ import annotations

import collections.abc
import inspect
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.errors import NotSupported

for plug_in in ("all_dbs", "auth", "couchapp", "gql", "search", "spatial", "validation"):
    pytest.importorskip(f"pouchdb_{plug_in}")

# The names of all parameters that are no options: those that callers may write.
DATABASE = {
    "destroy": "",
    "put": "doc id rev",
    "post": "doc",
    "get": "docid",
    "remove": "doc",
    "bulkDocs": "docs",
    "allDocs": "",
    "changes": "",
    "replicateTo": "remoteDB",
    "replicateFrom": "remoteDB",
    "sync": "remoteDB",
    "putAttachment": "docId attachmentId doc type rev",
    "getAttachment": "docId attachmentId",
    "removeAttachment": "docId attachmentId rev",
    "query": "fun",
    "viewCleanup": "",
    "info": "",
    "compact": "",
    "revsDiff": "diff",
    "gql": "query",
    "spatial": "fun",
    "search": "func",
    "signup": "username password",
    "login": "username password",
    "logout": "",
    "getSession": "",
    "getUser": "username",
    "validatingPut": "doc id rev",
    "validatingPost": "doc",
    "validatingRemove": "doc",
    "validatingBulkDocs": "docs",
    "validatingPutAttachment": "docId attachmentId doc type rev",
    "validatingRemoveAttachment": "docId attachmentId rev",
    "show": "showPath",
    "list": "listPath",
    "update": "url",
    "rewrite": "url",
    "rewriteResultRequestObject": "url",
}
ENVIRONMENT = {"replicate": "source target", "sync": "source target", "allDbs": "", "resetAllDbs": ""}
EVENTS = {
    "addListener": "event listener",
    "on": "event listener",
    "once": "event listener",
    "emit": "event",
    "listeners": "event",
    "removeListener": "event listener",
    "removeAllListeners": "event",
    "setMaxListeners": "n",
}


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()


@pytest.fixture
def env() -> Iterator[Any]:
    with pouchdb.setup(":memory:") as environment:
        yield environment


def method(cls: type, name: str) -> Any:
    return inspect.getattr_static(cls, name)


@pytest.mark.parametrize("spelling", [str, snake], ids=["camelCase", "snake_case"])
@pytest.mark.parametrize("name", DATABASE)
def test_methods_of_databases(env: Any, name: str, spelling: Any) -> None:
    found = method(type(env["a"]), spelling(name))
    given = found.renamed(dict.fromkeys(DATABASE[name].split()))
    inspect.signature(found.function).bind_partial(None, **given)
    assert (found.function.__doc__ or "").strip()


@pytest.mark.parametrize("spelling", [str, snake], ids=["camelCase", "snake_case"])
@pytest.mark.parametrize("name", ENVIRONMENT)
def test_methods_of_environments(env: Any, name: str, spelling: Any) -> None:
    found = method(type(env), spelling(name))
    inspect.signature(found.function).bind_partial(None, **found.renamed(dict.fromkeys(ENVIRONMENT[name].split())))


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("of", ["environment", "database"])
def test_events(env: Any, of: str, name: str) -> None:
    subject = env if of == "environment" else env["a"]
    for spelling in (name, snake(name)):
        inspect.signature(getattr(subject, spelling)).bind_partial(**dict.fromkeys(EVENTS[name].split()))


@pytest.mark.parametrize("name", [*DATABASE, *ENVIRONMENT])
def test_asynchronous_objects_have_the_same_methods(name: str) -> None:
    environment = pouchdb.setup(":memory:", async_=True)
    try:
        subject = environment.PouchDB("a") if name in DATABASE else environment
        assert callable(getattr(subject, name))
        assert callable(getattr(subject, snake(name)))
    finally:
        environment.run(environment.close())


def test_the_calls_of_the_document_by_their_keywords(env: Any) -> None:
    db = env.PouchDB("a")
    first = db.put(doc={}, id="a")
    second = db.put(doc={"n": 2}, id="a", rev=first["rev"])
    assert db.get(docid="a")["n"] == 2
    third = db.putAttachment(docId="a", attachmentId="f", doc=b"data", type="text/plain", rev=second["rev"])
    assert db.getAttachment(docId="a", attachmentId="f")["data"] == b"data"
    assert db.removeAttachment(docId="a", attachmentId="f", rev=third["rev"])["ok"]
    assert db.bulkDocs(docs=[{"_id": "b"}, '{"_id": "c"}'])[1]["id"] == "c"
    assert db.revsDiff(diff={"x": ["1-a"]}) == {"x": {"missing": ["1-a"]}}
    assert db.replicateTo(remoteDB="b")["ok"]
    assert db.replicateFrom(remoteDB="b")["ok"]
    assert db.sync(remoteDB="b")["push"]["ok"]
    assert env.replicate(source="a", target="c")["ok"]
    assert db.remove(doc=db.get("b"))["ok"]


def test_the_mapping(env: Any) -> None:
    assert isinstance(env, collections.abc.Mapping)
    db = env["test"]
    assert isinstance(db, collections.abc.MutableMapping)
    assert db.get_("abc", {"hello": "world"}) == {"hello": "world"}
    doc: dict[str, Any] = {}
    db["abc"] = doc
    assert doc["_id"] == "abc"
    assert doc["_rev"] == db["abc"]["_rev"]
    assert list(db) == ["abc"]
    del db["abc"]
    with pytest.raises(KeyError, match="deleted"):
        db["abc"]
    assert list(env) == ["test"]
    del env["test"]
    assert list(env) == []


def test_classes_exceptions_and_properties(env: Any) -> None:
    for name in (
        "AbstractEnvironment",
        "AbstractPouchDB",
        "AsyncEnvironment",
        "AsyncPouchDB",
        "BaseError",
        "EnvironmentError",
        "PouchDBError",
        "SyncEnvironment",
        "SyncPouchDB",
    ):
        assert inspect.isclass(getattr(pouchdb, name))
    assert issubclass(pouchdb.SyncPouchDB, pouchdb.AbstractPouchDB)
    assert issubclass(pouchdb.PouchDBError, pouchdb.BaseError)
    assert env.POUCHDB_VERSION
    assert env.context is not None
    assert all((pouchdb.__version__, pouchdb.__author__, pouchdb.__copyright__))
    with pytest.raises(pouchdb.PouchDBError) as caught:
        env["test"].get("nothing")
    assert caught.value["status"] == 404
    assert "name" in caught.value
    assert "404" in str(caught.value)


def test_destroying(env: Any) -> None:
    assert env["a"].destroy() == {"ok": True}
    assert env.destroy("a") is None
    assert env.destroy(name="a") is None
    with pytest.raises(pouchdb.PouchDBError):
        env.destroy()


def test_the_names_of_setup(tmp_path: Path) -> None:
    with pouchdb.setup(storageDir=str(tmp_path), baseUrl="file:///") as env:
        assert env is pouchdb.setup(storageDir=str(tmp_path), baseUrl="file:///")
    environment = pouchdb.setup(str(tmp_path), **{"async": True})
    assert isinstance(environment, pouchdb.AsyncEnvironment)
    environment.run(environment.close())


def test_the_differences_are_listed() -> None:
    """Each line of the page that names a difference is of something that the tests here do not hold to the original."""
    page = (Path(__file__).parents[2] / "docs" / "coming-from-python-pouchdb.md").read_text("utf-8")
    differences = page.partition("## What is different")[2].partition("\n## ")[0]
    assert len(re.findall(r"^\| ", differences, re.MULTILINE)) > 8


def test_what_the_page_says_of_differences(env: Any) -> None:
    db = env["a"]
    # Ids are stored as they are.
    assert db.put({"_id": "a%2Fb"})["id"] == "a%2Fb"
    assert db.get("a%2Fb")["_id"] == "a%2Fb"
    # A first write names no parent.
    with pytest.raises(pouchdb.Conflict):
        db.put({"_id": "x"}, rev="1-" + "a" * 32)
    # Options that do not exist are errors.
    with pytest.raises(pouchdb.BadRequest, match="it takes"):
        db.allDocs(include_documents=True)
    # More than ten listeners are a warning at most.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(12):
            env.on("test", print)
    assert len(env.listeners("test")) == 12
    assert issubclass(NotSupported, pouchdb.BaseError)
