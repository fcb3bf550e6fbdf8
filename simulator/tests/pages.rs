//! The pages as people meet them: what they show, what their forms do, and whether everyone can use
//! them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod support;

use std::collections::BTreeSet;

use kazawallet_simulator::{Dialect, Fault, LinkState, Simulator, Trigger};
use serde_json::{Value, json};
use support::html::{Form, forms, tags};
use support::{
    Message, Receiver, call, create_link, dashboard_cookie, get, link_body, payout_body, post_form,
    try_call,
};

const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror='x'>";
const PAYOUT: &str = "/wallet/createWithdrawalRequest";

async fn dashboard_page(sim: &Simulator, path: &str) -> Message {
    get(sim, path, &[("cookie", &dashboard_cookie(sim).await)]).await
}

async fn dashboard(sim: &Simulator) -> Message {
    dashboard_page(sim, "/__simulator/").await
}

/// The form that sends this value in this field.
fn form_with(page: &Message, name: &str, value: &str) -> Form {
    let found = forms(&page.body).into_iter().find(|form| form.field(name) == Some(value));
    found.unwrap_or_else(|| panic!("no form has {name}={value}"))
}

async fn press(sim: &Simulator, form: &Form, button: &str) -> Message {
    post_form(sim, &form.action, &form.pressed(button)).await
}

/// A simulator on which everything has happened, with hostile text wherever text can come from.
async fn busy() -> (Simulator, Receiver, Vec<String>) {
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{HOSTILE}", HOSTILE.len());
    let receiver = Receiver::answering(answer).await;
    let url = format!("{}?x=\"><script>", receiver.url);
    let sim =
        Simulator::builder().webhook_url(url).another_merchant("b@<b>").start().await.unwrap();
    let mut body = link_body(&sim);
    body["ref"] = json!(HOSTILE);
    body[HOSTILE] = json!(HOSTILE);
    let mut paths = Vec::new();
    for _ in 0..3 {
        paths.push(create_link(&sim, &body).await);
    }
    sim.pay(&paths[0]).await.unwrap();
    for fault in [Fault::StatusChanged, Fault::AnswerStatus(500), Fault::CurrencyChanged] {
        sim.fault(fault).unwrap();
    }
    sim.time_out(&paths[1]).await.unwrap();
    let hostile = Trigger::to(&receiver.url, "1".parse().unwrap())
        .reference(HOSTILE)
        .order_id(HOSTILE)
        .currency(HOSTILE);
    sim.trigger(hostile).await.unwrap();
    let mut payout = payout_body(&sim);
    payout["fields"][HOSTILE] = json!(HOSTILE);
    payout["paymentMethod"] = json!(HOSTILE);
    for _ in 0..2 {
        call(&sim, PAYOUT, &payout).await;
    }
    sim.fault_until_cleared(Fault::HtmlAnswer).unwrap();
    let mut all: Vec<String> =
        ["/", "/pay/unknown", "/pay/unknown?lang=ar", "/__simulator/", "/__simulator/deliveries/9"]
            .map(str::to_owned)
            .into();
    all.extend((1..=3).map(|id| format!("/__simulator/deliveries/{id}")));
    for path in paths {
        all.extend(["ar", "en"].map(|language| format!("{path}?lang={language}")));
    }
    (sim, receiver, all)
}

#[tokio::test]
async fn everyone_can_find_their_way_on_every_page() {
    let (sim, _receiver, paths) = busy().await;
    for path in paths {
        let page = dashboard_page(&sim, &path).await;
        let tags = tags(&page.body);
        let named = |name: &str| tags.iter().filter(|tag| tag.name == name).collect::<Vec<_>>();
        let html = named("html")[0];
        let language = if path.ends_with("lang=ar") { ("ar", "rtl") } else { ("en", "ltr") };
        assert_eq!((html.get("lang"), html.get("dir")), language, "{path}");
        assert_eq!(page.header("content-language"), Some(language.0));
        for once in ["title", "header", "main", "h1"] {
            assert_eq!(named(once).len(), 1, "{once} on {path}");
        }
        assert!(!named("title")[0].text.trim().is_empty());

        // Headings leave out no level.
        let mut above = 0;
        for level in tags.iter().filter_map(|tag| tag.name.strip_prefix('h')?.parse().ok()) {
            assert!(level <= above + 1, "h{level} after h{above} on {path}");
            above = level;
        }
        // Whatever refers to something refers to what is there, once.
        let with_id: Vec<&str> =
            tags.iter().map(|tag| tag.get("id")).filter(|id| !id.is_empty()).collect();
        let ids: BTreeSet<&str> = with_id.iter().copied().collect();
        assert_eq!(ids.len(), with_id.len(), "an id stands twice on {path}");
        for tag in &tags {
            for reference in ["for", "aria-labelledby", "aria-describedby"] {
                let target = tag.get(reference);
                assert!(target.is_empty() || ids.contains(target), "{target} on {path}");
            }
            if let Some(target) = tag.get("href").strip_prefix('#') {
                assert!(ids.contains(target), "#{target} on {path}");
            }
        }
        // Every field has a label, every button and every link has words.
        let labelled: BTreeSet<&str> = named("label").iter().map(|tag| tag.get("for")).collect();
        for tag in &tags {
            let hidden = tag.get("type") == "hidden";
            if ["input", "select", "textarea"].contains(&&*tag.name) && !hidden {
                assert!(labelled.contains(tag.get("id")), "{tag:?} on {path}");
            }
            if tag.name == "button" {
                assert!(!tag.text.trim().is_empty(), "{tag:?} on {path}");
            }
        }
    }
}

#[tokio::test]
async fn no_page_holds_what_others_wrote_or_anything_from_elsewhere() {
    let (sim, _receiver, paths) = busy().await;
    // What the pages are written in. Anything else came from outside.
    let known = "!doctype html head meta title link body header main nav section h1 h2 h3 p strong \
        a dl dt dd bdi code form input button fieldset legend label select option textarea table \
        caption thead tbody tr th td div span ul ol li details summary pre";
    let known: BTreeSet<&str> = known.split_whitespace().collect();
    for path in paths {
        let page = dashboard_page(&sim, &path).await;
        for tag in tags(&page.body) {
            assert!(known.contains(tag.name.trim_start_matches('/')), "{tag:?} on {path}");
            for name in tag.attributes.keys() {
                let acts = name.starts_with("on") || ["style", "src", "srcset"].contains(&&**name);
                assert!(!acts, "{tag:?} on {path}");
            }
            for address in ["href", "action"] {
                let own = tag.get(address);
                let here = (own.starts_with('/') && !own.starts_with("//")) || own.starts_with('#');
                assert!(!tag.has(address) || here, "{tag:?} on {path}");
            }
        }
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        for secret in [sim.api_key(), sim.api_secret()] {
            assert!(!page.body.contains(secret), "{path}");
        }
    }
    // It is shown, and not thrown away.
    let shown = "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;";
    assert!(dashboard(&sim).await.body.contains(shown));
    assert!(dashboard_page(&sim, "/__simulator/deliveries/1").await.body.contains(shown));
}

#[tokio::test]
async fn a_faults_form_arms_it_and_its_button_clears_it() {
    let sim = Simulator::start().await.unwrap();
    let page = dashboard(&sim).await;
    for fault in Fault::ALL {
        let form = form_with(&page, "fault", fault.as_str());
        let answer = press(&sim, &form, "Once").await;
        assert_eq!(answer.status(), 303);
        assert_eq!(answer.header("location"), Some("/__simulator/?done=fault#faults"));
    }
    let armed = dashboard(&sim).await;
    for fault in Fault::ALL {
        assert!(armed.body.contains(&format!("<code>{fault}</code>, once")), "{fault}");
    }
    // They wait in line, each for its turn; the last is played last.
    assert_eq!(
        press(&sim, &form_with(&armed, "fault", "answer_late:2000"), "Clear").await.status(),
        303
    );
    assert!(try_call(&sim, PAYOUT, &payout_body(&sim)).await.is_err());
    let everything = forms(&armed.body)
        .into_iter()
        .find(|form| form.action.ends_with("/clear_faults") && form.field("fault").is_none());
    press(&sim, &everything.unwrap(), "Clear all").await;
    assert!(dashboard(&sim).await.body.contains("None: everything is answered"));
    assert_eq!(call(&sim, PAYOUT, &payout_body(&sim)).await.status(), 200);

    // With a value of one's own, and for as long as nobody clears it.
    let mut form = form_with(&page, "fault", "answer_status");
    form.fill("value", "429");
    press(&sim, &form, "Until cleared").await;
    for _ in 0..3 {
        assert_eq!(call(&sim, PAYOUT, &payout_body(&sim)).await.status(), 429);
    }
    let armed = dashboard(&sim).await;
    assert!(armed.body.contains("<code>answer_status:429</code>, until cleared"));
    press(&sim, &form_with(&armed, "fault", "answer_status:429"), "Clear").await;
    assert_eq!(call(&sim, PAYOUT, &payout_body(&sim)).await.status(), 200);
    form.fill("value", "200");
    let refused = press(&sim, &form, "Once").await;
    assert_eq!(refused.status(), 400);
    assert!(refused.body.contains("role=\"alert\"") && refused.body.contains("400 to 599"));
}

#[tokio::test]
async fn the_dashboard_shows_the_dialect_and_changes_it() {
    let sim = Simulator::start().await.unwrap();
    let page = dashboard(&sim).await;
    let mut form = form_with(&page, "dialect", "documented");
    for dialect in [Dialect::Plugin, Dialect::Both, Dialect::Documented] {
        form.fill("dialect", dialect.as_str());
        let answer = press(&sim, &form, "Set").await;
        assert_eq!(answer.header("location"), Some("/__simulator/?done=dialect#setup"));
        assert_eq!(sim.dialect(), dialect);
        let page = dashboard_page(&sim, "/__simulator/?done=dialect").await;
        assert!(page.body.contains("The dialect is set."));
        form_with(&page, "dialect", dialect.as_str());
    }
    form.fill("dialect", "php");
    let refused = press(&sim, &form, "Set").await;
    assert_eq!(refused.status(), 400);
    assert!(refused.body.contains("there are documented, plugin, both"), "{}", refused.body);

    // Both names are among the fields that are signed.
    sim.set_dialect(Dialect::Both);
    let path = create_link(&sim, &link_body(&sim)).await;
    sim.pay(&path).await.unwrap();
    let page = dashboard_page(&sim, "/__simulator/deliveries/1").await;
    assert!(page.body.contains("They are equal: the signature holds."));
    let (_, rows) = page.body.split_once("id=\"covered\"").unwrap();
    let rows: Vec<&str> = rows.split("<tr role=\"row\">").skip(2).take(2).collect();
    for (row, name) in rows.iter().zip(["order_id", "id"]) {
        assert!(row.contains(&format!("<code>{name}</code>")) && row.contains("yes"), "{row}");
    }
}

#[tokio::test]
async fn a_link_is_paid_on_the_dashboard_and_the_page_says_so() {
    let mut receiver = Receiver::start(200).await;
    let sim = Simulator::start().await.unwrap();
    let mut form = form_with(&dashboard(&sim).await, "url", "");
    form.fill("url", &receiver.url);
    assert_eq!(press(&sim, &form, "Set").await.status(), 303);
    for (button, state) in [("Pay", LinkState::Paid), ("Let it time out", LinkState::TimedOut)] {
        let path = create_link(&sim, &link_body(&sim)).await;
        let id = path.strip_prefix("/pay/").unwrap();
        let page = dashboard(&sim).await;
        let of_link = forms(&page.body).into_iter().filter(|form| form.field("link") == Some(id));
        let form = of_link.into_iter().find(|form| form.buttons[0].0 == button).unwrap();
        let answer = press(&sim, &form, button).await;
        let next = answer.header("location").unwrap();
        assert!(next.ends_with("#links"), "{next}");
        let next = dashboard_page(&sim, next.split('#').next().unwrap()).await;
        assert!(next.body.contains("role=\"status\""));
        assert_eq!(sim.links().last().unwrap().state, state);
        receiver.next().await;
    }
    // What the address says is not repeated.
    let odd = dashboard_page(&sim, "/__simulator/?done=%3Cscript%3E").await;
    assert!(odd.status() == 200 && !odd.body.contains("role=\"status\""));
}

#[tokio::test]
async fn a_deliverys_page_shows_its_bytes_the_answer_and_each_step_of_the_signature() {
    let body = "{\"received\":true}";
    let answer = format!("HTTP/1.1 202 X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut receiver = Receiver::answering(answer).await;
    let sim =
        Simulator::builder().api_key("sim_key").api_secret("sim_secret").start().await.unwrap();
    let mut form = form_with(&dashboard(&sim).await, "ref", "order-42");
    for (name, value) in [("url", &*receiver.url), ("amount", "7"), ("order_id", "o-1")] {
        form.fill(name, value);
    }
    let answer = press(&sim, &form, "Send").await;
    assert_eq!(answer.header("location"), Some("/__simulator/deliveries/1"));
    let received = receiver.next().await;
    let page = dashboard_page(&sim, "/__simulator/deliveries/1").await;
    assert_eq!(page.status(), 200);

    let tags = tags(&page.body);
    let copied = tags.iter().find(|tag| tag.name == "textarea").unwrap();
    assert_eq!(copied.text, received.body);
    assert!(copied.has("readonly"));
    for shown in ["<code>application/json</code>", "answered 202", "<dt>It took</dt>"] {
        assert!(page.body.contains(shown), "{shown}");
    }
    assert!(page.body.contains(&format!("{} bytes", received.body.len())));
    assert!(page.body.contains("{&quot;received&quot;:true}"));
    assert!(page.body.contains("0000  7b 22 6f 72 64 65 72 5f 69 64"));

    // Computed apart: base64(HMAC-SHA512("sim_secret", SHA-256("7:::o-1:::sim_key"))).
    let digest = "848d9af44c65afea7d461e530fd47476c36248f25eea9d1d47d353d01e52496c";
    let signature = "W3JASW6dWe4cUCYQUtqMH/MaYugfzxHGd3SnVEn3HcdQ7lJHKg1PqehgbkS6mG4iCscEaF4XFY3Ve\
        F1TmJMLTg==";
    assert_eq!(received.json()["secret"], signature);
    let steps: Vec<&str> = page.body.split("<li>").skip(1).collect();
    let wanted = ["7:::o-1:::***", digest, signature, signature];
    for (step, wanted) in steps.iter().zip(wanted) {
        assert!(step.contains(&format!("<p><code>{wanted}</code></p>")), "{step}");
    }
    assert_eq!(steps.len(), wanted.len());
    assert!(page.body.contains("the signature holds"));
    assert!(!page.body.contains("sim_key") && !page.body.contains("sim_secret"));
    // And which fields it does not cover.
    let (_, rest) = page.body.split_once("id=\"covered\"").unwrap();
    let rows: Vec<(&str, bool)> = rest
        .split("<tr role=\"row\">")
        .skip(2)
        .map(|row| {
            let name = row.split_once("<code>").unwrap().1.split_once('<').unwrap().0;
            (name, row.contains("<strong>no</strong>"))
        })
        .collect();
    let wanted = [
        ("order_id", false),
        ("secret", false),
        ("amount", false),
        ("ref", true),
        ("status", true),
        ("currency", true),
    ];
    assert_eq!(rows, wanted);
}

#[tokio::test]
async fn a_time_out_of_zero_is_sent_from_the_dashboard() {
    let mut receiver = Receiver::start(200).await;
    let sim = Simulator::start().await.unwrap();
    let mut form = form_with(&dashboard(&sim).await, "ref", "order-42");
    for (name, value) in [("url", &*receiver.url), ("amount", "0"), ("status", "timed_out")] {
        form.fill(name, value);
    }
    assert_eq!(press(&sim, &form, "Send").await.status(), 303);
    let event = sim.webhook().verify(receiver.next().await.body).unwrap();
    assert_eq!((event.amount().as_str(), event.status().as_str()), ("0", "timed_out"));
    let page = dashboard_page(&sim, "/__simulator/deliveries/1").await;
    assert!(page.body.contains("They are equal: the signature holds."));
}

#[tokio::test]
async fn a_changed_field_is_named_beside_the_signature_that_still_holds() {
    let receiver = Receiver::start(200).await;
    for (fault, changed, truth) in
        [(Fault::StatusChanged, "timed_out", "fulfilled"), (Fault::CurrencyChanged, "SYP", "USD")]
    {
        let sim =
            Simulator::builder().webhook_url(&receiver.url).fault(fault).start().await.unwrap();
        let path = create_link(&sim, &link_body(&sim)).await;
        sim.pay(&path).await.unwrap();
        let page = dashboard_page(&sim, "/__simulator/deliveries/1").await;
        let text =
            format!("<code>{changed}</code>, although the link&#39;s own is <code>{truth}</code>");
        let text = text.replace("&#39;", "'");
        assert!(page.body.contains(&text), "{text}");
        assert!(page.body.contains("They are equal: the signature holds."));
        assert!(page.body.contains(&format!("<code>{fault}</code>")));
    }
    for fault in [Fault::FormEncoded, Fault::AmountAsNumber] {
        let sim =
            Simulator::builder().webhook_url(&receiver.url).fault(fault).start().await.unwrap();
        let path = create_link(&sim, &link_body(&sim)).await;
        let delivery = sim.pay(&path).await.unwrap().remove(0);
        let page = dashboard_page(&sim, "/__simulator/deliveries/1").await;
        let tags = tags(&page.body);
        let copied = tags.iter().find(|tag| tag.name == "textarea").unwrap();
        assert_eq!(copied.text, delivery.body);
        assert!(page.body.contains("They are equal: the signature holds."), "{fault}");
    }
}

#[tokio::test]
async fn a_delivery_that_was_not_answered_says_so() {
    let sim = Simulator::start().await.unwrap();
    let path = create_link(&sim, &link_body(&sim)).await;
    sim.pay(&path).await.unwrap();
    let page = dashboard_page(&sim, "/__simulator/deliveries/1").await;
    assert!(page.body.contains("not sent: no webhook URL is set"));
    for id in ["0", "2", "x", "%3Cb%3E"] {
        let page = dashboard_page(&sim, &format!("/__simulator/deliveries/{id}")).await;
        assert_eq!(page.status(), 404, "{id}");
    }
    let refused = get(&sim, "/__simulator/deliveries/1", &[]).await;
    assert_eq!(refused.status(), 403);
    assert!(!refused.body.contains("order-42"));
}

#[tokio::test]
async fn a_shop_that_is_slow_with_the_rest_of_its_answer_has_answered() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"received\":".to_owned();
    let receiver = Receiver::answering(answer).await;
    let sim = Simulator::builder().webhook_url(&receiver.url).start().await.unwrap();
    let path = create_link(&sim, &link_body(&sim)).await;
    let delivery = sim.pay(&path).await.unwrap().remove(0);
    assert_eq!(delivery.answered(), Some(200));
    let page = dashboard_page(&sim, "/__simulator/deliveries/1").await;
    assert!(page.body.contains("{&quot;received&quot;:</pre>"));
}

#[tokio::test]
async fn a_shop_that_answers_with_the_keys_does_not_get_them_shown() {
    let (key, secret) = ("sim_echoed_key", "sim_echoed_secret");
    let body = format!("{key} and {secret}");
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let receiver = Receiver::answering(answer).await;
    let builder = Simulator::builder().webhook_url(&receiver.url).api_key(key).api_secret(secret);
    let sim = builder.start().await.unwrap();
    let path = create_link(&sim, &link_body(&sim)).await;
    sim.pay(&path).await.unwrap();
    let page = dashboard_page(&sim, "/__simulator/deliveries/1").await;
    assert!(page.body.contains("*** and ***") && !page.body.contains("sim_echoed"));
}

#[tokio::test]
async fn each_withdrawal_is_listed_with_what_became_of_it() {
    let sim = Simulator::start().await.unwrap();
    let body = payout_body(&sim);
    call(&sim, PAYOUT, &body).await;
    for fault in [Fault::CloseAfterActing, Fault::CloseBeforeActing] {
        sim.fault(fault).unwrap();
        try_call(&sim, PAYOUT, &body).await.unwrap_err();
    }
    let mut dear = body;
    dear["currency"] = json!("USD");
    assert_eq!(call(&sim, PAYOUT, &dear).await.status(), 400);
    assert_eq!(call(&sim, "/wallet/get-merchant-wallets", &Value::Null).await.status(), 200);

    let page = dashboard(&sim).await;
    let (_, section) = page.body.split_once("id=\"withdrawals\"").unwrap();
    let (section, _) = section.split_once("</section>").unwrap();
    let rows: Vec<&str> = section.split("<tr role=\"row\">").skip(2).collect();
    let wanted = [
        "<strong>refused</strong>: Insufficient balance",
        "<strong>not paid</strong>: <code>close_before_acting</code> came before",
        "<strong>paid</strong>, though the shop may not know: <code>close_after_acting</code>",
        "<strong>paid</strong></div>",
    ];
    assert_eq!(rows.len(), wanted.len());
    for (row, wanted) in rows.iter().zip(wanted) {
        assert!(row.contains(wanted), "{row}");
    }
    for shown in ["500000 SYP", "37: Haram", "<code>phone</code>: <bdi>0912345678</bdi>", "دمشق"]
    {
        assert!(rows[3].contains(shown), "{shown}");
    }
    assert!(page.body.contains("9000000"), "the balance after two payouts");
}

#[tokio::test]
async fn a_page_of_an_earlier_start_is_told_so() {
    let sim = Simulator::start().await.unwrap();
    let mut form = form_with(&dashboard(&sim).await, "fault", "half_body");
    form.fill("token", &"0".repeat(32));
    let refused = press(&sim, &form, "Once").await;
    assert_eq!(refused.status(), 403);
    assert!(refused.body.contains("earlier start") && !refused.body.contains(sim.control_token()));
}

#[tokio::test]
async fn the_checkout_says_what_the_link_is_and_what_follows() {
    let sim = Simulator::start().await.unwrap();
    let mut body = link_body(&sim);
    body["amount"] = json!("10000000");
    body["currency"] = json!("SYP");
    let path = create_link(&sim, &body).await;
    let id = path.strip_prefix("/pay/").unwrap();
    for (language, pay, time_out, back, no_webhook) in [
        ("ar", "ادفع", "محاكاة انتهاء المهلة", "العودة إلى", "لن يُبلَّغ المتجر"),
        ("en", "Pay", "Let it time out", "back to", "the shop will not be told"),
    ] {
        let page = get(&sim, &format!("{path}?lang={language}"), &[]).await;
        assert!(page.body.contains("<bdi dir=\"ltr\">10,000,000 SYP</bdi>"));
        assert!(page.body.contains("<bdi>order-42</bdi>") && page.body.contains(id));
        assert!(page.body.contains(&format!("{back} <bdi dir=\"ltr\">shop.example</bdi>")));
        assert!(page.body.contains(no_webhook));
        let form = forms(&page.body).remove(0);
        let words: Vec<&str> = form.buttons.iter().map(|(words, _)| &**words).collect();
        assert_eq!(words, [pay, time_out]);
    }
    sim.set_webhook_url(Some("http://127.0.0.1:1/")).unwrap();
    let page = get(&sim, &path, &[]).await;
    assert!(!page.body.contains("the shop will not be told"));
}

#[tokio::test]
async fn a_settled_link_says_what_became_of_it_and_leads_to_the_shop() {
    let sim = Simulator::start().await.unwrap();
    for (button, words) in [("Pay", "Paid"), ("Let it time out", "Timed out")] {
        let path = create_link(&sim, &link_body(&sim)).await;
        let back = format!("{path}/return?lang=en");
        let early = get(&sim, &back, &[]).await;
        assert_eq!(early.header("location"), Some(&*format!("{path}?lang=en")));

        let page = get(&sim, &path, &[]).await;
        let form = forms(&page.body).remove(0);
        assert_eq!(press(&sim, &form, button).await.status(), 303);
        // Pressed twice: the customer is not left without a way on.
        let again = press(&sim, &form, button).await;
        assert_eq!(again.status(), 409);
        assert!(again.body.contains("role=\"alert\""));
        for page in [again, get(&sim, &path, &[]).await] {
            assert!(page.body.contains("role=\"status\"") && forms(&page.body).is_empty());
            assert!(page.body.contains(&format!("<strong>{words}</strong>")));
            assert!(page.body.contains(&format!("href=\"{back}\"")));
        }
        let shop = get(&sim, &back, &[]).await;
        assert_eq!(shop.status(), 303);
        assert_eq!(shop.header("location"), Some("https://shop.example/thanks?order=42"));
    }
    assert_eq!(get(&sim, "/pay/unknown/return", &[]).await.status(), 404);
}

/// The relative luminance of `#rrggbb`, as WCAG defines it.
fn luminance(colour: &str) -> f64 {
    let channel = |place: usize| {
        let value = u8::from_str_radix(&colour[place..place + 2], 16).unwrap();
        let value = f64::from(value) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

#[tokio::test]
async fn the_colours_can_be_told_apart_by_light_and_in_the_dark() {
    let sim = Simulator::start().await.unwrap();
    let style = get(&sim, "/style.css", &[]).await.body;
    let (light, dark) = style.split_once("prefers-color-scheme: dark").unwrap();
    for scheme in [light, dark] {
        let colour = |name: &str| {
            let (_, rest) = scheme.split_once(&format!("--{name}: ")).unwrap();
            luminance(rest.split_once(';').unwrap().0)
        };
        // AA: 4.5 for text, 3 for what only has an edge.
        for (front, back, wanted) in [
            ("ink", "paper", 4.5),
            ("ink", "card", 4.5),
            ("ink", "soft", 4.5),
            ("muted", "paper", 4.5),
            ("muted", "card", 4.5),
            ("link", "paper", 4.5),
            ("link", "card", 4.5),
            ("on-accent", "accent", 4.5),
            ("on-good", "good", 4.5),
            ("on-warn", "warn", 4.5),
            ("edge", "paper", 3.0),
            ("edge", "card", 3.0),
            ("focus", "paper", 3.0),
            ("focus", "card", 3.0),
        ] {
            let (one, other) = (colour(front), colour(back));
            let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
            assert!(contrast >= wanted, "{front} on {back}: {contrast:.2}");
        }
    }
}
