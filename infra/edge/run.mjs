// Runs a function of this folder for the stand-in of CloudFront: node run.mjs CODE. Each
// line of the input is {"event","values"}, where values are those of the key value store.
// Each line of the output is the answer of the function.
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { load } from './load.mjs';

const values = {};
const handler = await load(pathToFileURL(process.argv[2]), values);
for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line);
  for (const key of Object.keys(values)) {
    delete values[key];
  }
  Object.assign(values, call.values);
  console.log(JSON.stringify(await handler(call.event)));
}
