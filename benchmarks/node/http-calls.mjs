// The same payment link, made with each HTTP client as its own documentation shows it.
//
// Each keeps its connections alive, sends the body and the headers that the endpoint wants, fails on
// an HTTP error, reads the JSON answer and takes the link's URL from it. None of them does what the
// package does besides: no check before sending, no retries, no classes of errors, no diagnostics.
// Each is loaded where it is used, so that a program can use one of them alone.

/**
 * @typedef {() => Promise<string>} Create makes a link and returns its URL
 * @typedef {{ create: Create, close: () => void | Promise<void> }} Opened
 * @typedef {{ baseUrl: string, apiKey: string, email: string }} Merchant
 */

const TIMEOUT = 30_000;
const LINK = { amount: '10.50', currency: 'USD', ref: 'order-42' };

/** The simulator's, as it prints it. @returns {Merchant} */
export function merchantInEnvironment() {
  const { env } = process;
  return {
    baseUrl: env.KAZAWALLET_BASE_URL,
    apiKey: env.KAZAWALLET_API_KEY,
    email: env.KAZAWALLET_MERCHANT_EMAIL,
  };
}

/** @param {Merchant} merchant */
function requestOf({ baseUrl, apiKey, email }) {
  return {
    url: `${baseUrl}/createPaymentLink`,
    headers: {
      accept: 'application/json',
      'content-type': 'application/json',
      'x-api-key': apiKey,
    },
    link: { ...LINK, email },
  };
}

/** @param {Merchant} merchant */
async function withKazawallet({ baseUrl, apiKey, email }) {
  const { Client } = await import('kazawallet');
  const client = new Client({ apiKey, merchantEmail: email, baseUrl });
  return {
    create: async () => (await client.paymentLinks.create(LINK)).url,
    close: () => client.close(),
  };
}

/** Without a time limit, which would be a signal a call and cost a tenth more. @param {Merchant} merchant */
function withFetch(merchant) {
  const { url, headers, link } = requestOf(merchant);
  return {
    async create() {
      const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(link) });
      if (!answer.ok) {
        throw new Error(`status ${answer.status}`);
      }
      return (await answer.json()).url;
    },
    close() {},
  };
}

// Its best settings here. Fewer connections, or no limit to them, are a little slower; requests
// behind one another on few connections half as quick; `pipelining: 0` closes each connection.
const UNDICI = { connections: 64, pipelining: 1, headersTimeout: TIMEOUT, bodyTimeout: TIMEOUT };

/** @param {Merchant} merchant */
async function withUndici(merchant) {
  const { Agent, request } = await import('undici');
  const { url, headers, link } = requestOf(merchant);
  const dispatcher = new Agent(UNDICI);
  return {
    async create() {
      const body = JSON.stringify(link);
      const answer = await request(url, { method: 'POST', headers, body, dispatcher });
      return await urlIn(answer);
    },
    close: () => dispatcher.close(),
  };
}

/** Bound to one origin: less to do a call than for `request`. @param {Merchant} merchant */
async function withUndiciPool(merchant) {
  const { Pool } = await import('undici');
  const { url, headers, link } = requestOf(merchant);
  const { origin, pathname: path } = new URL(url);
  const pool = new Pool(origin, UNDICI);
  return {
    async create() {
      const body = JSON.stringify(link);
      return await urlIn(await pool.request({ path, method: 'POST', headers, body }));
    },
    close: () => pool.close(),
  };
}

async function urlIn({ statusCode, body }) {
  if (statusCode < 200 || statusCode > 299) {
    throw new Error(`status ${statusCode}`);
  }
  return (await body.json()).url;
}

/** @param {Merchant} merchant */
async function withAxios(merchant) {
  const { default: http } = await import('node:http');
  const { default: axios } = await import('axios');
  const { url, headers, link } = requestOf(merchant);
  const httpAgent = new http.Agent({ keepAlive: true });
  const session = axios.create({ headers, httpAgent, proxy: false, timeout: TIMEOUT });
  return {
    create: async () => (await session.post(url, link)).data.url,
    close: () => httpAgent.destroy(),
  };
}

/** @type {Record<string, (merchant: Merchant) => Opened | Promise<Opened>>} */
export const CLIENTS = {
  'kazawallet.Client': withKazawallet,
  fetch: withFetch,
  'undici.request': withUndici,
  'undici.Pool.request': withUndiciPool,
  axios: withAxios,
};

/** What each is called in the names of figures. @type {Record<string, string>} */
export const KEYS = {
  fetch: 'fetch',
  'undici.request': 'undici',
  'undici.Pool.request': 'undici_pool',
  axios: 'axios',
};
