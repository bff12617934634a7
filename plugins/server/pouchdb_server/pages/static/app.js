// The page: which view an address shows, who is logged in.

import * as api from "./api.js";
import { el, link, notice, replace } from "./dom.js";
import { databases } from "./databases.js";
import { documents } from "./documents.js";
import { documentPage } from "./document.js";
import { changes } from "./changes.js";
import { exchange } from "./exchange.js";
import { indexes } from "./indexes.js";
import { query } from "./query.js";
import { load, pageOf, pages } from "./plugins.js";
import { security } from "./security.js";
import { replications } from "./replications.js";
import { forget, mayLeave } from "./leaving.js";

const main = document.getElementById("main");
let leave = null;
let turn = 0;
let shownAt = null;

function view(parts) {
  const [first, db, kind, id] = parts;
  if (first === undefined) return [databases, []];
  if (first === "replications") return [replications, []];
  if (first === "plugin" && pageOf("server", db)) return [pageOf("server", db), parts.slice(2)];
  if (first === "db" && db !== undefined) {
    if (kind === undefined) return [documents, [db]];
    if (kind === "changes") return [changes, [db]];
    if (kind === "query") return [query, [db, id, parts[4]]];
    if (kind === "indexes") return [indexes, [db]];
    if (kind === "exchange") return [exchange, [db]];
    if (kind === "security") return [security, [db]];
    if (kind === "doc" && id !== undefined) return [documentPage, [db, id, parts[4]]];
    if (kind === "new") return [documentPage, [db, null]];
    if (kind === "plugin" && pageOf("database", id)) return [pageOf("database", id), [db, ...parts.slice(4)]];
  }
  return null;
}

function parts() {
  const text = location.hash.replace(/^#\/?/, "");
  try {
    return text ? text.split("/").map(decodeURIComponent) : [];
  } catch {
    return ["?"];
  }
}

// The address has changed already: who stays gets the one of what is shown back.
async function go() {
  if (!(await mayLeave())) {
    history.replaceState(null, "", shownAt || "#/");
    return;
  }
  show();
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
}

async function show() {
  const mine = ++turn;
  if (leave) leave();
  leave = null;
  forget();
  shownAt = location.hash;
  const where = parts();
  for (const each of document.querySelectorAll("[data-nav]")) {
    const current = where[0] === undefined || where[0] === "db" ? "databases" : where[0] === "plugin" ? `plugin ${where[1]}` : where[0];
    if (each.dataset.nav === current) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  const found = view(where);
  document.title = [where[3] ?? where[1] ?? where[0], "pouchdb"].filter(Boolean).join(" · ");
  if (!found) {
    replace(main, el("h1", {}, "There is no such page"), el("p", {}, el("a", { href: "#/" }, "All databases")));
    return;
  }
  // What a view shows goes into an element of its own: one that comes late changes nothing any more.
  const place = el("div", { class: "view", "aria-busy": "true" });
  replace(main, place);
  try {
    const ending = await found[0](place, ...found[1]);
    if (mine === turn) leave = ending ?? null;
    else if (ending) ending();
  } catch (error) {
    if (mine !== turn) return;
    if (error.status === 401) replace(place, loginForm());
    else if (error.status === 403) replace(place, el("h1", {}, "Not allowed"), el("p", {}, error.message), loginForm());
    else replace(place, el("h1", {}, "That did not work"), el("p", { class: "error" }, error.message),
      el("p", {}, el("a", { href: "#/" }, "All databases")));
    if (!(error instanceof api.Failure)) console.error(error);
  } finally {
    place.removeAttribute("aria-busy");
  }
}

function loginForm() {
  const name = el("input", { name: "name", autocomplete: "username", required: true, autocapitalize: "none" });
  const password = el("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
  const wrong = el("p", { class: "error", role: "alert" });
  async function submit(event) {
    event.preventDefault();
    try {
      await api.post("_session", { name: name.value, password: password.value });
    } catch (error) {
      wrong.textContent = error.message;
      password.value = "";
      password.focus();
      return;
    }
    await who();
    await show();
  }
  queueMicrotask(() => name.focus());
  return el("form", { class: "card login", onsubmit: submit },
    el("h1", {}, "Log in"),
    el("label", {}, "Name", name),
    el("label", {}, "Password", password),
    wrong,
    el("button", { class: "primary" }, "Log in"));
}

async function who() {
  const place = document.getElementById("who");
  const { userCtx } = await api.get("_session");
  if (userCtx.name) {
    replace(place, el("span", { class: "user" }, userCtx.name), el("button", { type: "button", class: "plain", onclick: async () => {
      if (!(await mayLeave())) return;
      await api.remove("_session");
      await who();
      await show();
    } }, "Log out"));
  } else if (userCtx.roles.includes("_admin")) {
    replace(place, el("span", { class: "badge warn", title: "There are no administrators: everybody on this machine is one." }, "admin party"));
  } else {
    replace(place);
  }
}

async function start() {
  try {
    const about = await api.get("");
    document.getElementById("about").textContent = `${about.vendor?.name ?? "CouchDB"} ${about.vendor?.version ?? about.version}`;
    await load();
    const nav = document.querySelector("header nav");
    for (const { name, title } of pages.server) nav.append(el("a", { href: link("plugin", name), "data-nav": `plugin ${name}` }, title));
    await who();
  } catch (error) {
    notice(error.message, "bad");
  }
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
  addEventListener("hashchange", go);
  await show();
}

start();
