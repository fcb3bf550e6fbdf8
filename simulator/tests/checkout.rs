//! The checkout page: both languages, its own form, where it leads, what it does not let through.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod support;

use kazawallet_simulator::{LinkState, Simulator};
use serde_json::json;
use support::{Message, Receiver, create_link, get, link_body, post_form, send};

async fn press(sim: &Simulator, page: &Message, button: &str) -> Message {
    let fields = [("form_token", &*page.hidden("form_token")), ("action", button)];
    post_form(sim, &page.action(), &fields).await
}

#[tokio::test]
async fn paying_through_the_pages_own_form_delivers_once_and_leads_back() {
    let mut receiver = Receiver::start(200).await;
    let sim = Simulator::builder().webhook_url(&receiver.url).start().await.unwrap();
    let path = create_link(&sim, &link_body(&sim)).await;
    let page = get(&sim, &path, &[]).await;
    assert_eq!(page.status(), 200);
    let answer = press(&sim, &page, "pay").await;
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.header("location"), Some("https://shop.example/thanks?order=42"));

    let delivered = receiver.next().await;
    assert_eq!(delivered.header("content-type"), Some("application/json"));
    let event = sim.webhook().verify(&delivered.body).unwrap();
    assert!(event.is_fulfilled());
    assert_eq!(path, format!("/pay/{}", event.order_id()));
    assert_eq!(event.amount().as_str(), "10.50");
    assert_eq!((event.currency(), event.reference()), (Some("USD"), Some("order-42")));
    assert_eq!(sim.balance("USD"), "1010.50".parse().unwrap());

    // It does so once: the same form again changes nothing.
    let again = press(&sim, &page, "pay").await;
    assert_eq!(again.status(), 409);
    assert_eq!(press(&sim, &page, "time_out").await.status(), 409);
    assert_eq!(sim.balance("USD"), "1010.50".parse().unwrap());
    assert_eq!((receiver.rest(), sim.deliveries().len()), (0, 1));
    let paid = get(&sim, &path, &[]).await;
    assert!(paid.body.contains("Paid") && !paid.body.contains("<form"));
}

#[tokio::test]
async fn a_link_that_times_out_moves_no_money() {
    let mut receiver = Receiver::start(500).await;
    let sim = Simulator::builder().webhook_url(&receiver.url).start().await.unwrap();
    let path = create_link(&sim, &link_body(&sim)).await;
    let page = get(&sim, &path, &[]).await;
    assert_eq!(press(&sim, &page, "time_out").await.status(), 303);
    let event = sim.webhook().verify(receiver.next().await.body).unwrap();
    assert_eq!(event.status().as_str(), "timed_out");
    assert_eq!(event.amount().as_str(), "10.50");
    assert_eq!(sim.balance("USD"), "1000".parse().unwrap());
    assert_eq!(sim.links()[0].state, LinkState::TimedOut);
    // A receiver that fails gets no second try.
    assert_eq!(sim.deliveries()[0].answered(), Some(500));
    assert_eq!(receiver.rest(), 0);
}

#[tokio::test]
async fn the_page_speaks_arabic_and_english() {
    let sim = Simulator::start().await.unwrap();
    let path = create_link(&sim, &link_body(&sim)).await;
    let arabic = get(&sim, &format!("{path}?lang=ar"), &[]).await;
    assert!(arabic.body.contains("<html lang=\"ar\" dir=\"rtl\">"));
    assert!(arabic.body.contains("المبلغ") && arabic.body.contains("هذه ليست صفحة"));
    let english = get(&sim, &path, &[("accept-language", "en-GB,en;q=0.9,ar;q=0.5")]).await;
    assert!(english.body.contains("<html lang=\"en\" dir=\"ltr\">"));
    assert!(english.body.contains("This is not Kazawallet, and no money moves."));
    let liked = get(&sim, &path, &[("accept-language", "ar-SY, en;q=0.5")]).await;
    assert!(liked.body.contains("dir=\"rtl\""));
    for page in [&arabic, &english] {
        assert!(page.body.contains("10.50 USD") && page.body.contains("order-42"));
    }
    // Each leads to the other, and the form keeps the language.
    assert!(arabic.body.contains(&format!("{path}?lang=en")));
    assert!(english.body.contains(&format!("{path}?lang=ar")));
    let mut body = link_body(&sim);
    body.as_object_mut().unwrap().remove("redirectUrl");
    let path = create_link(&sim, &body).await;
    let page = get(&sim, &format!("{path}?lang=ar"), &[]).await;
    let answer = press(&sim, &page, "pay").await;
    assert_eq!(answer.header("location"), Some(&*format!("{path}?lang=ar")));
    let result = get(&sim, answer.header("location").unwrap(), &[]).await;
    assert!(result.body.contains("تم الدفع"));
}

#[tokio::test]
async fn only_http_and_https_are_redirected_to() {
    let sim = Simulator::start().await.unwrap();
    for (given, leads_to) in [
        ("http://localhost:3000/back", Some("http://localhost:3000/back")),
        ("https://shop.example", Some("https://shop.example/")),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("file:///etc/passwd", None),
        ("//evil.example", None),
        ("/relative", None),
        ("", None),
        ("https://shop.example/\r\nx: y", Some("https://shop.example/x:%20y")),
    ] {
        let mut body = link_body(&sim);
        body["redirectUrl"] = json!(given);
        let path = create_link(&sim, &body).await;
        let page = get(&sim, &path, &[]).await;
        assert!(!page.body.contains(given) || given.is_empty() || given == "/relative");
        let answer = press(&sim, &page, "pay").await;
        assert_eq!(answer.status(), 303, "{given}");
        let own = format!("{path}?lang=en");
        assert_eq!(answer.header("location"), Some(leads_to.unwrap_or(&own)), "{given}");
    }
}

#[tokio::test]
async fn everything_shown_is_escaped() {
    let sim = Simulator::start().await.unwrap();
    let mut body = link_body(&sim);
    body["ref"] = json!("<script>alert('x')</script>\"&");
    let path = create_link(&sim, &body).await;
    let page = get(&sim, &path, &[]).await;
    assert!(!page.body.contains("<script"));
    assert!(page.body.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"));
    let unknown = get(&sim, "/pay/%3Cscript%3E", &[]).await;
    assert_eq!(unknown.status(), 404);
    assert!(!unknown.body.contains("<script"));
}

#[tokio::test]
async fn no_other_page_can_send_the_form() {
    let sim = Simulator::start().await.unwrap();
    let path = create_link(&sim, &link_body(&sim)).await;
    let token = get(&sim, &path, &[]).await.hidden("form_token");
    let other = create_link(&sim, &link_body(&sim)).await;
    let other_token = get(&sim, &other, &[]).await.hidden("form_token");
    for fields in [
        vec![("action", "pay")],
        vec![("action", "pay"), ("form_token", "")],
        vec![("action", "pay"), ("form_token", &*other_token)],
    ] {
        assert_eq!(post_form(&sim, &path, &fields).await.status(), 403);
    }
    let fields = [("action", "steal"), ("form_token", &*token)];
    assert_eq!(post_form(&sim, &path, &fields).await.status(), 400);
    for origin in ["https://evil.example", "null", "http://localhost:1"] {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", origin)];
        let form = format!("action=pay&form_token={token}");
        let answer = send(sim.address(), "POST", &path, &headers, &form).await.unwrap();
        assert_eq!(answer.status(), 403, "{origin}");
    }
    assert!(sim.links().iter().all(|link| link.state == LinkState::Open));
    assert_eq!(sim.balance("USD"), "1000".parse().unwrap());
}

#[tokio::test]
async fn the_pages_load_nothing_from_elsewhere_and_cannot_be_framed() {
    let sim = Simulator::start().await.unwrap();
    let path = create_link(&sim, &link_body(&sim)).await;
    for path in ["/", &path, "/pay/unknown", "/__simulator/"] {
        let page = get(&sim, path, &[]).await;
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("referrer-policy"), Some("same-origin"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert!(page.body.contains("no money moves"));
        assert!(!page.body.contains("src="), "{}", page.body);
        assert!(!page.body.contains("style="));
        let away = page.body.matches("href=\"http").count();
        assert_eq!(away, 0);
    }
    let style = get(&sim, "/style.css", &[]).await;
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
    assert!(!style.body.contains("url("));
}
