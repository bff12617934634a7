// What pages that ask have in common: a form, its answer or error, and pages of rows.

import * as api from "./api.js";
import { el, replace } from "./dom.js";

// An error in words: what kind it is, then what the server or a function said, as it was written.
export function failed(error) {
  return el("div", { class: "failure", role: "alert" },
    error.error && el("strong", {}, error.error.replaceAll("_", " ")),
    el("pre", {}, error.message));
}

// Parse what was typed as JSON; empty is undefined. Raises Failure that names the field.
export function typed(field, parse = JSON.parse) {
  const text = field.value.trim();
  if (text === "") return undefined;
  try {
    return parse(text);
  } catch (error) {
    const label = field.closest("label")?.firstChild.textContent ?? "This";
    throw new api.Failure(0, { error: "no JSON", reason: `${label} must be JSON, texts in "quotes": ${error.message}` });
  }
}

// A form with a place below it for what `run(event)` resolves to: elements. Later answers win; errors are shown.
export function asking(attributes, fields, run) {
  const place = el("div", { class: "answer" });
  // A whole table would be too much to be read aloud.
  const status = el("p", { class: "hidden", role: "status" });
  let turn = 0;
  async function show(asked) {
    const mine = ++turn;
    place.setAttribute("aria-busy", "true");
    try {
      const found = await asked();
      if (mine !== turn) return;
      replace(place, found, status);
      status.textContent = count(place.querySelectorAll("tbody tr").length, "row", "rows");
    } catch (error) {
      if (mine !== turn) return;
      replace(place, failed(error));
      if (!(error instanceof api.Failure)) console.error(error);
    } finally {
      if (mine === turn) place.removeAttribute("aria-busy");
    }
  }
  const form = el("form", { ...attributes, onsubmit: (event) => { event.preventDefault(); show(run); } }, fields);
  return { form, place, show };
}

// A dialog with fields; `submit()` does what it is for. Resolves to whether that was done; its errors are shown in it.
export function dialog(title, fields, action, submit) {
  return new Promise((resolve) => {
    let isDone = false;
    const wrong = el("div");
    const cancel = el("button", { type: "button", class: "plain", onclick: () => shown.close() }, "Cancel");
    const form = el("form", { class: "fields", onsubmit: async (event) => {
      event.preventDefault();
      replace(wrong);
      try {
        await submit();
        isDone = true;
        shown.close();
      } catch (error) {
        replace(wrong, failed(error));
      }
    } }, el("p", {}, title), fields, wrong, el("div", { class: "actions" }, cancel, el("button", { class: "primary" }, action)));
    const shown = el("dialog", { "aria-label": title }, form);
    shown.addEventListener("close", () => { shown.remove(); resolve(isDone); });
    document.body.append(shown);
    shown.showModal();
  });
}

// Buttons to the pages before and after, where there are any.
export function pager(before, after, text) {
  return el("p", { class: "more" },
    before && el("button", { type: "button", onclick: before }, "Previous page"),
    text && el("span", { class: "hint" }, text),
    after && el("button", { type: "button", onclick: after }, "Next page"));
}

export const count = (number, one, many) => `${(number ?? 0).toLocaleString("en")} ${number === 1 ? one : many}`;
