//! Holds the core and the ledger against `tests/surface.json`, both ways: what is public and not
//! listed fails, and so does what is listed and missing.
//!
//! The public surface is read from the source in `core/src` and `ledger/src`: what `lib.rs` gives on,
//! with its public methods, fields and variants. What is `#[doc(hidden)]` is for the other crates of
//! this workspace, and is no part of it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use syn::parse::{ParseStream, Parser};
use syn::{
    Attribute, Expr, Fields, FnArg, Ident, ImplItem, Item, Lit, LitStr, Pat, Stmt, Token, Type,
    UseTree, Visibility, braced,
};

// ---------------------------------------------------------------- the list

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Surface {
    #[serde(rename = "description")]
    _description: String,
    types: Vec<ListedType>,
    errors: Vec<ListedError>,
    ledger: Vec<ListedType>,
    testing: Vec<ListedType>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedType {
    name: String,
    /// Its name in Rust, where that is another.
    rust: Option<String>,
    only: Option<Vec<Language>>,
    members: Vec<Member>,
    /// A type of which this one has all members.
    like: Option<String>,
    reached_through: Option<String>,
    iterable: Option<String>,
    constructible: Option<bool>,
    /// The member of which this type's members are the arguments.
    #[serde(rename = "arguments_of")]
    _arguments_of: Option<String>,
    #[serde(rename = "open")]
    _open: Option<String>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    name: String,
    kind: MemberKind,
    only: Option<Vec<Language>>,
    /// Its name in Rust, where that is another.
    rust: Option<String>,
    #[serde(rename = "node")]
    _node: Option<String>,
    #[serde(rename = "type")]
    _type: Option<String>,
    #[serde(default)]
    arguments: Vec<Argument>,
    #[serde(rename = "returns")]
    _returns: Option<String>,
    /// Its name in a type that is `like` this one and is awaited.
    #[serde(rename = "async")]
    _async: Option<String>,
    value: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum MemberKind {
    Constructor,
    Method,
    Property,
    Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Argument {
    #[serde(rename = "name")]
    _name: String,
    #[serde(rename = "type")]
    _type: String,
    #[serde(rename = "optional")]
    _optional: Option<bool>,
    #[serde(rename = "default")]
    _default: Option<String>,
    only: Option<Vec<Language>>,
    #[serde(rename = "environment")]
    _environment: Option<String>,
    /// What takes it in Rust: `Type::member`.
    rust: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListedError {
    name: String,
    parent: Option<String>,
    code: Option<String>,
    /// Each variant of `ErrorKind` with its code, where there are several.
    #[serde(default)]
    codes: BTreeMap<String, String>,
    #[serde(default)]
    outcome: Vec<String>,
    #[serde(default)]
    properties: Vec<String>,
    /// The variant of `ErrorKind`.
    rust: Option<String>,
    #[serde(rename = "python_bases")]
    _python_bases: Option<Value>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Language {
    Rust,
    Python,
    Node,
}

impl ListedError {
    /// The variants of `ErrorKind` that it stands for, with their codes.
    fn kinds(&self) -> impl Iterator<Item = (&str, &str)> {
        let one = self.rust.as_deref().zip(self.code.as_deref());
        one.into_iter().chain(self.codes.iter().map(|(kind, code)| (kind.as_str(), code.as_str())))
    }
}

fn in_rust(only: &Option<Vec<Language>>) -> bool {
    only.as_ref().is_none_or(|languages| languages.contains(&Language::Rust))
}

impl ListedType {
    fn rust_name(&self) -> &str {
        self.rust.as_deref().unwrap_or(&self.name)
    }
}

impl Member {
    fn rust_name(&self) -> &str {
        self.rust.as_deref().unwrap_or(&self.name)
    }
}

fn list() -> Surface {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("surface.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

// ---------------------------------------------------------------- the source

/// What a public member of a type is, seen from its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// A function without a receiver.
    Associated,
    /// A method that takes nothing but its receiver.
    Accessor,
    /// A method with arguments.
    Method,
    Field,
    Variant,
    Constant,
}

impl Seen {
    fn fits(self, kind: MemberKind) -> bool {
        match kind {
            MemberKind::Constructor => self == Self::Associated,
            MemberKind::Method => matches!(self, Self::Accessor | Self::Method),
            MemberKind::Property => matches!(self, Self::Accessor | Self::Field),
            MemberKind::Value => matches!(self, Self::Variant | Self::Constant),
        }
    }
}

#[derive(Default)]
struct Source {
    /// The public members of every type, exported or not.
    types: BTreeMap<String, BTreeMap<String, Seen>>,
    /// The types that `lib.rs` gives on.
    exported: BTreeSet<String>,
    /// For each type that has them, the texts that its variants are turned into.
    texts: BTreeMap<String, BTreeMap<String, String>>,
    not_understood: Vec<String>,
}

fn source_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

impl Source {
    fn of(crate_folder: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(crate_folder).join("src");
        let mut files = Vec::new();
        source_files(&root, &mut files);
        let mut source = Self::default();
        for path in files {
            let file = syn::parse_file(&fs::read_to_string(&path).unwrap())
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            if path == root.join("lib.rs") {
                source.read_exports(&file.items);
            }
            source.read_items(&file.items);
        }
        source
    }

    fn read_exports(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Use(item) if is_hidden(&item.attrs) => {}
                Item::Use(item) if is_public(&item.vis) => self.read_export(&item.tree),
                Item::Mod(item) if !is_public(&item.vis) => {}
                // What the packages' terminal commands call.
                Item::Mod(item) if item.ident == "program" => {}
                // A framework's adapter, of which each language has others.
                Item::Mod(item) if item.ident == "axum" => {}
                Item::Use(_) | Item::Macro(_) | Item::Impl(_) => {}
                Item::Struct(item) if is_public(&item.vis) => {
                    self.exported.insert(item.ident.to_string());
                }
                Item::Enum(item) if is_public(&item.vis) => {
                    self.exported.insert(item.ident.to_string());
                }
                _ => self.not_understood.push("an item of lib.rs that is no `pub use`".to_owned()),
            }
        }
    }

    fn read_export(&mut self, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => self.read_export(&path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.read_export(tree)),
            UseTree::Name(name) => {
                self.exported.insert(name.ident.to_string());
            }
            UseTree::Rename(name) => {
                self.exported.insert(name.rename.to_string());
            }
            _ => self.not_understood.push("`pub use …::*` in lib.rs".to_owned()),
        }
    }

    fn read_items(&mut self, items: &[Item]) {
        // What a `macro_rules!` of this file gives to each type that it is called for.
        let mut macros: BTreeMap<String, Vec<(String, Seen)>> = BTreeMap::new();
        for item in items {
            match item {
                Item::Struct(item) => {
                    let members = self.members(&item.ident.to_string());
                    if let Fields::Named(fields) = &item.fields {
                        for field in fields.named.iter().filter(|field| is_public(&field.vis)) {
                            members.insert(field.ident.as_ref().unwrap().to_string(), Seen::Field);
                        }
                    }
                    if let Fields::Unnamed(fields) = &item.fields
                        && fields.unnamed.iter().any(|field| is_public(&field.vis))
                    {
                        members.insert("0".to_owned(), Seen::Field);
                    }
                }
                Item::Enum(item) => {
                    let members = self.members(&item.ident.to_string());
                    for variant in &item.variants {
                        members.insert(variant.ident.to_string(), Seen::Variant);
                    }
                }
                Item::Impl(item) if item.trait_.is_none() && !is_hidden(&item.attrs) => {
                    let Some(name) = type_name(&item.self_ty) else { continue };
                    for function in &item.items {
                        self.read_function(&name, function);
                    }
                }
                Item::Macro(item) => {
                    let called = item.mac.path.segments.last().unwrap().ident.to_string();
                    let tokens = item.mac.tokens.to_string();
                    if let Some(defined) = &item.ident {
                        macros.insert(defined.to_string(), functions_in(&tokens));
                    } else if let Some(functions) = macros.get(&called) {
                        let texts = named_texts.parse2(item.mac.tokens.clone()).ok();
                        let name = match &texts {
                            Some((name, _)) => name.as_str(),
                            None => tokens.split_whitespace().last().unwrap_or_default(),
                        };
                        self.members(name).extend(functions.iter().cloned());
                        if let Some((name, texts)) = texts {
                            let variants =
                                texts.keys().map(|variant| (variant.clone(), Seen::Variant));
                            self.members(&name).extend(variants);
                            self.texts.insert(name, texts);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn members(&mut self, name: &str) -> &mut BTreeMap<String, Seen> {
        self.types.entry(name.to_owned()).or_default()
    }

    fn read_function(&mut self, name: &str, item: &ImplItem) {
        match item {
            ImplItem::Fn(function) if is_public(&function.vis) && !is_hidden(&function.attrs) => {
                let has_receiver = matches!(function.sig.inputs.first(), Some(FnArg::Receiver(_)));
                let seen = match (has_receiver, function.sig.inputs.len()) {
                    (false, _) => Seen::Associated,
                    (true, 1) => Seen::Accessor,
                    (true, _) => Seen::Method,
                };
                let called = function.sig.ident.to_string();
                if matches!(called.as_str(), "code" | "as_str")
                    && let Some(Stmt::Expr(Expr::Match(expression), _)) =
                        function.block.stmts.first()
                {
                    let texts = texts_of(expression);
                    self.texts.insert(name.to_owned(), texts);
                }
                self.members(name).insert(called, seen);
            }
            ImplItem::Const(constant) if is_public(&constant.vis) => {
                self.members(name).insert(constant.ident.to_string(), Seen::Constant);
            }
            _ => {}
        }
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("doc")
            && attribute.parse_args::<Ident>().is_ok_and(|word| word == "hidden")
    })
}

/// `Name { Variant = "text", … }`, as a macro of the ledger takes it.
fn named_texts(input: ParseStream<'_>) -> syn::Result<(String, BTreeMap<String, String>)> {
    input.call(Attribute::parse_outer)?;
    let name: Ident = input.parse()?;
    let variants;
    braced!(variants in input);
    let mut texts = BTreeMap::new();
    while !variants.is_empty() {
        variants.call(Attribute::parse_outer)?;
        let variant: Ident = variants.parse()?;
        variants.parse::<Token![=]>()?;
        texts.insert(variant.to_string(), variants.parse::<LitStr>()?.value());
        variants.parse::<Token![,]>()?;
    }
    Ok((name.to_string(), texts))
}

fn type_name(path: &Type) -> Option<String> {
    match path {
        Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
        _ => None,
    }
}

/// The public functions in the text of a macro.
fn functions_in(tokens: &str) -> Vec<(String, Seen)> {
    let mut functions = Vec::new();
    for after in tokens.split("pub fn ").skip(1) {
        let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let arguments = after.split_once('(').unwrap().1.split_once(')').unwrap().0;
        let seen = match (arguments.contains("self"), arguments.contains(',')) {
            (false, _) => Seen::Associated,
            (true, false) => Seen::Accessor,
            (true, true) => Seen::Method,
        };
        functions.push((name, seen));
    }
    functions
}

/// `Self::Variant => "text"`, each.
fn texts_of(expression: &syn::ExprMatch) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for arm in &expression.arms {
        let (Pat::Path(path), Expr::Lit(literal)) = (&arm.pat, &*arm.body) else { continue };
        let Lit::Str(text) = &literal.lit else { continue };
        texts.insert(path.path.segments.last().unwrap().ident.to_string(), text.value());
    }
    texts
}

// ---------------------------------------------------------------- the two held together

fn report(complaints: &[String]) {
    assert!(complaints.is_empty(), "surface.json and the crate differ:\n{}", complaints.join("\n"));
}

/// Complains about members that are listed and missing, or of another kind.
fn hold_members(listed: &ListedType, source: &Source, complaints: &mut Vec<String>) {
    let nothing = BTreeMap::new();
    let seen = source.types.get(listed.rust_name()).unwrap_or(&nothing);
    for member in listed.members.iter().filter(|member| in_rust(&member.only)) {
        let name = member.rust_name();
        match seen.get(name) {
            None => complaints.push(format!("listed and missing: {}::{name}", listed.name)),
            Some(seen) if !seen.fits(member.kind) => complaints.push(format!(
                "{}::{name} is listed as {:?}, and is {seen:?}",
                listed.name, member.kind
            )),
            Some(_) => {}
        }
        let arguments = member.arguments.iter().filter(|argument| in_rust(&argument.only));
        for target in arguments.filter_map(|argument| argument.rust.as_deref()) {
            let (name, member) = target.split_once("::").unwrap();
            if !source.types.get(name).is_some_and(|members| members.contains_key(member)) {
                complaints.push(format!("listed for an argument and missing: {target}"));
            }
        }
    }
}

#[test]
fn the_core_and_the_list_agree_on_the_types() {
    let list = list();
    let kinds = list.errors.iter().flat_map(ListedError::kinds).map(|(kind, _)| kind).collect();
    hold_types(&list.types, &kinds, &Source::of("core"));
}

#[test]
fn the_ledger_and_the_list_agree_on_the_types() {
    hold_types(&list().ledger, &BTreeSet::new(), &Source::of("ledger"));
}

/// Holds the types of a crate against the list; `kinds` are the variants of `ErrorKind`.
fn hold_types(list: &[ListedType], kinds: &BTreeSet<&str>, source: &Source) {
    let mut complaints = source.not_understood.clone();
    let listed: BTreeMap<&str, &ListedType> = list
        .iter()
        .filter(|listed| in_rust(&listed.only))
        .map(|listed| (listed.rust_name(), listed))
        .collect();

    for name in &source.exported {
        let Some(listed) = listed.get(name.as_str()) else {
            complaints.push(format!("public and not listed: {name}"));
            continue;
        };
        let mut known: BTreeSet<&str> = listed
            .members
            .iter()
            .filter(|member| in_rust(&member.only))
            .map(Member::rust_name)
            .collect();
        if name == "ErrorKind" {
            known.extend(kinds);
        }
        for member in source.types.get(name).into_iter().flatten().map(|(member, _)| member) {
            if !known.contains(member.as_str()) {
                complaints.push(format!("public and not listed: {name}::{member}"));
            }
        }
    }
    for (name, listed) in &listed {
        if !source.exported.contains(*name) {
            complaints.push(format!("listed and missing: {name}"));
        }
        hold_members(listed, source, &mut complaints);
    }
    report(&complaints);
}

#[test]
fn the_crates_and_the_list_agree_on_errors_and_values() {
    let (list, source) = (list(), Source::of("core"));
    let mut complaints = Vec::new();
    let (kinds, codes) = (&source.types["ErrorKind"], &source.texts["ErrorKind"]);
    let outcomes: BTreeSet<&str> = source.texts["Outcome"].values().map(String::as_str).collect();
    let properties = &source.types["Error"];
    let names: BTreeSet<&str> = list.errors.iter().map(|error| error.name.as_str()).collect();
    assert_eq!(names.len(), list.errors.len(), "an error is listed twice");

    for error in &list.errors {
        if error.parent.as_deref().is_some_and(|parent| !names.contains(parent)) {
            complaints.push(format!("{}: its parent is not listed", error.name));
        }
        if error.rust.is_some() != error.code.is_some() {
            complaints.push(format!("{}: a code and a kind go together", error.name));
        }
        if error.code.is_some() && !error.codes.is_empty() {
            complaints.push(format!("{}: it has a code, or several", error.name));
        }
        for (kind, code) in error.kinds() {
            if kinds.get(kind) != Some(&Seen::Variant) {
                complaints.push(format!("listed and missing: ErrorKind::{kind}"));
            }
            if codes.get(kind).map(String::as_str) != Some(code) {
                complaints.push(format!("ErrorKind::{kind}: its code is not {code}"));
            }
        }
        for outcome in error.outcome.iter().filter(|outcome| !outcomes.contains(outcome.as_str())) {
            complaints.push(format!("{}: no outcome is {outcome}", error.name));
        }
        for property in error.properties.iter().filter(|name| !properties.contains_key(*name)) {
            complaints.push(format!("{}: Error has no `{property}`", error.name));
        }
    }
    let mut values = values_complaints(&list.types, &source);
    values.extend(values_complaints(&list.ledger, &Source::of("ledger")));
    complaints.extend(values);
    report(&complaints);
}

fn values_complaints(list: &[ListedType], source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for listed in list.iter().filter(|listed| in_rust(&listed.only)) {
        for member in listed.members.iter().filter(|member| in_rust(&member.only)) {
            let Some(value) = &member.value else { continue };
            let text = source.texts.get(&listed.name).and_then(|texts| texts.get(&member.name));
            if text != Some(value) {
                complaints.push(format!("{}::{}: it is not {value:?}", listed.name, member.name));
            }
        }
    }
    complaints
}

/// One way only: the simulator has more in Rust, for those who build it into something else.
#[test]
fn the_simulator_has_what_is_listed() {
    let (list, source) = (list(), Source::of("simulator"));
    let mut complaints = Vec::new();
    for listed in list.testing.iter().filter(|listed| in_rust(&listed.only)) {
        if !source.exported.contains(&listed.name) {
            complaints.push(format!("listed and missing: {}", listed.name));
        }
        hold_members(listed, &source, &mut complaints);
    }
    report(&complaints);
}

#[test]
fn the_list_holds_together() {
    let list = list();
    let types = || list.types.iter().chain(&list.ledger);
    let names: BTreeSet<&str> = types().map(|listed| listed.name.as_str()).collect();
    assert_eq!(names.len(), types().count(), "a type is listed twice");
    for listed in types() {
        let others = [&listed.like, &listed.iterable].into_iter().flatten().map(String::as_str);
        let through = listed.reached_through.iter().filter_map(|path| path.split('.').next());
        for other in others.chain(through) {
            assert!(names.contains(other), "{}: what is {other}?", listed.name);
        }
        let constructed = listed.members.iter().any(|m| m.kind == MemberKind::Constructor);
        assert!(!(constructed && listed.constructible == Some(false)), "{}", listed.name);
    }
}

#[test]
fn a_difference_is_seen() {
    let mut source = Source::default();
    let file = syn::parse_file(
        "pub struct Box { pub lid: bool, key: u8 } \
         impl Box { pub fn open(&self) {} pub(crate) fn hide(&self) {} fn look(&self) {} }",
    )
    .unwrap();
    source.read_items(&file.items);
    let seen: Vec<_> = source.types["Box"].keys().map(String::as_str).collect();
    assert_eq!(seen, ["lid", "open"]);

    let listed: ListedType = serde_json::from_value(serde_json::json!({
        "name": "Box",
        "members": [
            { "name": "open", "kind": "constructor" },
            { "name": "close", "kind": "method" },
            { "name": "lid", "kind": "property" },
            { "name": "lock", "kind": "method", "only": ["python"] },
        ],
    }))
    .unwrap();
    let mut complaints = Vec::new();
    hold_members(&listed, &source, &mut complaints);
    assert_eq!(
        complaints,
        ["Box::open is listed as Constructor, and is Accessor", "listed and missing: Box::close"]
    );
}
