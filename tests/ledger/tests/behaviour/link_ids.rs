//! Deliveries held against the ids of the links that orders ever had, which are learned and not believed.

use kazawallet_ledger::{Decision, Ledger, LinkIds, OrderState, Payment, Receipt, Settlement};
use kazawallet_ledger_tests::{Delivery, Job};

use super::count;
use super::migrations::run_sql;
use crate::on_both_databases;
use crate::support::provider::Provider;
use crate::support::random::Random;
use crate::support::{TestShop, code, order, refusal};

/// A ledger whose links are made by this provider.
async fn ledger_at(shop: &mut TestShop, provider: &Provider) -> Ledger {
    shop.shop.provider.clone_from(&provider.url);
    shop.ledger().await
}

/// An order whose link has this id.
async fn link(ledger: &Ledger, provider: &Provider, reference: &str, id: &str) {
    provider.next_id(id);
    let made = ledger.create_payment_link(order(reference)).await.unwrap();
    assert_eq!(made.id.as_deref(), Some(id));
}

fn paid(id: &str, reference: &str) -> Delivery {
    Delivery::paid(id, Job::PRICE, reference)
}

fn timed_out(id: &str, reference: &str) -> Delivery {
    Delivery::timed_out(id, "0", reference)
}

async fn receive(shop: &TestShop, ledger: &Ledger, delivery: Delivery) -> Receipt {
    ledger.receive(shop.body(&delivery)).await.unwrap()
}

/// The decision, the problem, and what was known of the ids.
fn seen(receipt: &Receipt) -> (Decision, Option<&str>, Option<LinkIds>) {
    (receipt.decision, receipt.problem.as_deref(), receipt.link_ids)
}

async fn payment(ledger: &Ledger, order_id: &str) -> Payment {
    ledger.payment(order_id).await.unwrap().unwrap()
}

async fn state(ledger: &Ledger, reference: &str) -> OrderState {
    ledger.order(reference).await.unwrap().unwrap().state
}

async fn known(ledger: &Ledger) -> LinkIds {
    ledger.summary().await.unwrap().link_ids
}

const UNPROVEN: Option<LinkIds> = Some(LinkIds::Unproven);
const PROVEN: Option<LinkIds> = Some(LinkIds::Proven);
const IGNORED: Option<LinkIds> = Some(LinkIds::Ignored);

on_both_databases! {
    async fn an_unknown_id_is_paid_until_the_ids_are_proven(shop: TestShop) {
        let (mut shop, provider) = (shop, Provider::start().await);
        let ledger = ledger_at(&mut shop, &provider).await;
        for number in 1..=4 {
            link(&ledger, &provider, &format!("order-{number}"), &format!("L-{number}")).await;
        }
        assert_eq!(known(&ledger).await, LinkIds::Unproven);

        let unknown = receive(&shop, &ledger, paid("W-1", "order-1")).await;
        assert_eq!(seen(&unknown), (Decision::Paid, None, UNPROVEN));
        assert_eq!(state(&ledger, "order-1").await, OrderState::Paid);
        assert_eq!(known(&ledger).await, LinkIds::Unproven);

        // Its own link's id, but not its order's terms: that proves nothing.
        let other_amount = receive(&shop, &ledger, paid("L-2", "order-2").amount("9")).await;
        assert_eq!(seen(&other_amount), (Decision::Mismatch, Some("amount"), UNPROVEN));
        assert_eq!(known(&ledger).await, LinkIds::Unproven);

        let proof = receive(&shop, &ledger, paid("L-3", "order-3")).await;
        assert_eq!(seen(&proof), (Decision::Paid, None, PROVEN));
        assert_eq!(known(&ledger).await, LinkIds::Proven);
        let again = receive(&shop, &ledger, paid("L-3", "order-3")).await;
        assert_eq!((seen(&again), again.duplicate), ((Decision::Paid, None, PROVEN), true));

        let unknown = receive(&shop, &ledger, paid("W-4", "order-4")).await;
        assert_eq!(seen(&unknown), (Decision::Mismatch, Some("order_id"), PROVEN));
        assert_eq!(state(&ledger, "order-4").await, OrderState::Open);
        let own = receive(&shop, &ledger, paid("L-4", "order-4")).await;
        assert_eq!(seen(&own), (Decision::Paid, None, PROVEN));
        assert_eq!(payment(&ledger, "W-1").await.link_ids, UNPROVEN);
        assert_eq!(payment(&ledger, "W-4").await.link_ids, PROVEN);
        // One payment is the proof; no later one writes anything for it.
        let proofs = count(&shop, "SELECT COUNT(*) FROM kazawallet_payments WHERE proves IS NOT NULL");
        assert_eq!(proofs.await, 1);
    }

    async fn a_proof_survives_a_restart_and_a_rotation_of_keys(shop: TestShop) {
        let (mut shop, provider) = (shop, Provider::start().await);
        let ledger = ledger_at(&mut shop, &provider).await;
        link(&ledger, &provider, "order-1", "L-1").await;
        link(&ledger, &provider, "order-2", "L-2").await;
        receive(&shop, &ledger, paid("L-1", "order-1")).await;
        ledger.close().await;
        (shop.shop.key, shop.shop.secret) = ("sim_another".to_owned(), "sim_secret".to_owned());
        shop.webhook = shop.shop.webhook().unwrap();
        let ledger = shop.ledger().await;
        assert_eq!(known(&ledger).await, LinkIds::Proven);
        let unknown = receive(&shop, &ledger, paid("W-2", "order-2")).await;
        assert_eq!(seen(&unknown), (Decision::Mismatch, Some("order_id"), PROVEN));
    }

    async fn a_proof_counts_for_what_made_the_link(shop: TestShop) {
        let (mut shop, simulator, provider) = (shop, Provider::start().await, Provider::start().await);
        let ledger = ledger_at(&mut shop, &simulator).await;
        link(&ledger, &simulator, "order-1", "L-1").await;
        link(&ledger, &simulator, "order-2", "L-2").await;
        receive(&shop, &ledger, paid("L-1", "order-1")).await;
        receive(&shop, &ledger, timed_out("L-2", "order-2")).await;
        link(&ledger, &simulator, "order-5", "L-5").await;
        receive(&shop, &ledger, timed_out("L-5", "order-5")).await;
        ledger.close().await;

        let ledger = ledger_at(&mut shop, &provider).await;
        assert_eq!(known(&ledger).await, LinkIds::Unproven);
        // A former link of an order is the simulator's, perhaps by the same id; the latest one is not.
        for (reference, id) in [("order-2", "P-2"), ("order-3", "P-3"), ("order-5", "L-5")] {
            link(&ledger, &provider, reference, id).await;
            let unknown = receive(&shop, &ledger, paid(&format!("W of {reference}"), reference)).await;
            assert_eq!(seen(&unknown), (Decision::Paid, None, UNPROVEN));
        }
        // Who looks without a client is told of the latest link.
        let looking = Ledger::open(&shop.shop.ledger).no_spool().await.unwrap();
        assert_eq!(known(&looking).await, LinkIds::Unproven);
        ledger.close().await;
        let ledger = ledger_at(&mut shop, &simulator).await;
        assert_eq!(known(&ledger).await, LinkIds::Proven);
        link(&ledger, &simulator, "order-4", "L-4").await;
        assert_eq!(known(&looking).await, LinkIds::Proven);
        // Nothing of a key is in it.
        let origin = simulator.url.trim_end_matches("/wallet");
        let sql = format!("SELECT COUNT(*) FROM kazawallet_links WHERE origin = '{origin}'");
        assert_eq!(count(&shop, &sql).await, 3);
    }

    async fn another_orders_link_is_a_mismatch_from_the_first_delivery_on(shop: TestShop) {
        let (mut shop, provider) = (shop, Provider::start().await);
        let ledger = ledger_at(&mut shop, &provider).await;
        for number in 1..=6 {
            link(&ledger, &provider, &format!("order-{number}"), &format!("L-{number}")).await;
        }
        for (id, delivery) in [
            ("L-1", paid("L-1", "order-6")),
            ("L-2", paid("L-2", "nowhere")),
            ("L-3", paid("L-3", "order-3").reference(None)),
            ("L-4", timed_out("L-4", "order-6")),
            ("L-5", paid("L-5", "order-6").status("refunded")),
        ] {
            let receipt = receive(&shop, &ledger, delivery).await;
            assert_eq!(seen(&receipt), (Decision::Mismatch, Some("ref"), UNPROVEN), "{id}");
            let own = format!("order-{}", &id[2..]);
            assert_eq!(receipt.link_ref.as_deref(), Some(own.as_str()));
            assert!(receipt.waits_for_person());
            assert_eq!(payment(&ledger, id).await.link_ref, Some(own.clone()));
            assert_eq!(state(&ledger, &own).await, OrderState::Open);
        }
        assert_eq!(state(&ledger, "order-6").await, OrderState::Open);
        assert!(ledger.pending(10).await.unwrap().is_empty());
        // A person has to say which of the two it pays.
        assert_eq!(code(ledger.settle("L-1", Settlement::Paid, None, "Rima", None).await), "ledger_state");
        let settled = ledger.settle("L-1", Settlement::Paid, Some("order-1"), "Rima", None).await;
        assert_eq!(settled.unwrap().reference.as_deref(), Some("order-1"));
    }

    async fn a_delivery_that_came_before_its_link_was_recorded_is_decided_by_it(shop: TestShop) {
        let (mut shop, provider) = (shop, Provider::start().await);
        let ledger = ledger_at(&mut shop, &provider).await;
        let early = receive(&shop, &ledger, paid("L-1", "nowhere")).await;
        assert_eq!(seen(&early), (Decision::NoOrder, None, UNPROVEN));
        let early = receive(&shop, &ledger, paid("L-2", "order-2").reference(None)).await;
        assert_eq!(early.decision, Decision::NoOrder);
        link(&ledger, &provider, "order-1", "L-1").await;
        link(&ledger, &provider, "order-2", "L-2").await;
        for (id, own) in [("L-1", "order-1"), ("L-2", "order-2")] {
            let payment = payment(&ledger, id).await;
            assert_eq!((payment.decision, payment.problem.as_deref()), (Decision::Mismatch, Some("ref")));
            assert_eq!(payment.link_ref.as_deref(), Some(own));
        }
        assert_eq!(state(&ledger, "order-1").await, OrderState::Open);

        // A process that died between the two leaves it to whoever opens the ledger next.
        receive(&shop, &ledger, paid("L-3", "nowhere")).await;
        run_sql(&shop, "INSERT INTO kazawallet_links (ref, link_id, origin, made_at)
            VALUES ('order-2', 'L-3', '', '2026-05-01T09:30:00.250Z')").await;
        shop.ledger().await.close().await;
        assert_eq!(payment(&ledger, "L-3").await.link_ref.as_deref(), Some("order-2"));
    }

    async fn a_former_link_pays_its_order_and_ends_nothing(shop: TestShop) {
        let (mut shop, provider) = (shop, Provider::start().await);
        let ledger = ledger_at(&mut shop, &provider).await;
        for reference in ["order-1", "order-2"] {
            link(&ledger, &provider, reference, &format!("{reference}: first")).await;
            receive(&shop, &ledger, timed_out(&format!("{reference}: unknown"), reference)).await;
            assert_eq!(state(&ledger, reference).await, OrderState::TimedOut);
            link(&ledger, &provider, reference, &format!("{reference}: second")).await;
        }
        // Its time-out is late, and its order has another link.
        let late = receive(&shop, &ledger, timed_out("order-1: first", "order-1")).await;
        assert_eq!(late.decision, Decision::TimedOut);
        assert_eq!(payment(&ledger, "order-1: first").await.processing, None);
        assert_eq!(state(&ledger, "order-1").await, OrderState::Open);
        // It was paid late: by its own order's link, and so it is a proof, too.
        let late = receive(&shop, &ledger, paid("order-2: first", "order-2")).await;
        assert_eq!(seen(&late), (Decision::Paid, None, PROVEN));
        let twice = receive(&shop, &ledger, paid("order-2: second", "order-2")).await;
        assert_eq!(seen(&twice), (Decision::Overpaid, None, PROVEN));
        // To another order it is what any other's link is.
        link(&ledger, &provider, "order-3", "order-3: first").await;
        receive(&shop, &ledger, timed_out("order-3: first", "order-3")).await;
        link(&ledger, &provider, "order-3", "order-3: second").await;
        let edited = receive(&shop, &ledger, paid("order-3: second", "order-1")).await;
        assert_eq!(seen(&edited), (Decision::Mismatch, Some("ref"), PROVEN));
        assert_eq!(edited.link_ref.as_deref(), Some("order-3"));
    }

    async fn an_order_whose_link_has_no_known_id_is_held_against_none(shop: TestShop) {
        let (mut shop, provider) = (shop, Provider::start().await);
        let ledger = ledger_at(&mut shop, &provider).await;
        link(&ledger, &provider, "order-1", "L-1").await;
        receive(&shop, &ledger, paid("L-1", "order-1")).await;
        provider.next_without_id();
        ledger.create_payment_link(order("order-2")).await.unwrap();
        // One that had a link with an id before.
        link(&ledger, &provider, "order-3", "L-3").await;
        receive(&shop, &ledger, timed_out("L-3", "order-3")).await;
        provider.next_without_id();
        ledger.create_payment_link(order("order-3")).await.unwrap();
        for reference in ["order-2", "order-3"] {
            let delivery = paid(&format!("W of {reference}"), reference);
            assert_eq!(receive(&shop, &ledger, delivery).await.decision, Decision::Paid);
        }
    }

    async fn ids_that_meet_by_chance_pay_no_order_twice(shop: TestShop) {
        let (mut shop, provider) = (shop, Provider::start().await);
        let ledger = ledger_at(&mut shop, &provider).await;
        // The same id for two orders: its own order's delivery is its own.
        link(&ledger, &provider, "order-1", "7").await;
        link(&ledger, &provider, "order-2", "7").await;
        let first = receive(&shop, &ledger, paid("7", "order-2")).await;
        assert_eq!(seen(&first), (Decision::Paid, None, PROVEN));
        let second = receive(&shop, &ledger, paid("7", "order-1")).await;
        assert_eq!(second.decision, Decision::Conflict);
        assert_eq!(state(&ledger, "order-1").await, OrderState::Open);
    }

    async fn a_person_switches_the_check_off_should_the_ids_be_two_sequences(shop: TestShop) {
        let (mut shop, provider) = (shop, Provider::start().await);
        let ledger = ledger_at(&mut shop, &provider).await;
        for number in 1..=6 {
            link(&ledger, &provider, &format!("order-{number}"), &number.to_string()).await;
        }
        // The deliveries are numbered by themselves. One meets its order by accident, the next does not.
        let accident = receive(&shop, &ledger, paid("1", "order-1")).await;
        assert_eq!(seen(&accident), (Decision::Paid, None, PROVEN));
        let unknown = receive(&shop, &ledger, paid("101", "order-2")).await;
        assert_eq!(seen(&unknown), (Decision::Mismatch, Some("order_id"), PROVEN));
        let anothers = receive(&shop, &ledger, paid("4", "order-3")).await;
        assert_eq!(seen(&anothers), (Decision::Mismatch, Some("ref"), PROVEN));

        for by in ["", " ", "a\0b"] {
            let refused = refusal(ledger.set_link_id_check(false, by, None).await);
            assert_eq!(refused, ("validation", Some("by".to_owned())));
        }
        ledger.set_link_id_check(false, "Rima", Some("two sequences")).await.unwrap();
        assert_eq!(known(&ledger).await, LinkIds::Ignored);
        for (id, reference) in [("102", "order-4"), ("3", "order-5")] {
            let receipt = receive(&shop, &ledger, paid(id, reference)).await;
            assert_eq!(seen(&receipt), (Decision::Paid, None, IGNORED));
        }
        let nowhere = receive(&shop, &ledger, paid("6", "nowhere")).await;
        assert_eq!(seen(&nowhere), (Decision::NoOrder, None, IGNORED));
        // Another process knows it, too, and a person can take it back.
        let other = shop.ledger().await;
        assert_eq!(known(&other).await, LinkIds::Ignored);
        other.set_link_id_check(true, "Salma", None).await.unwrap();
        assert_eq!(known(&ledger).await, LinkIds::Proven);
        let unknown = receive(&shop, &ledger, paid("103", "order-6")).await;
        assert_eq!(seen(&unknown), (Decision::Mismatch, Some("order_id"), PROVEN));

        let decisions = ledger.decisions(10).await.unwrap();
        let mut kept: Vec<_> = decisions.iter()
            .map(|one| (one.action.as_str(), one.by.as_str(), one.decision.as_str(), one.note.as_deref()))
            .collect();
        kept.sort();
        assert_eq!(kept, [("link_ids", "Rima", "ignored", Some("two sequences")), ("link_ids", "Salma", "checked", None)]);
    }

    async fn a_link_whose_maker_is_not_known_is_held_by_what_such_links_prove(shop: TestShop) {
        let (mut shop, provider) = (shop, Provider::start().await);
        let ledger = ledger_at(&mut shop, &provider).await;
        for number in 1..=4 {
            link(&ledger, &provider, &format!("order-{number}"), &format!("L-{number}")).await;
        }
        // As a migration leaves them, and as a process of a former version that still runs does.
        run_sql(&shop, "UPDATE kazawallet_links SET origin = ''").await;
        run_sql(&shop, "DELETE FROM kazawallet_links WHERE ref IN ('order-2', 'order-3')").await;
        let unknown = receive(&shop, &ledger, paid("W-1", "order-1")).await;
        assert_eq!(seen(&unknown), (Decision::Paid, None, UNPROVEN));
        let proof = receive(&shop, &ledger, paid("L-2", "order-2")).await;
        assert_eq!(seen(&proof), (Decision::Paid, None, PROVEN));
        for reference in ["order-3", "order-4"] {
            let unknown = receive(&shop, &ledger, paid(&format!("W of {reference}"), reference)).await;
            assert_eq!(seen(&unknown), (Decision::Mismatch, Some("order_id"), PROVEN));
        }
        // It says nothing of what makes the links now.
        assert_eq!(known(&ledger).await, LinkIds::Unproven);
        link(&ledger, &provider, "order-5", "L-5").await;
        let unknown = receive(&shop, &ledger, paid("W-5", "order-5")).await;
        assert_eq!(seen(&unknown), (Decision::Paid, None, UNPROVEN));
    }

    async fn a_link_that_a_former_version_made_is_known_after_the_next_one_is_made(shop: TestShop) {
        let (mut shop, provider) = (shop, Provider::start().await);
        let ledger = ledger_at(&mut shop, &provider).await;
        link(&ledger, &provider, "order-1", "L-1").await;
        link(&ledger, &provider, "order-2", "L-2").await;
        // A process of that version records a link in its order alone.
        run_sql(&shop, "DELETE FROM kazawallet_links").await;
        receive(&shop, &ledger, timed_out("W-1", "order-1")).await;
        link(&ledger, &provider, "order-1", "L-1: second").await;
        let edited = receive(&shop, &ledger, paid("L-1", "order-2")).await;
        assert_eq!(seen(&edited), (Decision::Mismatch, Some("ref"), UNPROVEN));
        assert_eq!(edited.link_ref.as_deref(), Some("order-1"));
        assert_eq!(state(&ledger, "order-2").await, OrderState::Open);
    }

    async fn a_link_is_made_however_long_its_id_is(shop: TestShop) {
        let (mut shop, provider) = (shop, Provider::start().await);
        let ledger = ledger_at(&mut shop, &provider).await;
        let mut random = Random::from_seed(15);
        // Letters in no order, which PostgreSQL cannot compress.
        let mut text = |length| {
            std::iter::repeat_with(|| char::from(b'!' + u8::try_from(random.below(90)).unwrap()))
                .filter(|letter| !matches!(letter, '"' | '\\'))
                .take(length)
                .collect::<String>()
        };
        let (reference, longest, longer) = (text(1024), text(1024), text(8000));
        link(&ledger, &provider, &reference, &longest).await;
        let own = receive(&shop, &ledger, paid(&longest, &reference)).await;
        assert_eq!(seen(&own), (Decision::Paid, None, PROVEN));

        // No webhook has an id as long as this one: it is as good as none.
        let reference = text(1024);
        link(&ledger, &provider, &reference, &longer).await;
        assert!(ledger.order(&reference).await.unwrap().unwrap().link_id.is_none());
        let unknown = receive(&shop, &ledger, paid("W", &reference)).await;
        assert_eq!(unknown.decision, Decision::Paid);
    }
}
