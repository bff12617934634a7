// Making elements: texts stay texts, whatever is in them. Nothing here or elsewhere makes markup of a text.

import { pages } from "./plugins.js";

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

export const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

export function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, String(value));
  }
  for (const child of children.flat(Infinity)) if (child) element.append(child);
  return element;
}

// What is focused may go away with the old children: then the parent has the focus, so that Tab goes on from there.
export function replace(parent, ...children) {
  const held = parent !== document.activeElement && parent.contains(document.activeElement);
  parent.replaceChildren(...children.flat(Infinity).filter((each) => each));
  if (held && !parent.contains(document.activeElement)) {
    if (!parent.hasAttribute("tabindex")) parent.setAttribute("tabindex", "-1");
    parent.focus({ preventScroll: true });
  }
  return parent;
}

export function notice(text, kind = "ok") {
  const place = document.getElementById("notices");
  const item = el("p", { class: `notice ${kind}` }, text, el("button", {
    type: "button", class: "plain", "aria-label": "Dismiss", onclick: () => item.remove(),
  }, "×"));
  place.append(item);
  if (kind === "ok") setTimeout(() => item.remove(), 5000);
}

// A question with two answers; resolves to true or false.
export function confirm(question, action) {
  return new Promise((resolve) => {
    const dialog = el("dialog", {},
      el("form", { method: "dialog" },
        el("p", {}, question),
        el("div", { class: "actions" },
          el("button", { value: "no", class: "plain", autofocus: true }, "Cancel"),
          el("button", { value: "yes", class: "danger" }, action))));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export const link = (...parts) => "#/" + parts.map(encodeURIComponent).join("/");

export function tabs(db, current) {
  const own = (key, text) => [key, text, link("db", db, key)];
  const all = [["documents", "Documents", link("db", db)], own("query", "Query"),
    ...pages.database.map(({ name, title }) => [name, title, link("db", db, "plugin", name)]),
    own("indexes", "Indexes"), own("changes", "Changes"),
    own("exchange", "Import and export"), own("security", "Security")];
  const nav = el("nav", { class: "tabs", "aria-label": "Database" }, all.map(([key, text, href]) =>
    el("a", { href, "aria-current": key === current ? "page" : null }, text)));
  // On a phone not all of them are seen at a time.
  requestAnimationFrame(() => { nav.scrollLeft = (nav.querySelector("[aria-current]")?.offsetLeft ?? 0) - nav.offsetLeft - 40; });
  return nav;
}

// What pages of a database begin with; `tools` stand beside its name.
export const databaseHead = (db, current, ...tools) => [
  crumbs(["Databases", "#/"], [db]), el("div", { class: "title" }, el("h1", {}, db), tools), tabs(db, current)];

export function crumbs(...parts) {
  return el("nav", { class: "crumbs", "aria-label": "Where you are" }, parts.map(([text, href], index) =>
    [index ? el("span", { "aria-hidden": "true" }, "›") : null, href ? el("a", { href }, text) : el("span", {}, text)]));
}

export const count = (number) => (number ?? 0).toLocaleString("en");

export function bytes(size) {
  if (!(size >= 0)) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) { size /= 1000; unit += 1; }
  return `${size >= 100 || unit === 0 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}
