//! What must hold before a certificate is served.

use std::collections::BTreeSet;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use thiserror::Error;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{Chain, Key, Roots};
use crate::model::fault::Fault;
use crate::model::name::Identifier;
use crate::model::time::{Timestamp, in_words};

/// What was ordered, and by what it is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expectation<'a> {
    pub(crate) identifiers: &'a BTreeSet<Identifier>,
    pub(crate) now: Timestamp,
    /// Without roots the chain must still hold together up to its own last certificate.
    pub(crate) roots: Option<&'a Roots>,
    /// The profile it was ordered under; only what contradicts a known one is refused.
    pub(crate) profile: Option<&'a str>,
}

/// Why a certificate may not be served, in words for an operator.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum Refusal {
    #[error("the certificate is for a key we do not have")]
    ForeignKey,
    #[error("the certificate lacks {}", names.join(", "))]
    MissingNames { names: Vec<String> },
    #[error("the certificate is also for {}, which nobody asked for", names.join(", "))]
    ExtraNames { names: Vec<String> },
    #[error("the certificate is not valid before {not_before}, and it is {now} now")]
    NotYetValid { not_before: Timestamp, now: Timestamp },
    #[error("certificate {position} of the chain ({subject}) expired at {not_after}")]
    Expired { position: usize, subject: String, not_after: Timestamp },
    #[error("the certificate lives only {}", in_words(*lifetime))]
    TooShort { lifetime: Duration },
    #[error("the certificate lives {}, which contradicts the profile {profile}", in_words(*lifetime))]
    WrongProfile { profile: String, lifetime: Duration },
    #[error("the first certificate of the chain ({subject}) is a CA, not a server's")]
    NoLeaf { subject: String },
    #[error("certificate {position} of the chain ({subject}) is not signed by the next ({next})")]
    BrokenChain { position: usize, subject: String, next: String },
    #[error("the chain does not lead to a trusted root (its last issuer is {issuer})")]
    Untrusted { issuer: String, source: webpki::Error },
    #[error("the certificate does not hold for {identifier}")]
    NameRefused { identifier: Identifier, source: webpki::Error },
}

impl Refusal {
    /// A CA may do better next time, except that trust is the operator's to give.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Untrusted { .. } => Fault::Permanent,
            _ => Fault::Passing,
        }
    }
}

/// How far our clock and the CA's may be apart without anybody being wrong.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// Less than this nobody could deploy, let alone renew, in time.
const LEAST_LIFETIME: Duration = Duration::from_secs(60);

/// Profiles that say something of the lifetime, and the most they allow (the Baseline Requirements'
/// bound for short-lived certificates before it became tighter).
const MOST_LIFETIME: [(&str, Duration); 1] =
    [("shortlived", Duration::from_secs(10 * 24 * 60 * 60))];

/// Judges whether this chain and key may be served together as what was ordered.
pub(crate) fn verify(chain: &Chain, key: &Key, expected: &Expectation<'_>) -> Result<(), Refusal> {
    if !pair_matches(chain, key) {
        return Err(Refusal::ForeignKey);
    }
    names_match(chain, expected.identifiers)?;
    dates_hold(chain, expected.now)?;
    lifetime_fits(chain.validity().lifetime(), expected.profile)?;
    holds_together(chain)?;
    leads_to_root(chain, expected)
}

/// Judges what somebody else serves, as a client would: every expected name must be covered.
pub(crate) fn verify_served(chain: &Chain, expected: &Expectation<'_>) -> Result<(), Refusal> {
    dates_hold(chain, expected.now)?;
    holds_together(chain)?;
    leads_to_root(chain, expected)
}

/// Whether the chain's leaf is for this key.
pub(crate) fn pair_matches(chain: &Chain, key: &Key) -> bool {
    chain.spki() == key.spki()
}

fn covers(held: &Identifier, wanted: &Identifier) -> bool {
    match (held, wanted) {
        (Identifier::Dns(held), Identifier::Dns(wanted)) => held.covers(wanted),
        (held, wanted) => held == wanted,
    }
}

fn names_match(chain: &Chain, wanted: &BTreeSet<Identifier>) -> Result<(), Refusal> {
    let held = chain.identifiers();
    let lacking = wanted.iter().filter(|wanted| !held.iter().any(|held| covers(held, wanted)));
    let names = lacking.map(Identifier::to_string).collect::<Vec<_>>();
    if !names.is_empty() {
        return Err(Refusal::MissingNames { names });
    }
    let mut names = held.difference(wanted).map(Identifier::to_string).collect::<Vec<_>>();
    names.extend(chain.facts()[0].other_names.iter().cloned());
    if names.is_empty() { Ok(()) } else { Err(Refusal::ExtraNames { names }) }
}

fn dates_hold(chain: &Chain, now: Timestamp) -> Result<(), Refusal> {
    let not_before = chain.validity().not_before;
    if not_before > now.plus(CLOCK_SKEW) {
        return Err(Refusal::NotYetValid { not_before, now });
    }
    for (index, facts) in chain.facts().iter().enumerate() {
        let not_after = facts.validity.not_after;
        if not_after < now {
            let subject = escaped(&facts.subject);
            return Err(Refusal::Expired { position: index + 1, subject, not_after });
        }
    }
    Ok(())
}

fn lifetime_fits(lifetime: Duration, profile: Option<&str>) -> Result<(), Refusal> {
    if lifetime < LEAST_LIFETIME {
        return Err(Refusal::TooShort { lifetime });
    }
    let known = MOST_LIFETIME.iter().find(|(known, _)| Some(*known) == profile);
    match known {
        Some((profile, most)) if lifetime > *most => {
            Err(Refusal::WrongProfile { profile: (*profile).to_owned(), lifetime })
        }
        _ => Ok(()),
    }
}

fn holds_together(chain: &Chain) -> Result<(), Refusal> {
    let facts = chain.facts();
    if facts[0].is_ca {
        return Err(Refusal::NoLeaf { subject: escaped(&facts[0].subject) });
    }
    match chain.broken() {
        None => Ok(()),
        Some(index) => Err(Refusal::BrokenChain {
            position: index + 1,
            subject: escaped(&facts[index].subject),
            next: escaped(&facts[index + 1].subject),
        }),
    }
}

/// Lets an independent implementation judge path, use, constraints and names as a client would.
fn leads_to_root(chain: &Chain, expected: &Expectation<'_>) -> Result<(), Refusal> {
    let untrusted = |source| {
        let issuer = chain.issuer_names().pop().unwrap_or_default();
        Refusal::Untrusted { issuer: escaped(&issuer), source }
    };
    let leaf = EndEntityCert::try_from(&chain.ders()[0]).map_err(untrusted)?;
    let top = anchor_of_top(chain).map_err(untrusted)?;
    let anchors = expected.roots.map_or(std::slice::from_ref(&top), |roots| roots.anchors());
    // Within the allowed skew the leaf may begin in our future; that was judged above.
    let at = expected.now.max(chain.validity().not_before).unix();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at).unwrap_or(0)));
    let issuers = &chain.ders()[1..];
    let usage = KeyUsage::server_auth();
    leaf.verify_for_usage(ALL_VERIFICATION_ALGS, anchors, issuers, at, usage, None, None)
        .map_err(untrusted)?;
    expected.identifiers.iter().try_for_each(|identifier| {
        leaf.verify_is_valid_for_subject_name(&asked_by_client(identifier))
            .map_err(|source| Refusal::NameRefused { identifier: identifier.clone(), source })
    })
}

fn anchor_of_top(chain: &Chain) -> Result<TrustAnchor<'_>, webpki::Error> {
    let top: &CertificateDer<'_> = chain.ders().last().expect("a chain is never empty");
    anchor_from_trusted_cert(top)
}

/// A name a client could ask for under this identifier; no longer than the identifier.
fn asked_by_client(identifier: &Identifier) -> ServerName<'static> {
    match identifier {
        Identifier::Ip(ip) => ServerName::from(*ip),
        Identifier::Dns(name) => {
            let label = if name.is_wildcard() { "a." } else { "" };
            let name = format!("{label}{}", name.base());
            ServerName::try_from(name).expect("an identifier is a valid DNS name")
        }
    }
}

/// Names in certificates may hold anything; a terminal must not see it raw.
fn escaped(text: &str) -> String {
    text.escape_debug().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};

    use super::super::sample::{Ca, ca_params, hours, leaf_params, now};
    use super::*;
    use crate::model::name::DnsName;

    /// What a CA answered, and what it is judged by.
    struct Case {
        chain: String,
        key: String,
        roots: Option<String>,
        wanted: Vec<&'static str>,
        profile: Option<&'static str>,
    }

    impl Case {
        fn verdict(&self) -> Result<(), Refusal> {
            let chain = Chain::parse(self.chain.as_bytes()).unwrap();
            let key = Key::parse(self.key.as_bytes()).unwrap();
            let roots = self.roots.as_ref().map(|pem| Roots::parse(pem.as_bytes()).unwrap());
            let names = self.wanted.iter().map(|name| Identifier::parse(name).unwrap());
            let identifiers = names.collect();
            let (roots, profile) = (roots.as_ref(), self.profile);
            verify(
                &chain,
                &key,
                &Expectation { identifiers: &identifiers, now: now(), roots, profile },
            )
        }

        fn refusal(&self) -> String {
            self.verdict().expect_err("it should have been refused").to_string()
        }
    }

    /// Root, intermediate, leaf: all as it should be, changed only by `change`.
    fn case(names: &[&'static str], change: impl Fn(&mut CertificateParams)) -> Case {
        let root = Ca::root("Root");
        let issuer = root.intermediate("Issuer");
        let mut params = leaf_params(names);
        change(&mut params);
        let (leaf, key) = issuer.leaf_of(&params);
        let (chain, roots) = (format!("{leaf}{}", issuer.pem()), Some(root.pem()));
        Case { chain, key, roots, wanted: names.to_vec(), profile: Some("shortlived") }
    }

    #[test]
    fn a_good_certificate_is_accepted() {
        let names =
            ["a.example", "*.b.example", "xn--bcher-kva.example", "192.0.2.10", "2001:db8::1"];
        let good = case(&names, |_| ());
        assert_eq!(good.verdict(), Ok(()));
        let without_roots = Case { roots: None, ..good };
        assert_eq!(without_roots.verdict(), Ok(()));
        let covered =
            Case { wanted: vec!["*.b.example", "x.b.example"], ..case(&["*.b.example"], |_| ()) };
        assert_eq!(covered.verdict(), Ok(()));
        let slow_clock = case(&names, |params| params.not_before = hours(0) + CLOCK_SKEW);
        assert_eq!(slow_clock.verdict(), Ok(()));
        let last_second = case(&names, |params| params.not_after = hours(0));
        assert_eq!(last_second.verdict(), Ok(()));
    }

    #[test]
    fn names_must_be_what_was_ordered() {
        let wanted = |wanted: &[&'static str], held: &[&'static str]| {
            Case { wanted: wanted.to_vec(), ..case(held, |_| ()) }.refusal()
        };
        let lacks = "the certificate lacks ";
        assert_eq!(
            wanted(&["a.example", "b.example"], &["a.example"]),
            format!("{lacks}b.example")
        );
        assert_eq!(wanted(&["*.a.example"], &["x.a.example"]), format!("{lacks}*.a.example"));
        assert_eq!(wanted(&["a.example"], &["*.a.example"]), format!("{lacks}a.example"));
        assert_eq!(wanted(&["192.0.2.1"], &["192.0.2.2"]), format!("{lacks}192.0.2.1"));
        assert_eq!(wanted(&["::1"], &["127.0.0.1"]), format!("{lacks}::1"));
        let extra = wanted(&["a.example"], &["a.example", "evil.example", "192.0.2.1"]);
        assert_eq!(
            extra,
            "the certificate is also for evil.example, 192.0.2.1, which nobody asked for"
        );
        let mail = case(&["a.example"], |params| {
            params
                .subject_alt_names
                .push(SanType::Rfc822Name("x@\u{1b}.example".try_into().unwrap()));
        });
        assert!(mail.refusal().contains("\\u{1b}"), "{}", mail.refusal());
    }

    #[test]
    fn dates_must_hold() {
        let early = case(&["a.example"], |params| params.not_before = hours(1));
        let not_before = now().plus(Duration::from_secs(3600));
        assert_eq!(early.verdict(), Err(Refusal::NotYetValid { not_before, now: now() }));
        let late =
            case(&["a.example"], |params| params.not_after = hours(-1) + Duration::from_secs(3599));
        assert!(late.refusal().starts_with("certificate 1 of the chain (serial "));
        let brief = case(&["a.example"], |params| {
            (params.not_before, params.not_after) = (hours(0), hours(0));
        });
        assert_eq!(brief.refusal(), "the certificate lives only 1 s");
        let long = case(&["a.example"], |params| params.not_after = hours(24 * 90));
        assert_eq!(
            long.refusal(),
            "the certificate lives 90 d 1 h, which contradicts the profile shortlived"
        );
        assert_eq!(Case { profile: Some("classic"), ..long }.verdict(), Ok(()));
    }

    #[test]
    fn an_expired_issuer_is_noticed() {
        let root = Ca::root("Root");
        let mut params = ca_params("Old\nIssuer");
        params.not_after = hours(-1);
        let issuer = root.intermediate_of(params);
        let (leaf, key) = issuer.leaf(&["a.example"]);
        let chain = format!("{leaf}{}", issuer.pem());
        let wanted = vec!["a.example"];
        let case = Case { chain, key, roots: None, wanted, profile: None };
        let why = "certificate 2 of the chain (Old\\nIssuer) expired at 2026-11-22T11:00:00Z";
        assert_eq!(case.refusal(), why);
    }

    #[test]
    fn the_key_must_be_ours() {
        let foreign = KeyPair::generate().unwrap().serialize_pem();
        let case = Case { key: foreign, ..case(&["a.example"], |_| ()) };
        assert_eq!(case.verdict(), Err(Refusal::ForeignKey));
    }

    #[test]
    fn the_chain_must_hold_together() {
        let good = case(&["a.example"], |_| ());
        let unrelated = Ca::root("Elsewhere").pem();
        let case = Case { chain: format!("{}{unrelated}", good.chain), ..good };
        let why = "certificate 2 of the chain (Issuer) is not signed by the next (Elsewhere)";
        assert_eq!(case.refusal(), why);
    }

    #[test]
    fn the_chain_must_lead_to_the_roots() {
        let good = case(&["a.example"], |_| ());
        let leaf_alone = Chain::parse(good.chain.as_bytes()).unwrap().leaf_pem();
        let other_root = Some(Ca::root("Root").pem());
        let untrusted = |chain: &str, roots: &Option<String>| {
            let (chain, key, roots) = (chain.to_owned(), good.key.clone(), roots.clone());
            let verdict =
                Case { chain, key, roots, wanted: vec!["a.example"], profile: None }.verdict();
            assert!(matches!(verdict, Err(Refusal::Untrusted { .. })), "{verdict:?}");
            assert_eq!(verdict.unwrap_err().fault(), Fault::Permanent);
        };
        untrusted(&leaf_alone, &good.roots);
        untrusted(&leaf_alone, &None);
        untrusted(&good.chain, &other_root);
        let for_clients = case(&["a.example"], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        });
        assert!(matches!(for_clients.verdict(), Err(Refusal::Untrusted { .. })));
    }

    #[test]
    fn a_ca_is_no_leaf() {
        let with_ca = case(&["a.example"], |params| {
            params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        });
        assert!(matches!(with_ca.verdict(), Err(Refusal::NoLeaf { .. })));
    }

    #[test]
    fn roots_are_read_or_refused() {
        let root = Ca::root("Root").pem();
        let bundle = format!("# remark\n{root}\nRemark\n{root}");
        assert_eq!(Roots::parse(bundle.as_bytes()).unwrap().anchors().len(), 2);
        let der = Chain::parse(root.as_bytes()).unwrap().ders()[0].clone();
        assert_eq!(Roots::from_ders([der, b"junk".as_slice().into()]).anchors().len(), 1);
        let junk = super::super::pem::encode(super::super::pem::CERTIFICATE, b"junk");
        for bad in ["", "junk", &junk, &root[..200]] {
            assert!(Roots::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_identifier_can_be_asked_for(name in "(\\*\\.)?[a-z0-9-]{1,63}(\\.[a-z0-9-]{1,63}){0,5}") {
            if let Ok(name) = DnsName::parse(&name) {
                asked_by_client(&Identifier::Dns(name));
            }
        }
    }
}
