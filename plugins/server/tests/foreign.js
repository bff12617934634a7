// PouchDB, which nobody here wrote, as a client of the server: node foreign.js URL DIRECTORY
// Prints a line for each thing that works, and ends with a message and status 1 at the first that does not.
const assert = require('assert');
const path = require('path');
const PouchDB = require('pouchdb');

const [url, directory] = process.argv.slice(2);
let count = 0;
const local = () => new PouchDB(path.join(directory, `local${count++}`));
const remote = () => new PouchDB(`${url}/remote${count++}`);
const big = Buffer.alloc(3 * 1024 * 1024, 'pouch');

const checks = {
  async 'put, get, update, remove'() {
    const db = remote();
    const {rev} = await db.put({_id: 'a/ü +%', x: 1});
    const doc = await db.get('a/ü +%');
    assert.deepStrictEqual(doc, {_id: 'a/ü +%', _rev: rev, x: 1});
    await assert.rejects(db.put({_id: 'a/ü +%', x: 2}), {name: 'conflict', status: 409});
    const second = await db.put({...doc, x: 2});
    await db.remove('a/ü +%', second.rev);
    await assert.rejects(db.get('a/ü +%'), {status: 404, reason: 'deleted'});
    assert.ok((await db.post({x: 3})).id);
    assert.strictEqual((await db.info()).doc_count, 1);
    assert.strictEqual((await db.destroy()).ok, true);
  },
  async 'bulk, lists'() {
    const db = remote();
    const answers = await db.bulkDocs([{_id: 'a', n: 1}, {_id: 'b', n: 2}, {_id: 'a'}]);
    assert.strictEqual(answers[2].status, 409);
    const rows = (await db.allDocs({include_docs: true, startkey: 'a', endkey: 'b'})).rows;
    assert.deepStrictEqual(rows.map(row => row.doc.n), [1, 2]);
    const keys = (await db.allDocs({keys: ['b', 'none']})).rows;
    assert.strictEqual(keys[1].error, 'not_found');
    const got = await db.bulkGet({docs: [{id: 'a'}, {id: 'none'}], revs: true});
    assert.strictEqual(got.results[0].docs[0].ok._revisions.start, 1);
    assert.strictEqual(got.results[1].docs[0].error.error, 'not_found');
    assert.deepStrictEqual(await db.revsDiff({a: ['2-x']}), {a: {missing: ['2-x'], possible_ancestors: [answers[0].rev]}});
    await db.compact();
  },
  async 'attachments'() {
    const db = remote();
    const {rev} = await db.putAttachment('doc', 'dir/big.bin', big, 'application/x-pouch');
    assert.ok(big.equals(await db.getAttachment('doc', 'dir/big.bin')));
    const doc = await db.get('doc', {attachments: true, binary: true});
    assert.ok(big.equals(doc._attachments['dir/big.bin'].data));
    await db.removeAttachment('doc', 'dir/big.bin', rev);
    await assert.rejects(db.getAttachment('doc', 'dir/big.bin'), {status: 404});
  },
  async 'conflicts'() {
    const db = remote();
    await db.bulkDocs([{_id: 'a', _rev: '1-a', x: 1}, {_id: 'a', _rev: '1-b', x: 2}], {new_edits: false});
    const doc = await db.get('a', {conflicts: true});
    assert.deepStrictEqual([doc._rev, doc._conflicts], ['1-b', ['1-a']]);
    const leaves = await db.get('a', {open_revs: 'all'});
    assert.deepStrictEqual(leaves.map(leaf => leaf.ok._rev).sort(), ['1-a', '1-b']);
    await db.remove('a', '1-b');
    assert.strictEqual((await db.get('a'))._rev, '1-a');
  },
  async 'views'() {
    const db = remote();
    await db.bulkDocs([1, 2, 3, 4].map(n => ({_id: `doc${n}`, n})));
    await db.put({_id: '_design/v', views: {n: {map: 'function (doc) { emit(doc.n % 2, doc.n); }', reduce: '_sum'}}});
    const groups = await db.query('v/n', {group: true});
    assert.deepStrictEqual(groups.rows, [{key: 0, value: 6}, {key: 1, value: 4}]);
    const rows = (await db.query('v/n', {reduce: false, key: 1, include_docs: true})).rows;
    assert.deepStrictEqual(rows.map(row => row.doc._id), ['doc1', 'doc3']);
    assert.strictEqual((await db.query('v/n', {keys: [1], group: true})).rows[0].value, 4);
    await db.viewCleanup();
  },
  async 'live changes'() {
    const db = remote();
    await db.put({_id: 'first'});
    const seen = [];
    await new Promise((resolve, reject) => {
      const feed = db.changes({live: true, since: 0, include_docs: true});
      feed.on('error', reject).on('complete', resolve).on('change', async change => {
        seen.push(change.doc._id);
        if (seen.length === 1) await db.put({_id: 'second'});
        else feed.cancel();
      });
    });
    assert.deepStrictEqual(seen, ['first', 'second']);
    const some = await db.changes({doc_ids: ['second'], since: 0});
    assert.deepStrictEqual(some.results.map(row => row.id), ['second']);
  },
  async 'sync both ways'() {
    const here = local(), there = remote();
    await here.bulkDocs(Array.from({length: 250}, (_, n) => ({_id: `here${n}`, n})));
    await there.bulkDocs(Array.from({length: 250}, (_, n) => ({_id: `there${n}`, n})));
    await here.putAttachment('file', 'a/b.bin', big, 'application/x-pouch');
    await there.putAttachment('other', 'c.bin', big, 'application/x-pouch');
    await here.bulkDocs([{_id: 'c', _rev: '1-a'}, {_id: 'c', _rev: '1-b'}], {new_edits: false});
    const result = await here.sync(there);
    assert.strictEqual(result.push.docs_written, 253);
    assert.strictEqual(result.pull.docs_written, 251);
    assert.ok(big.equals(await here.getAttachment('other', 'c.bin')));
    assert.ok(big.equals(await there.getAttachment('file', 'a/b.bin')));
    assert.deepStrictEqual((await there.get('c', {conflicts: true}))._conflicts, ['1-a']);
    const again = await here.sync(there);
    assert.deepStrictEqual([again.push.docs_read, again.pull.docs_read], [0, 0]);
    const doc = await here.get('here1');
    await here.remove(doc);
    await here.replicate.to(there);
    await assert.rejects(there.get('here1'), {reason: 'deleted'});
  },
  async 'live sync'() {
    const here = local(), there = remote();
    const sync = here.sync(there, {live: true, retry: true});
    const arrived = (db, id) => new Promise(resolve => {
      const feed = db.changes({live: true, since: 0, doc_ids: [id]}).on('change', () => { feed.cancel(); resolve(); });
    });
    const both = Promise.all([arrived(there, 'from-here'), arrived(here, 'from-there')]);
    await here.put({_id: 'from-here'});
    await there.put({_id: 'from-there'});
    await both;
    await new Promise(resolve => sync.on('complete', resolve).cancel());
  },
  async 'filtered replication'() {
    const here = local(), there = remote();
    await there.bulkDocs([{_id: 'a', n: 1}, {_id: 'b', n: 2}]);
    await there.put({_id: '_design/f', filters: {n: 'function (doc, req) { return doc.n == req.query.n; }'}});
    await here.replicate.from(there, {filter: 'f/n', query_params: {n: 2}});
    assert.deepStrictEqual((await here.allDocs()).rows.map(row => row.id), ['b']);
    await here.replicate.from(there, {doc_ids: ['a']});
    assert.strictEqual((await here.info()).doc_count, 2);
  },
};

(async () => {
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
    } catch (error) {
      console.error(`${name}: ${error.stack || JSON.stringify(error)}`);
      process.exit(1);
    }
    console.log(name);
  }
  process.exit(0);
})();
