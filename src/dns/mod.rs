//! What name servers say: asked without any cache of ours, one by one where that matters.
//!
//! [`Resolvers`] are the recursive ones of this system; [`Zone::of`] finds with their help who
//! answers for a name, and [`Zone::ask_all`] asks each of those itself. Whatever comes back is
//! untrusted: every answer is bounded in size, every question in time.

mod answer;
mod ask;
mod resolvers;
mod zone;

#[cfg(test)]
mod tests;

pub(crate) use answer::{Answer, Code, Data, Kind, Property};
pub(crate) use ask::{AskError, Manner};
pub(crate) use hickory_resolver::proto::rr::Name;
pub(crate) use resolvers::Resolvers;
pub(crate) use zone::{Heard, Zone, ZoneError};

/// A name as people read it: without the final dot, everything unusual escaped.
pub(crate) fn shown(name: &Name) -> String {
    let text = name.to_ascii();
    text.strip_suffix('.').filter(|rest| !rest.is_empty()).unwrap_or(&text).to_owned()
}

/// Reads a name without its final dot; `None` if DNS has no such name.
pub(crate) fn name(text: &str) -> Option<Name> {
    Name::from_ascii(format!("{text}.")).ok()
}
