// Pages of a view's rows.

import { write } from "./exact.js";

const same = (one, other) => one.get("id") === other.get("id") && write(one.get("key")) === write(other.get("key"));

// Return the options that lead to the page after `rows`, of which the last is not shown: it begins the next page.
// A page of a map begins at a key and an id, which is fast; one of groups, or of one key, counts what was before.
export function after(options, rows) {
  const shown = rows.slice(0, -1), next = rows.at(-1);
  const skip = options.skip ?? 0;
  if (!next.has("id") || options.key !== undefined) return { ...options, skip: skip + shown.length };
  // A document may have several rows of one key: those before are left out by counting.
  let again = 0;
  while (again < shown.length && same(shown[shown.length - 1 - again], next)) again += 1;
  const whole = again === shown.length && options.startkey_docid === next.get("id") && options.startkey === write(next.get("key"));
  return { ...options, startkey: write(next.get("key")), startkey_docid: next.get("id"), skip: whole ? skip + again : again };
}
