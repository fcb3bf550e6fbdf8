// A shop that sells tea, and pays out. What it must not forget is in the ledger.

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import express from 'express';
import { Client, KazawalletError, Ledger, PaymentMethod } from 'kazawallet';
import { webhookReceiver } from 'kazawallet/express';

const PORT = Number(process.env.PORT ?? 8000);
const SHOP_URL = process.env.SHOP_URL ?? `http://127.0.0.1:${PORT}`;
const DATA = path.resolve(process.env.SHOP_DATA ?? path.join(import.meta.dirname, 'data'));
/** Has an empty file for each order that was shipped. */
const SHIPPED = path.join(DATA, 'shipped');
const PRICE = { amount: '10.50', currency: 'USD' };

await mkdir(DATA, { recursive: true });
const database = process.env.KAZAWALLET_LEDGER ?? `sqlite://${DATA}/kazawallet.db`;
const ledger = await Ledger.open(database, { client: new Client() });

/** Called for each payment at least once: what it does must be the same done twice. */
async function ship(payment) {
  if (!payment.isPaid) {
    return; // The link timed out. The customer may press Pay again.
  }
  await mkdir(SHIPPED, { recursive: true });
  await writeFile(path.join(SHIPPED, payment.ref), '');
}

const app = express();
const receiver = webhookReceiver(ledger, ship);
app.use('/webhooks/kazawallet', receiver); // Before every body parser.
app.use(express.urlencoded());

app.get('/', (_, response) => {
  response.send(
    page(
      'A tea shop',
      `<p>Tea, 10.50 USD</p>
      <form method="post" action="/orders"><button>Order</button></form>
      <p><a href="/payouts">Pay out</a></p>`,
    ),
  );
});

app.post('/orders', (_, response) => {
  response.redirect(303, `/orders/order-${randomBytes(8).toString('hex')}`);
});

// A ref becomes a file's name: only one that this shop may have made.
app.param('ref', (_, response, next, ref) => {
  if (/^order-[0-9a-f]+$/.test(ref)) {
    next();
  } else {
    response.status(404).send('There is no such order.');
  }
});

/** How far the payment of an order is. */
const paymentOf = async (ref) => (await ledger.order(ref))?.state ?? 'none';

app.get('/orders/:ref', async ({ params: { ref } }, response) => {
  const payment = await paymentOf(ref);
  const delivery = existsSync(path.join(SHIPPED, ref)) ? 'shipped' : 'waiting';
  const pay = `<form method="post" action="/orders/${ref}/pay"><button>Pay</button></form>`;
  response.send(
    page(
      ref,
      `<p>Payment: <strong id="payment">${payment}</strong></p>
      <p>Delivery: <strong id="delivery">${delivery}</strong></p>
      ${payment === 'paid' ? '' : pay}`,
    ),
  );
});

/** The same order has the same link, however often the button is pressed. */
app.post('/orders/:ref/pay', async ({ params: { ref } }, response) => {
  const redirectUrl = `${SHOP_URL}/orders/${ref}/return`;
  const link = await ledger.createPaymentLink({ ref, ...PRICE, redirectUrl });
  response.redirect(303, link.url);
});

/** Anybody can open this page: it changes nothing. */
app.get('/orders/:ref/return', async ({ params: { ref } }, response) => {
  const payment = await paymentOf(ref);
  response.send(
    page(
      'Thank you',
      `${payment === 'paid' ? '' : '<meta http-equiv="refresh" content="2">'}
      <p>Your payment counts once Kazawallet has told this shop of it.</p>
      <p>Payment: <strong id="payment">${payment}</strong></p>
      <p><a href="/orders/${ref}">Your order</a></p>`,
    ),
  );
});

// In a real shop the payouts are behind a login, and the form has a token against other sites' posts.
const PAYOUT_FORM = `<form method="post">
  <p><label>Reference <input name="reference" required></label></p>
  <p><label>Amount in USD <input name="amount" required></label></p>
  <p><label>Phone, of SY Cash <input name="phone" required></label></p>
  <button>Pay out</button></form>`;

app.get('/payouts', (_, response) => {
  response.send(page('Pay out', PAYOUT_FORM));
});

app.post('/payouts', async ({ body }, response) => {
  const { reference = '', amount = '', phone = '' } = body ?? {};
  const [state, sentence] = await payOut(reference, amount, phone);
  const told = `<p>Payout: <strong id="payout">${state}</strong></p><p>${escaped(sentence)}</p>`;
  response.send(page('Pay out', told + PAYOUT_FORM));
});

/** The reference is what it is for, such as `refund-order-42`. It is never paid twice. */
async function payOut(reference, amount, phone) {
  try {
    const paymentMethod = PaymentMethod.syCash({ phone });
    const payout = await ledger.withdraw({ reference, amount, currency: 'USD', paymentMethod });
    return [payout.state, 'It is paid. Asked again, it is not paid again.'];
  } catch (error) {
    if (!(error instanceof KazawalletError)) {
      throw error;
    }
    if (error.code === 'validation' || error.code === 'ledger_state') {
      return ['refused', error.message];
    }
    if (error.outcome === 'unknown') {
      const advice =
        'Look into the wallet, then resolve it; do not repeat it under another reference.';
      return ['unknown', `It may have been paid. ${advice}`];
    }
    return error.outcome === 'rejected'
      ? ['rejected', error.message]
      : ['not_sent', `Nothing has left, and asking again is safe: ${error.message}`];
  }
}

function page(title, body) {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>
    <meta name="viewport" content="width=device-width"><h1>${title}</h1>${body}`;
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

const server = app.listen(PORT, '127.0.0.1', () => {
  console.log(`The shop is at http://127.0.0.1:${server.address().port}/`);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close(async () => {
      await receiver.stop(); // It waits for the handler that runs.
      await ledger.close();
    });
  });
}
