// PouchDB on LevelDB, timing itself.
//
//   node bench.js DOCUMENTS DIRECTORY
//
// DOCUMENTS is a JSON file {documents, singles, gets, batch}; every line on standard input asks for one round in a
// new database, answered by one line of JSON: nanoseconds in each workload. Closes the database before it answers,
// so that nothing runs on while somebody else is measured.
'use strict';

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const PouchDB = require('pouchdb');

const [documentsFile, directory] = process.argv.slice(2);
const { documents, singles, gets, batch } = JSON.parse(fs.readFileSync(documentsFile, 'utf8'));

async function timed(work) {
  const start = process.hrtime.bigint();
  const result = await work();
  return [Number(process.hrtime.bigint() - start), result];
}

function expect(condition, what) {
  if (!condition) {
    throw new Error('unexpected: ' + what);
  }
}

async function round(number) {
  const db = new PouchDB(path.join(directory, 'round-' + number), { adapter: 'leveldb' });
  await db.info(); // opened

  const [bulkWrite, written] = await timed(async () => {
    let count = 0;
    for (let start = 0; start < documents.length; start += batch) {
      const results = await db.bulkDocs(documents.slice(start, start + batch));
      count += results.filter((result) => result.ok).length;
    }
    return count;
  });
  expect(written === documents.length, 'bulkDocs');

  const [bulkRead, listing] = await timed(() => db.allDocs({ include_docs: true }));
  expect(listing.rows.length === documents.length && listing.rows[0].doc.text, 'allDocs');

  const [changes, feed] = await timed(() => db.changes());
  expect(feed.results.length === documents.length, 'changes');

  const [changesDocs, bodies] = await timed(() => db.changes({ include_docs: true }));
  expect(bodies.results.length === documents.length && bodies.results[0].doc.text, 'changes with documents');

  const [get] = await timed(async () => {
    for (const id of gets) {
      await db.get(id);
    }
  });

  const [put] = await timed(async () => {
    for (const doc of singles) {
      await db.put(doc);
    }
  });

  await db.destroy();
  return { 'bulk write': bulkWrite, 'bulk read': bulkRead, changes, 'changes with documents': changesDocs, get, put };
}

async function main() {
  const versions = { node: process.version, pouchdb: PouchDB.version };
  process.stdout.write(JSON.stringify(versions) + '\n');
  let number = 0;
  for await (const _ of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await round(number++)) + '\n');
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
