// Calls of the server: JSON in and out, errors as CouchDB tells them.

const BASE = new URL("../", document.baseURI.split("#")[0]);

export class Failure extends Error {
  constructor(status, told) {
    super(told?.reason || told?.error || `The server answered ${status}.`);
    this.status = status;
    this.error = told?.error;
  }
}

// Raises Failure for a part that a browser would not send as it is: it resolves ".." and ".", however they are encoded,
// so that deleting an attachment of such a name would delete its database.
export function path(...parts) {
  const odd = parts.find((part) => /^\.{0,2}$/.test(part));
  if (odd !== undefined) throw new Failure(0, { reason: `“${odd}” cannot be part of an address that a browser sends.` });
  return parts.map(encodeURIComponent).join("/");
}

// An id's own slash belongs to it, but _design/ and _local/ are written with theirs.
export function docPath(db, id, ...rest) {
  const found = /^(_design|_local)\/(.*)$/s.exec(id);
  return found ? `${path(db)}/${found[1]}/${path(found[2], ...rest)}` : path(db, id, ...rest);
}

export const address = (where) => new URL(where, BASE).href;

export async function text(method, where, body) {
  return (await call(method, where, body)).text();
}

// Return an answer that is no error. Raises Failure.
export async function call(method, where, body, signal) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(address(where), {
      method, headers, body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
      credentials: "same-origin", cache: "no-store", signal,
    });
  } catch {
    throw new Failure(0, { reason: "The server does not answer." });
  }
  if (answer.ok) return answer;
  let parsed;
  try { parsed = JSON.parse(await answer.text()); } catch { parsed = undefined; }
  throw new Failure(answer.status, parsed);
}

// Return the first lines of an answer, and whether that is all of it; what comes after them is not fetched.
export async function firstLines(method, where, body, most) {
  const reader = (await call(method, where, body)).body.pipeThrough(new TextDecoderStream()).getReader();
  const lines = [];
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { lines: rest ? [...lines, rest] : lines, isWhole: true };
    const pieces = (rest + value).split("\n");
    rest = pieces.pop();
    lines.push(...pieces);
    if (lines.length > most) {
      await reader.cancel();
      return { lines: lines.slice(0, most), isWhole: false };
    }
  }
}

async function json(method, where, body) {
  return JSON.parse(await text(method, where, body));
}

export const get = (where) => json("GET", where);
export const put = (where, body) => json("PUT", where, body === undefined ? "" : body);
export const post = (where, body) => json("POST", where, body);
export const remove = (where) => json("DELETE", where);

export function query(options) {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return given.length ? "?" + given.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join("&") : "";
}
