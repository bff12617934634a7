"""What programs write: must pass mypy --strict. Never run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from typing_extensions import assert_type

import pouchdb
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.documents.attachments import AttachmentReader, Blob
from pouchdb_core.live import Feed, Replication, Sync
from pouchdb_core.requests import UserContext
from pouchdb_core.results import Record
from pouchdb_core.tables import Table

# Environments.
env = pouchdb.setup("data")
assert_type(env, pouchdb.SyncEnvironment)
assert_type(pouchdb.setup(Path("data"), plugins=["all_dbs"], durability="normal"), pouchdb.SyncEnvironment)
assert_type(pouchdb.setup(None, False, "file:///", plugins=[]), pouchdb.SyncEnvironment)
assert_type(env.names(), list[str])
assert_type(list(env), list[str])
assert_type("notes" in env, bool)
assert_type(env.uuid, str)
assert_type(env.directory, Path | None)
assert_type(env.defaults(prefix="my-"), pouchdb.SyncEnvironment)
assert_type(env.as_user({"name": "ada", "roles": ["editor"]}), pouchdb.SyncEnvironment)
assert_type(env.active_tasks(), list[Record])
assert_type(env.on("created", print).once("destroyed", print), pouchdb.SyncEnvironment)
assert_type(env.emit("test", 1), bool)
assert_type(env.listeners("test"), list[Callable[..., Any]])
assert_type(env.context.wait_until_called([print], timeout=1), bool)
as_mapping: Mapping[str, SyncPouchDB] = env

# Databases.
db = env["notes"]
assert_type(db, pouchdb.SyncPouchDB)
assert_type(env.PouchDB("notes", auto_compaction=True), pouchdb.SyncPouchDB)
assert_type(db.as_user(UserContext("ada")), pouchdb.SyncPouchDB)
assert_type(db.name, str)
assert_type(db.remote, bool)

# Methods of first-party plug-ins.
assert_type(env.all_dbs(), list[str])
assert_type(env.allDbs(), list[str])
assert_type(env.reset_all_dbs(), None)
assert_type(env.as_user({"name": "ada"}).all_dbs(), list[str])
assert_type(env.sync_view.all_dbs(), list[str])

assert_type(db.find({"selector": {}}), Table)
assert_type(db.find(selector={"a": 1}, sort=["a", {"b": "asc"}], limit=5), Table)
assert_type(db.explain({"selector": {}}), Record)
assert_type(db.create_index({"index": {"fields": ["a"]}}), Record)
assert_type(db.createIndex({"fields": ["a"]}, name="n"), Record)
assert_type(db.getIndexes(), Record)
assert_type(db.delete_index(ddoc="d", name="n"), Record)
assert_type(db.search("d/i", query="owl"), Record)
assert_type(db.validating_put({"_id": "a"}), Record)

# Documents, in both spellings.
assert_type(db.get("a"), Record)
assert_type(db.get("a", "1-a", revs=True, conflicts=True), Record)
assert_type(db.get("a").title, Any)
assert_type(db["a"], Record)
assert_type(db.put({"_id": "a"}), Record)
assert_type(db.put('{"_id": "a"}', "a", rev="1-a", force=True), Record)
assert_type(db.post({}), Record)
assert_type(db.remove({"_id": "a", "_rev": "1-a"}), Record)
assert_type(db.bulk_docs([{"_id": "a"}], atomic=True), list[Record])
assert_type(db.bulkDocs({"docs": []}, new_edits=False), list[Record])
assert_type(db.all_docs(include_docs=True, limit=5), Table)
assert_type(db.allDocs(startkey="a", endkey="b"), Table)
assert_type(db.bulk_get([{"id": "a"}]), Record)
assert_type(db.bulkGet([{"id": "a"}]), Record)
assert_type(db.open_revs("a"), list[Record])
assert_type(db.openRevs("a", ["1-a"]), list[Record])
assert_type(db.revs_diff({"a": ["1-a"]}), Record)
assert_type(db.revsDiff({"a": ["1-a"]}), Record)
assert_type(db.put_attachment("a", "t", b"x", "text/plain"), Record)
assert_type(db.putAttachment("a", "t", b"x", "text/plain", rev="1-a"), Record)
assert_type(db.get_attachment("a", "t"), Blob)
assert_type(db.getAttachment("a", "t"), Blob)
assert_type(db.open_attachment("a", "t"), AttachmentReader)
assert_type(db.remove_attachment("a", "t", "1-a"), Record)
assert_type(db.conflicts(), Iterator[Record])
assert_type(db.resolve("a", lambda leaves: leaves[0]), Record)
assert_type(db.info(), Record)
assert_type(db.id(), str)
assert_type(db.revs_limit(), int)
assert_type(db.revsLimit(5), int)
assert_type(db.destroy(), Record)
assert_type(list(db), list[str])
assert_type(len(db), int)

# What may go on: with live=True a handle, else the result.
live: bool = bool(input())
assert_type(db.changes(), Record)
assert_type(db.changes(since=5, include_docs=True, style="all_docs"), Record)
assert_type(db.changes(live=False, limit=1), Record)
assert_type(db.changes(live=True), Feed)
assert_type(db.changes(continuous=True, since="now").on("change", print), Feed)
assert_type(db.changes(live=live), Record | Feed)
assert_type(db.live_changes(), Feed)
assert_type(db.replicate_to("other"), Record)
assert_type(db.replicateTo("other", live=True, retry=True), Replication)
assert_type(db.replicate_to("other", continuous=True), Replication)
assert_type(db.replicate_from("http://127.0.0.1:5984/x", batch_size=5), Record)
assert_type(db.replicateFrom("other", live=True).on("paused", print), Replication)
assert_type(db.replicate_to("other", live=live), Record | Replication)
assert_type(db.sync("other"), Record)
assert_type(db.sync("other", live=True, push={"filter": "a/b"}), Sync)
assert_type(db.sync("other", live=live), Record | Sync)
assert_type(env.replicate("a", db), Record)
assert_type(env.replicate("a", db, live=True), Replication)
assert_type(env.sync("a", db), Record)
handle = env.sync("a", db, live=True)
assert_type(handle, Sync)
assert_type((handle.state, handle.pending, handle.attempt), tuple[str, int, int])
assert_type(handle.last_error, BaseException | None)
assert_type((handle.push.state, handle.pull.pending), tuple[str, int])
assert_type(handle.wait(), Any)
handle.cancel()

# Values that JSON cannot represent.
assert_type(pouchdb.setup("data", default=str), pouchdb.SyncEnvironment)
assert_type(db.bulk_docs({"_id": str(n)} for n in range(5)), list[Record])

# Errors.
try:
    db.get("a")
except pouchdb.PouchDBError as error:
    assert_type(error.status, int)
    assert_type(error.message, str)
    assert_type(error["status"], Any)
assert_type(env["notes"].signup("ada", "pw", metadata={"mail": "x"}), Record)
assert_type(env["notes"].logIn("ada", "pw"), Record)
assert_type(env["notes"].sign_up_admin("root", "pw"), str)
