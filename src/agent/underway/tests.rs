use std::time::Duration;

use super::*;
use crate::certificate::KeyType;
use crate::model::generation::{Generation, SnapshotId};
use crate::model::proof::Proof;
use crate::model::time::Validity;
use crate::schedule::rollout::Step;
use crate::store::archive::Meta;
use crate::store::journal::Rollout;

fn at(hours: u64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000).plus(Duration::from_secs(hours * 3600))
}

/// A rollout of generation 2 in its first step of two.
fn intent(change: impl FnOnce(&mut Rollout)) -> Intent {
    let step = |target: &str, percent, approve| Step {
        targets: vec![target.to_owned()],
        percent,
        soak: Duration::from_secs(3600),
        approve,
    };
    let steps = vec![step("web", 5, true), step("mail", 100, false)];
    let mut rollout = Rollout { steps, ..Rollout::default() };
    change(&mut rollout);
    let snapshot = SnapshotId::parse("20270115T080000Z-1").expect("an id");
    Intent { to: Generation::new(2).unwrap(), from: Some(Generation::FIRST), snapshot, rollout }
}

/// What is found 10 hours after the beginning of a life of 160.
fn found(standing: &Standing, settings: &CertSettings) -> Vec<(Severity, String, bool)> {
    let mut findings = Findings::about("a");
    let name = CertName::parse("a").unwrap();
    judge(&name, standing, settings, at(10), &mut findings);
    let told = findings.found.into_iter();
    told.map(|one| (one.severity, one.message, one.hint.is_some())).collect()
}

fn standing() -> Standing {
    let meta = Meta {
        identifiers: Vec::new(),
        ca: "x".to_owned(),
        profile: None,
        account_url: String::new(),
        order_url: String::new(),
        issued_at: at(0),
        validity: Validity { not_before: at(0), not_after: at(160) },
        fingerprint: String::new(),
        ari_id: None,
        serial: "01".to_owned(),
        key_type: KeyType::default().as_str().to_owned(),
        proof: Proof::default(),
    };
    let live = Some((Generation::FIRST, meta));
    Standing { newest: live.clone(), live, ..Standing::default() }
}

#[test]
fn a_rollout_in_words() {
    let soaking = |until: u64| move |rollout: &mut Rollout| rollout.soak_until = Some(at(until));
    let table = [
        (intent(|_| {}), "step 1 of 2 (web at 5 %) is under way", false),
        (
            intent(soaking(11)),
            "step 1 of 2 (web at 5 %) is watched until 2027-01-15T19:00:00Z (in 1 h)",
            false,
        ),
        (intent(soaking(9)), "step 1 of 2 (web at 5 %) waits to be approved", true),
        (
            intent(|rollout| (rollout.soak_until, rollout.approved) = (Some(at(9)), true)),
            "step 1 of 2 (web at 5 %) was watched for long enough",
            true,
        ),
        (
            intent(|rollout| (rollout.soak_until, rollout.at) = (Some(at(9)), 1)),
            "step 2 of 2 (mail) was watched for long enough",
            true,
        ),
        (
            intent(|rollout| rollout.back = Some("it hurt".to_owned())),
            "is being undone: it hurt",
            false,
        ),
    ];
    for (intent, words, goes_on_by_hand) in table {
        assert_eq!(progress(&intent, at(10)), words);
        let mut standing = standing();
        standing.facts.intent = Some(intent);
        let text = format!("generation 2: {words}");
        let expected = [(Severity::Warning, text, goes_on_by_hand)];
        assert_eq!(found(&standing, &CertSettings::default()), expected);
    }
}

#[test]
fn what_holds_it_back() {
    assert_eq!(found(&standing(), &CertSettings::default()), []);
    let mut halted = standing();
    halted.facts.halted = Some(at(1));
    let [(severity, _, hinted)] = found(&halted, &CertSettings::default()).try_into().unwrap();
    assert_eq!((severity, hinted), (Severity::Critical, true));

    let until = |hours| {
        let mut settings = CertSettings::default();
        settings.rollout.freeze_until = Some(at(hours));
        found(&standing(), &settings)
    };
    assert_eq!(until(10), [], "it is over");
    assert_eq!(until(100)[0].0, Severity::Ok);
    let (severity, text, _) = &until(159)[0];
    assert_eq!(*severity, Severity::Warning, "it cannot be kept: {text}");
}
