// The documents of a database as one file, a page at a time. Pieces are given to the browser, which may keep them on disk.

import * as api from "./api.js";
import { parse, write } from "./exact.js";

const PAGE = 500;
const WITH_FILES = 20;

export const FORMATS = {
  lines: { text: "JSON lines", name: "jsonl", type: "application/x-ndjson", before: "", between: "\n", after: "\n" },
  docs: { text: '{"docs": […]}', name: "json", type: "application/json", before: '{"docs":[\n', between: ",\n", after: "\n]}\n" },
  array: { text: "An array", name: "json", type: "application/json", before: "[\n", between: ",\n", after: "\n]\n" },
};

// Yield the winners, in the order of their ids.
async function* winners(db, { revisions, attachments }, limit) {
  let startkey;
  for (;;) {
    const text = await api.text("GET", `${api.path(db)}/_all_docs` + api.query({
      include_docs: true, attachments: attachments || undefined, limit: limit + 1, startkey: startkey && JSON.stringify(startkey),
    }));
    const rows = parse(text).get("rows");
    const docs = rows.slice(0, limit).map((row) => row.get("doc")).filter((doc) => doc instanceof Map);
    if (!revisions) for (const doc of docs) doc.delete("_rev");
    yield docs;
    if (rows.length <= limit) return;
    startkey = rows[limit].get("id");
  }
}

// Yield all leaves, each with the ids of its history: what a replication sends.
async function* leaves(db, { attachments }, limit) {
  let since = "0";
  for (;;) {
    const feed = parse(await api.text("GET", `${api.path(db)}/_changes` + api.query({ style: "all_docs", limit, since })));
    const rows = feed.get("results");
    if (rows.length === 0) return;
    const wanted = rows.flatMap((row) => row.get("changes").map((change) => new Map([["id", row.get("id")], ["rev", change.get("rev")]])));
    const text = await api.text("POST", `${api.path(db)}/_bulk_get` + api.query({ revs: true, attachments: attachments || undefined }),
      write(new Map([["docs", wanted]])));
    // Of a document that was changed since, the next page has the leaves.
    yield parse(text).get("results").flatMap((result) => result.get("docs").map((each) => each.get("ok")).filter((doc) => doc instanceof Map));
    const last = feed.get("last_seq");
    since = typeof last === "string" ? last : write(last);
  }
}

// Return a blob; `report(documents)` is called after each page, `isStopped()` ends it early.
// `everything` exports all leaves with their histories instead of the winners.
export async function exportAll(db, options, report, isStopped) {
  const { type, before, between, after } = FORMATS[options.format];
  const { attachments } = options;
  const pieces = [before];
  let done = 0;
  for await (const docs of (options.everything ? leaves : winners)(db, options, attachments ? WITH_FILES : PAGE)) {
    if (isStopped()) break;
    if (!attachments) for (const doc of docs) doc.delete("_attachments");
    if (docs.length) pieces.push(new Blob([(done ? between : "") + docs.map((doc) => write(doc)).join(between)]));
    done += docs.length;
    report(done);
    if (isStopped()) break;
  }
  if (done) pieces.push(after);
  else if (before) pieces.push(after.trimStart());
  return new Blob(pieces, { type });
}
