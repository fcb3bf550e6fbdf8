// What a bundler for the browser, or an edge runtime, finds in place of the package.

throw new Error(
  'kazawallet runs on a server, in Node.js, Bun or Deno: an API key does not belong into ' +
    'client-side code, where everyone can read it, and an edge runtime cannot load the native part.',
);
