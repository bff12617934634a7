// Import and export of documents.

import * as api from "./api.js";
import { count, failed } from "./asking.js";
import { databaseHead, el, replace } from "./dom.js";
import { FORMATS, exportAll } from "./exporting.js";
import { HOWS, importFile } from "./importing.js";
import { watch } from "./leaving.js";
import { table } from "./table.js";

export async function exchange(place, db) {
  const info = await api.get(api.path(db));
  let over = false;
  const running = new Set();
  watch(() => running.size > 0);
  const shared = { db, info, running, isOver: () => over };
  replace(place, databaseHead(db, "exchange"), importing(shared), exporting(shared));
  return () => { over = true; };
}

// A progress bar with a button that stops; `run(report, isStopped)` resolves to what is shown at the end.
async function working(place, { running, isOver }, run) {
  let stopped = false;
  const bar = el("progress", { max: 1, value: 0, "aria-label": "Progress" });
  const text = el("p", { class: "hint", role: "status" });
  const token = {};
  replace(place, bar, text, el("button", { type: "button", onclick: () => { stopped = true; } }, "Stop"));
  running.add(token);
  try {
    replace(place, await run((part, words) => { bar.value = part; text.textContent = words; }, () => stopped || isOver()));
  } catch (error) {
    replace(place, failed(error));
    if (!(error instanceof api.Failure)) console.error(error);
  } finally {
    running.delete(token);
  }
}

function importing(shared) {
  const file = el("input", { type: "file", required: true, name: "file", accept: ".json,.jsonl,.ndjson,.txt,.gz,application/json" });
  const how = el("select", { name: "how" }, Object.entries(HOWS).map(([value, text]) => el("option", { value }, text)));
  const place = el("div", { class: "answer" });
  function start(event) {
    event.preventDefault();
    const [chosen] = file.files;
    working(place, shared, async (report, isStopped) => {
      const result = await importFile(shared.db, chosen, how.value, (so, part) => report(part, words(so)), isStopped);
      return [
        el("p", { class: "summary", role: "status" }, isStopped() && "Stopped. ", words(result)),
        result.ended && failed(result.ended),
        result.errors.length > 0 && table([
          { title: "Document", text: (row) => String(row.number) }, { title: "Id", text: (row) => row.id }, { title: "Error", text: (row) => row.reason },
        ], result.errors),
        result.failed > result.errors.length && el("p", { class: "hint" }, `The first ${result.errors.length} errors are listed.`),
      ];
    });
  }
  return el("section", { "aria-labelledby": "import-title" }, el("h2", { id: "import-title" }, "Import"),
    el("form", { class: "card ask", onsubmit: start },
      el("p", { class: "hint wide" }, "A file of JSON lines, an array of documents, {\"docs\": […]} or a listing of _all_docs with documents; also compressed with gzip."),
      el("label", {}, "File", file), el("label", {}, "A document that is there already", how), el("button", { class: "primary" }, "Import")), place);
}

const words = ({ written, known, failed: errors }) => [
  `${count(written, "document", "documents")} written`, known > 0 && `${count(known, "was", "were")} there already`,
  errors > 0 && `${count(errors, "error", "errors")}`].filter(Boolean).join(", ");

function exporting(shared) {
  const format = el("select", { name: "format" }, Object.entries(FORMATS).map(([value, { text }]) => el("option", { value }, text)));
  const revisions = el("input", { type: "checkbox" }), attachments = el("input", { type: "checkbox" });
  const everything = el("input", { type: "checkbox", onchange: () => {
    revisions.disabled = everything.checked;
    revisions.checked ||= everything.checked;
  } });
  const place = el("div", { class: "answer" });
  function start(event) {
    event.preventDefault();
    working(place, shared, async (report, isStopped) => {
      const total = Math.max(1, shared.info.doc_count + (everything.checked ? shared.info.doc_del_count : 0));
      const [one, many] = everything.checked ? ["revision", "revisions"] : ["document", "documents"];
      let number = 0;
      const blob = await exportAll(shared.db, {
        format: format.value, revisions: revisions.checked, attachments: attachments.checked, everything: everything.checked,
      }, (done) => { number = done; report(Math.min(1, done / total), count(done, one, many)); }, isStopped);
      if (isStopped()) return el("p", { class: "summary" }, "Stopped.");
      const address = URL.createObjectURL(blob);
      const name = `${shared.db.replaceAll("/", "-")}.${FORMATS[format.value].name}`;
      const file = el("a", { href: address, download: name, class: "button" }, `Save ${name}`);
      file.click();
      return el("p", { class: "summary", role: "status" }, `${count(number, one, many)}. `, file);
    });
  }
  return el("section", { "aria-labelledby": "export-title" }, el("h2", { id: "export-title" }, "Export"),
    el("form", { class: "card ask", onsubmit: start },
      el("label", {}, "Format", format),
      el("div", { class: "wide checks" }, el("label", { class: "check" }, revisions, "With revisions"), el("label", { class: "check" }, attachments, "With attachments"),
        el("label", { class: "check" }, everything, "Conflicts, deletions and histories too")),
      el("p", { class: "hint wide" }, "The file has documents only: no local documents, such as checkpoints of replications, and not the security object. ",
        "A complete copy is made by the command ", el("code", {}, `pouchdb dump ${api.address(api.path(shared.db))} FILE`), " and read by ",
        el("code", {}, "pouchdb load"), "."),
      el("button", { class: "primary" }, "Export")), place);
}
