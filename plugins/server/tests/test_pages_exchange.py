"""Import and export on the page."""

from __future__ import annotations

import gzip
import json

import pytest

HOSTILE = "<img src=x onerror=owned()>"
PAD = json.dumps({"_id": "pad", "text": "x" * 5000})
ONE, TWO = '{"_id": "a\\"}]", "n": 9007199254740993, "x": [[{}], "\\\\"]}', '{\n "_id": "b, {"\n}'

SPLIT = """
const [text, head] = arguments;
return import('./splitting.js').then(({Splitter}) => {
  const answers = new Set();
  for (const size of [1, 2, 3, 7, 64, 1000, 100000]) {
    const splitter = new Splitter();
    const found = [];
    for (let at = 0; at < text.length; at += size) found.push(...splitter.feed(text.slice(at, at + size)));
    found.push(...splitter.end());
    answers.add(JSON.stringify([splitter.isListing, found]));
  }
  return [...answers].map((each) => JSON.parse(each));
});
"""


@pytest.mark.parametrize(
    ("text", "found", "listing"),
    [
        (f"{PAD}\n{ONE}\r\n\n nonsense {{\n{PAD}", [PAD, ONE, "nonsense {", PAD], False),
        (f"\ufeff[{PAD},\n{ONE} , {TWO}]\n", [PAD, ONE, TWO], False),
        (f'{{"docs":[{PAD},{ONE},{TWO}\n]}}', [PAD, ONE, TWO], False),
        (f' {{"new_edits": false, "docs" : [ {PAD},5,"t",{ONE}] , "more": [1]}}', [PAD, "5", '"t"', ONE], False),
        (f'{{"total_rows":9,"offset":0,"rows":[\r\n{PAD},\r\n{ONE}\r\n]}}\n', [PAD, ONE], True),
        (f"{{\n{PAD[1:]}", ["{\n" + PAD[1:]], False),
        (f"[{PAD}, {ONE[:-3]}", [PAD, ONE[:-3]], False),
        ("[]", [], False),
        ('{"docs": []}', [], False),
        ("", [], False),
        ("\n\n", [], False),
        (TWO, [TWO], False),
    ],
)
def test_documents_are_found_however_the_text_comes(show, text, found, listing):
    assert show().run(SPLIT, text) == [[listing, found]]


@pytest.fixture
def target(shared):
    database = shared.environment["target"]
    database.put({"_id": "there", "x": 1})
    yield database
    database.destroy()


def bring(browser, path, how=None):
    browser.find("input[type=file]").send_keys(str(path))
    if how:
        browser.find("select[name=how]").send_keys(how)
    browser.click("button", "Import")
    return browser.find(".summary").text


def test_json_lines_are_imported_and_errors_summed_up(show, target, tmp_path):
    lines = [json.dumps({"_id": f"{n:04}", "n": n}) for n in range(1200)]
    lines[3] = '{"_id": "exact", "n": 9007199254740993}'
    lines[5] = "{nonsense"
    lines[600] = json.dumps({"_id": "_" + HOSTILE})
    lines[700] = json.dumps({"_id": "there", "x": 2})
    lines[701] = "[1]"
    (tmp_path / "docs.jsonl").write_text("\n".join(lines))
    browser = show("db", "target")
    browser.click(".tabs a", "Import and export")
    assert bring(browser, tmp_path / "docs.jsonl") == "1,196 documents written, 1 was there already, 3 errors"
    rows = browser.run("""return [...document.querySelectorAll('.results tbody tr')].map(
        (row) => [...row.children].map((cell) => cell.textContent))""")
    assert [row[:2] for row in rows] == [["6", ""], ["702", ""], ["601", "_" + HOSTILE]]
    assert not browser.all("main img")
    assert target["exact"].n == 9007199254740993
    assert target["there"].x == 1
    assert target.info().doc_count == 1197
    browser.errors()  # the browser reports each 400 until the one is found


def test_documents_that_are_there_are_replaced(show, target, tmp_path):
    docs = [{"_id": "there", "_rev": "7-dropped", "x": 2}, {"_id": "new"}, {"x": "without an id"}]
    with gzip.open(tmp_path / "docs.json.gz", "wt") as file:
        json.dump({"docs": docs}, file)
    browser = show("db", "target", "exchange")
    assert bring(browser, tmp_path / "docs.json.gz", "Replace") == "3 documents written"
    assert (target["there"].x, target["there"]._rev[:2]) == (2, "2-")
    assert target.info().doc_count == 3


def test_a_listing_with_revisions(show, target, tmp_path):
    rows = [{"id": "a", "doc": {"_id": "a", "_rev": "3-abc", "x": 1}}, {"id": "b"}]
    (tmp_path / "all.json").write_text(json.dumps({"total_rows": 2, "offset": 0, "rows": rows}))
    browser = show("db", "target", "exchange")
    assert bring(browser, tmp_path / "all.json", "Keep both") == "1 document written, 1 error"
    browser.find(".results", "include_docs")
    assert target["a"]._rev == "3-abc"


def test_a_file_that_is_not_what_its_name_says(show, target, tmp_path):
    (tmp_path / "docs.json.gz").write_text("[]")
    browser = show("db", "target", "exchange")
    browser.find("input[type=file]").send_keys(str(tmp_path / "docs.json.gz"))
    browser.click("button", "Import")
    browser.find(".answer .failure")
    browser.errors()


@pytest.mark.parametrize(
    "first",
    ['{"pouchdb_dump": 1, "db_name": "x"}', '{"version": "1", "db_info": {}}', '{"name": "@cloudant/couchbackup"}'],
    ids=["pouchdb dump", "pouchdb-dump", "couchbackup"],
)
def test_a_backup_is_not_imported_as_documents(show, target, tmp_path, first):
    (tmp_path / "backup.jsonl").write_text(first + '\n{"seq": 1, "docs": [{"_id": "a"}]}\n')
    browser = show("db", "target", "exchange")
    assert bring(browser, tmp_path / "backup.jsonl") == "0 documents written"
    browser.find(".answer .failure", "pouchdb load")
    assert [row.id for row in target.all_docs().rows] == ["there"]


def test_what_an_export_lacks_is_said_with_the_command_that_has_it(show, shared, target):
    browser = show("db", "target", "exchange")
    said = browser.find("section[aria-labelledby=export-title] .hint").text
    assert "no local documents" in said
    assert f"pouchdb dump {shared.url}/target FILE" in said.replace(f"{shared.url}//", f"{shared.url}/")


@pytest.fixture
def saved(chromium, tmp_path):
    """Return the text of a file that the browser saves."""
    chromium.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})

    def text(browser, name):
        file = tmp_path / name
        # Until it is whole it has another name.
        browser.until(file.exists, "saved file")
        return file.read_text("utf-8")

    yield text
    chromium.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "default"})


@pytest.mark.parametrize(
    ("format", "name", "read"),
    [
        ("JSON lines", "exported.jsonl", lambda text: [json.loads(line) for line in text.splitlines()]),
        ('{"docs"', "exported.json", lambda text: json.loads(text)["docs"]),
        ("An array", "exported.json", json.loads),
    ],
)
def test_what_is_exported_is_everything(show, shared, saved, format, name, read):
    source = shared.environment["exported"]
    if not source.info().doc_count:
        source.bulk_docs([{"_id": f"{n:04}", "n": n} for n in range(1100)])
        source.put(
            {"_id": "exact", "n": 9007199254740993, "_attachments": {"a": {"content_type": "b", "data": "YQ=="}}}
        )
    browser = show("db", "exported", "exchange")
    browser.find("select[name=format]").send_keys(format)
    browser.click("button", "Export")
    browser.find(".summary", "1,101 documents")
    docs = read(saved(browser, name))
    assert [doc["_id"] for doc in docs] == [row.id for row in source.all_docs().rows]
    assert docs[-1] == {"_id": "exact", "n": 9007199254740993}


def test_revisions_and_attachments_are_exported(show, shared, saved):
    source = shared.environment["small"]
    source.put({"_id": "a", "_attachments": {"f": {"content_type": "text/plain", "data": "YQ=="}}})
    browser = show("db", "small", "exchange")
    browser.click("label", "With revisions")
    browser.click("label", "With attachments")
    browser.click("button", "Export")
    doc = json.loads(saved(browser, "small.jsonl"))
    assert doc["_rev"] == source["a"]._rev
    assert doc["_attachments"]["f"]["data"] == "YQ=="


def test_conflicts_deletions_and_histories_are_exported(show, shared, saved, tmp_path):
    source = shared.environment["forked"]
    source.bulk_docs([{"_id": f"{n:04}", "n": 9007199254740993} for n in range(600)])
    source.put({"_id": "0001", "_rev": source["0001"]._rev, "n": 2})
    source.put({"_id": "0001", "_rev": "2-" + "f" * 32, "n": 3}, new_edits=False)
    source.remove({"_id": "0002", "_rev": source["0002"]._rev})
    source.put_attachment("0003", "f", b"a", "text/plain", source["0003"]._rev)
    browser = show("db", "forked", "exchange")
    browser.click("label", "Conflicts, deletions and histories too")
    assert not browser.all("label.check input")[0].is_enabled(), "they need their revisions"
    browser.click("label", "With attachments")
    browser.click("button", "Export")
    browser.find(".summary", "601 revisions")
    text = saved(browser, "forked.jsonl")
    (tmp_path / "all.jsonl").write_text(text, "utf-8")
    copy = shared.environment["copy"]
    bring(show("db", "copy", "exchange"), tmp_path / "all.jsonl", "Keep both")
    for each in source.changes(style="all_docs").results:
        ours, theirs = (sorted(doc.ok.items() for doc in db.open_revs(each.id, revs=True)) for db in (source, copy))
        assert ours == theirs
    assert copy.get_attachment("0003", "f").data == b"a"
    assert copy.info().doc_del_count == 1


def test_an_import_is_stopped(show, shared, target, tmp_path):
    (tmp_path / "docs.jsonl").write_text("\n".join(json.dumps({"_id": f"{n:04}"}) for n in range(1200)))
    held = shared.hold("/target/_bulk_docs")
    browser = show("db", "target", "exchange")
    browser.find("input[type=file]").send_keys(str(tmp_path / "docs.jsonl"))
    browser.click("button", "Import")
    assert held.hit.wait(60)
    assert browser.find("progress").get_attribute("aria-label") == "Progress"
    browser.click(".tabs a", "Documents")
    browser.find("dialog", "not finished")
    browser.click("dialog button", "Cancel")
    browser.click("button", "Stop")
    held.end()
    browser.find(".summary", "Stopped. 500 documents written")
    assert target.info().doc_count == 501


def test_what_was_written_before_a_server_failed_is_said(show, shared, target, tmp_path):
    (tmp_path / "docs.jsonl").write_text("\n".join(json.dumps({"_id": f"{n:04}"}) for n in range(700)))
    browser = show("db", "target", "exchange")
    held = shared.hold("/target/_bulk_docs")
    browser.find("input[type=file]").send_keys(str(tmp_path / "docs.jsonl"))
    browser.click("button", "Import")
    assert held.hit.wait(60)
    shared.fail(503, "/target/_bulk_docs")
    held.end()
    browser.find(".summary", "500 documents written")
    browser.find(".answer .failure")
    assert target.info().doc_count == 501
    browser.errors()  # the browser reports the 503


def test_an_export_is_stopped(show, shared, target):
    held = shared.hold("/target/_all_docs")
    browser = show("db", "target", "exchange")
    browser.click("button", "Export")
    assert held.hit.wait(60)
    browser.click("button", "Stop")
    held.end()
    browser.find(".summary", "Stopped.")
    assert not browser.all(".summary a")
