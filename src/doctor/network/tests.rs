//! What is made of answers: tables, and nothing is asked.

use std::net::IpAddr;

use url::Url;

use super::agreement::{self, Opinion, Survey, Useless};
use super::caa::{self, Relevant};
use super::lookup::{self, Standing};
use super::reach;
use super::{Ca, Subject};
use crate::agent::audit::Findings;
use crate::config::cert::CertSettings;
use crate::dns::{self, AskError, Code, Data, Name, Property};
use crate::doctor::Patient;
use crate::model::challenge::ChallengeKind::{self, Dns01, Http01, TlsAlpn01};
use crate::model::finding::Severity::{self, Critical, Ok as Fine, Warning};
use crate::model::name::{CertName, Identifier};
use crate::probe::visit::{Miss, Seen, Why};

/// Severity, reason, and part of the message.
type Told = (Severity, &'static str, &'static str);

#[track_caller]
fn assert_tells(findings: &Findings, expected: &[Told]) {
    let found = &findings.found;
    let same = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, (severity, reason, part))| {
            found.severity == *severity && found.reason == *reason && found.message.contains(part)
        });
    assert!(same, "{expected:?}: {found:#?}");
    for finding in found {
        assert_eq!(finding.hint.is_some(), finding.severity > Fine, "{finding:?}");
        assert!(!finding.message.contains('\u{1b}'), "{finding:?}");
    }
}

fn patient() -> Patient {
    let name = CertName::parse("cert").unwrap();
    Patient { name, settings: CertSettings::default(), standing: None }
}

fn ca(is_public: bool) -> Ca {
    let identities = vec!["ca.example".to_owned()];
    Ca { name: "ca".to_owned(), is_public, identities, account: None }
}

fn name(text: &str) -> Name {
    dns::name(text).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Judges as for an identifier, and says what was found.
fn with_subject(
    identifier: &str,
    kinds: &[ChallengeKind],
    is_public: bool,
    judge: impl FnOnce(&Subject<'_>, &mut Findings),
) -> Findings {
    let (patient, cas) = (patient(), [ca(is_public), ca(is_public)]);
    let identifier = Identifier::parse(identifier).unwrap();
    let kinds = kinds.to_vec();
    let subject = Subject { patient: &patient, identifier: &identifier, kinds, cas: &cas };
    let mut findings = Findings::about("cert");
    judge(&subject, &mut findings);
    findings
}

/// All but one address are this host's.
fn at(address: &str, came: Result<(), Miss>) -> Seen {
    Seen { address: ip(address), is_local: address != "192.0.2.1", is_behind: false, came }
}

#[test]
fn what_comes_back_from_an_address() {
    let nothing = |why| Err(Miss::Nothing { at: None, why });
    let other = |status, body: &str| Err(Miss::Other { at: None, status, body: body.to_owned() });
    let elsewhere = || Some(Url::parse("https://login.example/a\u{1b}b").unwrap());
    let redirected = Err(Miss::Other { at: elsewhere(), status: 200, body: String::new() });
    let lost = Err(Miss::Nothing { at: elsewhere(), why: Why::Silent });
    let astray = Err(Miss::Astray { to: "ftp://\u{1b}[2J".to_owned(), why: "no" });
    let (v4, v6) = ("198.51.100.1", "2001:db8::1");
    type Case = (&'static str, Result<(), Miss>, Told);
    let table: Vec<Case> = vec![
        // A router may hide its own address from those behind it, and only from them.
        ("192.0.2.1", nothing(Why::Silent), (Warning, "reachability", "port 80 of 192.0.2.1")),
        ("192.0.2.1", nothing(Why::Refused), (Warning, "reachability", "port 80 of 192.0.2.1")),
        ("192.0.2.1", other(404, ""), (Critical, "reachability", "404 for our file")),
        (v4, Ok(()), (Fine, "reachability", "http-01 works")),
        (v4, nothing(Why::Refused), (Critical, "reachability", "port 80 of 198.51.100.1")),
        (v4, nothing(Why::Silent), (Critical, "reachability", "no answer in time")),
        (v4, nothing(Why::NoRoute), (Warning, "reachability", "cannot be tried")),
        (v6, nothing(Why::Other("\u{1b}".to_owned())), (Critical, "reachability", "\\u{1b}")),
        (v4, other(404, "gone"), (Critical, "reachability", "404 for our file")),
        (v4, other(403, ""), (Critical, "reachability", "of our file: 403")),
        (v4, other(200, "<p>\u{1b}</p>"), (Critical, "reachability", "200 (<p>\\u{1b}</p>)")),
        (v4, redirected, (Critical, "reachability", "https://login.example/a%1Bb, which answers")),
        (v4, lost, (Critical, "reachability", "login.example/a%1Bb: no answer")),
        (v4, astray, (Critical, "reachability", "ftp://")),
        // Seen from outside these lead elsewhere, or nowhere.
        ("10.0.0.1", Ok(()), (Warning, "split_horizon", "10.0.0.1 here")),
        ("127.0.0.1", other(404, ""), (Warning, "split_horizon", "127.0.0.1 here")),
        ("100.64.0.1", Ok(()), (Warning, "split_horizon", "100.64.0.1 here")),
        ("fd00::1", nothing(Why::Refused), (Warning, "split_horizon", "fd00::1 here")),
    ];
    for (address, came, told) in table {
        let seen = [at(address, came)];
        let findings = with_subject("a.example", &[Http01], true, |subject, findings| {
            reach::judge(subject, Http01, &seen, findings);
        });
        assert_tells(&findings, &[told]);
    }
}

#[test]
fn what_matters_less() {
    // A private CA sees private addresses; a second way of proving control may still do.
    let seen = [at("10.0.0.1", Err(Miss::Stranger)), at("10.0.0.2", Ok(()))];
    let findings = with_subject("a.example", &[Dns01, TlsAlpn01], false, |subject, findings| {
        reach::judge(subject, TlsAlpn01, &seen, findings);
    });
    let stranger = "another server shakes hands for a.example at port 443 of 10.0.0.1";
    let works = "tls-alpn-01 works for a.example at 10.0.0.2";
    assert_tells(&findings, &[(Warning, "reachability", stranger), (Fine, "reachability", works)]);
    // IPv6 that is dead beside IPv4 that works.
    let dead = Err(Miss::Nothing { at: None, why: Why::Silent });
    let seen = [at("198.51.100.1", Ok(())), at("2001:db8::1", dead)];
    let findings = with_subject("a.example", &[Http01], true, |subject, findings| {
        reach::judge(subject, Http01, &seen, findings);
    });
    let dead = "port 80 of the IPv6 address of a.example, 2001:db8::1, is dead: no answer in time";
    assert_tells(&findings, &[(Fine, "reachability", "works"), (Critical, "reachability", dead)]);
}

#[test]
fn names() {
    let found = |aliases: &[&str], data| {
        let aliases = aliases.iter().map(|text| name(text)).collect();
        Standing::Found { aliases, data }
    };
    let address = || vec![Data::Address(ip("198.51.100.1"))];
    let missing = |aliases: Vec<Name>| Standing::Missing { aliases };
    let table = [
        (found(&[], address()), (Fine, "dns", "a.example leads to 198.51.100.1")),
        (found(&["x", "b.example"], address()), (Fine, "dns", "an alias of b.example, leads")),
        (found(&[], Vec::new()), (Critical, "dns", "a.example has no address")),
        (missing(Vec::new()), (Critical, "dns", "a.example does not exist")),
        (missing(vec![name("b.example")]), (Critical, "dns", "an alias of b.example, does not")),
        (Standing::BrokenSignatures, (Critical, "dnssec", "DNSSEC of a.example")),
        (Standing::Failed(Code::Failure), (Critical, "dns", "SERVFAIL")),
        (Standing::Unheard(AskError::Silent), (Warning, "dns", "no answer")),
    ];
    for (standing, told) in table {
        let findings = with_subject("a.example", &[Http01], true, |subject, findings| {
            lookup::judge_addresses(subject, &standing, findings);
        });
        assert_tells(&findings, &[told]);
    }
}

fn caa(value: &str) -> Data {
    let value = value.as_bytes().to_vec();
    Data::Caa(Property { critical: false, tag: "issue".to_owned(), value })
}

#[test]
fn the_climb_ends_at_the_first_that_says_anything() {
    let found = |data| Standing::Found { aliases: Vec::new(), data };
    let nothing = || found(Vec::new());
    let failed = || Standing::Failed(Code::Failure);
    let set = |relevant| match relevant {
        Relevant::Set { owner, .. } => Ok(Some(owner)),
        Relevant::None => Ok(None),
        Relevant::Unknown { owner, .. } => Err(owner),
    };
    let some = || found(vec![caa("x")]);
    let missing = || Standing::Missing { aliases: Vec::new() };
    let table = [
        ([nothing(), nothing()], Ok(None)),
        ([missing(), some()], Ok(Some("example"))),
        ([some(), failed()], Ok(Some("a.example"))),
        ([nothing(), failed()], Err("example")),
        ([failed(), some()], Err("a.example")),
        ([Standing::BrokenSignatures, some()], Err("a.example")),
    ];
    for ([low, high], expected) in table {
        let climb = vec![(name("a.example"), low), (name("example"), high)];
        assert_eq!(set(caa::relevant(climb)), expected.map(|o| o.map(name)).map_err(name));
    }
}

#[test]
fn the_second_ca_may_still_issue() {
    let Data::Caa(property) = caa("other.example\u{1b}; x=y") else { unreachable!() };
    let relevant = Relevant::Set { owner: name("example"), set: vec![property] };
    let findings = with_subject("a.example", &[Http01], true, |subject, findings| {
        caa::judge(subject, &relevant, findings);
    });
    let forbids = "CAA of example forbids ca to issue for a.example: it allows nobody";
    assert_tells(&findings, &[(Critical, "caa", forbids), (Warning, "caa", forbids)]);
}

fn opinion(server: &str, serial: Result<u32, Useless>, data: &str) -> Opinion {
    let data = (!data.is_empty()).then(|| vec![Data::Text(data.into())]);
    let address = ip(&format!("198.51.100.{}", server.len()));
    Opinion { server: name(server), address, serial, data }
}

#[test]
fn servers_that_agree_or_not() {
    let mute = || Err(Useless::Mute(AskError::Silent));
    let unreachable = || Err(Useless::Mute(AskError::NoRoute));
    let lame = || Err(Useless::Lame(Code::Refused));
    let table: Vec<(Vec<Opinion>, Vec<Told>)> = vec![
        (
            vec![opinion("a", Ok(7), "x"), opinion("bb", Ok(7), "x")],
            vec![(Fine, "agreement", "2 name servers of z agree on the data of n.z")],
        ),
        (vec![opinion("a", Ok(7), "x")], vec![]),
        (
            vec![opinion("a", Ok(8), "x"), opinion("bb", Ok(7), "x")],
            vec![(Warning, "lagging", "bb (198.51.100.2) lags behind: serial 7 of z, not 8")],
        ),
        (
            vec![opinion("a", Ok(7), "x"), opinion("bb", Ok(8), "y")],
            vec![(Critical, "lagging", "a (198.51.100.1) lags behind")],
        ),
        // Serial numbers wrap around (RFC 1982).
        (
            vec![opinion("a", Ok(u32::MAX), "x"), opinion("bb", Ok(1), "x")],
            vec![(Warning, "lagging", "a (198.51.100.1) lags behind: serial 4294967295")],
        ),
        (
            vec![opinion("a", Ok(7), "x"), opinion("bb", Ok(7), "y")],
            vec![(Warning, "disagreement", "differ in the data of n.z")],
        ),
        (
            vec![opinion("a", Ok(7), "x"), opinion("bb", lame(), ""), opinion("ccc", mute(), "")],
            vec![
                (Warning, "lame", "bb (198.51.100.2) does not answer for z: REFUSED"),
                (Warning, "mute", "ccc (198.51.100.3) of z: no answer"),
            ],
        ),
        (
            vec![opinion("a", Ok(8), "x"), opinion("bb", Ok(7), "")],
            vec![(Warning, "lagging", "bb (198.51.100.2) lags behind")],
        ),
        (vec![opinion("a", Ok(7), "x"), opinion("bb", unreachable(), "")], vec![]),
        (
            vec![opinion("a", mute(), ""), opinion("bb", unreachable(), "")],
            vec![(Warning, "mute", "none of the name servers of z answers this host")],
        ),
        (
            vec![opinion("a", lame(), ""), opinion("bb", mute(), "")],
            vec![(Warning, "lame", "a ("), (Warning, "mute", "bb (")],
        ),
    ];
    for (opinions, told) in table {
        let (apex, target, nowhere) = (name("z"), name("n.z"), Vec::new());
        let mut findings = Findings::about("cert");
        let survey = Survey { apex, target, nowhere, opinions };
        agreement::judge(&survey, "the data", &mut findings);
        assert_tells(&findings, &told);
    }
}
