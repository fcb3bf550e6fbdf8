// What is loaded first, whichever way the package is. The files that are loaded later take from here
// what they share with it.

// Before anything else: where it cannot be loaded, its own error is the one to be seen.

/** @internal */
export { native, own } from './native.js';

// What the declarations name.

export { Client } from './client.js';
export { ConfigurationError, ValidationError } from './errors.js';
export type { Report } from './reports.js';
export { Webhook } from './webhook.js';

// What they do not.

/** @internal */
export * from './arguments.js';
/** @internal */
export { ask, ended, succeeded } from './calls.js';
/** @internal */
export { environment, nativeConnection } from './client.js';
/** @internal */
export { fromCore, isErrorCode } from './errors.js';
/** @internal */
export * as main from './index.js';
/** @internal */
export { nativeLedger } from './ledger.js';
/** @internal */
export { nativePaymentMethod } from './payment-method.js';
/** @internal */
export { listen, tell, tellOf, toConsole } from './reports.js';
/** @internal */
export { nativeWebhook, paymentEvent, rawBytes, wellFormedText } from './webhook.js';
