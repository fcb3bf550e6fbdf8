//! The provider's endpoints, as its documentation describes them.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Extension;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State as FromState};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use kazawallet::Amount;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::server::{BODY_LIMIT, Cut, OwnHost, Shared, one_header};
use crate::simulator::{is_currency, is_email};
use crate::state::{NewLink, OwnAnswer, RecordedRequest};
use crate::{money, random};

/// The custom field that names the governorate of a Haram payout.
const GOVERNORATE: &str = "hawalahmauto-custom-field-withdraw-3";
/// The payment methods of which the fields are documented.
const METHODS: [(u32, &[&str]); 3] = [
    (37, &["name", "phone", GOVERNORATE]),
    (35, &["name", "phone", GOVERNORATE]),
    (38, &["phone"]),
];
/// Crypto; nobody outside knows their fields, so any are taken.
const CRYPTO_METHODS: [u32; 6] = [118, 116, 117, 115, 15, 13];
/// A bank's, known from the example of a deposit alone, with a field of its own; any are taken.
const DEPOSIT_METHOD: u32 = 17;
/// Where the two Haram methods part, in SYP.
const HARAM_LINE: i64 = 3_000_000;

const CREATE_PAYMENT_LINK: &str = "/wallet/createPaymentLink";

static API_KEY: HeaderName = HeaderName::from_static("x-api-key");
static API_SECRET: HeaderName = HeaderName::from_static("x-api-secret");
static MERCHANT_EMAIL: HeaderName = HeaderName::from_static("merchant-email");

/// An answer: a status and JSON.
type Answer = (StatusCode, Object);

/// A JSON object whose members stand in the order in which the documentation has them;
/// `serde_json`'s own would sort them.
struct Object(Vec<(&'static str, Value)>);

impl Object {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn rename(&mut self, from: &str, to: &'static str) {
        for (name, _) in self.0.iter_mut().filter(|(name, _)| *name == from) {
            *name = to;
        }
    }
}

impl<const N: usize> From<[(&'static str, Value); N]> for Object {
    fn from(members: [(&'static str, Value); N]) -> Self {
        Self(members.into())
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, value)) in self.0.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            write!(f, "{before}{}:{value}", Value::from(*name))?;
        }
        f.write_str("}")
    }
}

/// A request that the provider would refuse, in one of the shapes that its errors come in.
enum Refusal {
    /// `{"data":null,"error":{…}}`
    Strapi { status: StatusCode, name: &'static str, message: String, key: Option<&'static str> },
    /// `{"success":false,"message":"…"}`
    Plain { status: StatusCode, message: String },
}

impl Refusal {
    fn validation(message: impl Into<String>) -> Self {
        let (status, message) = (StatusCode::BAD_REQUEST, message.into());
        Refusal::Strapi { status, name: "ValidationError", message, key: None }
    }

    fn credentials(header: &HeaderName) -> Self {
        let message = format!("Missing or invalid {header}");
        let status = StatusCode::UNAUTHORIZED;
        Refusal::Strapi { status, name: "UnauthorizedError", message, key: None }
    }

    fn unknown_user() -> Self {
        Refusal::Strapi {
            status: StatusCode::NOT_FOUND,
            name: "NotFoundError",
            message: "User not found".to_owned(),
            key: Some("USER_NOT_FOUND"),
        }
    }

    /// A refusal of the business, not of the request's form.
    fn plain(message: impl Into<String>) -> Self {
        Refusal::Plain { status: StatusCode::BAD_REQUEST, message: message.into() }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Strapi { status, name, message, key } => {
                let details = key.map_or_else(|| json!({}), |key| json!({ "key": key }));
                let error = json!({
                    "status": status.as_u16(), "name": name, "message": message, "details": details,
                });
                (status, [("data", Value::Null), ("error", error)].into())
            }
            Refusal::Plain { status, message } => {
                (status, [("success", false.into()), ("message", message.into())].into())
            }
        }
    }
}

/// Answers one API request: records it, plays the fault whose turn it is, and else does as asked.
pub(crate) async fn answer(
    FromState(shared): FromState<Arc<Shared>>,
    Extension(cut): Extension<Cut>,
    Extension(OwnHost(host)): Extension<OwnHost>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        let (status, body) = Answer::from(Refusal::Plain {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            message: "The body is too large or broke off".to_owned(),
        });
        return as_json(status, &body);
    };
    let (id, fault) = {
        let mut state = shared.state();
        // What only a new payment link's answer can show waits for one.
        let fault = state.take_fault(|fault| match fault {
            Fault::OrderIdAnswer => parts.uri.path() == CREATE_PAYMENT_LINK,
            fault => !fault.is_of_delivery(),
        });
        (state.record_request(recorded(&shared, &parts, &body, fault)), fault)
    };
    let answered = |status: StatusCode| {
        if let Some(request) = shared.state().request_mut(id) {
            request.status = Some(status.as_u16());
        }
    };
    let act = || {
        let mut notes = Vec::new();
        let result = act(&shared, &host, &parts, &body, &mut notes);
        let (status, answer) = result.unwrap_or_else(Answer::from);
        if let Some(request) = shared.state().request_mut(id) {
            request.notes = notes;
            request.own_answer = Some(own_answer(status, &answer));
        }
        (status, answer)
    };
    match fault {
        Some(Fault::CloseBeforeActing) => cut.instead_of_answering().await,
        Some(Fault::CloseAfterActing) => {
            act();
            cut.instead_of_answering().await
        }
        Some(Fault::AnswerStatus(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            answered(status);
            let (_, body) = Answer::from(pretended(status));
            as_json(status, &body)
        }
        Some(Fault::HtmlAnswer) => {
            answered(StatusCode::BAD_GATEWAY);
            let page = "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>\n\
                <center><h1>502 Bad Gateway</h1></center>\n<hr><center>nginx</center>\n\
                </body>\n</html>\n";
            (StatusCode::BAD_GATEWAY, [(header::CONTENT_TYPE, "text/html")], page).into_response()
        }
        Some(Fault::ErrorInside200) => {
            answered(StatusCode::OK);
            let (_, body) = Answer::from(pretended(StatusCode::BAD_REQUEST));
            as_json(StatusCode::OK, &body)
        }
        Some(Fault::HalfBody) => {
            let (status, body) = act();
            answered(status);
            half(status, &body, cut)
        }
        fault => {
            let (status, mut body) = act();
            if fault == Some(Fault::OrderIdAnswer) {
                body.rename("id", "order_id");
            }
            if let Some(Fault::AnswerLate(delay)) = fault {
                tokio::time::sleep(delay).await;
            }
            answered(status);
            as_json(status, &body)
        }
    }
}

fn as_json(status: StatusCode, body: &Object) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string())
        .into_response()
}

/// The error of a fault that answers without acting.
fn pretended(status: StatusCode) -> Refusal {
    Refusal::Strapi {
        status,
        name: match status.as_u16() {
            401 => "UnauthorizedError",
            403 => "ForbiddenError",
            404 => "NotFoundError",
            429 => "RateLimitError",
            400..=499 => "ApplicationError",
            _ => "InternalServerError",
        },
        message: status.canonical_reason().unwrap_or("Refused").to_owned(),
        key: None,
    }
}

/// An answer that promises all of its body and sends half of it before the connection is cut.
fn half(status: StatusCode, body: &Object, cut: Cut) -> Response {
    let whole = body.to_string();
    let length = whole.len();
    let mut sent = Bytes::from(whole);
    sent.truncate(length / 2);
    let headers = [
        (header::CONTENT_TYPE, "application/json; charset=utf-8".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
    ];
    (status, headers, Body::new(HalfBody { half: Some(sent), flushed: false, cut })).into_response()
}

struct HalfBody {
    half: Option<Bytes>,
    flushed: bool,
    cut: Cut,
}

impl hyper::body::Body for HalfBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(half) = self.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        // A body that has nothing to give makes hyper flush; the half is on its way when the
        // next poll comes.
        if self.flushed {
            self.cut.now();
        } else {
            self.flushed = true;
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// What is kept of a request. Wherever a key or the secret stands, `***` is kept instead.
fn recorded(shared: &Shared, parts: &Parts, body: &[u8], fault: Option<Fault>) -> RecordedRequest {
    let settings = &shared.settings;
    let mask =
        |text: &str| text.replace(&settings.api_secret, "***").replace(&settings.api_key, "***");
    let headers = parts.headers.iter().map(|(name, value)| {
        let secret = [&API_KEY, &API_SECRET, &header::AUTHORIZATION, &header::COOKIE];
        let value = if secret.contains(&name) {
            "***".to_owned()
        } else {
            mask(&String::from_utf8_lossy(value.as_bytes()))
        };
        (name.as_str().to_owned(), value)
    });
    RecordedRequest {
        id: 0,
        at: shared.started.elapsed(),
        method: parts.method.to_string(),
        path: mask(parts.uri.path_and_query().map_or("", |path| path.as_str())),
        headers: headers.collect(),
        body: mask(&String::from_utf8_lossy(body)),
        status: None,
        fault,
        notes: Vec::new(),
        own_answer: None,
    }
}

/// What is kept of an answer: its status, and the message in whichever of its places.
fn own_answer(status: StatusCode, answer: &Object) -> OwnAnswer {
    let of_error = || answer.get("error").and_then(|error| error.get("message"));
    let message = answer.get("message").or_else(of_error);
    let message = message.and_then(Value::as_str).unwrap_or_default().to_owned();
    OwnAnswer { status: status.as_u16(), message }
}

/// Does what the request asks.
fn act(
    shared: &Shared,
    host: &str,
    parts: &Parts,
    body: &[u8],
    notes: &mut Vec<String>,
) -> Result<Answer, Refusal> {
    match (parts.method.as_str(), parts.uri.path()) {
        ("POST", CREATE_PAYMENT_LINK) => {
            check_key(shared, parts)?;
            if parts.headers.contains_key(&API_SECRET) {
                notes.push("x-api-secret was sent, which this endpoint does not want".to_owned());
            }
            create_payment_link(shared, host, &Fields::read(parts, body)?, notes)
        }
        ("POST", "/wallet/createWithdrawalRequest") => {
            check_key(shared, parts)?;
            check_secret(shared, parts)?;
            create_withdrawal(shared, &Fields::read(parts, body)?, notes)
        }
        ("GET", "/wallet/get-merchant-wallets") => {
            check_key(shared, parts)?;
            check_secret(shared, parts)?;
            list_wallets(shared, parts)
        }
        ("POST", "/wallet/createDepositRequest") => {
            check_key(shared, parts)?;
            check_secret(shared, parts)?;
            create_deposit(shared, &Fields::read(parts, body)?, notes)
        }
        ("POST", "/wallet/wallet-cards/create") => {
            check_key(shared, parts)?;
            // Whether it wants the secret is not known; one that is sent must be right.
            if parts.headers.contains_key(&API_SECRET) {
                check_secret(shared, parts)?;
            }
            create_card(shared, parts, &Fields::read(parts, body)?, notes)
        }
        _ => Err(Refusal::Strapi {
            status: StatusCode::NOT_FOUND,
            name: "NotFoundError",
            message: "Not Found".to_owned(),
            key: None,
        }),
    }
}

/// What was asked is done, and these members say what came of it.
fn success<const N: usize>(members: [(&'static str, Value); N]) -> Answer {
    let success = ("success", Value::from(true));
    (StatusCode::OK, Object(std::iter::once(success).chain(members).collect()))
}

fn create_payment_link(
    shared: &Shared,
    host: &str,
    fields: &Fields,
    notes: &mut Vec<String>,
) -> Result<Answer, Refusal> {
    fields.note_others(&["amount", "currency", "email", "ref", "redirectUrl"], notes);
    let (amount, _) = fields.amount()?;
    let new = NewLink {
        merchant: fields.merchant(shared, "email")?,
        amount,
        currency: fields.currency()?,
        reference: fields.optional_text("ref")?,
        redirect_url: fields.optional_text("redirectUrl")?,
    };
    let mut state = shared.state();
    let link = state.create_link(new).map_err(|error| Refusal::plain(error.to_string()))?;
    let url = format!("{}://{host}/pay/{}", shared.settings.scheme(), link.id);
    Ok(success([("id", link.id.as_str().into()), ("url", url.into())]))
}

fn create_withdrawal(
    shared: &Shared,
    fields: &Fields,
    notes: &mut Vec<String>,
) -> Result<Answer, Refusal> {
    let known = ["email", "currency", "amount", "note", "paymentMethod", "fields"];
    fields.note_others(&known, notes);
    let (_, amount) = fields.amount()?;
    let currency = fields.currency()?;
    fields.optional_text("note")?;
    let method = fields.text("paymentMethod")?.parse().ok();
    let custom = fields.custom()?;
    let merchant = fields.merchant(shared, "email")?;
    let wanted = known_method(method)?;
    for name in wanted {
        if custom.get(*name).and_then(Value::as_str).is_none_or(|value| value.trim().is_empty()) {
            return Err(Refusal::plain(format!("fields.{name} is required for this method")));
        }
    }
    let line = Decimal::from(HARAM_LINE);
    let wrong_side = match method {
        Some(37) => amount > line,
        Some(35) => amount < line,
        _ => false,
    };
    if currency == "SYP" && wrong_side {
        return Err(Refusal::plain("The amount does not fit this Haram method"));
    }
    if !shared.state().withdraw(&merchant, &currency, amount) {
        return Err(Refusal::plain("Insufficient balance"));
    }
    Ok(success([
        ("status", "approved".into()),
        ("message", "Withdrawal request created successfully".into()),
    ]))
}

fn list_wallets(shared: &Shared, parts: &Parts) -> Result<Answer, Refusal> {
    let merchant = header_merchant(shared, parts)?;
    let state = shared.state();
    let wallets = state.merchants.get(&merchant).into_iter().flatten();
    let wallets: Vec<Value> = wallets
        .map(|(currency, amount)| json!({ "currency": currency, "amount": amount.to_string() }))
        .collect();
    Ok(success([("wallets", wallets.into())]))
}

fn create_deposit(
    shared: &Shared,
    fields: &Fields,
    notes: &mut Vec<String>,
) -> Result<Answer, Refusal> {
    let known = ["merchantEmail", "email", "currency", "amount", "note", "paymentMethod", "fields"];
    fields.note_others(&known, notes);
    fields.amount()?;
    fields.currency()?;
    let note = fields.optional_text("note")?;
    let method = match fields.get("paymentMethod") {
        Some(Value::Number(number)) => number.as_u64().and_then(|id| u32::try_from(id).ok()),
        _ => return Err(Refusal::validation("paymentMethod must be a number")),
    };
    // The documented custom fields are those of payouts; what a deposit wants is not known.
    fields.custom()?;
    fields.merchant(shared, "merchantEmail")?;
    if !is_email(fields.text("email")?) {
        return Err(Refusal::validation("email must be a valid email"));
    }
    if method != Some(DEPOSIT_METHOD) {
        known_method(method)?;
    }
    let payment = json!({
        "status": "pending",
        "message": null,
        "transaction_id": format!("de-{}", new_id()?),
        "note": note,
        "extraPaymentInfo": null,
    });
    Ok(success([("error", Value::Null), ("createdPayment", payment)]))
}

fn create_card(
    shared: &Shared,
    parts: &Parts,
    fields: &Fields,
    notes: &mut Vec<String>,
) -> Result<Answer, Refusal> {
    fields.note_others(&["currency"], notes);
    header_merchant(shared, parts)?;
    fields.currency()?;
    let transfer = u32::from_str_radix(new_id()?.get(..6).unwrap_or_default(), 16).unwrap_or(1);
    let answer = [
        ("created", true.into()),
        ("cardId", format!("kc-{}", new_id()?).into()),
        ("createdTransfer", json!({ "id": transfer })),
    ];
    Ok((StatusCode::OK, answer.into()))
}

fn new_id() -> Result<String, Refusal> {
    random::hex::<8>().map_err(|error| Refusal::plain(error.to_string()))
}

fn check_key(shared: &Shared, parts: &Parts) -> Result<(), Refusal> {
    check_credential(parts, &API_KEY, &shared.settings.api_key)
}

fn check_secret(shared: &Shared, parts: &Parts) -> Result<(), Refusal> {
    check_credential(parts, &API_SECRET, &shared.settings.api_secret)
}

fn check_credential(parts: &Parts, header: &HeaderName, wanted: &str) -> Result<(), Refusal> {
    match one_header(&parts.headers, header) {
        Some(given) if random::same(given, wanted) => Ok(()),
        _ => Err(Refusal::credentials(header)),
    }
}

fn header_merchant(shared: &Shared, parts: &Parts) -> Result<String, Refusal> {
    let email = one_header(&parts.headers, &MERCHANT_EMAIL)
        .ok_or_else(|| Refusal::validation("merchant-email header is required"))?;
    known_merchant(shared, email)
}

fn known_merchant(shared: &Shared, email: &str) -> Result<String, Refusal> {
    let email = email.to_ascii_lowercase();
    if shared.state().merchants.contains_key(&email) {
        Ok(email)
    } else {
        Err(Refusal::unknown_user())
    }
}

/// The custom fields that a method wants, if there is such a method.
fn known_method(id: Option<u32>) -> Result<&'static [&'static str], Refusal> {
    let documented = METHODS.iter().find(|(known, _)| Some(*known) == id);
    match (documented, id) {
        (Some((_, fields)), _) => Ok(fields),
        (None, Some(id)) if CRYPTO_METHODS.contains(&id) => Ok(&[]),
        _ => Err(Refusal::plain("Payment method not found")),
    }
}

/// A request's JSON object.
struct Fields(Map<String, Value>);

impl Fields {
    fn read(parts: &Parts, body: &[u8]) -> Result<Self, Refusal> {
        let kind = one_header(&parts.headers, &header::CONTENT_TYPE).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Refusal::validation("Content-Type must be application/json"));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            _ => Err(Refusal::validation("The body must be a JSON object")),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A field that must be there, as a string that is not blank.
    fn text(&self, name: &str) -> Result<&str, Refusal> {
        match self.get(name) {
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(text),
            Some(Value::String(_)) | Some(Value::Null) | None => {
                Err(Refusal::validation(format!("{name} is required")))
            }
            Some(_) => Err(Refusal::validation(format!("{name} must be a string"))),
        }
    }

    /// A field that may be left out, but is a string where it is there.
    fn optional_text(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Refusal::validation(format!("{name} must be a string"))),
        }
    }

    fn amount(&self) -> Result<(Amount, Decimal), Refusal> {
        let amount: Option<Amount> = self.text("amount")?.parse().ok();
        let both = amount.and_then(|amount| money::decimal(&amount).map(|value| (amount, value)));
        both.ok_or_else(|| Refusal::validation("amount must be a positive decimal number"))
    }

    fn currency(&self) -> Result<String, Refusal> {
        let currency = self.text("currency")?;
        if is_currency(currency) {
            Ok(currency.to_owned())
        } else {
            Err(Refusal::validation("currency must be a currency code"))
        }
    }

    fn merchant(&self, shared: &Shared, name: &str) -> Result<String, Refusal> {
        known_merchant(shared, self.text(name)?)
    }

    /// The payment method's own fields: an object of strings, which a method without fields lacks.
    fn custom(&self) -> Result<Map<String, Value>, Refusal> {
        match self.get("fields") {
            Some(Value::Object(custom)) if custom.values().all(Value::is_string) => {
                Ok(custom.clone())
            }
            Some(Value::Object(_)) => Err(Refusal::validation("fields must hold strings only")),
            None => Ok(Map::new()),
            Some(_) => Err(Refusal::validation("fields must be an object")),
        }
    }

    /// Notes the fields that the documentation does not know. They are not refused.
    fn note_others(&self, known: &[&str], notes: &mut Vec<String>) {
        let others = self.0.keys().filter(|name| !known.contains(&name.as_str()));
        notes.extend(others.map(|name| format!("the field {name:?} is not documented")));
    }
}
