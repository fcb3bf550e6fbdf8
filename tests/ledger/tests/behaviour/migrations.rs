//! The tables: made once, and refused where a newer version has made them.

use futures_util::future::join_all;
use kazawallet_ledger_tests::Job;
use tokio_postgres::NoTls;

use crate::on_both_databases;
use crate::support::child::Child;
use crate::support::{Database, TestShop, code};

/// Runs SQL in the ledger's database, as somebody else might.
pub async fn run_sql(shop: &TestShop, sql: &str) {
    match shop.database {
        Database::Sqlite => {
            rusqlite::Connection::open(shop.file()).unwrap().execute_batch(sql).unwrap()
        }
        Database::Postgres => {
            let (client, connection) =
                tokio_postgres::connect(&shop.shop.ledger, NoTls).await.unwrap();
            tokio::spawn(connection);
            client.batch_execute(sql).await.unwrap();
        }
    }
}

on_both_databases! {
    async fn eight_processes_open_an_empty_database_at_once(shop: TestShop) {
        let mut children: Vec<_> = (0..8).map(|_| Child::start(&shop.shop, &Job::Open, 1)).collect();
        join_all(children.iter_mut().map(Child::ready)).await;
        for child in &mut children {
            child.tell("go").await;
        }
        join_all(children.into_iter().map(Child::finished)).await;
        let ledger = shop.ledger().await;
        shop.paid_order(&ledger, "order-1").await;
    }

    async fn a_database_of_a_newer_version_is_refused(shop: TestShop) {
        let ledger = shop.ledger().await;
        shop.paid_order(&ledger, "order-1").await;
        ledger.close().await;
        run_sql(&shop, "UPDATE kazawallet_ledger SET version = version + 1").await;
        let refused = shop.opening().await.unwrap_err();
        assert_eq!(refused.code(), "ledger_version");
        assert!(refused.message().contains("newer"), "{refused}");
        // Nothing was changed meanwhile: the newer software finds it as it was.
        run_sql(&shop, "UPDATE kazawallet_ledger SET version = version - 1").await;
        let ledger = shop.ledger().await;
        assert!(ledger.order("order-1").await.unwrap().is_some());
    }

    async fn a_database_without_a_part_of_its_tables_is_damaged(shop: TestShop) {
        shop.ledger().await.close().await;
        run_sql(&shop, "DROP TABLE kazawallet_orders").await;
        let ledger = shop.ledger().await;
        assert_eq!(code(ledger.order("order-1").await), "ledger_damaged");
    }
}
