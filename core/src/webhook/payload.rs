//! From a delivery's bytes to its fields, before anything is believed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use percent_encoding::percent_decode_str;
use serde_core::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::amount::Amount;
use crate::error::Error;

pub(super) const MAX_BODY: usize = 64 * 1024;
const MAX_FIELD: usize = 1024;
/// The link's id, as the documentation names it, and as the provider's own code does.
const ORDER_ID: &str = "order_id";
const ID: &str = "id";
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The fields of a delivery, well-formed but not verified.
pub(super) struct Payload<'a> {
    pub(super) order_id: Cow<'a, str>,
    pub(super) other: Option<OtherId<'a>>,
    pub(super) secret: Cow<'a, str>,
    pub(super) amount: Amount,
    pub(super) status: Cow<'a, str>,
    pub(super) currency: Option<Cow<'a, str>>,
    pub(super) reference: Option<Cow<'a, str>>,
    pub(super) extra: BTreeMap<String, Box<RawValue>>,
}

impl<'a> Payload<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Error> {
        if body.len() > MAX_BODY {
            return Err(Error::payload(format!(
                "the body has {} bytes; a delivery has at most {MAX_BODY}",
                body.len()
            )));
        }
        let text = std::str::from_utf8(body)
            .map_err(|error| Error::payload("the body is not UTF-8").with_source(error))?;
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let mut fields = Fields::default();
        match text.trim_ascii_start().as_bytes().first() {
            Some(b'{') => read_json(text, &mut fields)?,
            Some(b'[' | b'"') => return Err(not_a_delivery()),
            // A form has no line breaks.
            Some(b'-') if text.starts_with("--") && text.contains("\r\n") => {
                read_multipart(text, &mut fields)?
            }
            Some(_) if text.contains('=') => read_form(text, &mut fields)?,
            _ => return Err(not_a_delivery()),
        }
        fields.check()
    }

    /// Takes the other id for the link's, since it is the one that is signed. The `order_id` is kept in
    /// its place.
    pub(super) fn with_other_id(mut self) -> Self {
        if let Some(other) = self.other.take() {
            self.order_id = other.id;
            self.extra.remove(ID);
            self.extra.insert(ORDER_ID.to_owned(), other.order_id_as_json);
        }
        self
    }
}

/// An `id` that says something else than the `order_id` beside it: the signature tells which one is the
/// link's.
pub(super) struct OtherId<'a> {
    pub(super) id: Cow<'a, str>,
    order_id_as_json: Box<RawValue>,
}

impl<'a> OtherId<'a> {
    fn read(
        order_id: &str,
        on_the_wire: Option<Wire<'a>>,
        id: Wire<'a>,
    ) -> Result<Option<Self>, Error> {
        // One that cannot be an id is of use to nobody but the reader of `extra`.
        let id = optional(ID, Some(id), Accept::Integer).unwrap_or_default();
        let (Some(id), Some(on_the_wire)) = (id.filter(|id| id != order_id), on_the_wire) else {
            return Ok(None);
        };
        Ok(Some(Self { id, order_id_as_json: on_the_wire.into_json()? }))
    }
}

fn not_a_delivery() -> Error {
    Error::payload(
        "the body is neither a JSON object nor form fields: pass the request's body exactly as it \
         came, before any parser",
    )
}

/// A field's value as the wire has it.
#[derive(Clone)]
enum Wire<'a> {
    /// The text of a JSON value.
    Json(&'a RawValue),
    /// A decoded form field, which is text whatever it means.
    Form(Cow<'a, str>),
}

#[derive(Default)]
struct Fields<'a> {
    order_id: Option<Wire<'a>>,
    id: Option<Wire<'a>>,
    secret: Option<Wire<'a>>,
    amount: Option<Wire<'a>>,
    status: Option<Wire<'a>>,
    currency: Option<Wire<'a>>,
    reference: Option<Wire<'a>>,
    extra: BTreeMap<String, Wire<'a>>,
}

/// Where a key's value goes.
enum Slot {
    OrderId,
    Id,
    Secret,
    Amount,
    Status,
    Currency,
    Reference,
    Extra(String),
}

impl Slot {
    fn of(key: &str) -> Self {
        match key {
            ORDER_ID => Self::OrderId,
            ID => Self::Id,
            "secret" => Self::Secret,
            "amount" => Self::Amount,
            "status" => Self::Status,
            "currency" => Self::Currency,
            "ref" => Self::Reference,
            other => Self::Extra(other.to_owned()),
        }
    }
}

impl<'a> Fields<'a> {
    /// Stores a field; false where its key came before.
    fn put(&mut self, slot: Slot, value: Wire<'a>) -> bool {
        let known = match slot {
            Slot::OrderId => &mut self.order_id,
            Slot::Id => &mut self.id,
            Slot::Secret => &mut self.secret,
            Slot::Amount => &mut self.amount,
            Slot::Status => &mut self.status,
            Slot::Currency => &mut self.currency,
            Slot::Reference => &mut self.reference,
            Slot::Extra(key) => return self.extra.insert(key, value).is_none(),
        };
        known.replace(value).is_none()
    }

    fn check(mut self) -> Result<Payload<'a>, Error> {
        let on_the_wire = self.order_id.clone();
        let order_id = match optional(ORDER_ID, self.order_id, Accept::Integer) {
            // One that cannot be an id leaves the `id` beside it to be the link's.
            Err(_) if self.id.is_some() => None,
            read => read?,
        };
        let (order_id, other) = match (order_id, self.id) {
            (Some(order_id), Some(id)) => {
                let other = OtherId::read(&order_id, on_the_wire, id.clone())?;
                self.extra.insert(ID.to_owned(), id);
                (Some(order_id), other)
            }
            (Some(order_id), None) => (Some(order_id), None),
            (None, id) => {
                // A null is as good as nothing there.
                if let Some(empty) = on_the_wire.filter(|value| id.is_some() && !value.is_null()) {
                    self.extra.insert(ORDER_ID.to_owned(), empty);
                }
                (optional(ORDER_ID, id, Accept::Integer)?, None)
            }
        };
        let mut extra = BTreeMap::new();
        for (key, value) in self.extra {
            extra.insert(key, value.into_json()?);
        }
        let amount = required("amount", optional("amount", self.amount, Accept::Decimal)?)?;
        Ok(Payload {
            order_id: required(ORDER_ID, order_id)?,
            other,
            secret: required("secret", optional("secret", self.secret, Accept::Text)?)?,
            amount: Amount::from_webhook(&amount).map_err(|reason| refused("amount", &reason))?,
            status: required("status", optional("status", self.status, Accept::Text)?)?,
            currency: optional("currency", self.currency, Accept::Text)?,
            reference: optional("ref", self.reference, Accept::Integer)?,
            extra,
        })
    }
}

/// Which JSON values a field may be besides a string. A number is taken as the text it has on
/// the wire, never as a float.
#[derive(Clone, Copy, PartialEq)]
enum Accept {
    Text,
    Integer,
    Decimal,
}

fn required<'a>(field: &str, value: Option<Cow<'a, str>>) -> Result<Cow<'a, str>, Error> {
    value.ok_or_else(|| refused(field, "it is missing or empty"))
}

/// A field's text; `None` where it is absent, null or empty.
fn optional<'a>(
    field: &str,
    value: Option<Wire<'a>>,
    accept: Accept,
) -> Result<Option<Cow<'a, str>>, Error> {
    let Some(value) = value else { return Ok(None) };
    let Some(text) = value.into_text(accept).map_err(|reason| refused(field, reason))? else {
        return Ok(None);
    };
    if text.len() > MAX_FIELD {
        return Err(refused(
            field,
            &format!("it has {} bytes; at most {MAX_FIELD} are read", text.len()),
        ));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn refused(field: &str, reason: &str) -> Error {
    Error::payload(format!(
        "the delivery's `{field}` cannot be read: {reason}. Was the body passed exactly as it \
         came, before any parser?"
    ))
    .with_field(field)
}

impl<'a> Wire<'a> {
    fn is_null(&self) -> bool {
        matches!(self, Self::Json(raw) if raw.get() == "null")
    }

    fn into_text(self, accept: Accept) -> Result<Option<Cow<'a, str>>, &'static str> {
        let raw = match self {
            Self::Form(text) => return without_nul(text).map(Some),
            Self::Json(raw) => raw.get(),
        };
        match raw.as_bytes().first() {
            Some(b'"') => unquote(raw).map(Some),
            Some(b'n') => Ok(None),
            Some(b'0'..=b'9' | b'-') if accept == Accept::Decimal => Ok(Some(Cow::Borrowed(raw))),
            Some(b'0'..=b'9') if accept == Accept::Integer => {
                if raw.bytes().all(|byte| byte.is_ascii_digit()) {
                    Ok(Some(Cow::Borrowed(raw)))
                } else {
                    Err("a number here must be whole")
                }
            }
            _ => Err("it is of the wrong JSON type; a string was expected"),
        }
    }

    fn into_json(self) -> Result<Box<RawValue>, Error> {
        match self {
            Self::Json(raw) => Ok(raw.to_owned()),
            Self::Form(text) => serde_json::value::to_raw_value(&text)
                .map_err(|error| Error::payload("a form field cannot be kept").with_source(error)),
        }
    }
}

/// The text of a JSON string, borrowed where it has no escape. Then it holds no NUL either: the
/// parser refuses a bare control character.
fn unquote(raw: &str) -> Result<Cow<'_, str>, &'static str> {
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(text) if !text.as_bytes().contains(&b'\\') => Ok(Cow::Borrowed(text)),
        _ => match serde_json::from_str(raw) {
            Ok(text) => without_nul(Cow::Owned(text)),
            Err(_) => Err("its text is not valid Unicode"),
        },
    }
}

fn without_nul(text: Cow<'_, str>) -> Result<Cow<'_, str>, &'static str> {
    if text.contains('\0') { Err("it holds a NUL character") } else { Ok(text) }
}

fn read_json<'a>(text: &'a str, fields: &mut Fields<'a>) -> Result<(), Error> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let unique = parser
        .deserialize_map(ObjectVisitor(fields))
        .and_then(|unique| parser.end().map(|()| unique))
        .map_err(|error| Error::payload("the body is not valid JSON").with_source(error))?;
    if unique { Ok(()) } else { Err(repeated_key()) }
}

fn repeated_key() -> Error {
    Error::payload("the body repeats a key, so that it could be read in two ways")
}

/// Reads the top-level object into the fields; false where a key is repeated.
struct ObjectVisitor<'f, 'a>(&'f mut Fields<'a>);

impl<'de> Visitor<'de> for ObjectVisitor<'_, 'de> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut unique = true;
        while let Some(slot) = map.next_key_seed(SlotSeed)? {
            let value = map.next_value::<&'de RawValue>()?;
            unique &= self.0.put(slot, Wire::Json(value));
        }
        Ok(unique)
    }
}

/// Reads a key without keeping a copy of the known ones.
struct SlotSeed;

impl<'de> serde_core::de::DeserializeSeed<'de> for SlotSeed {
    type Value = Slot;

    fn deserialize<D: serde_core::Deserializer<'de>>(self, from: D) -> Result<Slot, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for SlotSeed {
    type Value = Slot;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Slot, E> {
        Ok(Slot::of(key))
    }
}

fn read_form<'a>(text: &'a str, fields: &mut Fields<'a>) -> Result<(), Error> {
    for pair in text.trim_ascii().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let slot = Slot::of(&form_decode(key)?);
        if !fields.put(slot, Wire::Form(form_decode(value)?)) {
            return Err(repeated_key());
        }
    }
    Ok(())
}

/// `multipart/form-data`, as PHP's cURL sends an array: its first line is the boundary. Files are no fields.
fn read_multipart<'a>(text: &'a str, fields: &mut Fields<'a>) -> Result<(), Error> {
    let cut_short = || Error::payload("the body's multipart/form-data is cut short, or is none");
    let (boundary, parts) = text.split_once("\r\n").ok_or_else(cut_short)?;
    let between = format!("\r\n{boundary}");
    let mut rest = parts;
    loop {
        let (part, after) = rest.split_once(&between).ok_or_else(cut_short)?;
        let (head, value) = part.split_once("\r\n\r\n").ok_or_else(cut_short)?;
        if let Some(name) = field_of_part(head)?
            && !fields.put(Slot::of(name), Wire::Form(Cow::Borrowed(value)))
        {
            return Err(repeated_key());
        }
        if after.starts_with("--") {
            return Ok(());
        }
        rest = after.strip_prefix("\r\n").ok_or_else(cut_short)?;
    }
}

/// The name of the field that a part holds; `None` for a file.
fn field_of_part(head: &str) -> Result<Option<&str>, Error> {
    let mut name = None;
    for line in head.split("\r\n") {
        let (header, value) = line.split_once(':').unwrap_or((line, ""));
        if header.eq_ignore_ascii_case("content-transfer-encoding") {
            let plain = ["7bit", "8bit", "binary"];
            if !plain.iter().any(|plain| value.trim().eq_ignore_ascii_case(plain)) {
                return Err(Error::payload("a field of the body's multipart/form-data is encoded"));
            }
        }
        if header.eq_ignore_ascii_case("content-disposition") {
            if value.contains("filename") {
                return Ok(None);
            }
            name = value
                .split_once("name=\"")
                .and_then(|(_, rest)| rest.split_once('"'))
                .map(|(name, _)| name);
        }
    }
    let unnamed = || Error::payload("a field of the body's multipart/form-data has no name");
    name.map(Some).ok_or_else(unnamed)
}

/// `application/x-www-form-urlencoded`, strict about UTF-8: a lossy reading could change what
/// was signed.
fn form_decode(text: &str) -> Result<Cow<'_, str>, Error> {
    let not_utf8 = |error| Error::payload("a form field is not UTF-8").with_source(error);
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8().map_err(not_utf8)?;
        return Ok(Cow::Owned(decoded.into_owned()));
    }
    percent_decode_str(text).decode_utf8().map_err(not_utf8)
}
