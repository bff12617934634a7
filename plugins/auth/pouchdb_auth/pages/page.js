// The users of `_users`: adding them, their passwords and roles, deleting them.

import * as api from "../../api.js";
import { dialog, failed } from "../../asking.js";
import { confirm, el, notice, replace } from "../../dom.js";

const PREFIX = "org.couchdb.user:";
const PAGE = 50;
const END = "\ufff0";

const lines = (text) => [...new Set(text.split("\n").map((each) => each.trim()).filter(Boolean))];
const userPath = (name) => api.docPath("_users", PREFIX + name);

function rolesField(roles) {
  const area = el("textarea", { name: "roles", rows: 3, spellcheck: "false", autocapitalize: "none" });
  area.value = roles.join("\n");
  return area;
}

const passwordField = () => el("input", { name: "password", type: "password", autocomplete: "new-password", required: true });

export default async function users(place) {
  const { userCtx } = await api.get("_session");
  const isAdmin = userCtx.roles.includes("_admin");
  if (!isAdmin) return own(place, userCtx.name);

  const find = el("input", { type: "search", placeholder: "Names that begin with…", "aria-label": "Names that begin with", spellcheck: "false", autocapitalize: "none" });
  const body = el("tbody");
  const more = el("p", { class: "more" });
  let asked = 0, timer;

  async function load(start) {
    const mine = ++asked;
    const prefix = PREFIX + find.value;
    const rows = await found(start ?? prefix, prefix + END);
    if (mine !== asked) return;
    if (start === undefined) replace(body);
    for (const { doc } of rows.slice(0, PAGE)) if (doc) body.append(row(doc));
    const next = rows[PAGE];
    replace(more, next && el("button", { type: "button", onclick: () => load(next.id) }, "More"));
    if (!body.hasChildNodes()) body.append(el("tr", {}, el("td", { colSpan: 3, class: "empty" }, find.value ? "No name begins with that." : "There are no users yet.")));
  }

  function row(doc) {
    const name = String(doc.name ?? doc._id.slice(PREFIX.length));
    return el("tr", {},
      el("th", { scope: "row" }, name),
      el("td", { "data-label": "Roles" }, (Array.isArray(doc.roles) ? doc.roles : []).map((role) => [el("span", { class: "badge" }, String(role)), " "])),
      el("td", { class: "tools wide-tools" },
        el("button", { type: "button", class: "plain", "aria-label": `Password of ${name}`, onclick: () => password(name) }, "Password"),
        el("button", { type: "button", class: "plain", "aria-label": `Roles of ${name}`, onclick: () => roles(name) }, "Roles"),
        el("button", { type: "button", class: "plain danger", "aria-label": `Delete the user ${name}`, onclick: () => remove(name) }, "Delete")));
  }

  async function roles(name) {
    const doc = await api.get(userPath(name));
    const area = rolesField(Array.isArray(doc.roles) ? doc.roles : []);
    if (await dialog(`Roles of “${name}”`, [el("label", {}, "Roles, one a line", area)], "Save",
      () => api.put(userPath(name), { ...doc, roles: lines(area.value) }))) await load();
  }

  async function remove(name) {
    if (!(await confirm(`Delete the user “${name}”? The databases stay.`, "Delete"))) return;
    try {
      const doc = await api.get(userPath(name));
      await api.remove(userPath(name) + api.query({ rev: doc._rev }));
      await load();
    } catch (error) {
      notice(error.message, "bad");
    }
  }

  find.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(load, 200); });
  await load();
  replace(place, el("div", { class: "title" }, el("h1", {}, "Users")), adding(load), el("div", { class: "inline" }, find),
    el("table", { class: "list" }, el("thead", {}, el("tr", {}, ["Name", "Roles", ""].map((each) =>
      el("th", { scope: "col" }, each || el("span", { class: "hidden" }, "Actions"))))), body), more);
  return () => { asked += 1; clearTimeout(timer); };
}

// Return rows of users; a server that never had one has no database for them.
async function found(startkey, endkey) {
  try {
    return (await api.get("_users/_all_docs" + api.query({
      include_docs: true, limit: PAGE + 1, startkey: JSON.stringify(startkey), endkey: JSON.stringify(endkey),
    }))).rows;
  } catch (error) {
    if (error.status === 404) return [];
    throw error;
  }
}

function adding(done) {
  const name = el("input", { name: "user", required: true, autocomplete: "off", spellcheck: "false", autocapitalize: "none" });
  const password = passwordField();
  const roles = rolesField([]);
  const wrong = el("div", { class: "wide" });
  async function submit(event) {
    event.preventDefault();
    replace(wrong);
    try {
      const doc = { name: name.value, type: "user", roles: lines(roles.value), password: password.value };
      try {
        await api.put(userPath(name.value), doc);
      } catch (error) {
        if (error.status !== 404) throw error;
        await api.put("_users");
        await api.put(userPath(name.value), doc);
      }
      notice(`The user “${name.value}” is added.`);
      event.target.reset();
      await done();
    } catch (error) {
      replace(wrong, failed(error.status === 409 ? { error: "conflict", message: "There is a user of that name." } : error));
    }
  }
  return el("form", { class: "card ask", onsubmit: submit, "aria-label": "Add a user" },
    el("label", {}, "Name", name), el("label", {}, "Password", password), el("label", {}, "Roles, one a line", roles), wrong,
    el("button", { class: "primary" }, "Add the user"));
}

async function password(name) {
  const field = passwordField();
  if (await dialog(`Password of “${name}”`, [el("label", {}, "New password", field)], "Change", async () => {
    const doc = await api.get(userPath(name));
    await api.put(userPath(name), { ...doc, password: field.value });
  })) notice(`The password of “${name}” is changed.`);
}

// Who is no administrator has an account of their own.
function own(place, name) {
  replace(place, el("div", { class: "title" }, el("h1", {}, "Users")),
    name === null ? el("p", { class: "empty" }, "Log in to change your password.") : el("p", {}, `You are logged in as ${name}. `,
      el("button", { type: "button", onclick: () => password(name) }, "Change the password")));
}
