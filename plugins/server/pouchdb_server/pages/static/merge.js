// Merging revisions in conflict, field by field: of each that differs one value is taken, or it is written anew.

import * as api from "./api.js";
import { failed } from "./asking.js";
import { bytes, el, notice, replace } from "./dom.js";
import { parse, write } from "./exact.js";
import { differing, differingFiles, merged } from "./fields.js";
import { forget, watch } from "./leaving.js";

const short = (rev) => rev.slice(0, rev.indexOf("-") + 8);

// `leaves` are Maps, the winner first; `moved()` shows the document again.
export function mergeForm(db, id, leaves, moved) {
  const revs = leaves.map((leaf) => leaf.get("_rev"));
  const fields = differing(leaves).map((each, index) => choice(`field-${index}`, each, revs, (value) => el("pre", {}, write(value, 2)), true));
  const files = differingFiles(leaves).map((each, index) => choice(`file-${index}`, each, revs,
    (file) => el("span", {}, `${bytes(Number(file.get("length")))}, ${file.get("content_type")}, ${file.get("digest")}`), false));
  const wrong = el("div");
  const saved = watch(() => [...fields, ...files].some((each) => each.isEdited()));

  async function submit(event) {
    event.preventDefault();
    replace(wrong);
    try {
      const chosen = fields.map((each) => [each.name, each.value()]);
      const taken = await Promise.all(files.map(async (each) => [each.name, await contentOf(each)]));
      const docs = [merged(leaves, chosen, taken),
        ...revs.slice(1).map((rev) => new Map([["_id", id], ["_rev", rev], ["_deleted", true]]))];
      // All of it or nothing: else a revision that came meanwhile would keep the merged one out, and the others would be gone.
      await api.text("POST", api.path(db) + "/_bulk_docs", write(new Map([["all_or_nothing", true], ["docs", docs]])));
      saved();
      forget();
      notice("The conflict is merged.");
      moved();
    } catch (error) {
      replace(wrong, failed(error.status === 409 ? { error: "conflict", message: "Somebody has changed it since: reload it to see how." } : error));
    }
  }

  // The server knows the winner's own attachments; the content of others is sent.
  async function contentOf(each) {
    const file = each.value();
    if (file === undefined || each.picked() === 0) return file;
    const found = await (await api.call("GET", api.docPath(db, id, each.name) + api.query({ rev: revs[each.picked()] }))).blob();
    return new Map([["content_type", file.get("content_type")], ["data", await base64(found)]]);
  }

  return el("form", { class: "card merge", onsubmit: submit, "aria-label": "Merge field by field" },
    el("p", { class: "hint" }, "Fields that are the same everywhere stay. The merged document is written and the other revisions are deleted, all of it or nothing."),
    [...fields, ...files].map((each) => each.element), wrong,
    el("div", { class: "actions" }, el("button", { class: "primary" }, "Write the merged document")));
}

function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

// A group of radio buttons: the value of each leaf, and what is written instead.
function choice(group, { name, values }, revs, shown, canEdit) {
  const radio = (value) => el("input", { type: "radio", name: group, value: String(value), checked: value === 0 });
  const radios = values.map((value, index) => radio(index));
  const own = canEdit && radio("own");
  const first = values.find((value) => value !== undefined);
  const area = canEdit && el("textarea", { class: "json", rows: 3, spellcheck: "false", autocapitalize: "none", "aria-label": `${name} as JSON` });
  if (area) area.value = write(first, 2);
  const picked = () => radios.findIndex((each) => each.checked);
  function value() {
    if (picked() >= 0) return values[picked()];
    if (area.value.trim() === "") return undefined;
    try {
      return parse(area.value);
    } catch (error) {
      area.focus();
      throw new api.Failure(0, { error: "no JSON", reason: `${name}: ${error.message}` });
    }
  }
  return {
    name, value, picked, isEdited: () => picked() !== 0,
    element: el("fieldset", { class: "choice" }, el("legend", {}, name),
      values.map((each, index) => el("label", { class: "check" }, radios[index],
        el("span", { class: "rev" }, short(revs[index]), index === 0 && " (winner)"),
        each === undefined ? el("span", { class: "absent" }, "not there") : shown(each))),
      canEdit && el("div", { class: "own" }, el("label", { class: "check" }, own, "Something else; empty leaves it out"), area)),
  };
}
