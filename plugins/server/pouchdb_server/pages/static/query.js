// Running views: stored ones and temporary ones, with their options.

import * as api from "./api.js";
import { asking, count, failed, pager, typed } from "./asking.js";
import { databaseHead, el, link, replace } from "./dom.js";
import { parse, write } from "./exact.js";
import { after } from "./paging.js";
import { jsonText, table } from "./table.js";

const MAP = "function (doc) {\n  emit(doc._id, null);\n}";
const MOST = 1000;

export async function query(place, db, ddoc, name) {
  const views = await viewsOf(db);
  const chosen = views.find((each) => each.ddoc === ddoc && each.name === name) ?? (ddoc === undefined ? views[0] : undefined);
  if (ddoc !== undefined && !chosen) throw new api.Failure(404, { error: "not_found", reason: `There is no view ${ddoc}/${name}.` });
  const form = options(views, chosen);
  const { form: element, place: answer, show } = asking({ class: "card ask" }, form.elements, () => start());

  async function start() {
    const { view, options: asked, limit } = form.read();
    return page(view, asked, limit, []);
  }

  async function page(view, asked, limit, before) {
    const where = api.path(db) + (view.temporary ? "/_temp_view" : `/_design/${api.path(view.ddoc)}/_view/${api.path(view.name)}`);
    const text = await api.text(view.temporary ? "POST" : "GET",
      where + api.query({ ...asked, limit: limit + 1, ...(view.temporary && { errors: true }) }), view.temporary);
    const found = parse(text);
    const rows = found.get("rows");
    const go = (options, history) => () => show(() => page(view, options, limit, history));
    const total = found.get("total_rows");
    return [
      (found.get("errors") ?? []).map((each) => failed({ error: each.get("error"), message: each.get("reason") })),
      table(columns(db, rows), rows.slice(0, limit), "The view has no such rows."),
      pager(before.length > 0 && go(before.at(-1), before.slice(0, -1)),
        rows.length > limit && go(after(asked, rows), [...before, asked]),
        total !== undefined && `${count(total, "row", "rows")} in the whole view`),
    ];
  }

  replace(place, databaseHead(db, "query"), element, answer);
}

async function viewsOf(db) {
  const { rows } = await api.get(`${api.path(db)}/_design_docs` + api.query({ include_docs: true, limit: MOST }));
  return rows.flatMap(({ doc }) => Object.entries(doc?.views ?? {}).map(([name, view]) => ({
    ddoc: doc._id.slice("_design/".length), name, reduce: view?.reduce !== undefined && doc.language !== "query",
  })).filter((view) => view.name !== "lib" && doc.language !== "query"));
}

function columns(db, rows) {
  const first = rows[0];
  const has = (name) => rows.some((row) => row.has(name));
  return [
    { title: "Key", text: (row) => jsonText(row.get("key")) },
    (!first || has("id")) && {
      title: "Document", text: (row) => row.get("id"), href: (row) => (row.has("id") ? link("db", db, "doc", row.get("id")) : null),
    },
    { title: "Value", text: (row) => jsonText(row.get("value")) },
    has("doc") && { title: "Content", text: (row) => jsonText(row.get("doc")) },
  ].filter(Boolean);
}

// The fields, and what they say.
function options(views, chosen) {
  const input = (placeholder) => el("input", { placeholder, spellcheck: "false", autocapitalize: "none" });
  const check = (text, checked) => {
    const box = el("input", { type: "checkbox", checked });
    return [box, el("label", { class: "check" }, box, text)];
  };
  const view = el("select", { name: "view" },
    views.map((each, index) => el("option", { value: String(index), selected: each === chosen }, `${each.ddoc} / ${each.name}`)),
    el("option", { value: "", selected: !chosen }, "A temporary map function"));
  const code = (label, rows) => el("textarea", { class: "json", rows, spellcheck: "false", autocapitalize: "none", "aria-label": label });
  const map = code("Map function", 5), reduce = code("Reduce function, or _sum, _count or _stats", 2);
  map.value = MAP;
  const functions = el("div", { class: "wide" }, el("p", { class: "hint" }, "Map, then reduce if you want groups (such as _count). It runs once over all documents."), map, reduce);
  const [key, startkey, endkey] = [input('such as "a" or [2024, 5]'), input("JSON"), input("JSON")];
  const limit = el("input", { type: "number", min: "1", max: String(MOST), value: "25", required: true });
  const [reducing, reducingLabel] = check("Reduce", chosen?.reduce ?? false);
  const level = el("select", {}, [["true", "Each key"], ["", "All rows"], ["1", "1"], ["2", "2"], ["3", "3"], ["4", "4"], ["5", "5"]].map(([value, text]) => el("option", { value }, text)));
  const levelLabel = el("label", {}, "Group by", level);
  const [docs, docsLabel] = check("With documents", false);
  const [descending, descendingLabel] = check("Descending", false);
  const [inclusive, inclusiveLabel] = check("With the last key", true);
  const current = () => views[view.value];

  function adapt() {
    const temporary = view.value === "";
    functions.hidden = !temporary;
    const can = temporary ? reduce.value.trim() !== "" : current().reduce;
    reducingLabel.hidden = !can;
    levelLabel.hidden = !(can && reducing.checked);
    docsLabel.hidden = can && reducing.checked;
  }
  view.addEventListener("change", () => { reducing.checked = current()?.reduce ?? reduce.value.trim() !== ""; adapt(); });
  reduce.addEventListener("input", () => { reducing.checked = reduce.value.trim() !== ""; adapt(); });
  reducing.addEventListener("change", adapt);
  adapt();

  function read() {
    const temporary = view.value === "";
    const json = (field) => { const value = typed(field, parse); return value === undefined ? undefined : write(value); };
    const can = temporary ? reduce.value.trim() !== "" : current().reduce;
    const reduced = can && reducing.checked;
    return {
      view: temporary ? { temporary: { map: map.value, ...(can && { reduce: reduce.value.trim() }) } } : current(),
      limit: Number(limit.value),
      options: {
        key: json(key), startkey: json(startkey), endkey: json(endkey),
        inclusive_end: inclusive.checked ? undefined : false, descending: descending.checked || undefined,
        reduce: can ? reduced : undefined, include_docs: (!reduced && docs.checked) || undefined,
        group: reduced && level.value === "true" ? true : undefined,
        group_level: reduced && level.value !== "true" && level.value !== "" ? level.value : undefined,
      },
    };
  }

  return { read, elements: [
    el("label", { class: "wide" }, "View", view), functions,
    el("label", {}, "Key", key), el("label", {}, "From key", startkey), el("label", {}, "To key", endkey), el("label", {}, "Rows a page", limit),
    el("div", { class: "wide checks" }, inclusiveLabel, descendingLabel, docsLabel, reducingLabel, levelLabel),
    el("button", { class: "primary" }, "Run"),
  ] };
}
