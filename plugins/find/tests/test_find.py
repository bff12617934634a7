"""find: options, order, bookmarks, warnings, statistics."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from pouchdb_find import FindError

import pouchdb
import pouchdb_core
from pouchdb_core.errors import NotFound

NO_INDEX = "No matching index found, create an index to optimize query time."


def ids(answer: Any) -> list[str]:
    return [doc["_id"] for doc in answer["docs"]]


def test_documents_are_records_with_their_revisions(people: Any) -> None:
    answer = people.find({"selector": {"name": "Ann"}})
    assert answer.docs[0].nest.a.b == 0
    assert answer.docs[0] == people.get("m00")
    assert list(answer.docs[0]) == list(people.get("m00"))
    assert answer.warning == NO_INDEX


def test_keywords_do_what_a_mapping_does(people: Any) -> None:
    given = {"selector": {"age": {"$gt": 20}}, "fields": ["_id"], "limit": 2, "skip": 1}
    assert (
        people.find(given)
        == people.find(**given)
        == people.find({"selector": given["selector"]}, fields=["_id"], limit=2, skip=1)
    )


@pytest.mark.parametrize(
    ("fields", "doc"),
    [
        (["name", "nest.a"], {"name": "Ann", "nest": {"a": {"b": 0}}}),
        (["x\\.y", "nothere", "name.x"], {"x.y": 0}),
        (["nest.a.b", "nest"], {"nest": {"a": {"b": 0}}}),
        (["_id", "age"], {"_id": "m00", "age": 30}),
        (["tags.1"], {"tags": {"1": "b"}}),
    ],
)
def test_fields(people: Any, fields: list[str], doc: dict) -> None:
    assert people.find(selector={"name": "Ann"}, fields=fields)["docs"] == [doc]


def test_sort(people: Any) -> None:
    people.create_index({"index": {"fields": ["age", "name"]}})
    selector = {"age": {"$gt": 20}}
    up = people.find(selector=selector, sort=["age", "name"])
    assert ids(up) == ["m01", "m00", "m04", "m02", "m05"]
    down = people.find(selector=selector, sort=[{"age": "desc"}, {"name": "desc"}])
    assert ids(down) == ids(up)[::-1]
    assert "warning" not in up
    by_name = people.find(selector={"age": 30}, sort=["name"])
    assert ids(by_name) == ["m00", "m04"]
    assert ids(people.find(selector={}, sort=["_id"], limit=2)) == ["m00", "m01"]
    assert ids(people.find(selector={}, sort=[{"_id": "desc"}], limit=2)) == ["no", "m07"]


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        ({}, "missing_required_key"),
        ({"selector": {}, "odd": 1}, "invalid_key"),
        ({"selector": {}, "limit": -1}, "invalid_non_neg_integer"),
        ({"selector": {}, "limit": "x"}, "invalid_non_neg_integer"),
        ({"selector": {}, "limit": True}, "invalid_non_neg_integer"),
        ({"selector": {}, "skip": 1.5}, "invalid_non_neg_integer"),
        ({"selector": {}, "sort": "age"}, "invalid_sort_json"),
        ({"selector": {}, "sort": [{"age": "up"}]}, "invalid_sort_field"),
        ({"selector": {}, "sort": [5]}, "invalid_sort_field"),
        ({"selector": {}, "sort": [{"a": "asc", "b": "asc"}]}, "invalid_sort_field"),
        ({"selector": {}, "sort": [{"a": "asc"}, {"b": "desc"}]}, "unsupported_mixed_sort"),
        ({"selector": {}, "sort": ["age"]}, "no_usable_index"),
        ({"selector": {}, "fields": "age"}, "invalid_fields"),
        ({"selector": {}, "fields": [5]}, "invalid_field"),
        ({"selector": {}, "fields": ["a..b"]}, "invalid_field_name"),
        ({"selector": {}, "use_index": 5}, "invalid_index_name"),
        ({"selector": {}, "use_index": ["a", "b", "c"]}, "invalid_index_name"),
        ({"selector": {}, "bookmark": "nonsense"}, "invalid_bookmark"),
        ({"selector": {}, "bookmark": 5}, "invalid_bookmark"),
        ({"selector": {}, "conflicts": 1}, "invalid_boolean"),
        ({"selector": {}, "r": 0}, "invalid_pos_integer"),
        ({"selector": {}, "stale": "maybe"}, "invalid_ok_or_false_value"),
        ({"selector": {}, "use_index": "nope", "allow_fallback": False}, "invalid_index"),
        ({"selector": {}, "allow_fallback": False}, "invalid_index"),
        ([], "bad_request"),
        ("x", "bad_request"),
    ],
)
def test_bad_requests(people: Any, request_: Any, name: str) -> None:
    with pytest.raises(FindError) as caught:
        people.find(request_)
    assert (caught.value.status, caught.value.name) == (400, name)
    if name not in ("no_usable_index", "invalid_bookmark"):
        with pytest.raises(FindError):
            people.explain(request_)


def test_limit_and_skip(people: Any) -> None:
    assert len(people.find(selector={})["docs"]) == 9
    people.bulk_docs([{"_id": f"z{i:03d}"} for i in range(30)])
    assert len(people.find(selector={})["docs"]) == 25
    assert ids(people.find(selector={}, skip=8, limit=2)) == ["no", "z000"]
    assert people.find(selector={}, limit=0) == {"docs": [], "bookmark": "nil", "warning": NO_INDEX}
    assert people.find(selector={}, skip=100)["docs"] == []


def test_use_index(people: Any) -> None:
    people.create_index({"index": {"fields": ["city"]}, "ddoc": "one", "name": "c"})
    people.create_index({"index": {"fields": ["city", "name"]}, "ddoc": "two", "name": "cn"})
    selector = {"city": "Rome", "name": {"$gt": "B"}}
    for hint in ("one", "_design/one", ["one"], ["one", "c"], ["_design/one", "c"], "one/c"):
        answer = people.explain(selector=selector, use_index=hint)
        assert answer.index.ddoc == "_design/one", hint
        assert people.find(selector=selector, use_index=hint).get("warning") is None
    for hint in ("nope", ["one", "nope"], ["two", "c"]):
        answer = people.find(selector=selector, use_index=hint)
        assert ids(answer) == ["m02", "m05"]
        assert "was not used because it" in answer.warning


def test_a_partial_index_is_used_only_where_it_is_named(people: Any) -> None:
    people.create_index(
        {"index": {"fields": ["city"], "partial_filter_selector": {"age": {"$gt": 35}}}, "ddoc": "part", "name": "p"}
    )
    everything = people.find(selector={"city": "Rome"})
    assert ids(everything) == ["m00", "m02", "m05"]
    assert everything.warning == NO_INDEX
    assert ids(people.find(selector={"city": "Rome"}, use_index="part")) == ["m02", "m05"]
    with pytest.raises(FindError, match="No index exists for this sort"):
        people.find(selector={"city": "Rome"}, sort=["city"])
    people.put({**people.get("m00"), "age": 50})
    assert ids(people.find(selector={"city": "Rome"}, use_index="part")) == ["m00", "m02", "m05"]


@pytest.mark.parametrize("selector", [{"$or": []}, {"$and": []}, {"age": {"$gt": 5, "$lt": 3}}])
def test_nothing_is_read_where_nothing_can_match(people: Any, selector: Any) -> None:
    people.create_index({"index": {"fields": ["age"]}})
    assert people.find(selector=selector) == {"docs": []}


def test_statistics(people: Any) -> None:
    people.create_index({"index": {"fields": ["city"]}})
    stats = people.find(selector={"city": "Rome", "name": "Cid"}, execution_stats=True)["execution_stats"]
    assert stats.pop("execution_time_ms") > 0
    assert stats == {
        "total_keys_examined": 3,
        "total_docs_examined": 3,
        "total_quorum_docs_examined": 0,
        "results_returned": 1,
    }
    assert "execution_stats" not in people.find(selector={"city": "Rome"})


def test_a_condition_on_a_further_field_is_checked_in_the_index(people: Any) -> None:
    people.create_index({"index": {"fields": ["city", "age"]}})
    answer = people.find(selector={"city": {"$gt": "A"}, "age": {"$lt": 28}}, execution_stats=True)
    assert ids(answer) == ["m03", "m01", "m07"]
    assert answer.execution_stats.total_docs_examined == 3


def test_a_warning_where_much_is_read_for_little(db: Any) -> None:
    db.bulk_docs([{"_id": f"d{i:02d}", "n": i, "type": "x"} for i in range(30)])
    db.create_index({"index": {"fields": ["type"]}})
    assert "high in proportion" in db.find(selector={"type": "x", "n": 3})["warning"]
    assert "warning" not in db.find(selector={"type": "x"}, limit=30)


def test_conflicts(db: Any) -> None:
    db.bulk_docs([{"_id": "a", "_rev": "1-a", "n": 1}, {"_id": "a", "_rev": "1-b", "n": 1}], new_edits=False)
    assert db.find(selector={"n": 1}, conflicts=True)["docs"][0]["_conflicts"] == ["1-a"]
    assert "_conflicts" not in db.find(selector={"n": 1})["docs"][0]
    db.create_index({"index": {"fields": ["n"]}})
    assert db.find(selector={"n": 1}, conflicts=True)["docs"][0]["_conflicts"] == ["1-a"]


def test_design_documents_and_tombstones_are_not_found(people: Any) -> None:
    people.create_index({"index": {"fields": ["name"]}})
    people.remove(people.get("m00"))
    assert ids(people.find(selector={}))[0] == "m01"
    assert ids(people.find(selector={"name": {"$gt": None}}))[0] == "m01"
    assert people.find(selector={"_id": {"$beginsWith": "_design"}})["docs"] == []
    assert people.find(selector={"language": "query"})["docs"] == []


def test_attachments_are_stubs(db: Any) -> None:
    db.put({"_id": "a", "_attachments": {"x": {"data": "aGk=", "content_type": "text/plain"}}})
    assert db.find(selector={"_attachments": {"$exists": True}})["docs"] == [db.get("a")]


@pytest.mark.parametrize("sort", [None, ["n"], [{"n": "desc"}]])
@pytest.mark.parametrize("index", [True, False])
def test_bookmarks_give_every_document_once_while_others_are_written(db: Any, sort: Any, index: bool) -> None:
    db.bulk_docs([{"_id": f"d{i:03d}", "n": i // 3, "keep": True} for i in range(100)])
    if index:
        db.create_index({"index": {"fields": ["n"]}})
    elif sort:
        return
    seen: list[str] = []
    bookmark = None
    for number in range(1000):
        answer = db.find(selector={"n": {"$gte": 0}}, sort=sort, limit=7, bookmark=bookmark)
        seen += [doc["_id"] for doc in answer["docs"] if doc.get("keep")]
        bookmark = answer["bookmark"]
        if not answer["docs"] or number > 30:
            break
        db.bulk_docs([{"_id": f"a{number}", "n": 0}, {"_id": f"z{number}", "n": 1000 + number}])
    assert sorted(seen) == [f"d{i:03d}" for i in range(100)]


def test_bookmarks_of_a_union(db: Any) -> None:
    db.bulk_docs([{"_id": f"d{i:03d}", "a": i % 7, "b": i % 5} for i in range(100)])
    for field in "ab":
        db.create_index({"index": {"fields": [field]}})
    wanted = [f"d{i:03d}" for i in range(100) if i % 7 == 1 or i % 5 == 2]
    request = {"selector": {"$or": [{"a": 1}, {"b": 2}]}, "limit": 4}
    assert db.explain(request)["plan"]["reads"].startswith("union of")
    seen, bookmark = [], None
    while (answer := db.find(request, bookmark=bookmark))["docs"]:
        seen += ids(answer)
        bookmark = answer["bookmark"]
        assert "warning" not in answer
    assert seen == wanted


def test_a_bookmark_belongs_to_its_index(people: Any) -> None:
    people.create_index({"index": {"fields": ["age"]}, "ddoc": "a"})
    first = people.find(selector={"age": {"$gt": 0}}, limit=1)
    people.create_index({"index": {"fields": ["age"]}, "ddoc": "A"})
    second = people.find(selector={"age": {"$gt": 0}}, limit=1, bookmark=first["bookmark"])
    assert ids(first) + ids(second) == ["m06", "m01"]
    people.delete_index(
        ddoc="a", name=next(each.name for each in people.get_indexes().indexes if each.ddoc == "_design/a")
    )
    with pytest.raises(FindError, match="begin without one"):
        people.find(selector={"age": {"$gt": 0}}, limit=1, bookmark=first["bookmark"])


def test_update_false_reads_the_index_as_it_is(people: Any) -> None:
    people.create_index({"index": {"fields": ["age"]}})
    people.put({"_id": "new", "age": 30})
    assert "new" not in ids(people.find(selector={"age": 30}, update=False))
    assert "new" in ids(people.find(selector={"age": 30}))


def test_text_search_needs_an_index(people: Any) -> None:
    with pytest.raises(FindError) as caught:
        people.find(selector={"$text": "x"})
    assert caught.value.name == "no_usable_index"


def test_an_answer_is_a_table(people: Any) -> None:
    answer = people.find(selector={"age": {"$type": "number"}}, fields=["_id", "age"], limit=1000)
    ages = [doc["age"] for doc in answer["docs"]]
    assert answer.to_columns()["age"] == ages
    assert answer.to_csv().splitlines()[0] == "_id,age"
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    assert isinstance(answer.to_pandas(), pandas.DataFrame)
    assert list(answer.to_pandas()["age"]) == ages
    assert isinstance(answer.to_polars(), polars.DataFrame)
    assert answer.to_polars()["age"].to_list() == answer.to_arrow()["age"].to_pylist() == ages


def test_asynchronously(tmp_path: Any) -> None:
    async def main() -> None:
        environment = pouchdb.setup_async(str(tmp_path), plugins=["find"])
        db = environment["db"]
        await db.bulk_docs([{"_id": "a", "n": 1}, {"_id": "b", "n": 2}])
        assert (await db.createIndex({"index": {"fields": ["n"]}})).result == "created"
        assert ids(await db.find({"selector": {"n": {"$gt": 1}}})) == ["b"]
        assert (await db.getIndexes()).total_rows == 2
        assert (await db.explain({"selector": {"n": 1}})).index.type == "json"
        index = (await db.get_indexes()).indexes[1]
        assert await db.deleteIndex(index) == {"ok": True}
        await environment.close()

    asyncio.run(main())


def test_many_threads(people: Any) -> None:
    people.create_index({"index": {"fields": ["city"]}})
    wrong: list[Any] = []

    def look() -> None:
        for _ in range(20):
            found = ids(people.find(selector={"city": "Rome"}))
            if found != ["m00", "m02", "m05"]:
                wrong.append(found)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        people.put({"_id": f"w{number}", "city": "Paris"})
    for thread in threads:
        thread.join()
    assert wrong == []


def test_on_behalf_of_a_user(people: Any) -> None:
    """Documents come through the listing hook, which plug-ins may wrap."""
    seen: list[Any] = []

    class Watcher:
        @pouchdb.hookimpl(wrapper=True)
        def pouchdb_list(self, database: Any, request: Any) -> Any:
            seen.append(request.user)
            return (yield)

    environment = pouchdb.setup(":memory:", plugins=["find", Watcher()])
    db = environment["x"].as_user({"name": "ann", "roles": []})
    db.put({"_id": "a", "n": 1})
    db.find(selector={"n": 1})
    assert {user.name for user in seen} == {"ann"}
    environment.close()


def test_documents_that_a_plug_in_changes_or_hides(tmp_path: Any) -> None:
    class Half(pouchdb_core.Transform):
        def outgoing(self, doc: Any, request: Any) -> Any:
            if "n" not in doc:
                return doc
            return None if doc["n"] % 2 else {**doc, "n": doc["n"] // 2}

    class Plugin:
        @pouchdb.hookimpl
        def pouchdb_transforms(self, database: Any) -> Any:
            return Half()

    environment = pouchdb.setup(str(tmp_path), plugins=["find", Plugin()])
    db = environment["x"]
    db.bulk_docs([{"_id": f"d{i}", "n": i} for i in range(10)])
    for _ in range(2):
        answer = db.find(selector={"n": {"$gte": 3}})
        assert [(doc["_id"], doc["n"]) for doc in answer["docs"]] == [("d6", 3), ("d8", 4)]
        db.create_index({"index": {"fields": ["n"]}})
    environment.close()


def test_filter_of_changes_and_replications(environment: Any, people: Any) -> None:
    rows = people.changes(selector={"city": "Rome"})["results"]
    assert [row["id"] for row in rows] == ["m00", "m02", "m05"]
    target = environment["target"]
    people.replicate_to(target, selector={"age": {"$gt": 29}})
    assert sorted(target.all_docs()["rows"][i]["id"] for i in range(4)) == ["m00", "m02", "m04", "m05"]
    with pytest.raises(FindError):
        people.changes(selector={"a": {"$odd": 1}})


def test_errors_travel(people: Any) -> None:
    import pickle

    with pytest.raises(FindError) as caught:
        people.find(selector={"$odd": 1})
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.name, copy.status, copy.message) == (caught.value.name, 400, caught.value.message)
    assert json.loads(str(copy))["name"] == "invalid_operator"


def test_not_found_is_not_swallowed(people: Any) -> None:
    with pytest.raises(NotFound):
        people.delete_index(ddoc="nope", name="x")
