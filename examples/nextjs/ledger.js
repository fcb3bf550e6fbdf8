import path from 'node:path';
import { Client, Ledger } from 'kazawallet';

let ledger;

/** Opened when it is first needed, and not when a build imports this. */
export async function openLedger() {
  const database = process.env.KAZAWALLET_LEDGER ?? `sqlite://${path.resolve('kazawallet.db')}`;
  ledger ??= await Ledger.open(database, { client: new Client() });
  return ledger;
}
