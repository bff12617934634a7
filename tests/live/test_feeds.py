"""Live feeds: what arrives, in which order, how often; how a feed ends, and what it costs.

Every test runs on SQLite files and in memory.
"""

from __future__ import annotations

import gc
import logging
import threading
import tracemalloc
import weakref
from typing import Any

import pytest

from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.errors import BadRequest, PouchDBError
from pouchdb_core.live import Feed

SOON = 20.0


def ids(rows: list[Any]) -> list[str]:
    return [row["id"] for row in rows]


def settle(database: SyncPouchDB) -> None:
    """Wait until the dispatcher has done what it has to do just now."""
    done = threading.Event()
    database.environment.engine.dispatcher.call(done.set)
    assert done.wait(SOON)


# -- what arrives ----------------------------------------------------------------------------------


def test_writes_arrive_in_order_and_once(database: SyncPouchDB, heard: Any) -> None:
    feed = database.live_changes().on("change", heard)
    for number in range(300):
        database.put({"_id": f"{number:03}"})
    assert ids(heard.wait(300)) == [f"{number:03}" for number in range(300)]
    settle(database)
    assert len(heard.calls) == 300
    assert [row["seq"] for row in heard.calls] == list(range(1, 301))
    feed.cancel()


def test_writes_of_other_threads_arrive_once(database: SyncPouchDB, heard: Any) -> None:
    feed = database.live_changes().on("change", heard)

    def write(name: str) -> None:
        for number in range(50):
            database.put({"_id": f"{name}{number}"})

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = heard.wait(200)
    assert len(set(ids(rows))) == 200
    assert [row["seq"] for row in rows] == sorted(row["seq"] for row in rows)
    for name in "abcd":
        assert [id for id in ids(rows) if id[0] == name] == [f"{name}{number}" for number in range(50)]
    feed.cancel()


def test_now_is_the_time_of_the_call(database: SyncPouchDB, heard: Any) -> None:
    database.put({"_id": "before"})
    feed = database.changes(live=True, since="now")
    database.put({"_id": "between"})
    feed.on("change", heard)
    database.put({"_id": "after"})
    assert ids(heard.wait(2)) == ["between", "after"]
    feed.cancel()


def test_a_document_that_changes_often_arrives_in_its_last_state(database: SyncPouchDB, heard: Any) -> None:
    feed = database.live_changes(include_docs=True).on("change", heard)
    doc = {"_id": "a", "n": 0}
    for number in range(50):
        doc = {**doc, "n": number}
        doc["_rev"] = database.put(doc)["rev"]
    rows = heard.until(lambda calls: calls and calls[-1]["doc"]["n"] == 49)
    numbers = [row["doc"]["n"] for row in rows]
    assert numbers == sorted(set(numbers)), "in order, and none twice"
    feed.cancel()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"since": 0}, ["a", "b", "c", "d", "_design/x"], id="since 0"),
        pytest.param({"since": 2}, ["c", "d", "_design/x"], id="since a seq"),
        pytest.param({"since": "2"}, ["c", "d", "_design/x"], id="since text"),
        pytest.param({"since": 99}, [], id="since the future"),
        pytest.param({"since": 0, "limit": 2}, ["a", "b"], id="limit"),
        pytest.param({"since": 0, "limit": 0}, [], id="limit 0"),
        pytest.param({"since": 0, "doc_ids": ["d", "a", "no", "a"]}, ["a", "d"], id="doc_ids"),
        pytest.param({"since": 0, "filter": lambda doc: doc["_id"] > "b"}, ["c", "d"], id="filter"),
        pytest.param(
            {"since": 0, "filter": lambda doc, req: doc["_id"] == req.query.id, "query_params": {"id": "c"}},
            ["c"],
            id="filter with parameters",
        ),
        pytest.param({"since": 0, "filter": "_design"}, ["_design/x"], id="built-in filter"),
        pytest.param({"since": 0, "filter": lambda doc: True, "limit": 1}, ["a"], id="filter and limit"),
    ],
)
def test_options(database: SyncPouchDB, heard: Any, options: dict[str, Any], expected: list[str]) -> None:
    database.bulk_docs([{"_id": id} for id in "abcd"])
    database.put({"_id": "_design/x"})
    feed = database.live_changes(**options).on("change", heard)
    heard.wait(len(expected))
    settle(database)
    assert ids(heard.calls) == expected
    feed.cancel()
    result = feed.wait(SOON)
    assert ("status" in result) == ("limit" not in options)


def test_documents_conflicts_and_attachments(database: SyncPouchDB, heard: Any) -> None:
    database.bulk_docs(
        [
            {"_id": "a", "_rev": "1-a", "_attachments": {"t": {"data": "aGk=", "content_type": "text/plain"}}},
            {"_id": "a", "_rev": "1-b"},
        ],
        new_edits=False,
    )
    feed = database.live_changes(since=0, include_docs=True, conflicts=True, style="all_docs").on("change", heard)
    [row] = heard.wait()
    assert row.doc._conflicts == ["1-a"]
    assert [each.rev for each in row.changes] == ["1-b", "1-a"]
    feed.cancel()
    whole = database.live_changes(since=0, include_docs=True, attachments=True, binary=True)
    database.remove("a", "1-b")
    row = next(iter(whole))
    assert row.doc._attachments.t.data == b"hi"
    whole.cancel()


def test_deletions_arrive(database: SyncPouchDB, heard: Any) -> None:
    rev = database.put({"_id": "a"})["rev"]
    feed = database.live_changes().on("change", heard)
    database.remove("a", rev)
    [row] = heard.wait()
    assert row.deleted is True
    feed.cancel()


def test_a_filter_that_lets_nothing_through_gets_on(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": f"{number:05}"} for number in range(3500)])
    feed = database.live_changes(since=0, filter=lambda doc: doc["_id"] == "last")
    writer = threading.Timer(0, lambda: database.put({"_id": "last"}))
    seen: list[Any] = []
    rows = iter(feed)
    original = feed._next

    def watched() -> Any:
        row = original()
        seen.append(feed.last_seq)
        if seen[-1] == 3500 and not writer.is_alive():
            writer.start()
        return row

    feed._next = watched  # type: ignore[method-assign]
    assert next(rows)["id"] == "last"
    assert sorted(set(seen)) == [1000, 2000, 3000, 3500, 3501], "how far it looked is told on the way"
    writer.join()
    feed.cancel()


def test_a_selective_filter_does_not_keep_others_waiting(database: SyncPouchDB, heard: Any) -> None:
    database.bulk_docs([{"_id": f"{number:05}"} for number in range(3000)])
    looked: list[str] = []
    told: list[int] = []
    slow = database.live_changes(since=0, filter=lambda doc: looked.append(doc["_id"]))
    quick = database.live_changes(since=2999)
    slow.on("change", heard)
    quick.on("change", lambda row: told.append(len(looked)))
    settle(database)
    heard_all = threading.Event()
    quick.on("complete", lambda result: heard_all.set())
    settle(database)
    quick.cancel()
    assert heard_all.wait(SOON)
    assert told[0] <= 2000
    slow.cancel()


# -- the handle ------------------------------------------------------------------------------------


def test_the_members_of_a_handle(database: SyncPouchDB) -> None:
    feed = database.changes(live=True)
    assert isinstance(feed, Feed)
    assert feed.db is database
    assert feed.cancelled is False
    names = "on once addListener removeListener removeAllListeners setMaxListeners listeners emit cancel".split()
    for name in (*names, "add_listener", "wait", "done", "last_seq"):
        assert name in feed
        assert feed[name] is not None or name == "last_seq"
    assert "nonsense" not in feed
    assert 1 not in feed
    for key in ("nonsense", 0):
        with pytest.raises(KeyError):
            feed[key]  # type: ignore[index]
    assert feed["cancel"]() is None
    assert feed.cancel() is None
    assert feed["cancelled"] is True


@pytest.mark.parametrize("option", ["live", "continuous"])
def test_both_names_of_the_option(database: SyncPouchDB, option: str) -> None:
    feed = database.changes(**{option: True})
    feed.cancel()
    assert feed.wait(SOON)["status"] == "cancelled"


def test_a_cancelled_feed_completes(database: SyncPouchDB, heard: Any) -> None:
    database.put({"_id": "a"})
    rows = type(heard)()
    feed = database.changes(live=True, since=0, on_change=rows, complete=heard)
    rows.wait()
    feed.cancel()
    assert heard.wait() == [(None, {"results": [], "last_seq": 1, "status": "cancelled"})]
    feed.cancel()
    settle(database)
    assert len(heard.calls) == 1
    assert feed.done


def test_cancelled_before_the_first_row(database: SyncPouchDB, heard: Any) -> None:
    database.put({"_id": "a"})
    feed = database.live_changes(since=0)
    feed.cancel()
    rows = type(heard)()
    feed.on("change", rows).once("complete", heard)
    assert heard.wait() == [{"results": [], "last_seq": 0, "status": "cancelled"}]
    settle(database)
    assert rows.calls == []


def test_a_feed_that_is_over_by_itself_is_not_cancelled(database: SyncPouchDB, heard: Any) -> None:
    database.bulk_docs([{"_id": id} for id in "abc"])
    feed = database.changes(live=True, since=0, limit=2, complete=heard, on_change=lambda row: None)
    assert heard.wait() == [(None, {"results": [], "last_seq": 2})]
    feed.cancel()
    assert feed.cancelled is False


def test_cancel_from_inside_a_listener(database: SyncPouchDB, heard: Any) -> None:
    database.bulk_docs([{"_id": id} for id in "abcdef"])
    feed = database.live_changes(since=0)

    def stop_at_c(row: Any) -> None:
        heard(row)
        if row["id"] == "c":
            feed.cancel()

    feed.on("change", stop_at_c)
    assert feed.wait(SOON)["last_seq"] == 3
    settle(database)
    assert ids(heard.calls) == ["a", "b", "c"]


def test_callbacks_run_on_the_dispatcher(database: SyncPouchDB, heard: Any) -> None:
    feed = database.changes(live=True, on_change=heard, complete=heard)
    database.put({"_id": "a"})
    heard.wait()
    feed.cancel()
    heard.wait(2)
    assert len(heard.threads) == 1
    assert next(iter(heard.threads)).startswith("pouchdb-events")


def test_a_listener_that_raises_is_logged_and_stops_nothing(
    database: SyncPouchDB, heard: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def wrong(row: Any) -> None:
        raise ValueError("mine")

    feed = database.live_changes().on("change", wrong).on("change", heard)
    other = type(heard)()
    second = database.live_changes().on("change", other)
    database.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    assert ids(heard.wait(2)) == ids(other.wait(2)) == ["a", "b"]
    assert caplog.text.count("ValueError: mine") == 2
    feed.cancel()
    second.cancel()


def test_a_listener_that_comes_late_is_told_how_it_ended(database: SyncPouchDB, heard: Any) -> None:
    feed = database.changes(live=True, since=0, limit=1, on_change=lambda row: None)
    database.put({"_id": "a"})
    feed.wait(SOON)
    settle(database)
    feed.on("complete", heard)
    assert heard.wait() == [{"results": [], "last_seq": 1}]


def test_once(database: SyncPouchDB, heard: Any) -> None:
    feed = database.live_changes().once("change", heard)
    database.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    heard.wait()
    settle(database)
    assert ids(heard.calls) == ["a"]
    feed.cancel()


def test_wait_until_called_knows_the_callbacks(database: SyncPouchDB) -> None:
    told: list[Any] = []

    def change(row: Any) -> None:
        told.append(row)

    def complete(error: Any, result: Any) -> None:
        told.append(result)

    feed = database.changes(live=True, on_change=change, complete=complete)
    database.put({"_id": "a"})
    context = database.environment.context
    assert context.wait_until_called(change, SOON)
    feed.cancel()
    assert context.wait_until_called([complete], SOON)
    assert len(told) == 2


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"descending": True}, BadRequest),
        ({"since": -1}, BadRequest),
        ({"since": "abc"}, BadRequest),
        ({"since": 1.5}, BadRequest),
        ({"since": True}, BadRequest),
        ({"filter": 5}, BadRequest),
        ({"style": "all"}, BadRequest),
        ({"doc_ids": "abc"}, BadRequest),
        ({"limit": -1}, BadRequest),
    ],
)
def test_a_wrong_option_is_refused_by_the_call(
    database: SyncPouchDB, options: dict[str, Any], error: type[PouchDBError]
) -> None:
    with pytest.raises(error):
        database.changes(live=True, **options)
    settle(database)
    assert not database._life.live


# -- errors ----------------------------------------------------------------------------------------


def broken(doc: Any) -> bool:
    if doc["_id"] == "b":
        raise ZeroDivisionError("mine")
    return True


def test_an_error_ends_the_feed_and_is_told(database: SyncPouchDB, heard: Any) -> None:
    database.bulk_docs([{"_id": id} for id in "abc"])
    rows, complete = type(heard)(), type(heard)()
    feed = database.changes(live=True, since=0, filter=broken, on_change=rows, complete=complete).on("error", heard)
    [error] = heard.wait()
    assert isinstance(error, ZeroDivisionError)
    assert ids(rows.calls) in ([], ["a"])
    assert complete.wait() == [(error, None)]
    with pytest.raises(ZeroDivisionError):
        feed.wait(SOON)
    assert feed.done
    assert not feed.cancelled


def test_an_error_that_nobody_listens_for_is_logged(database: SyncPouchDB, caplog: pytest.LogCaptureFixture) -> None:
    database.put({"_id": "b"})
    caplog.set_level(logging.ERROR, "pouchdb.live")
    feed = database.live_changes(since=0, filter=broken).on("change", print)
    assert feed._done.wait(SOON)
    settle(database)
    assert "nobody listened: mine" in caplog.text


def test_an_error_is_raised_to_who_iterates(database: SyncPouchDB, caplog: pytest.LogCaptureFixture) -> None:
    database.bulk_docs([{"_id": id} for id in "abc"])
    seen: list[str] = []
    with pytest.raises(ZeroDivisionError):
        seen.extend(row["id"] for row in database.live_changes(since=0, filter=broken))
    assert seen in ([], ["a"])
    settle(database)
    assert "nobody listened" not in caplog.text


# -- iteration -------------------------------------------------------------------------------------


def test_iterating(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": id} for id in "abc"])
    feed = database.live_changes(since=0)
    threads = threading.active_count()
    seen = []
    for row in feed:
        seen.append(row["id"])
        if row["id"] == "c":
            database.put({"_id": "d"})
        if row["id"] == "d":
            feed.cancel()
    assert seen == ["a", "b", "c", "d"]
    assert threading.active_count() <= threads + 2, "the watcher and the dispatcher at most"
    assert feed.wait(SOON)["last_seq"] == 4
    assert list(feed) == []


def test_iterating_goes_on_where_it_was_left(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": id} for id in "abc"])
    feed = database.live_changes(since=0)
    for row in feed:
        assert row["id"] == "a"
        break
    assert next(iter(feed))["id"] == "b"
    feed.cancel()


def test_cancel_from_another_thread_ends_the_iteration(database: SyncPouchDB) -> None:
    feed = database.live_changes()
    thread = threading.Thread(target=lambda: [None for _ in feed])
    thread.start()
    feed.cancel()
    thread.join(SOON)
    assert not thread.is_alive()


def test_listening_and_iterating_exclude_each_other(database: SyncPouchDB, heard: Any) -> None:
    feed = database.live_changes().on("change", heard)
    with pytest.raises(RuntimeError, match="listener"):
        iter(feed)
    feed.cancel()
    other = database.live_changes()
    iter(other)
    with pytest.raises(RuntimeError, match="iterated"):
        other.on("change", heard)
    other.cancel()


# -- the end of the database -----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["close", "destroy", "environment", "destroy by another object"])
def test_the_end_of_the_database_ends_its_feeds(environment: SyncEnvironment, heard: Any, how: str) -> None:
    database = environment["test"]
    rows = type(heard)()
    started = database.changes(live=True, on_change=rows, complete=heard)
    waiting = database.live_changes()
    results: list[Any] = []
    iterating = database.live_changes()
    thread = threading.Thread(target=lambda: results.extend(iterating))
    thread.start()
    database.put({"_id": "a"})
    rows.wait()
    if how == "environment":
        environment.close()
    elif how == "destroy by another object":
        environment["test"].destroy()
    else:
        getattr(database, how)()
    thread.join(SOON)
    assert not thread.is_alive()
    for feed in (started, waiting, iterating):
        assert feed.wait(SOON)["status"] == "cancelled"
    [(error, result)] = heard.wait()
    assert error is None
    assert result["last_seq"] == 1


def test_closing_one_object_leaves_the_feeds_of_another(environment: SyncEnvironment, heard: Any) -> None:
    first, second = environment["test"], environment["test"]
    gone, feed = first.live_changes().on("change", print), second.live_changes().on("change", heard)
    first.close()
    assert gone.wait(SOON)["status"] == "cancelled"
    second.put({"_id": "a"})
    heard.wait()
    feed.cancel()


# -- cost ------------------------------------------------------------------------------------------


def test_a_thousand_idle_feeds_cost_no_threads_and_are_woken_once_per_burst(database: SyncPouchDB) -> None:
    threads = threading.active_count()
    told = threading.Semaphore(0)
    feeds = [database.live_changes().on("change", lambda row: told.release()) for _ in range(1000)]
    settle(database)
    assert threading.active_count() <= threads + 2
    reads = [0]
    counters = database.adapter.store.counters  # type: ignore[attr-defined]

    def counted() -> Any:
        reads[0] += 1
        return counters()

    dispatcher_busy, go_on = threading.Event(), threading.Event()

    def busy() -> None:
        dispatcher_busy.set()
        go_on.wait(SOON)

    dispatcher = database.environment.engine.dispatcher
    dispatcher.call(busy)
    dispatcher_busy.wait(SOON)
    database.adapter.store.counters = counted  # type: ignore[attr-defined]
    try:
        for number in range(5):
            database.put({"_id": str(number)})
        before, reads[0] = reads[0], 0
        go_on.set()
        for _ in range(5000):
            assert told.acquire(timeout=SOON)
        settle(database)
    finally:
        del database.adapter.store.counters  # type: ignore[attr-defined]
    assert before <= 20, "only the writer reads while the feeds wait"
    # One look that finds the five rows (and reads the end of the feed), one that finds nothing more.
    assert reads[0] <= 4 * 1000
    assert threading.active_count() <= threads + 2
    for feed in feeds:
        feed.cancel()
    assert not database.adapter.store.notifier._wakes  # type: ignore[attr-defined]


def test_a_feed_that_was_dropped_goes(database: SyncPouchDB) -> None:
    wakes = database.adapter.store.notifier._wakes  # type: ignore[attr-defined]
    feed = database.live_changes()
    gone = weakref.ref(feed)
    assert len(wakes) == 1
    del feed
    assert gone() is None, "at once, not when the collector comes by"
    assert not wakes
    database.put({"_id": "a"})
    for row in database.live_changes(since=0):
        assert row["id"] == "a"
        break
    gc.collect()
    assert not wakes
    assert not database._life.live


def test_a_feed_with_a_listener_goes_on_when_it_was_dropped(database: SyncPouchDB, heard: Any) -> None:
    database.live_changes().on("change", heard)
    gc.collect()
    database.put({"_id": "a"})
    heard.wait()


def test_feeds_that_ended_leave_nothing_behind(database: SyncPouchDB) -> None:
    def once() -> None:
        feed = database.changes(live=True, on_change=print, complete=lambda error, result: None)
        feed.cancel()
        feed.wait(SOON)

    for _ in range(20):
        once()
    settle(database)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.take_snapshot()
        for _ in range(200):
            once()
        settle(database)
        gc.collect()
        after = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    grown = sum(
        each.size_diff for each in after.compare_to(before, "filename") if "pouchdb_core" in str(each.traceback)
    )
    # CallLog remembers the last thousand callbacks.
    assert grown < 200_000
    assert not [each for each in gc.get_objects() if isinstance(each, Feed)]


def test_a_long_feed_takes_no_memory_of_its_length(database: SyncPouchDB) -> None:
    text = "x" * 20_000
    for start in range(0, 2000, 200):
        database.bulk_docs([{"_id": f"{number:05}", "text": text} for number in range(start, start + 200)])
    feed = database.live_changes(since=0, include_docs=True)
    tracemalloc.start()
    try:
        seen = 0
        for _ in feed:
            seen += 1
            if seen == 2000:
                feed.cancel()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen == 2000
    assert peak < 12_000_000, "of 40 MB"


# -- waiting for a feed that nobody listens to -------------------------------------------------------


def test_waiting_for_a_feed_without_a_listener_runs_it(database: SyncPouchDB) -> None:
    feed = database.live_changes(limit=2, since=0)
    database.bulk_docs([{"_id": "a"}, {"_id": "b"}, {"_id": "c"}])
    assert feed.wait(SOON) == {"results": [], "last_seq": 2}
    assert feed.last_seq == 2


def test_a_wait_that_took_too_long_leaves_the_feed_running(database: SyncPouchDB, heard: Any) -> None:
    feed = database.live_changes(limit=2, since=0)
    with pytest.raises(TimeoutError):
        feed.wait(0)
    database.put({"_id": "a"})
    with pytest.raises(RuntimeError, match="cannot be iterated too"):
        iter(feed)
    settle(database)
    feed.on("change", heard)
    database.put({"_id": "b"})
    assert feed.wait(SOON)["last_seq"] == 2
    assert ids(heard.wait()) == ["b"]


def test_a_wait_ends_when_the_feed_is_cancelled_or_its_database_closed(environment: SyncEnvironment) -> None:
    for end in (lambda db, feed: feed.cancel(), lambda db, feed: db.close(), lambda db, feed: db.destroy()):
        database = environment.PouchDB("ended")
        feed = database.live_changes()
        answers: list[Any] = []
        waiting = threading.Thread(target=lambda feed=feed, answers=answers: answers.append(feed.wait(SOON)))
        waiting.start()
        end(database, feed)
        waiting.join()
        assert answers == [{"results": [], "last_seq": 0, "status": "cancelled"}]


def test_the_error_of_a_feed_that_is_waited_for_is_raised_and_not_logged(
    database: SyncPouchDB, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(doc: Any, request: Any) -> bool:
        raise ValueError("no")

    database.put({"_id": "a"})
    feed = database.live_changes(filter=fail, since=0)
    with caplog.at_level(logging.ERROR), pytest.raises(ValueError, match="no"):
        feed.wait(SOON)
    settle(database)
    assert caplog.records == []


def test_a_wait_for_an_iterated_feed_leaves_the_rows_to_the_iteration(database: SyncPouchDB) -> None:
    feed = database.live_changes(limit=2, since=0)
    rows = iter(feed)
    database.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    with pytest.raises(TimeoutError):
        feed.wait(0)
    assert ids(list(rows)) == ["a", "b"]
    assert feed.wait(SOON)["last_seq"] == 2


def test_a_listener_may_add_another_and_wait_for_the_feed_in_another_thread(database: SyncPouchDB, heard: Any) -> None:
    feed = database.live_changes(limit=2, since=0)
    feed.once("change", lambda row: feed.on("change", heard))
    database.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    assert feed.wait(SOON)["last_seq"] == 2
    assert ids(heard.wait()) == ["b"]
