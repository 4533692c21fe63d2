//! Sights of chains as servers send them.

use std::time::Duration;

use super::*;
use crate::certificate::Fingerprint;
use crate::probe::sample::{Ca, Credentials, hours, name, now};

fn sight(chain: &[&rcgen::Certificate]) -> Sight {
    let chain = chain.iter().map(|cert| cert.der().clone()).collect::<Vec<_>>();
    Sight {
        fingerprint: Fingerprint::of(&chain[0]),
        chain,
        protocol: "TLSv1.3",
        alpn: None,
        group: None,
        ocsp: None,
        took: Duration::ZERO,
        peer: "127.0.0.1:443".parse().unwrap(),
    }
}

fn found(sight: &Sight, asked: &str, roots: Option<&Roots>) -> Vec<&'static str> {
    let name = name(asked);
    let found = flaws(sight, &Expected { name: &name, roots, now: now() });
    found.keys().map(|flaw| flaw.as_str()).collect()
}

#[test]
fn a_sight_is_judged_as_a_client_would() {
    let root = Ca::root("Root");
    let issuer = root.intermediate("Issuer");
    let (roots, others) = (root.roots(), Ca::root("Root").roots());
    let leaf = issuer.leaf(&["a.example", "*.b.example", "192.0.2.1"], |_| ());
    let (leaf, issuer) = (&leaf.cert, issuer.cert());
    let table: [(&[_], &str, Option<&Roots>, &[&str]); 12] = [
        (&[leaf, issuer], "a.example", Some(&roots), &[]),
        (&[leaf, issuer], "acmeagent-check.b.example", Some(&roots), &[]),
        (&[leaf, issuer], "192.0.2.1", Some(&roots), &[]),
        (&[leaf, issuer], "a.example", None, &[]),
        (&[leaf, issuer, root.cert()], "a.example", Some(&roots), &[]),
        (&[leaf, issuer], "192.0.2.2", Some(&roots), &["name"]),
        (&[leaf, issuer], "c.example", Some(&roots), &["name"]),
        (&[leaf, issuer], "a.example", Some(&others), &["chain"]),
        (&[leaf, root.cert()], "a.example", Some(&roots), &["chain"]),
        (&[leaf], "a.example", Some(&roots), &["short"]),
        (&[leaf], "c.example", None, &["short", "name"]),
        (&[issuer], "a.example", Some(&roots), &["chain", "name"]),
    ];
    for (index, (chain, asked, roots, wanted)) in table.into_iter().enumerate() {
        assert_eq!(found(&sight(chain), asked, roots), wanted, "row {index}");
    }
}

#[test]
fn what_a_root_signed_itself_is_complete() {
    let root = Ca::root("Root");
    let leaf = root.leaf(&["a.example"], |_| ());
    assert_eq!(found(&sight(&[&leaf.cert]), "a.example", Some(&root.roots())), [""; 0]);
}

#[test]
fn dates_are_a_flaw_of_their_own() {
    let root = Ca::root("Root");
    let issuer = root.intermediate("Issuer");
    let judged = |from: i64, until: i64| {
        let dates = |params: &mut rcgen::CertificateParams| {
            (params.not_before, params.not_after) = (hours(from), hours(until));
        };
        let leaf = issuer.leaf(&["a.example"], dates);
        found(&sight(&[&leaf.cert, issuer.cert()]), "a.example", Some(&root.roots()))
    };
    assert_eq!(judged(-2, 1), [""; 0]);
    assert_eq!(judged(-2, -1), ["expired"]);
    assert_eq!(judged(1, 2), ["expired"]);
    let minutes = |count| hours(0) + time::Duration::minutes(count);
    for (from, wanted) in [(4, &[][..]), (6, &["expired"])] {
        let leaf = issuer.leaf(&["a.example"], |params| params.not_before = minutes(from));
        let sight = sight(&[&leaf.cert, issuer.cert()]);
        assert_eq!(found(&sight, "a.example", Some(&root.roots())), wanted, "{from} minutes");
    }
    let stranger = Credentials::new();
    let found = found(&sight(&[&stranger.cert]), "a.example", Some(&root.roots()));
    assert_eq!(found, ["chain", "name", "expired"]);
}

#[test]
fn junk_is_no_chain() {
    let leaf = Ca::root("Root").leaf(&["a.example"], |_| ());
    let mut sight = sight(&[&leaf.cert]);
    sight.chain.push(b"junk".to_vec().into());
    let name = name("a.example");
    let found = flaws(&sight, &Expected { name: &name, roots: None, now: now() });
    assert_eq!(found.keys().collect::<Vec<_>>(), [&Flaw::Chain]);
    assert!(found[&Flaw::Chain].starts_with("certificate 2 is malformed"), "{found:?}");
}

#[test]
fn a_bad_staple_is_a_flaw() {
    let root = Ca::root("Root");
    let leaf = root.leaf(&["a.example"], |_| ());
    let mut sight = sight(&[&leaf.cert, root.cert()]);
    sight.ocsp = Some(b"junk".to_vec());
    assert_eq!(found(&sight, "a.example", Some(&root.roots())), ["ocsp"]);
}

#[test]
fn reasons_stay_short_and_harmless() {
    let names = (0..100).map(|index| format!("n{index}.example")).collect::<Vec<_>>();
    let names = names.iter().map(String::as_str).collect::<Vec<_>>();
    let leaf = Ca::root("Ro\u{1b}[2Jot").leaf(&names, |_| ());
    let name = name("a.example");
    let roots = Ca::root("Other").roots();
    let root = Ca::root(&"\u{1b}".repeat(60));
    let sight = sight(&[&leaf.cert, root.cert()]);
    let found = flaws(&sight, &Expected { name: &name, roots: Some(&roots), now: now() });
    assert_eq!(found.keys().collect::<Vec<_>>(), [&Flaw::Chain, &Flaw::Name]);
    for why in found.values() {
        assert!(why.chars().count() <= 300 && !why.contains('\u{1b}'), "{why}");
    }
}

#[test]
fn flaws_have_words() {
    for flaw in Flaw::ALL {
        assert_eq!(Flaw::parse(flaw.as_str()), Some(flaw));
    }
    assert!(Flaw::ALL.is_sorted());
    assert_eq!(Flaw::parse(""), None);
}
