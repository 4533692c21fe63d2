//! A chain with its key: read, parsed and checked, or refused.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::libc::O_NONBLOCK;
use rustls::crypto::CryptoProvider;
use rustls::crypto::hash::{Hash, HashAlgorithm};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use thiserror::Error;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use zeroize::Zeroizing;

use crate::counters::Counters;

/// What a file may hold at most, in bytes.
const FILE_LIMIT: u64 = 256 * 1024;
/// Certificates a chain may have.
const CHAIN_LIMIT: usize = 16;

/// SHA-256 of a leaf certificate's DER; prints as lower-case hex.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Fingerprint([u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Why a certificate and its key are not taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PairError {
    /// A file cannot be read.
    #[error("cannot read {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is a directory, a pipe, a device.
    #[error("{path:?} is no regular file")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A file or a chain is longer than any honest one.
    #[error("{path:?} is too long")]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// There is no certificate, or one that does not parse.
    #[error("{path:?} is no chain of certificates in PEM")]
    Chain {
        /// The file.
        path: PathBuf,
    },
    /// There is no private key, or one the crypto provider cannot use.
    #[error("{path:?} is no private key in PEM that can be used")]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The key is not that of the leaf.
    #[error("{key:?} is not the key of {cert:?}")]
    Mismatch {
        /// The chain's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The leaf's validity is over.
    #[error("{path:?} expired at Unix time {not_after}")]
    Expired {
        /// The chain's file.
        path: PathBuf,
        /// When, in Unix seconds.
        not_after: i64,
    },
    /// The leaf's validity has not begun, by this machine's clock.
    #[error("{path:?} is not valid before Unix time {not_before}")]
    NotYetValid {
        /// The chain's file.
        path: PathBuf,
        /// When it will be, in Unix seconds.
        not_before: i64,
    },
}

/// The two files of a pair.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Files {
    /// Those of a live folder, by certbot's names.
    pub(crate) fn within(folder: &Path) -> Self {
        Self { cert: folder.join("fullchain.pem"), key: folder.join("privkey.pem") }
    }

    fn mismatch(&self) -> PairError {
        PairError::Mismatch { cert: self.cert.clone(), key: self.key.clone() }
    }
}

/// What turns files into pairs, with the cryptography of the server.
#[derive(Clone)]
pub(crate) struct Reader {
    provider: Arc<CryptoProvider>,
    sha256: &'static dyn Hash,
}

impl Reader {
    /// None for a provider without SHA-256, which cannot speak TLS 1.3 either.
    pub(crate) fn with(provider: Arc<CryptoProvider>) -> Option<Self> {
        let suites = provider.cipher_suites.iter().filter_map(|suite| suite.tls13());
        let sha256 = suites
            .map(|suite| suite.common.hash_provider)
            .find(|hash| hash.algorithm() == HashAlgorithm::SHA256)?;
        Some(Self { provider, sha256 })
    }

    /// A pair to serve: it parses, the key is the leaf's, and `now` lies within its validity.
    pub(crate) fn pair(&self, files: &Files, now: i64) -> Result<Pair, PairError> {
        let path = &files.cert;
        let (chain, key) = self.read(files)?;
        let leaf = Leaf::of(&chain).ok_or_else(|| PairError::Chain { path: path.clone() })?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|error| match error {
            rustls::Error::InvalidCertificate(_) => PairError::Chain { path: path.clone() },
            _ => files.mismatch(),
        })?;
        if leaf.not_after <= now {
            return Err(PairError::Expired { path: path.clone(), not_after: leaf.not_after });
        }
        if leaf.not_before > now {
            return Err(PairError::NotYetValid { path: path.clone(), not_before: leaf.not_before });
        }
        let digest = self.sha256.hash(&certified.cert[0]);
        Ok(Pair {
            fingerprint: Fingerprint(digest.as_ref().try_into().expect("SHA-256 has 32 bytes")),
            certified: Arc::new(certified),
            leaf,
            counters: Counters::default(),
        })
    }

    /// The pair of a live folder. Between its two files the whole folder may be exchanged: what does
    /// not match is read once more.
    pub(crate) fn folder(&self, folder: &Path, now: i64) -> Result<Pair, PairError> {
        let files = Files::within(folder);
        match self.pair(&files, now) {
            Err(PairError::Mismatch { .. }) => self.pair(&files, now),
            pair => pair,
        }
    }

    /// A pair to answer a challenge with. Its extension is critical and meant to be understood by no
    /// client (RFC 8737, section 3), so less can be asked of it than of a pair to serve.
    pub(crate) fn challenge(&self, files: &Files) -> Result<CertifiedKey, PairError> {
        let (chain, key) = self.read(files)?;
        let (_, leaf) = X509Certificate::from_der(&chain[0])
            .map_err(|_| PairError::Chain { path: files.cert.clone() })?;
        let spki = key.public_key().ok_or_else(|| files.mismatch())?;
        if leaf.public_key().raw != spki.as_ref() {
            return Err(files.mismatch());
        }
        Ok(CertifiedKey::new(chain, key))
    }

    /// A chain of at least one certificate, and a key.
    fn read(
        &self,
        files: &Files,
    ) -> Result<(Vec<CertificateDer<'static>>, Arc<dyn SigningKey>), PairError> {
        let pem = read(&files.cert)?;
        let path = || files.cert.clone();
        let chain = CertificateDer::pem_slice_iter(&pem)
            .take(CHAIN_LIMIT + 1)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| PairError::Chain { path: path() })?;
        if chain.is_empty() || chain.iter().any(|der| X509Certificate::from_der(der).is_err()) {
            return Err(PairError::Chain { path: path() });
        }
        if chain.len() > CHAIN_LIMIT {
            return Err(PairError::TooLong { path: path() });
        }
        let pem = read(&files.key)?;
        let unusable = || PairError::Key { path: files.key.clone() };
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| unusable())?;
        let key = self.provider.key_provider.load_private_key(key).map_err(|_| unusable())?;
        Ok((chain, key))
    }
}

/// Reads a regular file of honest length into memory that is zeroed when dropped.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, PairError> {
    let failed = |source| PairError::Read { path: path.into(), source };
    // A pipe without a writer must not hold the reader up.
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(PairError::NotAFile { path: path.into() });
    }
    let too_long = || PairError::TooLong { path: path.into() };
    let length =
        Some(metadata.len()).filter(|length| *length <= FILE_LIMIT).ok_or_else(too_long)?;
    // A buffer that had to grow would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length as usize + 1));
    file.take(length + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > length { Err(too_long()) } else { Ok(bytes) }
}

/// What of a leaf is asked again and again.
struct Leaf {
    /// Lower case; DNS names may be wildcards, addresses are in their usual form.
    names: Vec<String>,
    names_address: bool,
    not_before: i64,
    not_after: i64,
}

impl Leaf {
    fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let (_, leaf) = X509Certificate::from_der(chain.first()?).ok()?;
        let alternative = leaf.subject_alternative_name().ok()?;
        let mut names = Vec::new();
        let mut names_address = false;
        for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(octets) => {
                    names_address = true;
                    names.push(address(octets)?.to_string());
                }
                _ => {}
            }
        }
        let validity = leaf.validity();
        let (not_before, not_after) =
            (validity.not_before.timestamp(), validity.not_after.timestamp());
        Some(Self { names, names_address, not_before, not_after })
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
    }
}

/// A pair that may be served, with what its handshakes came to.
pub(crate) struct Pair {
    certified: Arc<CertifiedKey>,
    fingerprint: Fingerprint,
    leaf: Leaf,
    pub(crate) counters: Counters,
}

impl Pair {
    pub(crate) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.leaf.names
    }

    pub(crate) fn names_address(&self) -> bool {
        self.leaf.names_address
    }

    pub(crate) fn not_after(&self) -> i64 {
        self.leaf.not_after
    }

    /// The same certificates in the same order; the key then is the same, too.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
    }

    /// Claims that a client which asks for `name` accepts it, or for what `name` matches if that is
    /// a wildcard itself.
    pub(crate) fn covers(&self, name: &str) -> bool {
        let parent = name.split_once('.').map(|(_, parent)| parent);
        self.leaf.names.iter().any(|own| {
            own == name || own.strip_prefix("*.").is_some_and(|suffix| Some(suffix) == parent)
        })
    }
}
