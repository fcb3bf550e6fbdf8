//! Carrying out one scenario and telling what did not fit.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::time::Duration;

use kazawallet::{
    Amount, Client, CreateDeposit, CreatePaymentLink, CreateWithdrawal, Error, ErrorKind, Method,
    Response,
};
use kazawallet_simulator::scripted::{Observed, ObservedRequest, Script, ScriptedServer};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::scenario::{
    AmountArgument, Call, ClientOptions, DepositArguments, Expect, LinkArguments, NoArguments,
    Operation, RequestArguments, RequestSeen, Scenario, WithdrawalArguments,
};

/// A call that takes longer than this hangs.
const NEVER_LONGER_THAN: Duration = Duration::from_secs(60);
/// Values shorter than this are in a text by chance.
const TELLING: usize = 4;

/// Carries out a scenario. What is returned did not fit; nothing means that all of it did.
pub async fn run(scenario: Scenario) -> Vec<String> {
    match tokio::time::timeout(NEVER_LONGER_THAN, try_run(scenario)).await {
        Ok(Ok(complaints)) => complaints,
        Ok(Err(not_understood)) => vec![not_understood],
        Err(_) => vec![format!("not done after {NEVER_LONGER_THAN:?}")],
    }
}

/// What a call came to.
struct Done {
    /// The fields of the result.
    result: Result<Map<String, Value>, Error>,
    /// What the result's `Debug` shows.
    shown: String,
}

async fn try_run(scenario: Scenario) -> Result<Vec<String>, String> {
    let Scenario { client, earlier_calls, call, server, expect, .. } = scenario;
    if call.pause_after_ms.is_some() {
        return Err("`pause_after_ms` belongs to earlier calls".to_owned());
    }
    let private = private_values(&client, &earlier_calls, &call)?;
    let script = Script::from_value(server).map_err(|error| with_causes(&error))?;
    let server = ScriptedServer::start(script).await.map_err(|error| with_causes(&error))?;

    let done = match build(&client, &server) {
        Ok(client) => {
            for earlier in &earlier_calls {
                if let Err(error) = make(&client, earlier).await?.result {
                    return Err(format!("an earlier call failed: {error}"));
                }
                let pause = Duration::from_millis(earlier.pause_after_ms.unwrap_or_default());
                tokio::time::sleep(pause).await;
            }
            make(&client, &call).await?
            // The client ends here, and its connections with it.
        }
        Err(error) => Done { result: Err(error), shown: String::new() },
    };
    let observed = server.finish().await;

    let mut complaints = Vec::new();
    compare_wire(&expect, &observed, &mut complaints);
    compare_result(&expect, &done, &mut complaints)?;
    let shown = match &done.result {
        Ok(_) => done.shown,
        Err(error) => everything_shown(error),
    };
    for value in private {
        if shown.contains(&value) {
            complaints.push(format!("`{value}` is shown in: {shown}"));
        }
    }
    Ok(complaints)
}

fn build(options: &ClientOptions, server: &ScriptedServer) -> Result<Client, Error> {
    let base_url = options.base_url.clone().unwrap_or_else(|| {
        format!("{}{}", server.url(), options.base_path.as_deref().unwrap_or_default())
    });
    let mut builder = Client::builder(options.api_key.as_str()).base_url(base_url);
    if let Some(secret) = &options.api_secret {
        builder = builder.api_secret(secret.as_str());
    }
    if let Some(email) = &options.merchant_email {
        builder = builder.merchant_email(email.as_str());
    }
    if let Some(timeout) = options.timeout_ms {
        builder = builder.timeout(Duration::from_millis(timeout));
    }
    if let Some(timeout) = options.connect_timeout_ms {
        builder = builder.connect_timeout(Duration::from_millis(timeout));
    }
    if let Some(retries) = options.max_retries {
        builder = builder.max_retries(retries);
    }
    if let Some(root) = server.root_certificate() {
        builder = builder.root_certificates(root);
    }
    builder.build()
}

fn arguments<T: DeserializeOwned>(call: &Call) -> Result<T, String> {
    serde_json::from_str(call.arguments.get()).map_err(|error| format!("arguments: {error}"))
}

impl AmountArgument {
    fn read(&self) -> Result<Amount, Error> {
        match self {
            Self::Text(text) => text.parse(),
            Self::Integer(number) => Amount::try_from(*number),
        }
    }
}

/// Makes a call. The outer error means that the scenario was not understood.
async fn make(client: &Client, call: &Call) -> Result<Done, String> {
    let made = match call.operation {
        Operation::PaymentLinksCreate => create_link(client, call, arguments(call)?).await,
        Operation::WithdrawalsCreate => create_withdrawal(client, call, arguments(call)?).await,
        Operation::WalletsList => {
            arguments::<NoArguments>(call)?;
            list_wallets(client, call).await
        }
        Operation::DepositsCreate => create_deposit(client, call, arguments(call)?).await,
        Operation::Request => {
            let given: RequestArguments = arguments(call)?;
            let method = Method::from_bytes(given.method.as_bytes())
                .map_err(|error| format!("method: {error}"))?;
            request(client, call, method, given).await
        }
    };
    Ok(match made {
        Ok((fields, shown)) => Done { result: Ok(fields), shown },
        Err(error) => Done { result: Err(error), shown: String::new() },
    })
}

/// The fields of a result, and what its `Debug` shows.
type Made = Result<(Map<String, Value>, String), Error>;

fn timeout_of(call: &Call) -> Option<Duration> {
    call.timeout_ms.map(Duration::from_millis)
}

async fn create_link(client: &Client, call: &Call, given: LinkArguments) -> Made {
    let mut link = CreatePaymentLink::new(given.amount.read()?, given.currency);
    if let Some(reference) = given.reference {
        link = link.reference(reference);
    }
    if let Some(url) = given.redirect_url {
        link = link.redirect_url(url);
    }
    let mut pending = client.payment_links().create(link);
    if let Some(timeout) = timeout_of(call) {
        pending = pending.timeout(timeout);
    }
    let made = pending.await?;
    let fields = json!({ "url": made.url, "id": made.id });
    Ok((with_answer(fields, &made.raw), format!("{made:?}")))
}

async fn create_withdrawal(client: &Client, call: &Call, given: WithdrawalArguments) -> Made {
    let method = given.payment_method.into();
    let mut withdrawal = CreateWithdrawal::new(given.amount.read()?, given.currency, method);
    if let Some(note) = given.note {
        withdrawal = withdrawal.note(note);
    }
    let mut pending = client.withdrawals().create(withdrawal);
    if let Some(timeout) = timeout_of(call) {
        pending = pending.timeout(timeout);
    }
    let made = pending.await?;
    let fields = json!({ "status": made.status, "message": made.message });
    Ok((with_answer(fields, &made.raw), format!("{made:?}")))
}

async fn list_wallets(client: &Client, call: &Call) -> Made {
    let mut pending = client.wallets().list();
    if let Some(timeout) = timeout_of(call) {
        pending = pending.timeout(timeout);
    }
    let made = pending.await?;
    let wallets: Vec<Value> = made
        .iter()
        .map(|wallet| json!({ "currency": wallet.currency, "amount": wallet.amount.as_str() }))
        .collect();
    Ok((with_answer(json!({ "wallets": wallets }), &made.raw), format!("{made:?}")))
}

async fn create_deposit(client: &Client, call: &Call, given: DepositArguments) -> Made {
    let mut deposit = CreateDeposit::new(
        given.amount.read()?,
        given.currency,
        given.user_email,
        given.payment_method.into(),
    );
    if let Some(note) = given.note {
        deposit = deposit.note(note);
    }
    let mut pending = client.deposits().create(deposit);
    if let Some(timeout) = timeout_of(call) {
        pending = pending.timeout(timeout);
    }
    let made = pending.await?;
    let fields = json!({
        "status": made.status,
        "transaction_id": made.transaction_id,
        "message": made.message,
        "note": made.note,
    });
    Ok((with_answer(fields, &made.raw), format!("{made:?}")))
}

async fn request(client: &Client, call: &Call, method: Method, given: RequestArguments) -> Made {
    let mut request = client.request(method, given.path);
    if let Some(body) = &given.json {
        request = request.json(body);
    }
    let mut sent = request.send();
    if let Some(timeout) = timeout_of(call) {
        sent = sent.timeout(timeout);
    }
    let made = sent.await?;
    Ok((with_answer(json!({}), &made), format!("{made:?}")))
}

/// The fields of a result, and those of the answer that it was read from.
fn with_answer(fields: Value, raw: &Response) -> Map<String, Value> {
    let mut fields = match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    fields.insert("http_status".to_owned(), raw.status().into());
    fields.insert("request_id".to_owned(), json!(raw.request_id()));
    fields.insert("text".to_owned(), raw.text().into());
    fields
}

fn compare_wire(expect: &Expect, observed: &Observed, complaints: &mut Vec<String>) {
    let (wanted, seen) = (&expect.requests, &observed.requests);
    if wanted.len() != seen.len() {
        let list: Vec<_> =
            seen.iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect();
        complaints.push(format!("{} requests were expected, seen were {list:?}", wanted.len()));
    }
    for (number, (wanted, seen)) in wanted.iter().zip(seen).enumerate() {
        compare_request(number + 1, wanted, seen, complaints);
    }
    if let Some(connections) = expect.connections
        && connections != observed.connections
    {
        complaints.push(format!(
            "{connections} connections were expected, seen were {}",
            observed.connections
        ));
    }
    if observed.steps_left > 0 {
        complaints.push(format!("{} of the server's steps were not used", observed.steps_left));
    }
    if observed.incomplete_requests > 0 {
        complaints.push(format!("{} requests were not finished", observed.incomplete_requests));
    }
}

fn compare_request(
    number: usize,
    wanted: &RequestSeen,
    seen: &ObservedRequest,
    complaints: &mut Vec<String>,
) {
    let mut hold = |what: &str, wanted: &str, seen: &str| {
        if wanted != seen {
            complaints.push(format!(
                "request {number}, {what}:\n      expected {wanted}\n      seen     {seen}"
            ));
        }
    };
    hold("method", &wanted.method, &seen.method);
    hold("path", &wanted.path, &seen.path);
    hold("body", &wanted.body, &seen.body);
    for (name, value) in &wanted.headers {
        hold(name, value, seen.header(name).unwrap_or("(absent)"));
    }
    for name in &wanted.absent_headers {
        hold(name, "(absent)", seen.header(name).unwrap_or("(absent)"));
    }
    hold("known to the script", "true", &(!seen.unexpected).to_string());
}

fn compare_result(
    expect: &Expect,
    done: &Done,
    complaints: &mut Vec<String>,
) -> Result<(), String> {
    match (&expect.result, &expect.error, &done.result) {
        (Some(wanted), None, Ok(seen)) => {
            for (name, wanted) in wanted {
                let seen = seen.get(name).ok_or_else(|| format!("result: what is `{name}`?"))?;
                compare_value(name, wanted, seen, complaints);
            }
        }
        (None, Some(wanted), Err(error)) => {
            let seen = properties(error);
            for (name, wanted) in wanted {
                match seen.get(name) {
                    Some(seen) => compare_value(name, wanted, seen, complaints),
                    None => compare_text(name, wanted, error, complaints)?,
                }
            }
        }
        (Some(_), None, Err(error)) => {
            complaints.push(format!("a result was expected, seen was {}", everything_shown(error)));
        }
        (None, Some(_), Ok(seen)) => {
            complaints.push(format!("an error was expected, seen was {seen:?}"));
        }
        _ => return Err("expect: exactly one of `result` and `error`".to_owned()),
    }
    Ok(())
}

fn compare_value(name: &str, wanted: &Value, seen: &Value, complaints: &mut Vec<String>) {
    if wanted != seen {
        complaints.push(format!("{name}: expected {wanted}, seen {seen}"));
    }
}

/// The properties of an error that are compared as they are.
fn properties(error: &Error) -> Map<String, Value> {
    let details: Option<Value> =
        error.details().and_then(|details| serde_json::from_str(details.get()).ok());
    let retry_after =
        error.retry_after().map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    let properties = json!({
        "class": class(error.kind()),
        "code": error.code(),
        "outcome": error.outcome().map(|outcome| outcome.as_str()),
        "status": error.status(),
        "key": error.key(),
        "field": error.field(),
        "retry_after_ms": retry_after,
        "request_id": error.request_id(),
        "details": details,
    });
    match properties {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}

/// What is said of an error's texts.
fn compare_text(
    name: &str,
    wanted: &Value,
    error: &Error,
    complaints: &mut Vec<String>,
) -> Result<(), String> {
    let body = error.body().unwrap_or_default();
    let texts = || -> Result<Vec<String>, String> {
        serde_json::from_value(wanted.clone()).map_err(|error| format!("{name}: {error}"))
    };
    match name {
        "message_contains" => {
            let message = error.to_string();
            for text in texts()?.iter().filter(|text| !message.contains(*text)) {
                complaints.push(format!("the message lacks {text:?}: {message}"));
            }
        }
        "message_lacks" => {
            let shown = everything_shown(error);
            for text in texts()?.iter().filter(|text| shown.contains(*text)) {
                complaints.push(format!("{text:?} is shown in: {shown}"));
            }
        }
        "body_contains" => {
            for text in texts()?.iter().filter(|text| !body.contains(*text)) {
                complaints.push(format!("the body lacks {text:?}: {body:?}"));
            }
        }
        "body_max_bytes" => {
            let most = wanted.as_u64().ok_or("body_max_bytes: not a number")?;
            if u64::try_from(body.len()).unwrap_or(u64::MAX) > most {
                complaints.push(format!("the body has {} bytes", body.len()));
            }
        }
        _ => return Err(format!("error: what is `{name}`?")),
    }
    Ok(())
}

/// All that a person can see of an error: its text, its `Debug`, and the same of its causes.
fn everything_shown(error: &Error) -> String {
    let mut shown = format!("{error:?} {}", with_causes(error));
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(shown, " {error:?}");
        cause = error.source();
    }
    shown
}

fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// The class that the other languages have for a kind.
fn class(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Configuration => "ConfigurationError",
        ErrorKind::Validation => "ValidationError",
        ErrorKind::Connection => "APIConnectionError",
        ErrorKind::Timeout => "APITimeoutError",
        ErrorKind::OutcomeUnknown => "OutcomeUnknownError",
        ErrorKind::Api => "APIError",
        ErrorKind::Authentication => "AuthenticationError",
        ErrorKind::PermissionDenied => "PermissionDeniedError",
        ErrorKind::NotFound => "NotFoundError",
        ErrorKind::RateLimit => "RateLimitError",
        ErrorKind::AccountBlocked => "AccountBlockedError",
        ErrorKind::Server => "ServerError",
        ErrorKind::UnexpectedResponse => "UnexpectedResponseError",
        _ => "an error of the webhook side",
    }
}

/// What must not be shown, whatever the scenario says: credentials, emails, names, phones, notes.
fn private_values(
    client: &ClientOptions,
    earlier_calls: &[Call],
    call: &Call,
) -> Result<Vec<String>, String> {
    let mut values = vec![client.api_key.clone()];
    values.extend(client.api_secret.clone());
    values.extend(client.merchant_email.clone());
    for call in earlier_calls.iter().chain([call]) {
        let arguments: Value = arguments(call)?;
        let method = arguments.get("payment_method");
        let places = [
            arguments.get("user_email"),
            arguments.get("note"),
            method.and_then(|method| method.get("name")),
            method.and_then(|method| method.get("phone")),
        ];
        values.extend(places.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    }
    values.retain(|value| value.trim().chars().count() >= TELLING);
    Ok(values)
}
