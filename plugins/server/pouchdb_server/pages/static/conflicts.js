// Revisions in conflict side by side: a row a member, those that differ marked.

import * as api from "./api.js";
import { bytes, confirm, el, notice } from "./dom.js";
import { write } from "./exact.js";
import { mayLeave } from "./leaving.js";
import { mergeForm } from "./merge.js";

const text = (value) => (value === undefined ? "" : write(value, 2));

// `leaves` are objects, `exact` the same as Maps; `moved()` shows the document again.
export function conflicts(db, id, leaves, exact, choose, moved) {
  const merging = el("div", { hidden: true });
  const merge = el("button", { type: "button", "aria-expanded": "false", onclick: () => {
    merging.hidden = !merging.hidden;
    merge.setAttribute("aria-expanded", String(!merging.hidden));
    if (!merging.hidden && !merging.hasChildNodes()) merging.append(mergeForm(db, id, exact, moved));
  } }, "Merge field by field");
  const shown = exact.map((leaf) => new Map([...leaf].filter(([key]) => !["_id", "_rev", "_revisions"].includes(key))
    .map(([key, value]) => [key, key === "_attachments" ? files(value) : value])));
  const keys = [...new Set(shown.flatMap((leaf) => [...leaf.keys()]))].sort();
  const rows = keys.map((key) => {
    const values = shown.map((leaf) => text(leaf.get(key)));
    const differs = values.some((value) => value !== values[0]);
    return el("tr", { class: differs ? "differs" : null },
      el("th", { scope: "row" }, key),
      values.map((value, index) => el("td", { class: value === "" ? "absent" : null, "data-label": short(leaves[index]._rev) },
        value === "" ? "not there" : el("pre", {}, value))));
  });
  return el("section", { "aria-labelledby": "conflicts-title" },
    el("h2", { id: "conflicts-title" }, `${leaves.length} revisions in conflict`),
    el("p", { class: "hint" }, "They were made without knowing of each other. Keep one of them, or merge them."),
    el("div", { class: "scroll" }, el("table", { class: "side" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, el("span", { class: "hidden" }, "Member")), leaves.map((leaf, index) =>
        el("th", { scope: "col" },
          el("button", { type: "button", class: "plain rev", title: leaf._rev, onclick: () => choose(leaf._rev) }, short(leaf._rev)),
          index === 0 && el("span", { class: "badge ok" }, "winner"),
          el("button", { type: "button", class: "small", "aria-label": `Keep ${leaf._rev}`, onclick: () => keep(db, id, leaves, leaf, moved) }, "Keep this one"))))),
      el("tbody", {}, rows))), el("div", { class: "actions" }, merge), merging);
}

// Of attachments what tells them apart.
const files = (value) => new Map([...value].map(([name, file]) => [name, `${bytes(Number(file.get("length")))}, ${file.get("digest")}`]));

const short = (rev) => rev.slice(0, rev.indexOf("-") + 8);

// The others are deleted; what is kept is then the winner on every replica.
async function keep(db, id, leaves, kept, moved) {
  if (!(await mayLeave())) return;
  const others = leaves.filter((leaf) => leaf !== kept);
  if (!(await confirm(`Keep ${short(kept._rev)} and delete the other ${others.length === 1 ? "one" : others.length}?`, "Keep this one"))) return;
  try {
    const answers = await api.post(api.path(db) + "/_bulk_docs", {
      docs: others.map((leaf) => ({ _id: id, _rev: leaf._rev, _deleted: true })),
    });
    const failed = answers.filter((each) => each.error);
    if (failed.length) notice(failed[0].reason, "bad");
    else notice("The conflict is resolved.");
    moved();
  } catch (error) {
    notice(error.message, "bad");
  }
}
