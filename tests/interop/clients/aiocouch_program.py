import asyncio

from aiocouch import ConflictError, CouchDB, NotFoundError, PreconditionFailedError
from steps import NAME, PASSWORD, URL, USER, done, step


async def fails(what, error, awaitable):
    try:
        await awaitable
    except error:
        step(what, True)
    else:
        step(what, False)


async def main():
    async with CouchDB(URL, user=USER, password=PASSWORD) as server:
        await server.check_credentials()
        step("check_credentials", True)
        step("info", (await server.info())["couchdb"], "Welcome")
        db = await server.create(NAME)
        step("keys", NAME in await server.keys())
        await fails("create again", PreconditionFailedError, server.create(NAME))
        step("create exists_ok", (await server.create(NAME, exists_ok=True)).id, NAME)
        doc = await db.create("a", data={"n": 1})
        await doc.save()
        step("save", doc["_rev"][:2], "1-")
        step("get", (await db["a"])["n"], 1)
        await fails("missing", NotFoundError, db.get("none"))
        other = await db.get("a")
        doc["n"] = 2
        await doc.save()
        other["n"] = 3
        await fails("conflict", ConflictError, other.save())
        async with db.create_docs([f"b{n}" for n in range(5)]) as bulk:
            async for each in bulk:
                each["n"] = int(each.id[1])
        step("create_docs", bulk.error, [])
        async with db.update_docs(["b0", "b1"]) as bulk:
            async for each in bulk:
                each["more"] = True
        step("update_docs", len(bulk.ok), 2)
        step("akeys", [id async for id in db.akeys()], ["a", "b0", "b1", "b2", "b3", "b4"])
        step("values", [each["n"] async for each in db.values()], [2, 0, 1, 2, 3, 4])
        step("docs", [each.id async for each in db.docs(prefix="b3")], ["b3"])
        step("find", sorted([each.id async for each in db.find({"n": {"$gt": 2}})]), ["b3", "b4"])
        ddoc = await db.design_doc("v", exists_ok=True)
        await ddoc.create_view("n", map_function="function (d) { emit(d.n, null); }")
        view = (await db.design_doc("v", exists_ok=True)).view("n")
        step("view", [id async for id in view.akeys()], ["b0", "b1", "a", "b2", "b3", "b4"])
        attachment = doc.attachment("file.txt")
        await attachment.save(b"text", "text/plain")
        step("attachment", await doc.attachment("file.txt").fetch(), b"text")
        step("attachment exists", await doc.attachment("none").exists(), False)
        changes = [change.id async for change in db.changes(last_event_id=None)]
        step("changes", set(changes) >= {"a", "b0", "b4"})
        security = await db.security()
        security.add_member("bob")
        await security.save()
        step("security", (await db.security()).members, ["bob"])
        step("index", (await db.index({"fields": ["n"]}, name="by-n"))["result"], "created")
        doc = await db.get("a")
        await doc.delete()
        await fails("deleted", NotFoundError, db.get("a"))
        await db.delete()
        step("delete database", NAME in await server.keys(), False)


asyncio.run(main())
done()
