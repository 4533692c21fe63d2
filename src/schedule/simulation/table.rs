//! All lives side by side.

use std::time::Duration;

use super::ca::Ca;
use super::ours::Ours;
use super::peers::{self, Peer, Rules};
use super::world::{Script, World, Year};
use super::{Cadence, DAY, HOUR, Life, MINUTE, SPAN, START, YEAR, live_together};
use crate::schedule::limits::Limits;

/// Lifetimes, each from an instant on.
pub(super) type Lifetimes = &'static [(i64, Duration)];

pub(super) const SHORTLIVED: Lifetimes = &[(START, HOUR.saturating_mul(160))];
const TLSSERVER: Lifetimes = &[(START, DAY.saturating_mul(45))];
/// As announced: 2027-02-10 and 2028-02-16.
const CLASSIC: Lifetimes = &[
    (START, DAY.saturating_mul(90)),
    (1_802_217_600, DAY.saturating_mul(64)),
    (1_834_272_000, DAY.saturating_mul(45)),
];

pub(super) const CERTIFICATES: [(&str, Lifetimes); 3] =
    [("160 h", SHORTLIVED), ("45 d", TLSSERVER), ("90, 64, 45 d", CLASSIC)];

const SEEDS: [u64; 3] = [1, 2, 3];
const HOSTS: u32 = 3;
const LIMITS: [Limits; 2] = [Limits::LETS_ENCRYPT, Limits::UNKNOWN];

/// Who keeps the certificate.
#[derive(Clone, Copy)]
pub(super) enum Keeper {
    /// Ours, with so many CAs in its list.
    Ours(usize),
    Peer(Rules),
}

/// A line of the table.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub(super) runs: &'static str,
    pub(super) cadence: Cadence,
    pub(super) keeper: Keeper,
}

const fn ours((runs, cadence): (&'static str, Cadence), cas: usize) -> Line {
    Line { runs, cadence, keeper: Keeper::Ours(cas) }
}

const fn peer(runs: &'static str, rules: Rules) -> Line {
    Line { runs, cadence: rules.cadence, keeper: Keeper::Peer(rules) }
}

pub(super) const CADENCES: [(&str, Cadence); 5] = [
    ("resident", Cadence::Resident),
    ("every 30 min", Cadence::timer(MINUTE.saturating_mul(30))),
    ("hourly", Cadence::timer(HOUR)),
    ("every 12 h", Cadence::timer(HOUR.saturating_mul(12))),
    ("daily", Cadence::timer(DAY)),
];

const LINES: [Line; 11] = [
    ours(CADENCES[0], 1),
    ours(CADENCES[1], 1),
    ours(CADENCES[2], 1),
    ours(CADENCES[3], 1),
    ours(CADENCES[4], 1),
    ours(CADENCES[1], 2),
    ours(CADENCES[4], 2),
    peer("every 12 h, spread over 12", peers::CERTBOT),
    peer("daily", peers::ACME_SH),
    peer("daily", peers::LEGO),
    peer("resident", peers::CERT_MANAGER),
];

impl Line {
    fn who(self) -> String {
        match self.keeper {
            Keeper::Ours(1) => "**acmeagent**".to_owned(),
            Keeper::Ours(_) => "**acmeagent**, a second CA".to_owned(),
            Keeper::Peer(rules) => rules.name.to_owned(),
        }
    }

    /// All lives of this keeper with that certificate, taken together.
    pub(super) fn lives(self, lifetimes: Lifetimes, script: Script) -> Year {
        let lives = SEEDS.map(|seed| self.one_life(lifetimes, script, seed));
        lives.into_iter().reduce(Year::and).expect("there are seeds")
    }

    fn one_life(self, lifetimes: Lifetimes, script: Script, seed: u64) -> Year {
        let mut cas = vec![Ca::boulder(lifetimes)];
        match self.keeper {
            Keeper::Ours(count) => {
                cas.extend((1..count).map(|_| Ca::plain(lifetimes)));
                let ours = Ours::new(&LIMITS[..count], seed);
                Life::new(ours, World::new(cas, seed), self.cadence, script).live()
            }
            Keeper::Peer(rules) => {
                let world = World::new(cas, seed);
                Life::new(Peer::new(rules), world, self.cadence, script).live()
            }
        }
    }

    /// As many quiet lives as there are hosts, at one CA and for the same names.
    pub(super) fn fleet(self, lifetimes: Lifetimes) -> Year {
        let (hosts, cas) = (1..=HOSTS, vec![Ca::boulder(lifetimes)]);
        let (cadence, script) = (self.cadence, Script::Calm);
        match self.keeper {
            Keeper::Ours(count) => {
                let lives = hosts.map(|host| {
                    let ours = Ours::new(&LIMITS[..count], host.into());
                    Life::new(ours, World::of_host(host), cadence, script)
                });
                live_together(lives.collect(), cas)
            }
            Keeper::Peer(rules) => {
                let lives = hosts
                    .map(|host| Life::new(Peer::new(rules), World::of_host(host), cadence, script));
                live_together(lives.collect(), cas)
            }
        }
    }
}

const HEAD: &str = "\
| certificate | client | runs | renewals exempt from limits | orders a year | attempts before expiry | least life left | expired / needlessly | hours a year without | all to be replaced: done after | 429s | 429s of three hosts |
|---|---|---|---|---|---|---|---|---|---|---|---|
";

/// What became of one line's certificate in all scripts.
pub(super) struct Row {
    pub(super) certificate: &'static str,
    pub(super) line: Line,
    pub(super) calm: Year,
    pub(super) rough: Year,
    pub(super) gone: Year,
    pub(super) fleet: Year,
}

/// All of them.
pub(super) fn rows() -> Vec<Row> {
    let lines = CERTIFICATES.iter().flat_map(|one| LINES.map(|line| (*one, line)));
    let rows = lines.map(|((certificate, lifetimes), line)| Row {
        certificate,
        line,
        calm: line.lives(lifetimes, Script::Calm),
        rough: line.lives(lifetimes, Script::Rough),
        gone: line.lives(lifetimes, Script::Gone),
        fleet: line.fleet(lifetimes),
    });
    rows.collect()
}

/// The table of the README.
pub(super) fn markdown(rows: &[Row]) -> String {
    rows.iter().fold(HEAD.to_owned(), |table, row| table + &row.markdown())
}

impl Row {
    pub(super) fn share_exempt(&self) -> f64 {
        f64::from(self.calm.exempt) / f64::from(self.calm.renewals)
    }

    /// The first of them got the certificate.
    pub(super) fn attempts(&self) -> u32 {
        self.gone.attempts - 1
    }

    fn markdown(&self) -> String {
        let lives = SEEDS.len() as f64;
        let years = SPAN.as_secs_f64() / YEAR.as_secs_f64() * lives;
        let Self { certificate, line, calm, rough, .. } = self;
        format!(
            "| {certificate} | {} | {} | {:.0} % | {:.1} | {} | {} | {} / {} | {:.0} | {} | {} | {} |\n",
            line.who(),
            line.runs,
            100.0 * self.share_exempt(),
            f64::from(calm.orders) / years,
            self.attempts(),
            rough.worst.map_or_else(String::new, hours),
            rough.expired,
            rough.needless,
            rough.without.as_secs_f64() / 3600.0 / years,
            rough.revoked.map_or_else(|| "never".to_owned(), hours),
            calm.refused + rough.refused,
            self.fleet.refused,
        )
    }
}

fn hours(span: Duration) -> String {
    match span.as_secs() / 3600 {
        long @ 240.. => format!("{} d", long / 24),
        short => format!("{short} h"),
    }
}
