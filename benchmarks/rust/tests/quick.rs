//! The benchmark runs to its end, and writes what it found.

#![allow(missing_docs, clippy::unwrap_used)]

use std::process::Command;

use kazawallet_benchmark_figures::check;

#[test]
fn a_quick_run_writes_every_figure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("figures.json");
    let status = Command::new(env!("CARGO_BIN_EXE_kazawallet-benchmarks"))
        .args(["--quick", "--json"])
        .arg(&file)
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    let names = [
        "rust.create_link.1.reqwest",
        "rust.create_link.8.reqwest",
        "rust.create_link.64.reqwest",
        "rust.create_link.256.reqwest",
        "rust.first_answer_ms.reqwest",
        "rust.memory_mb.fresh_client.reqwest",
        "rust.memory_mb.after_10000_calls.reqwest",
    ];
    assert_eq!(check(&file, &names), Ok(()));
}
