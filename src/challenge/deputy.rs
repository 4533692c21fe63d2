//! Having a `serve` of the same home answer, where one has the port.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::front::wire::{Line, Reply, Wish};
use super::{Listen, SolverError};
use crate::model::challenge::Challenge;

/// For one question to the other process and its reply.
const DEADLINE: Duration = Duration::from_secs(5);

/// Whoever answers at a port in our stead, if anybody does.
pub(super) struct Deputy {
    listen: Listen,
    port: u16,
    desk: PathBuf,
    state: Mutex<State>,
    answers: AtomicBool,
}

/// What was handed over lives as long as the line.
#[derive(Default)]
struct State {
    line: Option<Line>,
    presented: Vec<Challenge>,
}

impl Deputy {
    /// Asks nobody yet.
    pub(super) fn new(listen: Listen, port: u16, desk: PathBuf) -> Self {
        Self { listen, port, desk, state: Mutex::default(), answers: AtomicBool::new(false) }
    }

    /// The port, while there are answers at it.
    pub(super) fn port(&self) -> Option<u16> {
        self.answers.load(Ordering::Acquire).then_some(self.port)
    }

    /// Whether there is one who would take answers for this port.
    pub(super) async fn is_there(&self) -> bool {
        self.call().await.is_ok()
    }

    /// Hands an answer over; `false` where there is nobody to take it.
    ///
    /// One who was started anew meanwhile is told again what is still presented.
    pub(super) async fn present(&self, challenge: &Challenge) -> Result<bool, SolverError> {
        let mut state = self.state.lock().await;
        let State { line, presented } = &mut *state;
        if let Some(line) = line
            && hand_over(line, challenge).await.is_ok()
        {
            presented.push(challenge.clone());
            return Ok(true);
        }
        *line = self.call().await.ok();
        let Some(line) = line else { return Ok(false) };
        for challenge in presented.iter().chain([challenge]) {
            let identifier = || challenge.identifier.clone();
            hand_over(line, challenge)
                .await
                .map_err(|source| SolverError::Deputy { identifier: identifier(), source })?;
        }
        presented.push(challenge.clone());
        self.answers.store(true, Ordering::Release);
        Ok(true)
    }

    /// Takes an answer back, and hangs up after the last one.
    pub(super) async fn withdraw(&self, challenge: &Challenge) {
        let mut state = self.state.lock().await;
        let State { line, presented } = &mut *state;
        let before = presented.len();
        let is_it = |one: &Challenge| {
            one.token == challenge.token && one.identifier == challenge.identifier
        };
        presented.retain(|one| !is_it(one));
        if presented.len() == before {
            return;
        }
        if let Some(told) = line {
            let (identifier, token) = (challenge.identifier.to_string(), challenge.token.as_str());
            let wish = Wish::Withdraw { identifier, token: token.to_owned() };
            // What was not heard ends with the line.
            if ask(told, &wish).await.is_err() {
                *line = None;
            }
        }
        if presented.is_empty() {
            *line = None;
            self.answers.store(false, Ordering::Release);
        }
    }

    /// A line to whoever has the port.
    async fn call(&self) -> io::Result<Line> {
        let stream = timeout(DEADLINE, UnixStream::connect(&self.desk)).await??;
        let mut line = Line::new(stream)?;
        match ask(&mut line, &Wish::Hello).await? {
            Reply::Here { addresses } if covers(&addresses, self.listen, self.port) => Ok(line),
            _ => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }
}

async fn hand_over(line: &mut Line, challenge: &Challenge) -> io::Result<()> {
    let wish = Wish::Present {
        identifier: challenge.identifier.to_string(),
        token: challenge.token.as_str().to_owned(),
        key_authorization: challenge.key_authorization.as_str().to_owned(),
    };
    match ask(line, &wish).await? {
        Reply::Refused(why) => Err(io::Error::other(why)),
        Reply::Done | Reply::Here { .. } => Ok(()),
    }
}

async fn ask(line: &mut Line, wish: &Wish) -> io::Result<Reply> {
    let exchange = async {
        line.say(wish).await?;
        line.hear().await?.ok_or(io::ErrorKind::UnexpectedEof.into())
    };
    timeout(DEADLINE, exchange).await?
}

/// Whether what is asked where we would listen reaches one of these addresses.
pub(super) fn covers(addresses: &[SocketAddr], listen: Listen, port: u16) -> bool {
    let mut on_port = addresses.iter().filter(|address| address.port() == port);
    match listen {
        Listen::Everywhere | Listen::Loopback => on_port.next().is_some(),
        Listen::At(ip) => on_port.any(|address| {
            let any = address.ip().is_unspecified() && address.is_ipv6() == ip.is_ipv6();
            any || address.ip() == ip
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_we_would_listen() {
        let addresses = |text: &[&str]| -> Vec<SocketAddr> {
            text.iter().map(|address| address.parse().unwrap()).collect()
        };
        let everywhere = addresses(&["[::]:80", "0.0.0.0:80"]);
        let one = addresses(&["192.0.2.1:80"]);
        let at = |ip: &str| Listen::At(ip.parse().unwrap());
        let table = [
            (&everywhere, Listen::Everywhere, 80, true),
            (&everywhere, Listen::Everywhere, 81, false),
            (&everywhere, Listen::Everywhere, 0, false),
            (&everywhere, at("192.0.2.1"), 80, true),
            (&everywhere, at("2001:db8::1"), 80, true),
            (&one, at("192.0.2.1"), 80, true),
            (&one, at("192.0.2.2"), 80, false),
            (&one, Listen::Everywhere, 80, true),
        ];
        for (addresses, listen, port, covered) in table {
            assert_eq!(covers(addresses, listen, port), covered, "{addresses:?} {listen:?} {port}");
        }
    }
}
