//! This host's clock is wrong, the CA's is right.

use std::fs::File;

use chrono::TimeDelta;

use crate::need;
use crate::support::agent::{Agent, Ran};
use crate::support::ca::Ca;
use crate::support::clock::Clock;

const NAME: &str = "127.0.0.1";

/// A CA whose own HTTPS certificate is a hundred days old, and an agent with a certificate of
/// 160 hours that was issued when both clocks were right.
struct Scene {
    theirs: Clock,
    ours: Clock,
    ca: Ca,
    agent: Agent,
}

impl Scene {
    fn new(behaviour: &str) -> Self {
        let (theirs, ours) = (Clock::off_by(TimeDelta::days(-100)), Clock::right());
        let ca = Ca::by(&theirs, behaviour);
        theirs.set(TimeDelta::zero());
        let agent = ca.limited_agent().by(&ours);
        let scene = Self { theirs, ours, ca, agent };
        scene.agent.run(&["issue", "-d", NAME]).exits(0);
        scene.renew().exits(0);
        scene
    }

    /// So long after the issue, and with our clock wrong by that.
    fn at(&self, hours: i64, wrong: TimeDelta) {
        self.theirs.set(TimeDelta::hours(hours));
        self.ours.set(TimeDelta::hours(hours) + wrong);
    }

    /// A run as the timer makes it; what it wrote is dated by the clock it went by.
    fn renew(&self) -> Ran {
        let ran = self.agent.run(&["renew"]);
        if let Ok(index) = File::open(self.agent.path("state/index")) {
            index.set_modified(self.ours.now().into()).unwrap();
        }
        ran
    }
}

const RIGHT: TimeDelta = TimeDelta::zero();

#[test]
fn what_is_due_is_decided_by_the_cas_time() {
    need!("faketime", "curl");
    for (days, how) in [(3, "ahead of"), (-3, "behind")] {
        let scene = Scene::new("limits = \"letsencrypt\"");
        let wrong = TimeDelta::days(days);
        scene.at(30, wrong);
        let says = format!("this host's clock is 3 d {how} the CA's: its time decides");
        scene.renew().exits(0).says(&[&says]);
        for _ in 0..3 {
            scene.renew().exits(0);
        }
        scene.agent.run(&["renew", "--max-wait", "1s"]).exits(0);
        assert_eq!(scene.ca.asked(NAME), 1, "{days}: nothing is due");
        let polls = scene.ca.requests("renewal-info");
        assert!(polls <= 1 + 2 * 5, "{days}: asked again in each run at most, {polls}");
        scene.at(81, wrong);
        scene.renew().exits(0).says(&[&says]).shows(&["issued generation 2"]);
        for _ in 0..4 {
            scene.renew().exits(0);
        }
        assert_eq!(scene.ca.asked(NAME), 2, "{days}: once");
        scene.at(120, wrong);
        scene.renew().exits(0);
        scene.at(161, wrong);
        scene.renew().exits(0).shows(&["issued generation 3"]);
        // Right again, and on with it.
        scene.at(170, RIGHT);
        scene.renew().exits(0);
        assert_eq!(scene.ca.asked(NAME), 3, "{days}");
        scene.at(241, RIGHT);
        let ran = scene.renew().exits(0).shows(&["issued generation 4"]);
        assert!(!ran.stderr.contains("clock"), "{ran:?}");
    }
}

/// So far off that not even the CA's own certificate is believed.
#[test]
fn a_clock_that_is_years_off_is_named_and_leaves_nothing_behind() {
    need!("faketime", "curl");
    for years in [10, -10, -56] {
        let scene = Scene::new("limits = \"letsencrypt\"");
        let wrong = TimeDelta::days(365 * years);
        for hours in [30, 81] {
            scene.at(hours, wrong);
            let ran = scene.renew();
            assert!([3, 8].contains(&ran.code), "{years}: {ran:?}");
            ran.says(&["if this host's clock is wrong that is why"]);
            scene.renew();
            assert_eq!(scene.ca.asked(NAME), 1, "{years}");
            scene.at(hours + 1, RIGHT);
            let issues = if hours == 81 { "issued generation 2" } else { "nothing" };
            scene.renew().exits(0).shows(&[issues]);
            scene.renew().exits(0).shows(&["nothing is due of 1 certificate"]);
        }
        assert_eq!(scene.ca.asked(NAME), 2, "{years}");
        scene.at(162, RIGHT);
        scene.renew().exits(0).shows(&["issued generation 3"]);
    }
}

/// Where the CA gives no advice there is nothing to ask it for every few hours.
#[test]
fn without_advice_a_clock_behind_is_known_by_what_was_issued() {
    need!("faketime", "curl");
    let scene = Scene::new("limits = \"letsencrypt\"\nari = false\n");
    let wrong = TimeDelta::days(-3);
    scene.at(1, wrong);
    scene.agent.run(&["renew", "--force"]).exits(0);
    for (hours, shows) in [(30, "nothing"), (82, "issued generation 3")] {
        scene.at(hours, wrong);
        scene.renew().exits(0).says(&["3 d behind the CA's"]).shows(&[shows]);
    }
}

/// As where something between us and the CA answers with a date of its own.
#[test]
fn a_ca_whose_date_does_not_fit_what_it_issues_is_not_believed() {
    need!("faketime", "curl");
    for (offset, fits) in [("-2h", false), ("+2h", true), ("-20d", false), ("+20d", false)] {
        let clock = Clock::right();
        let ca = Ca::by(&clock, &format!("limits = \"letsencrypt\"\ndate_offset = {offset:?}"));
        let agent = ca.limited_agent().by(&clock);
        let ran = agent.run(&["issue", "-d", NAME]).exits(0);
        assert_eq!(!fits, ran.stderr.contains("this host's clock decides"), "{offset}: {ran:?}");
        for _ in 0..10 {
            clock.advance(TimeDelta::hours(7));
            agent.run(&["renew"]).exits(0);
        }
        assert_eq!(ca.asked(NAME), 1, "{offset}: nothing is due");
        clock.advance(TimeDelta::hours(12));
        agent.run(&["renew"]).exits(0).shows(&["issued generation 2"]);
        agent.run(&["renew"]).exits(0);
        assert_eq!((ca.asked(NAME), ca.issued()), (2, 2), "{offset}");
    }
}

#[test]
fn a_clock_that_was_set_back_is_known_by_when_the_ca_was_last_asked() {
    need!("faketime", "curl");
    let scene = Scene::new("limits = \"letsencrypt\"");
    scene.at(75, RIGHT);
    scene.renew().exits(0);
    scene.at(81, TimeDelta::days(-3));
    scene.renew().exits(0).says(&["3 d behind the CA's"]).shows(&["issued generation 2"]);
}
