// The plug-ins that followed the original's: runs [{docs, ddoc, method, args, after}] of standard input, prints answers.
'use strict';

const PouchDB = require('pouchdb-core');
PouchDB.plugin(require('pouchdb-adapter-memory')).plugin(require('pouchdb-mapreduce'));
for (const name of ['show', 'list', 'update', 'rewrite', 'validation']) {
  PouchDB.plugin(require('pouchdb-' + name));
}

// What functions log.
console.log = console.error;

function plain(value) {
  return value === undefined ? null : JSON.parse(JSON.stringify(value));
}

async function answer(number, { docs, ddoc, method, args, after }) {
  const db = new PouchDB('cases' + number, { adapter: 'memory' });
  await db.bulkDocs(docs);
  await db.put({ _id: '_design/t', ...ddoc });
  const found = {};
  try {
    found.ok = plain(await db[method](...args));
  } catch (error) {
    found.error = { status: error.status, name: error.name, message: error.message };
  }
  if (after) {
    found.after = plain(await db.get(after).catch((error) => ({ status: error.status })));
  }
  return found;
}

async function main() {
  const chunks = [];
  for await (const chunk of process.stdin) {
    chunks.push(chunk);
  }
  const answers = [];
  for (const [number, each] of JSON.parse(Buffer.concat(chunks)).entries()) {
    answers.push(await answer(number, each));
  }
  // Databases in memory keep timers.
  process.stdout.write(JSON.stringify(answers), () => process.exit(0));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
