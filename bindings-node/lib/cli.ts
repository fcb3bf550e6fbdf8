#!/usr/bin/env node
// `npx kazawallet`: what the package offers from a terminal.

const USAGE = `\
usage: npx kazawallet COMMAND

  simulator           start a stand-in for the provider on this machine, until Ctrl-C
  simulator trigger   send one signed webhook delivery to a URL
  ledger              show what a ledger remembers, and decide what waits for a person
  version             show the version

\`npx kazawallet simulator --help\` and \`npx kazawallet ledger --help\` tell the options. kazawallet is an SDK for the Kazawallet
payment API, and not the provider's own product.
`;

async function main([command, ...rest]: string[]): Promise<number> {
  switch (command) {
    case 'simulator': {
      // Not before: `version` and `help` work where the native part is missing.
      const { ended, native, succeeded } = require('./loaded.js') as typeof import('./loaded.js');
      const program = new native.SimulatorProgram();
      for (const signal of ['SIGINT', 'SIGTERM'] as const) {
        process.once(signal, () => program.stop());
      }
      const end = await ended(({ calls, id }) =>
        program.run(calls, id, ['npx kazawallet simulator', ...rest]),
      );
      return succeeded(end).exitStatus ?? 1;
    }
    case 'ledger': {
      const { ended, native, succeeded } = require('./loaded.js') as typeof import('./loaded.js');
      const end = await ended(({ calls, id }) =>
        native.runLedgerProgram(calls, id, ['npx kazawallet ledger', ...rest]),
      );
      return succeeded(end).exitStatus ?? 1;
    }
    case 'version':
    case '--version': {
      const { version } = require('../package.json') as { version: string };
      process.stdout.write(`${version}\n`);
      return 0;
    }
    case undefined:
    case 'help':
    case '--help':
    case '-h':
      process.stdout.write(USAGE);
      return 0;
    default:
      process.stderr.write(`unknown command: ${command}\n\n${USAGE}`);
      return 2;
  }
}

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  },
);
