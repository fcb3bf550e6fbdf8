// What the programs of the documentation call where they state a result: `expression; // value`.

const assert = require('node:assert/strict');

/**
 * @param {unknown} actual
 * @param {unknown} expected
 * @param {string} shown
 */
exports.stated = (actual, expected, shown) => {
  assert.deepEqual(actual, expected);
  console.log(`holds: ${shown}`);
};
