// Views of PouchDB on LevelDB, timing themselves.
//
//   node views.js DOCUMENTS DIRECTORY
//
// DOCUMENTS is a JSON file {documents, map, custom, changed}; every line on standard input asks for one round in a new
// database, answered by one line of JSON: nanoseconds in each workload.
'use strict';

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const PouchDB = require('pouchdb');

const [documentsFile, directory] = process.argv.slice(2);
const { documents, map, custom, changed } = JSON.parse(fs.readFileSync(documentsFile, 'utf8'));

function expect(condition, what) {
  if (!condition) {
    throw new Error('unexpected: ' + what);
  }
}

async function round(number) {
  const db = new PouchDB(path.join(directory, 'views-' + number), { adapter: 'leveldb' });
  for (let start = 0; start < documents.length; start += 1000) {
    await db.bulkDocs(documents.slice(start, start + 1000));
  }
  await db.put({ _id: '_design/javascript', views: { age: { map, reduce: '_stats' } } });
  await db.put({ _id: '_design/custom', views: { age: { map, reduce: custom } } });
  const times = {};
  async function timed(name, view, options) {
    const start = process.hrtime.bigint();
    const answer = await db.query(view, options);
    times[name] = Number(process.hrtime.bigint() - start);
    return answer;
  }
  const built = await timed('build', 'javascript/age', { reduce: false, limit: 1 });
  expect(built.total_rows === documents.length, 'the build');
  await timed('range', 'javascript/age', { reduce: false, startkey: ['note', 30], endkey: ['note', 31] });
  const groups = await timed('groups', 'javascript/age', { group_level: 1 });
  expect(groups.rows.length === 4, 'the groups');
  await timed('exact', 'javascript/age', { group: true });
  await db.query('custom/age', { reduce: false, limit: 1 });
  await timed('reduced', 'custom/age', { group_level: 1 });
  const docs = (await db.allDocs({ include_docs: true, limit: changed })).rows.map((row) => row.doc);
  docs.forEach((doc) => { doc.readings = [0.5].concat(doc.readings || []); });
  await db.bulkDocs(docs);
  await timed('follow', 'javascript/age', { reduce: false, limit: 1 });
  await db.destroy();
  return times;
}

async function main() {
  let number = 0;
  for await (const _ of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await round(number++)) + '\n');
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
