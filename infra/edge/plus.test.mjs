// Runs plus.js: node plus.test.mjs
import assert from 'node:assert';
import { load } from './load.mjs';

const handler = await load('plus.js', {});
for (const [uri, want] of [
  ['/pool/main/b/base-files/base-files_12.4+deb12u15_amd64.deb', '/pool/main/b/base-files/base-files_12.4%2Bdeb12u15_amd64.deb'],
  ['/pool/main/g/g++/g++_4_amd64.deb', '/pool/main/g/g%2B%2B/g%2B%2B_4_amd64.deb'],
  ['/a%2Bb%2bc%20d', '/a%2Bb%2bc%20d'], ['/', '/'],
]) {
  assert.strictEqual((await handler({ request: { method: 'GET', uri, headers: {} } })).uri, want);
}
console.log('ok');
