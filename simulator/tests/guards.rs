//! What keeps a page open in the developer's browser from driving the simulator.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod support;

use kazawallet_simulator::{Dialect, Fault, LinkState, Simulator};
use serde_json::{Value, json};
use support::{
    Message, Receiver, call, create_link, dashboard_cookie, get, link_body, post_form, send,
};

async fn control(sim: &Simulator, name: &str, body: Value) -> Message {
    let headers =
        [("x-simulator-token", sim.control_token()), ("content-type", "application/json")];
    let path = format!("/__simulator/api/{name}");
    send(sim.address(), "POST", &path, &headers, &body.to_string()).await.unwrap()
}

async fn list(sim: &Simulator, name: &str) -> Value {
    let headers = [("x-simulator-token", sim.control_token())];
    let answer = get(sim, &format!("/__simulator/api/{name}"), &headers).await;
    assert_eq!(answer.status(), 200);
    answer.json()
}

#[tokio::test]
async fn only_its_own_host_names_are_answered() {
    let sim = Simulator::start().await.unwrap();
    let port = sim.address().port();
    for host in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"] {
        let host = format!("{host}:{port}");
        assert_eq!(get(&sim, "/", &[("host", &host)]).await.status(), 200, "{host}");
    }
    let foreign = [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("127.0.0.1.evil.example:{port}"),
        format!("localhost.evil.example:{port}"),
        format!("192.168.1.5:{port}"),
        "127.0.0.1".to_owned(),
        "localhost:1".to_owned(),
        format!("[[::1]]:{port}"),
        format!("localhost:{port}\"><b>"),
        String::new(),
    ];
    for host in &foreign {
        for path in ["/", "/wallet/get-merchant-wallets", "/__simulator/", "/pay/x"] {
            let answer = get(&sim, path, &[("host", host)]).await;
            assert_eq!(answer.status(), 421, "{host} {path}");
        }
    }
    let absolute = format!("http://evil.example:{port}/");
    assert_eq!(get(&sim, &absolute, &[]).await.status(), 421);
    assert!(sim.requests().is_empty());
}

#[tokio::test]
async fn a_link_carries_the_host_that_it_was_asked_for_under() {
    let sim = Simulator::start().await.unwrap();
    let host = format!("localhost:{}", sim.address().port());
    let headers =
        [("host", &*host), ("x-api-key", sim.api_key()), ("content-type", "application/json")];
    let body = link_body(&sim).to_string();
    let path = "/wallet/createPaymentLink";
    let answer = send(sim.address(), "POST", path, &headers, &body).await.unwrap();
    assert!(answer.json()["url"].as_str().unwrap().starts_with(&format!("http://{host}/pay/")));
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let sim = Simulator::start().await.unwrap();
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1"] {
        let headers = [
            ("origin", origin),
            ("x-simulator-token", sim.control_token()),
            ("x-api-key", sim.api_key()),
            ("content-type", "application/json"),
        ];
        for path in ["/__simulator/api/fault", "/wallet/createPaymentLink"] {
            let body = json!({ "fault": "half_body" }).to_string();
            let answer = send(sim.address(), "POST", path, &headers, &body).await.unwrap();
            assert_eq!(answer.status(), 403, "{origin} {path}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    assert_eq!(list(&sim, "faults").await, json!([]));
}

#[tokio::test]
async fn an_image_of_a_page_uses_up_no_fault_and_no_record() {
    let sim = Simulator::start().await.unwrap();
    sim.fault(Fault::AnswerStatus(503)).unwrap();
    for site in ["cross-site", "same-site", "same-origin"] {
        let answer = get(&sim, "/wallet/x", &[("sec-fetch-site", site)]).await;
        assert_eq!(answer.status(), 403, "{site}");
    }
    assert!(sim.requests().is_empty());
    assert_eq!(get(&sim, "/wallet/get-merchant-wallets", &[]).await.status(), 503);
}

#[tokio::test]
async fn every_control_call_wants_the_token() {
    let sim = Simulator::start().await.unwrap();
    create_link(&sim, &link_body(&sim)).await;
    let id = sim.links()[0].id.clone();
    let half = &sim.control_token()[..16];
    for token in ["", "wrong", half] {
        for name in ["requests", "deliveries", "balances", "links", "faults"] {
            let path = format!("/__simulator/api/{name}");
            let answer = get(&sim, &path, &[("x-simulator-token", token)]).await;
            assert_eq!(answer.status(), 403, "{name}");
        }
        for name in ["pay", "time_out", "fault", "clear_faults", "webhook_url", "trigger"] {
            let path = format!("/__simulator/api/{name}");
            let answer = post_form(&sim, &path, &[("token", token), ("link", &id)]).await;
            assert_eq!(answer.status(), 403, "{name}");
            let headers = [("x-simulator-token", token), ("content-type", "application/json")];
            let body = json!({ "link": id, "token": sim.control_token() }).to_string();
            let answer = send(sim.address(), "POST", &path, &headers, &body).await.unwrap();
            assert_eq!(answer.status(), 403, "{name}");
        }
    }
    // The cookie shows the page, and is not enough to change anything.
    let cookie = dashboard_cookie(&sim).await;
    let headers = [("cookie", &*cookie), ("content-type", "application/x-www-form-urlencoded")];
    let body = format!("link={id}");
    let answer = send(sim.address(), "POST", "/__simulator/api/pay", &headers, &body).await;
    assert_eq!(answer.unwrap().status(), 403);
    assert_eq!(sim.links()[0].state, LinkState::Open);
}

#[tokio::test]
async fn the_dashboard_shows_what_happened_escaped_and_without_keys() {
    let sim = Simulator::start().await.unwrap();
    for path in ["/__simulator/", "/__simulator/?token=wrong"] {
        let refused = get(&sim, path, &[]).await;
        assert_eq!(refused.status(), 403);
        assert!(!refused.body.contains(sim.control_token()));
    }
    let mut body = link_body(&sim);
    body["ref"] = json!("<script>alert(1)</script>");
    body["<b>"] = json!("<img src=x>");
    let path = create_link(&sim, &body).await;
    sim.pay(&path).await.unwrap();
    create_link(&sim, &link_body(&sim)).await;
    let page = get(&sim, "/__simulator/", &[("cookie", &dashboard_cookie(&sim).await)]).await;
    assert_eq!(page.status(), 200);
    assert!(page.body.contains("This is not Kazawallet, and no money moves."));
    assert!(page.body.contains("&lt;script&gt;alert(1)") && !page.body.contains("<script"));
    assert!(!page.body.contains("<img") && !page.body.contains("<b>"));
    assert!(page.body.contains("1010.50") && page.body.contains("no webhook URL is set"));
    assert!(!page.body.contains(sim.api_key()) && !page.body.contains(sim.api_secret()));
    // Its own form pays the other link.
    let id = page.hidden("link");
    assert_eq!(sim.links()[1].id, id);
    let fields = [("token", &*page.hidden("token")), ("link", &*id)];
    assert_eq!(post_form(&sim, "/__simulator/api/pay", &fields).await.status(), 303);
    assert_eq!(sim.links()[1].state, LinkState::Paid);
    assert_eq!(post_form(&sim, "/__simulator/api/pay", &fields).await.status(), 409);
}

#[tokio::test]
async fn the_json_api_shows_and_drives() {
    let mut receiver = Receiver::start(204).await;
    let sim = Simulator::start().await.unwrap();
    let answer = control(&sim, "webhook_url", json!({ "url": receiver.url })).await;
    assert_eq!(answer.json(), json!({ "url": receiver.url }));
    let path = create_link(&sim, &link_body(&sim)).await;
    let id = sim.links()[0].id.clone();
    assert_eq!(list(&sim, "links").await[0]["state"], "open");

    let paid = control(&sim, "pay", json!({ "link": path })).await.json();
    let received = receiver.next().await;
    assert_eq!(paid[0]["body"], received.body);
    assert_eq!((&paid[0]["outcome"], &paid[0]["status"]), (&json!("answered"), &json!(204)));
    assert_eq!(list(&sim, "deliveries").await, paid);
    assert_eq!(list(&sim, "links").await[0]["state"], "fulfilled");
    assert_eq!(list(&sim, "balances").await, json!({ "SYP": "10000000", "USD": "1010.50" }));
    let requests = list(&sim, "requests").await;
    assert_eq!(requests[0]["path"], "/wallet/createPaymentLink");
    assert!(!requests.to_string().contains(sim.api_key()));

    let arm = json!({ "fault": "answer_status:503", "times": 2 });
    assert_eq!(control(&sim, "fault", arm).await.status(), 200);
    let until = json!({ "fault": "html_answer", "times": "until_cleared" });
    assert_eq!(control(&sim, "fault", until).await.status(), 200);
    assert_eq!(call(&sim, "/wallet/get-merchant-wallets", &Value::Null).await.status(), 503);
    let armed = json!([
        { "fault": "answer_status:503", "times": 1 },
        { "fault": "html_answer", "times": null },
    ]);
    assert_eq!(list(&sim, "faults").await, armed);
    assert_eq!(control(&sim, "clear_faults", json!({})).await.status(), 200);
    assert_eq!(list(&sim, "faults").await, json!([]));

    let spoken = control(&sim, "dialect", json!({ "dialect": "plugin" })).await;
    assert_eq!(spoken.json(), json!({ "dialect": "plugin" }));
    assert_eq!(sim.dialect(), Dialect::Plugin);

    let body = json!({ "url": receiver.url, "amount": "7", "ref": "r", "order_id": "o-1" });
    let triggered = control(&sim, "trigger", body).await.json();
    let event = sim.webhook().verify(receiver.next().await.body).unwrap();
    assert_eq!((event.order_id(), triggered["order_id"].as_str()), ("o-1", Some("o-1")));

    for (name, body, status) in [
        ("pay", json!({ "link": id }), 409),
        ("pay", json!({ "link": "nothing" }), 404),
        ("pay", json!({}), 400),
        ("fault", json!({ "fault": "no_such" }), 400),
        ("fault", json!({ "fault": "half_body", "times": "x" }), 400),
        ("webhook_url", json!({ "url": "ftp://x" }), 400),
        ("dialect", json!({ "dialect": "php" }), 400),
        ("dialect", json!({}), 400),
        ("trigger", json!({ "url": "file:///x", "amount": "1" }), 400),
        ("trigger", json!({ "url": receiver.url, "amount": "-1" }), 400),
        ("no_such", json!({}), 400),
        ("pay", json!([]), 400),
    ] {
        let answer = control(&sim, name, body).await;
        assert_eq!(answer.status(), status, "{name}");
        assert!(answer.json()["error"].is_string());
    }
    assert_eq!(receiver.rest(), 0);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let sim = Simulator::start().await.unwrap();
    let mut body = link_body(&sim);
    body["ref"] = json!("x".repeat(70 * 1024));
    let answer = call(&sim, "/wallet/createPaymentLink", &body).await;
    assert_eq!(answer.status(), 413);
}
