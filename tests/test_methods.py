"""``operation``: one function, a method in both spellings."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB, operation
from pouchdb_core.api import feeds, live_calls, replicating
from pouchdb_core.errors import BadRequest, PluginError
from pouchdb_core.methods import Operation, camel_case, composed


def greet(subject: Any, name: str, *, loud: bool = False) -> str:
    """Greet somebody."""
    text = f"hello {name}"
    return text.upper() if loud else text


class Base:
    greet_someone = greetSomeone = operation(greet, reads=True, name="greet_someone")
    label: str


@pytest.mark.parametrize(
    ("snake", "camel"),
    [("get", "get"), ("all_docs", "allDocs"), ("get_db_size", "getDbSize"), ("revs2_diff", "revs2Diff")],
)
def test_camel_case(snake: str, camel: str) -> None:
    assert camel_case(snake) == camel


def test_an_operation_is_a_method() -> None:
    base = Base()
    assert base.greet_someone("Ada") == base.greetSomeone("Ada") == "hello Ada"
    assert base.greet_someone("Ada", loud=True) == "HELLO ADA"
    bound = base.greet_someone
    assert bound("Bob") == "hello Bob"
    assert bound.__doc__ == "Greet somebody."
    assert str(inspect.signature(bound)) == "(name: 'str', *, loud: 'bool' = False) -> 'str'"
    assert isinstance(Base.greet_someone, Operation)
    assert (Base.greet_someone.name, Base.greet_someone.reads) == ("greet_someone", True)
    assert Base.greet_someone.__doc__ == "Greet somebody."


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, r"greet_someone\(\): missing a required argument: 'name'; it takes: name, loud"),
        (("Ada", "Bob"), {}, r"greet_someone\(\): too many positional arguments; it takes: name, loud\""),
        (("Ada", {"loud": True}), {}, r"it takes: name, loud; write options as greet_someone\(\*\*options\)\""),
        (("Ada",), {"lound": True}, r"greet_someone\(\): got an unexpected keyword argument 'lound'"),
    ],
    ids=["too few", "too many", "a dict of options", "unknown"],
)
def test_a_wrong_call_is_a_bad_request(args: Any, kwargs: Any, text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        Base().greet_someone(*args, **kwargs)


def test_a_type_error_of_the_function_itself_stays_one() -> None:
    def broken(subject: Any) -> int:
        return len(5)  # type: ignore[arg-type]  # that is the point

    class Broken:
        broken_one = operation(broken)

    with pytest.raises(TypeError, match="has no len"):
        Broken().broken_one()


def test_composed_adds_both_spellings_and_keeps_the_name() -> None:
    made: Any = composed(Base, [("green", operation(greet, name="say_hello"))])
    assert issubclass(made, Base)
    assert (made.__name__, made.__qualname__, made.__module__) == ("Base", Base.__qualname__, Base.__module__)
    assert made().say_hello("Ada") == made().sayHello("Ada") == "hello Ada"
    assert not hasattr(Base, "say_hello")
    assert composed(Base, []) is Base


@pytest.mark.parametrize("name", ["greet_someone", "greetSomeone", "label", "_private", "no name", "__init__"])
def test_composed_refuses_names(name: str) -> None:
    with pytest.raises(PluginError, match=r"'green' adds a method .* Base"):
        composed(Base, [("green", operation(greet, name=name))])


@pytest.mark.parametrize("owner", [SyncEnvironment, SyncPouchDB])
def test_every_camel_case_method_has_a_snake_case_one_and_the_other_way_round(owner: type) -> None:
    # PouchDB is a class's name; get_ has no other spelling; the rest is Python's.
    public = {name for name in dir(owner) if not name.startswith("_")} - {"PouchDB", "POUCHDB_VERSION", "get_"}
    for name in public:
        value = inspect.getattr_static(owner, name)
        if isinstance(value, property) or not (callable(value) or isinstance(value, Operation)):
            continue
        if name != name.lower():
            snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
            assert inspect.getattr_static(owner, snake) == value, f"{name} has no {snake}"


def test_operations_of_the_core_say_whether_they_read() -> None:
    reads = {name for name in dir(SyncPouchDB) if getattr(inspect.getattr_static(SyncPouchDB, name), "reads", False)}
    assert {"get", "all_docs", "allDocs", "info", "revs_diff"} <= reads
    assert not reads & {"put", "post", "remove", "bulk_docs", "compact", "purge", "destroy"}


def test_a_wrong_keyword_of_a_database_names_the_right_ones() -> None:
    db: Any = pouchdb.setup(":memory:", plugins=[])["notes"]
    with pytest.raises(BadRequest, match=r"all_docs\(\): .*'includedocs'; it takes: include_docs, "):
        db.allDocs(includedocs=True)


def test_the_overloads_of_changes_know_its_options() -> None:
    parameters = set(inspect.signature(feeds.changes).parameters)
    assert set(inspect.get_annotations(live_calls.ChangesOptions)) == parameters - {"db", "live", "continuous"}
    replicated = set(inspect.signature(replicating.replicate).parameters)
    assert {*inspect.get_annotations(replicating.RestOfReplicate), "live", "continuous"} == replicated - {
        "env",
        "source",
        "target",
    }
