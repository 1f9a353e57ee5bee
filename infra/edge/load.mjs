// load returns the handler of a function of this folder, on a key value store in
// memory. It is for tests.
import { readFileSync } from 'node:fs';

let loads = 0; // each load is a module of its own

export async function load(name, values) {
  globalThis.store = {
    kvs: () => ({
      get: async (key) => {
        if (!(key in values)) {
          throw new Error('KeyNotFound');
        }
        return values[key];
      },
    }),
  };
  const source = readFileSync(new URL(name, import.meta.url), 'utf8')
    .replace("import cf from 'cloudfront';", 'const cf = globalThis.store;') + '\nexport { handler };\n// ' + loads++;
  const { handler } = await import('data:text/javascript;base64,' + Buffer.from(source).toString('base64'));
  return handler;
}
