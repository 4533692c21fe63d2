//! The process dies, or the disk fails, at every change it makes: what is live stays whole, and
//! the next ordinary run ends well.

use nix::errno::Errno;

use crate::need;
use crate::support::agent::{Agent, Ran};
use crate::support::ca::Ca;
use crate::support::changes::{Change, Fate, watch};
use crate::support::home::Home;

/// What befalls the n-th change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    Kill,
    Once(Errno),
    /// This change and every later one, as when a file system turns read-only.
    From(Errno),
}

impl Fault {
    /// Decides about a change; `met` counts those this fault can befall.
    fn fate(self, n: usize, met: &mut usize, change: &Change) -> Fate {
        let concerned = self.concerns(change);
        *met += usize::from(concerned);
        match self {
            Self::Kill if *met == n => Fate::Dies,
            Self::Once(errno) if *met == n && concerned => Fate::Fails(errno),
            Self::From(errno) if *met >= n => Fate::Fails(errno),
            _ => Fate::Passes,
        }
    }

    /// A process can be killed anywhere. Errors begin where room or a name is asked of the disk,
    /// which for the notes in lock files nobody cares about.
    fn concerns(self, change: &Change) -> bool {
        let asks = !matches!(change.call, "chmod" | "truncate");
        self == Self::Kill || (asks && !change.path.starts_with("locks/"))
    }
}

/// What a loop over all changes has seen.
#[derive(Debug, Default)]
struct Tally {
    points: usize,
    /// What the CA was given for this home so far.
    known_orders: usize,
    /// Points after which the CA had been given one order more than needed.
    extra_orders: usize,
    /// Failures that did not keep the run from its end.
    shrugged_off: usize,
}

impl Tally {
    /// Lets the n-th change of a run fail, looks at what is left, and lets the next run mend it.
    ///
    /// Returns whether the run had an n-th change.
    fn point(
        &mut self,
        home: &Home<'_>,
        args: &[&str],
        next: &[&str],
        n: usize,
        fault: Fault,
    ) -> bool {
        let (before, mut met) = (home.live_generation(), 0);
        let watched = watch(&home.agent.command(args), home.agent.home(), |change| {
            fault.fate(n, &mut met, change)
        });
        let Some(hit) = watched.stopped.first() else {
            let _ = watched.ran.exits(0);
            return false;
        };
        self.points += 1;
        let at = format!("{fault:?} at change {n}, {} {}: {:#?}", hit.call, hit.path, watched.ran);
        let after = home.live_generation();
        assert!(after >= before, "{at}");
        let served = before.map(|generation| format!("generation {generation}, valid until"));
        if fault == Fault::Kill {
            assert_eq!(watched.ran.code, -1, "{at}");
        } else if watched.ran.code == 0 {
            self.shrugged_off += 1;
            assert!(after > before, "{at}");
        } else {
            assert_names_the_failure(home, &watched.ran, fault, served.filter(|_| after == before));
        }
        let ran = home.agent.run(next);
        assert_eq!(ran.code, 0, "{at}\nthe next run: {ran:#?}");
        if home.leftovers() == [home.agent.path("state/.index.tmp")] {
            // Nothing was due, so the index was read and nothing touched.
            let _ = home.agent.run(&["renew", &home.name]).exits(0);
        }
        assert!(home.live_generation() >= after && home.live_generation().is_some(), "{at}");
        let known = home.orders();
        let orders = known - std::mem::replace(&mut self.known_orders, known);
        assert!(orders <= 2, "{orders} orders after {at}");
        self.extra_orders += usize::from(orders == 2);
        home.assert_settled();
        true
    }
}

impl Tally {
    fn tell(&self, run: &str, fault: Fault) {
        let Self { points, extra_orders, shrugged_off, .. } = self;
        println!(
            "{run}, {fault:?}: {points} points, {extra_orders} extra orders, {shrugged_off} shrugged off"
        );
        assert!(*points > 80, "{self:?}");
    }
}

/// A failed disk is a failure of its own class, told with path, reason and what is served.
#[track_caller]
fn assert_names_the_failure(home: &Home<'_>, ran: &Ran, fault: Fault, served: Option<String>) {
    let (Fault::Once(errno) | Fault::From(errno)) = fault else { panic!("{fault:?} says nothing") };
    let number = format!("(os error {})", errno as i32);
    let explained =
        [number.as_str(), "store full: need"].iter().any(|said| ran.stderr.contains(said));
    let path = ran.stderr.contains(home.agent.home().to_str().unwrap());
    assert!(ran.code == 10 && explained && path, "{fault:?}: {ran:#?}");
    if let Some(served) = served {
        assert!(ran.stderr.contains(&served), "it lacks {served:?}: {ran:#?}");
    }
}

fn every_change_of_an_issue(fault: Fault) {
    need!("curl");
    let ca = Ca::start();
    let mut tally = Tally::default();
    for n in 1.. {
        let home = Home::new(&ca, n);
        tally.known_orders = 0;
        if !tally.point(&home, &home.issue(), &home.issue(), n, fault) {
            break;
        }
    }
    tally.tell("issue", fault);
}

/// After a kill the next run is the timer's, which looks only at what is due; after a failure it
/// is the operator's, who does not wait for the next attempt.
fn every_change_of_a_renewal(fault: Fault) {
    need!("curl");
    let ca = Ca::start();
    let home = Home::with_certificate(&ca, 0);
    let mut tally = Tally { known_orders: home.orders(), ..Tally::default() };
    let next: &[&str] = if fault == Fault::Kill { &["renew"] } else { &["renew", &home.name] };
    for n in 1.. {
        if !tally.point(&home, &["renew", "--force"], next, n, fault) {
            break;
        }
    }
    tally.tell("renew", fault);
}

#[test]
fn an_issue_killed_at_any_change() {
    every_change_of_an_issue(Fault::Kill);
}

#[test]
fn an_issue_on_a_disk_that_is_full_for_a_moment() {
    every_change_of_an_issue(Fault::Once(Errno::ENOSPC));
}

#[test]
fn an_issue_on_a_disk_with_an_error() {
    every_change_of_an_issue(Fault::Once(Errno::EIO));
}

#[test]
fn an_issue_on_a_disk_that_turns_read_only() {
    every_change_of_an_issue(Fault::From(Errno::EROFS));
}

#[test]
fn a_renewal_killed_at_any_change() {
    every_change_of_a_renewal(Fault::Kill);
}

#[test]
fn a_renewal_on_a_disk_that_is_full_for_a_moment() {
    every_change_of_a_renewal(Fault::Once(Errno::ENOSPC));
}

#[test]
fn a_renewal_on_a_disk_with_an_error() {
    every_change_of_a_renewal(Fault::Once(Errno::EIO));
}

#[test]
fn a_renewal_on_a_disk_that_turns_read_only() {
    every_change_of_a_renewal(Fault::From(Errno::EROFS));
}

/// The embedded CA keeps its files in the same home, without being part of the store.
#[test]
fn the_embedded_ca_survives_a_fault_at_any_change_of_its_own() {
    for fault in [Fault::Kill, Fault::Once(Errno::ENOSPC)] {
        let mut points = 0;
        for n in 1.. {
            let agent = Agent::new();
            let issue = ["issue", "-d", "127.0.0.1", "--ca", "embedded"];
            let mut met = 0;
            let watched = watch(&agent.command(&issue), agent.home(), |change| {
                let own = change.path.starts_with("embedded-ca");
                if own { fault.fate(n, &mut met, change) } else { Fate::Passes }
            });
            let Some(hit) = watched.stopped.first() else { break };
            points += 1;
            let at =
                format!("{fault:?} at change {n}, {} {}: {:#?}", hit.call, hit.path, watched.ran);
            assert!([-1, 0, 3, 10].contains(&watched.ran.code), "{at}");
            let ran = agent.run(&issue);
            assert_eq!(ran.code, 0, "{at}\nthe next run: {ran:#?}");
            agent.assert_live_pair("127.0.0.1");
        }
        println!("embedded, {fault:?}: {points} points");
        assert!(points > 20, "{points}");
    }
}
