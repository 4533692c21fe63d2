//! A chain and its key, as a target finds them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::{Delivery, TargetError};
use crate::certificate::{Chain, Fingerprint, Key};
use crate::model::file;

/// What a delivery brings, parsed.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) chain: Chain,
    pub(super) key: Key,
}

impl Pair {
    /// Reads what is live.
    ///
    /// # Errors
    /// It cannot be read, or is not what is to be delivered. `target` says who wanted it.
    pub(super) fn live(delivery: &Delivery, target: &str) -> Result<Self, TargetError> {
        Self::read(&delivery.live_dir, delivery.fingerprint, target)
    }

    /// Reads what will be live; otherwise as [`Self::live`].
    pub(super) fn archived(delivery: &Delivery, target: &str) -> Result<Self, TargetError> {
        Self::read(&delivery.archive_dir, delivery.fingerprint, target)
    }

    fn read(dir: &Path, wanted: Fingerprint, target: &str) -> Result<Self, TargetError> {
        let refuse = |path: &Path, what: &str| TargetError::Refused {
            target: target.to_owned(),
            what: format!("{} {what}", path.display()),
            output: String::new(),
            hint: None,
        };
        let (fullchain, privkey) = (dir.join(file::FULLCHAIN), dir.join(file::PRIVKEY));
        let chain = Chain::parse(&read(&fullchain, target)?)
            .map_err(|error| refuse(&fullchain, &format!("is no certificate chain: {error}")))?;
        let key = Key::parse(&read(&privkey, target)?)
            .map_err(|error| refuse(&privkey, &format!("is no private key: {error}")))?;
        if chain.fingerprint() != wanted {
            return Err(refuse(&fullchain, "is not the certificate that is to be delivered"));
        }
        if chain.spki() != key.spki() {
            return Err(refuse(&privkey, "is not the key of the certificate beside it"));
        }
        Ok(Self { chain, key })
    }

    /// Chain and key as one file of PEM, without a blank line.
    pub(super) fn combined(&self) -> Zeroizing<String> {
        let (chain, key) = (self.chain.pem(), self.key.pem());
        let mut whole = Zeroizing::new(String::with_capacity(chain.len() + key.len()));
        whole.push_str(&chain);
        whole.push_str(&key);
        whole
    }
}

/// Reads a file no larger than any of ours.
fn read(path: &Path, target: &str) -> Result<Zeroizing<Vec<u8>>, TargetError> {
    const LARGEST: u64 = 1 << 20;
    let read = || -> io::Result<_> {
        let file = File::open(path)?;
        // One byte more than expected, so that a private key is never moved by growing.
        let size = file.metadata()?.len().min(LARGEST) as usize;
        let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
        file.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|source| {
        let what = format!("read {}", path.display());
        TargetError::Io { target: target.to_owned(), what, source }
    })
}
