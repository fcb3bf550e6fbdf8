//! The dialects: what each answers and delivers, byte for byte, and how one is chosen.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod support;

use kazawallet::{CreatePaymentLink, Status};
use kazawallet_simulator::{Dialect, Fault, Simulator, Trigger};
use support::{Receiver, call, create_link, link_body};

const LINK: &str = "/wallet/createPaymentLink";

/// A delivery's members that hold the link's id.
fn ids(dialect: Dialect, id: &str) -> String {
    match dialect {
        Dialect::Documented => format!("\"order_id\":\"{id}\""),
        Dialect::Plugin => format!("\"id\":\"{id}\""),
        Dialect::Both => format!("\"order_id\":\"{id}\",\"id\":\"{id}\""),
        other => unreachable!("{other}"),
    }
}

#[tokio::test]
async fn each_dialect_answers_the_same_and_delivers_the_id_under_its_own_name() {
    let mut receiver = Receiver::start(200).await;
    for dialect in Dialect::ALL {
        let builder = Simulator::builder().dialect(dialect).webhook_url(&receiver.url);
        let sim = builder.start().await.unwrap();
        assert_eq!(sim.dialect(), dialect);
        let answer = call(&sim, LINK, &link_body(&sim)).await;
        let id = sim.links()[0].id.clone();
        let url = format!("http://{}/pay/{id}", sim.address());
        let wanted = format!("{{\"success\":true,\"id\":\"{id}\",\"url\":\"{url}\"}}");
        assert_eq!(answer.body, wanted, "{dialect}");

        sim.pay(&id).await.unwrap();
        let secret = sim.webhook().sign(&"10.50".parse().unwrap(), &id);
        let wanted = format!(
            "{{{},\"secret\":\"{secret}\",\"amount\":\"10.50\",\"ref\":\"order-42\",\
             \"status\":\"fulfilled\",\"currency\":\"USD\"}}",
            ids(dialect, &id)
        );
        assert_eq!(receiver.next().await.body, wanted, "{dialect}");
    }
}

#[tokio::test]
async fn the_sdk_reads_the_same_in_every_dialect() {
    for dialect in Dialect::ALL {
        for form in [None, Some(Fault::FormEncoded), Some(Fault::AmountAsNumber)] {
            let sim = Simulator::builder().dialect(dialect).start().await.unwrap();
            if let Some(fault) = form {
                sim.fault(fault).unwrap();
            }
            let new = CreatePaymentLink::new("10.50".parse().unwrap(), "USD").reference("order-42");
            let link = sim.client().payment_links().create(new).await.unwrap();
            let delivery = sim.pay(&link).await.unwrap().remove(0);
            let event = sim.webhook().verify(&delivery.body).unwrap();
            assert_eq!(link.id.as_deref(), Some(event.order_id()), "{dialect} {form:?}");
            assert_eq!(event.order_id(), delivery.order_id);
            assert_eq!(event.reference(), Some("order-42"));
        }
    }
}

#[tokio::test]
async fn without_a_choice_it_speaks_as_documented() {
    let sim = Simulator::start().await.unwrap();
    assert_eq!((sim.dialect(), sim.dialect().as_str()), (Dialect::Documented, "documented"));
}

#[tokio::test]
async fn another_dialect_is_spoken_from_then_on() {
    let sim = Simulator::start().await.unwrap();
    let paths =
        [create_link(&sim, &link_body(&sim)).await, create_link(&sim, &link_body(&sim)).await];
    let before = sim.pay(&paths[0]).await.unwrap().remove(0);
    sim.set_dialect(Dialect::Plugin);
    let after = sim.pay(&paths[1]).await.unwrap().remove(0);
    assert!(before.body.starts_with(&format!("{{{},", ids(Dialect::Documented, &before.order_id))));
    assert!(after.body.starts_with(&format!("{{{},", ids(Dialect::Plugin, &after.order_id))));
}

#[tokio::test]
async fn a_trigger_speaks_as_its_sender_unless_it_has_a_dialect_of_its_own() {
    let receiver = Receiver::start(200).await;
    let trigger = |order_id: &str| {
        Trigger::to(&receiver.url, "1".parse().unwrap()).order_id(order_id).status(Status::TimedOut)
    };
    for spoken in Dialect::ALL {
        let sim = Simulator::builder().dialect(spoken).start().await.unwrap();
        let sent = sim.trigger(trigger("o-1")).await.unwrap();
        assert!(sent.body.starts_with(&format!("{{{},", ids(spoken, "o-1"))), "{}", sent.body);
        for own in Dialect::ALL {
            let sent = sim.trigger(trigger("o-2").dialect(own)).await.unwrap();
            assert!(sent.body.starts_with(&format!("{{{},", ids(own, "o-2"))), "{}", sent.body);
            let sent = trigger("o-3").dialect(own).send(&sim.webhook()).await.unwrap();
            assert!(sent.body.starts_with(&format!("{{{},", ids(own, "o-3"))), "{}", sent.body);
        }
        let sent = trigger("o-4").send(&sim.webhook()).await.unwrap();
        assert!(sent.body.starts_with(&format!("{{{},", ids(Dialect::Documented, "o-4"))));
    }
}

#[test]
fn a_dialect_that_there_is_not_is_refused_with_those_that_there_are() {
    for dialect in Dialect::ALL {
        assert_eq!(dialect.to_string().parse::<Dialect>().unwrap(), dialect);
    }
    for text in ["", "Plugin", "php", "documented "] {
        let error = text.parse::<Dialect>().unwrap_err().to_string();
        let wanted = format!("no dialect is called {text:?}; there are documented, plugin, both");
        assert_eq!(error, wanted);
    }
}
