//! The page and the JSON API that show what happened, and that drive the simulator.
//!
//! Both want the token of this start. The page's address carries it once, and is answered with a
//! cookie that only this page's path sees; a form carries it as a field; the API wants a header.
//! A cookie alone changes nothing.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State as FromState};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kazawallet::{Amount, Status};
use serde_json::{Map, Value, json};

use crate::delivery::{self, Delivery, DeliveryOutcome, Trigger};
use crate::fault::Fault;
use crate::page::{self, Language, escaped};
use crate::server::{Shared, one_header};
use crate::state::{Armed, Link, LinkState, RecordedRequest};
use crate::{Error, random};

static TOKEN: HeaderName = HeaderName::from_static("x-simulator-token");

/// The page shows this many requests and deliveries; the API shows them all.
const SHOWN: usize = 50;

/// Cookies do not know ports, so that two simulators need two names.
fn cookie_name(shared: &Shared) -> String {
    format!("simulator_{}", shared.settings.address.port())
}

fn is_token(shared: &Shared, given: &str) -> bool {
    random::same(given, &shared.settings.control_token)
}

fn refused() -> Response {
    let said = json!({ "error": "the control token is missing or wrong" });
    as_json(StatusCode::FORBIDDEN, &said)
}

fn as_json(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string())
        .into_response()
}

/// The page. With the token in its address it answers with the cookie and the address without.
pub(crate) async fn show(
    FromState(shared): FromState<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    let given = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token");
    if given.is_some_and(|(_, token)| is_token(&shared, &token)) {
        let cookie = format!(
            "{}={}; Path=/__simulator/; HttpOnly; SameSite=Strict",
            cookie_name(&shared),
            shared.settings.control_token
        );
        let headers =
            [(header::LOCATION, "/__simulator/".to_owned()), (header::SET_COOKIE, cookie)];
        return (StatusCode::SEE_OTHER, headers).into_response();
    }
    let name = cookie_name(&shared);
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let known = cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .any(|(cookie, token)| cookie == name && is_token(&shared, token));
    if !known {
        let text = "Open the dashboard at the address that was printed where the simulator was \
                    started: it carries the token.";
        let title = "Kazawallet simulator";
        return page::message(StatusCode::FORBIDDEN, Language::English, title, text);
    }
    page::page(
        StatusCode::OK,
        Language::English,
        "Kazawallet simulator",
        &dashboard(&shared),
        "'self'",
    )
}

/// `GET /__simulator/api/…`: what happened, as JSON.
pub(crate) async fn read(
    FromState(shared): FromState<Arc<Shared>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !one_header(&headers, &TOKEN).is_some_and(|given| is_token(&shared, given)) {
        return refused();
    }
    let state = shared.state();
    let found = match name.as_str() {
        "requests" => state.requests.iter().map(request_json).collect(),
        "deliveries" => state.deliveries.iter().map(delivery_json).collect(),
        "links" => {
            let mut links: Vec<&Link> = state.links.values().collect();
            links.sort_by_key(|link| link.number);
            links.into_iter().map(link_json).collect()
        }
        "faults" => state.faults.iter().map(armed_json).collect(),
        "balances" => {
            let wallet = state.merchants.get(&shared.settings.default_merchant);
            let amounts = wallet.into_iter().flatten();
            amounts.map(|(code, amount)| (code.clone(), json!(amount.to_string()))).collect()
        }
        _ => return as_json(StatusCode::NOT_FOUND, &json!({ "error": "there is no such list" })),
    };
    drop(state);
    as_json(StatusCode::OK, &found)
}

/// `POST /__simulator/api/…`: does something, as JSON asks or a form of the dashboard.
pub(crate) async fn control(
    FromState(shared): FromState<Arc<Shared>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let kind = one_header(&headers, &header::CONTENT_TYPE).unwrap_or_default();
    let is_form = kind.starts_with("application/x-www-form-urlencoded");
    let arguments = if is_form {
        let fields = form_urlencoded::parse(&body).into_owned();
        Some(Arguments(fields.map(|(name, value)| (name, Value::from(value))).collect()))
    } else if body.is_empty() {
        Some(Arguments(Map::new()))
    } else {
        match serde_json::from_slice(&body) {
            Ok(Value::Object(arguments)) => Some(Arguments(arguments)),
            _ => None,
        }
    };
    let header = one_header(&headers, &TOKEN).map(str::to_owned);
    let field = || arguments.as_ref().filter(|_| is_form)?.text("token");
    if !header.or_else(field).is_some_and(|given| is_token(&shared, &given)) {
        return refused();
    }
    let done = match arguments {
        Some(arguments) => act(&shared, &name, &arguments).await,
        None => Err(Error::Configuration("the body is not a JSON object".to_owned())),
    };
    match done {
        Ok(_) if is_form => {
            (StatusCode::SEE_OTHER, [(header::LOCATION, "/__simulator/")]).into_response()
        }
        Ok(answer) => as_json(StatusCode::OK, &answer),
        Err(error) => {
            let status = match error {
                Error::UnknownLink(_) => StatusCode::NOT_FOUND,
                Error::LinkSettled(_) => StatusCode::CONFLICT,
                _ => StatusCode::BAD_REQUEST,
            };
            if is_form {
                let title = "That did not work";
                page::message(status, Language::English, title, &error.to_string())
            } else {
                as_json(status, &json!({ "error": error.to_string() }))
            }
        }
    }
}

async fn act(shared: &Arc<Shared>, name: &str, given: &Arguments) -> Result<Value, Error> {
    match name {
        "pay" | "time_out" => {
            let as_state = if name == "pay" { LinkState::Paid } else { LinkState::TimedOut };
            let link = given.wanted("link")?;
            let (_, deliveries) = delivery::settle(shared, &link, as_state).await?;
            Ok(deliveries.iter().map(delivery_json).collect())
        }
        "fault" => {
            let fault: Fault = given.wanted("fault")?.parse()?;
            let times = match given.text("times").as_deref() {
                None => Some(1),
                Some("until_cleared") => None,
                Some(text) => Some(text.parse().map_err(|_| {
                    Error::Configuration("times is a number or until_cleared".to_owned())
                })?),
            };
            shared.state().arm(fault, times)?;
            Ok(json!({ "armed": fault.to_string() }))
        }
        "clear_faults" => {
            shared.state().faults.clear();
            Ok(json!({}))
        }
        "webhook_url" => {
            let url = given.text("url").map(|url| delivery::checked_url(&url)).transpose()?;
            shared.state().webhook_url.clone_from(&url);
            Ok(json!({ "url": url }))
        }
        "trigger" => {
            let amount: Amount = given.wanted("amount")?.parse()?;
            let mut trigger = Trigger::to(given.wanted("url")?, amount);
            if let Some(currency) = given.text("currency") {
                trigger = trigger.currency(currency);
            }
            if let Some(reference) = given.text("ref") {
                trigger = trigger.reference(reference);
            }
            if let Some(order_id) = given.text("order_id") {
                trigger = trigger.order_id(order_id);
            }
            if let Some(status) = given.text("status") {
                trigger = trigger.status(status_of(&status));
            }
            Ok(delivery_json(&delivery::trigger(shared, trigger).await?))
        }
        _ => Err(Error::Configuration(format!("there is no action {name:?}"))),
    }
}

fn status_of(text: &str) -> Status {
    match text {
        "fulfilled" => Status::Fulfilled,
        "timed_out" => Status::TimedOut,
        other => Status::Other(other.to_owned()),
    }
}

/// What an action is given: a JSON object's members, or a form's fields.
struct Arguments(Map<String, Value>);

impl Arguments {
    /// An argument as text, if it is there and not empty.
    fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn wanted(&self, name: &str) -> Result<String, Error> {
        self.text(name).ok_or_else(|| Error::Configuration(format!("{name} is missing")))
    }
}

fn request_json(request: &RecordedRequest) -> Value {
    json!({
        "id": request.id,
        "at_ms": millis(request.at),
        "method": request.method,
        "path": request.path,
        "headers": request.headers,
        "body": request.body,
        "status": request.status,
        "fault": request.fault.map(|fault| fault.to_string()),
        "notes": request.notes,
    })
}

fn delivery_json(delivery: &Delivery) -> Value {
    let (outcome, reason) = match &delivery.outcome {
        DeliveryOutcome::Pending => ("pending", None),
        DeliveryOutcome::Answered { .. } => ("answered", None),
        DeliveryOutcome::Failed { reason } => ("failed", Some(reason)),
        DeliveryOutcome::NotSent { reason } => ("not_sent", Some(reason)),
    };
    json!({
        "id": delivery.id,
        "at_ms": millis(delivery.at),
        "order_id": delivery.order_id,
        "url": delivery.url,
        "content_type": delivery.content_type,
        "body": delivery.body,
        "fault": delivery.fault.map(|fault| fault.to_string()),
        "outcome": outcome,
        "status": delivery.answered(),
        "reason": reason,
        "took_ms": millis(delivery.took),
    })
}

fn link_json(link: &Link) -> Value {
    json!({
        "id": link.id,
        "amount": link.amount.as_str(),
        "currency": link.currency,
        "ref": link.reference,
        "redirect_url": link.redirect_url,
        "state": link.state.as_str(),
    })
}

fn armed_json(armed: &Armed) -> Value {
    json!({ "fault": armed.fault.to_string(), "times": armed.times })
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The dashboard's HTML. What comes from outside is escaped where it is put in.
fn dashboard(shared: &Shared) -> String {
    let state = shared.state();
    let token = format!(
        "<input type=\"hidden\" name=\"token\" value=\"{}\">",
        escaped(&shared.settings.control_token)
    );
    let webhook_url = escaped(state.webhook_url.as_deref().unwrap_or_default());
    let mut html = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        html,
        "<h1>Kazawallet simulator</h1>\n<dl>\n\
         <dt>Base URL</dt><dd><code>{url}/wallet</code></dd>\n\
         <dt>Merchant</dt><dd>{merchant}</dd>\n\
         <dt>Keys</dt><dd>printed where the simulator was started</dd>\n</dl>\n\
         <p><a href=\"/__simulator/\">Refresh</a></p>\n\
         <form method=\"post\" action=\"/__simulator/api/webhook_url\">{token}\n\
         <label>Webhook URL <input type=\"url\" name=\"url\" size=\"40\" value=\"{webhook_url}\"></label>\n\
         <button>Set</button></form>\n<h2>Balances</h2>\n<dl>\n",
        url = escaped(&shared.origin()),
        merchant = escaped(&shared.settings.default_merchant),
    );
    let wallet = state.merchants.get(&shared.settings.default_merchant);
    for (currency, amount) in wallet.into_iter().flatten() {
        let _ = writeln!(html, "<dt>{}</dt><dd>{amount}</dd>", escaped(currency));
    }
    html.push_str("</dl>\n<h2>Payment links</h2>\n");
    let mut links: Vec<&Link> = state.links.values().collect();
    links.sort_by_key(|link| std::cmp::Reverse(link.number));
    table(
        &mut html,
        "Newest first.",
        &["Link", "Amount", "Reference", "State", ""],
        links.into_iter().take(SHOWN).map(|link| {
            let id = escaped(&link.id);
            let forms = if link.state == LinkState::Open {
                ["pay", "time_out"]
                    .map(|action| {
                        format!(
                            "<form method=\"post\" action=\"/__simulator/api/{action}\">{token}\
                             <input type=\"hidden\" name=\"link\" value=\"{id}\">\
                             <button>{}</button></form>",
                            if action == "pay" { "Pay" } else { "Time out" }
                        )
                    })
                    .concat()
            } else {
                String::new()
            };
            vec![
                format!("<a href=\"/pay/{id}\">{id}</a>"),
                format!("{} {}", escaped(link.amount.as_str()), escaped(&link.currency)),
                format!("<bdi>{}</bdi>", escaped(link.reference.as_deref().unwrap_or_default())),
                link.state.as_str().to_owned(),
                forms,
            ]
        }),
    );
    html.push_str("<h2>Deliveries</h2>\n");
    table(
        &mut html,
        "Webhooks, newest first. Each is sent once, whatever the answer.",
        &["No.", "Order", "Outcome", "Fault", "Body"],
        state.deliveries.iter().rev().take(SHOWN).map(|delivery| {
            vec![
                delivery.id.to_string(),
                escaped(&delivery.order_id),
                format!(
                    "{}<br>{}",
                    escaped(&delivery.outcome.to_string()),
                    escaped(delivery.url.as_deref().unwrap_or_default())
                ),
                delivery.fault.map(|fault| fault.to_string()).unwrap_or_default(),
                format!(
                    "{}<pre dir=\"ltr\">{}</pre>",
                    delivery.content_type,
                    escaped(&delivery.body)
                ),
            ]
        }),
    );
    html.push_str("<h2>Requests</h2>\n");
    table(
        &mut html,
        "To the API, newest first. Keys are masked.",
        &["No.", "Request", "Answer", "Fault", "Sent"],
        state.requests.iter().rev().take(SHOWN).map(|request| {
            let headers = request.headers.iter().fold(String::new(), |mut text, (name, value)| {
                let _ = writeln!(text, "{name}: {value}");
                text
            });
            vec![
                request.id.to_string(),
                format!("{} {}", escaped(&request.method), escaped(&request.path)),
                request.status.map_or_else(|| "none".to_owned(), |status| status.to_string()),
                request.fault.map(|fault| fault.to_string()).unwrap_or_default(),
                format!(
                    "{}<details><summary>Headers and body</summary><pre dir=\"ltr\">{}\n{}</pre></details>",
                    escaped(&request.notes.join("; ")),
                    escaped(&headers),
                    escaped(&request.body)
                ),
            ]
        }),
    );
    let options = Fault::ALL.map(|fault| format!("<option>{fault}</option>")).concat();
    let armed: Vec<String> = state
        .faults
        .iter()
        .map(|armed| match armed.times {
            Some(times) => format!("{} (times: {times})", armed.fault),
            None => format!("{} (until cleared)", armed.fault),
        })
        .collect();
    let armed = if armed.is_empty() { "none".to_owned() } else { armed.join(", ") };
    let _ = write!(
        html,
        "<h2>Faults</h2>\n<p>Armed: {armed}</p>\n\
         <form method=\"post\" action=\"/__simulator/api/fault\">{token}\n\
         <label>Fault <select name=\"fault\">{options}</select></label>\n\
         <label>Times, or until_cleared <input name=\"times\" value=\"1\" size=\"12\"></label>\n\
         <button>Arm</button></form>\n\
         <form method=\"post\" action=\"/__simulator/api/clear_faults\">{token}\
         <button>Clear all</button></form>\n\
         <h2>Send one delivery</h2>\n\
         <form method=\"post\" action=\"/__simulator/api/trigger\">{token}\n\
         <label>To URL <input type=\"url\" name=\"url\" size=\"40\" required value=\"{webhook_url}\"></label>\n\
         <label>Amount <input name=\"amount\" value=\"10.50\" required size=\"10\"></label>\n\
         <label>Currency <input name=\"currency\" value=\"USD\" size=\"6\"></label>\n\
         <label>Reference <input name=\"ref\" value=\"order-42\" size=\"14\"></label>\n\
         <label>Status <select name=\"status\"><option>fulfilled</option><option>timed_out</option></select></label>\n\
         <button>Send</button></form>\n",
    );
    html
}

/// A table whose cells are HTML already.
fn table(
    html: &mut String,
    caption: &str,
    columns: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) {
    let _ = write!(html, "<div class=\"scroll\"><table><caption>{caption}</caption>\n<thead><tr>");
    for column in columns {
        if column.is_empty() {
            html.push_str("<td></td>");
        } else {
            let _ = write!(html, "<th scope=\"col\">{column}</th>");
        }
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    let mut none = true;
    for row in rows {
        none = false;
        html.push_str("<tr>");
        for cell in row {
            let _ = write!(html, "<td>{cell}</td>");
        }
        html.push_str("</tr>\n");
    }
    if none {
        let _ = writeln!(html, "<tr><td colspan=\"{}\">None yet.</td></tr>", columns.len());
    }
    html.push_str("</tbody></table></div>\n");
}
