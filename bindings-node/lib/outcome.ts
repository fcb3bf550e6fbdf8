/**
 * Whether a call that failed may have moved money.
 *
 * - `not_sent`: nothing left this machine. Calling again is safe.
 * - `rejected`: the provider answered no. Nothing happened.
 * - `unknown`: bytes may have left and no conclusive answer was read. It may have happened.
 */
export type Outcome = 'not_sent' | 'rejected' | 'unknown';
