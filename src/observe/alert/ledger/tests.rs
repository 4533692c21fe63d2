use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000 + minutes * MINUTE)
}

fn condition(name: &str, severity: Severity) -> Condition {
    Condition {
        rule: Rule::Failing,
        subject: name.to_owned(),
        certificate: Some(name.to_owned()),
        severity,
        title: format!("{name} is not renewed"),
        text: "why".to_owned(),
        hint: "look".to_owned(),
        link: None,
    }
}

fn judged(holding: &[(&str, Severity)]) -> Judgement {
    let holding = holding.iter().map(|(name, severity)| condition(name, *severity)).collect();
    Judgement { holding, unknown: BTreeSet::new() }
}

fn terms(repeat: Option<u64>) -> Terms {
    let repeat = repeat.map(|minutes| Duration::from_secs(minutes * 60));
    Terms { name: "ops".to_owned(), severity: Severity::Warning, repeat }
}

/// What a receiver hears in a run in which everything arrives, without what only lasts.
fn run(ledger: &mut Ledger, terms: &Terms, judged: &Judgement, now: Timestamp) -> Vec<State> {
    ledger.tidy(|name| name == terms.name, now);
    let news = ledger.news(terms, judged, now);
    ledger.note(&terms.name, &news, now);
    news.iter().map(|one| one.state).filter(|state| *state != State::Lasting).collect()
}

#[test]
fn a_condition_is_told_once_then_reminded_of_then_resolved() {
    use Severity::{Critical, Warning};
    use State::{Begun, Reminder, Resolved, Worsened};
    type Run<'a> = (i64, &'a [(&'a str, Severity)], &'a [State]);
    let table: [Run<'_>; 13] = [
        (0, &[], &[]),
        (30, &[("a", Warning)], &[Begun]),
        (60, &[("a", Warning)], &[]),
        (90, &[("a", Warning), ("b", Critical)], &[Begun]),
        (120, &[("a", Critical), ("b", Critical)], &[Worsened]),
        (150, &[("a", Warning), ("b", Warning)], &[]),
        (180, &[("a", Critical), ("b", Critical)], &[]),
        (30 + 1440, &[("a", Critical), ("b", Critical)], &[]),
        (90 + 1440, &[("a", Critical), ("b", Critical)], &[Reminder]),
        (120 + 1440, &[("a", Critical), ("b", Critical)], &[Reminder]),
        (1600, &[("b", Critical)], &[Resolved]),
        (1630, &[], &[Resolved]),
        (1660, &[], &[]),
    ];
    let (mut ledger, terms) = (Ledger::default(), terms(Some(1440)));
    for (minute, holding, expected) in table {
        let told = run(&mut ledger, &terms, &judged(holding), at(minute));
        assert_eq!(told, expected, "minute {minute}");
    }
    ledger.tidy(|_| true, at(1660));
    assert_eq!(ledger, Ledger::default(), "nothing is left");
}

#[test]
fn what_flaps_is_not_told_twice() {
    use Severity::{Critical, Warning};
    use State::{Begun, Resolved};
    let table: [(i64, Option<Severity>, &[State]); 9] = [
        (0, Some(Warning), &[Begun]),
        (5, None, &[Resolved]),
        (9, Some(Warning), &[]),
        (12, None, &[]),
        (14, Some(Warning), &[]),
        (16, Some(Warning), &[Begun]),
        (20, None, &[Resolved]),
        (21, Some(Critical), &[Begun]),
        (60, None, &[Resolved]),
    ];
    let (mut ledger, terms) = (Ledger::default(), terms(None));
    for (minute, severity, expected) in table {
        let holding: Vec<_> = severity.map(|severity| ("a", severity)).into_iter().collect();
        let told = run(&mut ledger, &terms, &judged(&holding), at(minute));
        assert_eq!(told, expected, "minute {minute}");
    }
}

#[test]
fn a_clock_that_was_ahead_keeps_nothing_quiet() {
    let (mut ledger, terms) = (Ledger::default(), terms(None));
    let holds = judged(&[("a", Severity::Warning)]);
    run(&mut ledger, &terms, &holds, at(1_000_000));
    run(&mut ledger, &terms, &judged(&[]), at(1_000_001));
    assert_eq!(run(&mut ledger, &terms, &holds, at(0)), [State::Begun]);
}

#[test]
fn receivers_hear_what_they_want_to() {
    let mut ledger = Ledger::default();
    let critical = Terms { severity: Severity::Critical, ..terms(None) };
    let warning = judged(&[("a", Severity::Warning)]);
    let worse = judged(&[("a", Severity::Critical)]);
    assert_eq!(run(&mut ledger, &critical, &warning, at(0)), []);
    assert_eq!(run(&mut ledger, &critical, &worse, at(30)), [State::Begun]);
    assert_eq!(run(&mut ledger, &critical, &warning, at(60)), [State::Resolved]);
}

#[test]
fn what_cannot_be_read_is_not_over() {
    let (mut ledger, terms) = (Ledger::default(), terms(None));
    run(&mut ledger, &terms, &judged(&[("a", Severity::Warning)]), at(0));
    let unknown = Judgement { holding: Vec::new(), unknown: BTreeSet::from(["a".to_owned()]) };
    assert_eq!(run(&mut ledger, &terms, &unknown, at(30)), []);
    assert_eq!(run(&mut ledger, &terms, &judged(&[]), at(60)), [State::Resolved]);
}

#[test]
fn a_message_that_did_not_arrive_is_news_again() {
    let (ledger, terms) = (Ledger::default(), terms(None));
    let holds = judged(&[("a", Severity::Warning)]);
    let first = ledger.news(&terms, &holds, at(0));
    assert_eq!(ledger.news(&terms, &holds, at(0)), first);
    assert_eq!(ledger.news(&terms, &judged(&[]), at(30)), [], "never told, never over");
}

#[test]
fn ten_thousand_are_not_told_one_by_one() {
    let (mut ledger, terms) = (Ledger::default(), terms(None));
    let all: Vec<String> = (0..10_000).map(|n| format!("{n:05}")).collect();
    let all: Vec<_> = all.iter().map(|name| (name.as_str(), Severity::Warning)).collect();
    assert_eq!(run(&mut ledger, &terms, &judged(&all), at(0)).len(), MOST);
    assert_eq!(run(&mut ledger, &terms, &judged(&all), at(30)).len(), 0);
    assert_eq!(run(&mut ledger, &terms, &judged(&[]), at(60)).len(), MOST);
}

#[test]
fn it_is_kept() {
    let (mut ledger, terms) = (Ledger::default(), terms(None));
    run(&mut ledger, &terms, &judged(&[("a", Severity::Warning)]), at(0));
    let text = serde_json::to_string(&ledger).unwrap();
    assert_eq!(serde_json::from_str::<Ledger>(&text).unwrap(), ledger);
    ledger.tidy(|_| false, at(0));
    assert_eq!(ledger, Ledger::default());
}

/// One run: minutes since the last, how each of three conditions stands, and whether mail arrives.
type Step = (i64, [Option<Severity>; 3], bool);

fn step() -> impl Strategy<Value = Step> {
    let severity =
        || prop_oneof![Just(None), Just(Some(Severity::Warning)), Just(Some(Severity::Critical))];
    (0..90_i64, [severity(), severity(), severity()], prop::bool::weighted(0.8))
}

proptest! {
    #[test]
    fn each_told_is_followed_by_one_resolved_and_nothing_is_told_twice(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        const NAMES: [&str; 3] = ["a", "b", "c"];
        let (mut ledger, terms) = (Ledger::default(), terms(None));
        let mut minute = 0;
        // Of each: the severity it is told with, while it is, and when its end was told last.
        let mut open: [Option<Severity>; 3] = [None; 3];
        let mut ended: [Option<i64>; 3] = [None; 3];
        for (pause, severities, arrives) in steps {
            minute += pause;
            let holding: Vec<_> = NAMES.iter().zip(severities)
                .filter_map(|(name, severity)| Some((*name, severity?))).collect();
            ledger.tidy(|_| true, at(minute));
            let news = ledger.news(&terms, &judged(&holding), at(minute));
            if !arrives {
                continue;
            }
            ledger.note(&terms.name, &news, at(minute));
            for one in &news {
                let place = NAMES.iter().position(|name| *name == one.condition.subject).unwrap();
                let severity = one.condition.severity;
                match one.state {
                    State::Begun => {
                        prop_assert_eq!(open[place], None);
                        let flaps = ended[place].is_some_and(|end| minute - end < 10);
                        prop_assert!(!flaps || severity == Severity::Critical);
                        open[place] = Some(severity);
                    }
                    State::Worsened => {
                        prop_assert_eq!(open[place], Some(Severity::Warning));
                        prop_assert_eq!(severity, Severity::Critical);
                        open[place] = Some(severity);
                    }
                    State::Resolved => {
                        prop_assert!(open[place].is_some() && severities[place].is_none());
                        (open[place], ended[place]) = (None, Some(minute));
                    }
                    State::Lasting => prop_assert_eq!(open[place], Some(severity)),
                    State::Reminder => prop_assert!(false, "nobody asked for it"),
                }
            }
            // What is wrong by now is told, but for what flaps; what is not is over.
            for place in 0..3 {
                match severities[place] {
                    None => prop_assert_eq!(open[place], None),
                    Some(is) => prop_assert!(
                        open[place] >= Some(is) || ended[place].is_some_and(|end| minute - end < 10)
                    ),
                }
            }
        }
    }
}
