//! Chain and key as a PKCS#12 file (RFC 7292), which OpenSSL 3 and Java can read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use p12_keystore::{
    Certificate, KeyStore, KeyStoreEntry, Pkcs12ImportPolicy, PrivateKey, PrivateKeyChain,
};
use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use super::Password;
use crate::deploy::TargetError;
use crate::deploy::pair::Pair;
use crate::deploy::place::quoted;

/// What is to be in the file.
pub(super) struct Keystore<'a> {
    /// The name of the entry, which Java asks for.
    pub(super) alias: &'a str,
    pub(super) pair: &'a Pair,
    pub(super) password: &'a str,
}

impl Keystore<'_> {
    /// Writes it, chain and key encrypted (PBES2, AES-256, HMAC-SHA-256).
    ///
    /// The library leaves its own copy of the key in memory.
    pub(super) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, p12_keystore::error::Error> {
        let certificates = self.pair.chain.ders().iter().map(|der| Certificate::from_der(der));
        let certificates = certificates.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKey::from_der(self.pair.key.pkcs8_der())?;
        // What ties the key to its certificate.
        let id = self.pair.chain.fingerprint().to_string();
        let mut keystore = KeyStore::new();
        let chain = PrivateKeyChain::new(id, key, certificates);
        keystore.add_entry(self.alias, KeyStoreEntry::PrivateKeyChain(chain));
        keystore.writer(self.password).write().map(Zeroizing::new)
    }

    /// Whether a file holds just that already, under the same password.
    pub(super) fn is_in(&self, file: &[u8]) -> bool {
        let Ok(found) = KeyStore::from_pkcs12(file, self.password, Pkcs12ImportPolicy::Strict)
        else {
            return false;
        };
        let Some((alias, chain)) = found.private_key_chain() else { return false };
        let ders = chain.certs().iter().map(Certificate::as_der);
        found.entries_len() == 1
            && alias == self.alias
            && chain.key().as_der() == self.pair.key.pkcs8_der()
            && ders.eq(self.pair.chain.ders().iter().map(AsRef::as_ref))
    }
}

impl Password {
    const LONGEST: u64 = 1024;

    /// Fetches it for `target`.
    pub(super) fn reveal(&self, target: &str) -> Result<Zeroizing<String>, TargetError> {
        let Self::File(path) = self else { return Ok(Zeroizing::new(String::new())) };
        let (facts, text) = read(path).map_err(|source| {
            let what = format!("read {}", path.display());
            TargetError::Io { target: target.to_owned(), what, source }
        })?;
        let refuse = |what: String, hint: Option<String>| {
            let what = format!("{} {what}", path.display());
            Err(TargetError::Refused {
                target: target.to_owned(),
                what,
                output: String::new(),
                hint,
            })
        };
        let (owner, mode) = (facts.uid(), facts.mode() & 0o7777);
        let ours = rustix::process::geteuid().as_raw();
        if ![0, ours].contains(&owner) {
            let hint = format!("chown {ours} {}", quoted(path));
            return refuse(format!("belongs to user {owner}"), Some(hint));
        }
        if !facts.is_file() || mode & 0o077 != 0 {
            let hint = format!("chmod 600 {}", quoted(path));
            return refuse(format!("is a secret open to others (mode {mode:04o})"), Some(hint));
        }
        let line = text.trim_end_matches(['\r', '\n']);
        // Other characters are not encoded alike by those who write and read such files.
        let fits = (1..=Self::LONGEST).contains(&(line.len() as u64));
        if !fits || !line.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            let what = "does not hold one line of printable ASCII characters";
            return refuse(what.to_owned(), None);
        }
        Ok(Zeroizing::new(line.to_owned()))
    }
}

fn read(path: &Path) -> io::Result<(std::fs::Metadata, Zeroizing<String>)> {
    // Not blocking, as opening a pipe would wait for its writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let facts = file.metadata()?;
    // Room for one byte more than is taken, so that the password is never moved by growing.
    let mut text = Zeroizing::new(String::with_capacity(Password::LONGEST as usize + 2));
    if facts.is_file() {
        file.take(Password::LONGEST + 1).read_to_string(&mut text)?;
    }
    Ok((facts, text))
}
