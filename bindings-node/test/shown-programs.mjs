// @ts-check
// The programs that the documentation shows: the READMEs' and the guides' blocks, and the examples in
// the installed package's declarations, which editors show.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { DECLARATIONS, typescript as ts } from './compilers.mjs';
import { variable } from './shared-data.mjs';

const REPOSITORY = variable('KAZAWALLET_REPOSITORY');

/** The READMEs and the guides, by their paths. */
export const DOCUMENTS = [
  ...filesIn('').filter((name) => name.startsWith('README')),
  'bindings-node/README.md',
  ...filesIn('docs'),
  ...(existsSync(path.join(REPOSITORY, 'examples'))
    ? readdirSync(path.join(REPOSITORY, 'examples'))
    : []
  )
    .map((name) => `examples/${name}/README.md`)
    .filter((name) => existsSync(path.join(REPOSITORY, name))),
];

/** @param {string} folder */
function filesIn(folder) {
  const names = readdirSync(path.join(REPOSITORY, folder)).filter((name) => name.endsWith('.md'));
  return names.sort().map((name) => path.posix.join(folder, name));
}

export function readmeOfThePackage() {
  return readFileSync(path.join(REPOSITORY, 'bindings-node/README.md'), 'utf8');
}

/** What stands behind `//` where a program states a result. Everything else is a comment. */
const VALUE = /^(?:true|false|undefined|null|-?\d+|'[^']*')$/;

/**
 * @typedef {'module' | 'commonjs' | 'typescript'} Kind
 *
 * @typedef {object} ShownProgram One block. Each is a whole program, or, as `js no-run`, an excerpt.
 * @property {string} name Where it is shown.
 * @property {Kind} kind
 * @property {string} text
 * @property {boolean} [isExcerpt]
 */

/** @returns {ShownProgram[]} */
export function programsOfReadmes() {
  return DOCUMENTS.flatMap((name) =>
    programsOfMarkdown(name, readFileSync(path.join(REPOSITORY, name), 'utf8')),
  );
}

/**
 * @param {string} readme
 * @param {string} markdown
 */
function programsOfMarkdown(readme, markdown) {
  /** @type {ShownProgram[]} */
  const programs = [];
  let heading = '';
  // A block comes before a heading: what begins with # in it is none.
  for (const [, language, marks, block, title] of markdown.matchAll(
    /^```(\w*)(.*)\n([\s\S]*?)^```$|^#+ (.+)$/gm,
  )) {
    heading = title ?? heading;
    if (language === 'js' || language === 'ts') {
      const text = block ?? '';
      const name = `${readme}, ${heading}, block ${programs.length + 1}`;
      if (marks !== '' && marks !== ' no-run') {
        throw new Error(`${readme}: a block that is marked${marks}: would it be run?`);
      }
      const kind = language === 'ts' ? 'typescript' : kindOf(text);
      programs.push({ name, kind, text, isExcerpt: marks !== '' });
    } else if (/^(?:javascript|typescript|mjs|cjs|mts|cts|jsx|tsx)$/.test(language ?? '')) {
      throw new Error(`${readme}: a block of ${language} would not be run: call it js or ts`);
    }
  }
  return programs;
}

/** @returns {ShownProgram[]} */
export function programsOfDeclarations() {
  return declarationFiles().flatMap((name) => {
    const source = readFileSync(path.join(DECLARATIONS, name), 'utf8');
    const file = ts.createSourceFile(name, source, ts.ScriptTarget.ESNext, true);
    /** @type {ShownProgram[]} */
    const programs = [];
    /** @param {any} node @param {string} owner */
    const visit = (node, owner) => {
      const named = node.name === undefined ? owner : `${owner}.${node.name.getText()}`;
      for (const comment of node.jsDoc ?? []) {
        const examples = (comment.tags ?? []).filter(
          /** @param {any} tag */ (tag) => tag.tagName.text === 'example',
        );
        for (const tag of examples) {
          const text = exampleText(tag.getText());
          programs.push({ name: `${name}${named}`, kind: kindOf(text), text });
        }
      }
      ts.forEachChild(node, /** @param {any} child */ (child) => visit(child, named));
    };
    visit(file, '');
    return programs;
  });
}

export function declarationFiles() {
  return readdirSync(DECLARATIONS)
    .filter((name) => name.endsWith('.d.ts'))
    .sort();
}

/**
 * An example's lines without the comment's margin.
 *
 * @param {string} tag
 */
function exampleText(tag) {
  const lines = tag.split('\n').map((line) => line.replace(/^\s*\*(?: |$)/, ''));
  return `${lines.join('\n').replace('@example', '').trim()}\n`;
}

/**
 * @param {string} text
 * @returns {Kind}
 */
function kindOf(text) {
  return /^(?:const|let) .* = require\(/m.test(text) ? 'commonjs' : 'module';
}

/** What tells the port of each server that a program starts. */
const TELLS_ITS_PORT = `
import { Server as HttpServer } from 'node:http';
const { listen: listenInSilence } = HttpServer.prototype;
HttpServer.prototype.listen = function (...settings) {
  this.once('listening', () => console.log(this.address().port));
  return listenInSilence.apply(this, settings);
};
`;

/** What asks a route that is given a `Request`, once for each line on standard input. */
const ASKS_ITS_ROUTE = `
import { createInterface as createLines } from 'node:readline';
for await (const line of createLines({ input: process.stdin })) {
  const { headers, ...init } = JSON.parse(line);
  const request = new Request('http://127.0.0.1/webhooks/kazawallet', { headers, ...init });
  const response = await ROUTE(request);
  console.log(response.status);
}
`;

/**
 * What starts by a server: the adapters of Express and Fastify.
 *
 * @param {ShownProgram} program
 */
export function isServer({ text }) {
  return /from 'kazawallet\/(?:express|fastify)'/.test(text);
}

/**
 * The name of the function that takes a `Request`, where a program is such a route's module.
 *
 * @param {ShownProgram} program
 */
export function routeOf({ text }) {
  const exported = /^export (?:const|async function) (GET|POST)\b/m.exec(text);
  return exported?.[1] ?? (/^export default app;$/m.test(text) ? 'app.fetch' : undefined);
}

/**
 * A program that tells its port, or answers requests from standard input.
 *
 * @param {ShownProgram} program
 */
export function driven(program) {
  const route = routeOf(program);
  return route === undefined
    ? `${TELLS_ITS_PORT}${program.text}`
    : `${program.text}${ASKS_ITS_ROUTE.replace('ROUTE', route)}`;
}

/** The file that a program is written to, by its kind. */
export const FILE = { module: 'program.mjs', commonjs: 'program.cjs', typescript: 'program.mts' };

/**
 * A program that holds what it shows against what it comes to, and the results that it states.
 *
 * @param {string} text
 * @param {Kind} kind
 */
export function holdingItsResults(text, kind) {
  const source = ts.createSourceFile(FILE[kind], text, ts.ScriptTarget.ESNext, true);
  /** @type {string[]} */
  const results = [];
  let checked = '';
  let copied = 0;
  /** @param {any} node */
  const visit = (node) => {
    if (ts.isExpressionStatement(node)) {
      const [comment] = ts.getTrailingCommentRanges(text, node.end) ?? [];
      const value = text.slice((comment?.pos ?? 0) + 2, comment?.end ?? 0).trim();
      if (comment !== undefined && VALUE.test(value)) {
        const shown = `${node.expression.getText()}; // ${value}`;
        const call = `stated(${node.expression.getText()}, ${value}, ${JSON.stringify(shown)});`;
        checked += text.slice(copied, node.getStart()) + call;
        copied = comment.end;
        results.push(shown);
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  checked += text.slice(copied);
  if (results.length > 0) {
    const helper = '../stated-results.cjs';
    checked +=
      kind === 'commonjs'
        ? `var { stated } = require('${helper}');\n`
        : `import { stated } from '${helper}';\n`;
  }
  return { checked, results };
}

/**
 * A TypeScript program as JavaScript. Whether its types are right is for the tests of types.
 *
 * @param {string} text
 * @returns {string}
 */
export function withoutTypes(text) {
  const { ESNext } = ts.ModuleKind;
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: { module: ESNext, target: ts.ScriptTarget.ES2022 },
  });
  return outputText;
}
