// The changes of a database as they happen.

import * as api from "./api.js";
import { databaseHead, el, link, replace } from "./dom.js";

const BEFORE = 25;
const KEPT = 500;

export async function changes(place, db) {
  const recent = await api.get(api.path(db) + "/_changes" + api.query({ descending: true, limit: BEFORE }));
  const state = el("span", { class: "badge", role: "status" }, "connecting");
  const body = el("tbody");
  const pause = el("button", { type: "button", "aria-pressed": "false" }, "Pause");
  const waiting = [];
  let since = recent.results[0]?.seq ?? recent.last_seq;
  let source = null;

  const line = (row, isNew) => el("tr", { class: isNew ? "new" : null },
    el("td", { class: "number", "data-label": "Seq" }, String(row.seq).split("-", 1)[0]),
    el("th", { scope: "row" }, el("a", { href: link("db", db, "doc", row.id) }, row.id)),
    el("td", { class: "rev", "data-label": "Revisions" }, row.changes.map((each) => each.rev.slice(0, 12)).join(", ")),
    el("td", {}, row.deleted && el("span", { class: "badge bad" }, "deleted")));

  function add(row) {
    since = row.seq;
    if (pause.getAttribute("aria-pressed") === "true") {
      waiting.push(row);
      if (waiting.length > KEPT) waiting.shift();
      pause.textContent = `Go on (${waiting.length})`;
      return;
    }
    body.prepend(line(row, true));
    while (body.childElementCount > KEPT) body.lastElementChild.remove();
  }

  pause.addEventListener("click", () => {
    const paused = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    if (!paused) waiting.splice(0).forEach(add);
  });

  function follow() {
    source = new EventSource(api.address(api.path(db) + "/_changes" + api.query({
      feed: "eventsource", since, heartbeat: 20000,
    })));
    source.addEventListener("open", () => { state.textContent = "live"; state.className = "badge ok"; });
    source.addEventListener("error", () => { state.textContent = "not connected"; state.className = "badge warn"; });
    source.addEventListener("message", (event) => { if (event.data) add(JSON.parse(event.data)); });
  }

  for (const row of recent.results) body.append(line(row, false));
  replace(place,
    databaseHead(db, "changes", el("div", { class: "inline" }, state, pause)),
    el("table", { class: "list" }, el("thead", {}, el("tr", {}, ["Seq", "Id", "Revisions", ""].map((each, index) =>
      el("th", { scope: "col", class: index === 0 ? "number" : null }, each || el("span", { class: "hidden" }, "State"))))), body));
  follow();
  return () => source.close();
}
