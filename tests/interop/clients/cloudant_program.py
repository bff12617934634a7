from cloudant.client import CouchDB
from cloudant.design_document import DesignDocument
from cloudant.document import Document
from cloudant.error import CloudantClientException
from cloudant.query import Query
from cloudant.result import Result
from steps import NAME, PASSWORD, URL, USER, done, fails, step

client = CouchDB(USER, PASSWORD, url=URL, connect=True)
step("session", client.session()["userCtx"]["name"], USER)
db = client.create_database(NAME)
step("create", db.exists())
step("all_dbs", NAME in client.all_dbs())
fails("create again", CloudantClientException, lambda: client.create_database(NAME, throw_on_exists=True))
doc = db.create_document({"_id": "a", "n": 1})
step("create_document", doc.exists())
step("get", db["a"]["n"], 1)
doc["n"] = 2
doc.save()
step("save", doc["_rev"][:2], "2-")
with Document(db, "context") as edited:
    edited["n"] = 7
step("context", db["context"]["n"], 7)
step("bulk_docs", all("rev" in row for row in db.bulk_docs([{"_id": f"b{n}", "n": n} for n in range(5)])))
step("doc_count", db.doc_count(), 7)
step("all_docs", [row["id"] for row in db.all_docs(limit=2)["rows"]], ["a", "b0"])
step("keys", sorted(db.keys(remote=True))[:2], ["a", "b0"])
ddoc = DesignDocument(db, "_design/v")
ddoc.add_view("n", "function (d) { emit(d.n, d.n); }", "_sum")
ddoc.save()
step("design document", ddoc.exists())
step("view", db.get_view_result("_design/v", "n").all()[0]["value"], 19)
step("view group", len(db.get_view_result("_design/v", "n", group=True).all()), 6)
step("result", len(Result(db.all_docs, include_docs=True, page_size=3)[:]), 8)
step("result slice", [row["id"] for row in Result(db.all_docs)[1:3]], ["a", "b0"])
found = Query(db, selector={"n": {"$gt": 3}}, fields=["_id"]).result
step("find", sorted(each["_id"] for each in found), ["b4", "context"])
db.create_query_index(fields=["n"], index_name="by-n", design_document_id="ix")
step("indexes", len(db.get_query_indexes(raw_result=True)["indexes"]), 2)
db.delete_query_index("ix", "json", "by-n")
step("delete index", len(db.get_query_indexes(raw_result=True)["indexes"]), 1)
doc.put_attachment("file.txt", "text/plain", "text")
step("attachment", doc.get_attachment("file.txt", attachment_type="text"), "text")
doc.delete_attachment("file.txt")
step("delete attachment", "_attachments" not in Document(db, "a").json())
step("changes", len(list(db.changes(feed="normal"))) >= 8)
step("missing_revisions", db.missing_revisions("a", "9-x"), ["9-x"])
step("security", isinstance(db.get_security_document().json(), str))
doc.fetch()
doc.delete()
step("delete", doc.exists(), False)
client.delete_database(NAME)
step("delete database", NAME in client.all_dbs(), False)
client.disconnect()
done()
