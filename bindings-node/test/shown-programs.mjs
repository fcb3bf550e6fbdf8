// @ts-check
// The programs that the documentation shows: the READMEs' blocks, and the examples in the installed
// package's declarations, which editors show.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { DECLARATIONS, typescript as ts } from './compilers.mjs';
import { variable } from './shared-data.mjs';

const READMES = ['README.md', 'bindings-node/README.md', 'docs/ledger.md'];

export function readmeOfThePackage() {
  return readFileSync(
    path.join(variable('KAZAWALLET_REPOSITORY'), 'bindings-node/README.md'),
    'utf8',
  );
}

/** What stands behind `//` where a program states a result. Everything else is a comment. */
const VALUE = /^(?:true|false|undefined|null|-?\d+|'[^']*')$/;

/**
 * @typedef {'module' | 'commonjs' | 'typescript'} Kind
 *
 * @typedef {object} ShownProgram One block. Each is a whole program.
 * @property {string} name Where it is shown.
 * @property {Kind} kind
 * @property {string} text
 */

/** @returns {ShownProgram[]} */
export function programsOfReadmes() {
  return READMES.flatMap((readme) => {
    const file = path.join(variable('KAZAWALLET_REPOSITORY'), readme);
    return programsOfMarkdown(readme, readFileSync(file, 'utf8'));
  });
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
  for (const [, language, block, title] of markdown.matchAll(
    /^```(\w*).*\n([\s\S]*?)^```$|^#+ (.+)$/gm,
  )) {
    heading = title ?? heading;
    if (language === 'js' || language === 'ts') {
      const text = block ?? '';
      const name = `${readme}, ${heading}, block ${programs.length + 1}`;
      programs.push({ name, kind: language === 'ts' ? 'typescript' : kindOf(text), text });
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
