//! Every pair of before and after, and what is journaled of it.

use proptest::prelude::*;

use super::*;

const OLD: &[u8] = b"old";
const NEW: &[u8] = b"new";
const THIRD: &[u8] = b"third";
const FOURTH: &[u8] = b"fourth";

fn serves(leaf: &[u8], flaws: &[Flaw], alpn: Option<&str>) -> Seen {
    let flaws = flaws.iter().map(|flaw| (*flaw, flaw.to_string())).collect();
    Seen::Serves { fingerprint: Fingerprint::of(leaf), flaws, alpn: alpn.map(str::to_owned) }
}

fn plain(leaf: &[u8]) -> Seen {
    serves(leaf, &[], None)
}

fn down() -> Seen {
    Seen::Down("refused".to_owned())
}

fn verdict(before: Option<&Seen>, after: &Seen) -> CellVerdict {
    judge_cell(before, after, Some(Fingerprint::of(OLD)), Fingerprint::of(NEW))
}

/// The verdict as a word and the beginning of its reason.
fn in_short(verdict: &CellVerdict) -> (&'static str, &str) {
    match verdict {
        CellVerdict::Good => ("good", ""),
        CellVerdict::Tolerated(why) => ("tolerated", why),
        CellVerdict::Bad { why, condemns: false } => ("bad", why),
        CellVerdict::Bad { why, condemns: true } => ("condemned", why),
    }
}

#[test]
fn what_was_before_and_what_is_after() {
    let other = "it serves ";
    let previous = "it still serves the previous certificate";
    let befores = [None, Some(down()), Some(plain(OLD)), Some(plain(NEW)), Some(plain(THIRD))];
    let good = ("good", "");
    let table = [
        (plain(NEW), [good, good, good, good, good]),
        (plain(OLD), [("bad", previous); 5]),
        (
            down(),
            [
                ("bad", "refused"),
                ("tolerated", "it was down before: refused"),
                ("bad", "refused"),
                ("bad", "refused"),
                ("bad", "refused"),
            ],
        ),
        (
            plain(THIRD),
            [("bad", other), ("bad", other), ("bad", other), ("bad", other), ("tolerated", other)],
        ),
        (plain(FOURTH), [("bad", other); 5]),
    ];
    for (after, wanted) in table {
        for (before, (word, why)) in befores.iter().zip(wanted) {
            let verdict = verdict(before.as_ref(), &after);
            let (found, reason) = in_short(&verdict);
            assert!(found == word && reason.starts_with(why), "{before:?} {after:?}: {verdict:?}");
        }
    }
    let first = judge_cell(None, &plain(OLD), None, Fingerprint::of(NEW));
    assert_eq!(in_short(&first).0, "bad", "the first certificate has no previous one");
}

#[test]
fn flaws_condemn_unless_they_were_there_before() {
    use Flaw::{Chain, Expired, Name, Ocsp, Revoked, Short};
    let table: [(Option<Seen>, &[Flaw], &str); 16] = [
        (None, &[Chain], "condemned"),
        (None, &[Name], "condemned"),
        (None, &[Expired], "bad"),
        (None, &[Revoked], "condemned"),
        (None, &[Short], "bad"),
        (None, &[Ocsp], "bad"),
        (None, &[Ocsp, Name], "condemned"),
        (Some(down()), &[Short], "bad"),
        (Some(serves(OLD, &[Chain], None)), &[Chain], "tolerated"),
        (Some(serves(OLD, &[Chain, Short], None)), &[Short], "tolerated"),
        (Some(serves(OLD, &[Chain], None)), &[Chain, Ocsp], "bad"),
        (Some(serves(OLD, &[Chain], None)), &[Chain, Name], "condemned"),
        (Some(serves(OLD, &[Chain], None)), &[], "good"),
        // What a foreign certificate lacked excuses nothing of ours.
        (Some(serves(THIRD, &[Chain], None)), &[Chain], "condemned"),
        // Nor is a dead certificate excused by the death of the one before it.
        (Some(serves(OLD, &[Expired], None)), &[Expired], "bad"),
        (Some(serves(OLD, &[Revoked], None)), &[Revoked], "condemned"),
    ];
    for (before, flaws, word) in table {
        let verdict = verdict(before.as_ref(), &serves(NEW, flaws, None));
        assert_eq!(in_short(&verdict).0, word, "{before:?} {flaws:?}: {verdict:?}");
    }
}

#[test]
fn alpn_may_be_won_but_not_lost() {
    let table = [
        (Some("h2"), Some("h2"), "good"),
        (None, Some("h2"), "good"),
        (Some("h2"), None, "bad"),
        (Some("h2"), Some("http/1.1"), "bad"),
        (Some("http/1.1"), Some("h2"), "bad"),
    ];
    for (before, after, word) in table {
        for leaf in [OLD, THIRD] {
            let before = serves(leaf, &[], before);
            let verdict = verdict(Some(&before), &serves(NEW, &[], after));
            assert_eq!(in_short(&verdict).0, word, "{before} {after:?}: {verdict:?}");
        }
    }
    let verdict = verdict(Some(&serves(OLD, &[], Some("h2"))), &plain(NEW));
    let why = "it agreed on h2 by ALPN before, and on nothing now";
    assert_eq!(in_short(&verdict), ("bad", why));
}

#[test]
fn so_many_looks_settle_it() {
    let looks = |letters: &str| -> Vec<Seen> {
        let one = |letter| match letter {
            'n' => plain(NEW),
            'o' => plain(OLD),
            'f' => serves(NEW, &[Flaw::Chain], None),
            _ => Seen::Down(format!("{letter}")),
        };
        letters.chars().map(one).collect()
    };
    let table = [
        ("", None),
        ("nn", None),
        ("nnn", Some("n")),
        ("nxnn", Some("n")),
        ("xnynn", Some("n")),
        ("xoyz", Some("x")),
        ("nfnf", None),
        ("ononx", Some("-")),
    ];
    for (letters, wanted) in table {
        let found = settled(&looks(letters), 3, 5);
        let wanted = wanted.map(|letter| match letter {
            "-" => Seen::Down("no 3 of 5 looks show the same".to_owned()),
            letter => looks(letter).remove(0),
        });
        assert_eq!(found, wanted, "{letters}");
    }
}

#[test]
fn what_was_not_written_is_not_read() {
    let hex = Fingerprint::of(OLD).to_string();
    let bad = [
        String::new(),
        "down".to_owned(),
        hex.clone(),
        format!("{hex} -"),
        format!("{hex} - - -"),
        format!("{hex} - nonsense"),
        format!("{} - -", &hex[1..]),
    ];
    for text in bad {
        assert_eq!(Seen::parse(&text), None, "{text:?}");
    }
}

fn any_seen() -> impl Strategy<Value = Seen> {
    use Flaw::{Chain, Expired, Name, Ocsp, Revoked, Short};
    let leaf = prop_oneof![Just(OLD), Just(NEW), Just(THIRD), Just(FOURTH)];
    let flaw =
        prop_oneof![Just(Chain), Just(Short), Just(Name), Just(Expired), Just(Revoked), Just(Ocsp)];
    let flaws = proptest::collection::vec(flaw, 0..4);
    let alpn = proptest::option::of(prop_oneof![Just("h2"), Just("http/1.1")]);
    prop_oneof![
        1 => "[ -~]{0,40}".prop_map(Seen::Down),
        4 => (leaf, flaws, alpn).prop_map(|(leaf, flaws, alpn)| serves(leaf, &flaws, alpn)),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(seen in any_seen()) {
        prop_assert_eq!(Seen::parse(&seen.to_string()), Some(seen));
    }

    #[test]
    fn good_is_only_the_new_one_without_flaws(
        before in proptest::option::of(any_seen()),
        after in any_seen(),
    ) {
        let good = verdict(before.as_ref(), &after) == CellVerdict::Good;
        let sound = matches!(
            &after,
            Seen::Serves { fingerprint, flaws, .. }
                if *fingerprint == Fingerprint::of(NEW) && flaws.is_empty()
        );
        prop_assert!(!good || sound);
    }

    #[test]
    fn what_has_not_changed_but_for_the_certificate_is_no_reason_to_go_back(
        before in any_seen(),
    ) {
        let after = match before.clone() {
            Seen::Serves { fingerprint, flaws, alpn } if fingerprint == Fingerprint::of(OLD) => {
                Seen::Serves { fingerprint: Fingerprint::of(NEW), flaws, alpn }
            }
            same => same,
        };
        let Seen::Serves { flaws, .. } = &after else { return Ok(()) };
        prop_assume!(!flaws.contains_key(&Flaw::Expired) && !flaws.contains_key(&Flaw::Revoked));
        let verdict = verdict(Some(&before), &after);
        prop_assert!(!matches!(verdict, CellVerdict::Bad { .. }), "{:?}", verdict);
    }
}
