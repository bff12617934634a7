// Mango: queries with a selector, and the indexes they may use.

import * as api from "../../api.js";
import { asking, failed, pager, typed } from "../../asking.js";
import { confirm, databaseHead, el, notice, replace } from "../../dom.js";
import { parse, write } from "../../exact.js";
import { fieldsTable } from "../../table.js";

const EXAMPLE = '{\n  "selector": {\n    "_id": {"$gt": null}\n  },\n  "limit": 25\n}';
const LIMIT = 25;

export default async function find(place, db) {
  const text = el("textarea", { class: "json", rows: 8, spellcheck: "false", autocapitalize: "none", "aria-label": "The query as JSON" });
  text.value = EXAMPLE;
  const explain = el("button", { type: "button", onclick: () => show(explained) }, "Explain");
  const { form, place: answer, show } = asking({ class: "card" }, [
    el("p", { class: "hint" }, "A selector, and if you like fields, sort, limit, use_index."),
    text, el("div", { class: "actions" }, el("button", { class: "primary" }, "Run"), explain)], () => page([undefined]));

  function asked() {
    const request = typed(text, parse);
    if (!(request instanceof Map)) throw new api.Failure(0, { error: "no query", reason: 'A query is an object such as {"selector": {}}.' });
    return request;
  }

  // `history` has the bookmarks of the pages up to the one to be shown.
  async function page(history) {
    const request = asked();
    const limit = Number(request.get("limit") ?? LIMIT);
    request.set("limit", limit);
    if (history.at(-1) !== undefined) request.set("bookmark", history.at(-1));
    const found = parse(await api.text("POST", `${api.path(db)}/_find`, write(request)));
    const docs = found.get("docs");
    return [
      found.get("warning") && el("p", { class: "hint" }, found.get("warning")),
      fieldsTable(docs, db, "No document matches."),
      pager(history.length > 1 && (() => show(() => page(history.slice(0, -1)))),
        docs.length === limit && limit > 0 && (() => show(() => page([...history, found.get("bookmark")])))),
    ];
  }

  async function explained() {
    const plan = parse(await api.text("POST", `${api.path(db)}/_explain`, write(asked())));
    return [el("h2", {}, "Plan"), el("pre", { class: "plan" }, write(plan, 2))];
  }

  const indexes = el("section", { "aria-labelledby": "indexes-title" });
  replace(place, databaseHead(db, "mango"), form, answer, indexes);
  await listed(indexes, db);
}

async function listed(place, db) {
  const found = await api.get(`${api.path(db)}/_index`);
  const fields = el("input", { name: "fields", required: true, placeholder: "such as country, age", spellcheck: "false", autocapitalize: "none" });
  const name = el("input", { name: "index", placeholder: "optional", spellcheck: "false", autocapitalize: "none" });
  const wrong = el("div");
  async function create(event) {
    event.preventDefault();
    replace(wrong);
    try {
      const names = fields.value.split(",").map((each) => each.trim()).filter(Boolean);
      const made = await api.post(`${api.path(db)}/_index`, { index: { fields: names }, ...(name.value.trim() && { name: name.value.trim() }) });
      notice(made.result === "exists" ? "There is such an index already." : `The index “${made.name}” is made.`);
      await listed(place, db);
    } catch (error) {
      replace(wrong, failed(error));
    }
  }
  async function remove({ ddoc, type, name: index }) {
    if (!(await confirm(`Delete the index “${index}”?`, "Delete"))) return;
    try {
      await api.remove(`${api.path(db)}/_index/${api.path(ddoc.replace(/^_design\//, ""), type, index)}`);
      await listed(place, db);
    } catch (error) {
      notice(error.message, "bad");
    }
  }
  replace(place,
    el("h2", { id: "indexes-title" }, "Indexes"),
    el("ul", { class: "files" }, found.indexes.map((each) => el("li", {},
      el("strong", {}, each.name), el("span", { class: "hint" }, `${each.type}: ${each.def.fields.map((field) => Object.keys(field)[0]).join(", ") || "all fields"}`),
      each.ddoc && el("button", { type: "button", class: "plain small danger", "aria-label": `Delete the index ${each.name}`, onclick: () => remove(each) }, "Delete")))),
    el("form", { class: "card ask", onsubmit: create }, el("label", {}, "Fields", fields), el("label", {}, "Name", name),
      el("button", { class: "primary" }, "Make index"), wrong));
}
