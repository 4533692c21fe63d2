//! What name servers say: asked without any cache of ours, one by one where that matters.
//!
//! [`Resolvers`] are the recursive ones of this system; [`Delegation::of`] finds with their help who
//! answers for a name, and [`Delegation::ask_all`] asks each of those itself. [`Zones`] believes
//! resolvers as little as possible: it finds where a record has to stand that is not there yet. Whatever comes back is
//! untrusted: every answer is bounded in size, every question in time.

mod answer;
mod ask;
mod delegation;
mod resolvers;
mod zones;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use answer::Record;
pub(crate) use answer::{Answer, Code, Data, Kind, Property, is_older};
pub(crate) use ask::{AskError, Manner, ask};
pub(crate) use delegation::{Delegation, DelegationError, Heard};
pub(crate) use hickory_resolver::proto::rr::Name;
pub(crate) use resolvers::Resolvers;
pub(crate) use zones::Zones;

/// A name as people read it: without the final dot, everything unusual escaped.
pub(crate) fn shown(name: &Name) -> String {
    let text = name.to_ascii();
    text.strip_suffix('.').filter(|rest| !rest.is_empty()).unwrap_or(&text).to_owned()
}

/// Reads a name without its final dot; `None` if DNS has no such name.
pub(crate) fn name(text: &str) -> Option<Name> {
    Name::from_ascii(format!("{text}.")).ok()
}
