// The shortest program with Fastify that sells something, and receives the payment.

import fastify from 'fastify';
import { Client, Ledger } from 'kazawallet';
import { webhookReceiver } from 'kazawallet/fastify';

const database = process.env.KAZAWALLET_LEDGER ?? `sqlite://${import.meta.dirname}/kazawallet.db`;
const ledger = await Ledger.open(database, { client: new Client() });

async function onPayment(payment) {
  if (payment.isPaid) {
    console.log(`${payment.ref} is paid`); // Ship it here: at least once for each payment.
  }
}

const app = fastify();
app.register(webhookReceiver(ledger, onPayment), { path: '/webhooks/kazawallet' });
app.addHook('onClose', () => ledger.close());

app.get('/', async (_, reply) => {
  // In a shop: the order's id and price in your database.
  const order = { ref: 'order-42', amount: '10.50', currency: 'USD' };
  return reply.redirect((await ledger.createPaymentLink(order)).url);
});

const url = await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 8000) });
console.log(`The shop is at ${url}/`);

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => app.close());
}
