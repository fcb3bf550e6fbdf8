//! The page and the JSON API that show what happened, and that drive the simulator.
//!
//! Both want the token of this start. The page's address carries it once, and is answered with a
//! cookie that only this page's path sees; a form carries it as a field; the API wants a header.
//! A cookie alone changes nothing.

mod delivery_page;
mod faults;
mod html;
mod json;
mod overview;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State as FromState};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kazawallet::{Amount, Status};
use serde_json::{Map, Value, json};

use crate::delivery::{self, Trigger};
use crate::dialect::Dialect;
use crate::fault::Fault;
use crate::page::{self, Language};
use crate::server::{Shared, one_header};
use crate::state::{Link, LinkState};
use crate::{Error, random};

static TOKEN: HeaderName = HeaderName::from_static("x-simulator-token");

const TITLE: &str = "Kazawallet simulator";

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
        let secure = if shared.settings.root_certificate.is_some() { "; Secure" } else { "" };
        let cookie = format!(
            "{}={}; Path=/__simulator/; HttpOnly; SameSite=Strict{secure}",
            cookie_name(&shared),
            shared.settings.control_token
        );
        let headers =
            [(header::LOCATION, "/__simulator/".to_owned()), (header::SET_COOKIE, cookie)];
        return (StatusCode::SEE_OTHER, headers).into_response();
    }
    if !is_known(&shared, &headers) {
        return not_known();
    }
    let done = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "done");
    let html = overview::html(&shared, done.as_ref().map(|(_, done)| &**done));
    page::page(StatusCode::OK, Language::English, TITLE, &html, "'self'")
}

/// The page of one delivery.
pub(crate) async fn show_delivery(
    FromState(shared): FromState<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !is_known(&shared, &headers) {
        return not_known();
    }
    let state = shared.state();
    let delivery = state.deliveries.iter().find(|delivery| delivery.id.to_string() == id);
    match delivery {
        Some(delivery) => {
            let title = format!("Delivery {} – {TITLE}", delivery.id);
            let html = delivery_page::html(&shared, &state, delivery);
            page::page(StatusCode::OK, Language::English, &title, &html, "'self'")
        }
        None => says(StatusCode::NOT_FOUND, "There is no such delivery."),
    }
}

/// Whether the browser has been here with the token.
fn is_known(shared: &Shared, headers: &HeaderMap) -> bool {
    let name = cookie_name(shared);
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .any(|(cookie, token)| cookie == name && is_token(shared, token))
}

fn not_known() -> Response {
    let text = "Open the dashboard at the address that was printed where the simulator was \
                started: it carries the token.";
    page::message(StatusCode::FORBIDDEN, Language::English, TITLE, text)
}

/// A page that says why there is nothing to see or why nothing was done, with the way back.
fn says(status: StatusCode, text: &str) -> Response {
    let html = format!(
        "<section class=\"card\">\n<h1>That did not work</h1>\n\
         <p class=\"warning\" role=\"alert\">{}</p>\n\
         <p><a class=\"button\" href=\"/__simulator/\">Back to the dashboard</a></p>\n</section>\n",
        page::escaped(text)
    );
    let title = format!("That did not work – {TITLE}");
    page::page(status, Language::English, &title, &html, "'none'")
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
        "requests" => state.requests.iter().map(json::request).collect(),
        "deliveries" => state.deliveries.iter().map(json::delivery).collect(),
        "links" => {
            let mut links: Vec<&Link> = state.links.values().collect();
            links.sort_by_key(|link| link.number);
            links.into_iter().map(json::link).collect()
        }
        "faults" => state.faults.iter().map(json::armed).collect(),
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
        if is_form {
            let text = "This page is of an earlier start of the simulator, which has a new token \
                        since. Open the address that it printed last.";
            return says(StatusCode::FORBIDDEN, text);
        }
        return refused();
    }
    let done = match arguments {
        Some(arguments) => act(&shared, &name, &arguments).await,
        None => Err(Error::Configuration("the body is not a JSON object".to_owned())),
    };
    match done {
        Ok(answer) if is_form => {
            let target = match (&*name, answer.get("id")) {
                ("trigger", Some(id)) => format!("/__simulator/deliveries/{id}"),
                _ => format!("/__simulator/?done={name}#{}", overview::section_of(&name)),
            };
            (StatusCode::SEE_OTHER, [(header::LOCATION, target)]).into_response()
        }
        Ok(answer) => as_json(StatusCode::OK, &answer),
        Err(error) => {
            let status = match error {
                Error::UnknownLink(_) => StatusCode::NOT_FOUND,
                Error::LinkSettled(_) => StatusCode::CONFLICT,
                _ => StatusCode::BAD_REQUEST,
            };
            if is_form {
                says(status, &error.to_string())
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
            Ok(deliveries.iter().map(json::delivery).collect())
        }
        "fault" => {
            let fault = match given.text("value") {
                Some(value) => format!("{}:{value}", given.wanted("fault")?),
                None => given.wanted("fault")?,
            };
            let fault: Fault = fault.parse()?;
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
            let fault = given.text("fault").map(|fault| fault.parse()).transpose()?;
            shared.state().disarm(fault);
            Ok(json!({}))
        }
        "webhook_url" => {
            let url = given.text("url").map(|url| delivery::checked_url(&url)).transpose()?;
            shared.state().webhook_url.clone_from(&url);
            Ok(json!({ "url": url }))
        }
        "dialect" => {
            let dialect: Dialect = given.wanted("dialect")?.parse()?;
            shared.state().dialect = dialect;
            Ok(json!({ "dialect": dialect.as_str() }))
        }
        "trigger" => {
            let amount = Amount::from_delivery(&given.wanted("amount")?)?;
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
            Ok(json::delivery(&delivery::trigger(shared, trigger).await?))
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
