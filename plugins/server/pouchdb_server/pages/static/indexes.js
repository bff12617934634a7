// The indexes of a database: how large and how far they are; what can be done with them and with the file.

import * as api from "./api.js";
import { count, failed } from "./asking.js";
import { bytes, confirm, databaseHead, el, link, notice, replace } from "./dom.js";

const EVERY = 2000;
const MOST = 500;
const PATIENCE = 500;

// A row for each index: the views of a design document share one, the others have one each. `info` is the address of
// what is known of it, `query(db)` asks it for as little as there is.
function indexesOf(doc) {
  const ddoc = doc._id.slice("_design/".length);
  const design = (...rest) => ["_design", ddoc, ...rest];
  const get = (rest, options) => (db) => api.get(`${db}/${api.path(...design(...rest))}${api.query(options)}`);
  const members = (member) => (typeof doc[member] === "object" && doc[member] !== null ? doc[member] : {});
  const names = (member) => Object.keys(members(member));
  const views = names("views").filter((name) => name !== "lib");
  const one = (member, kind, info, query) => names(member).map((name) => ({
    ddoc, kind, names: [name], info: info && design(info, name), query: query?.(name),
  }));
  const mango = (db) => api.post(`${db}/_find`, {
    selector: Object.fromEntries(Object.keys(members("views")[views[0]]?.map?.fields ?? {}).map((field) => [field, { $gt: null }])),
    use_index: [ddoc, views[0]], limit: 1,
  });
  const isMango = doc.language === "query";
  return [
    ...(views.length ? [{
      ddoc, kind: isMango ? "Mango" : "Views", names: views, info: design("_info"), query: isMango ? mango : get(["_view", views[0]], { limit: 0 }),
    }] : []),
    ...one("indexes", "Search", "_search_info", (name) => get(["_search", name], { q: "*:*", limit: 1 })),
    ...one("nouveau", "Nouveau", "_nouveau_info", (name) => get(["_nouveau", name], { q: "*:*", limit: 1 })),
    ...one("st_indexes", "Places", "_geo_info", (name) => get(["_geo", name], { bbox: "-180,-90,180,90", limit: 1 })),
    ...one("spatial", "Spatial view", null, (name) => get(["_spatial", name], { bbox: "-180,-90,180,90", limit: 1 })),
  ];
}

// What the different answers have in common: {size, text, behind}.
function stateOf(answer, seq) {
  const views = answer.view_index;
  if (views) {
    const behind = views.updates_pending?.total ?? 0;
    return { size: views.sizes.file || null, behind, building: views.updater_running };
  }
  const found = answer.search_index ?? answer.geo_index ?? {};
  const behind = found.committed_seq === undefined ? undefined : Math.max(0, seq - Number(found.committed_seq));
  return { size: found.disk_size ?? null, behind, documents: found.doc_count };
}

export async function indexes(place, db) {
  const body = el("tbody");
  const facts = el("p", { class: "facts" });
  const tasksPlace = el("div", { "aria-live": "polite" });
  let over = false;
  let timer;

  async function load() {
    const [info, { rows }, tasks] = await Promise.all([
      api.get(api.path(db)), api.get(`${api.path(db)}/_design_docs` + api.query({ include_docs: true, limit: MOST })), tasksOf(db)]);
    const seq = Number(String(info.update_seq).split("-", 1)[0]);
    const all = rows.flatMap(({ doc }) => (doc ? indexesOf(doc) : []));
    const states = await Promise.all(all.map((each) => (each.info ? infoOf(api.path(db, ...each.info), seq) : {})));
    if (over) return;
    replace(facts, `${count(info.doc_count, "document", "documents")}, ${bytes(info.sizes.file)} in the file`,
      info.compact_running && [" ", el("span", { class: "badge warn" }, "compacting")]);
    replace(tasksPlace, tasks.filter((task) => !task.design_document).map(progressOf));
    const known = new Map([...body.children].map((row) => [row.dataset.key, row]));
    all.forEach((each, index) => {
      const key = JSON.stringify([each.ddoc, each.kind, each.names]);
      const row = known.get(key) ?? el("tr", { "data-key": key });
      known.delete(key);
      const task = tasks.find((found) => found.design_document === `_design/${each.ddoc}`);
      const shown = JSON.stringify([states[index], states[index].error?.message, task]);
      if (row.dataset.shown !== shown) { row.dataset.shown = shown; fill(row, each, states[index], task); }
      if (row.parentNode !== body) body.append(row);
    });
    for (const row of known.values()) row.remove();
    if (all.length === 0) body.append(el("tr", { "data-key": "" }, el("td", { colSpan: 5, class: "empty" }, "No design document has an index.")));
  }

  // Some answers wait until the index is built: what was known is shown meanwhile, and nothing is asked twice.
  const infos = new Map();
  function infoOf(where, seq) {
    const known = infos.get(where) ?? { state: { behind: null }, asked: null };
    infos.set(where, known);
    known.asked ??= api.get(where).then((answer) => stateOf(answer, seq), (error) => ({ error })).then((state) => {
      known.asked = null;
      known.state = state;
      return state;
    });
    return Promise.race([known.asked, new Promise((resolve) => { setTimeout(() => resolve(known.state), PATIENCE); })]);
  }

  function fill(row, each, state, task) {
    const progress = task ? progressOf(task)
      : state.error ? failed(state.error)
        : state.behind === null ? el("span", { class: "badge" }, "being looked up")
        : state.behind === undefined ? el("span", { class: "hint" }, "not known")
          : state.behind === 0 ? el("span", { class: "badge ok" }, "up to date")
            : el("span", { class: "badge warn" }, `${count(state.behind, "change", "changes")} to come`);
    replace(row,
      el("th", { scope: "row" }, el("a", { href: link("db", db, "doc", `_design/${each.ddoc}`) }, each.ddoc), el("p", { class: "hint" }, each.names.join(", "))),
      el("td", { "data-label": "Kind" }, each.kind),
      el("td", { class: "number", "data-label": "Size" }, state.size === null || state.size === undefined ? "in the file" : bytes(state.size)),
      el("td", { "data-label": "State" }, progress),
      el("td", { class: "tools wide-tools" },
        each.query && state.behind > 0 && !task && button("Update", each, () => update(each)),
        !task && button("Rebuild", each, () => rebuild(each))));
  }

  const button = (text, each, onclick) => el("button", {
    type: "button", class: "plain", "aria-label": `${text} ${each.ddoc}: ${each.names.join(", ")}`, onclick,
  }, text);

  // The indexes of a design document are dropped together; what is asked of them next builds them again.
  async function rebuild(each) {
    if (!(await confirm(`Build the indexes of “${each.ddoc}” again? Queries wait meanwhile.`, "Rebuild"))) return;
    try {
      await api.post(`${api.path(db, "_design", each.ddoc)}/_rebuild`, {});
      if (each.query) await update(each);
      else await again();
    } catch (error) {
      notice(error.message, "bad");
    }
  }

  // A query for few rows brings an index up to date; meanwhile its task is shown.
  async function update({ query }) {
    const done = query(api.path(db)).then(() => notice("The index is up to date."), (error) => notice(error.message, "bad"));
    await Promise.race([done, new Promise((resolve) => { setTimeout(resolve, PATIENCE); })]);
    await again();
    done.then(again);
  }

  const work = (text, hint, where) => el("button", { type: "button", title: hint, onclick: async () => {
    try {
      await api.post(api.path(db) + where, {});
      notice(`${text}: begun.`);
      await again();
    } catch (error) {
      notice(error.message, "bad");
    }
  } }, text);

  async function again() {
    clearTimeout(timer);
    if (over) return;
    if (!document.hidden) {
      try { await load(); } catch (error) { if (error.status === 401) return; }
    }
    clearTimeout(timer);
    if (!over) timer = setTimeout(again, EVERY);
  }

  await load();
  replace(place, databaseHead(db, "indexes"), facts, tasksPlace,
    el("div", { class: "inline wraps" },
      work("Compact", "Give up the contents of older revisions", "/_compact"),
      work("Clean up indexes", "Remove indexes that no design document has any more", "/_view_cleanup")),
    el("table", { class: "list" }, el("thead", {}, el("tr", {}, ["Design document", "Kind", "Size", "State", ""].map((each, index) =>
      el("th", { scope: "col", class: index === 2 ? "number" : null }, each || el("span", { class: "hidden" }, "Actions"))))), body));
  timer = setTimeout(again, EVERY);
  return () => { over = true; clearTimeout(timer); };
}

// Only administrators of the server may see tasks; the others see no progress.
async function tasksOf(db) {
  try {
    return (await api.get("_active_tasks")).filter((task) => task.database === db);
  } catch (error) {
    if (error.status === 401 || error.status === 403) return [];
    throw error;
  }
}

function progressOf(task) {
  const known = task.progress !== undefined;
  const done = known ? `${task.progress} %` : count(task.changes_done, "change", "changes");
  const text = `${task.type.replaceAll("_", " ")}: ${done}`;
  return el("div", { class: "task" }, el("progress", { max: 100, value: known ? task.progress : undefined, "aria-label": text }), el("p", { class: "hint" }, text));
}
