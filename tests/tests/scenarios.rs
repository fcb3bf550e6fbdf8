//! Runs every file of `tests/scenarios/` through the crate's public face.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use kazawallet_tests::{Scenario, run};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How many scenarios run at once: most of them wait most of the time.
const AT_ONCE: usize = 24;

/// The text of every file, by its name without `.json`.
fn files() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        let name = file.strip_suffix(".json").unwrap_or_else(|| panic!("what is {file}?"));
        files.insert(name.to_owned(), fs::read_to_string(&path).unwrap());
    }
    files
}

fn schema() -> jsonschema::Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

/// Names every file that failed, and why.
fn report(failures: &BTreeMap<String, Vec<String>>, of: usize) {
    let mut text = String::new();
    for (name, complaints) in failures {
        text.push_str(&format!("\n  scenarios/{name}.json\n    {}", complaints.join("\n    ")));
    }
    assert!(failures.is_empty(), "{} of {of} scenarios failed:{text}\n", failures.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_scenario_holds() {
    let files = files();
    let total = files.len();
    assert!(total >= 60, "{total} scenarios are too few to be all of them");
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    let mut names = BTreeMap::new();
    for (name, text) in files {
        let permits = Arc::clone(&permits);
        let task = running.spawn(async move {
            let _permit = permits.acquire().await.unwrap();
            match serde_json::from_str::<Scenario>(&text) {
                Ok(scenario) => run(scenario).await,
                Err(error) => vec![format!("not understood: {error}")],
            }
        });
        names.insert(task.id(), name);
    }
    let mut failures = BTreeMap::new();
    while let Some(done) = running.join_next_with_id().await {
        let (id, complaints) = done.unwrap_or_else(|error| (error.id(), vec![error.to_string()]));
        if !complaints.is_empty() {
            failures.insert(names.remove(&id).unwrap(), complaints);
        }
    }
    report(&failures, total);
}

#[test]
fn every_file_is_what_the_schema_says() {
    let (schema, files) = (schema(), files());
    let mut failures = BTreeMap::new();
    for (name, text) in &files {
        let complaints: Vec<String> = match serde_json::from_str::<Value>(text) {
            Err(error) => vec![error.to_string()],
            Ok(value) => {
                let mut complaints: Vec<String> = schema
                    .iter_errors(&value)
                    .map(|error| format!("{}: {error}", error.instance_path()))
                    .collect();
                if value["name"] != json!(name) {
                    complaints.push("`name` is not the file's name".to_owned());
                }
                complaints
            }
        };
        if !complaints.is_empty() {
            failures.insert(name.clone(), complaints);
        }
    }
    report(&failures, files.len());
}

/// What a file may not hold: neither the schema nor the runner lets a slip of the pen pass.
#[test]
fn what_is_not_understood_is_refused() {
    let schema = schema();
    let good = json!({
        "name": "a-name",
        "why": "This one is understood.",
        "client": { "api_key": "81A107141716" },
        "call": { "operation": "wallets.list", "arguments": {} },
        "server": { "steps": [{ "do": "respond", "status": 200, "body": { "text": "" } }] },
        "expect": {
            "requests": [{ "method": "GET", "path": "/", "headers": {}, "body": "" }],
            "error": { "class": "APIError", "code": "api", "outcome": "rejected" },
        },
    });
    assert!(schema.is_valid(&good));
    for place in [
        "",
        "/client",
        "/call",
        "/call/arguments",
        "/server",
        "/server/steps/0",
        "/server/steps/0/body",
        "/expect",
        "/expect/requests/0",
        "/expect/error",
    ] {
        let mut bad = good.clone();
        bad.pointer_mut(place).unwrap().as_object_mut().unwrap().insert("speed".into(), json!(1));
        assert!(!schema.is_valid(&bad), "the schema lets {place}/speed pass");
    }
    for (place, value) in [
        ("/call/operation", json!("wallets.dance")),
        ("/server/steps/0/do", json!("dance")),
        ("/expect/error/class", json!("Error")),
        ("/expect/error/outcome", json!("perhaps")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap() = value;
        assert!(!schema.is_valid(&bad), "the schema lets any {place} pass");
    }
}

#[tokio::test]
async fn the_runner_sees_what_does_not_fit() {
    let scenario = |expect: Value| -> Scenario {
        let scenario = json!({
            "name": "a-name",
            "why": "One 503 and no retry.",
            "client": {
                "api_key": "81A107141716",
                "merchant_email": "merchant@example.com",
                "max_retries": 0,
            },
            "call": {
                "operation": "payment_links.create",
                "arguments": { "amount": "1", "currency": "USD" },
            },
            "server": { "steps": [{ "do": "respond", "status": 503 }, { "do": "hang" }] },
            "expect": expect,
        });
        serde_json::from_str(&scenario.to_string()).unwrap()
    };
    let complaints = run(scenario(json!({
        "requests": [{
            "method": "GET",
            "path": "/elsewhere",
            "headers": { "x-api-key": "another" },
            "absent_headers": ["content-type"],
            "body": "{}",
        }, {
            "method": "GET", "path": "/", "headers": {}, "body": "",
        }],
        "connections": 7,
        "error": {
            "class": "APIError",
            "code": "server",
            "outcome": "rejected",
            "status": null,
            "message_contains": ["no such text"],
            "message_lacks": ["503"],
        },
    })))
    .await;
    let text = complaints.join("\n");
    for wanted in [
        "2 requests were expected",
        "request 1, method",
        "request 1, path",
        "request 1, body",
        "request 1, x-api-key",
        "request 1, content-type",
        "7 connections were expected",
        "1 of the server's steps were not used",
        "class: expected",
        "outcome: expected",
        "status: expected null",
        "the message lacks \"no such text\"",
        "\"503\" is shown",
    ] {
        assert!(text.contains(wanted), "no complaint says {wanted:?}:\n{text}");
    }
    for (expect, wanted) in [
        (json!({ "requests": [], "result": {} }), "a result was expected"),
        (json!({ "requests": [], "error": { "speed": 1 } }), "what is `speed`"),
        (json!({ "requests": [] }), "exactly one of"),
    ] {
        let text = run(scenario(expect)).await.join("\n");
        assert!(text.contains(wanted), "no complaint says {wanted:?}:\n{text}");
    }
}
