use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::model::challenge::ChallengeKind;
use crate::model::event::Phase;
use crate::model::name::{CertName, Identifier};
use crate::model::time::Timestamp;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a log wrote of these events, as text.
fn text(loudness: Loudness, write: impl FnOnce(&Log)) -> String {
    let written = Written::default();
    let to = written.clone();
    write(&Log::json(loudness, BoxMakeWriter::new(move || to.clone())));
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn name() -> CertName {
    CertName::parse("a.example").unwrap()
}

const HOSTILE: &str = "no\n{\"level\":\"INFO\"}\r\u{1b}[2J\u{9b}31m\0\"\\";

fn challenge(failed: Option<&str>) -> Event {
    Event::ChallengeEnded {
        name: name(),
        identifier: Identifier::parse("a.example").unwrap(),
        kind: ChallengeKind::Http01,
        took: Duration::from_millis(31),
        failed: failed.map(str::to_owned),
    }
}

fn number(number: u32) -> Generation {
    Generation::new(number).unwrap()
}

fn seen(problem: Option<&str>) -> Event {
    let sighting = Sighting {
        place: "a.example at 192.0.2.1:443".to_owned(),
        serves: problem.is_none(),
        problem: problem.map(str::to_owned),
        took: Some(Duration::from_millis(4)),
        took_before: None,
    };
    Event::Seen { name: name(), generation: number(3), sighting }
}

/// Each event with what must stand in its line.
fn table() -> Vec<(Event, Value)> {
    [of_an_order(), of_a_deploy(), of_the_rest()].concat()
}

fn of_an_order() -> Vec<(Event, Value)> {
    let (phase, took) = (Phase::Acquire, Duration::from_millis(412));
    vec![
        (
            Event::PhaseEnded { name: name(), phase, took },
            json!({"level": "INFO", "event": "phase_ended", "phase": "acquire", "elapsed_ms": 412,
                   "message": "a.example: acquire took 412 ms"}),
        ),
        (
            Event::PhaseStarted { name: name(), phase },
            json!({"level": "DEBUG", "phase": "acquire"}),
        ),
        (
            challenge(None),
            json!({"level": "INFO", "event": "challenge_ended", "challenge": "http-01",
                   "identifier": "a.example", "elapsed_ms": 31}),
        ),
        (challenge(Some(HOSTILE)), json!({"level": "WARN", "challenge": "http-01"})),
        (
            Event::Issued {
                name: name(),
                generation: number(3),
                ca: "letsencrypt".to_owned(),
                fingerprint: "f".repeat(64),
                key: "0".repeat(64),
                not_after: Timestamp::from_unix(1_800_000_000),
                exempt: true,
            },
            json!({"level": "INFO", "event": "issued", "generation": 3, "ca": "letsencrypt",
                   "fingerprint": "f".repeat(64), "key": "0".repeat(64), "exempt": true,
                   "not_after": "2027-01-15T08:00:00Z"}),
        ),
    ]
}

fn of_a_deploy() -> Vec<(Event, Value)> {
    let took = Duration::from_millis(412);
    vec![
        (
            Event::Switched {
                name: name(),
                from: None,
                to: number(3),
                fingerprint: "f".repeat(64),
            },
            json!({"event": "switched", "generation": 3, "fingerprint": "f".repeat(64)}),
        ),
        (
            Event::Activated {
                name: name(),
                target: HOSTILE.to_owned(),
                generation: number(3),
                took,
                lag: Duration::from_secs(2),
            },
            json!({"event": "activated", "generation": 3, "elapsed_ms": 412, "lag_seconds": 2}),
        ),
        (seen(None), json!({"level": "INFO", "event": "seen", "serves": true, "elapsed_ms": 4})),
        (seen(Some(HOSTILE)), json!({"level": "WARN", "event": "seen", "serves": false})),
        (
            Event::Counted { name: name(), traffic: Traffic::default() },
            json!({"event": "counted", "completed": 0, "refused_before": 0}),
        ),
        (
            Event::RevocationSeen { name: name(), state: "revoked" },
            json!({"level": "ERROR", "event": "revocation", "state": "revoked"}),
        ),
    ]
}

fn of_the_rest() -> Vec<(Event, Value)> {
    let ended = |ended, failing| Event::RunEnded { name: name(), ended, failing };
    let failing = Failing { kind: "dns", message: HOSTILE.to_owned() };
    vec![
        (
            Event::Decided { name: name(), what: "pinned", text: "at generation 3".to_owned() },
            json!({"event": "decided", "decision": "pinned"}),
        ),
        (
            Event::Recorded { name: name(), seq: 7, hash: "f".repeat(64) },
            json!({"level": "INFO", "event": "recorded", "seq": 7, "hash": "f".repeat(64)}),
        ),
        (Event::Measured { name: name(), text: HOSTILE.to_owned() }, json!({"level": "DEBUG"})),
        (Event::Noticed { name: name(), text: HOSTILE.to_owned() }, json!({"level": "WARN"})),
        (
            ended(Ended::Retry, Some(failing)),
            json!({"level": "WARN", "event": "run_ended", "outcome": "retry", "kind": "dns"}),
        ),
        (ended(Ended::NotDue, None), json!({"level": "DEBUG", "outcome": "not_due"})),
        (ended(Ended::Renewed, None), json!({"level": "INFO", "outcome": "renewed"})),
    ]
}

#[test]
fn every_event_is_one_line_with_its_facts() {
    for (event, expected) in table() {
        let shown = format!("{event:?}");
        let written = text(Loudness::More, |log| log.note(event));
        let [line] = lines(&written).try_into().unwrap_or_else(|all| panic!("{all:?}"));
        assert_eq!(written.lines().count(), 1, "{shown}");
        assert!(!written.trim_end().chars().any(char::is_control), "{written:?}");
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&line[key], value, "{key} of {line}");
        }
        let at = line["timestamp"].as_str().unwrap();
        assert!(Timestamp::parse(at).is_some(), "{at}");
        let about = line["event"] == "recorded" || line["certificate"] == "a.example";
        assert!(about && line["message"].is_string(), "{line}");
    }
}

#[test]
fn loudness() {
    let told = |loudness| {
        let written = text(loudness, |log| {
            for (event, _) in table() {
                log.note(event);
            }
        });
        let levels = lines(&written).into_iter().map(|line| line["level"].clone());
        levels.collect::<Vec<_>>()
    };
    assert_eq!(told(Loudness::Errors), ["ERROR"]);
    assert!(!told(Loudness::Usual).contains(&"DEBUG".into()));
    assert_eq!(told(Loudness::More).len(), table().len());
}

#[test]
fn others_that_log_do_not_come_in() {
    let written = text(Loudness::More, |log| {
        tracing::error!(target: "hyper", "noise");
        log.say("heard");
        tracing::error!(target: "hickory", "noise");
    });
    let [line] = lines(&written).try_into().unwrap();
    assert_eq!((&line["level"], &line["message"]), (&"INFO".into(), &"heard".into()));
}

#[test]
fn a_failure_has_its_causes_and_hints() {
    let written = text(Loudness::Errors, |log| {
        log.say("not told");
        log.fail(&Failed {
            certificate: Some("a.example"),
            exit: "RETRY",
            message: "the order failed",
            causes: &[HOSTILE.to_owned(), "b".to_owned()],
            hints: &["wait".to_owned()],
            standing: &[("live", "generation 1".to_owned())],
            retry_at: Some("2027-01-15T08:00:00Z".to_owned()),
            see: "man acmeagent-recovery, 3 RETRY".to_owned(),
        });
    });
    let [line] = lines(&written).try_into().unwrap();
    let expected = json!({"level": "ERROR", "event": "failure", "certificate": "a.example",
        "exit": "RETRY", "hints": "wait", "standing": "live: generation 1",
        "retry_at": "2027-01-15T08:00:00Z", "see": "man acmeagent-recovery, 3 RETRY"});
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&line[key], value, "{key} of {line}");
    }
    assert!(line["causes"].as_str().unwrap().ends_with("; b"), "{line}");
    let message = line["message"].as_str().unwrap();
    assert!(message.starts_with("a.example: the order failed: no\n"), "{line}");
}
