// All that is ever loaded: the build makes one file of it, since many files take longer to load.

// First: where it cannot be loaded, its own error is the one to be seen.
import './native.js';

export { ended, succeeded } from './calls.js';
export * as main from './index.js';
export { native } from './native.js';
export * as testing from './testing.js';
