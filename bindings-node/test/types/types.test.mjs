// @ts-check
// The installed package's types, as users' compilers see them: what must compile does, what must not
// does not, in ES modules, in CommonJS and for a bundler.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { COMPILERS, DECLARATIONS, STRICT, typescript as ts } from '../compilers.mjs';
import { declarationFiles, programsOfDeclarations, programsOfReadmes } from '../shown-programs.mjs';

/**
 * The ways in which a program finds the package, by what the compiler calls them. A file's ending says
 * whether it is an ES module (mts) or CommonJS (cts).
 */
const WAYS = [
  { way: 'node16', endings: ['mts', 'cts'], options: { module: 'node16' } },
  { way: 'nodenext', endings: ['mts', 'cts'], options: { module: 'nodenext' } },
  { way: 'bundler', endings: ['ts'], options: { module: 'esnext', moduleResolution: 'bundler' } },
];

/** Nothing of a browser: the package's types must do without. */
const LIBRARIES = ['es2022', 'esnext.disposable'];

/**
 * Compiles files in a folder of their own, below the tests, so that they find the package.
 *
 * @param {string} compiler
 * @param {Record<string, string>} files What they hold, by their names.
 * @param {Record<string, unknown>} options
 */
async function compile(compiler, files, options) {
  const folder = mkdtempSync(path.join(import.meta.dirname, 'compiled-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(path.join(folder, name), text);
    }
    writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(
      path.join(folder, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: { ...STRICT, lib: LIBRARIES, noEmit: true, ...options },
        files: Object.keys(files),
      }),
    );
    await promisify(execFile)(process.execPath, [
      compiler,
      '--project',
      folder,
      '--pretty',
      'false',
    ]);
  } catch (problem) {
    const { stdout, stderr } = /** @type {{ stdout?: string, stderr?: string }} */ (problem);
    if (stdout === undefined) {
      throw problem;
    }
    assert.fail(`${stdout}${stderr}`.replaceAll(`${path.basename(folder)}/`, ''));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param {string} name */
function text(name) {
  return readFileSync(path.join(import.meta.dirname, name), 'utf8');
}

for (const [version, compiler] of Object.entries(COMPILERS)) {
  for (const { way, endings, options } of WAYS) {
    test(`what must compile does, and what must not does not: ${way}, TypeScript ${version}`, async () => {
      const files = endings.flatMap((ending) =>
        ['accepted', 'rejected'].map((name) => [`${name}.${ending}`, text(`${name}.ts`)]),
      );
      await compile(compiler, Object.fromEntries(files), options);
    });
  }

  test(`the adapters fit the types of their frameworks: TypeScript ${version}`, async () => {
    // Not every framework's own declarations are as strict.
    const options = { module: 'nodenext', skipLibCheck: true };
    await compile(compiler, { 'frameworks.mts': text('frameworks.ts') }, options);
  });

  test(`a browser's types beside Node's do no harm: TypeScript ${version}`, async () => {
    const options = { module: 'nodenext', lib: [...LIBRARIES, 'dom', 'dom.iterable'] };
    await compile(compiler, { 'accepted.ts': text('accepted.ts') }, options);
  });

  test(`every declaration file compiles by itself: TypeScript ${version}`, async () => {
    const options = { module: 'nodenext', rootDir: '/' };
    const imports = declarationFiles().map((name) => {
      const module = path.join(DECLARATIONS, name.replace('.d.ts', '.js'));
      return `import ${JSON.stringify(module)};\n`;
    });
    await compile(compiler, { 'all.ts': imports.join('') }, options);
  });

  test(`what the documentation shows in TypeScript compiles: TypeScript ${version}`, async () => {
    const programs = programsOfReadmes().filter(({ kind }) => kind === 'typescript');
    // The examples are JavaScript that needs no types of its own.
    const files = [...programs, ...programsOfDeclarations()].map(({ text }, index) => [
      `${index}.mts`,
      text,
    ]);
    await compile(compiler, Object.fromEntries(files), { module: 'nodenext' });
  });
}

test('the declarations refer to nothing that is not in the package', () => {
  const missing = declarationFiles().flatMap((name) => {
    const { importedFiles, referencedFiles, typeReferenceDirectives } = ts.preProcessFile(
      readFileSync(path.join(DECLARATIONS, name), 'utf8'),
    );
    return [...importedFiles, ...referencedFiles, ...typeReferenceDirectives]
      .map(({ fileName }) => fileName)
      .filter((reference) => !declarationFiles().includes(declarationOf(reference)))
      .map((reference) => `${name} refers to ${reference}`);
  });
  assert.deepEqual(missing, []);
});

/** @param {string} reference */
function declarationOf(reference) {
  return reference.replace(/^\.\/(.+)\.js$/, '$1.d.ts');
}
