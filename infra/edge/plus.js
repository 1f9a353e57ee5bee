// Viewer request of published files. S3 takes a plus sign in a path for a blank.
// curl, wget and debootstrap send plus signs of names as they are.
function plus(request) {
  request.uri = request.uri.replace(/\+/g, '%2B');
  return request;
}

function handler(event) {
  return plus(event.request);
}
