//! Where a record must be written for a CA to see it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::DnsError;
use crate::dns::{self, Delegation, Resolvers, Zones};

/// A name the CA looks at, and where its records have to stand.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The name itself, or what its aliases lead to.
    pub(super) owner: String,
    /// The zone that holds the owner; empty where nobody was asked.
    pub(super) apex: String,
    /// Who answers for it; `None` where nobody was asked.
    pub(super) delegation: Option<Delegation>,
}

/// The places one run has found: what was looked up before the order is not looked up in it again.
#[derive(Default)]
pub(crate) struct Places {
    zones: Zones,
    found: Mutex<HashMap<String, Place>>,
}

impl Places {
    /// Follows aliases and delegations from `asked`.
    pub(super) async fn find(&self, asked: &str, resolvers: &Resolvers) -> Result<Place, DnsError> {
        if let Some(place) = self.found().get(asked) {
            return Ok(place.clone());
        }
        let unwritable =
            |why: &str| DnsError::Unwritable { name: asked.to_owned(), why: why.to_owned() };
        let name = dns::name(asked).ok_or_else(|| unwritable("the DNS has no names that long"))?;
        let found = self.zones.find(&name, resolvers).await;
        let delegation = found.map_err(|source| DnsError::Nowhere {
            name: asked.to_owned(),
            source: source.into(),
        })?;
        let (owner, apex) = (dns::shown(&delegation.target), dns::shown(&delegation.apex));
        if !is_plain(&owner) {
            return Err(unwritable(&format!(
                "its alias leads to {owner}, which no program is given"
            )));
        }
        let place = Place { owner, apex, delegation: Some(delegation) };
        self.found().insert(asked.to_owned(), place.clone());
        Ok(place)
    }

    fn found(&self) -> std::sync::MutexGuard<'_, HashMap<String, Place>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The name itself, for those who need to know no more.
    pub(super) fn unlooked(asked: &str) -> Self {
        Self { owner: asked.to_owned(), apex: String::new(), delegation: None }
    }
}

/// Whether a name may be handed to programs and put into URLs: others choose what an alias leads to.
fn is_plain(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    !name.starts_with('-') && name.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn names_no_program_misreads() {
        let table = [
            ("_acme-challenge.a.example", true),
            ("xn--bcher-kva.example", true),
            ("-rf.example", false),
            ("a b.example", false),
            ("$(id).example", false),
            ("a\\.b.example", false),
            ("*.example", false),
            ("a/b.example", false),
        ];
        for (name, plain) in table {
            assert_eq!(is_plain(name), plain, "{name}");
        }
    }
}
