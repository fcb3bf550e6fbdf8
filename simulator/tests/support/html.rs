//! As much of HTML as the pages are written in: tags, their attributes, forms and their buttons.

use std::collections::BTreeMap;

/// One tag of a page, an end tag with a slash before its name.
#[derive(Clone, Debug)]
pub struct Tag {
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    /// The text between this tag and the next.
    pub text: String,
}

impl Tag {
    pub fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    pub fn has(&self, name: &str) -> bool {
        self.attributes.contains_key(name)
    }
}

/// Every tag of a page in order.
pub fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    for piece in html.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap();
        let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut attributes = BTreeMap::new();
        while let Some((name, after)) = rest.split_once("=\"") {
            let (value, after) = after.split_once('"').unwrap();
            let mut names = name.split_whitespace().rev();
            attributes.insert(names.next().unwrap().to_owned(), unescaped(value));
            attributes.extend(names.map(|flag| (flag.to_owned(), String::new())));
            rest = after;
        }
        attributes.extend(rest.split_whitespace().map(|flag| (flag.to_owned(), String::new())));
        tags.push(Tag { name: name.to_owned(), attributes, text: unescaped(text) });
    }
    tags
}

fn unescaped(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
        .into_iter()
        .fold(text.to_owned(), |text, (escape, character)| text.replace(escape, character))
}

/// A form of a page, as it would be sent without a button.
#[derive(Clone, Debug)]
pub struct Form {
    pub action: String,
    pub fields: Vec<(String, String)>,
    /// The buttons' words, and the field that each adds.
    pub buttons: Vec<(String, Option<(String, String)>)>,
}

impl Form {
    /// The fields that are sent when this button is pressed.
    pub fn pressed(&self, button: &str) -> Vec<(&str, &str)> {
        let (_, field) = self.buttons.iter().find(|(words, _)| words == button).unwrap();
        let fields = self.fields.iter().chain(field);
        fields.map(|(name, value)| (&**name, &**value)).collect()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value)
    }

    /// Types something into a field.
    pub fn fill(&mut self, name: &str, value: &str) {
        let field = self.fields.iter_mut().find(|(known, _)| known == name).unwrap();
        value.clone_into(&mut field.1);
    }
}

pub fn forms(html: &str) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    for tag in tags(html) {
        if tag.name == "form" {
            assert_eq!(tag.get("method"), "post");
            let action = tag.get("action").to_owned();
            forms.push(Form { action, fields: Vec::new(), buttons: Vec::new() });
        }
        let field = (tag.get("name").to_owned(), tag.get("value").to_owned());
        match (tag.name.as_str(), forms.last_mut()) {
            ("input", Some(form)) => form.fields.push(field),
            ("select", Some(form)) => form.fields.push((field.0, String::new())),
            ("option", Some(form)) => {
                let value = if tag.has("value") { field.1 } else { tag.text.clone() };
                let chosen = &mut form.fields.last_mut().unwrap().1;
                // The first is chosen unless another is marked.
                if chosen.is_empty() || tag.has("selected") {
                    *chosen = value;
                }
            }
            ("button", Some(form)) => {
                form.buttons.push((tag.text.clone(), tag.has("name").then_some(field)));
            }
            _ => {}
        }
    }
    forms
}
