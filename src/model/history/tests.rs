use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::event::Phase;

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000 + second)
}

fn name() -> CertName {
    CertName::parse("a.example").unwrap()
}

fn number(number: u32) -> Generation {
    Generation::new(number).unwrap()
}

/// What happens in a few renewals.
fn deeds() -> Vec<Deed> {
    let (issued, switched) = (
        |to| What::Issued {
            generation: number(to),
            ca: "letsencrypt".to_owned(),
            fingerprint: format!("{to:064x}"),
            key: format!("{:064x}", to + 100),
            not_after: at(576_000),
        },
        |from, to| What::Switched { from, to: number(to), fingerprint: format!("{to:064x}") },
    );
    let whats = [
        issued(1),
        switched(None, 1),
        What::Decided { decision: "pinned".to_owned(), text: "at generation 1".to_owned() },
        What::Failed {
            ended: "retry".to_owned(),
            kind: "rateLimited".to_owned(),
            message: "too \"many\" \u{1b}[31m\nlines".to_owned(),
        },
        issued(2),
        switched(Some(number(1)), 2),
        What::RolledBack { kind: "unseen".to_owned(), message: String::new() },
    ];
    let deeds = whats.into_iter().zip(0..);
    deeds.map(|(what, second)| Deed { at: at(second), name: name(), what }).collect()
}

fn chain(deeds: &[Deed]) -> (Vec<String>, Head) {
    let mut head = Head::default();
    let lines = deeds.iter().map(|deed| head.append(deed).trim_end().to_owned()).collect();
    (lines, head)
}

fn verify(lines: &[String], known: Option<&Head>) -> Result<Head, Broken> {
    let mut verifier = Verifier::new(known.cloned());
    let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
    verifier.follow(&lines)?;
    verifier.end()
}

#[test]
fn what_was_written_is_read_back_and_verified() {
    let (lines, head) = chain(&deeds());
    assert_eq!(verify(&lines, Some(&head)), Ok(head.clone()));
    assert_eq!(verify(&[], None), Ok(Head::default()));
    let mut followed = Head::default();
    for (line, (seq, deed)) in lines.iter().zip((1..).zip(deeds())) {
        assert!(!line.contains('\n'), "{line}");
        let record: Record = serde_json::from_str(line).unwrap();
        assert!(followed.follow(line.as_bytes()));
        assert_eq!(record, Record { seq, deed, hash: followed.hash.clone() });
        assert_eq!(Head::at(line.as_bytes()).as_ref(), Some(&followed));
    }
    assert_eq!(followed, head);
}

#[test]
fn what_only_a_later_version_knows_is_verified_all_the_same() {
    let (mut lines, mut head) = chain(&deeds()[..2]);
    let body = format!(
        "{{\"seq\":3,\"at\":\"2027-01-15T08:00:00Z\",\"name\":\"a.example\",\"what\":\"sung\",\
         \"song\":[1],\"prev\":\"{}\"}}",
        head.hash
    );
    let hash = sum(body.as_bytes());
    lines.push(format!("{},\"hash\":\"{hash}\"}}", body.trim_end_matches('}')));
    head = Head { seq: 3, hash };
    assert_eq!(verify(&lines, Some(&head)), Ok(head.clone()));
    let record: Record = serde_json::from_str(&lines[2]).unwrap();
    assert_eq!(record.deed.what, What::Other);
}

/// The record of a line with something else in it and a hash that fits.
fn rewritten(line: &str, from: &str, to: &str) -> String {
    let changed = line.replace(from, to);
    assert_ne!(changed, line);
    let body = format!("{}}}", changed.split(",\"hash\"").next().unwrap());
    format!("{},\"hash\":\"{}\"}}", &body[..body.len() - 1], sum(body.as_bytes()))
}

#[test]
fn every_way_to_tamper_is_found_and_named() {
    type Tamper = fn(&mut Vec<String>);
    let table: [(&str, Tamper, u64, Why); 15] = [
        ("a byte", |lines| lines[3] = lines[3].replace("many", "mane"), 4, Why::Changed),
        ("a blank", |lines| lines[3] = lines[3].replacen(',', ", ", 1), 4, Why::Changed),
        ("its number", |lines| lines[3] = lines[3].replacen('4', "9", 1), 4, Why::Changed),
        ("the last", |lines| lines[6] = lines[6].replace("unseen", "hidden"), 7, Why::Changed),
        ("no record", |lines| lines[2] = "pinned".to_owned(), 3, Why::Unreadable),
        ("an empty line", |lines| lines.insert(2, String::new()), 3, Why::Unreadable),
        ("no hash", |lines| lines[2].truncate(60), 3, Why::Unreadable),
        ("dropped", |lines| drop(lines.remove(3)), 4, Why::Missing { last: 4 }),
        ("the first dropped", |lines| drop(lines.remove(0)), 1, Why::Missing { last: 1 }),
        ("some dropped", |lines| drop(lines.drain(1..4)), 2, Why::Missing { last: 4 }),
        ("swapped", |lines| lines.swap(2, 3), 3, Why::Misplaced),
        ("twice", |lines| lines.insert(3, lines[1].clone()), 2, Why::Misplaced),
        ("truncated", |lines| lines.truncate(5), 6, Why::Missing { last: 7 }),
        ("written anew", |lines| lines[3] = rewritten(&lines[3], "many", "few"), 5, Why::Unlinked),
        (
            "the last written anew",
            |lines| lines[6] = rewritten(&lines[6], "unseen", "hidden"),
            7,
            Why::Replaced,
        ),
    ];
    for (what, tamper, seq, why) in table {
        let (mut lines, head) = chain(&deeds());
        tamper(&mut lines);
        assert_eq!(verify(&lines, Some(&head)), Err(Broken { seq, why }), "{what}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let table = [
        (Why::Changed, "record 3 was changed after it was written"),
        (Why::Missing { last: 3 }, "record 3 is missing"),
        (Why::Missing { last: 5 }, "records 3 to 5 are missing"),
        (Why::Misplaced, "record 3 is not in its place"),
    ];
    for (why, text) in table {
        assert_eq!(Broken { seq: 3, why }.to_string(), text);
    }
}

#[test]
fn what_is_kept() {
    let failing = |message: &str| Failing { kind: "dns", message: message.to_owned() };
    let ended = |ended, failing| Event::RunEnded { name: name(), ended, failing };
    let of = |event: Event| Deed::of(at(0), &event).map(|deed| deed.what);
    let (kind, message) = ("dns".to_owned(), "no".to_owned());
    let failed = What::Failed { ended: "retry".to_owned(), kind: kind.clone(), message };
    let message = "no".to_owned();
    let table = [
        (ended(Ended::Retry, Some(failing("no"))), Some(failed)),
        (ended(Ended::RolledBack, Some(failing("no"))), Some(What::RolledBack { kind, message })),
        (ended(Ended::Locked, Some(failing("no"))), None),
        (ended(Ended::Renewed, None), None),
        (Event::PhaseStarted { name: name(), phase: Phase::Acquire }, None),
        (Event::PhaseEnded { name: name(), phase: Phase::Acquire, took: Duration::ZERO }, None),
        (Event::Noticed { name: name(), text: "so".to_owned() }, None),
        (
            Event::Decided { name: name(), what: "pinned", text: "x".repeat(900) },
            Some(What::Decided { decision: "pinned".to_owned(), text: "x".repeat(LONGEST) }),
        ),
    ];
    for (event, kept) in table {
        let shown = format!("{event:?}");
        assert_eq!(of(event), kept, "{shown}");
    }
}

proptest! {
    #[test]
    fn no_byte_can_be_changed(place in any::<prop::sample::Index>(), other in any::<u8>()) {
        let (lines, head) = chain(&deeds());
        let mut bytes = lines.join("\n").into_bytes();
        let place = place.index(bytes.len());
        prop_assume!(bytes[place] != other);
        bytes[place] = other;
        let mut verifier = Verifier::new(Some(head));
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        prop_assert!(verifier.follow(&lines).and_then(|()| verifier.end()).is_err());
    }
}
