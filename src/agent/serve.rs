//! Passes until told to stop: each at the exact instant something becomes due.
//!
//! A machine sleeps, a clock jumps, another process issues or revokes: so no wait is trusted for
//! longer than a minute. After each the clock is read and the index looked at anew.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::Signal;
use tokio::sync::watch;

use crate::model::name::CertName;
use crate::model::time::{Clock, Timestamp};
use crate::store::Store;
use crate::store::index::IndexRead;

/// The longest wait between two looks.
const LOOK: Duration = Duration::from_secs(60);
/// How long to leave alone what was tried in vain.
const PAUSE: Duration = Duration::from_secs(60);
/// An instant is past when its second is over: what a pass moves in the index is older than the pass.
const SECOND: Duration = Duration::from_secs(1);
/// How often one that only waits notes that it is there.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30 * 60);

/// How long to stay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stay {
    /// While something becomes due within this time from the beginning.
    AtMost(Duration),
    /// Until told to stop.
    Ever,
}

/// What a run that stays lives among.
pub(crate) struct Serving<'a> {
    pub(crate) store: &'a Store,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) stay: Stay,
    /// Turns true when it is time to end.
    pub(crate) stop: watch::Receiver<bool>,
    /// Asks for a look at every certificate and its settings.
    pub(crate) reload: Signal,
    /// Tells the operator what it is doing.
    pub(crate) say: &'a dyn Fn(&str),
}

/// Passes whenever something is due, and tells the service manager of it where there is one.
///
/// `pass` is given what it is to try, or `None` where it has to find out itself what is due; it
/// returns what it tried, or `None` when it could not even begin. What was tried in vain is left
/// alone for a while, so that no trouble is met in a tight loop. `idle` is called now and then while
/// there is nothing to pass for.
pub(crate) async fn serve(
    serving: Serving<'_>,
    pass: impl AsyncFnMut(Option<&BTreeSet<CertName>>) -> Option<Vec<CertName>>,
    idle: impl AsyncFn(),
) {
    let pause = match serving.stay {
        Stay::AtMost(_) => Duration::MAX,
        Stay::Ever => PAUSE,
    };
    let aside = Aside { pause, ..Aside::default() };
    let began = serving.clock.monotonic();
    let stop = serving.stop.clone();
    let mut server = Server { serving, began, aside, noted: None, status: String::new() };
    tell(&[NotifyState::Ready]);
    // All in one task: should its work hang in a call, the watchdog hears nothing more.
    tokio::select! {
        biased;
        never = beat() => match never {},
        never = announce(stop) => match never {},
        () = server.run(pass, idle) => {}
    }
    tell(&[NotifyState::Stopping]);
}

/// Keeps the service manager's watchdog quiet, if it has one.
pub(super) async fn beat() -> Infallible {
    let Some(patience) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    loop {
        tell(&[NotifyState::Watchdog]);
        tokio::time::sleep(patience / 2).await;
    }
}

/// Tells the service manager of the end before the certificates at work are finished.
pub(super) async fn announce(mut stop: watch::Receiver<bool>) -> Infallible {
    let _ = stop.wait_for(|stop| *stop).await;
    tell(&[NotifyState::Stopping]);
    std::future::pending().await
}

/// A service manager that does not listen is no reason to stop.
pub(super) fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

struct Server<'a> {
    serving: Serving<'a>,
    /// By the monotonic clock.
    began: Duration,
    aside: Aside,
    /// When it last noted that it is there.
    noted: Option<Timestamp>,
    status: String,
}

impl Server<'_> {
    async fn run(
        &mut self,
        mut pass: impl AsyncFnMut(Option<&BTreeSet<CertName>>) -> Option<Vec<CertName>>,
        idle: impl AsyncFn(),
    ) {
        while !*self.serving.stop.borrow() {
            let now = self.serving.clock.now();
            let index = self.look(now);
            let view = self.aside.view(index.as_ref(), now);
            let next = next(view, self.left(), now);
            let noted = self.note(now, next == Next::Pass);
            match next {
                Next::Pass => {
                    tell(&[NotifyState::Status("renewing what is due")]);
                    self.status.clear();
                    let offered = index.map(|index| self.aside.offered(index, now));
                    let tried = pass(offered.as_ref()).await;
                    // What was offered and passed over had its chance as well.
                    let offered = offered.into_iter().flatten();
                    let tried = tried.map(|tried| offered.chain(tried).collect());
                    let now = self.serving.clock.now();
                    self.aside.keep(tried, self.look(now), now);
                }
                Next::Wait(span) => {
                    self.show(match view.next {
                        Some(at) => format!("waiting until {at}"),
                        None => "waiting: nothing is planned".to_owned(),
                    });
                    if noted {
                        idle().await;
                    }
                    self.wait(span).await;
                }
                Next::End => return,
            }
        }
    }

    /// The index; `None` where there is no good one, so that a pass is to find out why.
    fn look(&self, now: Timestamp) -> Option<IndexRead> {
        let read = self.serving.store.due_from_index(now.minus(SECOND)).ok();
        read.filter(|read| matches!(read, IndexRead::Fresh { .. }))
    }

    /// How much longer it may stay; `None` for ever.
    fn left(&self) -> Option<Duration> {
        let stayed = self.serving.clock.monotonic().saturating_sub(self.began);
        match self.serving.stay {
            Stay::AtMost(most) => Some(most.saturating_sub(stayed)),
            Stay::Ever => None,
        }
    }

    /// Notes that it is there, before a pass and now and then. Says whether it did.
    fn note(&mut self, now: Timestamp, passes: bool) -> bool {
        let fresh = |at: Timestamp| at <= now && now < at.plus(SIGN_OF_LIFE);
        let notes = passes || !self.noted.is_some_and(fresh);
        if notes {
            self.serving.store.note_run(now, self.serving.stay == Stay::Ever);
            self.noted = Some(now);
        }
        notes
    }

    fn show(&mut self, status: String) {
        if self.status != status {
            tell(&[NotifyState::Status(&status)]);
            (self.serving.say)(&status);
            self.status = status;
        }
    }

    async fn wait(&mut self, span: Duration) {
        let reload = tokio::select! {
            () = tokio::time::sleep(span) => false,
            _ = self.serving.stop.wait_for(|stop| *stop) => false,
            asked = self.serving.reload.recv() => asked.is_some(),
        };
        if reload {
            let at = NotifyState::monotonic_usec_now().ok();
            tell(&[NotifyState::Reloading].into_iter().chain(at).collect::<Vec<_>>());
            self.aside = Aside { pause: self.aside.pause, ..Aside::default() };
            // If it cannot be, the pass that comes now tells why.
            let _ = self.serving.store.forget_index();
            tell(&[NotifyState::Ready]);
        }
    }
}

/// What comes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    Pass,
    /// Wait this long, then look again.
    Wait(Duration),
    End,
}

/// What the index shows beside what is set aside.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct View {
    due: bool,
    /// When something becomes due, as far as is known.
    next: Option<Timestamp>,
}

/// Decides what comes next for one that may stay for another `left`; `None` is for ever.
fn next(view: View, left: Option<Duration>, now: Timestamp) -> Next {
    let wait = view.next.map(|at| at.since(now));
    match (wait, left) {
        _ if view.due => Next::Pass,
        (Some(wait), Some(left)) if wait > left => Next::End,
        (None, Some(_)) => Next::End,
        (Some(wait), _) if wait <= LOOK => Next::Wait(wait + SECOND),
        _ => Next::Wait(LOOK),
    }
}

/// What was just tried in vain, and since when it is left alone.
#[derive(Debug, Default)]
struct Aside {
    pause: Duration,
    names: BTreeMap<CertName, Timestamp>,
    /// Where the trouble was with the whole, all are left alone.
    all: Option<Timestamp>,
}

impl Aside {
    /// Until when something set aside then is left alone; a clock that was turned back ends it.
    fn until(&self, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let until = since.plus(self.pause);
        (since <= now && now < until).then_some(until)
    }

    /// What is due and not left alone.
    fn offered(&self, index: IndexRead, now: Timestamp) -> BTreeSet<CertName> {
        let held =
            |name: &CertName| self.names.get(name).is_some_and(|at| self.until(*at, now).is_some());
        due(index).into_iter().filter(|name| !held(name)).collect()
    }

    fn view(&self, index: Option<&IndexRead>, now: Timestamp) -> View {
        if let Some(until) = self.all.and_then(|since| self.until(since, now)) {
            return View { due: false, next: Some(until) };
        }
        let Some(IndexRead::Fresh { due, next, .. }) = index else {
            return View { due: true, next: None };
        };
        let until = |name| self.until(*self.names.get(name)?, now);
        let held: Vec<Timestamp> = due.iter().filter_map(until).collect();
        let next = held.iter().copied().chain(*next).min();
        View { due: held.len() < due.len(), next }
    }

    /// Sets aside what a pass `tried` and is due all the same.
    fn keep(
        &mut self,
        tried: Option<BTreeSet<CertName>>,
        index: Option<IndexRead>,
        now: Timestamp,
    ) {
        let (Some(tried), Some(index)) = (tried, index) else {
            self.all = Some(now);
            return;
        };
        self.all = None;
        // What was not tried this time is not put off by the passes of others.
        self.names.retain(|name, _| !tried.contains(name));
        let in_vain = due(index).into_iter().filter(|name| tried.contains(name));
        self.names.extend(in_vain.map(|name| (name, now)));
    }
}

fn due(index: IndexRead) -> Vec<CertName> {
    match index {
        IndexRead::Fresh { due, .. } => due,
        IndexRead::Stale(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000 + seconds)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn names<C: FromIterator<CertName>>(names: &[&str]) -> C {
        names.iter().map(|name| CertName::parse(name).unwrap()).collect()
    }

    fn fresh(due: &[&str], next: Option<i64>) -> Option<IndexRead> {
        let due = names(due);
        Some(IndexRead::Fresh { due, failing: Vec::new(), held: 9, next: next.map(at) })
    }

    fn view(due: bool, next: Option<i64>) -> View {
        View { due, next: next.map(at) }
    }

    #[test]
    fn it_wakes_for_the_instant_and_looks_every_minute() {
        let (ever, ten) = (None, Some(seconds(600)));
        let table = [
            (view(true, None), ever, Next::Pass),
            (view(true, Some(9)), Some(Duration::ZERO), Next::Pass),
            (view(false, Some(7)), ever, Next::Wait(seconds(8))),
            (view(false, Some(61)), ever, Next::Wait(LOOK)),
            (view(false, Some(86_400)), ever, Next::Wait(LOOK)),
            (view(false, None), ever, Next::Wait(LOOK)),
            (view(false, Some(7)), ten, Next::Wait(seconds(8))),
            (view(false, Some(600)), ten, Next::Wait(LOOK)),
            (view(false, Some(601)), ten, Next::End),
            (view(false, None), ten, Next::End),
            (view(false, None), Some(Duration::MAX), Next::End),
        ];
        for (view, left, expected) in table {
            assert_eq!(next(view, left, at(0)), expected, "{view:?}, {left:?}");
        }
    }

    #[test]
    fn what_was_tried_in_vain_waits_and_holds_up_no_other() {
        let mut aside = Aside { pause: PAUSE, ..Aside::default() };
        assert_eq!(aside.view(fresh(&["a", "b"], Some(99)).as_ref(), at(0)), view(true, Some(99)));
        aside.keep(Some(names(&["a", "b"])), fresh(&["a"], Some(99)), at(0));
        let table: [(i64, &[&str], Option<i64>, View); 6] = [
            (1, &["a"], Some(99), view(false, Some(60))),
            (1, &["a"], Some(9), view(false, Some(9))),
            (9, &["b", "a"], None, view(true, Some(60))),
            (60, &["a"], None, view(true, None)),
            // The clock was turned back.
            (-1, &["a"], Some(99), view(true, Some(99))),
            (1, &[], Some(99), view(false, Some(99))),
        ];
        for (now, due, next, expected) in table {
            assert_eq!(aside.view(fresh(due, next).as_ref(), at(now)), expected, "{now} {due:?}");
        }
        let offered =
            |aside: &Aside, now| aside.offered(fresh(&["a", "b"], None).unwrap(), at(now));
        assert_eq!(offered(&aside, 59), names(&["b"]));
        aside.keep(Some(names(&["b"])), fresh(&["a"], None), at(30));
        assert_eq!(
            aside.view(fresh(&["a"], None).as_ref(), at(31)),
            view(false, Some(60)),
            "not put off"
        );
        aside.keep(Some(names(&["a"])), fresh(&[], Some(70)), at(60));
        assert_eq!(offered(&aside, 61), names(&["a", "b"]), "it went well");
    }

    #[test]
    fn without_an_index_a_pass_finds_out_why_once_a_minute() {
        let mut aside = Aside { pause: PAUSE, ..Aside::default() };
        assert_eq!(aside.view(None, at(0)), view(true, None));
        for (tried, index) in [(None, fresh(&["a"], None)), (Some(names(&["a"])), None)] {
            aside.keep(tried, index, at(0));
            assert_eq!(aside.view(None, at(59)), view(false, Some(60)));
            assert_eq!(aside.view(fresh(&["a"], None).as_ref(), at(59)), view(false, Some(60)));
            assert_eq!(aside.view(None, at(60)), view(true, None));
        }
        aside.keep(Some(BTreeSet::new()), fresh(&["a"], None), at(60));
        assert_eq!(aside.view(fresh(&["a"], None).as_ref(), at(60)), view(true, None));
    }

    #[test]
    fn one_that_stays_for_a_while_tries_nothing_twice_in_vain() {
        let mut aside = Aside { pause: Duration::MAX, ..Aside::default() };
        aside.keep(Some(names(&["a"])), fresh(&["a"], None), at(0));
        let seen = aside.view(fresh(&["a"], None).as_ref(), at(1));
        assert_eq!(next(seen, Some(seconds(3600)), at(1)), Next::End);
        let seen = aside.view(fresh(&["a"], Some(30)).as_ref(), at(1));
        assert_eq!(next(seen, Some(seconds(3600)), at(1)), Next::Wait(seconds(30)));
    }

    /// A certificate of a simulation: when it becomes due, and whether trying it is in vain.
    #[derive(Clone, Debug)]
    struct Simulated {
        due: i64,
        in_vain: bool,
        tried: Vec<i64>,
    }

    proptest! {
        #[test]
        fn every_instant_is_hit_and_nothing_is_tried_in_a_tight_loop(
            certificates in proptest::collection::vec((0i64..4000, any::<bool>()), 1..12),
            pass_takes in 0i64..3,
        ) {
            const END: i64 = 3600;
            let mut all: BTreeMap<CertName, Simulated> = BTreeMap::new();
            for (number, (due, in_vain)) in certificates.into_iter().enumerate() {
                let name = CertName::parse(&format!("{number}.example")).unwrap();
                all.insert(name, Simulated { due, in_vain, tried: Vec::new() });
            }
            let index = |all: &BTreeMap<CertName, Simulated>, now: i64| {
                let pending = |one: &&Simulated| one.in_vain || one.tried.is_empty();
                let due = all.iter().filter(|(_, one)| one.due < now && pending(one));
                let next = all.values().filter(|one| one.due >= now).map(|one| at(one.due)).min();
                let due = due.map(|(name, _)| name.clone()).collect();
                Some(IndexRead::Fresh { due, failing: Vec::new(), held: all.len(), next })
            };
            let (mut aside, mut now) = (Aside { pause: PAUSE, ..Aside::default() }, 0);
            while now < END {
                let seen = index(&all, now);
                match next(aside.view(seen.as_ref(), at(now)), None, at(now)) {
                    Next::Pass => {
                        let tried = aside.offered(seen.unwrap(), at(now));
                        prop_assert!(!tried.is_empty(), "a pass for nothing at {now}");
                        for name in &tried {
                            all.get_mut(name).unwrap().tried.push(now);
                        }
                        now += pass_takes;
                        aside.keep(Some(tried), index(&all, now), at(now));
                    }
                    Next::Wait(span) => now += i64::try_from(span.as_secs()).unwrap(),
                    Next::End => prop_assert!(false, "it ended"),
                }
            }
            for one in all.values().filter(|one| one.due < END - 60) {
                let late = one.tried.first().map(|first| first - one.due);
                // As late as the passes of all others, should they come just before.
                prop_assert!(late.is_some_and(|late| late <= 1 + 12 * 3), "{one:?}");
                prop_assert!(one.in_vain || one.tried.len() == 1, "{one:?}");
                prop_assert!(one.tried.windows(2).all(|pair| pair[1] - pair[0] >= 60), "{one:?}");
            }
        }
    }
}
