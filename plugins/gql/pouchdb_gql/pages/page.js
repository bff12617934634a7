// Queries in Google's query language; their rows as a table.

import * as api from "../../api.js";
import { asking, count } from "../../asking.js";
import { databaseHead, el, replace } from "../../dom.js";
import { parse, write } from "../../exact.js";
import { fieldsTable } from "../../table.js";

const SHOWN = 500;

export default async function gql(place, db) {
  const text = el("textarea", { class: "json", rows: 4, spellcheck: "false", autocapitalize: "none", "aria-label": "The query" });
  text.value = "select *";
  const { form, place: answer, show } = asking({ class: "card" }, [
    el("p", { class: "hint" }, "Such as: select country, avg(age) where age > 17 group by country order by country"),
    text, el("div", { class: "actions" }, el("button", { class: "primary" }, "Run"), el("button", { type: "button", onclick: () => show(explained) }, "Explain"))], run);

  async function run() {
    // The server sends a row a line: what is beyond the shown ones is not fetched.
    const { lines, isWhole } = await api.firstLines("POST", `${api.path(db)}/_gql`, JSON.stringify({ query: text.value }), SHOWN);
    const joined = lines.join("\n");
    const rows = parse(isWhole ? joined : joined.replace(/,\s*$/, "") + "]}").get("rows");
    return [
      el("p", { class: "hint" }, isWhole ? count(rows.length, "row", "rows") : `The first ${count(rows.length, "row", "rows")}`),
      fieldsTable(rows, db),
    ];
  }

  async function explained() {
    const plan = parse(await api.text("POST", `${api.path(db)}/_gql`, JSON.stringify({ query: text.value, explain: true })));
    return [el("h2", {}, "Plan"), el("pre", { class: "plan" }, write(plan, 2))];
  }

  replace(place, databaseHead(db, "gql"), form, answer);
}
