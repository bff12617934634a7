// What was edited and is not saved, or is under way: leaving it asks, inside the page and when the tab is closed.

import { confirm } from "./dom.js";

const edited = new Set();

// Watch an editor: `isEdited()` says whether it holds what is not saved. Returns a function that ends it.
export function watch(isEdited) {
  edited.add(isEdited);
  return () => edited.delete(isEdited);
}

export const isEdited = () => [...edited].some((each) => each());

// After leaving: nothing of the view before is there any more.
export const forget = () => edited.clear();

let asking = null;

// Resolves to whether the view may go away; it asks once, however often it is called meanwhile.
export function mayLeave() {
  if (!isEdited()) return Promise.resolve(true);
  asking ??= confirm("Something here is not saved or not finished. Leave it?", "Leave").finally(() => { asking = null; });
  return asking;
}

addEventListener("beforeunload", (event) => { if (isEdited()) event.preventDefault(); });
