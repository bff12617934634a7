// PouchDB as a peer: each line on standard input is [method, ...arguments], each line on standard output an answer.
'use strict';

const path = require('path');
const readline = require('readline');
const PouchDB = require('pouchdb').plugin(require('pouchdb-find'));

const directory = process.argv[2];
const databases = new Map();

function open(name) {
  if (name.includes('://')) {
    return new PouchDB(name);
  }
  if (!databases.has(name)) {
    databases.set(name, new PouchDB(path.join(directory, name), { adapter: 'leveldb' }));
  }
  return databases.get(name);
}

// Errors lose their name and message in JSON.
function plain(value) {
  return JSON.parse(JSON.stringify(value, (key, each) =>
    each instanceof Error ? { ...each, name: each.name, message: each.message, status: each.status } : each));
}

const methods = {
  version: async () => PouchDB.version,
  bulk: async (name, docs, options) => open(name).bulkDocs(docs, options || {}),
  get: async (name, id, options) => open(name).get(id, options || {}),
  attach: async (name, id, file, rev, base64, type) => open(name).putAttachment(id, file, rev, base64, type),
  replicate: async (source, target, options) => PouchDB.replicate(open(source), open(target), options || {}),
  timed: async (source, target, options) => {
    const [from, to] = [open(source), open(target)];
    const start = process.hrtime.bigint();
    const result = await PouchDB.replicate(from, to, options);
    return { ok: result.ok, seconds: Number(process.hrtime.bigint() - start) / 1e9 };
  },
  // What a replication ("to"), or a sync of source and target, says, with its events of documents that were denied.
  watched: async (source, target, how) => {
    const [from, to] = [open(source), open(target)];
    const running = how === 'sync' ? from.sync(to) : from.replicate.to(to);
    const denied = [];
    running.on('denied', (event) => denied.push(plain(event)));
    const result = plain(await running);
    return { result, denied };
  },
  // What pouchdb-find answers to each request, errors included, after the indexes are made.
  find: async (name, indexes, requests) => {
    const db = open(name);
    for (const index of indexes) {
      await db.createIndex(index);
    }
    const answers = [];
    for (const request of requests) {
      answers.push(await db.find(request).then((found) => ({ docs: found.docs }), (error) => ({ status: error.status || 400 })));
    }
    return answers;
  },
  info: async (name) => open(name).info(),
  // Every leaf of every document, with what identifies its attachments.
  leaves: async (name) => {
    const db = open(name);
    const changes = await db.changes({ style: 'all_docs' });
    const found = {};
    for (const row of changes.results) {
      const answers = await db.get(row.id, { open_revs: row.changes.map((change) => change.rev), revs: true });
      found[row.id] = answers.map((answer) => answer.ok);
    }
    return found;
  },
};

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [method, ...args] = JSON.parse(line);
    let answer;
    try {
      answer = { ok: await methods[method](...args) };
    } catch (error) {
      answer = { error: String(error.stack || error), name: error.name, status: error.status };
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  }
  await Promise.all([...databases.values()].map((db) => db.close()));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
