// Attachments of a revision: adding, showing and deleting them.
// Nothing in them runs: pictures are pictures (also SVG), what is text is shown as text, and a PDF goes to the
// browser's own viewer under a type that is set here.

import * as api from "./api.js";
import { bytes, confirm, el, notice, replace } from "./dom.js";
import { mayLeave } from "./leaving.js";

const TEXT = 64 * 1024;
const LARGEST_PDF = 50_000_000;
const PICTURES = /^image\/(png|jpeg|gif|webp|avif|bmp|svg\+xml|x-icon|vnd\.microsoft\.icon)$/;
const TEXTS = /^(text\/|application\/(json|javascript|xml|x-sh|x-yaml|yaml|toml|[a-z.-]+\+(json|xml)$)|image\/svg)/;

// `moved(rev)` shows the document again after something was written.
export function attachments(db, id, rev, files, editable, moved) {
  const names = Object.keys(files ?? {});
  if (names.length === 0 && !editable) return null;
  return el("section", { "aria-labelledby": "files-title" }, el("h2", { id: "files-title" }, "Attachments"),
    names.length > 0 && el("ul", { class: "files" }, names.map((name) => line(db, id, rev, name, files[name], editable, moved))),
    editable && upload(db, id, rev, names, moved));
}

function line(db, id, rev, name, { content_type: given, length }, editable, moved) {
  const type = String(given ?? "").split(";", 1)[0].trim().toLowerCase();
  let where;
  try {
    where = api.docPath(db, id, name) + api.query({ rev });
  } catch (error) {
    // A name such as ".." cannot be asked for.
    return el("li", {}, name, el("span", { class: "hint" }, error.message));
  }
  const address = api.address(where);
  const place = el("div", { class: "shown", hidden: true });
  const show = shownAs(type, length);
  const button = show && el("button", {
    type: "button", class: "plain small", "aria-expanded": "false", "aria-label": `Show ${name}`, onclick: async () => {
      const isOpen = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!isOpen));
      button.textContent = isOpen ? "Show" : "Hide";
      place.hidden = isOpen;
      if (isOpen) replace(place);
      else await fill(place, show, { address, where, name });
    },
  }, "Show");
  return el("li", {},
    el("a", { href: address, download: name.split("/").at(-1), rel: "noopener" }, name),
    el("span", { class: "hint" }, `${given ?? ""} · ${bytes(length)}`),
    button,
    editable && el("button", { type: "button", class: "plain small danger", "aria-label": `Delete the attachment ${name}`, onclick: async () => {
      if (!(await mayLeave()) || !(await confirm(`Delete the attachment “${name}”?`, "Delete"))) return;
      try {
        moved((await api.remove(where)).rev);
      } catch (error) {
        notice(error.message, "bad");
      }
    } }, "Delete"),
    place);
}

async function fill(place, show, file) {
  try {
    replace(place, await show(file));
  } catch (error) {
    replace(place, el("p", { class: "error", role: "alert" }, error.message));
  }
}

// Return what makes an element of an attachment, or null for what is only to be downloaded.
function shownAs(type, length) {
  if (PICTURES.test(type)) return ({ address, name }) => el("img", { src: address, alt: name });
  if (type.startsWith("audio/")) return ({ address, name }) => el("audio", { src: address, controls: true, "aria-label": name });
  if (type.startsWith("video/")) return ({ address, name }) => el("video", { src: address, controls: true, "aria-label": name });
  if (type === "application/pdf" && length <= LARGEST_PDF) return pdf;
  if (TEXTS.test(type)) return text;
  return null;
}

async function text({ where, name }) {
  const reader = (await api.call("GET", where)).body.getReader();
  const decoder = new TextDecoder();
  let found = "", size = 0, more = false;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    found += decoder.decode(value, { stream: true });
    if (size > TEXT) { more = true; await reader.cancel(); break; }
  }
  return [el("pre", { class: "plan", tabindex: "0", role: "region", "aria-label": name }, found.slice(0, TEXT)),
    more && el("p", { class: "hint" }, `The first ${bytes(TEXT)}`)];
}

// The type is ours, whatever the document says: a blob of it is never a page with scripts.
async function pdf({ where, name }) {
  const content = await (await api.call("GET", where)).arrayBuffer();
  const address = URL.createObjectURL(new Blob([content], { type: "application/pdf" }));
  return el("iframe", { src: address, title: name, class: "pdf", onload: () => URL.revokeObjectURL(address) });
}

function upload(db, id, rev, names, moved) {
  const input = el("input", { type: "file", multiple: true, class: "hidden", "aria-label": "Files to attach" });
  const bar = el("progress", { max: 1, value: 0, hidden: true });
  const wrong = el("p", { class: "error", role: "alert" });

  async function add(files) {
    input.value = "";
    wrong.textContent = "";
    if (files.length === 0 || !(await mayLeave())) return;
    const known = files.filter((file) => names.includes(file.name)).map((file) => `“${file.name}”`);
    if (known.length && !(await confirm(`Replace ${known.join(", ")}?`, "Replace"))) return;
    let current = rev;
    try {
      for (const file of files) {
        bar.hidden = false;
        bar.setAttribute("aria-label", `Sending ${file.name}`);
        current = (await send(api.docPath(db, id, file.name) + api.query({ rev: current }), file, (part) => { bar.value = part; })).rev;
      }
      notice(files.length === 1 ? `“${files[0].name}” is attached.` : `${files.length} files are attached.`);
    } catch (error) {
      if (current === rev) {
        bar.hidden = true;
        wrong.textContent = error.status === 409 ? "Somebody has changed the document since: reload it." : error.message;
        return;
      }
      notice(error.message, "bad");
    }
    moved(current);
  }

  input.addEventListener("change", () => add([...input.files]));
  const zone = el("div", { class: "drop" },
    el("button", { type: "button", onclick: () => input.click() }, "Attach files…"), el("span", { class: "hint" }, "or drop them here"), input, bar, wrong);
  zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    add([...event.dataTransfer.files]);
  });
  return zone;
}

// fetch() does not say how much was sent; XMLHttpRequest does.
function send(where, file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", api.address(where));
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => { if (event.lengthComputable) progress(event.loaded / event.total); };
    request.onerror = () => reject(new api.Failure(0, { reason: `“${file.name}” could not be sent.` }));
    request.onload = () => {
      let answer;
      try { answer = JSON.parse(request.responseText); } catch { answer = undefined; }
      if (request.status < 300) resolve(answer);
      else reject(new api.Failure(request.status, answer));
    };
    request.send(file);
  });
}
