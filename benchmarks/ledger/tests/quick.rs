//! The benchmark runs to its end, and writes what it found.

#![allow(missing_docs, clippy::unwrap_used)]

use std::process::Command;

use kazawallet_benchmark_figures::check;

#[test]
fn a_quick_run_writes_every_figure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("figures.json");
    let status = Command::new(env!("CARGO_BIN_EXE_kazawallet-ledger-benchmarks"))
        .args(["--quick", "--json"])
        .arg(&file)
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    let mut names = Vec::new();
    let databases = ["sqlite", "postgresql"];
    for database in databases {
        for beside in ["bare_insert", "same_rows"] {
            names.push(format!("ledger.{database}.receipt.{beside}"));
        }
    }
    for database in databases {
        for writers_are in ["tasks", "processes"] {
            for writers in [1, 2, 4, 8] {
                names.push(format!("ledger.{database}.writers.{writers}.{writers_are}"));
            }
        }
    }
    for database in databases {
        for call in ["receive", "pending", "overdue"] {
            names.push(format!("ledger.{database}.million.{call}"));
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(check(&file, &names), Ok(()));
}
