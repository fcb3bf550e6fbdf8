//! What a client and a webhook refuse when they are built.

#![allow(clippy::unwrap_used)]

use kazawallet::{Client, ErrorKind, Outcome, Webhook};

fn refusal(builder: kazawallet::ClientBuilder) -> String {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(error.outcome(), Some(Outcome::NotSent));
    error.to_string()
}

#[test]
fn a_simulators_key_is_not_sent_to_the_provider() {
    let said = refusal(Client::builder("sim_key").merchant_email("shop@example.com"));
    assert!(said.contains("simulator"), "{said}");
}

#[test]
fn plain_http_beyond_this_machine_wants_a_key_and_a_secret_that_are_worth_nothing() {
    let elsewhere = |key: &str| Client::builder(key).base_url("http://sim.example/wallet");
    assert!(elsewhere("sim_key").build().is_ok());
    assert!(elsewhere("sim_key").api_secret("sim_secret").build().is_ok());
    assert!(refusal(elsewhere("81A107141716")).contains("not https"));
    assert!(refusal(elsewhere("sim_key").api_secret("888B6B8877F8")).contains("not https"));
}

#[test]
fn what_is_copied_unseen_with_a_key_is_refused() {
    for unseen in ["\u{200b}", "\u{feff}", "\u{202a}", "\u{2060}", "\n", " "] {
        for key in [format!("81A107141716{unseen}"), format!("{unseen}81A107141716")] {
            assert!(Webhook::new(key.as_str(), "secret").is_err(), "{key:?}");
            assert!(Webhook::new("key", key.as_str()).is_err(), "{key:?}");
            refusal(Client::builder(key.as_str()).merchant_email("shop@example.com"));
        }
    }
}

/// A name server must not lead a key that goes in clear to another machine.
#[tokio::test]
async fn a_name_of_this_machine_is_this_machine() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = Client::builder("81A107141716")
        .api_secret("888B6B8877F8")
        .merchant_email("shop@example.com")
        .base_url(format!("http://shop.localhost:{port}/wallet"))
        .max_retries(0)
        .build()
        .unwrap();
    let call = tokio::spawn(async move { client.wallets().list().await });
    // No name server knows the name, and still the call arrives here.
    let (connection, _) = listener.accept().await.unwrap();
    drop(connection);
    call.await.unwrap().unwrap_err();
}
