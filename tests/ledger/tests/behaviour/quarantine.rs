//! Deliveries whose signature does not hold.

use kazawallet::Webhook;
use kazawallet_ledger::{Decision, Ledger, OrderState};
use kazawallet_ledger_tests::{Delivery, Job};

use crate::migrations::run_sql;
use crate::on_both_databases;
use crate::support::{Database, TestShop, code, in_time};

fn forged(order_id: &str, reference: &str) -> Vec<u8> {
    Delivery::paid(order_id, Job::PRICE, reference).body_with_secret("bm90IGEgc2lnbmF0dXJl")
}

async fn refused(ledger: &Ledger, body: impl AsRef<[u8]>) {
    assert_eq!(code(in_time(ledger.receive(body)).await), "signature_verification");
}

async fn quarantined(ledger: &Ledger) -> u64 {
    ledger.summary().await.unwrap().quarantined
}

on_both_databases! {
    async fn a_forged_delivery_changes_nothing(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        refused(&ledger, forged(&id, "order-1")).await;
        refused(&ledger, forged(&id, "order-1")).await;
        assert_eq!(quarantined(&ledger).await, 1, "the same bytes are kept once");
        refused(&ledger, forged("pl_unknown", "order-1")).await;
        refused(&ledger, forged("pl_unknown", "nowhere")).await;
        assert_eq!(quarantined(&ledger).await, 3);
        assert_eq!(ledger.order("order-1").await.unwrap().unwrap().state, OrderState::Open);
        let summary = ledger.summary().await.unwrap();
        assert_eq!(summary.payments.values().sum::<u64>() + summary.conflicts, 0);
        assert!(ledger.unsettled(10).await.unwrap().is_empty());
        assert!(ledger.reverify().await.unwrap().is_empty());
        assert_eq!(quarantined(&ledger).await, 3);
        // Nor one that comes after the genuine one.
        let genuine = Delivery::paid(&id, Job::PRICE, "order-1");
        ledger.receive(shop.body(&genuine)).await.unwrap();
        refused(&ledger, genuine.amount("1").body_with_secret("AAAA")).await;
        assert!(ledger.payment(&id).await.unwrap().unwrap().is_paid());
        assert_eq!(ledger.summary().await.unwrap().conflicts, 0);
    }

    async fn a_ledger_without_a_secret_keeps_what_it_cannot_verify(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        let delivery = shop.body(&Delivery::paid(&id, Job::PRICE, "order-1"));
        let without = Ledger::open(&shop.shop.ledger).no_spool().await.unwrap();
        assert_eq!(code(in_time(without.receive(&delivery)).await), "configuration");
        assert_eq!(quarantined(&ledger).await, 1);
        let receipts = ledger.reverify().await.unwrap();
        assert_eq!(receipts.iter().map(|one| one.decision).collect::<Vec<_>>(), [Decision::Paid]);
        assert_eq!(quarantined(&ledger).await, 0);
    }

    async fn a_forgotten_rotation_of_keys_loses_nothing(shop: TestShop) {
        // The provider signs with a key that this ledger does not know.
        let new_key = Webhook::new("sim_new", "sim_new_secret").unwrap();
        let client = shop.shop.client().unwrap();
        let open = |webhook| Ledger::open(&shop.shop.ledger).client(client.clone()).webhook(webhook).no_spool();
        let ledger = open(new_key.clone()).await.unwrap();
        let mut ids = Vec::new();
        for number in 0..3 {
            let reference = format!("order-{number}");
            let id = shop.order(&ledger, &reference).await;
            refused(&ledger, shop.body(&Delivery::paid(&id, Job::PRICE, &reference))).await;
            ids.push(id);
        }
        refused(&ledger, forged("pl_noise", "nowhere")).await;
        assert_eq!(quarantined(&ledger).await, 4);
        let known = Delivery::paid("pl_known", Job::PRICE, "nowhere").body(&new_key).unwrap();
        assert_eq!(ledger.receive(known).await.unwrap().decision, Decision::NoOrder);

        let both = new_key.with_previous(shop.shop.key.as_str(), shop.shop.secret.as_str()).unwrap();
        let ledger = open(both).await.unwrap();
        let receipts = ledger.reverify().await.unwrap();
        assert_eq!(receipts.len(), 3);
        assert!(receipts.iter().all(|receipt| receipt.decision == Decision::Paid && !receipt.duplicate));
        let mut found: Vec<_> = receipts.iter().map(|receipt| receipt.event.order_id().to_owned()).collect();
        found.sort();
        ids.sort();
        assert_eq!(found, ids);
        assert_eq!(quarantined(&ledger).await, 1);
        assert!(ledger.reverify().await.unwrap().is_empty());
        assert_eq!(ledger.pending(10).await.unwrap().len(), 3);
    }

    async fn a_flood_of_noise_is_bounded_and_pushes_out_nothing_plausible(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        // As after weeks of noise.
        let bytes = match shop.database { Database::Sqlite => "BLOB", Database::Postgres => "BYTEA" };
        run_sql(&shop, &format!(
            "INSERT INTO kazawallet_quarantine (digest, plausible, subject, received_at, body)
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
            SELECT 'digest-' || i, 0, 'noise-' || i, '2999-01-01T00:00:00.000Z', CAST('noise' AS {bytes}) FROM n"
        )).await;
        refused(&ledger, forged(&id, "order-1")).await;
        refused(&ledger, forged("pl_unknown", "order-1")).await;
        let bound = quarantined(&ledger).await;
        assert!((10..=1000).contains(&bound), "{bound}");
        for number in 0..300 {
            refused(&ledger, forged(&format!("pl_{number}"), "nowhere")).await;
        }
        assert!(quarantined(&ledger).await <= bound);
        // The two are still there, though all of the noise is newer.
        let count = "SELECT COUNT(*) FROM kazawallet_quarantine WHERE plausible = 1";
        assert_eq!(crate::count(&shop, count).await, 2);
        // And a genuine delivery is received as ever.
        let genuine = shop.body(&Delivery::paid(&id, Job::PRICE, "order-1"));
        assert_eq!(ledger.receive(genuine).await.unwrap().decision, Decision::Paid);
    }

    async fn noise_is_taken_in_at_a_limited_rate(shop: TestShop) {
        let ledger = shop.ledger().await;
        for number in 0..500 {
            refused(&ledger, forged(&format!("pl_{number}"), "nowhere")).await;
        }
        let taken_in = quarantined(&ledger).await;
        assert!((1..400).contains(&taken_in), "{taken_in} of 500");
    }

    async fn a_flood_of_one_order_keeps_no_room_from_another(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        let other = shop.order(&ledger, "order-2").await;
        let flood = |number: usize| {
            let forged = Delivery::paid(&id, Job::PRICE, "order-1").with("n", &number.to_string());
            forged.body_with_secret("AAAA")
        };
        for number in 0..250 {
            refused(&ledger, flood(number)).await;
        }
        refused(&ledger, forged(&other, "order-2")).await;
        let count = "SELECT COUNT(*) FROM kazawallet_quarantine WHERE subject = 'order-2'";
        assert_eq!(crate::count(&shop, count).await, 1);
    }

    async fn one_order_id_is_kept_a_few_times(shop: TestShop) {
        let ledger = shop.ledger().await;
        let id = shop.order(&ledger, "order-1").await;
        for number in 0..30 {
            refused(&ledger, Delivery::paid(&id, Job::PRICE, "order-1").with("n", &number.to_string()).body_with_secret("AAAA")).await;
        }
        let kept = quarantined(&ledger).await;
        assert!((1..=10).contains(&kept), "{kept}");
    }
}
