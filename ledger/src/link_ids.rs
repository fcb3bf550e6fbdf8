//! Switching the check of link ids off, should the ids of links and of deliveries be two sequences.

use kazawallet::Error;

use crate::database::Statement;
use crate::ledger::{Ledger, check_name, storable, unique};
use crate::times;

impl Ledger {
    /// A person switches the check of link ids off, or on again; see [`LinkIds`](crate::LinkIds). It is on
    /// in a new ledger. Who switched it, and when, is kept for ever.
    ///
    /// Switch it off if genuine payments are decided as a `mismatch` of `order_id` or `ref` although the
    /// wallet shows that they are right: then the provider numbers its links and its deliveries apart,
    /// and a proof was an accident. What was decided before stays as it is; settle it by hand.
    ///
    /// # Errors
    /// - [`Validation`](kazawallet::ErrorKind::Validation): `by` is blank, or too long.
    /// - The ledger's kinds.
    pub async fn set_link_id_check(
        &self,
        check: bool,
        by: &str,
        note: Option<&str>,
    ) -> Result<(), Error> {
        check_name("by", by)?;
        let set = Statement::new("UPDATE kazawallet_ledger SET link_ids = $1")
            .with((!check).then_some("ignored"));
        let keep = Statement::new(
            "INSERT INTO kazawallet_decisions (id, decided_at, decided_by, action, subject, decision,
                note)
            VALUES ($1, $2, $3, 'link_ids', '', $4, $5)",
        )
        .with(unique()?)
        .with(times::now())
        .with(by)
        .with(if check { "checked" } else { "ignored" })
        .with(note.map(storable));
        self.database().await?.write([set, keep]).await.map(drop)
    }
}
