// Replication of PouchDB, LevelDB to LevelDB, timing itself.
//
//   node replication.js DOCUMENTS DIRECTORY
//
// DOCUMENTS is a JSON file {documents, changed}; every line on standard input asks for one round in new databases,
// answered by one line of JSON: nanoseconds in each workload.
'use strict';

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const PouchDB = require('pouchdb');

const [documentsFile, directory] = process.argv.slice(2);
const { documents, changed } = JSON.parse(fs.readFileSync(documentsFile, 'utf8'));

function expect(condition, what) {
  if (!condition) {
    throw new Error('unexpected: ' + what);
  }
}

async function edit(db) {
  const docs = (await db.allDocs({ include_docs: true, limit: changed })).rows.map((row) => row.doc);
  docs.forEach((doc) => { doc.readings = [0.5].concat(doc.readings || []); });
  await db.bulkDocs(docs);
}

async function round(number) {
  const source = new PouchDB(path.join(directory, 'source-' + number), { adapter: 'leveldb' });
  const target = new PouchDB(path.join(directory, 'target-' + number), { adapter: 'leveldb' });
  for (let start = 0; start < documents.length; start += 1000) {
    await source.bulkDocs(documents.slice(start, start + 1000));
  }
  await target.info(); // opened
  const times = {};
  async function timed(name, work) {
    const start = process.hrtime.bigint();
    const answer = await work();
    times[name] = Number(process.hrtime.bigint() - start);
    return answer;
  }
  const first = await timed('first', () => source.replicate.to(target));
  expect(first.docs_written === documents.length, 'the first replication');
  const again = await timed('again', () => source.replicate.to(target, { checkpoint: false }));
  expect(again.docs_written === 0, 'the replication of nothing new');
  await edit(source);
  const edits = await timed('edits', () => source.replicate.to(target));
  expect(edits.docs_written === changed, 'the edits');
  await target.replicate.to(source);
  await edit(target);
  await timed('back', () => source.sync(target));
  await source.destroy();
  await target.destroy();
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
