// lunr as pouchdb-search uses it, an index for each field: node lunr.js path/to/lunr.js < {"docs", "queries"}
'use strict'

const lunr = require(require('path').resolve(process.argv[2]))
const { docs, queries } = JSON.parse(require('fs').readFileSync(0, 'utf8'))
const indexes = {}

for (const [number, fields] of docs.entries()) {
  for (const [name, text] of Object.entries(fields)) {
    if (!indexes[name]) {
      indexes[name] = new lunr.Index()
      indexes[name].field('text')
      indexes[name].ref('number')
      indexes[name].pipeline.add(lunr.stopWordFilter, lunr.stemmer)
    }
    indexes[name].add({ number, text })
  }
}
const found = queries.map((query) => {
  const [name, words] = query.includes(':') ? query.split(':') : ['default', query]
  return indexes[name] ? indexes[name].search(words).map((hit) => Number(hit.ref)) : []
})
console.log(JSON.stringify(found))
