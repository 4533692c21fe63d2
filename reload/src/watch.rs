//! Reloading when the live folders change.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use thiserror::Error;

use crate::live::{Change, LiveCert, Master};

/// How long it must have been quiet before a folder is read.
const QUIET: Duration = Duration::from_millis(50);
/// How long the reading is put off at most where it never is quiet.
const AT_LATEST: Duration = Duration::from_secs(1);
/// How often the folders are read without any sign: not every file system gives one.
const ANYWAY: Duration = Duration::from_secs(60);

/// Why the folders are not watched.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The certificates change by the word of a socket, or are watched already.
    #[error("the certificates follow a socket or a watcher already")]
    HasMaster,
    /// The system does not let itself be asked.
    #[error("cannot watch {path:?}")]
    Watch {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: notify::Error,
    },
    /// There can be no watcher or no thread for it.
    #[error("cannot begin to watch")]
    Begin(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Reloads the certificates when their folders change, until dropped.
#[must_use = "watches until it is dropped"]
pub struct Watch {
    stop: Arc<AtomicBool>,
    wake: SyncSender<()>,
    thread: Option<JoinHandle<()>>,
}

impl LiveCert {
    /// Has the certificates follow their folders: files replaced within them, and whole folders
    /// replaced by renaming.
    ///
    /// A server follows its folders or a socket, not both: a folder is switched before a trial with
    /// a share of the clients begins, and a watcher would give the new certificate to all of them.
    pub fn watch(self: &Arc<Self>) -> Result<Watch, WatchError> {
        let master = self.master().ok_or(WatchError::HasMaster)?;
        // One sign is as good as many.
        let (wake, signs) = sync_channel(1);
        let sender = wake.clone();
        let watcher = notify::recommended_watcher(move |event| {
            if is_sign(&event) {
                let _ = sender.try_send(());
            }
        });
        let mut watcher = watcher.map_err(|error| WatchError::Begin(error.into()))?;
        let folders =
            self.table().entries.iter().map(|entry| entry.folder.clone()).collect::<Vec<_>>();
        for path in folders.iter().flat_map(|folder| [folder.parent(), Some(folder)]).flatten() {
            let path = if path.as_os_str().is_empty() { ".".as_ref() } else { path };
            watcher
                .watch(path, RecursiveMode::NonRecursive)
                .map_err(|source| WatchError::Watch { path: path.into(), source })?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let watching = Watching {
            live: self.clone(),
            folders,
            watcher,
            signs,
            stop: stop.clone(),
            refused: HashMap::new(),
            _master: master,
        };
        let thread = thread::Builder::new().name("certificate-watch".into());
        let thread = thread.spawn(|| watching.run());
        let thread = thread.map_err(|error| WatchError::Begin(error.into()))?;
        Ok(Watch { stop, wake, thread: Some(thread) })
    }
}

/// Reading a folder is no change of it, or each reading would cause the next.
fn is_sign(event: &notify::Result<Event>) -> bool {
    match event {
        Ok(Event { kind: EventKind::Access(kind), .. }) => {
            *kind == AccessKind::Close(AccessMode::Write)
        }
        _ => true,
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.wake.try_send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

struct Watching {
    live: Arc<LiveCert>,
    folders: Vec<PathBuf>,
    watcher: RecommendedWatcher,
    signs: Receiver<()>,
    stop: Arc<AtomicBool>,
    /// What was last said of a name, not to say it again each minute.
    refused: HashMap<String, String>,
    _master: Master,
}

impl Watching {
    fn run(mut self) {
        loop {
            if self.signs.recv_timeout(ANYWAY).is_ok() {
                let first = Instant::now();
                while !self.is_over()
                    && first.elapsed() < AT_LATEST
                    && self.signs.recv_timeout(QUIET).is_ok()
                {}
            }
            if self.is_over() {
                return;
            }
            self.follow_folders();
            self.reload();
        }
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// A watched folder that was renamed is watched on under its new name; who is meant is the one
    /// that now has the old name.
    fn follow_folders(&mut self) {
        for folder in &self.folders {
            let _ = self.watcher.unwatch(folder);
            // One that is missing shows itself to the watch on its parent when it comes.
            let _ = self.watcher.watch(folder, RecursiveMode::NonRecursive);
        }
    }

    fn reload(&mut self) {
        let refused = self.live.reload();
        let mut said = HashMap::with_capacity(refused.len());
        for (name, error) in refused {
            let text = error.to_string();
            if self.refused.get(&name) != Some(&text) {
                self.live.tell(&Change::Refused { name: &name, error: &error });
            }
            said.insert(name, text);
        }
        self.refused = said;
    }
}

#[cfg(test)]
mod tests {
    use notify::event::ModifyKind;

    use super::*;

    #[test]
    fn reading_is_no_sign_and_losing_count_is_one() {
        let reading = [AccessKind::Open(AccessMode::Any), AccessKind::Close(AccessMode::Read)];
        for kind in reading {
            assert!(!is_sign(&Ok(Event::new(EventKind::Access(kind)))), "{kind:?}");
        }
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        for kind in [written, EventKind::Modify(ModifyKind::Any), EventKind::Other] {
            assert!(is_sign(&Ok(Event::new(kind))), "{kind:?}");
        }
        assert!(is_sign(&Err(notify::Error::generic("lost"))));
    }
}
