//! Where runs of the same home hand their answers over.
//!
//! An answer lives as long as the connection that brought it: what a run that was killed had asked
//! for ends with it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, chmod, unlink};
use rustix::io::Errno;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::wire::{Line, Reply, Wish};
use super::{Pending, Visitors};
use crate::model::challenge::{Challenge, ChallengeKind, KeyAuthorization, Token};
use crate::model::name::Identifier;

/// Runs at a time; one more waits.
const MOST_RUNS: usize = 64;
/// Answers of one run at a time.
const MOST_ANSWERS: usize = 10_000;

/// The socket, open; dropping it closes and removes it.
pub(in crate::challenge) struct Desk {
    listener: UnixListener,
    path: PathBuf,
}

impl Desk {
    /// Opens it in the place of one whose owner is gone; for us alone.
    pub(in crate::challenge) fn open(path: &Path) -> io::Result<Self> {
        match unlink(path) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let listener = UnixListener::bind(path)?;
        chmod(path, Mode::RUSR | Mode::WUSR)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Takes answers for as long as it is polled.
    pub(in crate::challenge) async fn attend(
        &self,
        addresses: &[SocketAddr],
        pending: &Arc<Pending<KeyAuthorization>>,
    ) -> Infallible {
        let places = Arc::new(Semaphore::new(MOST_RUNS));
        let mut runs = JoinSet::new();
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            let accepted = self.listener.accept().await;
            while runs.try_join_next().is_some() {}
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Visitors::PAUSE).await;
                continue;
            };
            let (addresses, pending) = (addresses.to_vec(), Arc::clone(pending));
            runs.spawn(async move {
                let mut brought = Brought { pending, challenges: Vec::new() };
                // A run that breaks off takes its answers with it.
                let _ = listen(stream, &addresses, &mut brought).await;
                drop(place);
            });
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // The next one replaces what stays.
        let _ = unlink(&self.path);
    }
}

/// The answers of one run; dropping it takes them back.
struct Brought {
    pending: Arc<Pending<KeyAuthorization>>,
    challenges: Vec<Challenge>,
}

impl Drop for Brought {
    fn drop(&mut self) {
        for challenge in &self.challenges {
            self.pending.remove(challenge);
        }
    }
}

async fn listen(
    stream: UnixStream,
    addresses: &[SocketAddr],
    brought: &mut Brought,
) -> io::Result<()> {
    let mut line = Line::new(stream)?;
    while let Some(wish) = line.hear().await? {
        let reply = match wish {
            Wish::Hello => Reply::Here { addresses: addresses.to_vec() },
            Wish::Present { identifier, token, key_authorization } => {
                brought.take(&identifier, &token, &key_authorization)
            }
            Wish::Withdraw { identifier, token } => brought.give_back(&identifier, &token),
        };
        line.say(&reply).await?;
    }
    Ok(())
}

impl Brought {
    fn take(&mut self, identifier: &str, token: &str, key_authorization: &str) -> Reply {
        let Some(challenge) = challenge(identifier, token, key_authorization) else {
            return Reply::Refused("that is no http-01 challenge".to_owned());
        };
        if self.challenges.len() >= MOST_ANSWERS {
            return Reply::Refused("these are too many answers at once".to_owned());
        }
        self.pending.put(&challenge, challenge.key_authorization.clone());
        self.challenges.push(challenge);
        Reply::Done
    }

    fn give_back(&mut self, identifier: &str, token: &str) -> Reply {
        let meant = |challenge: &mut Challenge| {
            challenge.identifier.to_string() == identifier && challenge.token.as_str() == token
        };
        for challenge in self.challenges.extract_if(.., meant) {
            self.pending.remove(&challenge);
        }
        Reply::Done
    }
}

fn challenge(identifier: &str, token: &str, key_authorization: &str) -> Option<Challenge> {
    let identifier = Identifier::parse(identifier).ok()?;
    let token = Token::parse(token)?;
    let key_authorization = KeyAuthorization::parse(&token, key_authorization)?;
    let kind = ChallengeKind::Http01;
    let account = None;
    let challenge = Challenge { identifier, kind, token, key_authorization, account };
    kind.proves(&challenge.identifier).then_some(challenge)
}
