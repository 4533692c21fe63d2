//! Would a CA find our answers? Tried with random ones of our own before an order is opened.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join;
use futures_util::stream;
use tokio::time::timeout;

use super::{Cause, Run};
use crate::challenge::{Http01, Solver};
use crate::dns::{self, Code, Data, Kind, Manner, Resolvers};
use crate::model::challenge::{Challenge, ChallengeKind};
use crate::model::name::Identifier;
use crate::model::proof::Setback;
use crate::probe::visit::{self, Miss, Seen, Why, is_global};
use crate::schedule::ladder::Rung;

/// For all names of a certificate by one type: presenting, the DNS and the visits.
const PATIENCE: Duration = Duration::from_secs(5);
/// For the DNS of one name; after one that took longer no other is looked up.
const LOOKUP: Duration = Duration::from_secs(1);
const LANES: usize = 8;

/// From where a CA looks, as far as that matters for what is seen here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct View {
    /// Whether it is one of those that systems trust, and looks from outside.
    is_public: bool,
    /// Whether answers are given at the port where CAs look, and nothing forwards to it.
    is_direct: bool,
}

/// What a name leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Addresses {
    Known(Vec<IpAddr>),
    /// The name does not exist, or has none.
    None,
    /// Nobody said.
    Unknown,
}

/// What is to be expected of a validation.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Verdict {
    /// Nothing speaks against it.
    Fine,
    /// Not as it should be from here, which may mean nothing.
    Doubtful(String),
    /// A CA would count a failed validation.
    Fails(String),
}

impl Run<'_> {
    /// Tries for these names what the CA would be shown; returns what it would not believe.
    ///
    /// http-01 and tls-alpn-01 present a random answer and ask for it through the public name, each
    /// address apart. Not for a CA in this process, which looks where it is told, and not for a
    /// private one where ports are set, for then nobody here knows where it looks.
    pub(super) async fn self_test(
        &self,
        kind: ChallengeKind,
        solver: &dyn Solver,
        identifiers: &[Identifier],
    ) -> Vec<Setback> {
        let Some(view) = self.view(kind) else { return Vec::new() };
        if self.authority().session().await.is_err() {
            // That is the first thing to be told, and the order will.
            return Vec::new();
        }
        let made = identifiers.iter().map(|identifier| visit::random_challenge(identifier, kind));
        let Some(challenges) = made.collect::<Option<Vec<_>>>() else { return Vec::new() };
        let shown: Vec<&Challenge> = challenges.iter().collect();
        let mut verdicts = vec![Verdict::Fine; challenges.len()];
        let seen = timeout(PATIENCE, async {
            if solver.present_all(&shown).await.is_ok() {
                look(&challenges, view, &mut verdicts).await;
            }
        });
        // Whoever takes longer tells nothing; what the others told by then counts.
        let _ = seen.await;
        // A leftover is removed by the next run that uses the folder.
        let _ = solver.clean_up_all(&shown).await;
        let mut setbacks = Vec::new();
        for (identifier, verdict) in identifiers.iter().zip(verdicts) {
            match verdict {
                Verdict::Fine => {}
                Verdict::Doubtful(why) if self.is_first_or_failing() => {
                    self.notice(format!("{kind} may fail for {identifier}: {why}"));
                }
                Verdict::Doubtful(_) => {}
                // Whoever has no time left rather loses a validation than a chance.
                Verdict::Fails(why) if self.pressure.rung == Rung::AtRisk => {
                    self.notice(format!("{kind} will fail for {identifier}: {why}"));
                }
                Verdict::Fails(error) => {
                    setbacks.push(Setback::unspent(Some(identifier.clone()), kind, error));
                }
            }
        }
        setbacks
    }

    /// Whether there is reason to look closer than at a healthy renewal.
    pub(super) fn is_first_or_failing(&self) -> bool {
        let Self { pressure, hands, .. } = self;
        let is_first = || hands.store.generations(self.name).is_ok_and(|all| all.is_empty());
        pressure.failures > 0 || pressure.by_hand || is_first()
    }

    /// `None` where nothing that is seen from here would mean anything.
    fn view(&self, kind: ChallengeKind) -> Option<View> {
        let authority = self.authority();
        let port = match (kind, self.wanted.http01) {
            (ChallengeKind::Http01, Http01::Standalone { port, .. }) => port.unwrap_or(80) == 80,
            (ChallengeKind::Http01, Http01::Webroot(_)) => true,
            _ => self.wanted.tls_alpn01_port.unwrap_or(443) == 443,
        };
        let is_public = authority.endpoint.roots.is_none();
        let knows = !authority.takes_any_port() && (is_public || port);
        knows.then_some(View { is_public, is_direct: port })
    }
}

/// The cause where names are left that no type would prove.
pub(super) fn cause_of(kind: ChallengeKind, setbacks: &[Setback]) -> Option<Cause> {
    let first = setbacks.first()?;
    let names = setbacks.iter().filter_map(|setback| setback.identifier.clone());
    Some(Cause::Foreseen { kind, names: names.collect::<BTreeSet<_>>(), why: first.error.clone() })
}

/// Looks for each answer as a CA does, several at a time; enters what it finds at their places.
async fn look(challenges: &[Challenge], view: View, verdicts: &mut [Verdict]) {
    let resolvers = Resolvers::of_system();
    let (resolvers, is_silent) = (&resolvers, &AtomicBool::new(false));
    let looks = challenges.iter().enumerate().map(|(place, challenge)| async move {
        let addresses = match &challenge.identifier {
            Identifier::Ip(ip) => Addresses::Known(vec![*ip]),
            Identifier::Dns(_) if is_silent.load(Ordering::Relaxed) => Addresses::Unknown,
            Identifier::Dns(name) => {
                let looked_up = timeout(LOOKUP, look_up(name.base(), resolvers)).await;
                is_silent.fetch_or(looked_up.is_err(), Ordering::Relaxed);
                looked_up.unwrap_or(Addresses::Unknown)
            }
        };
        let seen = match &addresses {
            Addresses::Known(addresses) => visit::visit(challenge, addresses).await,
            Addresses::None | Addresses::Unknown => Vec::new(),
        };
        (place, judge(&addresses, &seen, view))
    });
    // Boxed, because the compiler cannot see through the closure that the whole is `Send`.
    let looks: Vec<_> = looks.map(futures_util::FutureExt::boxed).collect();
    let mut looks = stream::iter(looks).buffer_unordered(LANES);
    while let Some((place, verdict)) = looks.next().await {
        verdicts[place] = verdict;
    }
}

async fn look_up(name: &str, resolvers: &Resolvers) -> Addresses {
    const MOST: usize = 16;
    let Some(name) = dns::name(name) else { return Addresses::Unknown };
    let ask = |kind| resolvers.ask(&name, kind, Manner::Recursive);
    let (v4, v6) = join(ask(Kind::A), ask(Kind::Aaaa)).await;
    let mut all = Vec::new();
    for answer in [v4, v6] {
        match answer {
            Ok(answer) if answer.code == Code::Success => {
                let address = |data| if let Data::Address(ip) = data { Some(ip) } else { None };
                all.extend(answer.about(&name).into_iter().filter_map(address));
            }
            Ok(answer) if answer.code == Code::NoSuchName => {}
            _ => return Addresses::Unknown,
        }
    }
    all.truncate(MOST);
    if all.is_empty() { Addresses::None } else { Addresses::Known(all) }
}

/// Says what a CA would make of it. Certain is only what this host can know:
///
/// - a name without an address, for a CA that looks from outside;
/// - addresses of which every one gives something else than our answer, this host's own also where
///   it gives nothing.
///
/// All else may look different from elsewhere: private addresses of a name that is public, an
/// address that a router hides from those behind it, one that no way leads to, another view of the
/// DNS that a private CA may have.
fn judge(addresses: &Addresses, seen: &[Seen], view: View) -> Verdict {
    match addresses {
        Addresses::None if view.is_public => {
            return Verdict::Fails("the name has no address in the DNS".to_owned());
        }
        Addresses::None | Addresses::Unknown => return Verdict::Fine,
        Addresses::Known(_) => {}
    }
    let bad = seen.iter().filter_map(|one| Some((one, one.came.as_ref().err()?)));
    let told = bad.map(|(one, miss)| format!("{}: {miss}", one.address)).collect::<Vec<_>>();
    let told = told.join("; ");
    match () {
        () if told.is_empty() => Verdict::Fine,
        () if seen.iter().all(|one| is_certain(one, view)) => Verdict::Fails(told),
        () => Verdict::Doubtful(told),
    }
}

/// Whether a CA would miss our answer there just as we do.
fn is_certain(seen: &Seen, view: View) -> bool {
    let Err(miss) = &seen.came else { return false };
    if seen.address.is_loopback() || (view.is_public && !is_global(seen.address)) {
        return false;
    }
    match miss {
        // Packets from here take another way than those from outside where a port is forwarded.
        Miss::Nothing { at: None, why: Why::Refused | Why::Silent } => {
            seen.is_local && view.is_direct
        }
        Miss::Nothing { .. } => false,
        // A router may answer itself on its own address, but only to those behind it.
        Miss::Other { .. } | Miss::Stranger | Miss::Astray { .. } => {
            seen.is_local || !seen.is_behind
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOREIGN: &str = "192.0.2.1";
    const OWN: &str = "198.51.100.1";

    fn seen(address: &str, came: Result<(), Miss>) -> Seen {
        let address = address.parse().unwrap();
        Seen {
            address,
            is_local: address != FOREIGN.parse::<IpAddr>().unwrap(),
            is_behind: false,
            came,
        }
    }

    #[test]
    fn only_what_is_certain_is_left_out() {
        let nothing = |why| Err(Miss::Nothing { at: None, why });
        let other = || Err(Miss::Other { at: None, status: 404, body: String::new() });
        let (outside, private) = (true, false);
        let behind = |one: Seen| Seen { is_behind: true, ..one };
        let table = [
            (vec![seen(OWN, Ok(()))], outside, "fine"),
            (vec![seen(OWN, other())], outside, "fails"),
            (vec![seen(OWN, nothing(Why::Refused))], outside, "fails"),
            (vec![seen(OWN, nothing(Why::NoRoute))], outside, "doubtful"),
            (vec![seen(FOREIGN, other())], outside, "fails"),
            (vec![seen(FOREIGN, Err(Miss::Stranger))], outside, "fails"),
            (vec![behind(seen(FOREIGN, other()))], outside, "doubtful"),
            (vec![seen(FOREIGN, nothing(Why::Silent))], outside, "doubtful"),
            (vec![seen("10.0.0.1", other())], outside, "doubtful"),
            (vec![seen("10.0.0.1", other())], private, "fails"),
            (vec![seen("127.0.0.1", other())], private, "doubtful"),
            // One address that works, or may work, is hope.
            (vec![seen(OWN, other()), seen("2001:db8::1", Ok(()))], outside, "doubtful"),
            (vec![seen(OWN, other()), seen(FOREIGN, nothing(Why::Silent))], outside, "doubtful"),
            (vec![seen(OWN, other()), seen("2001:db8::1", other())], outside, "fails"),
        ];
        for (seen, is_public, expected) in table {
            let addresses = Addresses::Known(seen.iter().map(|one| one.address).collect());
            let verdict = judge(&addresses, &seen, View { is_public, is_direct: true });
            let is_as_expected = match verdict {
                Verdict::Fine => expected == "fine",
                Verdict::Doubtful(_) => expected == "doubtful",
                Verdict::Fails(_) => expected == "fails",
            };
            assert!(is_as_expected, "{seen:?}: {verdict:?}");
        }
    }

    #[test]
    fn forwarded_ports_and_other_views_of_the_dns_prove_nothing() {
        let refused = [seen(OWN, Err(Miss::Nothing { at: None, why: Why::Refused }))];
        let known = Addresses::Known(vec![OWN.parse().unwrap()]);
        let forwarded = View { is_public: true, is_direct: false };
        assert!(matches!(judge(&known, &refused, forwarded), Verdict::Doubtful(_)));
        let table = [
            (Addresses::None, true, true),
            (Addresses::None, false, false),
            (Addresses::Unknown, true, false),
        ];
        for (addresses, is_public, fails) in table {
            let verdict = judge(&addresses, &[], View { is_public, is_direct: true });
            assert_eq!(matches!(verdict, Verdict::Fails(_)), fails, "{addresses:?}");
        }
    }
}
