// The documents of a database, by id, with those in conflict marked.

import * as api from "./api.js";
import { parse, write } from "./exact.js";
import { count, crumbs, el, link, replace, tabs } from "./dom.js";

const PAGE = 50;
const LAST = "\ufff0";

export async function documents(place, db) {
  const info = await api.get(api.path(db));
  const find = el("input", {
    type: "search", placeholder: "Ids that begin with…", "aria-label": "Ids that begin with", spellcheck: "false", autocapitalize: "none",
  });
  const body = el("tbody");
  const more = el("p", { class: "more" });
  let asked = 0;

  async function load(startkey) {
    const mine = ++asked;
    const prefix = find.value;
    const first = startkey === undefined;
    const found = await api.text("GET", api.path(db) + "/_all_docs" + api.query({
      include_docs: true, conflicts: true, limit: PAGE + 1,
      startkey: JSON.stringify(first ? prefix : startkey),
      endkey: prefix ? JSON.stringify(prefix + LAST) : undefined,
    }));
    if (mine !== asked) return;
    const rows = parse(found).get("rows");
    if (first) replace(body);
    for (const row of rows.slice(0, PAGE)) body.append(line(row.get("id"), row.get("value").get("rev"), row.get("doc") ?? new Map()));
    const next = rows[PAGE];
    replace(more, next && el("button", { type: "button", onclick: () => load(next.get("id")) }, "More"));
    if (first && rows.length === 0) {
      body.append(el("tr", {}, el("td", { colSpan: 3, class: "empty" }, prefix ? "No id begins with that." : "There are no documents yet.")));
    }
  }

  function line(id, rev, doc) {
    const conflicts = doc.get("_conflicts")?.length ?? 0;
    const files = doc.get("_attachments")?.size ?? 0;
    return el("tr", {},
      el("th", { scope: "row" }, el("a", { href: link("db", db, "doc", id) }, id), " ",
        conflicts > 0 && el("span", { class: "badge warn" }, conflicts === 1 ? "1 conflict" : `${conflicts} conflicts`), " ",
        files > 0 && el("span", { class: "badge" }, files === 1 ? "1 attachment" : `${files} attachments`)),
      el("td", { class: "rev", "data-label": "Revision", title: rev }, rev.slice(0, 12)),
      el("td", { class: "preview", "data-label": "Content" }, preview(doc)));
  }

  let timer;
  find.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(load, 200); });
  await load();
  replace(place,
    crumbs(["Databases", "#/"], [db]),
    el("div", { class: "title" }, el("h1", {}, db), el("a", { class: "button primary", href: link("db", db, "new") }, "New document")),
    el("p", { class: "facts" }, `${count(info.doc_count)} documents, ${count(info.doc_del_count)} deleted`),
    tabs(db, "documents"),
    el("div", { class: "inline" }, find),
    el("table", { class: "list" },
      el("thead", {}, el("tr", {}, ["Id", "Revision", "Content"].map((each) => el("th", { scope: "col" }, each)))), body),
    more);
  return () => { asked += 1; clearTimeout(timer); };
}

function preview(doc) {
  const text = write(new Map([...doc].filter(([key]) => !key.startsWith("_"))));
  return text.length > 160 ? text.slice(0, 160) + "…" : text;
}
