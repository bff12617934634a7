// All databases.

import * as api from "./api.js";
import { bytes, confirm, count, el, link, notice, replace } from "./dom.js";

const PAGE = 50;

export async function databases(place) {
  const name = el("input", {
    name: "name", required: true, pattern: "(_users|_replicator|_global_changes|[a-z][a-z0-9_$()+\\/\\-]*)",
    placeholder: "new-database", "aria-label": "Name of the new database", autocapitalize: "none", spellcheck: "false",
    title: "Lower-case letters, digits and _ $ ( ) + - /, beginning with a letter",
  });
  async function create(event) {
    event.preventDefault();
    try {
      await api.put(api.path(name.value));
      location.hash = link("db", name.value);
    } catch (error) {
      notice(error.message, "bad");
    }
  }
  const body = el("tbody");
  const more = el("p", { class: "more" });
  let skip = 0;

  async function load() {
    const rows = await api.get("_dbs_info" + api.query({ limit: PAGE, skip }));
    skip += rows.length;
    for (const row of rows) body.append(line(row));
    replace(more, rows.length === PAGE && el("button", { type: "button", onclick: load }, "More"));
    if (skip === 0) {
      body.append(el("tr", {}, el("td", { colSpan: 5, class: "empty" }, "There are no databases yet: make one above.")));
    }
  }

  function line({ key, info }) {
    const row = el("tr", {},
      el("th", { scope: "row" }, el("a", { href: link("db", key) }, key)),
      el("td", { class: "number", "data-label": "Documents" }, count(info?.doc_count)),
      el("td", { class: "number", "data-label": "Deleted" }, count(info?.doc_del_count)),
      el("td", { class: "number", "data-label": "Size" }, bytes(info?.sizes?.file)),
      el("td", { class: "tools" }, el("button", {
        type: "button", class: "plain danger", "aria-label": `Delete the database ${key}`, onclick: async () => {
          if (!(await confirm(`Delete the database “${key}” with everything in it?`, "Delete"))) return;
          try {
            await api.remove(api.path(key));
            row.remove();
            notice(`“${key}” is deleted.`);
          } catch (error) {
            notice(error.message, "bad");
          }
        },
      }, "Delete")));
    return row;
  }

  await load();
  replace(place,
    el("div", { class: "title" }, el("h1", {}, "Databases"),
      el("form", { class: "inline", onsubmit: create }, name, el("button", { class: "primary" }, "Create"))),
    el("table", { class: "list" },
      el("thead", {}, el("tr", {}, ["Name", "Documents", "Deleted", "Size", ""].map((each, index) =>
        el("th", { scope: "col", class: index > 0 && index < 4 ? "number" : null }, each || el("span", { class: "hidden" }, "Actions"))))),
      body),
    more);
}
