//! The checkout page at each payment link's URL, in Arabic and English.

mod words;

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
use words::Words;

/// Shows the link: with its form while it is open, else with what became of it.
pub(crate) async fn show(
    FromState(shared): FromState<Arc<Shared>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let language = chosen(query.as_deref(), &headers);
    let state = shared.state();
    match state.links.get(&id) {
        Some(link) => {
            let page = LinkPage { link, language, told: state.webhook_url.is_some() };
            page.respond(StatusCode::OK, None)
        }
        None => failed(language, &Error::UnknownLink(id)),
    }
}

/// Leads on to where the link's customer goes afterwards, once the link is no longer open. The
/// address stands in no page: a page's own links lead nowhere but to the simulator.
pub(crate) async fn back(
    FromState(shared): FromState<Arc<Shared>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let language = chosen(query.as_deref(), &headers);
    let link = shared.state().links.get(&id).cloned();
    match link {
        Some(link) if link.state != LinkState::Open => onwards(&link, language),
        Some(link) => to(own_page(&link, language)),
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
    let language = chosen(query.as_deref(), &headers);
    let words = Words::of(language);
    let field = |wanted: &str| {
        let mut fields = form_urlencoded::parse(&body);
        fields.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    };
    let Some(form_token) = shared.state().links.get(&id).map(|link| link.form_token.clone()) else {
        return failed(language, &Error::UnknownLink(id));
    };
    if !field("form_token").is_some_and(|given| random::same(&given, &form_token)) {
        return says(StatusCode::FORBIDDEN, language, words.not_from_here);
    }
    let as_state = match field("action").as_deref() {
        Some("pay") => LinkState::Paid,
        Some("time_out") => LinkState::TimedOut,
        _ => return says(StatusCode::BAD_REQUEST, language, words.not_from_here),
    };
    match delivery::settle(&shared, &id, as_state).await {
        Ok((link, _)) => onwards(&link, language),
        // Pressed twice, or in two windows: what became of the link is what there is to see.
        Err(Error::LinkSettled(_)) => match shared.state().links.get(&id) {
            Some(link) => LinkPage { link, language, told: true }
                .respond(StatusCode::CONFLICT, Some(words.settled)),
            None => failed(language, &Error::UnknownLink(id)),
        },
        Err(error) => failed(language, &error),
    }
}

fn chosen(query: Option<&str>, headers: &HeaderMap) -> Language {
    Language::chosen(query, one_header(headers, &header::ACCEPT_LANGUAGE))
}

fn own_page(link: &Link, language: Language) -> String {
    format!("/pay/{}?lang={}", link.id, language.code())
}

/// Sends the customer to the link's redirect, or back to the link's page where it has none that is
/// followed.
fn onwards(link: &Link, language: Language) -> Response {
    to(redirect(link).unwrap_or_else(|| own_page(link, language)))
}

fn to(target: String) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, target)]).into_response()
}

/// The link's redirect, where it is one that is followed.
fn redirect(link: &Link) -> Option<String> {
    link.redirect_url.as_deref().and_then(web_url)
}

/// The host and the port of a URL: enough to know where one is led, and short.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// An amount with its thousands parted, so that a person can read `10,000,000`.
fn grouped(amount: &str) -> String {
    let whole = amount.find('.').unwrap_or(amount.len());
    let mut text = String::with_capacity(amount.len() + whole / 3);
    for (place, digit) in amount.char_indices() {
        if place > 0 && place < whole && (whole - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

struct LinkPage<'a> {
    link: &'a Link,
    language: Language,
    /// Whether the shop will be told what becomes of the link.
    told: bool,
}

impl LinkPage<'_> {
    fn respond(&self, status: StatusCode, alert: Option<&str>) -> Response {
        let (link, words) = (self.link, Words::of(self.language));
        let amount =
            format!("{} {}", escaped(&grouped(link.amount.as_str())), escaped(&link.currency));
        let name = match link.state {
            LinkState::Open => words.title,
            LinkState::Paid => words.paid,
            LinkState::TimedOut => words.timed_out,
        };
        // The isolate keeps the amount's order in a title that runs from right to left.
        let title = format!("{name}: \u{2066}{amount}\u{2069}");
        let reference = link.reference.as_deref().filter(|reference| !reference.is_empty());
        let reference = reference.map_or_else(String::new, |reference| {
            format!("<dt>{}</dt><dd><bdi>{}</bdi></dd>\n", words.reference, escaped(reference))
        });
        let alert = alert.map_or_else(String::new, |text| {
            format!("<p class=\"warning\" role=\"alert\">{text}</p>\n")
        });
        let body = format!(
            "<section class=\"card\" aria-labelledby=\"title\">\n{language}\
             <h1 id=\"title\">{heading}</h1>\n{alert}\
             <dl class=\"checkout\">\n\
             <dt>{amount_word}</dt><dd class=\"amount\"><bdi dir=\"ltr\">{amount}</bdi></dd>\n\
             {reference}\
             <dt>{link_word}</dt><dd><bdi dir=\"ltr\"><code>{id}</code></bdi></dd>\n{afterwards}\
             </dl>\n{foot}</section>\n",
            language = self.other_language(),
            heading = words.title,
            amount_word = words.amount,
            link_word = words.link,
            id = escaped(&link.id),
            afterwards = self.afterwards(),
            foot = match link.state {
                LinkState::Open => self.form(),
                LinkState::Paid => self.result("paid", words.paid),
                LinkState::TimedOut => self.result("timed-out", words.timed_out),
            },
        );
        // A browser holds the redirect after a form against this too, and the redirect's own
        // redirects, of which nothing is known here.
        let targets = if redirect(link).is_some() { "'self' http: https:" } else { "'self'" };
        page::page(status, self.language, &title, &body, targets)
    }

    fn other_language(&self) -> String {
        let other = match self.language {
            Language::Arabic => Language::English,
            Language::English => Language::Arabic,
        };
        format!(
            "<p class=\"language\"><a href=\"{href}\" lang=\"{other}\" hreflang=\"{other}\">{name}</a></p>\n",
            href = escaped(&own_page(self.link, other)),
            other = other.code(),
            name = Words::of(self.language).other_language,
        )
    }

    /// Where the customer is led, while that lies ahead.
    fn afterwards(&self) -> String {
        let words = Words::of(self.language);
        if self.link.state != LinkState::Open {
            return String::new();
        }
        let given = self.link.redirect_url.as_deref().unwrap_or_default();
        let said = match redirect(self.link) {
            Some(url) => {
                format!("{} <bdi dir=\"ltr\">{}</bdi>", words.back_to, escaped(host(&url)))
            }
            None if given.is_empty() => words.stays.to_owned(),
            None => words.not_followed.to_owned(),
        };
        format!("<dt>{}</dt><dd>{said}</dd>\n", words.afterwards)
    }

    fn form(&self) -> String {
        let words = Words::of(self.language);
        let warning = if self.told {
            String::new()
        } else {
            format!("<p class=\"warning\">{}</p>\n", words.no_webhook)
        };
        format!(
            "<p>{explained}</p>\n{warning}<form method=\"post\" action=\"{action}\">\n\
             <input type=\"hidden\" name=\"form_token\" value=\"{token}\">\n\
             <button class=\"main\" name=\"action\" value=\"pay\" aria-describedby=\"pay-hint\">{pay}</button>\n\
             <p class=\"hint\" id=\"pay-hint\">{pay_explained}</p>\n\
             <button name=\"action\" value=\"time_out\" aria-describedby=\"time-out-hint\">{time_out}</button>\n\
             <p class=\"hint\" id=\"time-out-hint\">{time_out_explained}</p>\n</form>\n",
            explained = words.explained,
            action = escaped(&own_page(self.link, self.language)),
            token = escaped(&self.link.form_token),
            pay = words.pay,
            pay_explained = words.pay_explained,
            time_out = words.time_out,
            time_out_explained = words.time_out_explained,
        )
    }

    /// What became of the link, and the way on.
    fn result(&self, class: &str, said: &str) -> String {
        let words = Words::of(self.language);
        let on = match redirect(self.link) {
            Some(url) => format!(
                "<p><a class=\"button\" href=\"/pay/{id}/return?lang={lang}\">{to_the_shop}</a></p>\n\
                 <p class=\"hint\"><bdi dir=\"ltr\">{host}</bdi></p>\n",
                id = escaped(&self.link.id),
                lang = self.language.code(),
                to_the_shop = words.to_the_shop,
                host = escaped(host(&url)),
            ),
            None => format!("<p>{}</p>\n", words.close),
        };
        format!("<p class=\"result {class}\" role=\"status\"><strong>{said}</strong></p>\n{on}")
    }
}

fn failed(language: Language, error: &Error) -> Response {
    let words = Words::of(language);
    match error {
        Error::UnknownLink(_) => says(StatusCode::NOT_FOUND, language, words.unknown),
        // The rest is the simulator's own trouble, which it tells in English only.
        other => {
            let text = format!(
                "{} <bdi lang=\"en\" dir=\"ltr\">{}.</bdi>",
                words.failed,
                escaped(&other.to_string())
            );
            says(StatusCode::INTERNAL_SERVER_ERROR, language, &text)
        }
    }
}

/// A page that only says why there is nothing to do. `text` is HTML.
fn says(status: StatusCode, language: Language, text: &str) -> Response {
    let title = Words::of(language).title;
    let body = format!(
        "<section class=\"card\" aria-labelledby=\"title\">\n<h1 id=\"title\">{title}</h1>\n\
         <p class=\"warning\" role=\"alert\">{text}</p>\n</section>\n"
    );
    page::page(status, language, title, &body, "'none'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_parted_and_nothing_else_changes() {
        for (amount, wanted) in [
            ("10.50", "10.50"),
            ("999", "999"),
            ("1000", "1,000"),
            ("10000000", "10,000,000"),
            ("123456.12345678", "123,456.12345678"),
        ] {
            assert_eq!(grouped(amount), wanted);
        }
    }

    #[test]
    fn a_host_is_shown_without_what_stands_around_it() {
        for (url, wanted) in [
            ("https://shop.example/thanks?order=42", "shop.example"),
            ("http://localhost:3000/", "localhost:3000"),
            ("https://name:pass@shop.example/#x", "shop.example"),
            ("http://[::1]:8000/back", "[::1]:8000"),
        ] {
            assert_eq!(host(url), wanted);
        }
    }
}
