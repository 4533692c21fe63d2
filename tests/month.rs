//! A month of renewals, step by step, under a clock that is moved.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::need;
use crate::support::agent::Agent;
use crate::support::ca::Ca;
use crate::support::clock::Clock;

const NAME: &str = "127.0.0.1";

/// What a run of days came to.
#[derive(Debug, Default)]
struct Month {
    runs: usize,
    renewals: u64,
    exempt: u64,
    /// Exit codes and how often each was seen.
    codes: BTreeMap<i32, usize>,
    /// The shares of its life each certificate had behind it when it was replaced.
    ages: Vec<f64>,
}

fn time(value: &Value) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap().to_utc()
}

/// The state of the one certificate: when it began, when it ends, when it is to be renewed.
fn standing(agent: &Agent) -> [DateTime<Utc>; 3] {
    let (_, document) = agent.json(&["status"]);
    let line = &document["certificates"][0];
    [&line["not_before"], &line["not_after"], &line["next_renewal"]["at"]].map(time)
}

/// Runs every few hours, and at the instants the agent plans to renew at.
fn pass(agent: &Agent, clock: &Clock, days: i64, cadence: TimeDelta) -> Month {
    let mut month = Month::default();
    let end = clock.now() + TimeDelta::days(days);
    while clock.now() < end {
        let [not_before, not_after, planned] = standing(agent);
        let next = clock.now() + cadence;
        clock.advance_to(if planned > clock.now() { next.min(planned) } else { next });
        assert!(clock.now() < not_after, "expired: {month:?}");
        let (ran, document) = agent.json(&["renew"]);
        month.runs += 1;
        *month.codes.entry(ran.code).or_default() += 1;
        for line in document["certificates"].as_array().unwrap() {
            if line["outcome"] == "renewed" {
                let life = (not_after - not_before).num_seconds() as f64;
                month.ages.push((clock.now() - not_before).num_seconds() as f64 / life);
                month.renewals += 1;
                month.exempt += u64::from(line["ari_exempt"] == true);
            }
        }
    }
    month
}

fn certified(clock: &Clock, behaviour: &str) -> (Ca, Agent) {
    let ca = Ca::by(clock, behaviour);
    let agent = ca.limited_agent().by(clock);
    agent.run(&["issue", "-d", NAME]).exits(0);
    (ca, agent)
}

/// Retry-After is six hours, the window three: it is hit because its instant is stored.
#[test]
fn every_renewal_of_a_month_is_inside_its_window_in_spite_of_an_outage() {
    need!("faketime", "curl");
    let clock = Clock::right();
    let time = |days| (clock.now() + TimeDelta::days(days)).format("%Y-%m-%dT%H:%M:%SZ");
    let outage = format!("[[outage]]\nfrom = \"{}\"\nto = \"{}\"\n", time(9), time(11));
    let (ca, agent) = certified(&clock, &format!("limits = \"letsencrypt\"\n{outage}"));
    let month = pass(&agent, &clock, 31, TimeDelta::hours(6));
    println!("{month:?}");
    let orders = 1 + month.renewals;
    assert_eq!((ca.asked(NAME), ca.orders(NAME) as u64), (orders, orders), "no order was refused");
    assert_eq!(ca.issued() as u64, orders, "every order came to a certificate");
    assert!((8..=10).contains(&month.renewals), "{month:?}");
    assert_eq!(month.exempt, month.renewals - 1, "all but the one the outage held up: {month:?}");
    assert!(month.ages.iter().all(|age| *age < 0.8), "{month:?}");
    // Every run in those two days says that the renewal fails, and none later.
    assert_eq!(month.codes.keys().collect::<Vec<_>>(), [&0, &3], "{month:?}");
    assert!(month.codes[&3] <= 12, "{month:?}");
}

/// Where others renew a day or thirty before the end, whatever the life is.
#[test]
fn without_advice_half_of_a_short_life_is_never_passed() {
    need!("faketime", "curl");
    let clock = Clock::right();
    let (ca, agent) = certified(&clock, "limits = \"letsencrypt\"\nari = false\n");
    let month = pass(&agent, &clock, 31, TimeDelta::hours(6));
    println!("{month:?}");
    assert_eq!(ca.asked(NAME), 1 + month.renewals);
    assert_eq!(month.exempt, 0);
    for age in &month.ages {
        assert!((0.48..=0.501).contains(age), "{month:?}");
    }
}
