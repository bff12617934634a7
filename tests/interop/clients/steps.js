// What the programs share: every call is a step, whose answer is checked and printed.
const assert = require("assert");
exports.url = process.argv[2];
exports.name = "clients";
const steps = [];
exports.step = (what, found, wanted = true) => {
  steps.push(what);
  assert.deepStrictEqual(found, wanted, what);
};
exports.fails = async (what, status, promise) => {
  steps.push(what);
  const error = await promise.then(() => assert.fail(what + ": nothing was thrown"), (error) => error);
  assert.strictEqual(error.statusCode || (error.headers || {}).status || error.status, status, what + ": " + error);
};
exports.done = () => console.log(JSON.stringify(steps));
