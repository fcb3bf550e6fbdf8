// The webhook's route.

import { webhookReceiver } from 'kazawallet/web';
import { openLedger } from '../../../ledger.js';

export const POST = webhookReceiver(openLedger, async (payment) => {
  if (payment.isPaid) {
    console.log(`${payment.ref} is paid`); // Ship it here: at least once for each payment.
  }
});
