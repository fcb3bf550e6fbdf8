// What must compile, with the types that it must have. It is compiled, and never run.

import {
  type AmountLike,
  type APIConnectionError,
  APIError,
  APITimeoutError,
  AuthenticationError,
  type CallMessage,
  type CallOptions,
  Client,
  type ClientOptions,
  ConfigurationError,
  type Conflict,
  type CreateDepositOptions,
  type CreateOrderLinkOptions,
  type CreatePaymentLinkOptions,
  type CreateWithdrawalOptions,
  type CustomMethod,
  type Decision,
  type Deposit,
  type Deposits,
  type ErrorCode,
  type HaramRecipient,
  type HttpMethod,
  KazawalletError,
  Ledger,
  LedgerError,
  type LedgerErrorCode,
  type LedgerOptions,
  type LedgerWorker,
  type LinkIds,
  type Order,
  type OrderLink,
  OrderMismatchError,
  type OrderRecord,
  type Outcome,
  OutcomeUnknownError,
  type Payment,
  type PaymentEvent,
  type PaymentHandler,
  type PaymentLink,
  type PaymentLinks,
  PaymentMethod,
  type Payout,
  type PayoutState,
  type PersonDecision,
  RateLimitError,
  type Receipt,
  type RequestOptions,
  type Response,
  ServerError,
  SignatureVerificationError,
  type SignedFields,
  type Status,
  type Summary,
  type SyCashRecipient,
  UnexpectedResponseError,
  ValidationError,
  type Wallet,
  type WalletList,
  type Wallets,
  Webhook,
  type WebhookError,
  type WebhookOptions,
  WebhookPayloadError,
  type Withdrawal,
  type Withdrawals,
} from 'kazawallet';
import {
  type Delivery,
  type Dialect,
  type Fault,
  type FaultOptions,
  type RecordedRequest,
  Simulator,
  SimulatorError,
  type SimulatorOptions,
  type TriggerOptions,
} from 'kazawallet/testing';

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Does not compile unless the two types are the very same. */
function same<A, B>(_: Same<A, B>): void {}

const client: Client = new Client();

export function clients(settings: ClientOptions, key: string | undefined): void {
  new Client({});
  new Client(settings);
  new Client({ apiKey: 'key', apiSecret: 'secret', merchantEmail: 'shop@example.com' });
  // What the environment may lack, and what a program leaves out on purpose.
  new Client({ apiKey: key, apiSecret: null, baseUrl: undefined });
  new Client({ timeout: 10_000, connectTimeout: 500.5, maxRetries: 0, appName: 'shop/1.0' });
  new Client({ proxy: 'http://127.0.0.1:3128', rootCertificates: '-----BEGIN' });
  new Client({ rootCertificates: new Uint8Array() });
  new Client({ rootCertificates: Buffer.from('') });
  same<typeof client.paymentLinks, PaymentLinks>(true);
  same<typeof client.withdrawals, Withdrawals>(true);
  same<typeof client.wallets, Wallets>(true);
  same<typeof client.deposits, Deposits>(true);
  same<ReturnType<typeof client.close>, void>(true);
}

export async function paymentLinks(signal: AbortSignal, ref: string | undefined): Promise<void> {
  const link = await client.paymentLinks.create({ amount: '10.50', currency: 'USD' });
  same<typeof link, PaymentLink>(true);
  same<typeof link.url, string>(true);
  same<typeof link.id, string | undefined>(true);
  same<typeof link.raw, Response>(true);
  await client.paymentLinks.create({ amount: 500_000, currency: 'SYP', ref: 'order-42' });
  await client.paymentLinks.create({ amount: 500_000n, currency: 'SYP', ref, signal });
  await client.paymentLinks.create({
    amount: '10.50',
    currency: 'USD',
    ref: null,
    redirectUrl: undefined,
    timeout: 5_000,
    signal: AbortSignal.timeout(5_000),
  });
  const options: CreatePaymentLinkOptions = { amount: '1', currency: 'USD' };
  const readonlyOptions: Readonly<CreatePaymentLinkOptions> = options;
  await client.paymentLinks.create(readonlyOptions);
  same<CreatePaymentLinkOptions['amount'], AmountLike>(true);
  same<AmountLike, string | bigint | number>(true);
}

export async function payouts(
  payout: CreateWithdrawalOptions,
  deposit: CreateDepositOptions,
  syCash: SyCashRecipient,
  custom: CustomMethod,
): Promise<void> {
  const recipient: HaramRecipient = { name: 'name', phone: '0933123456', governorate: 'x' };
  const methods: PaymentMethod[] = [
    PaymentMethod.haramUnder3m(recipient),
    PaymentMethod.haramOver3m(recipient),
    PaymentMethod.syCash({ phone: '0933123456' }),
    PaymentMethod.syCash(syCash),
    PaymentMethod.custom(custom),
    PaymentMethod.custom({ id: '118', fields: {} }),
    PaymentMethod.custom({ id: '118', fields: { address: 'x' } as const }),
  ];
  for (const paymentMethod of methods) {
    const withdrawal = await client.withdrawals.create({
      amount: '500000',
      currency: 'SYP',
      paymentMethod,
      note: 'salary',
      timeout: 60_000,
    });
    same<typeof withdrawal, Withdrawal>(true);
    same<typeof withdrawal.status, string | undefined>(true);
    same<typeof withdrawal.message, string | undefined>(true);
    same<typeof withdrawal.raw, Response>(true);
  }
  await client.withdrawals.create({ ...payout, signal: null });
  const made = await client.deposits.create({ ...deposit, userEmail: 'user@example.com' });
  same<typeof made, Deposit>(true);
  same<typeof made.status, string | undefined>(true);
  same<typeof made.transactionId, string | undefined>(true);
  same<typeof made.message, string | undefined>(true);
  same<typeof made.note, string | undefined>(true);
}

export async function balances(options: CallOptions): Promise<string[]> {
  const list = await client.wallets.list();
  same<typeof list, WalletList>(true);
  same<typeof list.wallets, readonly Wallet[]>(true);
  await client.wallets.list(options);
  for (const wallet of list) {
    same<typeof wallet, Wallet>(true);
    same<typeof wallet.amount, string>(true);
    same<typeof wallet.currency, string>(true);
  }
  return [...list].map(({ amount, currency }) => `${amount} ${currency}`);
}

export async function requests(options: RequestOptions): Promise<unknown> {
  const response = await client.request('GET', '/get-merchant-wallets');
  same<typeof response, Response>(true);
  same<typeof response.status, number>(true);
  same<typeof response.requestId, string | undefined>(true);
  same<typeof response.body, Uint8Array>(true);
  same<typeof response.text, string>(true);
  same<ReturnType<typeof response.json>, unknown>(true);
  await client.request('POST', '/wallet-cards/create', { json: { currency: 'USD' }, timeout: 1 });
  await client.request('POST', '/wallet-cards/create', options);
  const methods: HttpMethod[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
  await Promise.all(methods.map((method) => client.request(method, '/wallet-cards')));
  // Beside the platform's own of the same name.
  const platform = await fetch('http://127.0.0.1/');
  return platform.ok;
}

export function webhooks(
  credentials: WebhookOptions,
  order: Order,
  signed: SignedFields,
): PaymentEvent {
  const webhook: Webhook = new Webhook(credentials).withPrevious({ apiKey: 'k', apiSecret: 's' });
  webhook.verify('text');
  webhook.verify(Buffer.from(''));
  webhook.verify(new ArrayBuffer(1));
  const event = webhook.verify(new Uint8Array());
  same<typeof event, PaymentEvent>(true);
  same<typeof event.orderId, string>(true);
  same<typeof event.amount, string>(true);
  same<typeof event.status, Status>(true);
  same<typeof event.currency, string | undefined>(true);
  same<typeof event.ref, string | undefined>(true);
  same<typeof event.isFulfilled, boolean>(true);
  same<typeof event.extra, Readonly<Record<string, unknown>>>(true);
  same<typeof event.body, Uint8Array>(true);
  same<ReturnType<typeof webhook.sign>, string>(true);
  webhook.sign(signed);
  webhook.sign({ amount: 10n, orderId: 'pl_1' });
  event.matchOrder(order);
  event.matchOrder({ amount: '10.50', currency: 'USD', ref: 'order-42', orderId: undefined });
  event.matchOrder({ amount: 10, currency: 'USD', ref: 'order-42', orderId: 'pl_1' });
  // A status is text, of which two are known.
  const text: string = event.status;
  const paid: boolean = event.status === 'fulfilled' || event.status === 'another';
  return paid ? event.matchOrder(order) : webhook.verify(text);
}

export function narrowing(error: unknown): string | undefined {
  if (error instanceof OutcomeUnknownError) {
    same<typeof error.key, string | undefined>(true);
    return error.body;
  }
  if (error instanceof RateLimitError) {
    same<typeof error.retryAfter, number | undefined>(true);
    return error.key;
  }
  if (error instanceof AuthenticationError || error instanceof ServerError) {
    const general: APIError = error;
    return general.message;
  }
  if (error instanceof APIError) {
    same<typeof error.status, number | undefined>(true);
    same<typeof error.details, unknown>(true);
    same<typeof error.requestId, string | undefined>(true);
    return error.body;
  }
  if (error instanceof UnexpectedResponseError) {
    return error.body;
  }
  if (error instanceof APITimeoutError) {
    const general: APIConnectionError = error;
    same<typeof general.cause, unknown>(true);
    return general.message;
  }
  if (error instanceof ValidationError || error instanceof WebhookPayloadError) {
    return error.field;
  }
  if (error instanceof OrderMismatchError) {
    const general: WebhookError = error;
    return general.message + error.expected + error.actual;
  }
  if (error instanceof ConfigurationError || error instanceof SignatureVerificationError) {
    return error.code;
  }
  if (error instanceof KazawalletError) {
    const builtin: Error = error;
    return builtin.stack;
  }
  return error instanceof SimulatorError ? error.message : undefined;
}

/** What is left of an error after some classes are ruled out is still an error. */
export function ruledOut(error: KazawalletError): string {
  if (error instanceof ConfigurationError || error instanceof APIError) {
    return error.message;
  }
  return error.message;
}

/** The switch is complete: a value more or fewer, and this does not compile. */
export function mayRepeat({ outcome }: KazawalletError): boolean {
  same<typeof outcome, Outcome | undefined>(true);
  switch (outcome) {
    case 'not_sent':
    case 'rejected':
      return true;
    case 'unknown':
    case undefined:
      return false;
    default: {
      const none: never = outcome;
      return none;
    }
  }
}

/** A code is one of those that there are. */
export function isPassing({ code }: KazawalletError): boolean {
  same<typeof code, ErrorCode>(true);
  return code === 'connection' || code === 'timeout' || code === 'rate_limit';
}

/** What a subscriber of the channel `kazawallet:call` gets. */
export function told(message: unknown): string {
  const { endpoint, status, duration, attempts, outcome } = message as CallMessage;
  same<typeof outcome, 'ok' | 'cancelled' | Outcome>(true);
  same<typeof status, number | undefined>(true);
  return endpoint + duration.toFixed() + attempts.toFixed();
}

/** Errors for the tests of one's own code. */
export function errorsOfOnesOwn(): KazawalletError[] {
  return [
    new APIError('no', { status: 400, key: 'BAD', details: {}, body: '{}', cause: new Error() }),
    new OutcomeUnknownError('who knows', { requestId: 'r-1' }),
    new OrderMismatchError('no', { field: 'amount', expected: '1', actual: undefined }),
    new KazawalletError(),
  ];
}

export async function simulators(
  options: SimulatorOptions,
  trigger: TriggerOptions,
  fault: Fault,
  played: FaultOptions,
): Promise<unknown[]> {
  const sim = await Simulator.start();
  same<typeof sim, Simulator>(true);
  await Simulator.start(options);
  await Simulator.start({ balances: { USD: '250.00', SYP: 1_000_000, EUR: 5n }, port: 0 });
  sim.webhookUrl = undefined;
  sim.webhookUrl = null;
  sim.webhookUrl = 'http://127.0.0.1:8000/webhook';
  same<typeof sim.dialect, Dialect>(true);
  sim.dialect = 'both';
  await Simulator.start({ dialect: 'plugin', tls: true });
  same<typeof sim.rootCertificate, string | undefined>(true);
  same<typeof sim.url, string>(true);
  same<typeof sim.apiKey, string>(true);
  same<typeof sim.apiSecret, string>(true);
  same<typeof sim.merchantEmail, string>(true);
  same<typeof sim.dashboardUrl, string>(true);
  same<ReturnType<typeof sim.client>, Client>(true);
  same<ReturnType<typeof sim.webhook>, Webhook>(true);
  same<ReturnType<typeof sim.balance>, string>(true);
  const link = await sim.client({ timeout: 1_000 }).paymentLinks.create({
    amount: '1',
    currency: 'USD',
  });
  // There is always one, without a `!`.
  const [first, second] = await sim.pay(link);
  same<typeof first, Delivery>(true);
  const perhaps: Delivery | undefined = second;
  await sim.timeOut(link.url);
  same<typeof first.body, Uint8Array>(true);
  same<typeof first.answered, number | undefined>(true);
  same<typeof first.url, string | undefined>(true);
  const triggered = await sim.trigger(trigger);
  same<typeof triggered, Delivery>(true);
  await sim.trigger({ url: 'http://127.0.0.1:8000', amount: '1', status: 'another' });
  sim.fault(fault, played);
  sim.fault('close_after_acting');
  sim.fault('answer_late:1500');
  sim.fault('answer_status:503', { times: Number.POSITIVE_INFINITY });
  sim.clearFaults();
  const request: RecordedRequest | undefined = sim.requests[0];
  await sim.stop();
  return [perhaps, request, sim.deliveries[0]];
}

export async function stopped(): Promise<void> {
  await using sim = await Simulator.start();
  await using stack = new AsyncDisposableStack();
  stack.use(sim);
}

export async function remembers(paymentMethod: PaymentMethod): Promise<void> {
  await using ledger = await Ledger.open('sqlite:///var/lib/shop/kazawallet.db', {
    client: new Client(),
    webhook: null,
    spool: false,
    clockMargin: 60_000,
  });
  const settings: LedgerOptions = { spool: '/var/spool/shop' };
  for (const other of [
    await Ledger.open(),
    await Ledger.open(settings),
    await Ledger.open(null, settings),
  ]) {
    await other.close();
  }
  const order: CreateOrderLinkOptions = { ref: 'order-42', amount: 10n, currency: 'USD' };
  const link: OrderLink = await ledger.createPaymentLink({
    ...order,
    redirectUrl: null,
    timeout: 5,
  });
  const url: string = link.url;
  const known: OrderRecord | undefined = await ledger.order(link.ref);
  const since: Date | undefined = known?.linkAt;
  for (const body of [new Uint8Array(1), new ArrayBuffer(1), 'text', Buffer.from('bytes')]) {
    const receipt: Receipt = await ledger.receive(body);
    const event: PaymentEvent = receipt.event;
    const decision: Decision = receipt.decision;
    const linkIds: LinkIds | undefined = receipt.linkIds;
    const linkRef: string | undefined = receipt.linkRef;
    void [
      event,
      decision,
      linkIds,
      linkRef,
      receipt.duplicate satisfies boolean,
      receipt.waitsForPerson satisfies boolean,
    ];
  }
  const payment: Payment | undefined = await ledger.payment('pl_1');
  const bytes: Uint8Array | undefined = payment?.body;
  const idsThen: LinkIds | undefined = payment?.linkIds;
  const whose: string | undefined = payment?.linkRef;
  const settled: Payment = await ledger.settle('pl_1', 'paid', { by: 'sara', ref: 'order-42' });
  await ledger.setLinkIdCheck(false, { by: 'sara', note: null });
  const again: readonly Receipt[] = await ledger.reverify();
  const handler: PaymentHandler = async ({ orderId, isPaid }) => console.log(orderId, isPaid);
  const worker: LedgerWorker = ledger.process(handler, { maxTries: 5, firstPause: 5, lease: null });
  {
    await using another = ledger.process((one) => one.tries, { persistent: false });
    await another.stop();
  }
  await worker.stop();
  const due: readonly Payment[] = await ledger.pending({ limit: 5 });
  await ledger.markProcessed('pl_1');
  await ledger.retry('pl_1', { by: 'sara', note: undefined });
  const payout: Payout = await ledger.withdraw({
    reference: 'salary-7',
    amount: '10',
    currency: 'USD',
    paymentMethod,
    note: null,
    timeout: 60_000,
  });
  const state: PayoutState = payout.state;
  await ledger.resolve('salary-7', 'not_paid', { by: 'sara' });
  const overdue: readonly OrderRecord[] = await ledger.overdue(60_000, { limit: 5 });
  const conflicts: readonly Conflict[] = await ledger.conflicts();
  const decisions: readonly PersonDecision[] = await ledger.decisions({ limit: 5 });
  const summary: Summary = await ledger.summary();
  const waiting: number = summary.processing.waiting + summary.orders.timed_out;
  const idsNow: LinkIds = summary.linkIds;
  const erased: number = await ledger.forget(new Date());
  void [
    url,
    since,
    bytes,
    idsThen,
    whose,
    idsNow,
    settled,
    again,
    due,
    state,
    overdue,
    conflicts,
    decisions,
    waiting,
    erased,
  ];
  try {
    await ledger.unsettled();
  } catch (error) {
    if (error instanceof LedgerError) {
      const code: LedgerErrorCode = error.code;
      void [code, new LedgerError('full', { code: 'ledger_full' })];
    }
  }
}
