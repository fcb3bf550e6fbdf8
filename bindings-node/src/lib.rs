//! The native part of the npm package: the core's types, translated. It holds no rule of its own;
//! what it adds is JavaScript's manners: one thread, promises, environments that end at any moment.

#![allow(
    missing_debug_implementations,
    reason = "only JavaScript sees these types, and what prints them there is JavaScript's own"
)]
#![cfg_attr(test, allow(dead_code, reason = "napi registers nothing in a build for Rust's tests"))]

mod answers;
mod calls;
mod connection;
mod errors;
mod handover;
mod ledger;
mod ledger_answers;
mod payment_method;
mod reports;
mod route;
mod runtime;
mod simulator;
mod webhook;
