//! All that the simulator remembers: balances, links, what was asked, what was delivered.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use kazawallet::Amount;
use rust_decimal::Decimal;

use crate::delivery::Delivery;
use crate::dialect::Dialect;
use crate::fault::Fault;
use crate::{Error, money, random};

/// How many requests and deliveries are kept; older ones are forgotten, so that a long run does
/// not fill the memory.
const KEPT: usize = 10_000;

/// A wallet's money by currency.
pub(crate) type Balances = BTreeMap<String, Decimal>;

/// What has become of a payment link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkState {
    /// It waits for the customer.
    Open,
    /// It was paid.
    Paid,
    /// It has timed out.
    TimedOut,
}

impl LinkState {
    /// `open`, or the status that the webhook delivers: `fulfilled` or `timed_out`.
    pub fn as_str(self) -> &'static str {
        match self {
            LinkState::Open => "open",
            LinkState::Paid => "fulfilled",
            LinkState::TimedOut => "timed_out",
        }
    }
}

/// A payment link that was created here.
#[derive(Clone)]
#[non_exhaustive]
pub struct Link {
    /// The order id that its webhook will carry.
    pub id: String,
    /// The amount, as it was given.
    pub amount: Amount,
    /// The currency's code.
    pub currency: String,
    /// The merchant's own reference.
    pub reference: Option<String>,
    /// Where the customer goes afterwards, as it was given; followed only if http or https.
    pub redirect_url: Option<String>,
    /// What has become of it.
    pub state: LinkState,
    /// The merchant that is paid.
    pub(crate) merchant: String,
    /// Known only to the link's own page, so that no other page can send its form.
    pub(crate) form_token: String,
    /// Its place in the order of creation.
    pub(crate) number: u64,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("id", &self.id)
            .field("amount", &self.amount)
            .field("currency", &self.currency)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// An API request that the simulator received, with the key and the secret masked.
#[derive(Clone)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// Its number, from 1.
    pub id: u64,
    /// When it came, counted from the simulator's start.
    pub at: Duration,
    /// `GET`, `POST`, …
    pub method: String,
    /// The path and the query.
    pub path: String,
    /// The headers in their order, names in lower case. Those that hold a key are `***`.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
    /// The status answered; `None` where there was no answer, or none yet.
    pub status: Option<u16>,
    /// The fault that was played.
    pub fault: Option<Fault>,
    /// What the documentation does not ask for, though it was not refused.
    pub notes: Vec<String>,
    /// What the simulator made of it; `None` where a fault kept it from acting at all.
    pub(crate) own_answer: Option<OwnAnswer>,
}

/// What the simulator itself answered to a request, before a fault spoiled it. Where money moved,
/// this says so, and not what the caller saw.
#[derive(Clone)]
pub(crate) struct OwnAnswer {
    pub(crate) status: u16,
    /// Its message, where it has one.
    pub(crate) message: String,
}

impl RecordedRequest {
    /// The first header of this name, without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedRequest")
            .field("id", &self.id)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("status", &self.status)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

/// A fault that waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Armed {
    pub(crate) fault: Fault,
    /// How many times it is still to be played; `None` until it is cleared.
    pub(crate) times: Option<u32>,
}

/// Everything that changes, behind one lock.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) merchants: BTreeMap<String, Balances>,
    pub(crate) links: BTreeMap<String, Link>,
    pub(crate) requests: VecDeque<RecordedRequest>,
    pub(crate) deliveries: VecDeque<Delivery>,
    pub(crate) faults: Vec<Armed>,
    pub(crate) webhook_url: Option<String>,
    pub(crate) dialect: Dialect,
    last_request: u64,
    last_delivery: u64,
    last_link: u64,
}

/// What is asked of a new payment link.
pub(crate) struct NewLink {
    pub(crate) merchant: String,
    pub(crate) amount: Amount,
    pub(crate) currency: String,
    pub(crate) reference: Option<String>,
    pub(crate) redirect_url: Option<String>,
}

impl State {
    pub(crate) fn create_link(&mut self, new: NewLink) -> Result<&Link, Error> {
        self.last_link += 1;
        let link = Link {
            id: random::hex::<12>()?,
            amount: new.amount,
            currency: new.currency,
            reference: new.reference,
            redirect_url: new.redirect_url,
            state: LinkState::Open,
            merchant: new.merchant,
            form_token: random::hex::<16>()?,
            number: self.last_link,
        };
        Ok(self.links.entry(link.id.clone()).or_insert(link))
    }

    /// Finds a link by its id or by its URL, which ends in the id.
    pub(crate) fn find_link(&self, text: &str) -> Result<&Link, Error> {
        let path = text.split(['?', '#']).next().unwrap_or(text);
        let id = path.rsplit('/').next().unwrap_or(path);
        self.links.get(id).ok_or_else(|| Error::UnknownLink(text.to_owned()))
    }

    /// Pays a link or lets it time out: once, and a payment raises the balance.
    pub(crate) fn settle(&mut self, id: &str, as_state: LinkState) -> Result<Link, Error> {
        let link = self.links.get_mut(id).ok_or_else(|| Error::UnknownLink(id.to_owned()))?;
        if link.state != LinkState::Open {
            return Err(Error::LinkSettled(id.to_owned()));
        }
        if as_state == LinkState::Paid {
            let wallet = self.merchants.entry(link.merchant.clone()).or_default();
            let before = wallet.get(&link.currency).copied().unwrap_or_default();
            let amount = money::decimal(&link.amount).ok_or(Error::BalanceTooLarge)?;
            let after = money::add(before, amount).ok_or(Error::BalanceTooLarge)?;
            wallet.insert(link.currency.clone(), after);
        }
        link.state = as_state;
        Ok(link.clone())
    }

    /// Lowers a balance, or says `false` and leaves it alone where it does not suffice.
    pub(crate) fn withdraw(&mut self, merchant: &str, currency: &str, amount: Decimal) -> bool {
        let balance = self.merchants.get_mut(merchant).and_then(|wallet| wallet.get_mut(currency));
        let Some(balance) = balance else { return false };
        let Some(rest) = money::take(*balance, amount) else { return false };
        *balance = rest;
        true
    }

    /// Keeps a request and gives it its number.
    pub(crate) fn record_request(&mut self, mut request: RecordedRequest) -> u64 {
        self.last_request += 1;
        request.id = self.last_request;
        if self.requests.len() >= KEPT {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
        self.last_request
    }

    pub(crate) fn request_mut(&mut self, id: u64) -> Option<&mut RecordedRequest> {
        self.requests.iter_mut().rev().find(|request| request.id == id)
    }

    /// Keeps a delivery and gives it its number.
    pub(crate) fn record_delivery(&mut self, delivery: &mut Delivery) {
        self.last_delivery += 1;
        delivery.id = self.last_delivery;
        if self.deliveries.len() >= KEPT {
            self.deliveries.pop_front();
        }
        self.deliveries.push_back(delivery.clone());
    }

    /// Keeps how a delivery ended.
    pub(crate) fn finish_delivery(&mut self, finished: &Delivery) {
        if let Some(kept) = self.deliveries.iter_mut().rev().find(|kept| kept.id == finished.id) {
            kept.clone_from(finished);
        }
    }

    pub(crate) fn arm(&mut self, fault: Fault, times: Option<u32>) -> Result<(), Error> {
        let fault = fault.checked()?;
        if times != Some(0) {
            self.faults.push(Armed { fault, times });
        }
        Ok(())
    }

    /// Disarms one kind of fault, with its value, or all of them.
    pub(crate) fn disarm(&mut self, fault: Option<Fault>) {
        self.faults.retain(|armed| fault.is_some_and(|fault| armed.fault != fault));
    }

    /// The fault to play now, the first armed of those that fit, counted down.
    pub(crate) fn take_fault(&mut self, fits: impl Fn(Fault) -> bool) -> Option<Fault> {
        let place = self.faults.iter().position(|armed| fits(armed.fault))?;
        let armed = self.faults.get_mut(place)?;
        let fault = armed.fault;
        if let Some(times) = &mut armed.times {
            *times -= 1;
            if *times == 0 {
                self.faults.remove(place);
            }
        }
        Some(fault)
    }
}
