// Who may read and write a database.

import * as api from "./api.js";
import { databaseHead, el, notice, replace } from "./dom.js";
import { watch } from "./leaving.js";

const words = (text) => [...new Set(text.split("\n").map((each) => each.trim()).filter(Boolean))];

export async function security(place, db) {
  const known = await api.get(api.path(db) + "/_security");
  const fields = {};
  const group = (name, title, hint) => el("fieldset", {}, el("legend", {}, title), el("p", { class: "hint" }, hint),
    ["names", "roles"].map((kind) => {
      const input = el("textarea", { rows: 3, spellcheck: "false", autocapitalize: "none" });
      input.value = (known[name]?.[kind] ?? []).join("\n");
      fields[`${name}.${kind}`] = input;
      return el("label", {}, kind === "names" ? "Names, one a line" : "Roles, one a line", input);
    }));
  const text = () => JSON.stringify(Object.values(fields).map((each) => each.value));
  async function save(event) {
    event.preventDefault();
    const told = { ...known };
    for (const name of ["admins", "members"]) {
      told[name] = { ...known[name], names: words(fields[`${name}.names`].value), roles: words(fields[`${name}.roles`].value) };
    }
    try {
      await api.put(api.path(db) + "/_security", told);
      before = text();
      notice("Saved.");
    } catch (error) {
      notice(error.message, "bad");
    }
  }
  replace(place,
    databaseHead(db, "security"),
    el("form", { class: "card", onsubmit: save },
      group("admins", "Administrators", "They may change design documents and this page."),
      group("members", "Members", "They may read and write. Without any, everybody may."),
      el("button", { class: "primary" }, "Save")));
  let before = text();
  watch(() => text() !== before);
}
