"""What programs get wrong: mypy must say so on each marked line, and nowhere else. Never run."""

from __future__ import annotations

import pouchdb
from pouchdb_core import Slot, SyncPouchDB, operation

env = pouchdb.setup("data")
db = env["notes"]

db.get("a", revz=True)  # error: call-arg
db.get(5)  # error: arg-type
db.get()  # error: call-arg
db.all_docs(includedocs=True)  # error: call-arg
db.allDocs(include_docs="yes")  # error: arg-type
db.put(5)  # error: arg-type
db.changes(style="some")  # error: call-overload
db.changes(live=True).nothing()  # error: attr-defined
db.replicate_to("other", live=5)  # error: call-overload
db.replicate_to("other", livee=True)  # error: call-overload
db.sync()  # error: call-overload
print(env.replicate("a", "b", live=True).status)  # error: attr-defined
db.bulk_docs([{"_id": "a"}], atomic="yes")  # error: arg-type
db.put_attachment("a", "t", 5, "text/plain")  # error: arg-type
db.find(selectr={})  # error: call-arg
db.nothing()  # error: attr-defined
db.with_purpose("fun")  # error: arg-type
env.as_user("ada")  # error: arg-type
env["notes"] = db  # error: index
env.on("created", 5)  # error: arg-type
number: int = db.id()  # error: assignment


def tagged(db: SyncPouchDB, tag: str) -> list[str]:
    return []


class Typed:
    tagged = operation(tagged, reads=True)


Typed().tagged(5)  # error: arg-type
Typed().tagged("red", limit=5)  # error: call-arg
text: str = Typed().tagged("red")  # error: assignment

SLOT = Slot("cache", lambda owner: 5)
cached: str = db.state(SLOT)  # error: assignment


# -- asynchronous ----------------------------------------------------------------------------------


async def asynchronous() -> None:
    env = pouchdb.setup("data", async_=True)
    db = env["notes"]
    await db.get("a", revz=True)  # error: call-arg
    await db.get(5)  # error: arg-type
    await db.allDocs(include_docs="yes")  # error: arg-type
    await db.changes(style="some")  # error: arg-type
    print(db.get("a").title)  # error: attr-defined
    number: int = await db.id()  # error: assignment
    db["a"]  # error: index
    async for row in db.live_changes():
        number = row  # error: assignment
        print(number)
    for row in db.replicate_to("other", live=5):  # error: arg-type
        print(row)
    await env.destroy(5)  # error: arg-type
    await env.names(prefix="a")  # error: call-arg
