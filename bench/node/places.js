// lunr and geopouch, timing themselves.
//
//   node places.js DOCUMENTS DIRECTORY
//
// DOCUMENTS is a JSON file {documents, words, boxes}. The first line on standard input builds both indexes; every line
// asks for one round, answered by one line of JSON: nanoseconds of each workload. lunr keeps its index in memory and
// never forgets a document by itself: an update is a removal and an addition.
'use strict';

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const lunr = require('lunr');
const PouchDB = require('pouchdb').plugin(require('geopouch'));

const [documentsFile, directory] = process.argv.slice(2);
const { documents, words, boxes } = JSON.parse(fs.readFileSync(documentsFile, 'utf8'));
const now = () => process.hrtime.bigint();
const since = (start) => Number(now() - start);

function builtWords() {
  const start = now();
  const index = lunr(function () {
    this.field('text');
    this.ref('_id');
    for (const doc of documents) this.add(doc);
  });
  return [index, since(start)];
}

async function builtPlaces() {
  const db = new PouchDB(path.join(directory, 'places'), { adapter: 'leveldb' });
  for (let start = 0; start < documents.length; start += 1000) {
    await db.bulkDocs(documents.slice(start, start + 1000));
  }
  await db.put({ _id: '_design/d', spatial: { all: 'function (doc) { if (doc.where) emit(doc.where); }' } });
  const start = now();
  const found = await db.spatial('d/all', [[-180, -90], [180, 90]]);
  if (found.length !== documents.length) {
    throw new Error(`geopouch: ${found.length} documents, not ${documents.length}`);
  }
  return [db, since(start)];
}

async function main() {
  let index, db, built;
  for await (const _ of readline.createInterface({ input: process.stdin })) {
    if (!db) {
      const [one, oneTime] = builtWords();
      const [two, twoTime] = await builtPlaces();
      index = one;
      db = two;
      built = { 'words: build': oneTime, 'places: build': twoTime };
    }
    const times = { ...built };
    for (const [name, [query, expected]] of Object.entries(words)) {
      const start = now();
      const found = index.search(query).length;
      times[name] = since(start);
      if (found < expected) throw new Error(`${name}: ${found} documents, not ${expected}`);
    }
    for (const [name, [box, expected]] of Object.entries(boxes)) {
      const start = now();
      const found = (await db.spatial('d/all', [[box[0], box[1]], [box[2], box[3]]])).length;
      times[name] = since(start);
      if (found !== expected) throw new Error(`${name}: ${found} documents, not ${expected}`);
    }
    process.stdout.write(JSON.stringify(times) + '\n');
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
