//! The page of one delivery: its bytes, what was answered, and why its signature holds.

use std::fmt::Write as _;

use kazawallet::Amount;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::html::{duration, table};
use crate::delivery::{Delivery, DeliveryOutcome, USER_AGENT};
use crate::fault::Fault;
use crate::page::escaped;
use crate::server::Shared;
use crate::state::State;

/// What stands for a key wherever one would be shown.
const MASKED: &str = "***";

pub(super) fn html(shared: &Shared, state: &State, delivery: &Delivery) -> String {
    let mut html = format!(
        "<p><a href=\"/__simulator/#deliveries\">Back to the dashboard</a></p>\n\
         <h1>Delivery {}</h1>\n",
        delivery.id
    );
    html.push_str(&answer(shared, delivery));
    html.push_str(&bytes(delivery));
    html.push_str(&signature(shared, state, delivery));
    html.push_str(&covered(state, delivery));
    html
}

/// Where it went, and what became of it.
fn answer(shared: &Shared, delivery: &Delivery) -> String {
    let settings = &shared.settings;
    let url = delivery.url.as_deref().map_or_else(
        || "nowhere: no webhook URL is set".to_owned(),
        |url| format!("<code>{}</code>", escaped(url)),
    );
    let mut html = format!(
        "<section aria-labelledby=\"answer\">\n<h2 id=\"answer\">What the shop answered</h2>\n<dl>\n\
         <dt>Sent to</dt><dd>{url}</dd>\n\
         <dt>Sent at</dt><dd>{at} after the simulator's start</dd>\n\
         <dt>Outcome</dt><dd>{outcome}</dd>\n",
        at = duration(delivery.at),
        outcome = escaped(&delivery.outcome.to_string()),
    );
    let answered = matches!(delivery.outcome, DeliveryOutcome::Answered { .. });
    if answered || matches!(delivery.outcome, DeliveryOutcome::Failed { .. }) {
        let _ = writeln!(html, "<dt>It took</dt><dd>{}</dd>", duration(delivery.took));
    }
    if let Some(fault) = delivery.fault {
        let _ = writeln!(html, "<dt>Fault</dt><dd><code>{fault}</code></dd>");
    }
    html.push_str("</dl>\n");
    if answered {
        let said = delivery.answer.replace(&settings.api_secret, MASKED);
        let said = said.replace(&settings.api_key, MASKED);
        if said.is_empty() {
            html.push_str("<p>The answer had no body.</p>\n");
        } else {
            let _ =
                write!(html, "<h3>Its body</h3>\n<pre dir=\"ltr\">\n{}</pre>\n", escaped(&said));
        }
    }
    html.push_str(
        "<p class=\"hint\">A delivery is sent once, whatever the answer.</p>\n</section>\n",
    );
    html
}

/// The delivery as it stands on the wire.
fn bytes(delivery: &Delivery) -> String {
    let mut dump = String::new();
    for (row, bytes) in delivery.body.as_bytes().chunks(16).enumerate() {
        let _ = write!(dump, "{:04x} ", row * 16);
        for byte in bytes {
            let _ = write!(dump, " {byte:02x}");
        }
        dump.push('\n');
    }
    // A browser that does not fit the field to its content shows about this many lines.
    let rows = (delivery.body.len() / 60 + 1).clamp(4, 16);
    format!(
        "<section aria-labelledby=\"bytes\">\n<h2 id=\"bytes\">Its bytes, exactly as sent</h2>\n\
         <dl>\n<dt>Method</dt><dd><code>POST</code></dd>\n\
         <dt>Content type</dt><dd><code>{content_type}</code></dd>\n\
         <dt>Length</dt><dd>{length} bytes</dd>\n\
         <dt>User agent</dt><dd><code>{USER_AGENT}</code></dd>\n</dl>\n\
         <p class=\"field\"><label for=\"body\">Body, to copy</label>\
         <textarea id=\"body\" dir=\"ltr\" rows=\"{rows}\" readonly spellcheck=\"false\">{body}</textarea></p>\n\
         <details><summary>In hexadecimal</summary><pre dir=\"ltr\">\n{dump}</pre></details>\n\
         </section>\n",
        content_type = escaped(&delivery.content_type),
        length = delivery.body.len(),
        body = escaped(&delivery.body),
    )
}

/// The signature, step by step.
fn signature(shared: &Shared, state: &State, delivery: &Delivery) -> String {
    let heading = "<section aria-labelledby=\"signature\">\n\
        <h2 id=\"signature\">Why the signature holds</h2>\n";
    let event = match shared.webhook.verify(&delivery.body) {
        Ok(event) => event,
        Err(error) => {
            return format!(
                "{heading}<p class=\"warning\">The SDK refuses this delivery: {}</p>\n</section>\n",
                escaped(error.message())
            );
        }
    };
    let settings = &shared.settings;
    // The text that the link was made with, of which the delivery may carry another form.
    let amount = state.links.get(&delivery.order_id).map_or(event.amount(), |link| &link.amount);
    let signed = signed_text(amount, event.order_id(), &settings.api_key);
    let digest = Sha256::digest(signed.as_bytes());
    let digest = digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let made = shared.webhook.sign(amount, event.order_id());
    let fields = fields(delivery);
    let claimed = fields.iter().find(|(name, _)| name == "secret").map(|(_, value)| &**value);
    let verdict = if claimed == Some(&*made) {
        "They are equal: the signature holds."
    } else {
        "They differ: it was signed over another form of the same amount."
    };
    format!(
        "{heading}<ol class=\"steps\">\n\
         <li><p>The signed text: the amount as the link was made with it, the order id and the API \
         key, with three colons between. The key is masked here.</p>\n\
         <p><code>{signed}</code></p></li>\n\
         <li><p>Its SHA-256, in hexadecimal. What goes on is its 32 bytes, not this text.</p>\n\
         <p><code>{digest}</code></p></li>\n\
         <li><p>The HMAC-SHA512 of those bytes in base64. Its key is the API secret \
         (<code>KAZAWALLET_API_SECRET</code>), which is not shown.</p>\n\
         <p><code>{made}</code></p></li>\n\
         <li><p>What the delivery claims, in its field <code>secret</code>.</p>\n\
         <p><code>{claimed}</code></p>\n<p class=\"result paid\"><strong>{verdict}</strong></p></li>\n</ol>\n\
         </section>\n",
        signed = escaped(&signed_text(amount, event.order_id(), MASKED)),
        made = escaped(&made),
        claimed = escaped(claimed.unwrap_or("none")),
    )
}

fn signed_text(amount: &Amount, order_id: &str, key: &str) -> String {
    format!("{amount}:::{order_id}:::{key}")
}

/// Which fields the signature covers, and what a fault made of the others.
fn covered(state: &State, delivery: &Delivery) -> String {
    let mut html = String::from(
        "<section aria-labelledby=\"covered\">\n<h2 id=\"covered\">What it does not cover</h2>\n\
         <p>Whoever holds one genuine delivery can change what is not signed and send it again, \
         and the signature still holds. So hold each payment against your own order, and let an \
         order id settle one order once.</p>\n",
    );
    if let Some(text) = changed(state, delivery) {
        let _ = writeln!(html, "<p class=\"warning\">{text}</p>");
    }
    table(
        &mut html,
        "The delivery's fields.",
        &["Field", "Value", "Signed"],
        fields(delivery).into_iter().map(|(name, value)| {
            let signed = match &*name {
                "order_id" | "id" | "amount" => "yes",
                "secret" => "it is the signature",
                _ => "<strong>no</strong>",
            };
            vec![
                format!("<code>{}</code>", escaped(&name)),
                format!("<bdi>{}</bdi>", escaped(&value)),
                signed.to_owned(),
            ]
        }),
    );
    html.push_str("</section>\n");
    html
}

/// What a fault changed that the signature does not cover.
fn changed(state: &State, delivery: &Delivery) -> Option<String> {
    let link = state.links.get(&delivery.order_id)?;
    let (field, truth) = match delivery.fault? {
        Fault::StatusChanged => ("status", link.state.as_str()),
        Fault::CurrencyChanged => ("currency", &*link.currency),
        _ => return None,
    };
    let fields = fields(delivery);
    let (_, said) = fields.iter().find(|(name, _)| name == field)?;
    Some(format!(
        "The fault made this delivery say <code>{field}</code> <code>{}</code>, although the \
         link's own is <code>{}</code>. The signature still holds, since it does not cover the \
         {field}.",
        escaped(said),
        escaped(truth)
    ))
}

/// The fields in the order in which they were sent, each as text.
fn fields(delivery: &Delivery) -> Vec<(String, String)> {
    if delivery.content_type != "application/json" {
        return form_urlencoded::parse(delivery.body.as_bytes()).into_owned().collect();
    }
    let Ok(Value::Object(members)) = serde_json::from_str(&delivery.body) else {
        return Vec::new();
    };
    let mut fields: Vec<_> = members
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => (name, text),
            other => (name, other.to_string()),
        })
        .collect();
    // The map has sorted them by name.
    fields.sort_by_key(|(name, _)| delivery.body.find(&format!("\"{name}\":")));
    fields
}
