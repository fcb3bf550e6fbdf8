//! The program `kazawallet-simulator`.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::HashMap;
use std::process::Stdio;

use kazawallet::{Client, Webhook};
use support::{Receiver, send};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kazawallet-simulator"));
    command.kill_on_drop(true).stdin(Stdio::null());
    for name in ["KEY", "SECRET"] {
        command.env_remove(format!("KAZAWALLET_API_{name}"));
    }
    command
}

#[tokio::test]
async fn help_says_what_it_is_and_what_it_takes() {
    let output = program().arg("--help").output().await.unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "not the provider, and no money moves",
        "--port",
        "--host",
        "--allow-non-loopback",
        "--webhook-url",
        "--merchant-email",
        "--balance",
        "--dialect",
        "--tls",
        "--tls-certificate",
        "--fault",
        "--api-key",
        "--api-secret",
        "trigger",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn arguments_that_cannot_be_used_are_refused() {
    for arguments in [
        &["--host", "0.0.0.0"][..],
        &["--balance", "USD"],
        &["--balance", "USD=x"],
        &["--fault", "nothing"],
        &["--dialect", "php"],
        &["--tls-certificate", "root.pem"],
        &["--tls", "--tls-certificate", "/no/such/folder/root.pem"],
        &["--api-key", "81A107141716"],
        &["--webhook-url", "nowhere"],
        &["trigger"],
        &["trigger", "http://127.0.0.1:9/"],
        &["trigger", "http://127.0.0.1:9/", "--api-key", "81A107141716", "--api-secret", "x"],
    ] {
        let output = program().args(arguments).output().await.unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.is_empty() && !said.contains("81A107141716"), "{said}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn it_prints_where_it_is_and_stops_on_either_signal() {
    for signal in ["-INT", "-TERM"] {
        let arguments = ["--balance", "USD=5.25", "--merchant-email", "shop@example.com"];
        let mut child = program().args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next_line().await.unwrap().unwrap();
        assert!(first.contains("not the provider, no money moves"), "{first}");
        let mut variables = HashMap::new();
        let mut dashboard = String::new();
        while !variables.contains_key("KAZAWALLET_MERCHANT_EMAIL") {
            let line = lines.next_line().await.unwrap().unwrap();
            if let Some((name, value)) =
                line.split_once('=').filter(|(name, _)| name.starts_with("KAZAWALLET_"))
            {
                variables.insert(name.to_owned(), value.to_owned());
            } else if let Some(url) = line.strip_prefix("Dashboard") {
                dashboard = url.trim().to_owned();
            }
        }
        let base = &variables["KAZAWALLET_BASE_URL"];
        let authority = base.strip_prefix("http://").unwrap().strip_suffix("/wallet").unwrap();
        let address = authority.parse().unwrap();
        assert!(dashboard.starts_with(&format!("http://{authority}/__simulator/?token=")));
        let headers = [
            ("x-api-key", &*variables["KAZAWALLET_API_KEY"]),
            ("x-api-secret", &*variables["KAZAWALLET_API_SECRET"]),
            ("merchant-email", &*variables["KAZAWALLET_MERCHANT_EMAIL"]),
        ];
        let path = "/wallet/get-merchant-wallets";
        let answer = send(address, "GET", path, &headers, "").await.unwrap();
        assert_eq!(answer.json()["wallets"][1]["amount"], "5.25");

        let id = child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
        assert!(child.wait().await.unwrap().success(), "{signal}");
    }
}

#[tokio::test]
async fn the_dialect_is_an_option_of_both_commands() {
    let output = program().args(["--dialect", "php"]).output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("there are documented, plugin, both"), "{said}");

    let mut receiver = Receiver::start(200).await;
    for (options, wanted) in [
        (&[][..], "{\"order_id\":\"o-1\",\"secret\""),
        (&["--dialect", "plugin"], "{\"id\":\"o-1\",\"secret\""),
        (&["--dialect", "both"], "{\"order_id\":\"o-1\",\"id\":\"o-1\",\"secret\""),
    ] {
        let output = program()
            .args(["trigger", &receiver.url, "--order-id", "o-1"])
            .args(options)
            .args(["--api-key", "sim_key", "--api-secret", "sim_secret"])
            .output()
            .await
            .unwrap();
        assert!(output.status.success());
        let body = receiver.next().await.body;
        assert!(body.starts_with(wanted), "{body}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn with_tls_the_certificate_is_in_a_file_while_it_runs() {
    let given = std::env::temp_dir().join(format!("simulator-test-{}.pem", std::process::id()));
    std::fs::write(&given, "of an earlier start, and longer ".repeat(200)).unwrap();
    for file in [None, Some(&given)] {
        let mut command = program();
        command.args(["--tls", "--balance", "USD=5.25"]).stdout(Stdio::piped());
        if let Some(file) = file {
            command.arg("--tls-certificate").arg(file);
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = HashMap::new();
        while !said.contains_key("KAZAWALLET_MERCHANT_EMAIL") {
            let line = lines.next_line().await.unwrap().unwrap();
            let parted = line.split_once('=').filter(|(name, _)| name.starts_with("KAZAWALLET_"));
            if let Some((name, value)) = parted.or_else(|| line.split_once("  ")) {
                said.insert(name.to_owned(), value.trim().to_owned());
            }
        }
        let path = std::path::PathBuf::from(&said["Certificate"]);
        assert!(file.is_none_or(|file| *file == path));
        assert!(said["KAZAWALLET_BASE_URL"].starts_with("https://127.0.0.1:"));
        let client = Client::builder(&*said["KAZAWALLET_API_KEY"])
            .api_secret(&*said["KAZAWALLET_API_SECRET"])
            .merchant_email(&*said["KAZAWALLET_MERCHANT_EMAIL"])
            .base_url(&*said["KAZAWALLET_BASE_URL"])
            .root_certificates(std::fs::read(&path).unwrap())
            .build()
            .unwrap();
        let wallets = client.wallets().list().await.unwrap();
        assert!(wallets.iter().any(|wallet| wallet.amount.as_str() == "5.25"));

        let id = child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        assert!(child.wait().await.unwrap().success());
        assert_eq!(path.exists(), file.is_some());
    }
    std::fs::remove_file(given).unwrap();
}

#[tokio::test]
async fn trigger_takes_zero() {
    let mut receiver = Receiver::start(200).await;
    let output = program()
        .args(["trigger", &receiver.url, "--amount", "0", "--status", "timed_out"])
        .args(["--api-key", "sim_key", "--api-secret", "sim_secret"])
        .output()
        .await
        .unwrap();
    assert!(output.status.success());
    let webhook = Webhook::new("sim_key", "sim_secret").unwrap();
    let event = webhook.verify(receiver.next().await.body).unwrap();
    assert_eq!((event.amount().as_str(), event.status().as_str()), ("0", "timed_out"));
}

#[tokio::test]
async fn trigger_sends_one_delivery_and_its_status_says_whether_it_was_accepted() {
    for (status, accepted) in [(200, true), (500, false)] {
        let mut receiver = Receiver::start(status).await;
        let output = program()
            .args(["trigger", &receiver.url, "--amount", "3.10", "--ref", "order-7"])
            .env("KAZAWALLET_API_KEY", "sim_key")
            .env("KAZAWALLET_API_SECRET", "sim_secret")
            .output()
            .await
            .unwrap();
        assert_eq!(output.status.success(), accepted);
        let webhook = Webhook::new("sim_key", "sim_secret").unwrap();
        let event = webhook.verify(receiver.next().await.body).unwrap();
        assert_eq!((event.amount().as_str(), event.reference()), ("3.10", Some("order-7")));
        assert_eq!(receiver.rest(), 0);
    }
}
