// Viewer request of a repository that is read with a password: HTTP basic
// authentication, as apt sends it from auth.conf(5).
//
// The key value store maps each user to the SHA-256 of "user:password" in
// lower-case hex. Passwords must be random: the digest of a guessable password
// does not protect it from a reader of the store.
//
// CloudFront accepts one function for viewer requests, so this one also maps
// paths of package files, as pool.js does.
import cf from 'cloudfront';
import crypto from 'crypto';

const maxHeader = 1024;
const refusal = {
  statusCode: 401,
  statusDescription: 'Unauthorized',
  headers: {
    'www-authenticate': { value: 'Basic realm="aptless"' },
    'cache-control': { value: 'no-store' },
  },
};

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

// credentials returns "user:password", or "" without a header of basic
// authentication.
function credentials(request) {
  const header = request.headers.authorization;
  if (!header || header.value.length > maxHeader) {
    return '';
  }
  const match = /^basic +([A-Za-z0-9+\/=]+)$/i.exec(header.value);
  return match ? Buffer.from(match[1], 'base64').toString('utf8') : '';
}

async function handler(event) {
  const request = event.request;
  const given = credentials(request);
  const user = given.slice(0, Math.max(given.indexOf(':'), 0));
  if (user === '') {
    return refusal;
  }
  let wanted;
  try {
    wanted = await cf.kvs().get(user);
  } catch (unknown) {
    return refusal;
  }
  // The time of a comparison of digests reveals nothing about the password.
  if (crypto.createHash('sha256').update(given).digest('hex') !== wanted) {
    return refusal;
  }
  delete request.headers.authorization;
  return request.uri.includes('/pool/sha256/') ? blob(request) : request;
}
