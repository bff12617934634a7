// Bringing documents into a database, a batch at a time; nothing is held but the batch.

import * as api from "./api.js";
import { parse, write } from "./exact.js";
import { Splitter } from "./splitting.js";

const BATCH = 500;
const LARGEST = 4_000_000;
const LISTED = 100;

// What is done with documents that are there already.
export const HOWS = {
  skip: "Leave it as it is",
  replace: "Replace it",
  revisions: "Keep both histories, as a replication does (documents need revisions)",
};

const BACKUP = "This is a backup, which has more than documents: the commands `pouchdb load` and `pouchdb import` read it.";

// Whether a file begins as those of `pouchdb dump`, pouchdb-dump or couchbackup do.
const isBackup = (first) => !first.has("_id")
  && (first.has("pouchdb_dump") || (first.has("version") && first.has("db_info")) || first.get("name") === "@cloudant/couchbackup");

// Import a file. `report(result, part)` is called after each batch; `isStopped()` ends it early.
// Returns {written, known, failed, errors: [{number, id, reason}], ended} with the first errors; `ended` is what ended it.
export async function importFile(db, file, how, report, isStopped) {
  const result = { written: 0, known: 0, failed: 0, errors: [] };
  const splitter = new Splitter();
  let number = 0, read = 0;
  let batch = [];
  let size = 0;

  function fail(at, id, reason) {
    result.failed += 1;
    if (result.errors.length < LISTED) result.errors.push({ number: at, id, reason });
  }

  async function take(texts) {
    for (const text of texts) {
      number += 1;
      let doc;
      try {
        doc = parse(text);
        if (splitter.isListing && doc instanceof Map) doc = doc.get("doc");
      } catch (error) {
        fail(number, "", error.message);
        continue;
      }
      if (!(doc instanceof Map)) {
        fail(number, "", splitter.isListing ? "the row has no document: list them with include_docs" : "this is not a document");
        continue;
      }
      if (number === 1 && isBackup(doc)) throw new api.Failure(0, { reason: BACKUP });
      batch.push({ number, doc });
      size += text.length;
      if (batch.length >= BATCH || size >= LARGEST) await flush();
      if (isStopped()) return;
    }
  }

  async function flush() {
    const docs = batch;
    batch = [];
    size = 0;
    if (docs.length) await send(db, docs, how, result, fail);
    report(result, file.size ? Math.min(1, read / file.size) : 1);
  }

  const counted = new TransformStream({ transform(piece, controller) { read += piece.length; controller.enqueue(piece); } });
  let bytes = file.stream().pipeThrough(counted);
  if (/\.gz$/i.test(file.name)) bytes = bytes.pipeThrough(new DecompressionStream("gzip"));
  const reader = bytes.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (isStopped()) { await reader.cancel(); break; }
      await take(done ? splitter.end() : splitter.feed(value));
      if (done) break;
    }
    if (!isStopped()) await flush();
  } catch (error) {
    // What was written before stays written, and is in the summary.
    result.ended = error;
  }
  return result;
}

async function send(db, docs, how, result, fail) {
  if (how !== "revisions") for (const { doc } of docs) doc.delete("_rev");
  if (how === "replace") await addRevs(db, docs);
  const body = new Map([...(how === "revisions" ? [["new_edits", false]] : []), ["docs", docs.map(({ doc }) => doc)]]);
  let answers;
  try {
    answers = await api.post(`${api.path(db)}/_bulk_docs`, write(body));
  } catch (error) {
    // One that cannot be stored has the server refuse all of them: find it.
    if (![400, 403, 412, 413].includes(error.status)) throw error;
    if (docs.length === 1) {
      fail(docs[0].number, idOf(docs[0]), error.message);
      return;
    }
    const half = Math.ceil(docs.length / 2);
    await send(db, docs.slice(0, half), how, result, fail);
    await send(db, docs.slice(half), how, result, fail);
    return;
  }
  if (how === "revisions") {
    // Only failures are answered.
    for (const each of answers) fail(docs.find((doc) => idOf(doc) === each.id)?.number ?? 0, each.id, each.reason ?? each.error);
    result.written += docs.length - answers.length;
    return;
  }
  answers.forEach((each, index) => {
    if (each.ok) result.written += 1;
    else if (each.error === "conflict" && how === "skip") result.known += 1;
    else fail(docs[index].number, each.id ?? idOf(docs[index]), each.reason ?? each.error);
  });
}

const idOf = ({ doc }) => (typeof doc.get("_id") === "string" ? doc.get("_id") : "");

async function addRevs(db, docs) {
  const keys = docs.map(idOf).filter(Boolean);
  const { rows } = await api.post(`${api.path(db)}/_all_docs`, { keys });
  const revs = new Map(rows.filter((row) => row.value && !row.value.deleted).map((row) => [row.id, row.value.rev]));
  for (const each of docs) {
    const rev = revs.get(idOf(each));
    if (rev) each.doc.set("_rev", rev);
  }
}
