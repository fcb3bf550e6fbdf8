//! What the control API shows, as JSON.

use serde_json::{Value, json};

use crate::delivery::{Delivery, DeliveryOutcome};
use crate::state::{Armed, Link, RecordedRequest};

pub(super) fn request(request: &RecordedRequest) -> Value {
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

pub(super) fn delivery(delivery: &Delivery) -> Value {
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

pub(super) fn link(link: &Link) -> Value {
    json!({
        "id": link.id,
        "amount": link.amount.as_str(),
        "currency": link.currency,
        "ref": link.reference,
        "redirect_url": link.redirect_url,
        "state": link.state.as_str(),
    })
}

pub(super) fn armed(armed: &Armed) -> Value {
    json!({ "fault": armed.fault.to_string(), "times": armed.times })
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
