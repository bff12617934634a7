// cradle is of a time when node had functions that it has no more.
const util = require("util");
for (const name of ["isArray", "isFunction", "isRegExp", "isDate", "isString"]) {
  util[name] = util[name] || ((value) => Object.prototype.toString.call(value) === `[object ${name.slice(2)}]`);
}
const cradle = require("cradle");
const { url, name, step, fails, done } = require("./steps");

const { hostname, port } = new URL(url);
const server = new cradle.Connection(`http://${hostname}`, Number(port), {
  auth: { username: "ada", password: "secret" }, cache: false,
});
const db = server.database(name);
const call = (of, method, ...given) => new Promise((resolve, reject) =>
  of[method](...given, (error, answer) => error ? reject(error) : resolve(answer)));

(async () => {
  step("info", (await call(server, "info")).couchdb, "Welcome");
  step("exists not", await call(db, "exists"), false);
  step("create", (await call(db, "create")).ok);
  step("exists", await call(db, "exists"), true);
  step("databases", (await call(server, "databases")).includes(name));
  step("uuids", (await call(server, "uuids", 3)).length, 3);
  const a = await call(db, "save", "a", { n: 1 });
  step("save", a.id, "a");
  step("save without id", (await call(db, "save", { n: 0 })).ok);
  step("get", (await call(db, "get", "a")).n, 1);
  await call(db, "get", "none").then(() => step("missing", false), (error) => step("missing", error.error, "not_found"));
  step("put", (await call(db, "put", "p", { n: 5 })).ok);
  step("save many", (await call(db, "save", [0, 1, 2].map((n) => ({ _id: "b" + n, n })))).length, 3);
  step("get many", (await call(db, "get", ["b1", "b0"])).length, 2);
  step("head", (await call(db, "head", "a")).etag, `"${a.rev}"`);
  step("all", (await call(db, "all")).length, 6);
  step("merge", (await call(db, "merge", "a", { more: 1 })).rev.slice(0, 2), "2-");
  const views = { n: { map: "function (d) { if (d.n !== undefined) emit(d.n, d.n); }", reduce: "_sum" } };
  step("save design", (await call(db, "save", "_design/v", { views })).ok);
  step("view", (await call(db, "view", "v/n"))[0].value, 9);
  step("view keys", (await call(db, "view", "v/n", { reduce: false, keys: [1, 5] })).length > 0);
  step("view group", (await call(db, "view", "v/n", { group: true })).length, 4);
  const doc = await call(db, "get", "a");
  const saved = await call(db, "saveAttachment", { id: "a", rev: doc._rev }, { name: "f.txt", contentType: "text/plain", body: "text" });
  step("saveAttachment", saved.ok);
  step("changes", (await call(db, "changes", { since: 0 })).length >= 6);
  step("remove", (await call(db, "remove", "a", saved.rev || (await call(db, "get", "a"))._rev)).ok);
  step("compact", (await call(db, "compact")).ok);
  step("viewCleanup", (await call(db, "viewCleanup")).ok);
  step("destroy", (await call(db, "destroy")).ok);
  done();
})().catch((error) => { console.error(error); process.exit(1); });
