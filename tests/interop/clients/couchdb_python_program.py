import io

import couchdb
from couchdb import http
from steps import NAME, PASSWORD, URL, USER, done, fails, step

server = couchdb.Server(URL.replace("://", f"://{USER}:{PASSWORD}@") + "/")
step("version", server.version()[0], "3")
step("uuids", len(server.uuids(3)), 3)
db = server.create(NAME)
step("create", NAME in server)
fails("create again", http.PreconditionFailed, lambda: server.create(NAME))
id, rev = db.save({"n": 0})
step("save", rev[:2], "1-")
db["a"] = {"n": 1}
step("get", db["a"]["n"], 1)
fails("missing", http.ResourceNotFound, lambda: db["none"])
fails("conflict", http.ResourceConflict, lambda: db.save({"_id": "a", "n": 2}))
step("in", "a" in db)
step("len", len(db), 2)
results = db.update([couchdb.Document(_id=f"b{n}", n=n) for n in range(5)])
step("update", [ok for ok, _, _ in results], [True] * 5)
db["_design/v"] = {"views": {"n": {"map": "function (d) { emit(d.n, d.n); }", "reduce": "_sum"}}}
step("view", [row.value for row in db.view("v/n")], [11])
step("view group", len(list(db.view("v/n", group=True))), 5)
step("view slice", [row.doc["n"] for row in db.view("v/n", reduce=False, include_docs=True)[3:4]], [3, 4])
step("iterview", len(list(db.iterview("v/n", 2, reduce=False))), 7)
doc = db["a"]
db.put_attachment(doc, io.BytesIO(b"text"), "file.txt", "text/plain")
step("get_attachment", db.get_attachment("a", "file.txt").read(), b"text")
db.delete_attachment(db["a"], "file.txt")
step("delete_attachment", db.get_attachment("a", "file.txt") is None)
db.copy("a", "copied")
step("copy", db["copied"]["n"], 1)
step("revisions", len(list(db.revisions("a"))) >= 1)
step("changes", len(db.changes()["results"]) >= 8)
step("security", "admins" in db.security)
db.security = {"admins": {"names": ["ada"], "roles": []}, "members": {"names": [], "roles": []}}
step("put security", db.security["admins"]["names"], ["ada"])
db.delete(db["a"])
step("delete", "a" in db, False)
step("purge", db.purge([db["copied"]])["purged"]["copied"] != [])
step("compact", db.compact())
step("replicate", server.replicate(NAME, "copy", create_target=True)["ok"])
del server["copy"]
del server[NAME]
step("delete database", NAME in server, False)
done()
