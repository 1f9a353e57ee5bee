// Runs pool.js, and auth.js with a token for all prefixes: node pool.test.mjs
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import { load } from './load.mjs';

const digest = (text) => createHash('sha256').update(text).digest('hex');
const sum = digest('a package');
const dir = '/pool/sha256/' + sum.slice(0, 2) + '/' + sum;
const key = '/pool/' + sum.slice(0, 2) + '/' + sum;
const secret = 'aptd_' + 'x'.repeat(38);
const values = { private: '["team"]', ['t/' + digest(secret)]: '{"p":["*"]}' };
const authorization = { value: 'Basic ' + Buffer.from('apt:' + secret).toString('base64') };

for (const [name, headers] of [['pool.js', {}], ['auth.js', { authorization }]]) {
  const handler = await load(name, values);
  const ask = (uri) => handler({ request: { method: 'GET', uri, headers: { ...headers } } });
  for (const good of [dir + '/hello_1_amd64.deb', dir + '/a%2bb~c+d', '/team/x' + dir + '/...', '/pool/sha256/x' + dir + '/y']) {
    assert.strictEqual((await ask(good)).uri, key, name + ' ' + good);
  }
  for (const bad of [dir, dir + '/', dir + '/.', dir + '/..', dir + '/a/b', '/x' + dir.toUpperCase() + '/pool/sha256/', '/pool/sha256/', dir.slice(0, -1) + '/x',
    dir.replace('/' + sum.slice(0, 2) + '/', '/' + (sum.startsWith('00') ? '11' : '00') + '/') + '/x', dir + 'a/x', '/pool/sha256/' + sum + '/x',
    '/pool/sha256/../' + sum + '/x', '/pool/sha256/' + sum.slice(0, 2) + '/' + sum.toUpperCase().replace(/^[0-9]+$/, 'A') + '/x']) {
    const answer = await ask(bad);
    const dots = name === 'auth.js' && /\/\.\.?(\/|$)/.test(bad);
    assert.strictEqual(answer.statusCode, dots ? 400 : 404, name + ' ' + bad);
    assert.strictEqual(answer.headers['cache-control'].value, 'no-store');
  }
}

const open = await load('pool.js', {});
for (const other of ['/', '/dists/stable/InRelease', key, '/pool/main/h/hello/hello_1_amd64.deb', '/tasks/1', '/x' + dir.replace('sha256', '%73ha256') + '/y']) {
  const answer = await open({ request: { method: 'GET', uri: other, headers: {} } });
  assert.strictEqual(answer.statusCode, 404, other);
}

const closed = await load('auth.js', values);
const refused = await closed({ request: { method: 'GET', uri: dir + '/hello_1_amd64.deb', headers: {} } });
assert.strictEqual(refused.statusCode, 401);
console.log('ok');
