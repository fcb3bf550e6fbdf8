//! The dashboard's faults: what is armed, and a form for each that can be.

use std::fmt::Write as _;

use super::html::{field, form, hidden};
use crate::fault::Fault;
use crate::server::Shared;
use crate::state::{Armed, State};

/// The section's inside.
pub(super) fn html(shared: &Shared, state: &State) -> String {
    let token = &shared.settings.control_token;
    let mut html = String::from("<h3>Armed</h3>\n");
    if state.faults.is_empty() {
        html.push_str("<p>None: everything is answered and delivered as it should be.</p>\n");
    } else {
        html.push_str("<ul class=\"armed\">\n");
        for (place, armed) in state.faults.iter().enumerate() {
            let (name, times) = (armed.fault.to_string(), times(armed));
            let button = format!(
                "{}<button aria-describedby=\"armed-{place}\">Clear</button>",
                hidden("fault", &name)
            );
            let _ = writeln!(
                html,
                "<li><span id=\"armed-{place}\"><code>{name}</code>, {times}</span> {}</li>",
                form(token, "clear_faults", &button)
            );
        }
        html.push_str("</ul>\n");
        html.push_str(&form(token, "clear_faults", "<button>Clear all</button>"));
    }
    for (heading, of_delivery) in
        [("For the next API request", false), ("For the next delivery", true)]
    {
        let _ = write!(html, "<h3>{heading}</h3>\n<div class=\"faults\">\n");
        for fault in Fault::ALL.into_iter().filter(|fault| fault.is_of_delivery() == of_delivery) {
            html.push_str(&switch(token, fault));
        }
        html.push_str("</div>\n");
    }
    html
}

/// How long a fault stays armed, in words.
pub(super) fn times(armed: &Armed) -> String {
    match armed.times {
        Some(1) => "once".to_owned(),
        Some(times) => format!("{times} times"),
        None => "until cleared".to_owned(),
    }
}

/// The form that arms one fault.
fn switch(token: &str, fault: Fault) -> String {
    let name = fault.as_str();
    let value = match fault {
        Fault::AnswerLate(delay) => {
            let limits = "type=\"number\" min=\"0\" max=\"600000\" required";
            let delay = delay.as_millis().to_string();
            field("answer_late-value", "Milliseconds", "value", &delay, limits)
        }
        Fault::AnswerStatus(status) => {
            let limits = "type=\"number\" min=\"400\" max=\"599\" required";
            field("answer_status-value", "Status", "value", &status.to_string(), limits)
        }
        _ => String::new(),
    };
    let inside = format!(
        "<fieldset><legend><code>{name}</code></legend>\n<p id=\"{name}-hint\">{}</p>\n{}{value}\
         <p class=\"buttons\">\
         <button name=\"times\" value=\"1\" aria-describedby=\"{name}-hint\">Once</button>\
         <button name=\"times\" value=\"until_cleared\" aria-describedby=\"{name}-hint\">Until cleared</button>\
         </p></fieldset>",
        what_it_does(fault),
        hidden("fault", name),
    );
    form(token, "fault", &inside)
}

fn what_it_does(fault: Fault) -> &'static str {
    match fault {
        Fault::AnswerLate(_) => "Acts at once, and answers only after this time.",
        Fault::CloseBeforeActing => "Does nothing, and cuts the connection.",
        Fault::CloseAfterActing => {
            "Does what was asked, and cuts the connection instead of answering: a payout is paid, \
             and the shop is not told."
        }
        Fault::AnswerStatus(_) => "Does nothing, and answers this status with an error in JSON.",
        Fault::HtmlAnswer => "Does nothing, and answers 502 with a page in HTML, as a proxy does.",
        Fault::HalfBody => {
            "Does what was asked, sends half of the answer, and cuts the connection: a payout is \
             paid, and the shop cannot read that it was."
        }
        Fault::ErrorInside200 => "Does nothing, and answers 200 with an error in the body.",
        Fault::OrderIdAnswer => {
            "Answers the next new payment link with its id under the name <code>order_id</code> \
             instead of <code>id</code>."
        }
        Fault::AmountAsNumber => {
            "Delivers the amount as a JSON number instead of a string, without the zeros at its end."
        }
        Fault::FormEncoded => "Delivers form fields instead of JSON.",
        Fault::StatusChanged => {
            "Delivers the other status: <code>fulfilled</code> for what has timed out, and the \
             other way round. The signature still holds, since it does not cover the status."
        }
        Fault::CurrencyChanged => {
            "Delivers another currency. The signature still holds, since it does not cover the \
             currency."
        }
        Fault::DeliveredTwice => "Delivers the same body twice.",
        Fault::NeverDelivered => "Delivers nothing: the payment is made, and the shop is not told.",
    }
}
