// The fields of revisions in conflict, and the document that is made of choices among them. Documents are Maps.

import { write } from "./exact.js";

const text = (value) => (value === undefined ? "" : write(value));
const isOwn = (name) => !name.startsWith("_");
const namesOf = (maps) => [...new Set(maps.flatMap((each) => [...each.keys()]))];
const filesOf = (leaf) => leaf.get("_attachments") ?? new Map();

// Return the fields that are not the same in all leaves: {name, values}, undefined where a leaf has none.
export function differing(leaves) {
  return namesOf(leaves).filter(isOwn).map((name) => ({ name, values: leaves.map((leaf) => leaf.get(name)) }))
    .filter(({ values }) => values.some((value) => text(value) !== text(values[0])));
}

// The same of attachments, whose content is compared by its digest.
export function differingFiles(leaves) {
  const identity = (file) => (file === undefined ? "" : `${file.get("digest")} ${text(file.get("content_type"))}`);
  return namesOf(leaves.map(filesOf)).map((name) => ({ name, values: leaves.map((leaf) => filesOf(leaf).get(name)) }))
    .filter(({ values }) => values.some((value) => identity(value) !== identity(values[0])));
}

// Return the first leaf with the chosen fields and files; undefined takes one away.
export function merged(leaves, fields, files) {
  const result = new Map([...leaves[0]].filter(([name]) => isOwn(name) || name === "_id" || name === "_rev"));
  const put = (map, name, value) => (value === undefined ? map.delete(name) : map.set(name, value));
  for (const [name, value] of fields) put(result, name, value);
  const kept = new Map(filesOf(leaves[0]));
  for (const [name, value] of files) put(kept, name, value);
  if (kept.size > 0) result.set("_attachments", kept);
  return result;
}
