// The adapters with the frameworks' own types. It is compiled, and never run.

import { createServer } from 'node:http';
import { serve } from '@hono/node-server';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import { Ledger, type Payment, type PaymentEvent, type Webhook } from 'kazawallet';
import * as forExpress from 'kazawallet/express';
import * as forFastify from 'kazawallet/fastify';
import * as forWeb from 'kazawallet/web';

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Does not compile unless the two types are the very same. */
function same<A, B>(_: Same<A, B>): void {}

declare const ledger: Ledger;
declare const webhook: Webhook;
declare const isServerless: boolean;
const openLedger = (): Promise<Ledger> => Ledger.open();
const onPayment = async (payment: Payment): Promise<void> => console.log(payment.orderId);

export async function inExpress(): Promise<void> {
  const app = express();
  const receiver = forExpress.webhookReceiver(ledger, (payment) => {
    same<typeof payment, Payment>(true);
  });
  same<typeof receiver, forExpress.ExpressReceiver>(true);
  app.use('/webhooks/kazawallet', receiver);
  app.post('/webhooks/kazawallet', receiver);
  app.all('/webhooks/kazawallet', express.raw(), receiver);
  express.Router().use(receiver);
  createServer(receiver);
  await receiver.start();
  await receiver.stop();
}

export async function inFastify(): Promise<void> {
  for (const app of [fastify(), fastify({ logger: true })]) {
    app.register(forFastify.webhookReceiver(openLedger, onPayment), { path: '/webhooks' });
    await app.register(
      forFastify.webhookReceiver(webhook, () => {}),
      { path: '/webhooks' },
    );
  }
  const secure = fastify({ https: { key: '', cert: '' } });
  secure.register(forFastify.webhookReceiver(openLedger, onPayment), { path: '/', prefix: '/v1' });
  // @ts-expect-error Without a path there is no route.
  fastify().register(forFastify.webhookReceiver(openLedger, onPayment), {});
}

export async function onTheWeb(): Promise<void> {
  const POST = forWeb.webhookReceiver(openLedger, onPayment, { onError: null });
  same<typeof POST, forWeb.WebReceiver>(true);
  const app = new Hono();
  app.all('/webhooks/kazawallet', (context) => POST(context.req.raw));
  serve({ fetch: app.fetch });
  serve({ fetch: POST });
  const response: Response = await POST(new Request('http://127.0.0.1/'));
  console.log(response.status);
  await POST.start();
  await POST.stop();
}

export function theWaysToMakeOne(): void {
  const { webhookReceiver } = forWeb;
  webhookReceiver(webhook, (event) => {
    same<typeof event, PaymentEvent>(true);
    return event.matchOrder({ amount: '10.50', currency: 'USD', ref: 'order-42' });
  });
  webhookReceiver(openLedger(), onPayment);
  webhookReceiver(openLedger, onPayment, { worker: !isServerless });
  webhookReceiver(ledger, onPayment, { worker: undefined, onError: (error) => console.log(error) });
  webhookReceiver(webhook, () => {}, {
    onError: (error, payment) => {
      same<typeof payment, Payment | PaymentEvent | undefined>(true);
      console.log(error, payment?.orderId, payment?.ref);
    },
  });
  webhookReceiver(openLedger, { worker: false });
  webhookReceiver(openLedger, null, { worker: false, onError: async () => {} });
  webhookReceiver(openLedger, onPayment, { worker: false });
  // @ts-expect-error Without a handler its worker has nothing to call.
  webhookReceiver(ledger);
  // @ts-expect-error
  webhookReceiver(ledger, { worker: isServerless });
  // @ts-expect-error
  webhookReceiver(webhook);
  // @ts-expect-error It verifies, and remembers nothing.
  webhookReceiver(webhook, { worker: false });
  // @ts-expect-error
  webhookReceiver(() => webhook, onPayment);
  // @ts-expect-error
  webhookReceiver('sqlite:///kazawallet.db', onPayment);
  // @ts-expect-error
  webhookReceiver(ledger, (event: PaymentEvent) => event.extra);
  // @ts-expect-error
  webhookReceiver(ledger, onPayment, { maxTries: 5 });
}
