//! What receives deliveries for a ledger: from their bytes to what is answered and told. The adapters of all
//! languages stand on it.

use std::sync::Arc;

use kazawallet::{Error, ErrorKind, Reception, Report, WebhookRoute, since_the_start};

use crate::ledger::Ledger;
use crate::records::Receipt;

/// Receives deliveries for an open ledger, for as long as that is open: there is no second delivery.
#[derive(Clone, Debug)]
pub struct Receiver {
    ledger: Ledger,
}

impl Receiver {
    /// A receiver for this ledger. Nothing has to be started for it to receive.
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger }
    }

    /// The rules of the route, for what is answered before there is a delivery.
    pub fn route(&self) -> &Arc<WebhookRoute> {
        &self.ledger.inner.voice.route
    }

    /// Verifies again what is in quarantine: that recovers what a forgotten rotation of keys refused.
    ///
    /// # Errors
    /// [`Configuration`](ErrorKind::Configuration): the ledger has nothing to verify deliveries with.
    /// Everything else is told.
    pub async fn start(&self) -> Result<(), Error> {
        match self.ledger.reverify().await {
            Ok(receipts) => {
                for receipt in receipts {
                    let order_id = receipt.event.order_id();
                    let text = format!(
                        "the payment {order_id} was in the ledger's quarantine, and is received now, \
                         since it verifies"
                    );
                    self.ledger.tell(Report::info("reverified", text).of_payment(order_id));
                    if let Some(report) = self.waiting(&receipt) {
                        self.ledger.tell(report);
                    }
                }
                Ok(())
            }
            Err(problem) if problem.kind() == ErrorKind::Configuration => Err(problem),
            // Its owner has closed it meanwhile: a delivery that comes is told.
            Err(_) if self.ledger.refuse_when_closed().is_err() => Ok(()),
            Err(problem) => {
                let text =
                    format!("what is in the ledger's quarantine was not verified again: {problem}");
                self.ledger.tell(Report::warning("not_reverified", text));
                Ok(())
            }
        }
    }

    /// Receives a delivery's bytes. When it returns
    /// [`WebhookAnswer::RECEIVED`](kazawallet::WebhookAnswer), the delivery would survive a power cut.
    pub async fn receive(&self, body: &[u8]) -> Reception {
        let reception = match self.ledger.take_in(body).await {
            Ok((receipt, spooled)) => {
                let report = spooled.or_else(|| self.waiting(&receipt));
                Reception { report, ..Reception::RECEIVED }
            }
            Err(refused) => {
                let Reception { answer, report } = Reception::refused(&refused.problem);
                let of_payment = |report: Report| match &refused.order_id {
                    Some(order_id) => report.of_payment(order_id),
                    None => report,
                };
                Reception { answer, report: report.map(of_payment) }
            }
        };
        self.route().limited(reception, since_the_start())
    }

    /// A genuine delivery that nobody is going to handle unless a person decides.
    fn waiting(&self, receipt: &Receipt) -> Option<Report> {
        if !receipt.waits_for_person() || receipt.duplicate {
            return None;
        }
        let (order_id, decision) = (receipt.event.order_id(), receipt.decision);
        let problem = receipt.problem.as_deref().map(|problem| format!(", {problem}"));
        let text = format!(
            "the payment {order_id} is stored and waits for a person: {decision}{} ({})",
            problem.unwrap_or_default(),
            self.ledger.inner.voice.see("unsettled"),
        );
        Some(Report::warning("waits_for_person", text).of_payment(order_id))
    }
}
