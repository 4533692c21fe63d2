//! Whether a CA has revoked a certificate, by its own list (RFC 5280 §5).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, StatusCode, redirect};
use rustls::pki_types::{CertificateDer, UnixTime};
use thiserror::Error;
use tokio::time::{Instant, timeout};
use url::Url;
use webpki::{
    ALL_VERIFICATION_ALGS, BorrowedCertRevocationList, CertRevocationList, EndEntityCert,
    ExpirationPolicy, KeyUsage, RevocationCheckDepth, RevocationOptionsBuilder,
    UnknownStatusPolicy, anchor_from_trusted_cert,
};
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::parse_x509_certificate;

use crate::certificate::Chain;
use crate::model::time::Timestamp;

/// What a CA's list says of a certificate.
#[derive(Debug)]
pub(crate) enum Revocation {
    Good,
    Revoked {
        at: Timestamp,
        reason: Option<Reason>,
    },
    /// Nothing that can be believed.
    Unknown(NoList),
}

impl Revocation {
    /// The word for programs.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked { .. } => "revoked",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Why a CA says it revoked; prints as RFC 5280 §5.3.1 writes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Reason(webpki::RevocationReason);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use webpki::RevocationReason as Code;
        f.write_str(match self.0 {
            Code::Unspecified => "unspecified",
            Code::KeyCompromise => "keyCompromise",
            Code::CaCompromise => "cACompromise",
            Code::AffiliationChanged => "affiliationChanged",
            Code::Superseded => "superseded",
            Code::CessationOfOperation => "cessationOfOperation",
            Code::CertificateHold => "certificateHold",
            Code::RemoveFromCrl => "removeFromCRL",
            Code::PrivilegeWithdrawn => "privilegeWithdrawn",
            Code::AaCompromise => "aACompromise",
        })
    }
}

/// Seconds, as exact as anybody wants to know.
fn tenths(span: Duration) -> f32 {
    (span.as_secs_f32() * 10.0).round() / 10.0
}

/// Why no list speaks for a certificate.
#[derive(Debug, Error)]
pub(crate) enum NoList {
    #[error("the chain holds no certificate of an issuer, by which a revocation list is judged")]
    NoIssuer,
    #[error("the certificate names no revocation list that can be fetched")]
    NoneNamed,
    #[error("the revocation list at {url} did not come within {} s", tenths(*limit))]
    Late { url: Box<Url>, limit: Duration },
    #[error("cannot fetch the revocation list at {url}")]
    Unreachable { url: Box<Url>, source: reqwest::Error },
    #[error("instead of the revocation list at {url} there is {status}")]
    Status { url: Box<Url>, status: StatusCode },
    #[error("the revocation list at {url} is larger than {most} bytes")]
    Oversized { url: Box<Url>, most: usize },
    #[error("the revocation list at {url} is of no use")]
    Useless { url: Box<Url>, source: webpki::Error },
    #[error("no client for revocation lists can be made")]
    Client { source: reqwest::Error },
}

/// Revocation lists, fetched when asked for and kept while they are good.
///
/// A list is fetched anew after [`FRESH`], and serves on until its end if that fails.
pub(crate) struct Revocations {
    client: Client,
    limit: Duration,
    kept: Mutex<HashMap<Url, Kept>>,
}

#[derive(Clone)]
struct Kept {
    list: Arc<[u8]>,
    fetched: Timestamp,
}

const FRESH: Duration = Duration::from_secs(60 * 60);
const LARGEST: usize = 20 * 1024 * 1024;
/// Larger ones are fetched each time; of the others, so many of the newest are kept.
const LARGEST_KEPT: usize = 2 * 1024 * 1024;
const MOST_KEPT: usize = 32;
/// A certificate names one list, rarely a second place for it.
const MOST_PLACES: usize = 4;
const MOST_REDIRECTS: usize = 2;

impl Revocations {
    /// Keeps nothing yet; to ask for one certificate may take as long as `limit`. Where it names
    /// several places for its list, each has its share of the time still left.
    pub(crate) fn new(limit: Duration) -> Result<Self, NoList> {
        // Fails only when a provider is installed already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder()
            // A dependency may have brought decompression: small answers must not become large.
            .no_gzip()
            .no_deflate()
            .user_agent(concat!("acmeagent/", env!("CARGO_PKG_VERSION")))
            // Lists come over plain HTTP, for checking a server's certificate would need a list
            // again (RFC 5280 §8): no root is trusted, and none has to be loaded.
            .tls_certs_only([])
            .redirect(redirect::Policy::limited(MOST_REDIRECTS))
            .retry(reqwest::retry::never())
            .timeout(limit)
            .build()
            .map_err(|source| NoList::Client { source })?;
        Ok(Self { client, limit, kept: Mutex::default() })
    }

    /// Asks the lists the chain's leaf names until one can be believed.
    pub(crate) async fn of(&self, chain: &Chain, now: Timestamp) -> Revocation {
        let [leaf, issuer, ..] = chain.ders() else {
            return Revocation::Unknown(NoList::NoIssuer);
        };
        let mut unknown = NoList::NoneNamed;
        let (deadline, places) = (Instant::now() + self.limit, places(leaf));
        for (url, still) in places.iter().zip((1..=places.len()).rev()) {
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(still).expect("places are few");
            match self.ask(url, leaf, issuer, (now, share)).await {
                Revocation::Unknown(why) => unknown = why,
                known => return known,
            }
        }
        Revocation::Unknown(unknown)
    }

    async fn ask(
        &self,
        url: &Url,
        leaf: &CertificateDer<'_>,
        issuer: &CertificateDer<'_>,
        (now, limit): (Timestamp, Duration),
    ) -> Revocation {
        let kept = self.kept(url);
        if let Some(kept) = &kept
            && now.since(kept.fetched) < FRESH
            && let Ok(known) = judge(&kept.list, leaf, issuer, now)
        {
            return known;
        }
        let error = match self.fetch(url, limit).await {
            Ok(list) => match judge(&list, leaf, issuer, now) {
                Ok(known) => {
                    self.keep(url, list, now);
                    return known;
                }
                Err(source) => NoList::Useless { url: Box::new(url.clone()), source },
            },
            Err(error) => error,
        };
        let known = kept.and_then(|kept| judge(&kept.list, leaf, issuer, now).ok());
        known.unwrap_or(Revocation::Unknown(error))
    }

    fn kept(&self, url: &Url) -> Option<Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(url).cloned()
    }

    fn keep(&self, url: &Url, list: Vec<u8>, fetched: Timestamp) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(url);
        if list.len() > LARGEST_KEPT {
            return;
        }
        let oldest = kept.iter().min_by_key(|(_, kept)| kept.fetched).map(|(url, _)| url.clone());
        if let Some(oldest) = oldest.filter(|_| kept.len() == MOST_KEPT) {
            kept.remove(&oldest);
        }
        kept.insert(url.clone(), Kept { list: list.into(), fetched });
    }

    async fn fetch(&self, url: &Url, limit: Duration) -> Result<Vec<u8>, NoList> {
        let late = || NoList::Late { url: Box::new(url.clone()), limit };
        let fetched = timeout(limit, self.read(url)).await;
        fetched.unwrap_or_else(|_| Err(late())).map_err(|error| match error {
            NoList::Unreachable { source, .. } if source.is_timeout() => late(),
            error => error,
        })
    }

    async fn read(&self, url: &Url) -> Result<Vec<u8>, NoList> {
        let boxed = || Box::new(url.clone());
        let failed = |source: reqwest::Error| NoList::Unreachable {
            url: boxed(),
            source: source.without_url(),
        };
        let mut response = self.client.get(url.clone()).send().await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(NoList::Status { url: boxed(), status: response.status() });
        }
        let mut list = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if list.len() + chunk.len() > LARGEST {
                return Err(NoList::Oversized { url: boxed(), most: LARGEST });
            }
            list.extend_from_slice(&chunk);
        }
        Ok(list)
    }
}

/// Where a certificate says its list is; only plain HTTP, as public CAs have it.
fn places(leaf: &CertificateDer<'_>) -> Vec<Url> {
    let Ok((_, leaf)) = parse_x509_certificate(leaf) else { return Vec::new() };
    let mut places = Vec::new();
    for extension in leaf.extensions() {
        let ParsedExtension::CRLDistributionPoints(points) = extension.parsed_extension() else {
            continue;
        };
        for point in points.points.iter() {
            let Some(DistributionPointName::FullName(names)) = &point.distribution_point else {
                continue;
            };
            places.extend(names.iter().filter_map(|name| match name {
                GeneralName::URI(uri) => Url::parse(uri).ok().filter(|url| url.scheme() == "http"),
                _ => None,
            }));
        }
    }
    places.truncate(MOST_PLACES);
    places
}

/// What a list says, if it is the issuer's, about this leaf, and not past its end.
fn judge(
    list: &[u8],
    leaf: &CertificateDer<'_>,
    issuer: &CertificateDer<'_>,
    now: Timestamp,
) -> Result<Revocation, webpki::Error> {
    let list = CertRevocationList::from(BorrowedCertRevocationList::from_der(list)?);
    let lists = [&list];
    let options = RevocationOptionsBuilder::new(&lists)
        .expect("there is one list")
        .with_depth(RevocationCheckDepth::EndEntity)
        .with_status_policy(UnknownStatusPolicy::Deny)
        .with_expiration_policy(ExpirationPolicy::Enforce)
        .build();
    let anchors = [anchor_from_trusted_cert(issuer)?];
    let leaf = EndEntityCert::try_from(leaf)?;
    let now = Duration::from_secs(u64::try_from(now.unix()).unwrap_or(0));
    let (now, usage) = (UnixTime::since_unix_epoch(now), KeyUsage::server_auth());
    let algorithms = ALL_VERIFICATION_ALGS;
    match leaf.verify_for_usage(algorithms, &anchors, &[], now, usage, Some(options), None) {
        Ok(_) => Ok(Revocation::Good),
        Err(webpki::Error::CertRevoked) => {
            let entry = list.find_serial(leaf.serial())?.ok_or(webpki::Error::CertRevoked)?;
            let at = i64::try_from(entry.revocation_date.as_secs()).unwrap_or(i64::MAX);
            let (at, reason) = (Timestamp::from_unix(at), entry.reason_code.map(Reason));
            Ok(Revocation::Revoked { at, reason })
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
