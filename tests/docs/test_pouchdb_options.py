"""The tables that compare PouchDB's options with ours are complete, and every row of them is true."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any, NamedTuple

import pytest

from pouchdb_core import errors

pytest.importorskip("pouchdb_find", reason="NO TEST of PouchDB's options: pouchdb_find is missing")
pytest.importorskip("pouchdb_all_dbs", reason="NO TEST of PouchDB's options: pouchdb_all_dbs is missing")

WAIT = 60  # seconds after which a listener that was never called is a failure
PAGE = Path(__file__).parents[2] / "docs" / "pouchdb-options.md"

# What the documents of PouchDB 9 list, method by method; its own spelling.
DOCUMENTED = {
    "PouchDB": "name auto_compaction adapter revs_limit deterministic_revs purged_infos_limit prefix view_adapter"
    " view_update_changes_batch_size skip_setup auth headers fetch",
    "Class": "PouchDB.defaults PouchDB.on PouchDB.replicate PouchDB.sync PouchDB.activeTasks.list PouchDB.version"
    " PouchDB.allDbs PouchDB.fetch PouchDB.plugin PouchDB.adapter PouchDB.debug",
    "info": "db_name doc_count update_seq adapter auto_compaction backend_adapter idb_attachment_format host",
    "compact": "interval",
    "viewCleanup": "viewCleanup()",
    "close": "close()",
    "destroy": "destroy()",
    "put": "doc force new_edits",
    "post": "doc force new_edits",
    "get": "rev revs revs_info open_revs conflicts attachments binary latest update_seq",
    "remove": "doc id rev",
    "bulkDocs": "docs new_edits timeout",
    "bulkGet": "docs revs latest attachments binary",
    "allDocs": "include_docs conflicts attachments binary startkey endkey inclusive_end limit skip descending key keys"
    " update_seq deleted",
    "revsDiff": "revsDiff({id: [rev]})",
    "purge": "purge(id, rev)",
    "putAttachment": "docId attachmentId rev attachment type",
    "getAttachment": "rev",
    "removeAttachment": "rev",
    "changes": "live include_docs conflicts attachments binary descending since limit timeout heartbeat filter"
    " query_params doc_ids view selector return_docs batch_size style seq_interval",
    "replicate": "live retry filter query_params doc_ids view selector since heartbeat timeout batch_size batches_limit"
    " back_off_function checkpoint style",
    "sync": "push pull",
    "query": "fun reduce include_docs conflicts attachments binary startkey endkey inclusive_end limit skip descending"
    " key keys group group_level stale update_seq",
    "createIndex": "index.fields index.name index.ddoc index.type index.partial_filter_selector",
    "find": "selector fields sort limit skip use_index",
    "explain": "request",
    "getIndexes": "getIndexes()",
    "deleteIndex": "ddoc name type",
    "database events": "created destroyed closed indexing error",
    "feed events": "change complete error",
    "replication events": "change paused active denied complete checkpoint error",
}


class Row(NamedTuple):
    section: str
    names: tuple[str, ...]
    verdict: str
    example: str


def rows() -> Iterator[Row]:
    section = ""
    for line in PAGE.read_text("utf-8").partition("\n## Errors")[0].splitlines():
        if line.startswith("### "):
            section = line[4:]
        elif line.startswith("| `"):
            first, verdict, third, *_ = [cell.strip() for cell in line.strip("|").split(" | ")]
            example = third[1:-1] if third.startswith("`") and not section.endswith(" events") else ""
            yield Row(section, tuple(re.findall(r"`(.+?)`", first)), verdict, example)


ROWS = list(rows())


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the block of the page makes, by its names."""
    monkeypatch.chdir(tmp_path)
    block = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert block is not None
    made: dict[str, Any] = {}
    exec(block[1], made)
    yield made
    made["env"].close()


def test_every_documented_option_has_a_row() -> None:
    listed: dict[str, set[str]] = {}
    for row in ROWS:
        listed.setdefault(row.section, set()).update(row.names)
    # "revsDiff({id: [rev]})" has a space.
    wanted = {section: {text} if text.endswith(")") else set(text.split(" ")) for section, text in DOCUMENTED.items()}
    assert listed == wanted


def test_every_row_has_a_verdict_and_all_but_refusals_an_example() -> None:
    assert {row.verdict for row in ROWS} == {"same", "differs", "no"}
    assert [row for row in ROWS if not row.example and row.verdict != "no" and not row.section.endswith("events")] == []


@pytest.mark.parametrize("section", [each for each in DOCUMENTED if not each.endswith("events")])
def test_the_examples_are_true(section: str, names: dict[str, Any]) -> None:
    for row in ROWS:
        if row.section == section and row.example:
            assert eval(row.example, names), row.example


@pytest.mark.parametrize("row", [each for each in ROWS if each.verdict == "no"], ids=lambda row: str(row.names[0]))
def test_what_does_not_exist_is_refused(row: Row, names: dict[str, Any]) -> None:
    (name,), env, db = row.names, names["env"], names["db"]
    if row.section == "PouchDB":
        address = "http://127.0.0.1:9/x" if name == "fetch" else "new"
        with pytest.raises(errors.BadRequest, match=f"'{name}'"):
            env.PouchDB(address, **{name: 1})
    elif row.section == "Class":
        assert not hasattr(env, name.removeprefix("PouchDB."))
    elif row.section == "info":
        assert name not in db.info()
    else:
        method = getattr(db, row.section)
        with pytest.raises(errors.BadRequest, match=f"'{name}'"):
            method(*(["a"] if row.section == "get" else []), **{name: True})


def heard(emitter: Any, event: str, act: Callable[[], Any]) -> list[tuple[Any, ...]]:
    """What a listener is given while something is done."""
    calls: list[tuple[Any, ...]] = []
    emitter.on(event, lambda *args: calls.append(args))
    act()
    return calls


def failing(doc: Any) -> bool:
    raise ValueError(doc["_id"])


@pytest.mark.parametrize("event", DOCUMENTED["database events"].split())
def test_events_of_databases(event: str, names: dict[str, Any]) -> None:
    env, db = names["env"], names["db"]
    if event == "created":
        assert heard(env, "created", lambda: env["new"]) == [("new",)]
    elif event == "destroyed":
        assert heard(env, "destroyed", env["old"].destroy) == [("old",)]
        old = env["old"]
        assert heard(old, "destroyed", old.destroy) == [()]
    elif event == "closed":
        old = env["old"]
        assert heard(old, "closed", old.close) == [()]
    elif event == "indexing":
        calls = heard(db, "indexing", lambda: db.query("by/n"))
        assert {"view", "indexed_docs", "last_seq", "results_count"} >= set(calls[-1][0]) >= {"view", "indexed_docs"}
    else:
        assert heard(db, "error", lambda: db.query("function (doc) { throw new Error('no'); }"))


@pytest.mark.parametrize("event", DOCUMENTED["feed events"].split())
def test_events_of_feeds(event: str, names: dict[str, Any]) -> None:
    feed = names["db"].live_changes(since=6, limit=1, filter=failing if event == "error" else None)
    calls: Queue[Any] = Queue()
    feed.on(event, calls.put)
    # It runs once it has a listener for "change".
    feed.on("change", lambda row: None)
    given = calls.get(timeout=WAIT)
    if event == "error":
        with pytest.raises(ValueError, match="_design/by"):
            feed.wait(WAIT)
        assert isinstance(given, ValueError)
    else:
        assert given.id == "_design/by" if event == "change" else given.last_seq == 7


@pytest.mark.parametrize("event", DOCUMENTED["replication events"].split())
def test_events_of_replications(event: str, names: dict[str, Any]) -> None:
    db, copy = names["db"], names["env"]["copy"]
    calls: Queue[tuple[Any, ...]] = Queue()
    if event == "denied":

        def refuse(new: Any, old: Any, user: Any, security: Any) -> None:
            if new.get("n") == 5:
                raise errors.Forbidden("no fives")

        copy.validator(refuse, always=True)
    running = db.replicate_to(copy, live=True, filter=failing if event == "error" else None)
    running.on(event, lambda *args: calls.put(args))
    if event == "error":
        with pytest.raises(ValueError, match="a"):
            running.wait(WAIT)
    else:
        running.idle(WAIT)
        running.cancel()
    given = calls.get(timeout=WAIT)
    if event == "change":
        assert (given[0].docs_written, len(given[0].docs)) == (5, 5)
    elif event in ("paused", "active"):
        assert given in ((), (None,))
    elif event == "denied":
        assert given[0].id == "b"
    elif event == "complete":
        assert given[0].status == "cancelled"
        assert given[0].end_time
    elif event == "error":
        assert isinstance(given[0], ValueError)
    else:
        assert set(given[0]) <= {"checkpoint", "pending_batch", "start_next_batch", "revs_diff"}


ERRORS = re.findall(
    r"^\| `(\w+)` \| (\d+) \| (?:`(.+?)`)? ?\| `(\w+)` \|$",
    PAGE.read_text("utf-8").partition("\n## Errors")[2],
    re.MULTILINE,
)


def test_the_catalogue_of_errors_is_complete() -> None:
    assert {name for name, *_ in ERRORS} == {
        *("unauthorized", "missing_id", "missing_stub", "not_found", "conflict", "bad_request", "invalid_request"),
        *("query_parse_error", "doc_validation", "forbidden", "file_exists", "unknown_error"),
    }


@pytest.mark.parametrize(("name", "status", "call", "class_name"), ERRORS)
def test_errors_are_what_the_table_says(
    name: str, status: str, call: str, class_name: str, names: dict[str, Any]
) -> None:
    error_class = getattr(errors, class_name)
    assert (error_class.name, error_class.status) == (name, int(status))
    if call:
        with pytest.raises(error_class) as caught:
            eval(call, names)
        assert (caught.value.name, caught.value.status) == (name, int(status))

