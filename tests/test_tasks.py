"""``active_tasks()``."""

from __future__ import annotations

import threading

import pouchdb
from pouchdb_core.tasks import Tasks


def test_a_task_is_listed_while_it_runs() -> None:
    tasks = Tasks()
    assert tasks.list() == []
    with tasks.running("indexing", "notes", total_items=10) as task:
        (shown,) = tasks.list()
        assert set(shown) == {"id", "name", "database", "created_at", "total_items", "completed_items"}
        assert (shown.name, shown.database, shown.total_items, shown.completed_items) == ("indexing", "notes", 10, 0)
        assert shown.created_at.endswith("Z")
        task.progress()
        task.progress(4)
        (shown,) = tasks.list()
        assert shown.completed_items == 5
        assert shown.updated_at >= shown.created_at
    assert tasks.list() == []


def test_a_task_that_fails_is_gone_too() -> None:
    tasks = Tasks()
    running = tasks.running("indexing")
    running.__enter__()
    assert set(tasks.list()[0]) == {"id", "name", "created_at", "completed_items"}
    running.__exit__(RuntimeError, RuntimeError(), None)
    assert tasks.list() == []


def test_tasks_are_listed_oldest_first_from_any_thread() -> None:
    tasks = Tasks()
    seen: list[list[str]] = []
    with tasks.running("one"), tasks.running("two"):
        thread = threading.Thread(target=lambda: seen.append([task.name for task in tasks.list()]))
        thread.start()
        thread.join(60)
    assert seen == [["one", "two"]]


def test_environments_list_all_tasks_and_databases_their_own() -> None:
    env = pouchdb.setup(":memory:", plugins=[])
    notes, other = env["notes"], env["other"]
    with env.engine.tasks.running("indexing", "notes"):
        assert [task.name for task in env.active_tasks()] == ["indexing"]
        assert env.activeTasks() == env.active_tasks() == notes.active_tasks() == notes.activeTasks()
        assert other.active_tasks() == []
