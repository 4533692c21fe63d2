//! TOML with places: whatever is wrong is named with file, line, column and key.

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use toml_edit::{Document, Item, TableLike, Value};

use super::choice::ChoiceError;
use super::file::FileError;
use super::keys::Keys;
use crate::hook::command::Command;
use crate::model::time::Timestamp;

/// A place in a settings file; line and column count from 1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    path: PathBuf,
    line: usize,
    column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

/// Why a settings file cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    #[error("{at}: not valid TOML: {why}")]
    Syntax { at: Place, why: String },
    #[error("{at}: unknown key `{key}`")]
    UnknownKey { at: Place, key: String, hint: String },
    #[error("{at}: `{key}`: {why}")]
    Value { at: Place, key: String, why: String, hint: Option<&'static str> },
    #[error("{at}: `{key}` is missing")]
    Missing { at: Place, key: String },
    #[error(transparent)]
    File(#[from] FileError),
}

impl ConfigError {
    /// The one thing to do about it, where there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { hint, .. } => Some(hint.clone()),
            Self::Value { hint, .. } => hint.map(str::to_owned),
            Self::File(error) => error.hint(),
            Self::Syntax { .. } | Self::Missing { .. } => None,
        }
    }

    /// Says whether it is a matter of who may write or read the file, not of what it holds.
    pub(crate) fn is_unsafe(&self) -> bool {
        matches!(self, Self::File(error) if error.is_unsafe())
    }
}

/// The text of a settings file, to find places in.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl<'a> Source<'a> {
    pub(super) fn document(self) -> Result<Document<&'a str>, ConfigError> {
        Document::parse(self.text).map_err(|error| ConfigError::Syntax {
            at: self.place(error.span()),
            why: error.message().trim().replace('\n', ", "),
        })
    }

    fn place(self, span: Option<Range<usize>>) -> Place {
        let before = self.text.get(..span.map_or(0, |span| span.start)).unwrap_or(self.text);
        let line_begin = before.rfind('\n').map_or(0, |end| end + 1);
        Place {
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_begin..].chars().count() + 1,
        }
    }
}

/// One table, all of whose keys are known; a table that is not there has no keys.
pub(super) struct Section<'a> {
    source: Source<'a>,
    name: String,
    span: Option<Range<usize>>,
    table: Option<&'a dyn TableLike>,
}

impl<'a> Section<'a> {
    /// The table above all others.
    pub(super) fn root(
        source: Source<'a>,
        document: &'a Document<&str>,
        keys: &Keys,
    ) -> Result<Self, ConfigError> {
        let table: &dyn TableLike = document.as_table();
        Self { source, name: String::new(), span: None, table: Some(table) }.knowing(keys)
    }

    /// The table below this one.
    pub(super) fn section(&self, key: &str, keys: &Keys) -> Result<Self, ConfigError> {
        let item = self.item(key);
        let table = item.and_then(Item::as_table_like);
        let span = item.and_then(Item::span);
        if item.is_some() && table.is_none() {
            let why =
                format!("it is a table and begins with a line of its own, [{}]", self.label(key));
            return Err(self.refuse_at(span, key, why));
        }
        Self { source: self.source, name: self.label(key), span, table }.knowing(keys)
    }

    /// The tables of a list, `[[key]]`.
    pub(super) fn sections(&self, key: &str, keys: &Keys) -> Result<Vec<Self>, ConfigError> {
        match self.item(key) {
            None => Ok(Vec::new()),
            Some(Item::ArrayOfTables(tables)) => {
                let mut sections = Vec::new();
                for table in tables {
                    let (source, name, span) = (self.source, self.label(key), table.span());
                    let section = Self { source, name, span, table: Some(table) };
                    sections.push(section.knowing(keys)?);
                }
                Ok(sections)
            }
            Some(item) => Err(self.refuse_at(
                item.span(),
                key,
                format!("each begins with a line of its own, [[{}]]", self.label(key)),
            )),
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.table.is_some()
    }

    /// Finds a value; a table in its place is an error.
    pub(super) fn value(&self, key: &str) -> Result<Option<Node<'a>>, ConfigError> {
        let Some(item) = self.item(key) else { return Ok(None) };
        match item.as_value() {
            Some(value) => Ok(Some(Node { source: self.source, key: self.label(key), value })),
            None => Err(self.refuse_at(item.span(), key, "it is a value, not a table".to_owned())),
        }
    }

    /// Reads a text with `parse`.
    pub(super) fn parse<T, E: fmt::Display>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ConfigError> {
        self.value(key)?.map(|node| node.parse(parse)).transpose()
    }

    /// Reads a list of texts with `parse`; there is at least one in it.
    pub(super) fn parse_list<T, E: fmt::Display>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<Vec<T>>, ConfigError> {
        let Some(list) = self.value(key)? else { return Ok(None) };
        let nodes = list.list()?;
        if nodes.is_empty() {
            return Err(list.refuse("the list is empty"));
        }
        nodes.into_iter().map(|node| node.parse(&parse)).collect::<Result<_, _>>().map(Some)
    }

    /// Reads a text with `parse` that must be there.
    pub(super) fn required<T, E: fmt::Display>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, ConfigError> {
        self.parse(key, parse)?.ok_or_else(|| self.missing(key))
    }

    /// The keys it holds, in the file's order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.table.into_iter().flat_map(|table| table.iter()).map(|(key, _)| key)
    }

    pub(super) fn missing(&self, key: &str) -> ConfigError {
        ConfigError::Missing { at: self.source.place(self.span.clone()), key: self.label(key) }
    }

    /// An error at `key`, or at the table's beginning if it does not hold that key.
    pub(super) fn refuse(&self, key: &str, why: impl fmt::Display) -> ConfigError {
        let span = self.item(key).and_then(Item::span).or(self.span.clone());
        self.refuse_at(span, key, why.to_string())
    }

    fn item(&self, key: &str) -> Option<&'a Item> {
        self.table.and_then(|table| table.get(key))
    }

    fn label(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn refuse_at(&self, span: Option<Range<usize>>, key: &str, why: String) -> ConfigError {
        let at = self.source.place(span);
        ConfigError::Value { at, key: self.label(key), why, hint: None }
    }

    fn knowing(self, keys: &Keys) -> Result<Self, ConfigError> {
        let table = self.table.into_iter();
        for (key, item) in table.flat_map(|table| table.iter()) {
            if !keys.known.contains(&key) {
                let span = self.table.and_then(|table| table.key(key)).and_then(|key| key.span());
                return Err(ConfigError::UnknownKey {
                    at: self.source.place(span.or(item.span())),
                    key: self.label(key).escape_debug().to_string(),
                    hint: keys.advice(key),
                });
            }
        }
        Ok(self)
    }
}

/// One value, with the key it belongs to.
pub(super) struct Node<'a> {
    source: Source<'a>,
    key: String,
    value: &'a Value,
}

impl<'a> Node<'a> {
    pub(super) fn text(&self) -> Result<&'a str, ConfigError> {
        self.value.as_str().ok_or_else(|| self.not("a text in quotes"))
    }

    pub(super) fn parse<T, E: fmt::Display>(
        &self,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, ConfigError> {
        parse(self.text()?).map_err(|why| self.refuse(why))
    }

    pub(super) fn flag(&self) -> Result<bool, ConfigError> {
        self.value.as_bool().ok_or_else(|| self.not("true or false"))
    }

    pub(super) fn port(&self) -> Result<u16, ConfigError> {
        let number = self.value.as_integer().ok_or_else(|| self.not("a port number"))?;
        let port = u16::try_from(number).ok().filter(|port| *port > 0);
        port.ok_or_else(|| self.refuse("a port is a number from 1 to 65535"))
    }

    /// A whole number in `range`.
    pub(super) fn number<T>(&self, range: RangeInclusive<T>) -> Result<T, ConfigError>
    where
        T: TryFrom<i64> + PartialOrd + fmt::Display,
    {
        let number = self.value.as_integer().ok_or_else(|| self.not("a whole number"))?;
        let number = T::try_from(number).ok().filter(|number| range.contains(number));
        let (least, most) = (range.start(), range.end());
        number
            .ok_or_else(|| self.refuse(format_args!("it must be a number from {least} to {most}")))
    }

    /// A number of percent, with or without a point, as a fraction of one.
    ///
    /// Kept to a millionth of a percent, so that it is written again as it was read.
    pub(super) fn percent(&self, most: u16) -> Result<f64, ConfigError> {
        let whole = self.value.as_integer().and_then(|number| i32::try_from(number).ok());
        let number = self.value.as_float().or(whole.map(f64::from));
        if number.is_none() && !self.value.is_integer() {
            return Err(self.not("a number of percent"));
        }
        let number = number.filter(|number| (0.0..=f64::from(most)).contains(number));
        let number = number
            .ok_or_else(|| self.refuse(format_args!("it must be from 0 to {most} percent")))?;
        Ok((number * 1e6).round() / 1e8)
    }

    /// A time span in `range`.
    pub(super) fn span(&self, range: RangeInclusive<Duration>) -> Result<Duration, ConfigError> {
        const FORM: &str = "write it as in \"90s\" or \"1h 30m\"";
        let text = self.value.as_str().ok_or_else(|| self.not("a time span in quotes"))?;
        let span = humantime::parse_duration(text)
            .map_err(|_| self.refuse(ChoiceError::new(text, "time span", FORM)))?;
        if !range.contains(&span) {
            let [least, most] =
                [range.start(), range.end()].map(|end| humantime::format_duration(*end));
            return Err(self.refuse(format_args!("it must be from {least} to {most}")));
        }
        Ok(span)
    }

    /// A point in time.
    pub(super) fn moment(&self) -> Result<Timestamp, ConfigError> {
        const WANTED: &str = "a date and time with its offset, as in 2027-01-04T08:00:00Z";
        let moment = self.value.as_datetime().ok_or_else(|| self.not(WANTED))?;
        let moment = Timestamp::parse(&moment.to_string());
        moment.ok_or_else(|| self.refuse(format_args!("it must be {WANTED}")))
    }

    /// The elements of a list.
    pub(super) fn list(&self) -> Result<Vec<Self>, ConfigError> {
        let list = self.value.as_array().ok_or_else(|| match self.value.as_str() {
            Some(text) => self.refuse(format_args!("write it as a list, [{text:?}]")),
            None => self.not("a list"),
        })?;
        let node = |value| Self { source: self.source, key: self.key.clone(), value };
        Ok(list.iter().map(node).collect())
    }

    /// A list of words that are one command.
    pub(super) fn command(&self) -> Result<Command, ConfigError> {
        if self.value.is_str() {
            return Err(self.refuse(
                "a command is a list of its words, as in [\"systemctl\", \"reload\", \"nginx\"]",
            ));
        }
        let words = self.list()?;
        let words = words.iter().map(|word| word.text().map(str::to_owned));
        Command::new(words.collect::<Result<_, _>>()?).map_err(|error| {
            let (at, key) = (self.source.place(self.value.span()), self.key.clone());
            ConfigError::Value { at, key, why: error.to_string(), hint: error.hint() }
        })
    }

    /// A list of commands.
    pub(super) fn commands(&self) -> Result<Vec<Command>, ConfigError> {
        let commands = self.list()?;
        if commands.iter().any(|command| command.value.is_str()) {
            return Err(self.refuse(
                "it is a list of commands, each a list of words, \
                 as in [[\"systemctl\", \"reload\", \"nginx\"]]",
            ));
        }
        commands.iter().map(Self::command).collect()
    }

    pub(super) fn refuse(&self, why: impl fmt::Display) -> ConfigError {
        let at = self.source.place(self.value.span());
        ConfigError::Value { at, key: self.key.clone(), why: why.to_string(), hint: None }
    }

    fn not(&self, wanted: &str) -> ConfigError {
        let found = match self.value {
            Value::String(_) => "a text",
            Value::Integer(_) => "a number",
            Value::Float(_) => "a number with a point",
            Value::Boolean(_) => "true or false",
            Value::Datetime(_) => "a date",
            Value::Array(_) => "a list",
            Value::InlineTable(_) => "a table",
        };
        self.refuse(format_args!("it must be {wanted}, not {found}"))
    }
}
