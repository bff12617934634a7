const couchbackup = require("@cloudant/couchbackup");
const fs = require("fs");
const { url, name, step, done } = require("./steps");

const base = url.replace("://", "://ada:secret@");
const ask = async (method, path, body) => (await fetch(url + path, {
  method, body: body && JSON.stringify(body),
  headers: { Authorization: "Basic " + Buffer.from("ada:secret").toString("base64"), "Content-Type": "application/json" },
})).json();
const run = (start) => new Promise((resolve, reject) => start((error, answer) => error ? reject(error) : resolve(answer)));
const file = process.argv[3];

(async () => {
  step("create", (await ask("PUT", "/" + name)).ok);
  const docs = Array.from({ length: 1200 }, (_, n) => ({ _id: "d" + String(n).padStart(4, "0"), n, text: "é".repeat(n % 50) }));
  step("fill", (await ask("POST", `/${name}/_bulk_docs`, { docs })).length, 1200);
  for (const [mode, options] of [["shallow", { mode: "shallow", bufferSize: 100 }], ["full", { mode: "full", bufferSize: 100, attachments: true }]]) {
    if (mode === "full") {
      // Without content a stub cannot be restored, at CouchDB either.
      step("attach", (await ask("PUT", `/${name}/att`, { _attachments: { x: { data: "eA==", content_type: "text/plain" } } })).ok);
    }
    const backup = await run((end) => couchbackup.backup(
      `${base}/${name}`, fs.createWriteStream(file), { ...options, ...(mode === "full" ? { log: file + ".log" } : {}) }, end));
    step("backup " + mode, backup.total >= 1200);
    step("create for " + mode, (await ask("PUT", `/${name}-${mode}`)).ok);
    const restored = await run((end) => couchbackup.restore(
      fs.createReadStream(file), `${base}/${name}-${mode}`, { bufferSize: 100, ...(options.attachments ? { attachments: true } : {}) }, end));
    step("restore " + mode, restored.total >= 1200);
    step("counted " + mode, (await ask("GET", `/${name}-${mode}`)).doc_count >= 1200);
    const [one, other] = [await ask("GET", `/${name}/d0777`), await ask("GET", `/${name}-${mode}/d0777`)];
    step("same " + mode, other, one);
    step("destroy " + mode, (await ask("DELETE", `/${name}-${mode}`)).ok);
  }
  step("destroy", (await ask("DELETE", "/" + name)).ok);
  done();
})().catch((error) => { console.error(error); process.exit(1); });
