//! What a former version left in a ledger, in the hands of the present one. The fixtures are in
//! `fixtures/`, made by its `make.py`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

// A part of it is for the program alone that makes the fixtures.
#[allow(dead_code)]
#[path = "../../fixtures/maker/provider.rs"]
mod provider;
#[path = "../support/mod.rs"]
mod support;
#[path = "../../fixtures/maker/told.rs"]
mod told;

mod former;
mod kept;
mod newer_schema;
mod still_running;
