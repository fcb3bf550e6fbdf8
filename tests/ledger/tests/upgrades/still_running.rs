//! A process of a former version that still runs when the present one has opened its database: it
//! goes on sending its own statements, which are kept in `fixtures/`.

use std::collections::BTreeMap;
use std::path::Path;

use kazawallet_ledger::{Decision, Ledger, OrderState, PayoutState, Processing, Settlement};
use kazawallet_ledger_tests::Delivery;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ToSql};
use tokio_postgres::types::Type;

use crate::former::{Former, connected, on_every_fixture, text};
use crate::support::{Database, code, order};
use crate::told::withdrawal;

const NOW: &str = "2026-05-01T09:30:00.250Z";
const LATER: &str = "2999-12-31T00:00:00.000Z";

/// A parameter.
#[derive(Clone, Copy)]
enum Is<'a> {
    Text(&'a str),
    Null,
    Int(i64),
    NoInt,
    Bytes(&'a [u8]),
}
use Is::{Bytes, Int, NoInt, Null, Text};

/// What the statement answered, as text; what is no text is left out.
type Rows = Vec<Vec<Option<String>>>;

/// The former version's connection to the database.
struct StillRunning {
    statements: BTreeMap<String, String>,
    connection: To,
}

enum To {
    Sqlite(Connection),
    Postgres(tokio_postgres::Client),
}

impl StillRunning {
    async fn of(former: &Former) -> Self {
        let (connection, suffix) = match former.database {
            Database::Sqlite => {
                let connection = Connection::open(former.file()).unwrap();
                connection.busy_timeout(std::time::Duration::from_secs(15)).unwrap();
                (To::Sqlite(connection), " (sqlite)")
            }
            Database::Postgres => (To::Postgres(connected(&former.url).await), " (postgresql)"),
        };
        let file = format!("fixtures/{}.statements.sql", former.commit);
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let file = std::fs::read_to_string(file).unwrap();
        let statements = file.split("\n-- name: ").skip(1).map(|statement| {
            let (name, sql) = statement.split_once('\n').unwrap();
            let name = name.strip_suffix(suffix).unwrap_or(name);
            (name.to_owned(), sql.trim().trim_end_matches(';').to_owned())
        });
        Self { statements: statements.collect(), connection }
    }

    /// One statement.
    async fn one(&self, name: &str, values: &[Is<'_>]) -> Rows {
        self.transaction(&[(name, values)]).await.pop().unwrap()
    }

    /// Several, as one transaction.
    async fn transaction(&self, statements: &[(&str, &[Is<'_>])]) -> Vec<Rows> {
        self.begin_or_end("BEGIN").await;
        let mut answers = Vec::new();
        for (name, values) in statements {
            let sql = &self.statements[*name];
            answers.push(match &self.connection {
                To::Sqlite(connection) => sqlite(connection, sql, values),
                To::Postgres(client) => postgres(client, sql, values).await,
            });
        }
        self.begin_or_end("COMMIT").await;
        answers
    }

    async fn begin_or_end(&self, how: &str) {
        match (&self.connection, how) {
            (To::Sqlite(connection), "BEGIN") => {
                connection.execute_batch("BEGIN IMMEDIATE").unwrap()
            }
            (To::Sqlite(connection), _) => connection.execute_batch(how).unwrap(),
            (To::Postgres(client), _) => client.batch_execute(how).await.unwrap(),
        }
    }

    /// Records an order of 10.50 USD, and takes the making of its link upon itself.
    async fn begin_order(&self, reference: &str) {
        let record = [Text(reference), Text("10.50"), Text("10.5"), Text("USD"), Text(NOW)];
        let take =
            [Text(reference), Text("maker"), Text(LATER), Text("10.5"), Text("USD"), Text(NOW)];
        let by_ref = [Text(reference)];
        let statements: [(&str, &[Is<'_>]); 3] =
            [("record_order", &record), ("take_making", &take), ("order_by_ref", &by_ref)];
        let answers = self.transaction(&statements).await;
        let row = &answers[2][0];
        assert_eq!((row[0].as_deref(), row[11].as_deref()), (Some(reference), Some("maker")));
    }

    async fn record_link(&self, reference: &str, id: Is<'_>) {
        let link = "https://provider.example/pay/former";
        let made = [Text(reference), Text("maker"), Text(link), id, Text(NOW)];
        assert_eq!(self.one("record_link", &made).await, [[Some("open".to_owned())]]);
    }

    /// Decides a delivery, and gives the decision and the problem; `None` where it is known already.
    async fn receive(&self, delivery: &Delivery, body: &[u8]) -> Option<Vec<Option<String>>> {
        let receipt = format!("receipt of {}", delivery.order_id);
        let optional = |text: &'_ Option<String>| text.clone();
        let (reference, currency) = (optional(&delivery.reference), optional(&delivery.currency));
        let said = [
            Text(&delivery.order_id),
            reference.as_deref().map_or(Null, Text),
            Text(delivery.amount.trim_end_matches('0')),
            currency.as_deref().map_or(Null, Text),
            Text(&delivery.status),
            Text(&delivery.amount),
            Text(NOW),
            Text(&receipt),
            Bytes(body),
        ];
        let tell = [Text(&delivery.order_id), Text(&receipt), Text(NOW)];
        // PostgreSQL tells the order in the same statement.
        let statements: &[(&str, &[Is<'_>])] = match self.connection {
            To::Sqlite(_) => &[("store", &said), ("tell_order", &tell)],
            To::Postgres(_) => &[("store", &said)],
        };
        self.transaction(statements).await.swap_remove(0).pop()
    }
}

fn sqlite(connection: &Connection, sql: &str, values: &[Is<'_>]) -> Rows {
    let mut prepared = connection.prepare(sql).unwrap();
    for (number, value) in (1..).zip(values) {
        let value: &dyn ToSql = match value {
            Text(text) => text,
            Int(number) => number,
            Bytes(bytes) => bytes,
            Null | NoInt => &rusqlite::types::Null,
        };
        if let Some(place) = prepared.parameter_index(&format!("${number}")).unwrap() {
            prepared.raw_bind_parameter(place, value).unwrap();
        }
    }
    let columns = prepared.column_count();
    let mut rows = prepared.raw_query();
    let mut answer = Rows::new();
    while let Some(row) = rows.next().unwrap() {
        let read = |column| match row.get_ref(column).unwrap() {
            ValueRef::Text(text) => Some(String::from_utf8(text.to_vec()).unwrap()),
            _ => None,
        };
        answer.push((0..columns).map(read).collect());
    }
    answer
}

async fn postgres(client: &tokio_postgres::Client, sql: &str, values: &[Is<'_>]) -> Rows {
    use tokio_postgres::types::ToSql;
    let types: Vec<_> = values
        .iter()
        .map(|value| match value {
            Text(_) | Null => Type::TEXT,
            Int(_) | NoInt => Type::INT8,
            Bytes(_) => Type::BYTEA,
        })
        .collect();
    let prepared = client.prepare_typed(sql, &types).await.unwrap();
    let values: Vec<&(dyn ToSql + Sync)> = values
        .iter()
        .map(|value| -> &(dyn ToSql + Sync) {
            match value {
                Text(text) => text,
                Int(number) => number,
                Bytes(bytes) => bytes,
                Null => &None::<&str>,
                NoInt => &None::<i64>,
            }
        })
        .collect();
    let rows = client.query(&prepared, &values).await.unwrap();
    let read = |row: &tokio_postgres::Row| {
        let columns = row.columns().iter().enumerate();
        let texts = columns.map(|(place, column)| match *column.type_() {
            Type::TEXT => row.get(place),
            _ => None,
        });
        texts.collect()
    };
    rows.iter().map(read).collect()
}

fn decided(decision: &str, problem: Option<&str>) -> Option<Vec<Option<String>>> {
    Some(vec![Some(decision.to_owned()), problem.map(str::to_owned)])
}

async fn seen(ledger: &Ledger, order_id: &str) -> (Decision, Option<Processing>) {
    let payment = ledger.payment(order_id).await.unwrap().unwrap();
    (payment.decision, payment.processing)
}

async fn state(ledger: &Ledger, reference: &str) -> OrderState {
    ledger.order(reference).await.unwrap().unwrap().state
}

const PRICE: &str = "10.50";

on_every_fixture! {
    async fn a_former_process_goes_on_making_links(former: Former) {
        let ledger = former.ledger().await;
        let running = StillRunning::of(&former).await;
        running.begin_order("its-order").await;
        assert_eq!(state(&ledger, "its-order").await, OrderState::Creating);
        running.record_link("its-order", Text("L-of-former")).await;
        let link = ledger.create_payment_link(order("its-order")).await.unwrap();
        assert_eq!((link.id.as_deref(), link.state), (Some("L-of-former"), OrderState::Open));
        assert!(former.provider.asked().is_empty(), "the same ref, the same link");

        // Its link pays its own order, and no other.
        running.begin_order("its-other-order").await;
        running.record_link("its-other-order", Text("L-of-former-2")).await;
        let wrong = Delivery::paid("L-of-former-2", PRICE, "its-order");
        let receipt = ledger.receive(wrong.body(&former.webhook).unwrap()).await.unwrap();
        assert_eq!((receipt.decision, receipt.problem.as_deref()), (Decision::Mismatch, Some("ref")));
        let right = Delivery::paid("L-of-former", PRICE, "its-order");
        let receipt = ledger.receive(right.body(&former.webhook).unwrap()).await.unwrap();
        assert_eq!((receipt.decision, receipt.duplicate), (Decision::Paid, false));
        assert_eq!(running.receive(&right, b"{}").await, None, "it is known");

        // One whose making failed is made by the present version.
        running.begin_order("its-third-order").await;
        running.one("give_back_making", &[Text("its-third-order"), Text("maker")]).await;
        let link = ledger.create_payment_link(order("its-third-order")).await.unwrap();
        assert_eq!(link.state, OrderState::Open);
    }

    async fn a_former_process_goes_on_receiving(former: Former) {
        let ledger = former.ledger().await;
        let running = StillRunning::of(&former).await;
        let mut ids = Vec::new();
        for reference in ["order-a", "order-b", "order-c"] {
            ids.push(ledger.create_payment_link(order(reference)).await.unwrap().id.unwrap());
        }
        // What the present version made is paid through the former one.
        let delivery = Delivery::paid(&ids[0], PRICE, "order-a");
        let body = delivery.body(&former.webhook).unwrap();
        assert_eq!(running.receive(&delivery, &body).await, decided("paid", None));
        assert_eq!(seen(&ledger, &ids[0]).await, (Decision::Paid, Some(Processing::Waiting)));
        assert_eq!(state(&ledger, "order-a").await, OrderState::Paid);
        let receipt = ledger.receive(&body).await.unwrap();
        assert_eq!((receipt.decision, receipt.duplicate), (Decision::Paid, true));

        let timed_out = Delivery::timed_out(&ids[1], PRICE, "order-b");
        assert_eq!(running.receive(&timed_out, b"{}").await, decided("timed_out", None));
        assert_eq!(state(&ledger, "order-b").await, OrderState::TimedOut);
        let contradicts = [Text("digest"), Text(&ids[1]), Text("status"), Text("order-b"), Text(PRICE),
            Text("USD"), Text("fulfilled"), Text(NOW), Bytes(b"{}")];
        assert_eq!(running.one("keep_conflict", &contradicts).await.len(), 1);
        let conflicts = ledger.conflicts(u32::MAX).await.unwrap();
        assert!(conflicts.iter().any(|conflict| conflict.order_id == ids[1]));

        let wrong = Delivery::paid(&ids[2], PRICE, "order-b");
        assert_eq!(running.receive(&wrong, b"{}").await, decided("mismatch", Some("ref")));
        assert_eq!(seen(&ledger, &ids[2]).await, (Decision::Mismatch, None));
        // A person settles it, and another one; each with the other version.
        let settled = [
            ("settle_paid", vec![Text(&ids[2]), Text("by-a-person"), Text("order-c"), Text(NOW)]),
            ("tell_order", vec![Text(&ids[2]), Text("by-a-person"), Text(NOW)]),
            ("keep_decision", vec![Text("by-a-person"), Text(NOW), Text("سمر"), Text("settle"),
                Text(&ids[2]), Text("paid"), Text("order-c"), Null, Text("by-a-person")]),
        ];
        let settled: Vec<_> = settled.iter().map(|(name, values)| (*name, &**values)).collect();
        assert_eq!(running.transaction(&settled).await[2], [[Some("by-a-person".to_owned())]]);
        assert_eq!(seen(&ledger, &ids[2]).await, (Decision::Paid, Some(Processing::Waiting)));
        assert_eq!(state(&ledger, "order-c").await, OrderState::Paid);
        let decisions = ledger.decisions(u32::MAX).await.unwrap();
        assert!(decisions.iter().any(|decision| decision.subject == ids[2] && decision.by == "سمر"));

        // One that comes before its order.
        let early = Delivery::paid("early", PRICE, "late-order");
        assert_eq!(running.receive(&early, b"{}").await, decided("no_order", None));
        running.begin_order("late-order").await;
        assert_eq!(running.one("without_order", &[Text("late-order")]).await, [[Some("early".to_owned())]]);
        let adopt: [(&str, &[Is<'_>]); 2] = [
            ("adopt", &[Text("early"), Text(NOW), Text("adopted")]),
            ("tell_order", &[Text("early"), Text("adopted"), Text(NOW)]),
        ];
        running.transaction(&adopt).await;
        assert_eq!(seen(&ledger, "early").await, (Decision::Paid, Some(Processing::Waiting)));
        assert_eq!(state(&ledger, "late-order").await, OrderState::Paid);

        let orphan = Delivery::paid("orphan", PRICE, "nobody's order");
        assert_eq!(running.receive(&orphan, b"{}").await, decided("no_order", None));
        let settled = ledger.settle("orphan", Settlement::Dismissed, None, "Samer", None).await.unwrap();
        assert_eq!(settled.decision, Decision::Dismissed);
        let read = running.one("payment_by_order_id", &[Text("orphan")]).await;
        assert_eq!(read[0][5].as_deref(), Some("dismissed"));
        let forged = [Text("forged"), Int(0), Text("nobody's order"), Text(NOW), Bytes(b"{}")];
        running.one("keep_in_quarantine", &forged).await;
        let quarantined = former.told["summary"]["quarantined"].as_u64().unwrap();
        assert_eq!(ledger.summary().await.unwrap().quarantined, quarantined + 1);
    }

    async fn a_former_process_goes_on_handling(former: Former) {
        let ledger = former.ledger().await;
        let running = StillRunning::of(&former).await;
        let now = "2998-01-01T00:00:00.000Z";
        let waiting = former.told["summary"]["processing"]["waiting"].as_u64().unwrap();
        let claim = async |holder: &str| {
            let values = [Text(holder), Text(LATER), Text(now), Int(1), Int(10)];
            let statements: [(&str, &[Is<'_>]); 2] = [("park", &values), ("claim", &values)];
            let mut answers = running.transaction(&statements).await;
            answers.pop().unwrap()[0][0].clone().unwrap()
        };
        let (done, parked) = (claim("a").await, claim("b").await);
        assert_ne!(done, parked);
        let held = ledger.pending(u32::MAX).await.unwrap();
        assert_eq!(held.len() as u64, waiting - 2, "what one version holds the other does not get");
        assert!(held.iter().all(|payment| payment.order_id != done && payment.order_id != parked));

        assert_eq!(running.one("done", &[Text(&done), Text("a"), Text(NOW)]).await.len(), 1);
        assert_eq!(seen(&ledger, &done).await.1, Some(Processing::Done));
        let failed = [Text(&parked), Text("b"), Text("parked"), Text(NOW), Text("no answer")];
        assert_eq!(running.one("failed", &failed).await.len(), 1);
        let payment = ledger.payment(&parked).await.unwrap().unwrap();
        assert_eq!(payment.processing, Some(Processing::Parked));
        assert_eq!(payment.last_error.as_deref(), Some("no answer"));
        ledger.retry(&parked, "Samer", None).await.unwrap();
        running.one("mark_processed", &[Text(&held[0].order_id), Text(NOW)]).await;
        assert_eq!(seen(&ledger, &held[0].order_id).await.1, Some(Processing::Done));
        running.one("retry", &[Text(&parked), Text("again"), Text(NOW)]).await;

        running.one("forget_bodies", &[Text(LATER)]).await;
        assert!(ledger.payment(&done).await.unwrap().unwrap().body.is_none());
        assert!(ledger.payment(&parked).await.unwrap().unwrap().body.is_some());
    }

    async fn a_former_process_goes_on_paying_out(former: Former) {
        let ledger = former.ledger().await;
        let running = StillRunning::of(&former).await;
        // The terms of one that the former version has paid, so that their digest is known.
        let paid = former.all("payouts").iter().position(|payout| payout["state"] == "paid").unwrap();
        let (payout, asked) = (&former.all("payouts")[paid], &former.all("asked")[paid]);
        let read = running.one("payout_by_reference", &[Text(text(&payout["reference"]))]).await;
        let terms = read[0][11].clone().unwrap();
        let amount = text(&payout["amount"]).to_owned();
        let begin = async |reference: &str, deadline: &str| {
            let intend = [Text(reference), Text(&terms), Text(&amount), Text("USD"), Text("38"), Text("{}"), Text(NOW)];
            let send = [Text(reference), Text(&terms), Text("sender"), Text(deadline), Text(NOW), Text(deadline)];
            let give_up = [Text(reference), Text(NOW), Text(NOW)];
            let by_reference = [Text(reference)];
            let statements: [(&str, &[Is<'_>]); 4] = [("intend", &intend), ("send", &send),
                ("give_up", &give_up), ("payout_by_reference", &by_reference)];
            let answers = running.transaction(&statements).await;
            assert_eq!(answers[3][0][12].as_deref(), Some("sender"));
        };
        begin("its-payout", LATER).await;
        assert_eq!(ledger.payout("its-payout").await.unwrap().unwrap().state, PayoutState::Sending);
        let record = |reference, state| [Text(reference), Text("sender"), Text(state), Null, NoInt, Null,
            Text("approved"), Null, Text(NOW)];
        running.one("record_payout", &record("its-payout", "paid")).await;
        let again = ledger.withdraw("its-payout", withdrawal(asked)).await.unwrap();
        assert_eq!((again.state, again.status.as_deref()), (PayoutState::Paid, Some("approved")));

        // It died while it was sending.
        begin("its-last-payout", "2026-05-01T09:30:00.250Z").await;
        assert_eq!(code(ledger.withdraw("its-last-payout", withdrawal(asked)).await), "outcome_unknown");
        let resolve: [(&str, &[Is<'_>]); 2] = [
            ("keep_resolution", &[Text("by-a-person"), Text(LATER), Text("سمر"), Text("its-last-payout"), Text("not_paid"), Null]),
            ("resolve", &[Text("its-last-payout"), Text("not_paid"), Text(LATER), Text("by-a-person")]),
        ];
        running.transaction(&resolve).await;
        assert_eq!(ledger.payout("its-last-payout").await.unwrap().unwrap().state, PayoutState::NotPaid);
        assert!(former.provider.asked().is_empty());

        // What the present version pays out, the former one does not send again.
        ledger.withdraw("our-payout", withdrawal(asked)).await.unwrap();
        let send = [Text("our-payout"), Text(&terms), Text("sender"), Text(LATER), Text(NOW), Text(LATER)];
        running.one("send", &send).await;
        let read = running.one("payout_by_reference", &[Text("our-payout")]).await;
        assert_eq!((read[0][1].as_deref(), read[0][11].as_deref()), (Some("paid"), Some(&*terms)));
    }

    async fn a_former_process_goes_on_telling(former: Former) {
        let _ledger = former.ledger().await;
        let running = StillRunning::of(&former).await;
        let unsettled = running.one("unsettled", &[Int(1_000_000)]).await;
        assert_eq!(unsettled.len(), former.all("unsettled").len());
        let overdue = running.one("overdue", &[Text(LATER), Int(1_000_000)]).await;
        assert_eq!(overdue.len(), former.all("overdue").len());
        let counts = running.one("summary", &[Text(NOW)]).await;
        let state_of = |what: &str| counts.iter().filter(|row| row[0].as_deref() == Some(what)).count();
        let states = |what: &str| former.told["summary"][what].as_object().map_or(0, |states| {
            states.values().filter(|count| count.as_u64() != Some(0)).count()
        });
        assert_eq!((state_of("orders"), state_of("payments")), (states("orders"), states("payments")));
    }
}
