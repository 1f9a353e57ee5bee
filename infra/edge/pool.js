// Viewer request of package files that are published by their digest: what is
// served is the object of the private bucket, in which each file is once.
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

function handler(event) {
  return blob(event.request);
}
