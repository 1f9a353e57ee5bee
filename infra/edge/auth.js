// Viewer request of a repository that only those with a password may read:
// HTTP basic authentication, as apt sends it from auth.conf(5).
//
// The key value store has for each user the SHA-256, in lower-case hex, of
// "user:password". Passwords are to be random: a digest of a guessable one is
// no protection to whoever can read the store.
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
  return request;
}
