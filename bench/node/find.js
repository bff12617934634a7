// Mango queries of pouchdb-find on LevelDB, timing themselves.
//
//   node find.js DOCUMENTS DIRECTORY
//
// DOCUMENTS is a JSON file {documents, indexes, queries}: queries are {name: [request, number of documents]}. The first
// line on standard input makes the database and its indexes; every line asks for one round, answered by one line of
// JSON: nanoseconds of each query.
'use strict';

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const PouchDB = require('pouchdb').plugin(require('pouchdb-find'));

const [documentsFile, directory] = process.argv.slice(2);
const { documents, indexes, queries } = JSON.parse(fs.readFileSync(documentsFile, 'utf8'));

async function filled() {
  const db = new PouchDB(path.join(directory, 'find'), { adapter: 'leveldb' });
  for (let start = 0; start < documents.length; start += 1000) {
    await db.bulkDocs(documents.slice(start, start + 1000));
  }
  const start = process.hrtime.bigint();
  for (const index of indexes) {
    await db.createIndex({ index });
  }
  return [db, Number(process.hrtime.bigint() - start)];
}

async function main() {
  let db, build;
  for await (const _ of readline.createInterface({ input: process.stdin })) {
    if (!db) {
      [db, build] = await filled();
    }
    const times = { build };
    for (const [name, [request, expected]] of Object.entries(queries)) {
      const start = process.hrtime.bigint();
      const answer = await db.find(JSON.parse(JSON.stringify(request)));
      times[name] = Number(process.hrtime.bigint() - start);
      if (answer.docs.length !== expected) {
        throw new Error(`${name}: ${answer.docs.length} documents, not ${expected}`);
      }
    }
    process.stdout.write(JSON.stringify(times) + '\n');
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
