// What a shop writes that verifies its deliveries by hand: JSON.parse and node:crypto.
//
// It does less than the package: no form-encoded body, no repeated keys, no bytes that are not
// UTF-8, no amount that came as a JSON number or was signed in another form, no limit on the body's
// size, no fields that are not known, no errors that tell these apart.

import * as crypto from 'node:crypto';

/** The delivery cannot be read, or its signature does not hold. */
export class BadDelivery extends Error {}

const PLAIN_AMOUNT = /^\d+(\.\d+)?$/;

class PaymentEvent {
  constructor(delivery) {
    this.orderId = delivery.order_id;
    this.amount = delivery.amount;
    this.status = delivery.status;
    this.currency = delivery.currency;
    this.ref = delivery.ref;
  }
}

/** Verifies the deliveries of one merchant, with what the examples of node:crypto show. */
export class HandwrittenWebhook {
  #apiKey;
  #apiSecret;

  constructor(apiKey, apiSecret) {
    this.#apiKey = apiKey;
    this.#apiSecret = apiSecret;
  }

  verify(body) {
    const delivery = read(body);
    const signed = crypto
      .createHash('sha256')
      .update(`${delivery.amount}:::${delivery.order_id}:::${this.#apiKey}`)
      .digest();
    const tag = crypto.createHmac('sha512', this.#apiSecret).update(signed).digest('base64');
    return eventOf(delivery, tag);
  }
}

/** The same with the quickest of node:crypto: a hash in one call, the secret made a key once. */
export class QuickHandwrittenWebhook {
  /** `crypto.hash` came with Node 20.12. */
  static isPossible = typeof crypto.hash === 'function';

  #apiKey;
  #key;

  constructor(apiKey, apiSecret) {
    this.#apiKey = apiKey;
    this.#key = crypto.createSecretKey(apiSecret, 'utf8');
  }

  verify(body) {
    const delivery = read(body);
    const text = `${delivery.amount}:::${delivery.order_id}:::${this.#apiKey}`;
    const signed = crypto.hash('sha256', text, 'buffer');
    const tag = crypto.createHmac('sha512', this.#key).update(signed).digest('base64');
    return eventOf(delivery, tag);
  }
}

function read(body) {
  let delivery;
  try {
    delivery = JSON.parse(body.toString());
  } catch (cause) {
    throw new BadDelivery('the body cannot be read', { cause });
  }
  if (
    typeof delivery?.order_id !== 'string' ||
    typeof delivery.amount !== 'string' ||
    typeof delivery.secret !== 'string' ||
    typeof delivery.status !== 'string' ||
    typeof (delivery.currency ?? '') !== 'string' ||
    typeof (delivery.ref ?? '') !== 'string'
  ) {
    throw new BadDelivery('a field is missing or no text');
  }
  return delivery;
}

function eventOf(delivery, tag) {
  const expected = Buffer.from(tag);
  const claimed = Buffer.from(delivery.secret);
  if (expected.length !== claimed.length || !crypto.timingSafeEqual(expected, claimed)) {
    throw new BadDelivery('the signature does not hold');
  }
  if (!PLAIN_AMOUNT.test(delivery.amount)) {
    throw new BadDelivery('the amount is no number');
  }
  return new PaymentEvent(delivery);
}
