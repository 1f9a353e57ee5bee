// Viewer request where prefixes are private. A private file needs a token, as the
// password of HTTP basic authentication or as a bearer token. apt sends it from
// auth.conf(5).
//
// Keys of the store, which the API function writes:
//   private            JSON list of private prefixes; without this key all is private
//   digests            "public" if paths by digest need no token
//   t/<sha256 of token> {"p":[patterns of prefixes],"e":seconds since 1970, 0 is never}
//
// The decision is on the decoded path. CloudFront calls one function for a viewer
// request, so this one also maps paths, as pool.js and plus.js do.
import cf from 'cloudfront';
import crypto from 'crypto';

const maxHeader = 1024;

function refusal(statusCode, statusDescription, headers) {
  return { statusCode, statusDescription, headers: Object.assign({ 'cache-control': { value: 'no-store' } }, headers) };
}

const missing = {
  statusCode: 404,
  statusDescription: 'Not Found',
  headers: { 'cache-control': { value: 'no-store' } },
};

// blob maps a path of the pool layout "hash" to the file's object in the pool.
// The path is pool/sha256/<2>/<sha256>/<name> below any prefix. The name has no
// effect on the object.
function blob(request) {
  const match = /\/pool\/sha256\/([0-9a-f]{2})\/([0-9a-f]{64})\/([^\/]+)$/.exec(request.uri);
  if (!match || match[2].slice(0, 2) !== match[1] || match[3] === '.' || match[3] === '..') {
    return missing;
  }
  request.uri = '/pool/' + match[1] + '/' + match[2];
  return request;
}

function plus(request) {
  request.uri = request.uri.replace(/\+/g, '%2B');
  return request;
}

// decoded returns the decoded path, or undefined for one that a client of a
// repository does not send.
function decoded(uri) {
  if (/%2f|%5c|\\/i.test(uri)) {
    return undefined;
  }
  try {
    const path = decodeURIComponent(uri);
    return path.split('/').some((part) => part === '.' || part === '..') ? undefined : path;
  } catch (malformed) {
    return undefined;
  }
}

// places returns the names of published prefixes that a path can be below, each as
// the path itself: with its storage, and without the way that led to it.
function places(path) {
  const parts = path.split('/');
  const found = [path];
  if (parts[0] === 'repos' && parts.length > 2) {
    const rest = parts.slice(2).join('/');
    return found.concat(parts[1] === '-' ? places(rest) : ['filesystem:' + parts[1] + ':' + rest]);
  }
  if (parts[0] === 'snapshots' && parts.length > 2) {
    return found.concat(places(parts.slice(2).join('/')));
  }
  return found;
}

// entry returns the longest private prefix that a place is at or below.
function entry(list, place) {
  let longest = '';
  for (const e of list) {
    let below = place === e || place.startsWith(e + '/');
    if (e === '.') {
      below = !/^[a-z0-9]+:/.test(place);
    } else if (e.endsWith(':.')) { // the root of a storage
      below = place.startsWith(e.slice(0, -1));
    }
    if (below && e.length > longest.length) {
      longest = e;
    }
  }
  return longest;
}

// matches reports whether a pattern matches a whole text; * is any text.
function matches(pattern, text) {
  const parts = pattern.split('*');
  if (parts.length === 1) {
    return pattern === text;
  }
  const last = parts.pop();
  const first = parts.shift();
  if (!text.startsWith(first)) {
    return false;
  }
  let rest = text.slice(first.length);
  for (const part of parts) {
    const at = rest.indexOf(part);
    if (at < 0) {
      return false;
    }
    rest = rest.slice(at + part.length);
  }
  return rest.endsWith(last);
}

function allows(patterns, need) {
  return patterns.some((p) => need === '*' ? /^\*+$/.test(p) : matches(p, need));
}

async function read(key) {
  try {
    return await cf.kvs().get(key);
  } catch (unknown) {
    return undefined;
  }
}

// needs returns the prefixes that a path needs a token for; * is all of them.
async function needs(path) {
  const value = await read('private');
  let list;
  try {
    list = JSON.parse(value);
  } catch (malformed) {
    return ['*'];
  }
  if (!Array.isArray(list)) {
    return ['*'];
  }
  const found = places(path.slice(1)).map((place) => entry(list, place)).filter((e) => e !== '');
  if (list.length > 0 && path.includes('/pool/sha256/') && await read('digests') !== 'public') {
    found.push('*');
  }
  return found;
}

// token returns the token of a request, or "" without one of the right form.
function token(request) {
  const header = request.headers.authorization;
  if (!header || header.multiValue || header.value.length > maxHeader) {
    return '';
  }
  const match = /^(basic|bearer) +(\S+) *$/i.exec(header.value);
  if (!match) {
    return '';
  }
  let secret = match[2];
  if (match[1].toLowerCase() === 'basic') {
    const given = Buffer.from(secret, 'base64').toString('utf8');
    secret = given.indexOf(':') < 0 ? '' : given.slice(given.indexOf(':') + 1);
  }
  return /^apt[ksd]_[0-9A-Za-z]{38}$/.test(secret) ? secret : '';
}

// decide returns undefined for a token that is good for all needs, or the refusal.
async function decide(request, list) {
  const challenge = { 'www-authenticate': { value: 'Basic realm="aptless", charset="UTF-8"' } };
  const unauthorized = refusal(401, 'Unauthorized', challenge);
  const secret = token(request);
  if (secret === '') {
    return unauthorized;
  }
  let grant;
  try {
    grant = JSON.parse(await read('t/' + crypto.createHash('sha256').update(secret).digest('hex')));
  } catch (malformed) {
    return unauthorized;
  }
  if (!grant || !Array.isArray(grant.p) || grant.e > 0 && Date.now() >= grant.e * 1000) {
    return unauthorized;
  }
  return list.every((need) => allows(grant.p, need)) ? undefined : refusal(403, 'Forbidden', {});
}

async function handler(event) {
  const request = event.request;
  const path = decoded(request.uri);
  if (path === undefined) {
    return refusal(400, 'Bad Request', {});
  }
  if (request.uri.includes('//')) {
    return refusal(301, 'Moved Permanently', { location: { value: request.uri.replace(/\/{2,}/g, '/') } });
  }
  const list = await needs(path);
  if (list.length > 0) {
    const refused = await decide(request, list);
    if (refused) {
      return refused;
    }
  }
  delete request.headers.authorization;
  return path.includes('/pool/sha256/') ? blob(request) : plus(request);
}
