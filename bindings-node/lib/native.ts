// Finds and loads the native part, which is in a package of its own for each platform.

import type * as NativeModule from './native-module.js';

/** For which platforms there is one, and in which packages: one a C library. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  'linux-x64': ['kazawallet-linux-x64-gnu', 'kazawallet-linux-x64-musl'],
  'linux-arm64': ['kazawallet-linux-arm64-gnu', 'kazawallet-linux-arm64-musl'],
  'darwin-x64': ['kazawallet-darwin-x64'],
  'darwin-arm64': ['kazawallet-darwin-arm64'],
  'win32-x64': ['kazawallet-win32-x64-msvc'],
  'win32-arm64': ['kazawallet-win32-arm64-msvc'],
};

/**
 * A field of what the native part handed over. It leaves out what there is none of, and what somebody
 * else left on `Object.prototype` must not be taken for it.
 */
export function own<T extends object, K extends keyof T>(from: T, name: K): T[K] | undefined {
  return Object.hasOwn(from, name) ? from[name] : undefined;
}

/** The native part. */
export const native: typeof NativeModule = load();

function load(): typeof NativeModule {
  const platform = `${process.platform}-${process.arch}`;
  const packages = PACKAGES[platform];
  if (packages === undefined) {
    const known = Object.keys(PACKAGES).join(', ');
    throw new Error(`kazawallet has no native part for ${platform}: there is one for ${known}`);
  }
  const failures: unknown[] = [];
  for (const name of packages) {
    const file = find(name);
    if (file !== undefined) {
      try {
        return require(file) as typeof NativeModule;
      } catch (error) {
        failures.push(error); // It may be the one for another C library.
      }
    }
  }
  throw failures.length > 0 ? cannotLoad(packages, failures) : notInstalled(packages, platform);
}

/**
 * The native file of a package; `undefined` where that is not installed. The names are literal and
 * inside a `try`: so tracers see the file, and bundlers leave it where it is.
 */
function find(name: string): string | undefined {
  try {
    switch (name) {
      case 'kazawallet-linux-x64-gnu':
        return require.resolve('kazawallet-linux-x64-gnu');
      case 'kazawallet-linux-x64-musl':
        return require.resolve('kazawallet-linux-x64-musl');
      case 'kazawallet-linux-arm64-gnu':
        return require.resolve('kazawallet-linux-arm64-gnu');
      case 'kazawallet-linux-arm64-musl':
        return require.resolve('kazawallet-linux-arm64-musl');
      case 'kazawallet-darwin-x64':
        return require.resolve('kazawallet-darwin-x64');
      case 'kazawallet-darwin-arm64':
        return require.resolve('kazawallet-darwin-arm64');
      case 'kazawallet-win32-x64-msvc':
        return require.resolve('kazawallet-win32-x64-msvc');
      case 'kazawallet-win32-arm64-msvc':
        return require.resolve('kazawallet-win32-arm64-msvc');
      default:
        return undefined;
    }
  } catch (error) {
    if (typeof require.resolve !== 'function') {
      throw new Error(
        'kazawallet was bundled as an ES module, which cannot load its native part: leave it out of ' +
          'the bundle (esbuild --external:kazawallet, in Next.js serverExternalPackages), or bundle ' +
          'as CommonJS',
        { cause: error },
      );
    }
    return undefined;
  }
}

function notInstalled(packages: readonly string[], platform: string): Error {
  return new Error(
    `kazawallet's native part for ${platform} is not installed: the package ` +
      `${packages.join(' or ')} is missing. That happens where the lock file was made on another ` +
      'platform, where node_modules was copied from another machine or image, or where optional ' +
      'packages were left out (--omit=optional, --no-optional). Delete node_modules and the lock ' +
      `file, and run \`npm install\` on this platform; or run \`npm install ${packages[0]}\`` +
      `${packages.length > 1 ? ` (on Alpine ${packages[1]})` : ''}. A bundle needs node_modules ` +
      'with kazawallet beside it.',
  );
}

function cannotLoad(packages: readonly string[], failures: readonly unknown[]): Error {
  const said = failures.map((error) => (error instanceof Error ? error.message : `${error}`));
  return new Error(
    `kazawallet's native part (${packages.join(' or ')}) is installed and cannot be loaded: ` +
      said.join('; '),
    { cause: failures[0] },
  );
}
