// What is replicated just now, how far it is, and what went wrong.

import * as api from "./api.js";
import { confirm, count, el, notice, replace } from "./dom.js";

const EVERY = 2000;
const COLOURS = { running: "ok", completed: "ok", pending: "", initializing: "", crashing: "bad", error: "bad", failed: "bad" };

export async function replications(place) {
  const body = el("tbody");
  let timer;
  let over = false;

  async function load() {
    const [{ docs }, { jobs }] = await Promise.all([api.get("_scheduler/docs?limit=200"), api.get("_scheduler/jobs?limit=200")]);
    const rows = [...docs.map((each) => ({ ...each, key: `${each.database} ${each.doc_id}` })),
      ...jobs.filter((each) => each.doc_id === null).map((each) => ({ ...each, state: "running", key: each.id }))];
    // Rows stay what they are as long as they are shown: a button under the pointer or focus does not go away.
    const known = new Map([...body.children].map((row) => [row.dataset.key, row]));
    for (const each of rows) {
      const row = known.get(each.key) ?? el("tr", { "data-key": each.key });
      known.delete(each.key);
      const shown = JSON.stringify(each);
      if (row.dataset.shown !== shown) { row.dataset.shown = shown; fill(row, each); }
      if (row.parentNode !== body) body.append(row);
    }
    for (const row of known.values()) row.remove();
    if (rows.length === 0) {
      body.append(el("tr", { "data-key": "" }, el("td", { colSpan: 4, class: "empty" }, "Nothing is replicated. Start something above.")));
    }
  }

  function fill(row, each) {
    const info = each.info ?? {};
    const done = info.docs_written ?? 0, left = info.changes_pending ?? 0;
    const detail = info.error ? el("p", { class: "error" }, info.error)
      : el("p", { class: "hint" }, `${count(done)} documents written`,
        left > 0 ? `, ${count(left)} changes to come` : each.state === "running" && ", up to date",
        info.doc_write_failures > 0 && `, ${count(info.doc_write_failures)} refused`);
    const looked = info.revisions_checked ?? done;
    replace(row,
      el("th", { scope: "row" }, el("span", { class: "ends" }, el("span", {}, each.source ?? "?"), el("span", { class: "arrow", "aria-label": "to" }, "→"), el("span", {}, each.target ?? "?")),
        el("p", { class: "hint" }, each.doc_id === null ? "started by a program" : `${each.database} / ${each.doc_id}`)),
      el("td", { "data-label": "State" }, el("span", { class: `badge ${COLOURS[each.state] ?? ""}` }, each.state),
        each.error_count > 0 && each.state !== "failed" && el("p", { class: "hint" }, each.error_count === 1 ? "failed once" : `failed ${each.error_count} times in a row`)),
      el("td", { "data-label": "Progress" },
        each.state === "running" && el("progress", { max: Math.max(1, looked + left), value: left === 0 ? Math.max(1, looked) : looked, "aria-label": "Progress" }), detail),
      el("td", { class: "tools" }, each.doc_id !== null && el("button", {
        type: "button", class: "plain danger", "aria-label": `Remove the replication ${each.doc_id}`, onclick: () => stop(each),
      }, "Remove")));
  }

  async function stop({ database, doc_id: id }) {
    if (!(await confirm(`Stop and remove the replication “${id}”? What was replicated stays.`, "Remove"))) return;
    try {
      const doc = await api.get(api.docPath(database, id));
      await api.remove(api.docPath(database, id) + api.query({ rev: doc._rev }));
      await load();
    } catch (error) {
      notice(error.message, "bad");
    }
  }

  // How far they are can only be asked for: now and then, as long as somebody looks.
  async function again() {
    if (over) return;
    if (!document.hidden) {
      try { await load(); } catch (error) { if (error.status === 401) return; }
    }
    if (!over) timer = setTimeout(again, EVERY);
  }

  await load();
  replace(place,
    el("h1", {}, "Replications"),
    form(async () => { await load(); }),
    el("table", { class: "list" }, el("thead", {}, el("tr", {}, ["From → to", "State", "Progress", ""].map((each) =>
      el("th", { scope: "col" }, each || el("span", { class: "hidden" }, "Actions"))))), body));
  timer = setTimeout(again, EVERY);
  return () => { over = true; clearTimeout(timer); };
}

function form(done) {
  const input = (name, placeholder) => el("input", { name, required: true, placeholder, spellcheck: "false", autocapitalize: "none" });
  const source = input("source", "database or https://user:password@host/database");
  const target = input("target", "database or https://user:password@host/database");
  const continuous = el("input", { type: "checkbox", checked: true });
  const create = el("input", { type: "checkbox", checked: true });
  async function start(event) {
    event.preventDefault();
    try {
      const session = await api.get("_session");
      const doc = {
        source: source.value.trim(), target: target.value.trim(), continuous: continuous.checked, create_target: create.checked,
        ...(session.userCtx.name && { user_ctx: session.userCtx }),
      };
      try {
        await api.post("_replicator", doc);
      } catch (error) {
        if (error.status !== 404) throw error;
        await api.put("_replicator");
        await api.post("_replicator", doc);
      }
      source.value = target.value = "";
      notice("The replication is started.");
      await done();
    } catch (error) {
      notice(error.message, "bad");
    }
  }
  return el("form", { class: "card replicate", onsubmit: start },
    el("label", {}, "From", source), el("label", {}, "To", target),
    el("label", { class: "check" }, continuous, "Go on for ever"),
    el("label", { class: "check" }, create, "Make the target if it is missing"),
    el("button", { class: "primary" }, "Replicate"));
}
