//! How records look in a terminal, and as JSON for scripts. Nothing that came from outside reaches
//! the terminal as it is: a ref could hold what moves the cursor or reverses the line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::SystemTime;

use serde_json::{Map, Value as Json};

use crate::records::{Conflict, LinkIds, OrderRecord, Payment, Payout, PersonDecision, Receipt};
use crate::times;

/// A name, the same as in Python, and what stands under it.
pub(super) type Field = (&'static str, Value);

pub(super) enum Value {
    Nothing,
    Text(String),
    Time(SystemTime),
    Count(u64),
    Flag(bool),
    Counts(Vec<(&'static str, u64)>),
    /// JSON, as the ledger has recorded it.
    Recorded(Json),
}

/// Something that the ledger tells.
pub(super) trait Record {
    fn fields(&self) -> Vec<Field>;
}

/// The most characters of a cell. What is cut is whole where one record is shown, and in JSON.
const WIDEST_CELL: usize = 80;

/// How many there are of each state, in the order of the states.
pub(super) fn counts<S: Copy>(
    counts: &BTreeMap<S, u64>,
    text: impl Fn(S) -> &'static str,
) -> Value {
    Value::Counts(counts.iter().map(|(state, count)| (text(*state), *count)).collect())
}

/// One record: a line a field.
pub(super) fn one(record: &impl Record, json: bool) -> String {
    if json { json_line(record.fields()) } else { block(record.fields()) }
}

/// Several records: a table of these columns, or block after block where there are none. `next` says
/// what a person can do about them.
pub(super) fn list(
    records: &[impl Record],
    columns: Option<&[&str]>,
    limit: u32,
    json: bool,
    next: &str,
) -> String {
    if json {
        return records.iter().map(|record| json_line(record.fields())).collect();
    }
    if records.is_empty() {
        return "None.\n".to_owned();
    }
    let mut text = match columns {
        Some(columns) => table(records, columns),
        None => {
            let blocks: Vec<String> = records.iter().map(|record| block(record.fields())).collect();
            blocks.join("\n")
        }
    };
    if u32::try_from(records.len()).is_ok_and(|count| count >= limit) {
        let _ = write!(text, "\nThese are the first {limit}; --limit COUNT lists more.\n");
    }
    if !next.is_empty() {
        let _ = write!(text, "\n{next}\n");
    }
    text
}

pub(super) fn json_line(fields: Vec<Field>) -> String {
    let object: Map<String, Json> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value.json())).collect();
    // JSON has escapes of its own for what no terminal should get, and allows it inside text only.
    let mut line = String::new();
    for character in Json::Object(object).to_string().chars() {
        if moves_text(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(character);
        }
    }
    line + "\n"
}

/// Fields one below the other.
pub(super) fn block(fields: Vec<Field>) -> String {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in fields {
        let name = name.replace('_', " ");
        match value {
            Value::Recorded(Json::Object(parts)) => {
                let _ = writeln!(text, "{name}");
                indented(&mut text, &parts, 2);
            }
            value => {
                let _ = writeln!(text, "{name:width$}  {}", value.text());
            }
        }
    }
    text
}

fn indented(text: &mut String, parts: &Map<String, Json>, depth: usize) {
    for (name, value) in parts {
        let _ = write!(text, "{:depth$}{}", "", visible(name));
        match value {
            Json::Object(parts) => {
                text.push('\n');
                indented(text, parts, depth + 2);
            }
            Json::String(value) => {
                let _ = writeln!(text, ": {}", visible(value));
            }
            value => {
                let _ = writeln!(text, ": {}", visible(&value.to_string()));
            }
        }
    }
}

fn table(records: &[impl Record], columns: &[&str]) -> String {
    let mut rows: Vec<Vec<String>> =
        vec![columns.iter().map(|column| column.replace('_', " ")).collect()];
    for record in records {
        let fields = record.fields();
        let cell = |column| {
            let field = fields.iter().find(|(name, _)| name == column);
            shortened(field.map(|(_, value)| value.text()).unwrap_or_default())
        };
        rows.push(columns.iter().map(cell).collect());
    }
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns.len()).map(|at| width(at).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(WIDEST_CELL) {
        Some(_) => text.chars().take(WIDEST_CELL - 1).chain(['…']).collect(),
        None => text,
    }
}

/// The text with every character escaped that a terminal would act upon instead of showing it.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if moves_text(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Control characters, those that reverse the direction of a line, and those that nobody sees.
fn moves_text(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Nothing => "-".to_owned(),
            Self::Text(text) => visible(text),
            Self::Time(time) => {
                humantime::format_rfc3339_seconds(*time).to_string().replace('T', " ")
            }
            Self::Count(count) => count.to_string(),
            Self::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
            Self::Counts(counts) => {
                let parts: Vec<String> =
                    counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
                parts.join("   ")
            }
            Self::Recorded(recorded) => visible(&recorded.to_string()),
        }
    }

    fn json(self) -> Json {
        match self {
            Self::Nothing => Json::Null,
            Self::Text(text) => text.into(),
            Self::Time(time) => times::text(time).into(),
            Self::Count(count) => count.into(),
            Self::Flag(flag) => flag.into(),
            Self::Counts(counts) => counts
                .into_iter()
                .map(|(name, count)| (name.to_owned(), Json::from(count)))
                .collect(),
            Self::Recorded(recorded) => recorded,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<SystemTime> for Value {
    fn from(time: SystemTime) -> Self {
        Self::Time(time)
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}

impl Record for OrderRecord {
    fn fields(&self) -> Vec<Field> {
        vec![
            ("ref", (&self.reference).into()),
            ("state", self.state.as_str().into()),
            ("amount", self.amount.as_str().into()),
            ("currency", (&self.currency).into()),
            ("url", self.url.as_ref().into()),
            ("link_id", self.link_id.as_ref().into()),
            ("paid_by", self.paid_by.as_ref().into()),
            ("created_at", self.created_at.into()),
            ("link_at", self.link_at.into()),
            ("paid_at", self.paid_at.into()),
        ]
    }
}

impl Record for Payment {
    fn fields(&self) -> Vec<Field> {
        vec![
            ("order_id", (&self.order_id).into()),
            ("decision", self.decision.as_str().into()),
            ("problem", self.problem.as_ref().into()),
            ("ref", self.reference.as_ref().into()),
            ("link_ref", self.link_ref.as_ref().into()),
            ("link_ids", self.link_ids.map(LinkIds::as_str).into()),
            ("amount", self.amount.as_str().into()),
            ("currency", self.currency.as_ref().into()),
            ("status", (&self.status).into()),
            ("received_at", self.received_at.into()),
            ("processing", self.processing.map(|processing| processing.as_str()).into()),
            ("tries", u64::from(self.tries).into()),
            ("last_error", self.last_error.as_ref().into()),
        ]
    }
}

impl Record for Conflict {
    fn fields(&self) -> Vec<Field> {
        vec![
            ("order_id", (&self.order_id).into()),
            ("problem", (&self.problem).into()),
            ("ref", self.reference.as_ref().into()),
            ("amount", self.amount.as_str().into()),
            ("currency", self.currency.as_ref().into()),
            ("status", (&self.status).into()),
            ("received_at", self.received_at.into()),
        ]
    }
}

impl Record for Payout {
    fn fields(&self) -> Vec<Field> {
        let details = self.details.as_deref().map(|details| match serde_json::from_str(details) {
            Ok(recorded) => Value::Recorded(recorded),
            Err(_) => details.into(),
        });
        vec![
            ("reference", (&self.reference).into()),
            ("state", self.state.as_str().into()),
            ("amount", self.amount.as_str().into()),
            ("currency", (&self.currency).into()),
            ("payment_method", (&self.payment_method).into()),
            ("status", self.status.as_ref().into()),
            ("message", self.message.as_ref().into()),
            ("created_at", self.created_at.into()),
            ("deadline", self.deadline.into()),
            ("changed_at", self.changed_at.into()),
            ("details", details.unwrap_or(Value::Nothing)),
        ]
    }
}

impl Record for PersonDecision {
    fn fields(&self) -> Vec<Field> {
        vec![
            ("at", self.at.into()),
            ("by", (&self.by).into()),
            ("action", (&self.action).into()),
            ("subject", (&self.subject).into()),
            ("decision", (&self.decision).into()),
            ("ref", self.reference.as_ref().into()),
            ("note", self.note.as_ref().into()),
        ]
    }
}

impl Record for Receipt {
    fn fields(&self) -> Vec<Field> {
        vec![
            ("order_id", self.event.order_id().into()),
            ("decision", self.decision.as_str().into()),
            ("problem", self.problem.as_ref().into()),
            ("duplicate", self.duplicate.into()),
            ("ref", self.event.reference().into()),
            ("link_ref", self.link_ref.as_ref().into()),
            ("link_ids", self.link_ids.map(LinkIds::as_str).into()),
            ("amount", self.event.amount().as_str().into()),
            ("currency", self.event.currency().into()),
            ("status", self.event.status().as_str().into()),
        ]
    }
}
