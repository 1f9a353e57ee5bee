// Viewer request of package files that are published by their digest. The
// private bucket has one object for each file.
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

function handler(event) {
  return blob(event.request);
}
