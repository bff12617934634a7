// One document: its text, its revision tree, what is in conflict.

import * as api from "./api.js";
import { attachments } from "./attachments.js";
import { confirm, crumbs, el, link, notice, replace } from "./dom.js";
import { conflicts } from "./conflicts.js";
import { parse, write } from "./exact.js";
import { forget, watch } from "./leaving.js";
import { drawTree, treeOf } from "./tree.js";

export async function documentPage(place, db, id, rev) {
  if (id === null) return fresh(place, db);
  const answer = await api.text("GET", api.docPath(db, id) + api.query({ open_revs: "all", revs: true }));
  const leaves = JSON.parse(answer).filter((each) => each.ok).map((each) => each.ok);
  const exact = parse(answer).map((each) => each.get("ok")).filter((leaf) => leaf && leaf.get("_deleted") !== true);
  const winner = leaves[0];
  const tree = treeOf(leaves);
  const current = rev ?? winner._rev;
  const known = tree.nodes.get(current);
  let shown;
  try {
    shown = await api.text("GET", api.docPath(db, id) + api.query({ rev: current }));
  } catch (error) {
    if (error.status !== 404) throw error;
  }
  const live = leaves.filter((leaf) => !leaf._deleted);
  const editable = shown !== undefined && known?.leaf;
  // Something was written: show the document as it is now.
  const moved = (written) => {
    forget();
    const where = written === undefined || current === winner._rev ? link("db", db, "doc", id) : link("db", db, "doc", id, written);
    if (location.hash === where) dispatchEvent(new HashChangeEvent("hashchange"));
    else location.hash = where;
  };
  const go = (chosen) => { location.hash = chosen === winner._rev ? link("db", db, "doc", id) : link("db", db, "doc", id, chosen); };

  replace(place,
    crumbs(["Databases", "#/"], [db, link("db", db)], [id]),
    el("div", { class: "title" }, el("h1", { class: "id" }, id), editable && !known.deleted && remove(db, id, current)),
    el("section", { "aria-labelledby": "tree-title" },
      el("h2", { id: "tree-title" }, "Revisions"),
      el("p", { class: "legend" }, [["winner", "winner"], ["conflict", "in conflict"], ["deleted", "deleted"], ["old", "older"]].map(
        ([kind, text]) => el("span", {}, el("i", { class: `dot ${kind}` }), text))),
      drawTree(tree, current, go)),
    live.length > 1 && conflicts(db, id, live, exact, go, moved),
    el("section", { "aria-labelledby": "text-title" },
      el("h2", { id: "text-title" }, "Document ", el("code", { class: "rev" }, current)),
      shown === undefined
        ? el("p", { class: "empty" }, "The content of this revision is not kept any more: only its place in the tree is known.")
        : editor(db, id, shown, editable)),
    shown !== undefined && attachments(db, id, current, JSON.parse(shown)._attachments, editable && !known.deleted, moved));
}

function fresh(place, db) {
  const text = `{\n  "_id": "${crypto.randomUUID()}"\n}`;
  replace(place,
    crumbs(["Databases", "#/"], [db, link("db", db)], ["New document"]),
    el("h1", {}, "New document"),
    editor(db, null, text, true));
}

function editor(db, id, text, editable) {
  const area = el("textarea", {
    class: "json", spellcheck: "false", "aria-label": "The document as JSON", readOnly: !editable, autocapitalize: "none", wrap: "soft",
  });
  area.value = id === null ? text : write(parse(text), 2);
  area.rows = Math.min(30, Math.max(8, area.value.split("\n").length + 1));
  const before = area.value;
  const saved = watch(() => area.value !== before);
  const wrong = el("p", { class: "error", role: "alert" });
  async function save(event) {
    event?.preventDefault();
    wrong.textContent = "";
    let parsed;
    try {
      parsed = JSON.parse(area.value);
    } catch (error) {
      wrong.textContent = `This is no JSON: ${error.message}`;
      return;
    }
    const target = id ?? parsed?._id;
    try {
      const answer = typeof target === "string"
        ? JSON.parse(await api.text("PUT", api.docPath(db, target), area.value))
        : JSON.parse(await api.text("POST", api.path(db), area.value));
      saved();
      notice(`Saved as ${answer.rev}`);
      const where = link("db", db, "doc", answer.id);
      if (location.hash === where) dispatchEvent(new HashChangeEvent("hashchange"));
      else location.hash = where;
    } catch (error) {
      wrong.textContent = error.status === 409 ? "Somebody has changed it since: reload it to see how." : error.message;
    }
  }
  area.addEventListener("keydown", (event) => {
    if (event.key === "s" && (event.ctrlKey || event.metaKey)) save(event);
  });
  return el("form", { onsubmit: save }, area, wrong,
    editable ? el("div", { class: "actions" }, el("button", { class: "primary" }, "Save"), el("span", { class: "hint" }, "Ctrl+S"))
      : el("p", { class: "hint" }, "An older revision, which cannot be edited."));
}

function remove(db, id, rev) {
  return el("button", { type: "button", class: "danger", onclick: async () => {
    if (!(await confirm(`Delete revision ${rev} of “${id}”?`, "Delete"))) return;
    try {
      await api.remove(api.docPath(db, id) + api.query({ rev }));
      forget();
      notice(`“${id}” is deleted.`);
      location.hash = link("db", db);
    } catch (error) {
      notice(error.message, "bad");
    }
  } }, "Delete");
}
