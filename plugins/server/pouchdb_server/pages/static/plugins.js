// Pages that plug-ins of the server add.

import * as api from "./api.js";

export const pages = { server: [], database: [] };

export async function load() {
  for (const each of await api.get("_utils/pages.json")) pages[each.level].push(each);
}

// Return the view of a page: its module is fetched when it is first shown.
export function pageOf(level, name) {
  const found = pages[level].find((each) => each.name === name);
  return found && (async (...args) => (await import(`./${found.module}`)).default(...args));
}
