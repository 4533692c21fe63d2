//! What a request costs, from which buckets it is taken, and what is exempt (as Let's Encrypt does it).
//!
//! The levels are kept in the ledger, so that neither a restart nor a second process over the same
//! directory makes a bucket full again.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::denied::Denied;
use super::ledger::{AccountId, Books, Certificate, Record};
use super::limits::{Bucket, Level, Limits};
use crate::model::name::Identifier;
use crate::model::time::Timestamp;

/// For so long an issued set of identifiers makes the next order for it a renewal.
const RENEWABLE: Duration = Duration::from_secs(120 * 24 * 3600);

/// The buckets as they stand at one moment.
pub(super) struct Meter<'a> {
    pub(super) limits: &'a Limits,
    pub(super) books: &'a Books,
    pub(super) now: Timestamp,
}

/// What a newOrder asks for.
pub(super) struct Demand<'a> {
    pub(super) account: AccountId,
    pub(super) identifiers: &'a [Identifier],
    /// Those the account has still to prove control of.
    pub(super) unproven: Vec<Identifier>,
    /// Whether it replaces a certificate within that one's renewal window (RFC 9773 §5).
    pub(super) on_advice: bool,
}

impl Meter<'_> {
    /// Charges a new account.
    pub(super) fn registration(&self, from: IpAddr) -> Result<Vec<Record>, Denied> {
        self.taken(Bucket::Registrations(from)).map(Vec::from_iter)
    }

    /// Charges an order, having checked every limit it could meet; tells the one to wait longest for.
    ///
    /// A renewal on the CA's own advice is exempt from all; any other for a set of identifiers
    /// already issued is exempt from the limits on orders and on domains.
    pub(super) fn order(&self, demand: Demand<'_>) -> Result<Vec<Record>, Denied> {
        let Demand { account, identifiers, unproven, on_advice } = demand;
        if on_advice {
            return Ok(Vec::new());
        }
        let renewal = self.is_renewal(identifiers);
        let mut checked = vec![Bucket::CertificatesOfSet(identifiers.to_vec())];
        checked.extend(unproven.into_iter().map(|one| Bucket::Failures(account, one)));
        checked.extend(domains(identifiers).filter(|_| !renewal));
        let charged = if renewal { Ok(None) } else { self.taken(Bucket::Orders(account)) };
        let denials = checked.into_iter().filter_map(|bucket| self.taken(bucket).err());
        match denials.chain(charged.as_ref().err().cloned()).max_by_key(|denied| denied.wait) {
            Some(denied) => Err(denied),
            None => charged.map(Vec::from_iter),
        }
    }

    /// Charges what was issued; an empty bucket stays empty.
    pub(super) fn issuance(&self, identifiers: &[Identifier]) -> Vec<Record> {
        let renewal = self.is_renewal(identifiers);
        let set = Bucket::CertificatesOfSet(identifiers.to_vec());
        let buckets = domains(identifiers).filter(|_| !renewal).chain([set]);
        buckets.filter_map(|bucket| self.taken(bucket).ok().flatten()).collect()
    }

    /// Charges a failed authorization; an empty bucket stays empty.
    pub(super) fn failure(&self, account: AccountId, identifier: &Identifier) -> Vec<Record> {
        let bucket = Bucket::Failures(account, identifier.clone());
        self.taken(bucket).ok().flatten().into_iter().collect()
    }

    /// One taken from a bucket; nothing when it is not limited.
    fn taken(&self, bucket: Bucket) -> Result<Option<Record>, Denied> {
        let Some(rate) = self.limits.rate(&bucket) else { return Ok(None) };
        match rate.take(self.books.full_at(&bucket), self.now) {
            Ok(full_at) => Ok(Some(Record::Level(Level { bucket, full_at }))),
            Err(wait) => Err(Denied { bucket, rate, wait }),
        }
    }

    fn is_renewal(&self, identifiers: &[Identifier]) -> bool {
        let since = self.now.minus(RENEWABLE);
        let same = |one: &Certificate| one.identifiers == identifiers;
        self.books.certificates().any(|one| same(one) && one.issued() >= since)
    }
}

/// The buckets of the registered domains and addresses named.
fn domains(identifiers: &[Identifier]) -> impl Iterator<Item = Bucket> {
    let names: BTreeSet<String> = identifiers.iter().map(registered).collect();
    names.into_iter().map(Bucket::CertificatesOfDomain)
}

/// What is registered: the name below a public suffix, an IPv4 address, the /64 of an IPv6 address.
fn registered(identifier: &Identifier) -> String {
    match identifier {
        // A public suffix itself has nothing registered below it and stands for itself.
        Identifier::Dns(name) => psl::domain_str(name.base()).unwrap_or(name.base()).to_owned(),
        Identifier::Ip(IpAddr::V4(ip)) => ip.to_string(),
        Identifier::Ip(IpAddr::V6(ip)) => {
            format!("{}/64", Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_registered() {
        let table = [
            ("a.example", "a.example"),
            ("www.shop.a.example", "a.example"),
            ("*.a.co.uk", "a.co.uk"),
            ("co.uk", "co.uk"),
            ("one.github.io", "one.github.io"),
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ];
        for (identifier, name) in table {
            assert_eq!(registered(&Identifier::parse(identifier).unwrap()), name);
        }
    }
}
