//! The connections of those in front: many at a time, and long ones among them.
//!
//! Anybody may connect at any time. However many do and then say nothing, the next visitor is
//! heard: room is made at the cost of the one that nothing has passed to or from for longest.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};

/// The open connections; dropping it ends them.
pub(super) struct Visits {
    most: usize,
    tasks: JoinSet<()>,
    open: Vec<Visit>,
    /// Counts what passes: an order in time, without a clock.
    passed: Arc<AtomicU64>,
}

struct Visit {
    task: AbortHandle,
    last: Arc<AtomicU64>,
}

impl Visits {
    /// Nobody yet, and so many at a time.
    pub(super) fn new(most: usize) -> Self {
        Self { most, tasks: JoinSet::new(), open: Vec::new(), passed: Arc::default() }
    }

    /// Begins a conversation, ending another one if there are too many.
    pub(super) fn admit<F>(
        &mut self,
        stream: TcpStream,
        converse: impl FnOnce(Heard) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        while self.tasks.try_join_next().is_some() {}
        self.open.retain(|visit| !visit.task.is_finished());
        if self.open.len() >= self.most {
            self.turn_one_away();
        }
        let heard = Heard { stream, passed: Arc::clone(&self.passed), last: Arc::default() };
        heard.mark();
        let last = Arc::clone(&heard.last);
        let task = self.tasks.spawn(converse(heard));
        self.open.push(Visit { task, last });
    }

    /// Ends the connection that was silent for longest.
    pub(super) fn turn_one_away(&mut self) {
        let last = |(_, visit): &(usize, &Visit)| visit.last.load(Ordering::Relaxed);
        if let Some((index, _)) = self.open.iter().enumerate().min_by_key(last) {
            self.open.swap_remove(index).task.abort();
        }
    }

    /// Waits until all have ended by themselves.
    pub(super) async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Whether what lacks is descriptors or memory, which an ended connection gives back.
pub(super) fn is_exhausted(error: &io::Error) -> bool {
    let lacking = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    lacking.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// A stream that notes whenever something passes.
pub(super) struct Heard {
    stream: TcpStream,
    passed: Arc<AtomicU64>,
    last: Arc<AtomicU64>,
}

impl Heard {
    fn mark(&self) {
        self.last.store(self.passed.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }

    fn written(&self, result: io::Result<usize>) -> Poll<io::Result<usize>> {
        if matches!(result, Ok(1..)) {
            self.mark();
        }
        Poll::Ready(result)
    }
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if buffer.filled().len() > before {
            self.mark();
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.written(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, parts));
        self.written(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    /// Says every byte back.
    async fn echo(mut stream: Heard) {
        while let Ok(byte) = stream.read_u8().await {
            let _ = stream.write_u8(byte).await;
        }
    }

    async fn visit(visits: &mut Visits) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        visits.admit(listener.accept().await.unwrap().0, echo);
        near
    }

    async fn is_served(stream: &mut TcpStream) -> bool {
        let exchange = async {
            stream.write_u8(b'x').await?;
            stream.read_u8().await
        };
        timeout(Duration::from_secs(10), exchange).await.expect("served or let go").is_ok()
    }

    #[tokio::test]
    async fn who_was_silent_for_longest_makes_room() {
        let mut visits = Visits::new(3);
        let mut first = visit(&mut visits).await;
        let mut second = visit(&mut visits).await;
        let mut third = visit(&mut visits).await;
        for spoken in [&mut third, &mut first] {
            assert!(is_served(spoken).await);
        }
        let mut fourth = visit(&mut visits).await;
        assert!(!is_served(&mut second).await);
        for staying in [&mut third, &mut first, &mut fourth] {
            assert!(is_served(staying).await);
        }
        visits.turn_one_away();
        assert!(!is_served(&mut third).await);
        drop((first, fourth));
        timeout(Duration::from_secs(10), visits.ended()).await.expect("all have gone");
    }
}
