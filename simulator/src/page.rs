//! What the HTML pages share: escaping, the frame, the words that say what this is.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Text made safe to stand in HTML, in an element as in a quoted attribute.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// The languages that the pages speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Arabic,
    English,
}

impl Language {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Language::Arabic => "ar",
            Language::English => "en",
        }
    }

    fn direction(self) -> &'static str {
        match self {
            Language::Arabic => "rtl",
            Language::English => "ltr",
        }
    }

    fn from_code(code: &str) -> Option<Self> {
        let main = code.split('-').next().unwrap_or_default().trim();
        [Language::Arabic, Language::English]
            .into_iter()
            .find(|language| main.eq_ignore_ascii_case(language.code()))
    }

    /// The language asked for by `?lang=`, else the one that the browser likes best, else English.
    pub(crate) fn chosen(query: Option<&str>, accept_language: Option<&str>) -> Self {
        let asked = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .find(|(name, _)| name == "lang")
            .and_then(|(_, code)| Self::from_code(&code));
        asked.or_else(|| Self::liked(accept_language?)).unwrap_or(Language::English)
    }

    fn liked(accept_language: &str) -> Option<Self> {
        let mut best: Option<(Self, f32)> = None;
        for range in accept_language.split(',') {
            let (code, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = parameters
                .trim()
                .strip_prefix("q=")
                .map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0));
            if let Some(language) = Self::from_code(code.trim())
                && weight > best.map_or(0.0, |(_, weight)| weight)
            {
                best = Some((language, weight));
            }
        }
        best.map(|(language, _)| language)
    }
}

/// A page in its frame. `title` and `body` are HTML; `form_targets` is where its forms and what
/// they redirect to may lead.
pub(crate) fn page(
    status: StatusCode,
    language: Language,
    title: &str,
    body: &str,
    form_targets: &str,
) -> Response {
    let notice = match language {
        Language::English => {
            "<strong>Simulator.</strong> This is not Kazawallet, and no money moves."
        }
        Language::Arabic => {
            "<strong>صفحة محاكاة.</strong> هذه ليست صفحة <bdi>Kazawallet</bdi>، ولا تُحوَّل فيها أي أموال."
        }
    };
    let html = format!(
        "<!doctype html>\n<html lang=\"{lang}\" dir=\"{dir}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n\
         <header class=\"notice\"><p>{notice}</p></header>\n<main>\n{body}</main>\n</body>\n</html>\n",
        lang = language.code(),
        dir = language.direction(),
    );
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action {form_targets}; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CONTENT_LANGUAGE, language.code().to_owned()),
    ];
    (status, headers, html).into_response()
}

/// A page that only says something. `title` and `text` are escaped here.
pub(crate) fn message(status: StatusCode, language: Language, title: &str, text: &str) -> Response {
    let (title, text) = (escaped(title), escaped(text));
    let body = format!("<section class=\"card\">\n<h1>{title}</h1>\n<p>{text}</p>\n</section>\n");
    page(status, language, &title, &body, "'none'")
}

/// The first page: what this is.
pub(crate) async fn welcome() -> Response {
    let body = "<section class=\"card\">\n<h1>Kazawallet simulator</h1>\n\
        <p>A local stand-in for the provider's API. The dashboard's address, with its token, was \
        printed where the simulator was started.</p>\n\
        <p>Where this browser has been there already: <a href=\"/__simulator/\">the dashboard</a>.</p>\n\
        </section>\n";
    page(StatusCode::OK, Language::English, "Kazawallet simulator", body, "'none'")
}

pub(crate) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_one_asked_for_else_the_one_liked_best() {
        use Language::{Arabic, English};
        for (query, accept, wanted) in [
            (None, None, English),
            (Some("lang=ar"), Some("en"), Arabic),
            (Some("lang=en"), Some("ar"), English),
            (Some("lang=xx"), Some("ar-SY"), Arabic),
            (None, Some("de, ar;q=0.5, en;q=0.4"), Arabic),
            (None, Some("ar;q=0.2,en-GB;q=0.9"), English),
            (None, Some("ar;q=0"), English),
        ] {
            assert_eq!(Language::chosen(query, accept), wanted, "{query:?} {accept:?}");
        }
    }

    #[test]
    fn every_character_with_a_meaning_in_html_is_escaped() {
        assert_eq!(escaped("<a b=\"c\">&'"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;");
    }
}
