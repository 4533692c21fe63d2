//! In which steps a certificate reaches its targets, and how long each is watched. Pure.
//!
//! An untested good certificate is better than a certain expiry: whatever the settings say, all
//! soaks together take no more than a third of what the old certificate has left, and when the
//! deadline has come nothing is waited for any more.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;

/// How the operator wants it to be rolled out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Settings {
    /// One after the other; empty for the default.
    pub(crate) waves: Vec<Wave>,
    /// The longest a rollout may take.
    pub(crate) deadline: Option<Duration>,
    /// Until then nothing is deployed.
    pub(crate) freeze_until: Option<Timestamp>,
}

/// Part of a rollout that goes together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Wave {
    /// Labels of targets; empty for all that are not served by it yet.
    pub(crate) targets: Vec<String>,
    /// The share of those that can split their traffic; the others wait for a wave without.
    pub(crate) percent: Option<u8>,
    pub(crate) soak: Option<Duration>,
    /// Whether a person has to say that it may go on.
    pub(crate) approve: bool,
}

/// What is to be known of a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) label: String,
    /// Whether it can give a part of its clients the new certificate.
    pub(crate) splits: bool,
    /// Whether it goes with the last wave unless one lists it.
    pub(crate) last: bool,
}

/// One step: what is activated, to which share, and how long it is watched before the next.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Step {
    pub(crate) targets: Vec<String>,
    /// From 1 to 100.
    pub(crate) percent: u8,
    pub(crate) soak: Duration,
    pub(crate) approve: bool,
}

impl Step {
    pub(crate) fn is_whole(&self) -> bool {
        self.percent == 100
    }

    pub(crate) fn of(targets: Vec<String>, percent: u8, soak: Duration) -> Self {
        Self { targets, percent, soak, approve: false }
    }
}

/// How long a wave is watched unless the settings say otherwise.
const SOAK: Duration = Duration::from_secs(10);
/// The same where only a share of the clients sees the new certificate: they have to come by.
const CANARY_SOAK: Duration = Duration::from_secs(60);
/// The shares a target that can split goes through.
const CANARY: [u8; 2] = [5, 50];
/// The part of the old certificate's remaining life that a rollout may take.
const SHARE: u32 = 3;

/// The steps of a rollout over these targets, in their order; at least one.
///
/// `left` is what the old certificate has left; `None` where there is none, so that there is nothing
/// to go back to and nothing to wait for.
pub(crate) fn steps(places: &[Place], settings: &Settings, left: Option<Duration>) -> Vec<Step> {
    let all = || places.iter().map(|place| place.label.clone()).collect();
    let Some(left) = left else { return vec![Step::of(all(), 100, Duration::ZERO)] };
    let mut steps =
        if settings.waves.is_empty() { by_default(places) } else { as_wished(places, settings) };
    if steps.is_empty() {
        steps.push(Step::of(Vec::new(), 100, Duration::ZERO));
    }
    let sum: Duration = steps.iter().map(|step| step.soak).sum();
    if sum > left / SHARE {
        let scale = (left / SHARE).as_secs_f64() / sum.as_secs_f64();
        for step in &mut steps {
            step.soak = step.soak.mul_f64(scale);
        }
    }
    steps
}

/// When a rollout that begins now must be over.
pub(crate) fn deadline(settings: &Settings, left: Option<Duration>, now: Timestamp) -> Timestamp {
    let longest = left.map_or(Duration::ZERO, |left| left / SHARE);
    now.plus(settings.deadline.map_or(longest, |wished| wished.min(longest)))
}

/// First one, then half of them, then all; each that can split its traffic by and by.
fn by_default(places: &[Place]) -> Vec<Step> {
    let servers: Vec<&Place> = places.iter().filter(|place| !place.last).collect();
    let mut bounds = vec![1, servers.len().div_ceil(2), servers.len()];
    bounds.retain(|bound| *bound <= servers.len());
    bounds.dedup();
    let (mut steps, mut from) = (Vec::new(), 0);
    for to in bounds {
        let group = &servers[from..to];
        let splits: Vec<String> =
            group.iter().filter(|place| place.splits).map(|place| place.label.clone()).collect();
        if !splits.is_empty() {
            let part = |percent| Step::of(splits.clone(), percent, CANARY_SOAK);
            steps.extend(CANARY.map(part));
        }
        if !group.is_empty() {
            let labels = group.iter().map(|place| place.label.clone()).collect();
            steps.push(Step::of(labels, 100, SOAK));
        }
        from = to;
    }
    finish(places, &mut steps);
    if let Some(last) = steps.last_mut() {
        last.soak = Duration::ZERO;
    }
    steps
}

fn as_wished(places: &[Place], settings: &Settings) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for wave in &settings.waves {
        let percent = wave.percent.unwrap_or(100);
        let listed = |place: &&Place| match wave.targets.as_slice() {
            [] => !place.last && reached(&steps, &place.label) < percent,
            labels => labels.contains(&place.label),
        };
        let chosen = places.iter().filter(listed).filter(|place| percent == 100 || place.splits);
        let targets: Vec<String> = chosen.map(|place| place.label.clone()).collect();
        let usual = if percent == 100 { SOAK } else { CANARY_SOAK };
        let step = Step::of(targets, percent, wave.soak.unwrap_or(usual));
        steps.push(Step { approve: wave.approve, ..step });
    }
    steps.retain(|step| !step.targets.is_empty());
    finish(places, &mut steps);
    steps
}

/// What no step activates wholly goes with the last whole one; the last asks nobody.
fn finish(places: &[Place], steps: &mut Vec<Step>) {
    let left = places.iter().filter(|place| reached(steps, &place.label) < 100);
    let left: Vec<String> = left.map(|place| place.label.clone()).collect();
    let is_only_last = places.iter().filter(|place| left.contains(&place.label)).all(|p| p.last);
    match steps.last_mut() {
        _ if left.is_empty() => {}
        Some(last) if last.is_whole() && is_only_last && !last.approve => last.targets.extend(left),
        _ => steps.push(Step::of(left, 100, Duration::ZERO)),
    }
    if let Some(last) = steps.last_mut() {
        last.approve = false;
    }
}

/// The share a target has reached by these steps.
fn reached(steps: &[Step], label: &str) -> u8 {
    let its = steps.iter().filter(|step| step.targets.iter().any(|target| target == label));
    its.map(|step| step.percent).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONG: Option<Duration> = Some(Duration::from_secs(80 * 3600));

    /// Letters are servers, those in capitals can split, digits are hooks.
    fn places(text: &str) -> Vec<Place> {
        let place = |sign: char| Place {
            label: sign.to_string(),
            splits: sign.is_ascii_uppercase(),
            last: sign.is_ascii_digit(),
        };
        text.chars().map(place).collect()
    }

    fn told(steps: &[Step]) -> String {
        let told = steps.iter().map(|step| {
            let share = if step.is_whole() { String::new() } else { format!("@{}", step.percent) };
            let approve = if step.approve { "?" } else { "" };
            format!("{}{share}:{}{approve}", step.targets.concat(), step.soak.as_secs())
        });
        told.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn by_default_first_half_all() {
        let table = [
            ("", ":0"),
            ("12", "12:0"),
            ("a", "a:0"),
            ("a1", "a1:0"),
            ("ab", "a:10 b:0"),
            ("abc", "a:10 b:10 c:0"),
            ("abcdefg12", "a:10 bcd:10 efg12:0"),
            ("A", "A@5:60 A@50:60 A:0"),
            ("Ab1", "A@5:60 A@50:60 A:10 b1:0"),
            ("aB", "a:10 B@5:60 B@50:60 B:0"),
        ];
        for (text, expected) in table {
            let steps = steps(&places(text), &Settings::default(), LONG);
            assert_eq!(told(&steps), expected, "{text}");
        }
    }

    #[test]
    fn as_the_operator_wishes() {
        let wave = |targets: &str, percent, soak| Wave {
            targets: targets.chars().map(String::from).collect(),
            percent,
            soak: Some(Duration::from_secs(soak)),
            approve: false,
        };
        let table = [
            ("ab1", vec![wave("b", None, 60)], "b:60 a1:0"),
            ("ab", vec![wave("", None, 60)], "ab:60"),
            ("Ab", vec![wave("", Some(10), 30), wave("A", None, 5)], "A@10:30 A:5 b:0"),
            ("ab", vec![wave("x", None, 60)], "ab:0"),
            ("ab", vec![wave("", Some(10), 60)], "ab:0"),
            ("a1", vec![wave("1", None, 60), wave("", None, 9)], "1:60 a:9"),
        ];
        for (text, waves, expected) in table {
            let settings = Settings { waves, ..Settings::default() };
            assert_eq!(told(&steps(&places(text), &settings, LONG)), expected, "{text}");
        }
        let asked = Wave { approve: true, ..wave("a", None, 60) };
        let settings = Settings { waves: vec![asked], ..Settings::default() };
        assert_eq!(told(&steps(&places("ab"), &settings, LONG)), "a:60? b:0");
        assert_eq!(told(&steps(&places("ab"), &settings, None)), "ab:0", "nothing to go back to");
        assert_eq!(
            told(&steps(&places("ab"), &settings, Some(Duration::from_secs(90)))),
            "a:30? b:0"
        );
    }

    #[test]
    fn deadlines() {
        let now = Timestamp::from_unix(1_800_000_000);
        let minutes = |count: u64| Duration::from_secs(count * 60);
        let wished = |count| Settings { deadline: Some(minutes(count)), ..Settings::default() };
        for (settings, left, expected) in [
            (Settings::default(), Some(minutes(90)), 30),
            (wished(10), Some(minutes(90)), 10),
            (wished(100), Some(minutes(90)), 30),
            (wished(100), None, 0),
        ] {
            assert_eq!(deadline(&settings, left, now), now.plus(minutes(expected)));
        }
    }

    fn any_wave() -> impl Strategy<Value = Wave> {
        let targets = proptest::collection::vec("[a-dA-D1-2x]", 0..3);
        let percent = proptest::option::of(1..=100_u8);
        let soak = proptest::option::of((0..100_000_u64).prop_map(Duration::from_secs));
        (targets, percent, soak, any::<bool>()).prop_map(|(targets, percent, soak, approve)| Wave {
            targets,
            percent,
            soak,
            approve,
        })
    }

    proptest! {
        #[test]
        fn every_target_ends_with_all_of_it_and_in_time(
            text in "[a-d]{0,3}[A-D]{0,2}[12]{0,2}",
            waves in proptest::collection::vec(any_wave(), 0..4),
            left in 0..1_000_000_u64,
        ) {
            let mut places = places(&text);
            places.dedup();
            let (settings, left) = (Settings { waves, ..Settings::default() }, Duration::from_secs(left));
            let steps = steps(&places, &settings, Some(left));
            prop_assert!(!steps.is_empty());
            for place in &places {
                prop_assert_eq!(reached(&steps, &place.label), 100);
            }
            let splits = |label: &String| places.iter().any(|p| p.label == *label && p.splits);
            for step in &steps {
                prop_assert!(step.is_whole() || step.targets.iter().all(splits));
            }
            let sum: Duration = steps.iter().map(|step| step.soak).sum();
            prop_assert!(sum <= left / SHARE + Duration::from_millis(1));
            prop_assert!(!steps.last().unwrap().approve);
        }
    }
}
