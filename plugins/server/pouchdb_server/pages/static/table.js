// Results as a table. Whatever is in a cell is a text.

import { el, link } from "./dom.js";
import { Numeral, write } from "./exact.js";

const LONGEST = 1000;
const WIDEST = 24;

// A value for a cell: texts as they are, everything else as JSON.
export function cellText(value) {
  if (value === undefined) return "";
  const text = typeof value === "string" ? value : write(value);
  return text.length > LONGEST ? text.slice(0, LONGEST) + "…" : text;
}

export const jsonText = (value) => cellText(value === undefined ? undefined : typeof value === "string" ? JSON.stringify(value) : value);

// Columns are {title, text: (row) => text or undefined, href: (row) => address or null}; the first one heads its row.
export function table(columns, rows, empty = "No rows.") {
  const cell = (column, row, index) => {
    const text = column.text(row) ?? "";
    const href = column.href?.(row);
    const isNumber = column.isNumber?.(row);
    return el(index === 0 ? "th" : "td", {
      scope: index === 0 ? "row" : null, class: isNumber ? "number" : null, "data-label": index === 0 ? null : column.title,
    }, href ? el("a", { href }, text) : text);
  };
  return el("div", { class: "scroll", role: "region", "aria-label": "Results", tabindex: "0" },
    el("table", { class: "list results" },
      el("thead", {}, el("tr", {}, columns.map((each) => el("th", { scope: "col" }, each.title)))),
      el("tbody", {}, rows.length === 0
        ? el("tr", {}, el("td", { colSpan: Math.max(1, columns.length), class: "empty" }, empty))
        : rows.map((row) => el("tr", {}, columns.map((column, index) => cell(column, row, index)))))));
}

// A table of Maps: a column for each field that a row has, in the order they are met.
export function fieldsTable(rows, db, empty) {
  const names = new Set();
  for (const row of rows) for (const name of row.keys()) names.add(name);
  const shown = [...names].slice(0, WIDEST);
  const columns = shown.map((name) => ({
    title: name,
    text: (row) => cellText(row.get(name)),
    href: (row) => (name === "_id" && db && typeof row.get("_id") === "string" ? link("db", db, "doc", row.get("_id")) : null),
    isNumber: (row) => typeof row.get(name) === "number" || row.get(name) instanceof Numeral,
  }));
  const rest = names.size - shown.length;
  return el("div", {}, table(columns, rows, empty),
    rest > 0 && el("p", { class: "hint" }, `${rest} more fields are not shown.`));
}
