// Viewer request of a repository that only those with a password may read:
// HTTP basic authentication, as apt sends it from auth.conf(5).
//
// The key value store has for each user the SHA-256, in lower-case hex, of
// "user:password". Passwords are to be random: a digest of a guessable one is
// no protection to whoever can read the store.
//
// CloudFront takes one function for viewer requests, so what pool.js does to
// paths of package files by their digest is done here, too.
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

// blob makes the request one for a file of the pool, if its path is one of the
// pool layout hash below any prefix: pool/sha256/<2>/<sha256>/<name>. The name
// is for the client.
function blob(request) {
  const match = /\/pool\/sha256\/([0-9a-f]{2})\/([0-9a-f]{64})\/([^\/]+)$/.exec(request.uri);
  if (!match || match[2].slice(0, 2) !== match[1] || match[3] === '.' || match[3] === '..') {
    return missing;
  }
  request.uri = '/pool/' + match[1] + '/' + match[2];
  return request;
}

// credentials returns "user:password", or nothing if the header is not one of
// basic authentication.
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
  // Digests are compared, so that the time it takes tells nothing of the password.
  if (crypto.createHash('sha256').update(given).digest('hex') !== wanted) {
    return refusal;
  }
  delete request.headers.authorization;
  return request.uri.includes('/pool/sha256/') ? blob(request) : request;
}
