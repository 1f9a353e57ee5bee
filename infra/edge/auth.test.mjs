// Runs auth.js against a store in memory: node auth.test.mjs
import assert from 'node:assert';
import { createHash } from 'node:crypto';
import { load } from './load.mjs';

const digest = (text) => createHash('sha256').update(text).digest('hex');
const secret = (kind, n) => kind + String(n).padStart(38, 'x');
const grants = {
  a: { p: ['team-a'], e: 0 }, b: { p: ['team-b'], e: Date.now() / 1000 + 3600 }, all: { p: ['*'] }, stars: { p: ['**'], e: 0 },
  teams: { p: ['team-*'], e: 0 }, late: { p: ['*'], e: Math.floor(Date.now() / 1000) - 1 }, nothing: { p: [] }, inner: { p: ['team-a/secret'] },
  eu: { p: ['s3:eu:x'] }, www: { p: ['filesystem:www:x'] }, root: { p: ['.'] },
};
const tokens = Object.fromEntries(Object.keys(grants).map((name) => [name, secret('aptd_', name)]));
const stored = Object.fromEntries(Object.entries(grants).map(([name, g]) => ['t/' + digest(tokens[name]), JSON.stringify(g)]));
const basic = (text) => 'Basic ' + Buffer.from(text).toString('base64');

const store = (list, more) => ({ private: JSON.stringify(list), digests: 'needed', ...stored, ...more });
const request = (uri, authorization, method) => ({
  request: { method: method || 'GET', uri, headers: authorization === undefined ? {} : { authorization: { value: authorization } } },
});
const status = (answer) => answer.statusCode || 200;

const teams = await load('auth.js', store(['team-a', 'team-a/secret', 'filesystem:www:x', 's3:eu:x']));
const check = async (handler, uri, name, want) => {
  const answer = await handler(request(uri, name === undefined ? undefined : basic('apt:' + tokens[name])));
  assert.strictEqual(status(answer), want, `${uri} with ${name}: ${status(answer)}`);
  assert.strictEqual(answer.headers.authorization, undefined, 'the token goes on to the origin');
  return answer;
};

// Each way to a private prefix needs a token for it. Neither refusal says whether a file exists.
const ways = ['/team-a/dists/stable/InRelease', '/team-a', '/team-a/', '/repos/-/team-a/x', '/snapshots/20260101T000000Z/team-a/x',
  '/repos/-/snapshots/1/team-a/x', '/%74eam-a/x', '/team%2da/x', '/repos/%2d/team-a/x', '/team-a/aptless.sources', '/team-a/pool/main/h/hello_1+b1_amd64.deb'];
for (const uri of ways) {
  const refused = await check(teams, uri, undefined, 401);
  assert.ok(refused.headers['www-authenticate'].value.startsWith('Basic '));
  assert.strictEqual(refused.headers['cache-control'].value, 'no-store');
  assert.strictEqual((await teams(request(uri, undefined, 'HEAD'))).statusCode, 401);
  await check(teams, uri, 'b', 403);
  await check(teams, uri, 'nothing', 403);
  await check(teams, uri, 'inner', 403);
  await check(teams, uri, 'late', 401);
  for (const good of ['a', 'all', 'stars', 'teams']) {
    await check(teams, uri, good, 200);
  }
}
// A private prefix below another one is the only one that counts for its files.
await check(teams, '/team-a/secret/x', 'a', 403);
await check(teams, '/team-a/secret/x', 'inner', 200);
await check(teams, '/repos/www/x/dists', undefined, 401);
await check(teams, '/repos/www/x/dists', 'www', 200);
await check(teams, '/repos/www/y/dists', undefined, 200);
for (const uri of ['/dists/stable/InRelease', '/team-b/x', '/team-ab/x', '/TEAM-A/x', '/x/team-a/y', '/repos/-/team-b/x', '/key.asc', '/']) {
  const answer = await check(teams, uri, undefined, 200);
  assert.strictEqual(answer.uri, uri);
  await check(teams, uri, 'late', 200); // credentials for public files are not looked at
}
// Paths that no client of a repository sends.
for (const uri of ['/team-a%2fx', '/team-b/../team-a/x', '/team-b/%2e%2e/team-a/x', '/./team-a/x', '/team-b%5c..', '/team-b\\x', '/%ff', '/%', '/x%2Fy']) {
  assert.strictEqual(status(await teams(request(uri))), 400, uri);
}
for (const [uri, to] of [['//team-a/x', '/team-a/x'], ['/team-b//team-a///x', '/team-b/team-a/x'], ['//evil.example//x', '/evil.example/x']]) {
  const answer = await teams(request(uri));
  assert.strictEqual(answer.statusCode, 301, uri);
  assert.strictEqual(answer.headers.location.value, to);
}

// The form of credentials.
const path = '/team-a/x';
for (const good of [basic('apt:' + tokens.a), basic(':' + tokens.a), basic('a:'.slice(0, 1) + ':' + tokens.a), 'bAsIc  ' + basic('x:' + tokens.a).slice(6), 'Bearer ' + tokens.a, 'bearer ' + tokens.a]) {
  assert.strictEqual((await teams(request(path, good))).uri, path, good);
}
for (const bad of ['', 'Basic', 'Basic ', basic(tokens.a), basic('apt'), basic('apt:'), basic('apt:wrong'), basic(tokens.a + ':'), basic('apt:' + tokens.a + ' '),
  basic('apt:' + tokens.a.slice(1)), basic('apt:' + digest(tokens.a)), 'Bearer ' + digest(tokens.a), 'Digest ' + tokens.a, basic('apt:' + tokens.a) + ' x',
  basic('x'.repeat(2000) + ':' + tokens.a), basic('apt:' + secret('aptd_', 'unknown')), basic('apt:constructor'), basic('apt:' + secret('aptx_', 'a'))]) {
  assert.strictEqual(status(await teams(request(path, bad))), 401, bad);
}
const twice = request(path, basic('apt:' + tokens.a));
twice.request.headers.authorization.multiValue = [{ value: 'x' }, { value: basic('apt:' + tokens.a) }];
assert.strictEqual(status(await teams(twice)), 401, 'two headers');

// Paths by digest read the pool of all prefixes.
const sum = digest('a package');
const file = '/pool/sha256/' + sum.slice(0, 2) + '/' + sum + '/hello_1_amd64.deb';
const key = '/pool/' + sum.slice(0, 2) + '/' + sum;
for (const prefix of ['', '/team-b', '/team-a']) {
  await check(teams, prefix + file, undefined, 401);
  await check(teams, prefix + file, 'a', 403);
  assert.strictEqual((await check(teams, prefix + file, 'all', 200)).uri, key);
  await check(teams, prefix + file.replace('pool', '%70ool'), undefined, 401);
  await check(teams, prefix + file.replace('pool', '%70ool'), 'all', 404);
}
const byDigest = await load('auth.js', store(['team-a'], { digests: 'public' }));
assert.strictEqual((await check(byDigest, '/team-b' + file, undefined, 200)).uri, key);
await check(byDigest, '/team-a' + file, undefined, 401);
await check(byDigest, '/team-a' + file, 'a', 200);
const open = await load('auth.js', store([]));
assert.strictEqual((await check(open, file, undefined, 200)).uri, key);

// The root is everything of the default storage.
const root = await load('auth.js', store(['.']));
for (const uri of ['/', '/dists/x', '/team-a/x', '/key.asc']) {
  await check(root, uri, undefined, 401);
  await check(root, uri, 'root', 200);
  await check(root, uri, 'a', 403);
}

await check(root, '/dists/x:y/Release', undefined, 401);
await check(root, '/repos/www/x', undefined, 401); // also the path itself counts
const storage = await load('auth.js', store(['filesystem:www:.']));
await check(storage, '/repos/www/x', undefined, 401);
await check(storage, '/repos/www/x', 'a', 403);
await check(storage, '/repos/www/x', 'all', 200);
await check(storage, '/repos/eu/x', undefined, 200);
await check(storage, '/dists/x', undefined, 200);

// Without the list, or with one that cannot be read, all is private.
for (const values of [stored, { ...stored, private: '' }, { ...stored, private: 'null' }, { ...stored, private: '["x"' }, { ...stored, private: '"team-b"' }]) {
  const fresh = await load('auth.js', values);
  await check(fresh, '/dists/stable/InRelease', undefined, 401);
  await check(fresh, '/dists/stable/InRelease', 'a', 403);
  await check(fresh, '/dists/stable/InRelease', 'all', 200);
}
for (const broken of ['', 'null', '{}', '{"p":"*"}', '[]']) {
  const handler = await load('auth.js', store(['team-a'], { ['t/' + digest(tokens.a)]: broken }));
  await check(handler, path, 'a', 401);
}
// S3 takes a plus sign for a blank.
assert.strictEqual((await check(teams, '/team-a/a+b%2Bc', 'a', 200)).uri, '/team-a/a%2Bb%2Bc');
console.log('ok');
