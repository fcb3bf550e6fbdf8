//! The dashboard's main page.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::faults;
use super::html::{duration, field, form, hidden, table};
use crate::dialect::Dialect;
use crate::page::escaped;
use crate::server::Shared;
use crate::state::{Link, LinkState, RecordedRequest, State};

/// The page shows this many of each; the API shows them all.
const SHOWN: usize = 50;

/// The sections by their id, in order.
const SECTIONS: [(&str, &str); 7] = [
    ("links", "Payment links"),
    ("deliveries", "Deliveries"),
    ("withdrawals", "Withdrawals"),
    ("balances", "Balances"),
    ("faults", "Faults"),
    ("trigger", "Send one delivery"),
    ("requests", "Requests"),
];

/// Where on the page an action's outcome is to be seen.
pub(super) fn section_of(action: &str) -> &'static str {
    match action {
        "pay" | "time_out" => "links",
        "fault" | "clear_faults" => "faults",
        "webhook_url" | "dialect" => "setup",
        _ => "trigger",
    }
}

/// What an action's form has done. The words are fixed: the address that carries the action's name
/// could come from anywhere.
fn done_text(action: &str) -> Option<&'static str> {
    Some(match action {
        "pay" => "The link was paid.",
        "time_out" => "The link has timed out.",
        "fault" => "The fault is armed.",
        "clear_faults" => "Cleared.",
        "webhook_url" => "The webhook URL is set.",
        "dialect" => "The dialect is set.",
        _ => return None,
    })
}

/// The page's HTML. What comes from outside is escaped where it is put in.
pub(super) fn html(shared: &Shared, done: Option<&str>) -> String {
    let state = shared.state();
    let token = &shared.settings.control_token;
    let done = done.and_then(|action| Some((section_of(action), done_text(action)?)));
    let mut html =
        String::from("<h1>Kazawallet simulator</h1>\n<nav aria-label=\"Sections\"><ul>\n");
    html.push_str("<li><a href=\"/__simulator/\">Refresh</a></li>\n");
    for (id, name) in SECTIONS {
        let _ = writeln!(html, "<li><a href=\"#{id}\">{name}</a></li>");
    }
    html.push_str("</ul></nav>\n");
    let mut section = |id: &str, name: &str, inside: &str| {
        // The heading can be gone to, so that the keyboard goes on from there.
        let _ = write!(
            html,
            "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\" tabindex=\"-1\">{name}</h2>\n"
        );
        if let Some((_, text)) = done.filter(|(section, _)| *section == id) {
            let _ = writeln!(html, "<p class=\"result paid\" role=\"status\">{text}</p>");
        }
        let _ = writeln!(html, "{inside}</section>");
    };
    section("setup", "Set-up", &setup(shared, &state));
    for (id, name) in SECTIONS {
        let inside = match id {
            "links" => links(token, &state),
            "deliveries" => deliveries(&state),
            "withdrawals" => withdrawals(&state),
            "balances" => balances(&state),
            "faults" => faults::html(shared, &state),
            "trigger" => trigger(token, &state),
            _ => requests(&state),
        };
        section(id, name, &inside);
    }
    html
}

fn setup(shared: &Shared, state: &State) -> String {
    let webhook_url = state.webhook_url.as_deref().unwrap_or_default();
    let mut html = format!(
        "<dl>\n<dt>Base URL</dt><dd><code>{url}/wallet</code></dd>\n\
         <dt>Merchant</dt><dd>{merchant}</dd>\n\
         <dt>Keys</dt><dd>printed where the simulator was started</dd>\n</dl>\n",
        url = escaped(&shared.origin()),
        merchant = escaped(&shared.settings.default_merchant),
    );
    let inside =
        field("webhook-url", "Webhook URL", "url", webhook_url, "type=\"url\" size=\"40\"");
    let inside = format!("{inside}<button>Set</button>");
    html.push_str(&form(&shared.settings.control_token, "webhook_url", &inside));
    html.push_str(&form(&shared.settings.control_token, "dialect", &dialect(state.dialect)));
    if webhook_url.is_empty() {
        html.push_str(
            "<p class=\"warning\">No webhook URL is set: deliveries are made, and go nowhere.</p>\n",
        );
    }
    if let Some(armed) = state.faults.first() {
        let more = match state.faults.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let _ = writeln!(
            html,
            "<p class=\"warning\">A fault is armed: <code>{}</code>, {}{more}. \
             <a href=\"#faults\">See the faults</a></p>",
            armed.fault,
            faults::times(armed)
        );
    }
    html
}

/// The field that shows which dialect is spoken, and chooses another.
fn dialect(spoken: Dialect) -> String {
    let options = Dialect::ALL.into_iter().fold(String::new(), |mut options, dialect| {
        let selected = if dialect == spoken { " selected" } else { "" };
        let carries = dialect.id_fields().join(" and ");
        let _ = write!(
            options,
            "<option value=\"{dialect}\"{selected}>{dialect}: a webhook carries {carries}</option>"
        );
        options
    });
    format!(
        "<p class=\"field\"><label for=\"dialect\">Dialect</label>\
         <select id=\"dialect\" name=\"dialect\">{options}</select></p>\n<button>Set</button>"
    )
}

fn links(token: &str, state: &State) -> String {
    let mut html = String::new();
    let mut links: Vec<&Link> = state.links.values().collect();
    links.sort_by_key(|link| std::cmp::Reverse(link.number));
    table(
        &mut html,
        "Payment links, newest first.",
        &["Link", "Amount", "Reference", "State", "Do"],
        links.into_iter().take(SHOWN).map(|link| {
            let id = escaped(&link.id);
            let button = |action, name| {
                let inside = format!(
                    "{}<button aria-describedby=\"link-{id}\">{name}</button>",
                    hidden("link", &link.id)
                );
                form(token, action, &inside)
            };
            let forms = if link.state == LinkState::Open {
                format!(
                    "<div class=\"buttons\">{}{}</div>",
                    button("pay", "Pay"),
                    button("time_out", "Let it time out")
                )
            } else {
                "settled".to_owned()
            };
            vec![
                format!("<a id=\"link-{id}\" href=\"/pay/{id}\"><code>{id}</code></a>"),
                format!("{} {}", escaped(link.amount.as_str()), escaped(&link.currency)),
                format!("<bdi>{}</bdi>", escaped(link.reference.as_deref().unwrap_or_default())),
                format!("<code>{}</code>", link.state.as_str()),
                forms,
            ]
        }),
    );
    html
}

fn deliveries(state: &State) -> String {
    let mut html = String::new();
    table(
        &mut html,
        "Webhooks, newest first. Each is sent once, whatever the answer.",
        &["Delivery", "Order", "Outcome", "Took", "Fault"],
        state.deliveries.iter().rev().take(SHOWN).map(|delivery| {
            vec![
                format!(
                    "<a href=\"/__simulator/deliveries/{id}\">Delivery {id}: bytes and signature</a>",
                    id = delivery.id
                ),
                format!("<code>{}</code>", escaped(&delivery.order_id)),
                escaped(&delivery.outcome.to_string()),
                duration(delivery.took),
                name_of(delivery.fault),
            ]
        }),
    );
    html
}

fn name_of(fault: Option<crate::Fault>) -> String {
    fault.map_or_else(|| "none".to_owned(), |fault| format!("<code>{fault}</code>"))
}

fn withdrawals(state: &State) -> String {
    let mut html = String::new();
    let asked = state.requests.iter().rev().filter(|request| {
        request.method == "POST" && request.path == "/wallet/createWithdrawalRequest"
    });
    table(
        &mut html,
        "Withdrawals, newest first, those that were refused too.",
        &["Request", "Amount", "Method", "Fields", "State"],
        asked.take(SHOWN).map(|request| {
            let body: Map<String, Value> = serde_json::from_str(&request.body).unwrap_or_default();
            let text = |name: &str| body.get(name).map(plain).unwrap_or_default();
            let custom = body.get("fields").and_then(Value::as_object);
            let custom = custom.into_iter().flatten().fold(String::new(), |mut list, field| {
                let _ = write!(
                    list,
                    "<li><code>{}</code>: <bdi>{}</bdi></li>",
                    escaped(field.0),
                    escaped(&plain(field.1))
                );
                list
            });
            vec![
                request.id.to_string(),
                format!("{} {}", escaped(&text("amount")), escaped(&text("currency"))),
                method(&text("paymentMethod")),
                format!("<ul class=\"plain\">{custom}</ul>"),
                became(request),
            ]
        }),
    );
    html
}

/// A field's value as text, without the quotes of a string.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A payment method's id, and its name where that is known.
fn method(id: &str) -> String {
    let name = match id {
        "37" => ": Haram, up to 3,000,000 SYP",
        "35" => ": Haram, from 3,000,000 SYP on",
        "38" => ": SY Cash",
        _ => "",
    };
    format!("{}{name}", escaped(id))
}

/// What became of a withdrawal: whether money moved, and whether the shop was told.
fn became(request: &RecordedRequest) -> String {
    let fault = || name_of(request.fault);
    match (&request.own_answer, request.fault.is_some()) {
        (None, true) => format!("<strong>not paid</strong>: {} came before", fault()),
        (None, false) => "under way".to_owned(),
        (Some(own), _) if own.status >= 300 => {
            format!("<strong>refused</strong>: {}", escaped(&own.message))
        }
        (Some(_), false) => "<strong>paid</strong>".to_owned(),
        (Some(_), true) => {
            format!("<strong>paid</strong>, though the shop may not know: {}", fault())
        }
    }
}

fn balances(state: &State) -> String {
    let mut html = String::new();
    let rows = state.merchants.iter().flat_map(|(merchant, wallet)| {
        wallet.iter().map(move |(currency, amount)| {
            vec![escaped(merchant), escaped(currency), amount.to_string()]
        })
    });
    table(
        &mut html,
        "What each merchant's wallets hold.",
        &["Merchant", "Currency", "Balance"],
        rows,
    );
    html
}

fn trigger(token: &str, state: &State) -> String {
    let webhook_url = state.webhook_url.as_deref().unwrap_or_default();
    let mut inside =
        field("trigger-url", "To URL", "url", webhook_url, "type=\"url\" size=\"40\" required");
    for (id, label, name, value, attributes) in [
        (
            "trigger-amount",
            "Amount",
            "amount",
            "10.50",
            "size=\"10\" inputmode=\"decimal\" required",
        ),
        ("trigger-currency", "Currency", "currency", "USD", "size=\"6\""),
        ("trigger-ref", "Reference", "ref", "order-42", "size=\"14\""),
        ("trigger-order-id", "Order id, or a fresh one", "order_id", "", "size=\"26\""),
    ] {
        inside.push_str(&field(id, label, name, value, attributes));
    }
    inside.push_str(
        "<p class=\"field\"><label for=\"trigger-status\">Status</label>\
         <select id=\"trigger-status\" name=\"status\"><option>fulfilled</option>\
         <option>timed_out</option></select></p>\n<button>Send</button>",
    );
    format!(
        "<p>One signed delivery without a payment link behind it. Faults do not touch it.</p>\n{}",
        form(token, "trigger", &inside)
    )
}

fn requests(state: &State) -> String {
    let mut html = String::new();
    table(
        &mut html,
        "Requests to the API, newest first. Keys are masked.",
        &["No.", "Request", "Answer", "Fault", "Sent"],
        state.requests.iter().rev().take(SHOWN).map(|request| {
            let headers = request.headers.iter().fold(String::new(), |mut text, (name, value)| {
                let _ = writeln!(text, "{name}: {value}");
                text
            });
            let notes = request.notes.iter().fold(String::new(), |mut list, note| {
                let _ = write!(list, "<li>{}</li>", escaped(note));
                list
            });
            let notes =
                if notes.is_empty() { notes } else { format!("<ul class=\"plain\">{notes}</ul>") };
            vec![
                request.id.to_string(),
                format!("<code>{} {}</code>", escaped(&request.method), escaped(&request.path)),
                request.status.map_or_else(|| "none".to_owned(), |status| status.to_string()),
                name_of(request.fault),
                format!(
                    "{notes}<details><summary>Headers and body of request {}</summary>\
                     <pre dir=\"ltr\">\n{}\n{}</pre></details>",
                    request.id,
                    escaped(&headers),
                    escaped(&request.body)
                ),
            ]
        }),
    );
    html
}
