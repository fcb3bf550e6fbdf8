// The shortest program with Hono that sells something, and receives the payment.

import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { Client, Ledger } from 'kazawallet';
import { webhookReceiver } from 'kazawallet/web';

const database = process.env.KAZAWALLET_LEDGER ?? `sqlite://${import.meta.dirname}/kazawallet.db`;
const ledger = await Ledger.open(database, { client: new Client() });

const receive = webhookReceiver(ledger, async (payment) => {
  if (payment.isPaid) {
    console.log(`${payment.ref} is paid`); // Ship it here: at least once for each payment.
  }
});
await receive.start(); // What came before a restart is handled now.

const app = new Hono();
app.all('/webhooks/kazawallet', (context) => receive(context.req.raw));
app.get('/', async (context) => {
  // In a shop: the order's id and price in your database.
  const order = { ref: 'order-42', amount: '10.50', currency: 'USD' };
  return context.redirect((await ledger.createPaymentLink(order)).url);
});

const port = Number(process.env.PORT ?? 8000);
const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port }, (address) => {
  console.log(`The shop is at http://127.0.0.1:${address.port}/`);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close(async () => {
      await receive.stop();
      await ledger.close();
    });
  });
}
