//! Typed settings into TOML, over what an operator wrote.

use toml_edit::{Array, DocumentMut, Item, RawString, Table, TableLike, Value};

use super::cert::CertSettings;
use super::keys::{CERT_TABLES, Keys};

mod render;

use render::render;

const GREETING: &str = "\
# What is wanted of this certificate. Written by `acmeagent issue`, meant to be edited:
# comments stay. `man acmeagent.toml` explains every key.

";

/// Begins a file.
pub(super) fn begin(settings: &CertSettings) -> String {
    let mut document = render(settings);
    if let Some(mut first) = document.key_mut("identifiers") {
        first.leaf_decor_mut().set_prefix(GREETING);
    }
    document.to_string()
}

/// Changes the text of `old` settings into one of `new` settings.
pub(super) fn change(text: &str, old: &CertSettings, new: &CertSettings) -> String {
    let mut document: DocumentMut = text.parse().expect("the text was parsed before");
    let (old, new) = (render(old), render(new));
    for table in CERT_TABLES {
        for key in table.known {
            let (before, after) = (find(&old, table, key), find(&new, table, key));
            match after {
                _ if same(before, after) => {}
                Some(value) => set(place(&mut document, table), key, value),
                None => remove(place(&mut document, table), key),
            }
        }
        if !table.header.is_empty() && is_bare(document.get(table.header)) {
            document.remove(table.header);
        }
    }
    document.to_string()
}

fn find<'a>(document: &'a DocumentMut, table: &Keys, key: &str) -> Option<&'a Value> {
    let table = match table.header {
        "" => Some(document.as_table() as &dyn TableLike),
        header => document.get(header).and_then(Item::as_table_like),
    };
    table.and_then(|table| table.get(key)).and_then(Item::as_value)
}

/// The table of the operator's file, whichever way it is written, or a new one.
fn place<'a>(document: &'a mut DocumentMut, table: &Keys) -> &'a mut dyn TableLike {
    if table.header.is_empty() {
        return document.as_table_mut();
    }
    let item = document.entry(table.header).or_insert_with(toml_edit::table);
    item.as_table_like_mut().expect("the text was read, and there it is a table")
}

/// Whether a table holds nothing, not even a comment.
fn is_bare(item: Option<&Item>) -> bool {
    let Some(table) = item.and_then(Item::as_table_like) else { return false };
    let decor = item.and_then(Item::as_table).map(Table::decor);
    let comment = decor.and_then(|decor| decor.prefix()).is_some_and(has_comment);
    table.is_empty() && !comment
}

/// Whether two values mean the same, however they are written.
fn same(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(Value::String(one)), Some(Value::String(other))) => one.value() == other.value(),
        (Some(Value::Integer(one)), Some(Value::Integer(other))) => one.value() == other.value(),
        (Some(Value::Boolean(one)), Some(Value::Boolean(other))) => one.value() == other.value(),
        (Some(Value::Float(one)), Some(Value::Float(other))) => one.value() == other.value(),
        (Some(Value::Datetime(one)), Some(Value::Datetime(other))) => one.value() == other.value(),
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            let pairs = one.iter().zip(other.iter());
            one.len() == other.len() && pairs.into_iter().all(|(a, b)| same(Some(a), Some(b)))
        }
        _ => false,
    }
}

/// Gives a key a value where it stands, or at the end of its table.
fn set(table: &mut dyn TableLike, key: &str, value: &Value) {
    let Some(held) = table.get_mut(key).and_then(Item::as_value_mut) else {
        table.insert(key, Item::Value(value.clone()));
        return;
    };
    if let (Value::Array(held), Value::Array(wanted)) = (&mut *held, value) {
        edit_list(held, wanted);
    }
    if !same(Some(held), Some(value)) {
        let decor = held.decor().clone();
        *held = value.clone();
        *held.decor_mut() = decor;
    }
}

/// Takes out and adds elements one by one, so that the comments beside the others stay.
fn edit_list(held: &mut Array, wanted: &Array) {
    let is_in = |list: &Array, value: &Value| list.iter().any(|one| same(Some(one), Some(value)));
    for nth in (0..held.len()).rev() {
        if held.get(nth).is_some_and(|value| !is_in(wanted, value)) {
            take_out(held, nth);
        }
    }
    for value in wanted {
        if !is_in(held, value) {
            add(held, value.clone());
        }
    }
    if has_comments_inside(held) {
        let nth = |value: &Value| wanted.iter().position(|one| same(Some(one), Some(value)));
        held.sort_by(|one, other| nth(one).cmp(&nth(other)));
    }
}

fn has_comments_inside(list: &Array) -> bool {
    let decors = list.iter().map(Value::decor);
    let around = decors.flat_map(|decor| [decor.prefix(), decor.suffix()]).flatten();
    around.chain([list.trailing()]).any(has_comment)
}

/// Removes an element but not the comments around it, which may be about its neighbours.
fn take_out(held: &mut Array, nth: usize) {
    let removed = held.remove(nth);
    let around = [removed.decor().prefix(), removed.decor().suffix()];
    let comments: String =
        around.into_iter().flatten().filter(|raw| has_comment(raw)).map(text).collect();
    match held.get_mut(nth) {
        Some(next) => {
            let prefix = comments + &next.decor().prefix().map(text).unwrap_or_default();
            next.decor_mut().set_prefix(prefix);
        }
        None => {
            let trailing = comments + &text(held.trailing());
            held.set_trailing(trailing);
        }
    }
}

/// Appends an element, on a line of its own if the last one has one.
fn add(held: &mut Array, value: Value) {
    let last = held.iter().last().and_then(|last| last.decor().prefix()).map(text);
    let indent = match last.as_deref().map(|prefix| (prefix, prefix.rfind('\n'))) {
        Some((prefix, Some(line))) => prefix[line..].to_owned(),
        Some(_) => " ".to_owned(),
        None => String::new(),
    };
    let trailing = text(held.trailing());
    let prefix = match trailing.rfind('\n') {
        // The comments behind the last element stay behind it, and end with their line.
        Some(line) if has_comment(held.trailing()) => {
            held.set_trailing(&trailing[line..]);
            let indent = if indent.starts_with('\n') { &indent } else { "\n    " };
            format!("{}{indent}", &trailing[..line])
        }
        _ => indent,
    };
    held.push_formatted(value.decorated(prefix, ""));
}

/// Removes a key with the comment that stands directly above it; what stands above an empty line
/// before that is about more than this key, and goes to the next one.
fn remove(table: &mut dyn TableLike, key: &str) {
    let prefix = table.key(key).and_then(|key| key.leaf_decor().prefix()).map(text);
    let prefix = prefix.unwrap_or_default();
    let kept = prefix.rfind("\n\n").map_or("", |end| &prefix[..end + 2]);
    let names = table.iter().map(|(name, _)| name.to_owned());
    let next = names.skip_while(|name| name != key).nth(1);
    table.remove(key);
    if let Some(mut next) = next.as_deref().and_then(|next| table.key_mut(next)) {
        let decor = next.leaf_decor_mut();
        let prefix = kept.to_owned() + &decor.prefix().map(text).unwrap_or_default();
        decor.set_prefix(prefix);
    }
}

fn has_comment(raw: &RawString) -> bool {
    raw.as_str().is_some_and(|text| text.contains('#'))
}

fn text(raw: &RawString) -> String {
    raw.as_str().unwrap_or_default().to_owned()
}
