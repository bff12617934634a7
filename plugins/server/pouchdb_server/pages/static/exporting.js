// All documents of a database as one file, a page at a time. Pieces are given to the browser, which may keep them on disk.

import * as api from "./api.js";
import { parse, write } from "./exact.js";

const PAGE = 500;
const WITH_FILES = 20;

export const FORMATS = {
  lines: { text: "JSON lines", name: "jsonl", type: "application/x-ndjson", before: "", between: "\n", after: "\n" },
  docs: { text: '{"docs": […]}', name: "json", type: "application/json", before: '{"docs":[\n', between: ",\n", after: "\n]}\n" },
  array: { text: "An array", name: "json", type: "application/json", before: "[\n", between: ",\n", after: "\n]\n" },
};

// Return a blob; `report(documents)` is called after each page, `isStopped()` ends it early.
export async function exportAll(db, { format, revisions, attachments }, report, isStopped) {
  const { type, before, between, after } = FORMATS[format];
  const pieces = [before];
  const limit = attachments ? WITH_FILES : PAGE;
  let startkey, done = 0;
  while (!isStopped()) {
    const text = await api.text("GET", `${api.path(db)}/_all_docs` + api.query({
      include_docs: true, attachments: attachments || undefined, limit: limit + 1, startkey: startkey && JSON.stringify(startkey),
    }));
    const rows = parse(text).get("rows");
    const docs = rows.slice(0, limit).map((row) => row.get("doc")).filter((doc) => doc instanceof Map);
    for (const doc of docs) {
      if (!revisions) doc.delete("_rev");
      if (!attachments) doc.delete("_attachments");
    }
    if (docs.length) pieces.push(new Blob([(done ? between : "") + docs.map((doc) => write(doc)).join(between)]));
    done += docs.length;
    report(done);
    if (rows.length <= limit) break;
    startkey = rows[limit].get("id");
  }
  if (done) pieces.push(after);
  else if (before) pieces.push(after.trimStart());
  return new Blob(pieces, { type });
}
