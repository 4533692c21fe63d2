//! The limits of CAs: what is not asked because of them, and what a CA's refusal teaches.

use std::fs;
use std::time::Instant;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::json::Schema;
use crate::need;
use crate::support::agent::Agent;
use crate::support::ca::Ca;
use crate::support::clock::Clock;
use crate::support::wait_for;

const NAME: &str = "a.example";

/// Wants the certificate as a timer finds it: by its settings alone.
fn want(ca: &Ca, agent: &Agent, name: &str) {
    agent.run(&["status"]).exits(0);
    fs::create_dir_all(agent.path("certificates")).unwrap();
    let path = agent.path(&format!("certificates/{name}.toml"));
    let port = ca.http_port;
    let text = format!(
        "identifiers = [{name:?}]\nca = [\"corp\"]\nchallenge = {{ http-01-port = {port} }}\n"
    );
    fs::write(path, text).unwrap();
}

/// Becomes a customer of the CA, which a timer may not: nobody is there to agree to its terms.
fn registered(ca: &Ca, agent: &Agent) {
    let register = ["account", "register", "--ca", "corp", "--agree-tos"];
    agent.run(&register).exits(0);
    assert_eq!(ca.requests("new-account"), 1);
}

/// Starts it over and over, each time killed as soon as the CA has taken the order it sent.
fn crash_loop(ca: &Ca, agent: &Agent, args: &[&str], rounds: usize) {
    for _ in 0..rounds {
        let before = ca.asked(NAME);
        let mut run = agent.spawn(args);
        wait_for("an order, or none to be sent", || run.has_ended() || ca.asked(NAME) > before);
        run.end();
    }
}

/// Every answer to newOrder comes a byte in ten seconds, so that it is never known what was opened.
const UNANSWERED: &str = "limits = \"letsencrypt\"\n\
    [[outage]]\npaths = [\"new-order\"]\nanswer = \"drip\"\n";

#[test]
fn two_hundred_crashes_after_new_order_cost_what_is_budgeted_for_an_unknown_ca() {
    need!("curl");
    let ca = Ca::behaving(&UNANSWERED.replace("limits = \"letsencrypt\"", ""));
    let agent = ca.limited_agent();
    let main = agent.read("acmeagent.toml").replace("limits = \"letsencrypt\"\n", "");
    fs::write(agent.path("acmeagent.toml"), main).unwrap();
    registered(&ca, &agent);
    want(&ca, &agent, NAME);
    let began = Instant::now();
    crash_loop(&ca, &agent, &["renew"], 200);
    // One is given back every five minutes.
    let most = 20 + began.elapsed().as_secs() / 300;
    assert!((20..=most).contains(&ca.asked(NAME)), "{} of {most}", ca.asked(NAME));
    let ran = agent.run(&["renew"]).exits(3);
    ran.says(&["it allows 20", "all used", "the next at"]);
}

#[test]
fn crashes_leave_one_order_of_lets_encrypts_five_for_whoever_asks_by_hand() {
    need!("curl");
    let ca = Ca::behaving(UNANSWERED);
    let agent = ca.limited_agent();
    registered(&ca, &agent);
    want(&ca, &agent, NAME);
    crash_loop(&ca, &agent, &["renew"], 15);
    assert_eq!(ca.asked(NAME), 4);
    let kept = "it allows 5 certificates for exactly these names in 7 d, all used but the one kept for an emergency";
    agent.run(&["renew"]).exits(3).says(&[kept]);
    crash_loop(&ca, &agent, &["renew", NAME], 10);
    assert_eq!(ca.asked(NAME), 5);
    agent.run(&["renew", NAME]).exits(3).says(&["in 7 d, all used: the next at"]);
}

#[test]
fn an_order_that_is_known_is_taken_up_however_often_it_is_cut_off() {
    need!("curl", "openssl");
    let ca =
        Ca::behaving("[[outage]]\npaths = [\"authorization\"]\nanswer = \"hang\"\ncount = 30\n");
    let agent = ca.limited_agent();
    registered(&ca, &agent);
    want(&ca, &agent, NAME);
    for _ in 0..30 {
        let before = ca.requests("authorization");
        let mut run = agent.spawn(&["renew"]);
        wait_for("the order to be looked at", || ca.requests("authorization") > before);
        run.end();
    }
    agent.run(&["renew"]).exits(0).shows(&["issued generation 1"]);
    agent.assert_live_pair(NAME);
    assert_eq!((ca.asked(NAME), ca.issued()), (1, 1));
}

/// The first of what failed in a document.
fn error(document: &Value) -> &Value {
    &document["certificates"][0]["error"]
}

/// The plan for one certificate.
fn plan(agent: &Agent, name: &str) -> Value {
    let (ran, document) = agent.json(&["renew", "--plan", name]);
    ran.exits(0);
    document["plan"][0].clone()
}

/// What is left of one limit, going by a plan.
fn left(plan: &Value, limit: &str) -> Option<u64> {
    let limits = plan["limits"].as_array().unwrap();
    limits.iter().find(|one| one["limit"] == limit)?["left"].as_u64()
}

#[test]
fn thirty_forced_renewals_meet_no_refusal() {
    need!("curl");
    let ca = Ca::behaving("limits = \"letsencrypt\"");
    let agent = ca.limited_agent();
    for name in [NAME, "b.example"] {
        agent.run(&["issue", "-d", name]).exits(0);
    }
    let untouched = plan(&agent, "b.example");
    let codes: Vec<i32> = (0..30).map(|_| agent.run(&["renew", "--force", NAME]).code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 3, "{codes:?}");
    assert!(codes.iter().all(|code| [0, 3].contains(code)), "{codes:?}");
    assert_eq!((ca.asked(NAME), ca.orders(NAME)), (4, 4), "nothing was refused");
    let (ran, document) = agent.json(&["renew", "--force", NAME]);
    let ran = ran.exits(3);
    let error = error(&document);
    let message = error["message"].as_str().unwrap();
    let sum = "the CA corp is not asked: it allows 5 certificates for exactly these names in 7 d, \
               all used but the one kept for an emergency: the next at ";
    assert!(message.starts_with(sum), "{ran:?}");
    assert!(error["retry_at"].is_string(), "{ran:?}");
    assert_eq!(document["certificates"][0]["generation"], 4, "what is served stays");
    assert_eq!(plan(&agent, "b.example")["limits"], untouched["limits"]);
    agent.run(&["renew", "--force", "b.example"]).exits(0);
}

#[test]
fn what_the_ledger_forgot_the_ca_teaches_and_it_holds_up_no_others() {
    need!("curl");
    let ca = Ca::behaving("limits = \"letsencrypt\"");
    let agent = ca.limited_agent();
    for name in [NAME, "b.example"] {
        agent.run(&["issue", "-d", name]).exits(0);
    }
    for _ in 0..4 {
        let _ = agent.run(&["renew", "--force", NAME]);
        fs::remove_file(agent.path("state/ledger")).unwrap();
    }
    assert_eq!((ca.asked(NAME), ca.orders(NAME)), (5, 5));
    let force = ["renew", "--force", NAME];
    agent.run(&force).exits(3).says(&["the CA limits requests until", "exact set of identifiers"]);
    assert_eq!((ca.asked(NAME), ca.orders(NAME)), (6, 5), "refused, for once");
    let taught = "it wants no more certificates for exactly these names before";
    for _ in 0..3 {
        agent.run(&force).exits(3).says(&[taught]);
    }
    assert_eq!(ca.asked(NAME), 6);
    agent.run(&["renew", "--force", "b.example"]).exits(0);
    agent.run(&["issue", "-d", &format!("{NAME},c.example")]).exits(0);
}

#[test]
fn a_ca_that_is_busy_is_left_alone_until_it_said() {
    need!("curl", "faketime");
    let clock = Clock::right();
    let busy = "[[outage]]\npaths = [\"new-order\"]\ncount = 1\nretry_after = \"1h\"\n";
    let ca = Ca::by(&clock, busy);
    let agent = ca.limited_agent().by(&clock);
    registered(&ca, &agent);
    for name in [NAME, "b.example", "c.example"] {
        want(&ca, &agent, name);
    }
    agent.run(&["renew", "--jobs", "1"]).exits(3).says(&["the CA is unavailable"]);
    assert_eq!(ca.requests("new-order"), 1, "the others were not even tried");
    clock.advance(TimeDelta::minutes(50));
    agent.run(&["renew"]).exits(3).says(&["it wants no more requests before"]);
    assert_eq!(ca.requests("new-order"), 1);
    clock.advance(TimeDelta::minutes(11));
    agent.run(&["renew"]).exits(0);
    assert_eq!((ca.requests("new-order"), ca.issued()), (4, 3));
}

#[test]
fn a_plan_tells_what_would_be_taken_and_takes_nothing() {
    need!("curl", "faketime");
    let (clock, schema) = (Clock::right(), Schema::new());
    let ca = Ca::by(&clock, "limits = \"letsencrypt\"");
    let agent = ca.limited_agent().by(&clock);
    agent.run(&["renew", "--plan"]).exits(0).shows(&["no certificates yet"]);
    agent.run(&["issue", "-d", NAME, "--profile", "shortlived"]).exits(0);
    agent.run(&["renew"]).exits(0);
    let state = || {
        (agent.files(), agent.facts(NAME), agent.read("state/ledger"), agent.read("state/index"))
    };
    let before = state();
    let (ran, document) = agent.json(&["renew", "--plan"]);
    ran.exits(0);
    schema.holds(&document);
    let told = &document["plan"][0];
    let expected = json!({
        "name": NAME, "action": "order", "ca": "corp", "ari_exempt": true,
        "ari_exempt_reason": "inside its window", "blocked": null,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&told[key], value, "{document}");
    }
    assert_eq!(told["at"], agent.facts(NAME)["next_renewal"]["at"]);
    assert!(told["reason"].as_str().unwrap().starts_with("the CA suggests "), "{document}");
    assert_eq!(left(told, "exact_set"), Some(4), "{document}");
    assert_eq!(left(told, "orders"), None, "an exempt order takes none: {document}");
    assert!(told["attempts_before_expiry"].as_u64().unwrap() > 10, "{document}");
    let ran = agent.run(&["renew", "--plan", NAME]).exits(0);
    ran.shows(&[
        NAME,
        "order",
        "the CA suggests",
        "corp; exempt from its limits: inside its window",
        "1 of 4 left of 5 certificates for exactly these names in 7 d",
        "attempts",
    ]);
    assert_eq!(state(), before, "nothing is written");
    assert_eq!(ca.asked(NAME), 1);
    // What stands against an order now, and what its being late costs.
    for _ in 0..3 {
        agent.run(&["renew", "--force"]).exits(0);
    }
    let path = agent.path("certificates/a.example.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text.replace("p256", "p384")).unwrap();
    let told = plan(&agent, NAME);
    assert_eq!(
        (&told["ari_exempt"], &told["reason"]),
        (&json!(false), &json!("what is wanted has changed"))
    );
    assert_eq!(told["blocked"]["limit"], "exact_set", "{told}");
    agent
        .run(&["renew", "--plan"])
        .exits(0)
        .shows(&["counts against its limits", "blocked  until"]);
}

#[test]
fn a_pause_ends_by_hand_or_is_asked_about_once_a_day() {
    need!("curl", "faketime");
    let clock = Clock::right();
    let ca = Ca::by(&clock, "limits = \"letsencrypt\"");
    let agent = ca.limited_agent().by(&clock);
    for name in [NAME, "b.example"] {
        agent.run(&["issue", "-d", name, "--profile", "shortlived"]).exits(0);
    }
    ca.manage("pause", Some(json!({ "identifiers": [NAME, "b.example"] })));
    clock.advance(TimeDelta::hours(82));
    let refused = agent.run(&["renew"]).exits(2);
    assert!(!refused.stderr.contains("http"), "an address that is half a secret: {refused:?}");
    refused.says(&[
        "until a person has visited a page",
        "`acmeagent status`",
        "live: generation 1",
    ]);
    let status = agent.run(&["status"]).exits(0);
    status.shows(&["corp has paused a.example", "corp has paused b.example", "unpause?jwt="]);
    let asked = || (ca.asked(NAME), ca.asked("b.example"));
    assert_eq!(asked(), (2, 2));
    for _ in 0..3 {
        clock.advance(TimeDelta::hours(7));
        let told = agent.run(&["renew"]).exits(3);
        assert!(!told.stderr.contains("http"), "{told:?}");
        told.says(&["paused"]);
    }
    assert_eq!(asked(), (2, 2), "not once a pause is known");
    ca.manage("unpause", Some(json!({ "identifiers": [NAME, "b.example"] })));
    agent.run(&["renew", NAME]).exits(0).shows(&["issued generation 2"]);
    agent.run(&["status"]).exits(0).shows(&["corp has paused b.example"]);
    clock.advance(TimeDelta::hours(4));
    agent.run(&["renew"]).exits(0).shows(&["b.example: issued generation 2"]);
    assert_eq!(asked(), (3, 3));
    let status = agent.run(&["status"]).exits(0);
    assert!(!status.stdout.contains("paused"), "{status:?}");
}

/// The CA asks for each of them, and each replaces the same certificate.
#[test]
fn a_crash_loop_of_orders_that_cost_nothing_ends_as_well() {
    need!("curl", "faketime");
    let clock = Clock::right();
    let at = (clock.now() + TimeDelta::hours(1)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let unanswered = UNANSWERED.replace("answer", &format!("from = \"{at}\"\nanswer"));
    let ca = Ca::by(&clock, &unanswered);
    let agent = ca.limited_agent().by(&clock);
    agent.run(&["issue", "-d", NAME, "--profile", "shortlived"]).exits(0);
    let planned = agent.facts(NAME)["next_renewal"]["at"].as_str().unwrap().to_owned();
    clock.advance_to(planned.parse().unwrap());
    crash_loop(&ca, &agent, &["renew"], 15);
    assert_eq!(ca.asked(NAME), 1 + 5, "what the first took has come back since");
    agent.run(&["renew"]).exits(3).says(&["it allows 5", "live: generation 1"]);
}

#[test]
fn however_a_ca_says_when_to_come_back_it_is_within_a_day() {
    need!("curl", "faketime");
    for form in ["seconds", "date", "absent", "negative", "ten-years"] {
        let clock = Clock::right();
        let rate = "certificates_per_set = { burst = 1, per = \"30d\" }";
        let ca = Ca::by(&clock, &format!("retry_after = {form:?}\n[limits]\n{rate}\n"));
        let agent = ca.limited_agent().by(&clock);
        for name in [NAME, "b.example"] {
            agent.run(&["issue", "-d", name]).exits(0);
        }
        agent.run(&["renew", "--force", NAME]).exits(3);
        let facts = agent.facts(NAME);
        let retry_at = facts["last_failure"]["retry_at"].as_str().unwrap();
        let wait = retry_at.parse::<DateTime<Utc>>().unwrap() - clock.now();
        let bounds = TimeDelta::seconds(55)..=TimeDelta::hours(25);
        assert!(bounds.contains(&wait), "{form}: {wait}");
        assert!(form == "negative" || wait > TimeDelta::hours(23), "{form}: {wait}");
        agent.run(&["renew", "--force", NAME]).exits(3);
        assert_eq!(ca.asked(NAME), 2, "{form}");
        agent.run(&["issue", "-d", "c.example"]).exits(0);
    }
}

/// Whoever asks by hand may have ended the pause; what else the CA said still holds.
#[test]
fn a_pause_that_a_person_may_have_ended_hides_no_other_limit() {
    need!("curl");
    let ca = Ca::start();
    let agent = ca.limited_agent();
    agent.run(&["issue", "-d", NAME]).exits(0);
    let at =
        |hours| (Utc::now() + TimeDelta::hours(hours)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let paused = json!({
        "at": at(0), "ca": "corp", "what": "paused", "page": "https://ca.example/unpause",
        "identifier": {"type": "dns", "value": NAME},
    });
    let refused = json!({
        "at": at(0), "ca": "corp", "what": "refused", "scope": "ca", "until": at(1),
    });
    let ledger = agent.read("state/ledger") + &format!("{paused}\n{refused}\n");
    fs::write(agent.path("state/ledger"), ledger).unwrap();
    agent.run(&["renew", "--force", NAME]).exits(3).says(&["it wants no more requests before"]);
    assert_eq!(ca.asked(NAME), 1);
}
