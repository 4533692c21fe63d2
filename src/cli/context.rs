//! What every verb starts from.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::args::Global;
use super::exit::Exit;
use super::progress::Progress;
use super::report::{Failure, Talk};
use crate::agent::clock::SystemClock;
use crate::agent::home::{self, Surroundings};
use crate::agent::{Agent, Trouble, Wiring, certificates};
use crate::challenge::Handed;
use crate::config::main_settings::MainSettings;
use crate::model::event::Sink;
use crate::model::name::CertName;
use crate::model::time::{Clock, Timestamp};
use crate::store::Store;
use crate::store::disk::Real;
use crate::store::layout::Layout;

/// Whoever asked for an end wonders what keeps us after this.
const LONG_TO_STOP: Duration = Duration::from_secs(1);
/// How long work that is given up may take to be dropped, and the programs it runs to be killed.
const LONG_TO_DROP: Duration = Duration::from_secs(1);

pub(crate) struct Context {
    pub(crate) talk: Talk,
    pub(crate) around: Surroundings,
    pub(crate) layout: Layout,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) handed: Arc<Handed>,
    stop: watch::Sender<bool>,
}

impl Context {
    pub(crate) fn new(talk: Talk, global: &Global) -> Result<Self, Failure> {
        let around = Surroundings::of_process().map_err(|error| {
            Failure::of(Exit::Config, &error).hint("start from a directory that exists")
        })?;
        let layout = home::layout(global.home.as_deref(), &around).ok_or_else(|| {
            Failure::config("neither --home nor $HOME tells where to keep certificates")
        })?;
        let (stop, _) = watch::channel(false);
        let handed = Arc::new(Handed::of_process());
        Ok(Self { talk, around, layout, clock: Arc::new(SystemClock::start()), handed, stop })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The store as it lies, for verbs that only read.
    pub(crate) fn store(&self) -> Store {
        Store::at(self.layout.clone(), Arc::new(Real))
    }

    /// The settings of the machine.
    pub(crate) fn main_settings(&self) -> Result<MainSettings, Failure> {
        Ok(MainSettings::load(&self.layout.main_settings()).map_err(Trouble::from)?)
    }

    /// An agent over the store of this command line, opened for work.
    pub(crate) fn agent(&self) -> Result<Arc<Agent>, Failure> {
        let main = self.main_settings()?;
        let store = Store::open(self.layout.clone(), Arc::new(Real))?;
        Ok(self.agent_over(store, main))
    }

    /// An agent that will only read.
    pub(crate) fn reader(&self) -> Result<Arc<Agent>, Failure> {
        Ok(self.agent_over(self.store(), self.main_settings()?))
    }

    pub(crate) fn agent_over(&self, store: Store, main: MainSettings) -> Arc<Agent> {
        let launch = super::drill::launcher(store.layout().embedded_ca(), Arc::clone(&self.clock));
        Arc::new(Agent::new(Wiring {
            store: Arc::new(store),
            main,
            clock: Arc::clone(&self.clock),
            sink: self.sink(),
            launch,
            handed: Arc::clone(&self.handed),
            stop: self.stop.subscribe(),
        }))
    }

    /// Who hears what happens: people, or the log.
    fn sink(&self) -> Arc<dyn Sink> {
        match &self.talk.log {
            Some(log) => Arc::new(log.clone()),
            None => Arc::new(Progress::new(self.talk.clone())),
        }
    }

    /// Runs async work to its end. The first SIGINT or SIGTERM asks it to stop, the second ends it.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        self.block_on_jobs(1, work)
    }

    /// [`Self::block_on`] for several certificates at once. Each may keep a thread waiting for the
    /// disk, and one more hears signals and the CA meanwhile.
    pub(crate) fn block_on_jobs<T>(
        &self,
        jobs: usize,
        work: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(jobs + 1)
            .enable_all()
            .build()
            .map_err(|error| Failure::of(Exit::Internal, &error))?;
        let (stop, talk) = (self.stop.clone(), self.talk.clone());
        let done = runtime.block_on(async move {
            // Before the work begins, so that no signal ends it in the middle.
            let asked = |kind| signal(kind).expect("the runtime takes signals");
            let mut interrupt = asked(SignalKind::interrupt());
            let mut terminate = asked(SignalKind::terminate());
            let (give_up, given_up) = tokio::sync::oneshot::channel();
            let watch = tokio::spawn(async move {
                let (mut asked, mut told) = (false, talk.quiet);
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                        () = tokio::time::sleep(LONG_TO_STOP), if asked && !told => {
                            talk.remark("stopping after this step; once more to stop at once");
                            told = true;
                            continue;
                        }
                    }
                    if stop.send_replace(true) {
                        talk.remark("stopped at once; the next run takes it up");
                        let _ = give_up.send(());
                        // What waits for the disk cannot be dropped before the disk answers.
                        tokio::time::sleep(LONG_TO_DROP).await;
                        end_at_once();
                    }
                    asked = true;
                }
            });
            tokio::select! {
                result = work => {
                    watch.abort();
                    Some(result)
                }
                _ = given_up => None,
            }
        });
        if let Some(result) = done {
            // Whoever was given up on may still be looked up in the DNS: nobody waits for that.
            runtime.shutdown_timeout(LONG_TO_DROP);
            return Ok(result);
        }
        // Drops what is under way, and so kills the programs that it runs.
        runtime.shutdown_timeout(LONG_TO_DROP);
        end_at_once()
    }

    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Certificates by name; each must exist.
    pub(crate) fn named(&self, names: &[String]) -> Result<Vec<CertName>, Failure> {
        names.iter().map(|name| self.existing(name)).collect()
    }

    /// A certificate that exists, by its name.
    pub(crate) fn existing(&self, text: &str) -> Result<CertName, Failure> {
        let name = CertName::parse(text).map_err(|error| Failure::of(Exit::Config, &error))?;
        let known = certificates(&self.store())?;
        if known.contains(&name) {
            return Ok(name);
        }
        let distance =
            |other: &&CertName| strsim::damerau_levenshtein(other.as_str(), name.as_str());
        let nearest =
            known.iter().min_by_key(distance).filter(|other| distance(other) <= 3).cloned();
        Err(Trouble::NoCertificate { name, nearest }.into())
    }

    /// The named certificates, or all there are.
    pub(crate) fn named_or_all(&self, names: &[String]) -> Result<Vec<CertName>, Failure> {
        if names.is_empty() {
            return Ok(certificates(&self.store())?);
        }
        self.named(names)
    }
}

/// Ends the process while work is left, as what asks twice for an end wants it.
fn end_at_once() -> ! {
    std::process::exit(Exit::Retry.code().into())
}
