//! The ledger against a simple model of it, in memory: after each of many random steps the two must
//! say the same. `LEDGER_MODEL_CASES` says how many times it begins anew, for each database.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use kazawallet::{Amount, CreatePaymentLink, CreateWithdrawal, Error, PaymentMethod};
use kazawallet_ledger::{
    Decision, Ledger, LinkIds, OrderState, PayoutState, Processing, Resolution, Settlement,
};
use kazawallet_ledger_tests::Delivery;
use kazawallet_simulator::{Decimal, Fault};
use support::random::{Random, count};
use support::{Database, TestShop, in_time, until_time};

const STEPS: usize = 40;
const REFS: [&str; 4] = ["order-a", "order-b", "order-c", "طلب"];
/// The first two are the same number.
const AMOUNTS: [&str; 3] = ["10.50", "10.5", "9"];
const PAYOUTS: [&str; 3] = ["payout-a", "payout-b", "payout-c"];
const MAX_TRIES: u32 = 2;
/// For a payout of which no answer comes, so that it may soon be resolved.
const SHORT: Duration = Duration::from_secs(3);

// ---------------------------------------------------------------- the model

#[derive(Default)]
struct Model {
    orders: BTreeMap<String, Order>,
    payments: BTreeMap<String, Payment>,
    /// The order of arrival.
    arrivals: Vec<String>,
    conflicts: BTreeSet<(String, Said)>,
    payouts: BTreeMap<String, Payout>,
    quarantined: u64,
    decisions: Vec<(&'static str, String, &'static str)>,
    /// Whether a payment has carried the id of its own order's link.
    proven: bool,
    /// Whether a person has switched the check of link ids off.
    ignored: bool,
    links_made: usize,
    payouts_sent: usize,
    payouts_carried_out: usize,
}

struct Order {
    amount: Amount,
    currency: String,
    state: OrderState,
    link_id: Option<String>,
    /// All that it ever had.
    links: Vec<String>,
    paid_by: Option<String>,
}

/// What a delivery says, as it is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    status: String,
    /// In its shortest form.
    amount: String,
    currency: Option<String>,
    reference: Option<String>,
}

struct Payment {
    said: Said,
    decision: Decision,
    problem: Option<&'static str>,
    link_ids: LinkIds,
    link_ref: Option<String>,
    settles: Option<String>,
    processing: Option<Processing>,
    tries: u32,
    /// Whether a loop of its own holds it.
    held: bool,
    body: Option<Vec<u8>>,
}

struct Payout {
    terms: usize,
    state: PayoutState,
    details: bool,
}

impl Said {
    fn by(delivery: &Delivery) -> Self {
        let amount = Amount::from_delivery(&delivery.amount);
        Self {
            status: delivery.status.clone(),
            amount: amount.unwrap().shortest(),
            currency: delivery.currency.as_ref().map(|code| code.to_ascii_uppercase()),
            reference: delivery.reference.clone(),
        }
    }

    fn differs_from(&self, first: &Self) -> Option<&'static str> {
        if self.status != first.status {
            return Some("status");
        }
        if self.amount != first.amount {
            return Some("amount");
        }
        if self.currency != first.currency {
            return Some("currency");
        }
        (self.reference != first.reference).then_some("ref")
    }
}

/// A step's result: what was said, or the code of the refusal.
type Told = Result<String, String>;

fn refused(code: &str) -> Told {
    Err(code.to_owned())
}

impl Model {
    fn create_link(&mut self, reference: &str, amount: &str, currency: &str, fails: bool) -> Told {
        let amount: Amount = amount.parse().unwrap();
        let currency = currency.to_ascii_uppercase();
        if let Some(order) = self.orders.get(reference) {
            if order.amount != amount {
                return refused("validation amount");
            }
            if order.currency != currency {
                return refused("validation currency");
            }
        } else {
            let state = OrderState::Creating;
            let order =
                Order { amount, currency, state, link_id: None, links: Vec::new(), paid_by: None };
            self.orders.insert(reference.to_owned(), order);
            // What came before it.
            self.adopt(|payment| payment.said.reference.as_deref() == Some(reference));
        }
        let order = self.orders.get_mut(reference).unwrap();
        match (order.state, &order.link_id) {
            (OrderState::Open | OrderState::Paid, Some(id)) => {
                return Ok(format!("{} {id}", order.state));
            }
            (OrderState::Paid, None) => return refused("ledger_state"),
            _ => {}
        }
        self.links_made += 1;
        order.link_id = None;
        order.state = OrderState::Creating;
        if fails {
            return refused("api");
        }
        order.state = OrderState::Open;
        Ok("new".to_owned())
    }

    /// Whether the step above will ask the provider.
    fn asks_for_link(&self, reference: &str, amount: &str, currency: &str) -> bool {
        let Some(order) = self.orders.get(reference) else {
            let fits = |payment: &Payment| {
                payment.decision == Decision::NoOrder
                    && payment.said.reference.as_deref() == Some(reference)
                    && payment.said.status == "fulfilled"
                    && payment.said.amount == amount.parse::<Amount>().unwrap().shortest()
                    && payment.said.currency.as_deref() == Some(&currency.to_ascii_uppercase())
            };
            let is_anothers = |id: &str| !self.ignored && self.order_of(id).is_some();
            return !self.payments.iter().any(|(id, payment)| fits(payment) && !is_anothers(id));
        };
        order.amount == amount.parse::<Amount>().unwrap()
            && order.currency == currency.to_ascii_uppercase()
            && matches!(order.state, OrderState::Creating | OrderState::TimedOut)
    }

    /// The ref of the order that has, or had, a link with this id.
    fn order_of(&self, link_id: &str) -> Option<&String> {
        let mut orders = self.orders.iter();
        orders.find(|(_, order)| order.links.iter().any(|id| id == link_id)).map(|(of, _)| of)
    }

    /// Decides again what had no order.
    fn adopt(&mut self, which: impl Fn(&Payment) -> bool) {
        for order_id in self.arrivals.clone() {
            let payment = &self.payments[&order_id];
            if payment.decision == Decision::NoOrder && which(payment) {
                self.decide(&order_id);
            }
        }
    }

    fn receive(&mut self, delivery: &Delivery, body: Vec<u8>) -> Told {
        let said = Said::by(delivery);
        let order_id = &delivery.order_id;
        if self.payments.get(order_id).is_some_and(|first| first.decision == Decision::NoOrder) {
            self.decide(order_id);
        }
        if let Some(first) = self.payments.get(order_id) {
            let Some(problem) = said.differs_from(&first.said) else {
                return Ok(first.told(true));
            };
            let again = !self.conflicts.insert((order_id.clone(), said));
            return Ok(format!("conflict {again} {problem}"));
        }
        let payment = Payment {
            said,
            decision: Decision::NoOrder,
            problem: None,
            link_ids: if self.ignored { LinkIds::Ignored } else { LinkIds::Unproven },
            link_ref: None,
            settles: None,
            processing: None,
            tries: 0,
            held: false,
            body: Some(body),
        };
        self.payments.insert(order_id.clone(), payment);
        self.arrivals.push(order_id.clone());
        self.decide(order_id);
        Ok(self.payments[order_id].told(false))
    }

    fn decide(&mut self, order_id: &str) {
        let said = self.payments[order_id].said.clone();
        let reference = said.reference.clone().unwrap_or_default();
        let order = self.orders.get(&reference);
        let own = order.is_some_and(|order| order.links.iter().any(|id| id == order_id));
        let link_ref = self.order_of(order_id).filter(|_| !own && !self.ignored).cloned();
        if order.is_none() && link_ref.is_none() {
            return;
        }
        let fits_in = |order: &Order| {
            (
                said.amount == order.amount.shortest(),
                said.currency.as_ref() == Some(&order.currency),
            )
        };
        self.proven |=
            own && !self.ignored && order.is_some_and(|order| fits_in(order) == (true, true));
        let counts = order.is_some_and(|order| self.proven && !order.links.is_empty());
        let link_ids = match (self.ignored, counts) {
            (true, _) => LinkIds::Ignored,
            (false, true) => LinkIds::Proven,
            (false, false) => LinkIds::Unproven,
        };
        let payment = self.payments.get_mut(order_id).unwrap();
        payment.link_ids = link_ids;
        payment.link_ref.clone_from(&link_ref);
        let Some(order) = order.filter(|_| link_ref.is_none()) else {
            (payment.decision, payment.problem) = (Decision::Mismatch, Some("ref"));
            return;
        };
        let is_former = own && !self.ignored && order.link_id.as_deref() != Some(order_id);
        let problem = if !["fulfilled", "timed_out"].contains(&said.status.as_str()) {
            Some("status")
        } else if (link_ids == LinkIds::Proven && !own) || (is_former && said.status == "timed_out")
        {
            Some("order_id")
        } else if !fits_in(order).1 {
            Some("currency")
        } else if said.status == "fulfilled" && !fits_in(order).0 {
            Some("amount")
        } else {
            None
        };
        let decision = match (said.status.as_str(), problem) {
            ("timed_out", None | Some("order_id")) => Decision::TimedOut,
            (_, Some(_)) => Decision::Mismatch,
            _ if order.state == OrderState::Paid => Decision::Overpaid,
            _ => Decision::Paid,
        };
        let order = self.orders.get_mut(&reference).unwrap();
        let payment = self.payments.get_mut(order_id).unwrap();
        payment.decision = decision;
        payment.problem = problem.filter(|_| decision == Decision::Mismatch);
        match decision {
            Decision::Paid => {
                order.state = OrderState::Paid;
                order.paid_by = Some(order_id.to_owned());
                payment.settles = Some(reference);
                payment.processing = Some(Processing::Waiting);
            }
            Decision::TimedOut if problem.is_none() && order.state == OrderState::Open => {
                order.state = OrderState::TimedOut;
                payment.processing = Some(Processing::Waiting);
            }
            _ => {}
        }
    }

    fn settle(&mut self, order_id: &str, paid: bool, reference: Option<&str>) -> Told {
        if !paid && reference.is_some() {
            return refused("validation ref");
        }
        let is_contradicted = self.conflicts.iter().any(|(id, _)| id == order_id);
        let Some(payment) = self.payments.get_mut(order_id) else {
            return refused("ledger_not_found");
        };
        let waits = [Decision::Mismatch, Decision::NoOrder, Decision::Overpaid];
        if !paid {
            if !waits.contains(&payment.decision) {
                return refused("ledger_state");
            }
            payment.decision = Decision::Dismissed;
            self.decisions.push(("settle", order_id.to_owned(), "dismissed"));
            return Ok("dismissed".to_owned());
        }
        let may = waits.contains(&payment.decision)
            || payment.decision == Decision::Dismissed
            || (payment.decision == Decision::TimedOut && is_contradicted);
        // One of another order's link does not say which one it pays.
        let said = payment.said.reference.clone().filter(|_| payment.link_ref.is_none());
        let reference = reference.map(str::to_owned).or(said);
        let order = reference.as_ref().and_then(|reference| self.orders.get_mut(reference));
        let Some(order) = order.filter(|order| may && order.state != OrderState::Paid) else {
            return refused("ledger_state");
        };
        order.state = OrderState::Paid;
        order.paid_by = Some(order_id.to_owned());
        payment.decision = Decision::Paid;
        payment.settles = reference;
        payment.processing = Some(Processing::Waiting);
        (payment.tries, payment.held) = (0, false);
        self.decisions.push(("settle", order_id.to_owned(), "paid"));
        Ok("paid".to_owned())
    }

    fn due(&self) -> BTreeSet<String> {
        let due = self.payments.iter().filter(|(_, payment)| {
            payment.processing == Some(Processing::Waiting) && !payment.held
        });
        due.map(|(id, _)| id.clone()).collect()
    }

    fn withdraw(&mut self, reference: &str, terms: usize, fault: Option<Fault>) -> Told {
        let payout = self.payouts.entry(reference.to_owned()).or_insert(Payout {
            terms,
            state: PayoutState::NotSent,
            details: true,
        });
        if payout.terms != terms {
            return refused("validation reference");
        }
        if payout.state == PayoutState::NotSent {
            self.payouts_sent += 1;
            payout.state = match fault {
                None => PayoutState::Paid,
                Some(Fault::AnswerStatus(403)) => PayoutState::Rejected,
                Some(_) => PayoutState::Unknown,
            };
            self.payouts_carried_out +=
                usize::from(matches!(fault, None | Some(Fault::CloseAfterActing)));
        }
        match payout.state {
            PayoutState::Paid => Ok("paid".to_owned()),
            PayoutState::Rejected => refused("permission_denied"),
            PayoutState::NotPaid => refused("ledger_state"),
            _ => refused("outcome_unknown"),
        }
    }

    /// Everything that is settled, and before then.
    fn forget(&mut self) {
        for payment in self.payments.values_mut() {
            let settled = [Decision::Paid, Decision::TimedOut, Decision::Dismissed]
                .contains(&payment.decision);
            if settled && matches!(payment.processing, None | Some(Processing::Done)) {
                payment.body = None;
            }
        }
        for payout in self.payouts.values_mut() {
            let open = [PayoutState::NotSent, PayoutState::Sending, PayoutState::Unknown];
            payout.details &= open.contains(&payout.state);
        }
        self.quarantined = 0;
    }
}

impl Payment {
    fn told(&self, duplicate: bool) -> String {
        let problem = self.problem.filter(|_| self.decision == Decision::Mismatch);
        format!("{} {duplicate} {}", self.decision, problem.unwrap_or("-"))
    }
}

// ---------------------------------------------------------------- both, step by step

struct Both {
    shop: TestShop,
    ledger: Ledger,
    model: Model,
    random: Random,
    /// Every delivery so far, to be sent again and changed.
    deliveries: Vec<Delivery>,
    forged: usize,
    steps: Steps,
}

/// What was done, for whoever looks into a disagreement.
#[derive(Default)]
struct Steps(Vec<String>);

impl Drop for Steps {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the steps:\n{}", self.0.join("\n"));
        }
    }
}

fn told<T>(result: Result<T, Error>, say: impl FnOnce(T) -> String) -> Told {
    match result {
        Ok(value) => Ok(say(value)),
        Err(error) if error.code() == "validation" => {
            Err(format!("validation {}", error.field().unwrap()))
        }
        Err(error) => Err(error.code().to_owned()),
    }
}

fn withdrawal(terms: usize) -> CreateWithdrawal {
    let recipient = PaymentMethod::sy_cash("0933123456");
    CreateWithdrawal::new("1".parse().unwrap(), "USD", recipient).note(format!("terms {terms}"))
}

impl Both {
    fn did(&mut self, step: String) {
        self.steps.0.push(step);
    }

    async fn step(&mut self) {
        match self.random.below(21) {
            0..=3 => self.create_link().await,
            4..=7 => self.receive_new().await,
            8..=9 => self.receive_again().await,
            10 => self.receive_forged().await,
            11..=12 => self.settle().await,
            13..=14 => self.process_one().await,
            15 => self.own_loop().await,
            16..=17 => self.withdraw().await,
            18 => self.resolve().await,
            19 if self.random.one_in(2) => self.set_link_id_check().await,
            _ if self.random.one_in(3) => self.forget().await,
            _ => self.reopen().await,
        }
        self.agree().await;
    }

    async fn set_link_id_check(&mut self) {
        // Mostly it is on.
        let check = self.model.ignored || !self.random.one_in(3);
        self.did(format!("set_link_id_check {check}"));
        self.ledger.set_link_id_check(check, "Rima", None).await.unwrap();
        self.model.ignored = !check;
        let what = if check { "checked" } else { "ignored" };
        self.model.decisions.push(("link_ids", String::new(), what));
    }

    async fn create_link(&mut self) {
        let reference = self.random.pick(&REFS);
        // Mostly what it costs.
        let amounts = if self.random.one_in(6) { &AMOUNTS[..] } else { &AMOUNTS[..2] };
        let amount = self.random.pick(amounts);
        let mut currency = if self.random.one_in(8) { "SYP" } else { "USD" };
        let asks = self.model.asks_for_link(reference, amount, currency);
        let fails = asks && self.random.one_in(6);
        if currency == "USD" && !asks {
            currency = "usd"; // The provider wants capitals; the ledger compares without them.
        }
        self.did(format!("create_payment_link {reference} {amount} {currency}, fails: {fails}"));
        if fails {
            self.shop.sim.fault(Fault::AnswerStatus(400)).unwrap();
        }
        let link = CreatePaymentLink::new(amount.parse().unwrap(), currency).reference(reference);
        let link = in_time(self.ledger.create_payment_link(link).into_future()).await;
        let expected = self.model.create_link(reference, amount, currency, fails);
        if expected.as_deref() == Ok("new") {
            // Its id is the provider's to choose.
            let link = link.unwrap();
            let id = self.shop.sim.links().last().unwrap().id.clone();
            assert_eq!((link.id.as_ref(), link.state), (Some(&id), OrderState::Open));
            let order = self.model.orders.get_mut(reference).unwrap();
            order.links.push(id.clone());
            order.link_id = Some(id);
        } else {
            let link = told(link, |link| format!("{} {}", link.state, link.id.unwrap()));
            assert_eq!(link, expected);
        }
    }

    async fn receive(&mut self, delivery: Delivery) {
        self.did(format!("receive {delivery:?}"));
        let body = self.shop.body(&delivery);
        let receipt = in_time(self.ledger.receive(&body)).await;
        let receipt = told(receipt, |receipt| {
            let problem = receipt.problem.as_deref();
            let shown = [Decision::Mismatch, Decision::Conflict].contains(&receipt.decision);
            let problem = problem.filter(|_| shown).unwrap_or("-");
            format!("{} {} {problem}", receipt.decision, receipt.duplicate)
        });
        assert_eq!(receipt, self.model.receive(&delivery, body));
        self.deliveries.push(delivery);
    }

    async fn receive_new(&mut self) {
        let links = self.shop.sim.links();
        let mut delivery = if links.is_empty() || self.random.one_in(4) {
            let made_up = format!("pl_{}", self.random.below(6));
            Delivery::paid(&made_up, self.random.pick(&AMOUNTS), self.random.pick(&REFS))
        } else {
            let link = self.random.pick(&links);
            let mut delivery =
                Delivery::paid(&link.id, link.amount.as_str(), &link.reference.unwrap());
            if self.random.one_in(6) {
                // Its number is another order's link by chance: all else is that of its own order.
                delivery.order_id = self.random.pick(&links).id;
            }
            delivery.currency(Some(&link.currency))
        };
        if self.random.one_in(5) {
            delivery = delivery.status("timed_out");
            if self.random.one_in(2) {
                delivery = delivery.amount("0");
            }
        }
        if self.random.one_in(4) {
            delivery = self.changed(delivery);
        }
        self.receive(delivery).await;
    }

    async fn receive_again(&mut self) {
        if self.deliveries.is_empty() {
            return;
        }
        let mut delivery = self.random.pick(&self.deliveries);
        if self.random.one_in(2) {
            delivery = self.changed(delivery);
        }
        self.receive(delivery).await;
    }

    /// As somebody may change it who has the delivery, or as the provider may contradict itself.
    fn changed(&mut self, delivery: Delivery) -> Delivery {
        let random = &mut self.random;
        match random.below(7) {
            0 => delivery.reference(Some(random.pick(&REFS))),
            1 => delivery.reference(None),
            2 => delivery.status(random.pick(&["fulfilled", "timed_out", "refunded"])),
            3 => delivery.currency(random.pick(&[Some("SYP"), Some("usd"), None])),
            4 => delivery.amount(random.pick(&AMOUNTS)),
            5 => delivery.called_id(),
            _ => delivery.number(),
        }
    }

    async fn receive_forged(&mut self) {
        self.forged += 1;
        let delivery =
            Delivery::paid(&format!("forged_{}", self.forged), "10.50", self.random.pick(&REFS));
        self.did(format!("receive, forged: {delivery:?}"));
        let refused = self.ledger.receive(delivery.body_with_secret("bm90IGEgc2lnbmF0dXJl")).await;
        assert_eq!(refused.unwrap_err().code(), "signature_verification");
        self.model.quarantined += 1;
    }

    fn any_payment(&mut self) -> String {
        if self.model.arrivals.is_empty() || self.random.one_in(10) {
            return "pl_unknown".to_owned();
        }
        self.random.pick(&self.model.arrivals)
    }

    async fn settle(&mut self) {
        let order_id = self.any_payment();
        let reference = self.random.one_in(2).then(|| self.random.pick(&REFS));
        let paid = !self.random.one_in(3);
        let settlement = if paid { Settlement::Paid } else { Settlement::Dismissed };
        self.did(format!("settle {order_id} {settlement} {reference:?}"));
        let settled = self.ledger.settle(&order_id, settlement, reference, "Rima", Some("a note"));
        let settled = told(settled.await, |payment| payment.decision.to_string());
        assert_eq!(settled, self.model.settle(&order_id, paid, reference));
    }

    async fn process_one(&mut self) {
        let due = self.model.due();
        if due.is_empty() {
            return;
        }
        let claims = self.ledger.claims().max_tries(MAX_TRIES).first_pause(Duration::ZERO);
        let claim = in_time(claims.next()).await.unwrap();
        let order_id = claim.payment().order_id.clone();
        assert!(due.contains(&order_id), "{order_id} is not due");
        let payment = self.model.payments.get_mut(&order_id).unwrap();
        payment.tries += 1;
        assert_eq!(claim.payment().tries, payment.tries);
        if self.random.one_in(2) {
            self.did(format!("a handler has dealt with {order_id}"));
            assert!(claim.done().await.unwrap());
            payment_of(&mut self.model, &order_id).processing = Some(Processing::Done);
        } else {
            self.did(format!("a handler fails with {order_id}"));
            assert!(claim.failed("an error").await.unwrap());
            let payment = payment_of(&mut self.model, &order_id);
            if payment.tries >= MAX_TRIES {
                payment.processing = Some(Processing::Parked);
            }
        }
    }

    async fn own_loop(&mut self) {
        if self.random.one_in(2) {
            let due = self.model.due();
            let limit = self.random.below(3);
            self.did(format!("pending({limit})"));
            let pending = self.ledger.pending(u32::try_from(limit).unwrap()).await.unwrap();
            assert_eq!(pending.len(), limit.min(due.len()));
            for payment in pending {
                assert!(due.contains(&payment.order_id));
                let known = payment_of(&mut self.model, &payment.order_id);
                known.tries += 1;
                known.held = true;
                assert_eq!(payment.tries, known.tries);
            }
            return;
        }
        let order_id = self.any_payment();
        let retry = self.random.one_in(2);
        self.did(format!("{} {order_id}", if retry { "retry" } else { "mark_processed" }));
        let settled = self.model.decisions.iter().any(|(action, subject, _)| {
            (*action, subject.as_str()) == ("settle", order_id.as_str())
        });
        let payment = self.model.payments.get_mut(&order_id);
        let expected = match payment.map(|payment| (payment.processing, payment)) {
            None => refused("ledger_not_found"),
            Some((Some(Processing::Parked), payment)) if retry => {
                payment.processing = Some(Processing::Waiting);
                (payment.tries, payment.held) = (0, false);
                self.model.decisions.push(("retry", order_id.clone(), "waiting"));
                Ok(String::new())
            }
            // A person settled it, and what was dealt with was handed over before that.
            Some((Some(Processing::Waiting), payment))
                if !retry && settled && payment.tries == 0 =>
            {
                refused("ledger_state")
            }
            Some((Some(_), payment)) if !retry => {
                payment.processing = Some(Processing::Done);
                Ok(String::new())
            }
            Some(_) => refused("ledger_state"),
        };
        let result = if retry {
            self.ledger.retry(&order_id, "Rima", None).await.map(drop)
        } else {
            self.ledger.mark_processed(&order_id).await
        };
        assert_eq!(told(result, |()| String::new()), expected);
    }

    async fn withdraw(&mut self) {
        let reference = self.random.pick(&PAYOUTS);
        let known = self.model.payouts.get(reference);
        let terms = match known {
            Some(payout) if !self.random.one_in(4) => payout.terms,
            _ => self.random.below(2),
        };
        let faults = [Fault::CloseAfterActing, Fault::AnswerStatus(500), Fault::AnswerStatus(403)];
        // Only what will be sent meets a fault.
        let fault = (known.is_none() && self.random.one_in(2)).then(|| self.random.pick(&faults));
        self.did(format!("withdraw {reference}, terms {terms}, {fault:?}"));
        let mut call = self.ledger.withdraw(reference, withdrawal(terms));
        if let Some(fault) = fault {
            self.shop.sim.fault(fault).unwrap();
            call = call.timeout(SHORT);
        }
        let paid = told(in_time(call.into_future()).await, |payout| payout.state.to_string());
        assert_eq!(paid, self.model.withdraw(reference, terms, fault));
    }

    async fn resolve(&mut self) {
        let reference = self.random.pick(&PAYOUTS);
        let paid = self.random.one_in(2);
        let resolution = if paid { Resolution::Paid } else { Resolution::NotPaid };
        self.did(format!("resolve {reference} {resolution}"));
        let known = self.ledger.payout(reference).await.unwrap();
        if let Some(payout) = known.filter(|payout| payout.state == PayoutState::Unknown) {
            until_time(payout.deadline.unwrap() + Duration::from_millis(5)).await;
        }
        let expected = match self.model.payouts.get_mut(reference) {
            None => refused("ledger_not_found"),
            Some(payout) if payout.state == PayoutState::Unknown => {
                payout.state = if paid { PayoutState::Paid } else { PayoutState::NotPaid };
                self.model.decisions.push(("resolve", reference.to_owned(), resolution.as_str()));
                Ok(payout.state.to_string())
            }
            Some(_) => refused("ledger_state"),
        };
        let resolved = self.ledger.resolve(reference, resolution, "Rima", None).await;
        assert_eq!(told(resolved, |payout| payout.state.to_string()), expected);
    }

    async fn forget(&mut self) {
        self.did("forget everything".to_owned());
        self.ledger.forget(SystemTime::now() + Duration::from_secs(1)).await.unwrap();
        self.model.forget();
    }

    async fn reopen(&mut self) {
        let close = self.random.one_in(2);
        self.did(format!(
            "the ledger is {}, and opened again",
            if close { "closed" } else { "dropped" }
        ));
        if close {
            self.ledger.close().await;
        }
        self.ledger = self.shop.ledger().await;
        self.model.adopt(|_| true);
    }

    /// The two must say the same of everything.
    async fn agree(&self) {
        let (ledger, model) = (&self.ledger, &self.model);
        let all = 1000;
        let mut counted = ledger.summary().await.unwrap();
        let zero_is_nothing = |count: &u64| *count > 0;
        counted.orders.retain(|_, count| zero_is_nothing(count));
        counted.payments.retain(|_, count| zero_is_nothing(count));
        counted.processing.retain(|_, count| zero_is_nothing(count));
        counted.payouts.retain(|_, count| zero_is_nothing(count));
        assert_eq!(counted.orders, tally(model.orders.values().map(|order| order.state)));
        assert_eq!(counted.payments, tally(model.payments.values().map(|one| one.decision)));
        let processing = model.payments.values().filter_map(|payment| payment.processing);
        assert_eq!(counted.processing, tally(processing));
        assert_eq!(counted.payouts, tally(model.payouts.values().map(|payout| payout.state)));
        assert_eq!(counted.conflicts, model.conflicts.len() as u64);
        assert_eq!(counted.quarantined, model.quarantined);
        assert_eq!(counted.spooled, 0);
        let link_ids = match (model.ignored, model.proven) {
            (true, _) => LinkIds::Ignored,
            (false, true) => LinkIds::Proven,
            (false, false) => LinkIds::Unproven,
        };
        assert_eq!(counted.link_ids, link_ids);

        for reference in REFS {
            let (is, should) =
                (ledger.order(reference).await.unwrap(), model.orders.get(reference));
            let is = is.as_ref().map(|order| {
                assert_eq!(order.url.is_some(), order.link_id.is_some());
                assert_eq!(order.paid_at.is_some(), order.paid_by.is_some());
                (
                    order.state,
                    order.link_id.as_ref(),
                    order.paid_by.as_ref(),
                    order.currency.as_str(),
                )
            });
            let should = should.map(|order| {
                (
                    order.state,
                    order.link_id.as_ref(),
                    order.paid_by.as_ref(),
                    order.currency.as_str(),
                )
            });
            assert_eq!(is, should, "{reference}");
        }
        for (order_id, should) in &model.payments {
            let is = ledger.payment(order_id).await.unwrap().unwrap();
            assert_eq!(
                (is.decision, is.processing),
                (should.decision, should.processing),
                "{order_id}"
            );
            assert_eq!(is.tries, should.tries, "{order_id}");
            assert_eq!(is.link_ids, Some(should.link_ids), "{order_id}");
            assert_eq!(is.link_ref, should.link_ref, "{order_id}");
            assert_eq!(is.status, should.said.status);
            assert_eq!(
                &is.reference,
                should.settles.as_ref().map_or(&should.said.reference, |_| &should.settles)
            );
            assert_eq!(is.body, should.body, "{order_id}");
            if is.decision == Decision::Mismatch {
                assert_eq!(is.problem.as_deref(), should.problem, "{order_id}");
            }
        }
        for reference in PAYOUTS {
            let (is, should) =
                (ledger.payout(reference).await.unwrap(), model.payouts.get(reference));
            let is = is.map(|payout| (payout.state, payout.details.is_some()));
            assert_eq!(is, should.map(|payout| (payout.state, payout.details)), "{reference}");
        }

        let unsettled: BTreeSet<_> =
            ledger.unsettled(all).await.unwrap().into_iter().map(|one| one.order_id).collect();
        let waits = [Decision::Mismatch, Decision::NoOrder, Decision::Overpaid];
        assert_eq!(unsettled, keys(&model.payments, |one| waits.contains(&one.decision)));
        let parked: BTreeSet<_> =
            ledger.parked(all).await.unwrap().into_iter().map(|one| one.order_id).collect();
        let is_parked = |one: &Payment| one.processing == Some(Processing::Parked);
        assert_eq!(parked, keys(&model.payments, is_parked));
        let unresolved: BTreeSet<_> =
            ledger.unresolved(all).await.unwrap().into_iter().map(|one| one.reference).collect();
        let is_unknown = |one: &Payout| one.state == PayoutState::Unknown;
        assert_eq!(unresolved, keys(&model.payouts, is_unknown));
        let overdue: BTreeSet<_> = ledger
            .overdue(Duration::ZERO, all)
            .await
            .unwrap()
            .into_iter()
            .map(|order| order.reference)
            .collect();
        assert_eq!(overdue, keys(&model.orders, |order| order.state == OrderState::Open));
        let conflicts: BTreeSet<_> = ledger
            .conflicts(all)
            .await
            .unwrap()
            .into_iter()
            .map(|one| {
                let (status, reference) = (one.status, one.reference);
                let (amount, currency) = (one.amount.shortest(), one.currency);
                (one.order_id, Said { status, amount, currency, reference })
            })
            .collect();
        assert_eq!(conflicts, model.conflicts);
        let mut decisions: Vec<_> = ledger
            .decisions(all)
            .await
            .unwrap()
            .into_iter()
            .map(|one| (one.action, one.subject, one.decision))
            .collect();
        let mut expected: Vec<_> = model
            .decisions
            .iter()
            .map(|(action, subject, what)| {
                ((*action).to_owned(), subject.clone(), (*what).to_owned())
            })
            .collect();
        // Those of one millisecond have no order.
        decisions.sort();
        expected.sort();
        assert_eq!(decisions, expected);

        assert_eq!(self.shop.links_asked_for(), model.links_made);
        assert_eq!(self.shop.payouts_asked_for(), model.payouts_sent);
        let spent = Decimal::from(100_000) - self.shop.sim.balance("USD");
        assert_eq!(spent, Decimal::from(model.payouts_carried_out));
    }
}

fn payment_of<'a>(model: &'a mut Model, order_id: &str) -> &'a mut Payment {
    model.payments.get_mut(order_id).unwrap()
}

fn tally<T: Ord>(states: impl Iterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    for state in states {
        *counts.entry(state).or_default() += 1;
    }
    counts
}

fn keys<T>(map: &BTreeMap<String, T>, holds: impl Fn(&T) -> bool) -> BTreeSet<String> {
    map.iter().filter(|(_, value)| holds(value)).map(|(key, _)| key.clone()).collect()
}

async fn agrees_with_the_model(database: Database) {
    let cases = count("LEDGER_MODEL_CASES", 5);
    let mut random = Random::seeded(&format!("the model and {database:?}"));
    for _ in 0..cases {
        let seed = random.next();
        let mut shop = TestShop::on(database).await;
        shop.shop.clock_margin = Duration::ZERO;
        let ledger = shop.ledger().await;
        let mut both = Both {
            shop,
            ledger,
            model: Model::default(),
            random: Random::from_seed(seed),
            deliveries: Vec::new(),
            forged: 0,
            steps: Steps::default(),
        };
        for _ in 0..STEPS {
            both.step().await;
        }
    }
    println!("{database:?}: {cases} times {STEPS} steps, and the two agreed after each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    agrees_with_the_model(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres() {
    agrees_with_the_model(Database::Postgres).await;
}
