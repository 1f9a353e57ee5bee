// Runs auth.js against a store in memory: node auth.test.mjs
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import { load } from './load.mjs';

const digest = (text) => createHash('sha256').update(text).digest('hex');
const users = { apt: digest('apt:s3cret:with colon'), 'ü': digest('ü:pässword') };
const handler = await load('auth.js', users);

const ask = (value) => handler({
  request: { method: 'GET', uri: '/dists/stable/InRelease', headers: value === undefined ? {} : { authorization: { value } } },
});
const basic = (text) => 'Basic ' + Buffer.from(text).toString('base64');

for (const good of [basic('apt:s3cret:with colon'), basic('apt:s3cret:with colon').replace('Basic', 'bAsIc '), basic('ü:pässword')]) {
  const answer = await ask(good);
  assert.strictEqual(answer.uri, '/dists/stable/InRelease', good);
  assert.strictEqual(answer.headers.authorization, undefined, 'the password goes on to the origin');
}
for (const bad of [undefined, '', 'Basic', 'Basic ', basic('apt'), basic(':'), basic('apt:'), basic('apt:wrong'), basic('apt:s3cret'),
  basic('nobody:s3cret'), basic('constructor:x'), basic('ü:password'), 'Bearer ' + basic('apt:s3cret:with colon').slice(6),
  basic('apt:s3cret:with colon') + ' x', basic('apt:' + 'x'.repeat(2000)), 'Basic ' + digest('apt:s3cret:with colon')]) {
  const answer = await ask(bad);
  assert.strictEqual(answer.statusCode, 401, String(bad));
  assert.ok(answer.headers['www-authenticate'].value.startsWith('Basic '));
}
console.log('ok');
