//! What name servers were seen to show, judged.

use std::net::IpAddr;

use crate::dns::{AskError, Code, is_older};

/// What one server at one address was last heard to say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Sight {
    Unheard,
    /// It shows every record it should.
    Shows,
    /// It answers for the zone, and lacks some.
    Lacks {
        /// How many names, and what it has at the first of them instead.
        names: usize,
        instead: Instead,
    },
    /// It answers, but not for the zone.
    Lame(Code),
    Mute(AskError),
}

/// What is there in place of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Instead {
    Nothing,
    /// So many other values: of others, of earlier runs, or of a wildcard that answers everything.
    Others(usize),
    /// The name leads elsewhere.
    Alias,
    /// It refuses to say, or fails at it.
    Code(Code),
    Silence(AskError),
}

/// One server at one address, and what it was last heard to say.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) server: String,
    pub(super) address: IpAddr,
    pub(super) sight: Sight,
    /// Of the zone's SOA.
    pub(super) serial: Option<u32>,
}

/// How many servers must show what was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Goal {
    /// Every one: a CA asks any, from several places.
    Everywhere,
    /// One, which proves that it reaches the zone.
    Somewhere,
}

/// What to make of it. Texts name a server each, and say what it says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Shown,
    NotYet(Vec<String>),
    /// All servers that answer for the zone show everything; these do not answer for it.
    ButFor(Vec<String>),
    /// No server answers for the zone, or at least not to this host.
    Blind(Vec<String>),
}

/// Judges the servers of one zone.
pub(super) fn judge(all: &[Seen], goal: Goal) -> Verdict {
    let is = |wanted: fn(&Sight) -> bool| move |one: &&Seen| wanted(&one.sight);
    let shows = all.iter().any(|one| one.sight == Sight::Shows);
    if goal == Goal::Somewhere && shows {
        return Verdict::Shown;
    }
    let lack = |sight: &Sight| matches!(sight, Sight::Lacks { .. });
    let useless =
        |sight: &Sight| matches!(sight, Sight::Lame(_) | Sight::Mute(_)) && !is_out_of_reach(sight);
    let newest = all.iter().filter(is(lack_not)).filter_map(|one| one.serial);
    let newest = newest.reduce(|a, b| if is_older(a, b) { b } else { a });
    let listed = |wanted: &dyn Fn(&Sight) -> bool| -> Vec<String> {
        let wanted = all.iter().filter(|one| wanted(&one.sight));
        wanted.map(|one| one.describe(newest)).collect()
    };
    let (lagging, silent) = (listed(&lack), listed(&useless));
    if !lagging.is_empty() || all.iter().any(|one| one.sight == Sight::Unheard) {
        return Verdict::NotYet(lagging);
    }
    match (shows, silent.is_empty()) {
        (true, true) => Verdict::Shown,
        (true, false) => Verdict::ButFor(silent),
        (false, _) => Verdict::Blind(listed(&|_| true)),
    }
}

fn lack_not(sight: &Sight) -> bool {
    !matches!(sight, Sight::Lacks { .. })
}

/// That this host has no IPv6, say, is nothing against a server.
fn is_out_of_reach(sight: &Sight) -> bool {
    *sight == Sight::Mute(AskError::NoRoute)
}

impl Seen {
    fn describe(&self, newest: Option<u32>) -> String {
        let who = format!("{} ({})", self.server, self.address);
        let what = match &self.sight {
            Sight::Unheard => "was not heard yet".to_owned(),
            Sight::Shows => "shows it".to_owned(),
            Sight::Lame(Code::Success) => "does not answer for the zone".to_owned(),
            Sight::Lame(code) => format!("does not answer for the zone: {code}"),
            Sight::Mute(error) => format!("gives no answer: {error}"),
            Sight::Lacks { names, instead } => {
                let serial = match (self.serial, newest) {
                    (Some(own), Some(newest)) if is_older(own, newest) => {
                        format!("serial {own}, others have {newest}")
                    }
                    _ => instead.describe(),
                };
                let more = if *names > 1 { format!(", {names} names") } else { String::new() };
                return format!("{who}: {serial}{more}");
            }
        };
        format!("{who} {what}")
    }
}

impl Instead {
    fn describe(self) -> String {
        match self {
            Self::Nothing => "nothing there".to_owned(),
            Self::Others(1) => "another value there".to_owned(),
            Self::Others(count) => format!("{count} other values there"),
            Self::Alias => "an alias to elsewhere".to_owned(),
            Self::Code(code) => code.to_string(),
            Self::Silence(error) => error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(sights: &[(Sight, u32)]) -> Vec<Seen> {
        let one = |(n, (sight, serial)): (usize, &(Sight, u32))| Seen {
            server: format!("ns{}", n + 1),
            address: IpAddr::from([192, 0, 2, u8::try_from(n + 1).unwrap()]),
            sight: sight.clone(),
            serial: (*serial > 0).then_some(*serial),
        };
        sights.iter().enumerate().map(one).collect()
    }

    fn lacks(instead: Instead) -> Sight {
        Sight::Lacks { names: 1, instead }
    }

    #[test]
    fn everywhere() {
        use Sight::{Lame, Mute, Shows, Unheard};
        let not_yet = |list: &[&str]| Verdict::NotYet(list.iter().map(|&s| s.to_owned()).collect());
        let behind = "ns2 (192.0.2.2): serial 5, others have 6";
        let lame = "ns2 (192.0.2.2) does not answer for the zone: REFUSED";
        let table: Vec<(Vec<(Sight, u32)>, Verdict)> = vec![
            (vec![(Shows, 6), (Shows, 6)], Verdict::Shown),
            (vec![(Shows, 6), (lacks(Instead::Nothing), 5)], not_yet(&[behind])),
            (
                vec![(Shows, 6), (lacks(Instead::Others(2)), 6)],
                not_yet(&["ns2 (192.0.2.2): 2 other values there"]),
            ),
            // Serials run over (RFC 1982).
            (
                vec![(Shows, 1), (lacks(Instead::Nothing), u32::MAX)],
                not_yet(&["ns2 (192.0.2.2): serial 4294967295, others have 1"]),
            ),
            (
                vec![(lacks(Instead::Nothing), 5), (lacks(Instead::Alias), 4)],
                not_yet(&[
                    "ns1 (192.0.2.1): nothing there",
                    "ns2 (192.0.2.2): an alias to elsewhere",
                ]),
            ),
            (vec![(Shows, 6), (Unheard, 0)], not_yet(&[])),
            // Lame and mute servers are waited for only while others have something to say.
            (
                vec![(lacks(Instead::Nothing), 5), (Lame(Code::Refused), 0)],
                not_yet(&["ns1 (192.0.2.1): nothing there"]),
            ),
            (vec![(Shows, 6), (Lame(Code::Refused), 0)], Verdict::ButFor(vec![lame.to_owned()])),
            (
                vec![(Shows, 6), (Mute(AskError::Silent), 0)],
                Verdict::ButFor(vec!["ns2 (192.0.2.2) gives no answer: no answer".to_owned()]),
            ),
            // Without IPv6 those who have nothing else are not counted.
            (vec![(Shows, 6), (Mute(AskError::NoRoute), 0)], Verdict::Shown),
        ];
        for (sights, verdict) in table {
            assert_eq!(judge(&seen(&sights), Goal::Everywhere), verdict, "{sights:?}");
        }
        for nobody in [vec![], vec![(Mute(AskError::NoRoute), 0)], vec![(Lame(Code::Failure), 0)]] {
            let verdict = judge(&seen(&nobody), Goal::Everywhere);
            assert!(matches!(verdict, Verdict::Blind(_)), "{nobody:?}");
        }
    }

    #[test]
    fn somewhere() {
        use Sight::{Shows, Unheard};
        let table = [
            (vec![(Shows, 6), (Unheard, 0)], true),
            (vec![(Shows, 6), (lacks(Instead::Nothing), 5)], true),
            (vec![(Unheard, 0)], false),
            (vec![(lacks(Instead::Others(1)), 5)], false),
        ];
        for (sights, shown) in table {
            let verdict = judge(&seen(&sights), Goal::Somewhere);
            assert_eq!(verdict == Verdict::Shown, shown, "{sights:?}");
        }
    }
}
