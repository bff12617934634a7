// Full-text queries of the indexes of design documents.

import * as api from "../../api.js";
import { asking, count, pager } from "../../asking.js";
import { databaseHead, el, link, replace } from "../../dom.js";
import { parse } from "../../exact.js";
import { cellText, jsonText, table } from "../../table.js";

const LIMIT = 25;

export default async function search(place, db) {
  const indexes = await indexesOf(db);
  if (indexes.length === 0) {
    replace(place, databaseHead(db, "search"), el("p", { class: "empty" }, "No design document has an index for text (its member “indexes” or “nouveau”)."));
    return;
  }
  const index = el("select", {}, indexes.map((each, place) => el("option", { value: String(place) }, `${each.ddoc} / ${each.name}`)));
  const words = el("input", { name: "q", required: true, placeholder: "such as title:bird* AND year:[2000 TO 2010]", spellcheck: "false", autocapitalize: "none" });
  const docs = el("input", { type: "checkbox" });
  const { form, place: answer, show } = asking({ class: "card ask" }, [
    el("label", {}, "Index", index), el("label", {}, "Query", words),
    el("div", { class: "wide checks" }, el("label", { class: "check" }, docs, "With documents")),
    el("button", { class: "primary" }, "Search")], () => page([undefined]));

  // `history` has the bookmarks of the pages up to the one to be shown.
  async function page(history) {
    const { ddoc, name, endpoint } = indexes[index.value];
    const found = parse(await api.text("POST", `${api.path(db)}/_design/${api.path(ddoc)}/${endpoint}/${api.path(name)}`, JSON.stringify({
      q: words.value, limit: LIMIT, include_docs: docs.checked, ...(history.at(-1) !== undefined && { bookmark: history.at(-1) }),
    })));
    const rows = found.get("rows") ?? found.get("hits");
    return [
      table(columns(rows), rows, "Nothing matches."),
      pager(history.length > 1 && (() => show(() => page(history.slice(0, -1)))),
        rows.length === LIMIT && (() => show(() => page([...history, found.get("bookmark")]))),
        count(found.get("total_rows") ?? found.get("total_hits"), "document matches", "documents match")),
    ];
  }

  const columns = (rows) => [
    { title: "Document", text: (row) => row.get("id"), href: (row) => link("db", db, "doc", row.get("id")) },
    ...[...new Set(rows.flatMap((row) => [...(row.get("fields")?.keys() ?? [])]))].map((field) => ({
      title: field, text: (row) => cellText(row.get("fields")?.get(field)),
    })),
    rows.some((row) => row.get("doc")) && { title: "Content", text: (row) => jsonText(row.get("doc")) },
  ].filter(Boolean);

  replace(place, databaseHead(db, "search"), form, answer);
}

async function indexesOf(db) {
  const { rows } = await api.get(`${api.path(db)}/_design_docs?include_docs=true&limit=1000`);
  const of = (doc, member, endpoint) => Object.keys(doc?.[member] ?? {}).map((name) => ({ ddoc: doc._id.slice("_design/".length), name, endpoint }));
  return rows.flatMap(({ doc }) => [...of(doc, "indexes", "_search"), ...of(doc, "nouveau", "_nouveau")]);
}
