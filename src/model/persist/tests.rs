use proptest::prelude::*;

use super::*;

const ISSUER: &str = "authority.example";
const ACCOUNT: &str = "https://ca.example/acct/123";
const PREFIX: &str = "https://ca.example/account-hash/";
const THUMBPRINT: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
const NOW: i64 = 1_800_000_000;

fn name(text: &str) -> DnsName {
    DnsName::parse(text).unwrap()
}

fn standing(text: &str) -> Standing {
    let issuers = vec![ISSUER.to_owned(), "ca.example.net".to_owned()];
    Standing::new(name(text), issuers, vec![ACCOUNT.to_owned()]).unwrap()
}

fn judged(text: &str, records: &[&str]) -> Verdict {
    let records = records.iter().map(|record| record.as_bytes());
    standing(text).judge(records, Timestamp::from_unix(NOW))
}

/// A record that means the CA and our account, and says this after it.
fn ours(rest: &str) -> String {
    format!("{ISSUER}; accounturi={ACCOUNT}{rest}")
}

#[test]
fn hashes_of_accounts() {
    let example = name("example.com");
    let table = [
        (Domain::Only(&example), "5SQm7n6tPh2-PlLbCKGnViTXX5z19SCN4cPGQHSk-kw"),
        (Domain::Any, "NpDnSwUthQK8zCgFdefYxAdAVPnygMLbs9US6oO-5ug"),
    ];
    for (domain, hash) in table {
        let account = hashed_account(PREFIX, domain, THUMBPRINT, ACCOUNT).unwrap();
        assert_eq!(account, format!("{PREFIX}sha-256/{hash}"));
    }
    let wildcard = name("*.example.com");
    let of = |name| hashed_account(PREFIX, Domain::Only(name), THUMBPRINT, ACCOUNT);
    assert_eq!(of(&wildcard), of(&example), "the record stands at the same name");
}

#[test]
fn what_a_record_says() {
    let account = hashed_account(PREFIX, Domain::Only(&name("example.com")), THUMBPRINT, ACCOUNT);
    let hashed = |text: &str| {
        Standing::new(name(text), vec![ISSUER.to_owned()], vec![account.clone().unwrap()]).unwrap()
    };
    let record = "authority.example; accounturi=https://ca.example/account-hash/sha-256/5SQm7n6tPh2-PlLbCKGnViTXX5z19SCN4cPGQHSk-kw";
    let until = Some(Timestamp::from_unix(1_721_952_000));
    let table = [
        ("example.com", None, ""),
        ("*.example.com", None, "; policy=wildcard"),
        ("example.com", until, "; persistUntil=1721952000"),
        ("*.example.com", until, "; policy=wildcard; persistUntil=1721952000"),
    ];
    for (name, until, rest) in table {
        let standing = hashed(name);
        assert_eq!(standing.record(until), format!("{record}{rest}"));
        let line = format!("_validation-persist.example.com. IN TXT \"{record}{rest}\"");
        assert_eq!(standing.zone_line(until), line);
    }
}

#[test]
fn records_that_are_good() {
    let good = || Verdict::Good { until: None };
    let far = || Verdict::Good { until: Some(Timestamp::from_unix(4_102_444_800)) };
    let table = [
        (ours(""), good()),
        (format!("authority.example;accounturi={ACCOUNT}"), good()),
        (format!("ca.example.net; accounturi={ACCOUNT}"), good()),
        (
            format!(
                "   authority.example   ;   accounturi   =   {ACCOUNT}   ;   policy   =   wildcard   ;   persistUntil   =   4102444800   "
            ),
            far(),
        ),
        (format!("\tauthority.example\t;\tAccountURI\t=\t{ACCOUNT}\t"), good()),
        (ours(";policy=wIlDcArD"), good()),
        (ours(";foo="), good()),
        (ours(";foo=a=b"), good()),
        (ours(";policy=something"), good()),
        (ours(";policy="), good()),
        (ours(";PERSISTUNTIL=4102444800"), far()),
        (
            ours(";persistUntil=1800000000"),
            Verdict::Good { until: Some(Timestamp::from_unix(NOW)) },
        ),
    ];
    for (record, verdict) in table {
        assert_eq!(judged("example.com", &[&record]), verdict, "{record:?}");
    }
    for policy in ["wildcard", "wIlDcArD"] {
        assert_eq!(judged("*.example.com", &[&ours(&format!("; policy={policy}"))]), good());
    }
}

#[test]
fn records_that_are_not() {
    let malformed = [
        ";",
        "; ",
        ";;foo=1",
        ";invalidparam",
        ";=abc",
        ";accounturi=",
        ";policy=wild card",
        ";persistUntil=",
        ";persistUntil=not-a-ts",
        ";persistUntil=1e9",
        ";persistUntil=-1",
        ";persistUntil=99999999999999999999",
        ";policy=wildcard;Policy=wildcard",
        ";foo=1;foo=1",
        ";foo=\u{7f}",
        ";foo=ü",
        ";f o=1",
    ];
    for rest in malformed {
        let verdict = judged("example.com", &[&ours(rest)]);
        assert!(matches!(verdict, Verdict::Malformed(_)), "{rest:?}: {verdict:?}");
    }
    let account = |text: &str| Verdict::OtherAccount(text.to_owned());
    let issuer = |text: &str| Verdict::OtherIssuer(text.to_owned());
    let without = Verdict::Malformed("accounturi is missing");
    let table = [
        ("authority.example", without.clone()),
        ("authority.example; policy=wildcard", without),
        (
            "authority.example; accounturi=https://ca.example/acct/124",
            account("https://ca.example/acct/124"),
        ),
        (
            "authority.example; accounturi=HTTPS://ca.example/acct/123",
            account("HTTPS://ca.example/acct/123"),
        ),
        ("other.example; accounturi=https://ca.example/acct/123", issuer("other.example")),
        ("Authority.Example; accounturi=https://ca.example/acct/123", issuer("Authority.Example")),
        ("; accounturi=https://ca.example/acct/123", issuer("")),
        ("", issuer("")),
        ("v=spf1 -all", issuer("v=spf1 -all")),
    ];
    for (record, verdict) in table {
        assert_eq!(judged("example.com", &[record]), verdict, "{record:?}");
    }
    let expired = Verdict::Expired { at: Timestamp::from_unix(1) };
    assert_eq!(judged("example.com", &[&ours(";persistUntil=1")]), expired);
    for rest in ["", ";policy=", ";policy=other"] {
        assert_eq!(judged("*.example.com", &[&ours(rest)]), Verdict::NeedsWildcardPolicy);
    }
    assert_eq!(judged("example.com", &[]), Verdict::Missing);
}

#[test]
fn the_best_of_several_counts() {
    let soon = ours("; policy=wildcard; persistUntil=1800000001");
    let (late, past) = (ours("; policy=wildcard"), ours("; policy=wildcard; persistUntil=5"));
    let rising = [
        "other.example".to_owned(),
        ours(";"),
        format!("{ISSUER}; accounturi=https://ca.example/acct/9"),
        ours(""),
        past,
        soon,
        late,
    ];
    let verdict = |records: &[String]| {
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        judged("*.example.com", &records)
    };
    for end in 1..=rising.len() {
        let mut records = rising[..end].to_vec();
        let best = verdict(&rising[end - 1..end]);
        assert_eq!(verdict(&records), best);
        records.reverse();
        assert_eq!(verdict(&records), best);
    }
}

#[test]
fn standings_nobody_may_follow() {
    let new = |issuers: &[&str], account: &str| {
        let issuers = issuers.iter().map(|issuer| (*issuer).to_owned()).collect();
        Standing::new(name("example.com"), issuers, vec![account.to_owned()])
    };
    assert!(new(&[ISSUER; 10], ACCOUNT).is_ok());
    let long = format!("{}.example", "a".repeat(250));
    let issuers: [&[&str]; 9] = [
        &[],
        &[ISSUER; 11],
        &["Authority.example"],
        &["authority.example."],
        &["authority.example; policy=wildcard"],
        &["*.authority.example"],
        &["bücher.example"],
        &[""],
        &[&long],
    ];
    for issuers in issuers {
        assert!(new(issuers, ACCOUNT).is_err(), "{issuers:?}");
    }
    for account in
        ["", "https://ca.example/a;b", "https://ca.example/a b", "a\"b", "a\\b", "ü", "\n"]
    {
        assert!(new(&[ISSUER], account).is_err(), "{account:?}");
    }
}

#[test]
fn verdicts_are_printed_safely() {
    let records = ["authority.example\u{1b}[2J", "\u{202e}", "\"\n"];
    for record in records {
        let shown = judged("example.com", &[record]).to_string();
        assert!(!shown.contains(['\u{1b}', '\u{202e}', '\n']), "{shown:?}");
    }
    let long = "x".repeat(100_000);
    assert!(judged("example.com", &[&long]).to_string().len() < 300);
}

proptest! {
    #[test]
    fn what_is_written_is_good(
        wildcard: bool,
        path in "[!-~&&[^;\"\\\\]]{0,600}",
        until in proptest::option::of(NOW..4_102_444_800),
    ) {
        let (prefix, until) = (if wildcard { "*." } else { "" }, until.map(Timestamp::from_unix));
        let accounts = vec![format!("https://ca.example/{path}")];
        let name = name(&format!("{prefix}a.example"));
        let standing = Standing::new(name, vec![ISSUER.to_owned()], accounts).unwrap();
        let record = standing.record(until);
        let verdict = standing.judge([record.as_bytes()], Timestamp::from_unix(NOW));
        prop_assert_eq!(verdict, Verdict::Good { until });
        // A zone file has it in pieces, and nothing is lost between them.
        let line = standing.zone_line(until);
        let strings: Vec<&str> = line.split_once(" TXT ").unwrap().1.split('"').collect();
        let pieces: Vec<&str> = strings.iter().copied().skip(1).step_by(2).collect();
        prop_assert!(pieces.iter().all(|piece| (1..=255).contains(&piece.len())));
        prop_assert_eq!(pieces.concat(), record);
    }

    #[test]
    fn only_our_account_is_good(record: Vec<u8>, rest in "[ -~]{0,40}", ours_first: bool) {
        let now = Timestamp::from_unix(NOW);
        let is_good = |record: &[u8]| {
            matches!(standing("example.com").judge([record], now), Verdict::Good { .. })
        };
        prop_assert!(!is_good(&record));
        let record = if ours_first { ours(&rest) } else { format!("{ISSUER};{rest}") };
        prop_assert!(!is_good(record.as_bytes()) || record.contains(ACCOUNT));
    }
}
