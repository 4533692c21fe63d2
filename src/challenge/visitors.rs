//! Connections to a challenge listener: few at a time, none for long.
//!
//! Anybody may connect while a challenge is pending. However many do and say nothing, the next
//! visitor is heard: room is made at the cost of the one that has kept silent longest.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

/// The open connections of one socket; dropping it ends them.
#[derive(Default)]
pub(super) struct Visitors {
    tasks: JoinSet<()>,
    oldest_first: VecDeque<Visitor>,
}

struct Visitor {
    task: AbortHandle,
    has_spoken: Arc<AtomicBool>,
}

impl Visitors {
    pub(super) const MOST: usize = 128;
    /// For a whole visit, from connecting to the end of the answer.
    pub(super) const DEADLINE: Duration = Duration::from_secs(10);
    /// How long to wait when the system can give no connection.
    pub(super) const PAUSE: Duration = Duration::from_millis(20);

    /// Begins a conversation, ending another one if there are too many.
    pub(super) fn admit<F>(
        &mut self,
        stream: TcpStream,
        converse: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        while self.tasks.try_join_next().is_some() {}
        self.oldest_first.retain(|visitor| !visitor.task.is_finished());
        if self.oldest_first.len() >= Self::MOST {
            self.turn_one_away();
        }
        let has_spoken = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&has_spoken);
        let visit = async move {
            if stream.readable().await.is_ok() {
                heard.store(true, Ordering::Relaxed);
                converse(stream).await;
            }
        };
        let task = self.tasks.spawn(async move {
            // Whoever is not done by then is not validating anything.
            let _ = timeout(Self::DEADLINE, visit).await;
        });
        self.oldest_first.push_back(Visitor { task, has_spoken });
    }

    fn turn_one_away(&mut self) {
        let is_silent = |visitor: &Visitor| !visitor.has_spoken.load(Ordering::Relaxed);
        let index = self.oldest_first.iter().position(is_silent).unwrap_or(0);
        if let Some(visitor) = self.oldest_first.remove(index) {
            visitor.task.abort();
        }
    }
}
