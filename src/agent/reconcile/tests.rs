use url::Url;

use super::*;
use crate::model::name::Identifier;
use crate::model::time::Timestamp;
use crate::probe::judge::flaws::{Flaw, Flaws};
use crate::probe::revocation::NoList;

fn generation(number: u32) -> Generation {
    Generation::new(number).unwrap()
}

fn print(number: u32) -> Fingerprint {
    Fingerprint::of(&number.to_be_bytes())
}

fn serves(number: u32, flaws: &[Flaw]) -> Seen {
    let flaws = flaws.iter().map(|flaw| (*flaw, flaw.to_string())).collect::<Flaws>();
    Seen::Serves { fingerprint: print(number), flaws, alpn: None }
}

/// Generations 1 to 4, of which the third is live.
fn stored(outgoing: Option<u32>) -> Stored {
    let ours = (1..=4).map(|number| (print(number), generation(number))).collect();
    Stored { live: generation(3), ours, outgoing: outgoing.map(generation) }
}

fn judged(seen: Vec<Seen>, lacking: Vec<NoCell>, stored: &Stored) -> Finding {
    let cell = |index: usize| Cell {
        protocol: crate::model::endpoint::Protocol::Tls,
        peer: format!("192.0.2.{}:443", index + 1).parse().unwrap(),
        name: Identifier::parse("a.example").unwrap(),
    };
    let seen = seen.into_iter().enumerate().map(|(index, seen)| (cell(index), seen)).collect();
    let mut findings = Findings::about("a");
    let name = CertName::parse("a").unwrap();
    judge_places(&name, stored, &Looks { seen, lacking }, &mut findings);
    let [finding] = findings.found.try_into().unwrap();
    finding
}

#[test]
fn one_place_is_judged_by_what_is_stored() {
    use Severity::{Critical, Warning};
    let down = Seen::Down("timed out".to_owned());
    let table = [
        (serves(3, &[]), None, None),
        (
            serves(3, &[Flaw::Short]),
            None,
            Some((Critical, "is no good: the chain is not complete")),
        ),
        (serves(2, &[]), None, Some((Critical, "serves generation 2"))),
        (serves(4, &[]), None, Some((Critical, "serves generation 4"))),
        (serves(2, &[]), Some(2), Some((Warning, "serves generation 2 while the rollout lasts"))),
        (serves(1, &[]), Some(2), Some((Critical, "serves generation 1"))),
        (
            serves(2, &[Flaw::Expired]),
            Some(2),
            Some((
                Critical,
                "serves generation 2 while the rollout lasts (the certificate is not valid now)",
            )),
        ),
        (down, Some(2), Some((Critical, "shows no certificate: timed out"))),
    ];
    for (seen, outgoing, expected) in table {
        let told = judge(&seen, &stored(outgoing));
        let told = told.as_ref().map(|(severity, why)| (*severity, why.as_str()));
        assert_eq!(told, expected, "{seen}");
    }
    let (severity, why) = judge(&serves(9, &[Flaw::Name]), &stored(None)).unwrap();
    assert_eq!(severity, Critical);
    let foreign = format!("serves {}, which is none of ours (the name is not covered)", print(9));
    assert_eq!(why, foreign);
}

#[test]
fn all_places_come_to_one_finding() {
    let told = |seen, outgoing| {
        let Finding { severity, message, hint, .. } = judged(seen, vec![], &stored(outgoing));
        (severity, message, hint.is_some())
    };
    let nobody = "not looked at: neither a target nor [verify] says where it is served";
    assert_eq!(told(vec![], None), (Severity::Ok, nobody.to_owned(), false));
    let one = "1 place serves generation 3".to_owned();
    assert_eq!(told(vec![serves(3, &[])], None), (Severity::Ok, one, false));
    let two = "2 places serve generation 3".to_owned();
    assert_eq!(told(vec![serves(3, &[]); 2], None), (Severity::Ok, two, false));

    // The worst first, and only so many of them.
    let places = [vec![serves(2, &[])], vec![serves(3, &[])], vec![serves(1, &[]); 6]].concat();
    let (severity, message, hinted) = told(places.clone(), Some(2));
    assert_eq!((severity, hinted), (Severity::Critical, true));
    let begins = "generation 3 is not served as it should be at 7 of 8 places: \
                  192.0.2.3:443 a.example serves generation 1; 192.0.2.4:443 a.example serves";
    assert!(message.starts_with(begins) && message.ends_with("; and 2 more"), "{message}");
    let (severity, _, hinted) = told(places[..2].to_vec(), Some(2));
    assert_eq!((severity, hinted), (Severity::Warning, false), "it is as it should be, by now");
}

#[test]
fn what_cannot_be_looked_at_is_told() {
    let many = || NoCell::TooMany { left_out: 44, most: 256 };
    let finding = judged(vec![serves(3, &[])], vec![many()], &stored(None));
    assert_eq!(finding.severity, Severity::Ok, "nothing the operator did wrong");
    assert!(finding.message.contains("generation 3; cannot be looked at: 44 of the places"));
}

#[test]
fn a_list_that_does_not_come_is_no_fault() {
    let at = Timestamp::from_unix(1_800_000_000);
    let url = Box::new(Url::parse("http://ca.example/1.crl").unwrap());
    let table = [
        (Revocation::Good, Severity::Ok, "not revoked, says its CA's list"),
        (
            Revocation::Revoked { at, reason: None },
            Severity::Critical,
            "revoked at 2027-01-15T08:00:00Z, says its CA's list",
        ),
        (
            Revocation::Unknown(NoList::Late { url, limit: Duration::from_secs(3) }),
            Severity::Ok,
            "not known whether it is revoked: the revocation list at http://ca.example/1.crl did \
             not come within 3 s",
        ),
    ];
    for (revocation, severity, text) in table {
        assert_eq!(revocation_in_words(&revocation), (severity, text.to_owned()));
    }
}
