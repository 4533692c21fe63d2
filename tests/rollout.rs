//! A rollout takes its time: it outlives the process that began it, and goes on, or back, whatever
//! happened meanwhile.

use std::fs;
use std::path::PathBuf;

use chrono::{SecondsFormat, TimeDelta};
use serde_json::Value;

use crate::need;
use crate::support::agent::Agent;
use crate::support::clock::Clock;
use crate::support::script;
use crate::support::tls::FileServer;

/// Its certificates live for 160 hours.
const NAME: &str = "127.0.0.1";
const PLACES: [&str; 3] = ["one", "two", "three"];
const FILES: [&str; 4] = ["cert.pem", "chain.pem", "fullchain.pem", "privkey.pem"];
/// Each after the other, without any pause.
const WAVES: &str = r#"
[[rollout.wave]]
targets = ["one"]
soak = "1ms"
[[rollout.wave]]
targets = ["two"]
soak = "1ms"
[[rollout.wave]]
targets = ["three"]
soak = "0s"
"#;
const SLOW: &str = r#"
[[rollout.wave]]
targets = ["one"]
soak = "2h"
[[rollout.wave]]
targets = ["two", "three"]
soak = "0s"
"#;

/// Three directories that get a certificate by and by: the first two as copies, the first of them
/// with a server that serves it, the third by a program that can be told to fail.
pub struct Site {
    agent: Agent,
    clock: Clock,
    _server: FileServer,
}

impl Site {
    /// With a first generation everywhere, and these waves for the next.
    fn new(rollout: &str) -> Self {
        let clock = Clock::right();
        let agent = Agent::embedded().by(&clock);
        for place in PLACES {
            fs::create_dir(agent.path(place)).unwrap();
        }
        let server = FileServer::start(agent.path("one"));
        let site = Self { agent, clock, _server: server };
        site.defines(&PLACES);
        let third = site.path("third");
        script(
            &third,
            &format!(
                "cd {}\nif [ -e broken ] && [ \"$ACMEAGENT_GENERATION\" != \"$(cat broken)\" ]; then\n\
                 echo it is broken; exit 1\nfi\ncp \"$ACMEAGENT_LIVE_DIR\"/*.pem three/",
                site.agent.home().display()
            ),
        );
        let mut issue = vec!["issue", "-d", NAME];
        issue.extend(PLACES.iter().flat_map(|place| ["--target", place]));
        let _ = site.agent.run(&issue).exits(0);
        assert_eq!(site.served(), [1; 3]);
        site.plans(rollout);
        site
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.agent.path(relative)
    }

    /// Writes the `[[target]]` of these places.
    fn defines(&self, places: &[&str]) {
        let port = self._server.port;
        let table = |place: &&str| match *place {
            "three" => {
                format!("kind = \"hook\"\ncommand = [{:?}]", self.path("third").to_str().unwrap())
            }
            "one" => {
                let dir = self.path("one");
                format!("kind = \"copy\"\ndir = {dir:?}\nverify = [\"127.0.0.1:{port}\"]")
            }
            place => format!("kind = \"copy\"\ndir = {:?}", self.path(place)),
        };
        let tables =
            places.iter().map(|one| format!("[[target]]\nname = {one:?}\n{}\n", table(one)));
        fs::write(self.path("acmeagent.toml"), tables.collect::<String>()).unwrap();
    }

    /// Changes the certificate's settings, as an editor does.
    fn edits(&self, change: impl Fn(&str) -> String) {
        let settings = format!("certificates/{NAME}.toml");
        let edited = self.path("edited.toml");
        fs::write(&edited, change(&self.agent.read(&settings))).unwrap();
        fs::rename(edited, self.path(&settings)).unwrap();
    }

    fn plans(&self, rollout: &str) {
        self.edits(|text| {
            text.split("\n[rollout").next().unwrap().split("\n[[rollout").next().unwrap().to_owned()
                + rollout
        });
    }

    /// From now on only the generation that is live is taken by the third.
    fn breaks_the_third(&self) {
        fs::write(self.path("broken"), self.live().to_string()).unwrap();
    }

    fn mends_the_third(&self) {
        fs::remove_file(self.path("broken")).unwrap();
    }

    fn live(&self) -> u64 {
        let meta: Value =
            serde_json::from_str(&self.agent.read(&format!("live/{NAME}/meta.json"))).unwrap();
        meta["body"]["generation"].as_u64().or(meta["generation"].as_u64()).unwrap()
    }

    /// The generation a place has, if all its files are of one.
    fn at(&self, place: &str) -> Option<u64> {
        let archive = self.path(&format!("archive/{NAME}"));
        let generations = fs::read_dir(archive).unwrap().map(|entry| entry.unwrap().path());
        let has = |folder: &PathBuf| {
            FILES.iter().all(|file| {
                fs::read(folder.join(file)).ok() == fs::read(self.path(place).join(file)).ok()
            })
        };
        let found =
            generations.filter(|path| path.join("meta.json").exists()).find(|one| has(one))?;
        found.file_name().unwrap().to_str().unwrap().parse().ok()
    }

    /// The generation of each place.
    fn served(&self) -> [u64; 3] {
        PLACES.map(|place| self.at(place).unwrap_or_else(|| panic!("{place} has a mix")))
    }

    /// Runs `renew`, and says how it ended for the certificate.
    #[track_caller]
    fn renews(&self, args: &[&str], code: i32) -> String {
        let (ran, document) = self.agent.json(&[&["renew"], args].concat());
        let ran = ran.exits(code);
        let outcome = document["certificates"][0]["outcome"].as_str();
        outcome.map_or_else(|| ran.stdout.clone(), str::to_owned)
    }

    fn later(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    fn facts(&self) -> Value {
        self.agent.facts(NAME)
    }

    /// Nothing is under way any more.
    #[track_caller]
    fn assert_settled(&self) {
        assert_eq!(self.facts()["intent"], Value::Null);
        assert_eq!(self.served(), [self.live(); 3]);
        self.agent.assert_live_pair(NAME);
    }
}

/// The process is killed at every write of the journal and of a target, and everywhere between two
/// of them, in waves that succeed or fail; what the next `renew` leaves is whole.
#[cfg(target_arch = "x86_64")]
mod killed {
    use super::*;
    use crate::support::changes::{Change, Fate, watch};

    /// Of the store what says how far it has come, of the places everything.
    fn matters(change: &Change) -> bool {
        let state = format!("state/{NAME}.json");
        let live = format!("live/{NAME}");
        let mut places = PLACES.iter().map(|place| format!("{place}/"));
        (change.path == state && change.call == "rename")
            || (change.path == live && change.call == "exchange")
            || places.any(|place| change.path.starts_with(&place) && change.call == "rename")
    }

    /// Kills the n-th run before the n-th change that matters, and once more right after it.
    fn at_every_write(site: &Site, codes: &[i32], goes_back: bool) -> usize {
        for n in 1..500 {
            for after in [false, true] {
                let old = site.live();
                let (mut met, mut is_done) = (0, false);
                let watched = watch(
                    &site.agent.command(&["renew", "--force"]),
                    site.agent.home(),
                    |change| {
                        if is_done && after {
                            return Fate::Dies;
                        }
                        met += usize::from(matters(change));
                        is_done |= met == n;
                        if is_done && !after { Fate::Dies } else { Fate::Passes }
                    },
                );
                let Some(hit) = watched.stopped.first() else {
                    assert!([0, 6].contains(&watched.ran.code), "{:#?}", watched.ran);
                    return n - 1;
                };
                let at = format!("at {n} (after: {after}), {} {}", hit.call, hit.path);
                assert_eq!(watched.ran.code, -1, "{at}: {:#?}", watched.ran);
                let ran = site.agent.run(&["renew"]);
                assert!(codes.contains(&ran.code), "{at}: {ran:#?}");
                assert!(!goes_back || site.live() == old, "{at}: {ran:#?}");
                assert_eq!(site.served(), [site.live(); 3], "{at}: {ran:#?}");
                site.assert_settled();
            }
        }
        unreachable!("a run has an end")
    }

    #[test]
    fn a_rollout_in_three_waves() {
        need!("faketime", "openssl");
        let site = Site::new(WAVES);
        let points = at_every_write(&site, &[0], false);
        println!("three waves, killed at {} points", 2 * points);
        assert!(points > 15, "{points}");
    }

    #[test]
    fn a_rollout_that_fails_in_the_third_wave() {
        need!("faketime", "openssl");
        let site = Site::new(WAVES);
        site.breaks_the_third();
        let points = at_every_write(&site, &[0, 5, 6], true);
        println!("three waves and back, killed at {} points", 2 * points);
        assert!(points > 20, "{points}");
    }

    /// Killed right after its settings were kept, an `issue` that only adds a place.
    #[test]
    fn an_issue_with_another_target() {
        need!("faketime", "openssl");
        let site = Site::new("");
        fs::create_dir(site.path("four")).unwrap();
        site.defines(&["one", "two", "three", "four"]);
        let mut issue = vec!["issue", "-d", NAME];
        issue.extend(["one", "two", "three", "four"].iter().flat_map(|one| ["--target", one]));
        let settings = format!("certificates/{NAME}.toml");
        let mut is_kept = false;
        let watched = watch(&site.agent.command(&issue), site.agent.home(), |change| {
            if is_kept {
                return Fate::Dies;
            }
            is_kept = change.path == settings && change.call == "rename";
            Fate::Passes
        });
        assert_eq!((watched.ran.code, site.at("four")), (-1, None), "{:#?}", watched.ran);
        let _ = site.agent.run(&["renew"]).exits(0);
        assert_eq!((site.live(), site.at("four")), (1, Some(1)));
        assert_eq!(site.renews(&[NAME], 0), "not_due", "once is enough");
        site.assert_settled();
    }
}

#[test]
fn a_long_soak_survives_the_process() {
    need!("faketime", "openssl");
    let site = Site::new(SLOW);
    assert_eq!(site.renews(&["--force"], 0), "soaking");
    assert_eq!((site.served(), site.live()), ([2, 1, 1], 2));
    for _ in 0..2 {
        site.later(TimeDelta::minutes(30));
        assert_eq!(site.renews(&[], 0), "soaking");
        assert_eq!(site.renews(&[NAME], 0), "soaking", "a person may look as well");
    }
    assert_eq!(site.served(), [2, 1, 1]);
    site.later(TimeDelta::minutes(61));
    assert_eq!(site.renews(&[], 0), "renewed");
    site.assert_settled();
    assert_eq!(site.live(), 2);
}

/// Somebody puts the old files back while the first wave is watched: clients do not see the new one.
#[test]
fn what_goes_wrong_in_a_long_soak_is_seen_by_the_next_run() {
    need!("faketime", "openssl");
    let site = Site::new(SLOW);
    assert_eq!(site.renews(&["--force"], 0), "soaking");
    for file in FILES {
        fs::copy(site.path(&format!("archive/{NAME}/0001/{file}")), site.path("one").join(file))
            .unwrap();
    }
    site.later(TimeDelta::minutes(30));
    assert_eq!(site.renews(&[], 6), "rolled_back");
    site.assert_settled();
    assert_eq!(site.live(), 1);
}

#[test]
fn a_person_lets_it_go_on() {
    need!("faketime", "openssl");
    let site = Site::new(&SLOW.replace("\"2h\"", "\"5m\"\napprove = true"));
    let waits = || {
        assert_eq!(site.renews(&["--force"], 0), "soaking");
        site.later(TimeDelta::hours(3));
        let waiting = site.agent.run(&["renew", NAME]).exits(0);
        let _ = waiting.shows(&["waits to be approved"]);
    };
    waits();
    assert_eq!(site.served(), [2, 1, 1]);
    assert_eq!(site.renews(&[NAME, "--approve"], 0), "renewed");
    site.assert_settled();
    // Nobody does: a third of what the old one has left is the longest it may take.
    waits();
    site.later(TimeDelta::hours(60));
    assert_eq!(site.renews(&[], 0), "renewed");
    site.assert_settled();
    assert_eq!(site.live(), 3);
}

#[test]
fn frozen_it_is_kept_and_put_to_use_after() {
    need!("faketime", "openssl");
    let site = Site::new(WAVES);
    let until = site.clock.now() + TimeDelta::hours(100);
    let until = until.to_rfc3339_opts(SecondsFormat::Secs, true);
    site.plans(&format!("\n[rollout]\nfreeze-until = {until}\n{WAVES}"));
    site.later(TimeDelta::hours(90));
    let _ = site.agent.run(&["renew"]).exits(0).shows(&["kept in the archive"]);
    assert_eq!((site.served(), site.agent.generations(NAME)), ([1; 3], 2));
    site.later(TimeDelta::hours(9));
    let _ = site.agent.run(&["renew"]).exits(0);
    assert_eq!(site.served(), [1; 3], "not yet");
    site.later(TimeDelta::hours(2));
    assert_eq!(site.renews(&[], 0), "renewed");
    site.assert_settled();
    assert_eq!((site.live(), site.agent.generations(NAME)), (2, 2));
}

#[test]
fn too_many_rollbacks_a_day_and_nothing_is_deployed_until_somebody_looked() {
    need!("faketime", "openssl");
    let site = Site::new(WAVES);
    let breaks = |from: u64| {
        site.breaks_the_third();
        for _ in 0..4 {
            assert_eq!(site.renews(&["--force"], 6), "rolled_back");
            site.later(TimeDelta::minutes(10));
        }
        for args in [&[][..], &[NAME], &[]] {
            assert_eq!(site.renews(args, 5), "not_deployed", "{args:?}");
            site.later(TimeDelta::hours(1));
        }
        let _ = site.agent.run(&["renew"]).exits(5).says(&["too many rollouts", "--force"]);
        assert_eq!(site.served(), [from; 3]);
        site.mends_the_third();
        let _ = site.agent.run(&["renew"]).exits(5);
    };
    breaks(1);
    assert_eq!(site.renews(&[NAME, "--force"], 0), "renewed");
    site.assert_settled();
    let _ = site.agent.run(&["renew"]).exits(0);
    let live = site.live();
    assert_eq!(live, 6);
    breaks(live);
    let _ = site.agent.run(&["rollback", NAME, "--unpin"]).exits(0);
    site.assert_settled();
    assert_eq!(site.live(), 10, "what was held back all the time");
}

/// What the operator planned would take longer than the old certificate lives.
#[test]
fn a_rollout_ends_before_the_old_certificate_does() {
    need!("faketime", "openssl");
    let endless = SLOW.replace("\"2h\"", "\"20d\"").replace("\"0s\"", "\"10d\"");
    let site = Site::new(&endless);
    site.later(TimeDelta::hours(100));
    assert_eq!(site.renews(&[], 0), "soaking");
    let soaks_for = |site: &Site| {
        let until = site.facts()["intent"]["rollout"]["soak_until"].as_str().unwrap().to_owned();
        chrono::DateTime::parse_from_rfc3339(&until).unwrap().to_utc() - site.clock.now()
    };
    let first = soaks_for(&site);
    // Two thirds of the third of the 59 hours that are left.
    assert!((first - TimeDelta::minutes(59 * 40 / 3)).abs() < TimeDelta::minutes(5), "{first}");
    site.later(first + TimeDelta::seconds(1));
    assert_eq!(site.renews(&[], 0), "soaking");
    assert_eq!(site.served(), [2, 2, 2]);
    site.later(soaks_for(&site) + TimeDelta::seconds(1));
    assert_eq!(site.renews(&[], 0), "renewed");
    site.assert_settled();

    // The operator's own deadline is kept as well, by a run that comes late.
    site.plans(&format!("\n[rollout]\ndeadline = \"1h\"\n{endless}"));
    assert_eq!(site.renews(&["--force"], 0), "soaking");
    assert_eq!(site.served(), [3, 2, 2]);
    site.later(TimeDelta::hours(7));
    assert_eq!(site.renews(&[], 0), "renewed");
    site.assert_settled();
}

/// The timer was off while the old one expired, or the old one was revoked: bad as the new one may
/// be, nobody gains by going back.
#[test]
fn never_back_to_what_expired_or_was_revoked() {
    need!("faketime", "openssl");
    let commands = ["acmeagent check", "acmeagent renew", "acmeagent rollback"];
    let told = |site: &Site| {
        let (ran, document) = site.agent.json(&["renew"]);
        let _ = ran.exits(9);
        let hints = document["certificates"][0]["error"]["hints"].to_string();
        for command in commands {
            assert!(hints.contains(command), "{document:#}");
        }
        assert_eq!((site.live(), site.served()[..2].to_vec()), (2, vec![2, 2]));
        site.agent.assert_live_pair(NAME);
        site.mends_the_third();
        let _ = site.agent.run(&["renew", NAME]).exits(0);
        site.assert_settled();
    };
    let slow_then_three = "[[rollout.wave]]\ntargets = [\"one\"]\nsoak = \"2h\"\n\
        [[rollout.wave]]\ntargets = [\"two\"]\nsoak = \"0s\"\n\
        [[rollout.wave]]\ntargets = [\"three\"]\nsoak = \"0s\"\n";
    let slow_then_three = format!("\n{slow_then_three}");

    let expires = Site::new(&slow_then_three);
    expires.breaks_the_third();
    expires.later(TimeDelta::hours(100));
    assert_eq!(expires.renews(&[], 0), "soaking");
    expires.later(TimeDelta::hours(61));
    told(&expires);

    let revoked = Site::new(&slow_then_three);
    revoked.breaks_the_third();
    assert_eq!(revoked.renews(&["--force"], 0), "soaking");
    let _ = revoked.agent.run(&["revoke", NAME, "--generation", "1"]).exits(0);
    revoked.later(TimeDelta::hours(3));
    told(&revoked);
}

/// Clients of two of the three would see an expired certificate, for the sake of the third.
#[test]
fn what_expired_is_replaced_wherever_it_can_be() {
    need!("faketime", "openssl");
    let site = Site::new(WAVES);
    let (two, away) = (site.path("two"), site.path("away"));
    fs::rename(&two, &away).unwrap();
    site.later(TimeDelta::hours(150));
    assert_eq!(site.renews(&[], 5), "not_deployed", "the old one is good enough for a while");
    assert_eq!([site.at("one"), site.at("three")], [Some(1); 2]);
    site.later(TimeDelta::hours(11));
    let (ran, document) = site.agent.json(&["renew"]);
    let _ = ran.exits(9);
    let message = document["certificates"][0]["error"]["message"].to_string();
    assert!(message.contains("two does not exist") && message.contains("expired at"), "{message}");
    assert_eq!([site.at("one"), site.at("three")], [Some(2); 2], "{document:#}");
    fs::rename(&away, &two).unwrap();
    site.later(TimeDelta::hours(1));
    assert_eq!(site.renews(&[], 0), "renewed");
    site.assert_settled();
    assert_eq!((site.live(), site.agent.generations(NAME)), (2, 2));
}

/// The archive lost the earlier generation while its successor was watched: the new one stays, and
/// its renewal is held up by nothing.
#[test]
fn never_back_to_what_is_damaged() {
    need!("faketime", "openssl");
    let site = Site::new(SLOW);
    site.breaks_the_third();
    assert_eq!(site.renews(&["--force"], 0), "soaking");
    fs::remove_file(site.path(&format!("archive/{NAME}/0001/privkey.pem"))).unwrap();
    site.later(TimeDelta::hours(3));
    assert_eq!(site.renews(&[], 9), "failed");
    assert_eq!((site.live(), site.at("one"), site.at("two")), (2, Some(2), Some(2)));
    assert_eq!(site.facts()["intent"], Value::Null);
    site.agent.assert_live_pair(NAME);
    site.mends_the_third();
    let _ = site.agent.run(&["renew", NAME]).exits(0);
    site.assert_settled();
}

/// Between two waves a target is taken out of the settings and another one is added.
#[test]
fn settings_edited_in_mid_rollout() {
    need!("faketime", "openssl");
    let site = Site::new(SLOW);
    fs::create_dir(site.path("four")).unwrap();
    assert_eq!(site.renews(&["--force"], 0), "soaking");
    site.defines(&["one", "three", "four"]);
    site.edits(|text| {
        text.replace("\"two\"", "\"four\"")
            .replace("\"four\", \"three\"]\nsoak", "\"three\"]\nsoak")
    });
    site.later(TimeDelta::hours(3));
    let _ = site.agent.run(&["renew"]).exits(0).says(&["two is no target any more"]);
    assert_eq!(site.served(), [2, 1, 2]);
    assert_eq!(site.at("four"), Some(2), "it is not forgotten");
    assert_eq!(site.facts()["intent"], Value::Null);
    assert_eq!(site.renews(&["--force"], 0), "soaking", "that is how it is planned");
}

/// The operator has seen enough: back, at once, everywhere.
#[test]
fn a_rollback_by_hand_in_mid_soak() {
    need!("faketime", "openssl");
    let site = Site::new(SLOW);
    assert_eq!(site.renews(&["--force"], 0), "soaking");
    let ran = site.agent.run(&["rollback", NAME]).exits(0);
    let _ = ran.shows(&["put generation 1 into service", "pinned"]);
    site.assert_settled();
    assert_eq!(site.live(), 1);
    site.later(TimeDelta::hours(3));
    let _ = site.agent.run(&["renew"]).exits(0);
    assert_eq!(site.served(), [1; 3]);
    // The same although a target does not take the old one: what was under way goes on.
    let _ = site.agent.run(&["rollback", NAME, "--unpin"]).exits(0);
    assert_eq!(site.served(), [2, 1, 1], "as it was planned");
    fs::write(site.path("broken"), "2").unwrap();
    let ran = site.agent.run(&["rollback", NAME]);
    assert_eq!(ran.code, 6, "{ran:#?}");
    assert_eq!(site.live(), 2);
    site.mends_the_third();
    site.later(TimeDelta::hours(3));
    let _ = site.agent.run(&["renew"]).exits(0);
    site.assert_settled();
    assert_eq!(site.live(), 2);
}

/// Other names are wanted while the first wave is watched.
#[test]
fn an_issue_with_other_names_in_mid_soak() {
    need!("faketime", "openssl");
    let site = Site::new(SLOW);
    assert_eq!(site.renews(&["--force"], 0), "soaking");
    let issue = ["issue", "-d", NAME, "-d", "a.example", "--cert-name", NAME];
    let ran = site.agent.run(&issue).exits(3);
    let _ = ran.says(&["a rollout is under way", "the new settings were not kept: run this again"]);
    assert_eq!(site.served(), [2, 1, 1]);
    assert!(!site.agent.read(&format!("certificates/{NAME}.toml")).contains("a.example"));
    site.later(TimeDelta::hours(3));
    let _ = site.agent.run(&issue).exits(0).shows(&["rolling out generation 3", "a.example"]);
    assert_eq!(site.served(), [3, 2, 2]);
    assert!(site.agent.read(&format!("certificates/{NAME}.toml")).contains("a.example"));
}

/// What is being rolled out is revoked: nobody else gets it, and who has it is rid of it.
#[test]
fn the_new_one_is_revoked_in_mid_soak() {
    need!("faketime", "openssl");
    let site = Site::new(SLOW);
    assert_eq!(site.renews(&["--force"], 0), "soaking");
    let _ = site.agent.run(&["revoke", NAME]).exits(0);
    let _ = site.agent.run(&["renew"]).exits(6).says(&["was revoked or found bad"]);
    site.assert_settled();
    assert_eq!((site.live(), &site.facts()["bad"]), (1, &serde_json::json!([2])));

    // With its predecessor gone as well, another one goes everywhere at once.
    assert_eq!(site.renews(&["--force"], 0), "soaking");
    for generation in ["1", "3"] {
        let _ = site.agent.run(&["revoke", NAME, "--generation", generation]).exits(0);
    }
    assert_eq!(site.renews(&[NAME], 0), "renewed");
    site.assert_settled();
    assert_eq!(site.live(), 4);
}
