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
pub(super) struct Visitors {
    deadline: Duration,
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

    /// Nobody yet, and this long for each visit.
    pub(super) fn new(deadline: Duration) -> Self {
        Self { deadline, tasks: JoinSet::new(), oldest_first: VecDeque::new() }
    }

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
            if matches!(stream.peek(&mut [0]).await, Ok(1)) {
                heard.store(true, Ordering::Relaxed);
                converse(stream).await;
            }
        };
        let deadline = self.deadline;
        let task = self.tasks.spawn(async move {
            // Whoever is not done by then is not validating anything.
            let _ = timeout(deadline, visit).await;
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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// The two ends of one connection.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (near, listener.accept().await.unwrap().0)
    }

    /// A conversation that says one byte as a sign that it began, and then stalls.
    async fn greet_and_stall(mut stream: TcpStream) {
        stream.write_all(b"!").await.unwrap();
        pending::<()>().await;
    }

    async fn has_ended(stream: &mut TcpStream) -> bool {
        let read = timeout(Duration::from_secs(10), stream.read(&mut [0])).await;
        matches!(read.expect("ended in time"), Ok(0) | Err(_))
    }

    #[tokio::test]
    async fn nobody_stays_longer_than_the_deadline() {
        let mut visitors = Visitors::new(Duration::from_millis(50));
        let (mut silent, far) = pair().await;
        visitors.admit(far, greet_and_stall);
        let (mut stalled, far) = pair().await;
        visitors.admit(far, greet_and_stall);
        stalled.write_all(b"?").await.unwrap();
        assert_eq!(stalled.read_u8().await.unwrap(), b'!');
        assert!(has_ended(&mut silent).await);
        assert!(has_ended(&mut stalled).await);
    }

    #[tokio::test]
    async fn the_longest_silent_makes_room() {
        let mut visitors = Visitors::new(Duration::from_secs(60));
        let (mut speaker, far) = pair().await;
        speaker.write_all(b"?").await.unwrap();
        visitors.admit(far, greet_and_stall);
        assert_eq!(speaker.read_u8().await.unwrap(), b'!');
        let mut silent = Vec::new();
        for _ in 0..Visitors::MOST {
            let (near, far) = pair().await;
            visitors.admit(far, greet_and_stall);
            silent.push(near);
        }
        assert!(has_ended(&mut silent[0]).await);
        for staying in [&mut speaker, &mut silent[1]] {
            let waited = timeout(Duration::from_millis(50), staying.read(&mut [0])).await;
            assert!(waited.is_err(), "{waited:?}");
        }
        drop(visitors);
        assert!(has_ended(&mut speaker).await);
    }
}
