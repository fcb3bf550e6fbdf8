// What must not compile: each line below an `@ts-expect-error` is an error, or this file is one.
// It is compiled, and never run.

import {
  type CallOptions,
  Client,
  Deposit,
  type KazawalletError,
  Ledger,
  type LedgerWorker,
  type Order,
  type OrderLink,
  type Outcome,
  PaymentEvent,
  PaymentLink,
  PaymentMethod,
  Response,
  WalletList,
  Webhook,
  Withdrawal,
} from 'kazawallet';
import { Simulator } from 'kazawallet/testing';

const client = new Client();
const webhook = new Webhook({ apiKey: 'key', apiSecret: 'secret' });
const paymentMethod = PaymentMethod.syCash({ phone: '0933123456' });
declare const event: PaymentEvent;
declare const link: PaymentLink;

export async function amounts(): Promise<void> {
  // @ts-expect-error
  await client.paymentLinks.create({ amount: true, currency: 'USD' });
  // @ts-expect-error
  await client.paymentLinks.create({ amount: null, currency: 'USD' });
  // @ts-expect-error
  await client.paymentLinks.create({ amount: undefined, currency: 'USD' });
  // @ts-expect-error
  await client.paymentLinks.create({ amount: { value: '10' }, currency: 'USD' });
  // @ts-expect-error
  await client.paymentLinks.create({ amount: ['10'], currency: 'USD' });
  // @ts-expect-error
  await client.withdrawals.create({ amount: false, currency: 'SYP', paymentMethod });
  // @ts-expect-error
  webhook.sign({ amount: null, orderId: 'pl_1' });
  // @ts-expect-error
  event.matchOrder({ amount: {}, currency: 'USD', ref: 'order-42' });
  // @ts-expect-error
  await Simulator.start({ balances: { USD: false } });
}

export async function missing(): Promise<void> {
  // @ts-expect-error
  await client.paymentLinks.create();
  // @ts-expect-error
  await client.paymentLinks.create({});
  // @ts-expect-error
  await client.paymentLinks.create({ currency: 'USD' });
  // @ts-expect-error
  await client.paymentLinks.create({ amount: '10' });
  // @ts-expect-error
  await client.withdrawals.create({ amount: '10', currency: 'SYP' });
  // @ts-expect-error
  await client.deposits.create({ amount: '10', currency: 'USD', paymentMethod });
  // @ts-expect-error
  await client.request('GET');
  // @ts-expect-error
  new Webhook();
  // @ts-expect-error
  new Webhook({ apiKey: 'key' });
  // @ts-expect-error
  new Webhook({ apiKey: 'key', apiSecret: undefined });
  // @ts-expect-error
  webhook.withPrevious({ apiSecret: 'secret' });
  // @ts-expect-error
  webhook.verify();
  // @ts-expect-error
  event.matchOrder({ amount: '10', currency: 'USD' });
  // @ts-expect-error
  event.matchOrder({ amount: '10', ref: 'order-42' });
  // @ts-expect-error
  event.matchOrder({ amount: '10', currency: 'USD', ref: undefined });
  // A link's ref may be missing from the event: that one has to be looked at first.
  // @ts-expect-error
  event.matchOrder({ amount: event.amount, currency: event.currency, ref: event.ref });
  // @ts-expect-error
  PaymentMethod.haramUnder3m({ name: 'name', phone: '0933123456' });
  // @ts-expect-error
  PaymentMethod.custom({ id: '118' });
}

export async function unknownOptions(): Promise<void> {
  // @ts-expect-error
  new Client({ api_key: 'key' });
  // @ts-expect-error
  new Client({ verifyTls: false });
  // @ts-expect-error
  await client.paymentLinks.create({ amount: '10', currency: 'USD', reference: 'order-42' });
  // @ts-expect-error
  await client.paymentLinks.create({ amount: '10', currency: 'USD', redirect_url: 'x' });
  // @ts-expect-error
  await client.withdrawals.create({ amount: '1', currency: 'SYP', paymentMethod, retries: 5 });
  // @ts-expect-error
  await client.wallets.list({ currency: 'USD' });
  // @ts-expect-error
  await client.request('POST', '/path', { body: '{}' });
  // @ts-expect-error
  event.matchOrder({ amount: '10', currency: 'USD', ref: 'order-42', status: 'fulfilled' });
  // @ts-expect-error
  PaymentMethod.syCash({ phone: '0933123456', name: 'name' });
  // @ts-expect-error
  await Simulator.start({ balance: {} });
}

export async function wrongTypes(settings: CallOptions): Promise<void> {
  const signal = new AbortController();
  // @ts-expect-error
  new Client('key');
  // @ts-expect-error
  new Client({ timeout: '10s' });
  // @ts-expect-error
  new Client({ maxRetries: false });
  // @ts-expect-error
  await client.paymentLinks.create({ amount: '10', currency: 'USD', ref: 42 });
  // @ts-expect-error
  await client.paymentLinks.create({ amount: '10', currency: 'USD', signal });
  // @ts-expect-error
  await client.paymentLinks.create('10.50', 'USD');
  // @ts-expect-error
  await client.withdrawals.create({ amount: '1', currency: 'SYP', paymentMethod: 38 });
  // @ts-expect-error
  await client.withdrawals.create({ amount: '1', currency: 'SYP', paymentMethod: { id: '38' } });
  // @ts-expect-error
  PaymentMethod.custom({ id: 118, fields: {} });
  // @ts-expect-error
  PaymentMethod.custom({ id: '118', fields: { amount: 1 } });
  // @ts-expect-error
  await client.request('TRACE', '/path');
  // Options stand in one object, beside the others.
  // @ts-expect-error
  await client.paymentLinks.create({ amount: '10', currency: 'USD' }, settings);
}

export function alreadyParsed(text: string, form: FormData, headers: Headers): void {
  // @ts-expect-error
  webhook.verify({ order_id: 'pl_1', amount: '10', secret: 's', status: 'fulfilled' });
  // @ts-expect-error
  webhook.verify(JSON.parse(text) as Record<string, string>);
  // @ts-expect-error
  webhook.verify(form);
  // @ts-expect-error
  webhook.verify(null);
  // @ts-expect-error
  webhook.verify([1, 2, 3]);
  // The signature is a field of the body, and no header.
  // @ts-expect-error
  webhook.verify(text, headers.get('x-signature'));
}

export function madeByThePackageAlone(): void {
  // @ts-expect-error
  new PaymentEvent();
  // @ts-expect-error
  new PaymentMethod();
  // @ts-expect-error
  new Simulator();
  // @ts-expect-error
  new PaymentLink();
  // @ts-expect-error
  new Withdrawal();
  // @ts-expect-error
  new Deposit();
  // @ts-expect-error
  new WalletList();
  // @ts-expect-error
  new Response();
  // @ts-expect-error
  const made: PaymentEvent = { ...event };
  // @ts-expect-error
  class MyEvent extends PaymentEvent {}
  const order: Order = { amount: '10', currency: 'USD', ref: 'order-42' };
  // An event that was not verified is none, whatever it looks like.
  // @ts-expect-error
  const copied: PaymentEvent = JSON.parse('{}') as { orderId: string; amount: string };
  void [made, MyEvent, order, copied];
}

export function faults(sim: Simulator): void {
  // @ts-expect-error
  sim.fault('explode');
  // @ts-expect-error
  sim.fault('answer_status:many');
  // @ts-expect-error
  sim.fault('half_body', { times: '2' });
  // @ts-expect-error
  sim.dialect = 'php';
}

export function readonlyFields(outcome: Outcome, sim: Simulator, error: KazawalletError): void {
  // @ts-expect-error
  link.url = '';
  // @ts-expect-error
  link.id = '';
  // @ts-expect-error
  event.amount = '1';
  // @ts-expect-error
  event.status = 'fulfilled';
  // @ts-expect-error
  event.extra['field'] = 1;
  // @ts-expect-error
  client.paymentLinks = new Client().paymentLinks;
  // @ts-expect-error
  link.raw.status = 200;
  // @ts-expect-error
  outcome = 'sent';
  // @ts-expect-error
  error.code = 'api';
  // @ts-expect-error
  if (error.code === 'outcome-unknown') return;
  // @ts-expect-error
  sim.url = '';
  // @ts-expect-error
  sim.deliveries.pop();
}

export async function forgottenAwait(sim: Simulator): Promise<void> {
  const made = client.paymentLinks.create({ amount: '10', currency: 'USD' });
  // @ts-expect-error
  console.log(made.url);
  // @ts-expect-error
  for (const wallet of client.wallets.list()) {
    console.log(wallet);
  }
  // @ts-expect-error
  await sim.pay(made);
  // @ts-expect-error
  const [delivery] = sim.pay('link');
  // @ts-expect-error
  Simulator.start().url;
  console.log(delivery);
}

export async function disposed(sim: Simulator): Promise<void> {
  // Stopping it has to be awaited.
  // @ts-expect-error
  using stopped = sim;
  // @ts-expect-error
  await using notStarted = Simulator.start();
  // @ts-expect-error
  await using alsoNot = client;
  void [stopped, notStarted, alsoNot];
}

export async function ledgers(
  ledger: Ledger,
  worker: LedgerWorker,
  link: OrderLink,
): Promise<void> {
  // @ts-expect-error
  new Ledger();
  // @ts-expect-error
  await Ledger.open({ url: 'sqlite:///shop.db' });
  // @ts-expect-error
  await Ledger.open('sqlite:///shop.db', { spool: true });
  // @ts-expect-error
  await Ledger.open('sqlite:///shop.db', { client: {} });
  // @ts-expect-error
  await ledger.createPaymentLink({ amount: '10', currency: 'USD' });
  // @ts-expect-error
  await ledger.createPaymentLink({ ref: 'x', amount: '10', currency: 'USD', signal: null });
  // @ts-expect-error
  await ledger.receive({ order_id: 'x' });
  // @ts-expect-error
  await ledger.settle('pl_1', 'not_paid', { by: 'sara' });
  // @ts-expect-error
  await ledger.settle('pl_1', 'paid', {});
  // @ts-expect-error
  await ledger.settle('pl_1', 'paid');
  // @ts-expect-error
  await ledger.setLinkIdCheck('off', { by: 'sara' });
  // @ts-expect-error
  await ledger.setLinkIdCheck(false);
  // @ts-expect-error
  await ledger.setLinkIdCheck(false, {});
  // @ts-expect-error
  ledger.process();
  // @ts-expect-error
  ledger.process(() => {}, { maxTries: '5' });
  // @ts-expect-error
  await ledger.withdraw({ amount: '10', currency: 'USD', paymentMethod });
  // @ts-expect-error
  await ledger.resolve('salary-7', 'dismissed', { by: 'sara' });
  // @ts-expect-error
  await ledger.overdue();
  // @ts-expect-error
  await ledger.forget('2026-01-31');
  // @ts-expect-error
  await ledger.unsettled(5);
  // @ts-expect-error
  link.url = 'https://shop.example';
  // @ts-expect-error
  (await ledger.payment('pl_1')).ref;
  // @ts-expect-error
  (await ledger.unsettled()).push();
  // @ts-expect-error
  worker.start();
}
