//! The checkout page at each payment link's URL, in Arabic and English.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State as FromState};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::Error;
use crate::delivery::{self, web_url};
use crate::page::{self, Language, escaped};
use crate::random;
use crate::server::{Shared, one_header};
use crate::state::{Link, LinkState};

/// The page's words in one language.
struct Words {
    title: &'static str,
    amount: &'static str,
    reference: &'static str,
    pay: &'static str,
    time_out: &'static str,
    paid: &'static str,
    timed_out: &'static str,
    settled: &'static str,
    unknown: &'static str,
    not_from_here: &'static str,
    other_language: &'static str,
    close: &'static str,
}

const ENGLISH: Words = Words {
    title: "Payment",
    amount: "Amount",
    reference: "Reference",
    pay: "Pay",
    time_out: "Let it time out",
    paid: "Paid",
    timed_out: "Timed out",
    settled: "This link was paid or has timed out already.",
    unknown: "There is no such payment link.",
    not_from_here: "This form was not sent from the link's own page.",
    other_language: "العربية",
    close: "You can close this page.",
};

const ARABIC: Words = Words {
    title: "الدفع",
    amount: "المبلغ",
    reference: "المرجع",
    pay: "ادفع",
    time_out: "دع المهلة تنتهي",
    paid: "تم الدفع",
    timed_out: "انتهت المهلة",
    settled: "سبق أن دُفع هذا الرابط أو انتهت مهلته.",
    unknown: "لا يوجد رابط دفع بهذا العنوان.",
    not_from_here: "لم يُرسل هذا النموذج من صفحة الرابط نفسها.",
    other_language: "English",
    close: "يمكنك إغلاق هذه الصفحة.",
};

fn words(language: Language) -> &'static Words {
    match language {
        Language::Arabic => &ARABIC,
        Language::English => &ENGLISH,
    }
}

/// Shows the link: with its form while it is open, else with what became of it.
pub(crate) async fn show(
    FromState(shared): FromState<Arc<Shared>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let language =
        Language::chosen(query.as_deref(), one_header(&headers, &header::ACCEPT_LANGUAGE));
    let link = shared.state().links.get(&id).cloned();
    match link {
        Some(link) => link_page(&link, language),
        None => failed(language, &Error::UnknownLink(id)),
    }
}

/// Takes the page's own form: pays or lets time out, delivers, and sends the customer on.
pub(crate) async fn submit(
    FromState(shared): FromState<Arc<Shared>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let language =
        Language::chosen(query.as_deref(), one_header(&headers, &header::ACCEPT_LANGUAGE));
    let field = |wanted: &str| {
        let mut fields = form_urlencoded::parse(&body);
        fields.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    };
    let Some(form_token) = shared.state().links.get(&id).map(|link| link.form_token.clone()) else {
        return failed(language, &Error::UnknownLink(id));
    };
    if !field("form_token").is_some_and(|given| random::same(&given, &form_token)) {
        let words = words(language);
        return page::message(StatusCode::FORBIDDEN, language, words.title, words.not_from_here);
    }
    let as_state = match field("action").as_deref() {
        Some("pay") => LinkState::Paid,
        Some("time_out") => LinkState::TimedOut,
        _ => {
            let words = words(language);
            let status = StatusCode::BAD_REQUEST;
            return page::message(status, language, words.title, words.not_from_here);
        }
    };
    match delivery::settle(&shared, &id, as_state).await {
        Ok((link, _)) => {
            let own = format!("/pay/{}?lang={}", link.id, language.code());
            let target = link.redirect_url.as_deref().and_then(web_url).unwrap_or(own);
            (StatusCode::SEE_OTHER, [(header::LOCATION, target)]).into_response()
        }
        Err(error) => failed(language, &error),
    }
}

fn link_page(link: &Link, language: Language) -> Response {
    let words = words(language);
    let other = match language {
        Language::Arabic => Language::English,
        Language::English => Language::Arabic,
    };
    let (id, amount) = (escaped(&link.id), escaped(link.amount.as_str()));
    let currency = escaped(&link.currency);
    let title = format!("{}: {amount} {currency}", words.title);
    let reference = link.reference.as_deref().filter(|reference| !reference.is_empty());
    let reference = reference.map_or_else(String::new, |reference| {
        format!("<dt>{}</dt><dd><bdi>{}</bdi></dd>\n", words.reference, escaped(reference))
    });
    let foot = match link.state {
        LinkState::Open => format!(
            "<form method=\"post\" action=\"/pay/{id}?lang={lang}\">\n\
             <input type=\"hidden\" name=\"form_token\" value=\"{token}\">\n\
             <button class=\"main\" name=\"action\" value=\"pay\">{pay}</button>\n\
             <button name=\"action\" value=\"time_out\">{time_out}</button>\n</form>\n",
            lang = language.code(),
            token = escaped(&link.form_token),
            pay = words.pay,
            time_out = words.time_out,
        ),
        LinkState::Paid => {
            format!("<p role=\"status\"><strong>{}</strong> {}</p>\n", words.paid, words.close)
        }
        LinkState::TimedOut => {
            format!("<p role=\"status\"><strong>{}</strong> {}</p>\n", words.timed_out, words.close)
        }
    };
    let body = format!(
        "<section class=\"card\">\n\
         <p class=\"language\"><a href=\"/pay/{id}?lang={other}\" lang=\"{other}\" hreflang=\"{other}\">{name}</a></p>\n\
         <h1>{heading}</h1>\n<dl>\n\
         <dt>{amount_word}</dt><dd><bdi dir=\"ltr\">{amount} {currency}</bdi></dd>\n{reference}\
         </dl>\n{foot}</section>\n",
        other = other.code(),
        name = words.other_language,
        heading = words.title,
        amount_word = words.amount,
    );
    // A browser holds the redirect after a form against this too, and the redirect's own
    // redirects, of which nothing is known here.
    let leads_away = link.redirect_url.as_deref().and_then(web_url).is_some();
    let targets = if leads_away { "'self' http: https:" } else { "'self'" };
    page::page(StatusCode::OK, language, &title, &body, targets)
}

fn failed(language: Language, error: &Error) -> Response {
    let words = words(language);
    let (status, text) = match error {
        Error::UnknownLink(_) => (StatusCode::NOT_FOUND, words.unknown.to_owned()),
        Error::LinkSettled(_) => (StatusCode::CONFLICT, words.settled.to_owned()),
        other => (StatusCode::INTERNAL_SERVER_ERROR, other.to_string()),
    };
    page::message(status, language, words.title, &text)
}
