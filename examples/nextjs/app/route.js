// Sends the customer to where the order is paid.

import { openLedger } from '../ledger.js';

export const dynamic = 'force-dynamic';

export async function GET() {
  const ledger = await openLedger();
  // In a shop: the order's id and price in your database.
  const order = { ref: 'order-42', amount: '10.50', currency: 'USD' };
  return Response.redirect((await ledger.createPaymentLink(order)).url);
}
