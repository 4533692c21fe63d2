//! Everything that can go wrong between us and a CA.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use thiserror::Error;
use url::Url;

use super::origin::CaUrl;
use super::problem::Problem;
use crate::model::fault::Fault;
use crate::model::name::Identifier;
use crate::model::time::Timestamp;
use crate::schedule::budget::What;
use crate::schedule::limits::Scope;

/// Why a CA did not do what it was asked.
///
/// Texts that came from the CA are bounded and printable.
#[derive(Debug, Error)]
pub(crate) enum AcmeError {
    #[error("cannot set up TLS for the CA: {why}")]
    Tls { why: &'static str, source: Option<reqwest::Error> },
    #[error("cannot reach {url}{}", untimely(.source))]
    Unreachable { url: Box<Url>, source: reqwest::Error },
    #[error("{url} did not answer in time")]
    TimedOut { url: Box<Url>, source: reqwest::Error },
    #[error("{url} sent more than {limit} bytes")]
    Oversized { url: Box<Url>, limit: usize },
    #[error("{url} redirects to {to:?}; ACME requests are not redirected")]
    Redirected { url: Box<Url>, to: String },
    #[error("cannot make sense of what {url} sent: {what}")]
    Unintelligible { url: Box<Url>, what: &'static str, source: Option<serde_json::Error> },
    #[error("refused {what} from the CA: {value:?} {why}")]
    Unacceptable { what: &'static str, value: String, why: &'static str },
    #[error("the CA refuses {url}: {problem}")]
    Refused { url: Box<Url>, problem: Box<Problem> },
    #[error("the CA limits requests until {until}: {problem}")]
    RateLimited { problem: Box<Problem>, until: Timestamp },
    /// Its text has the page, whose address is half a secret, and is not shown.
    #[error("the CA takes no orders for some of these names until a person has visited a page")]
    Paused { problem: Box<Problem> },
    #[error("the CA is unavailable: {problem}")]
    Unavailable { url: Box<Url>, problem: Box<Problem>, until: Option<Timestamp> },
    #[error("the CA refused {attempts} nonces in a row at {url}")]
    NonceStorm { url: Box<Url>, attempts: usize },
    #[error("the CA objects to the certificate being replaced: {problem}")]
    ReplacesRefused { problem: Box<Problem> },
    #[error("the CA offers no {what}")]
    NotOffered { what: &'static str },
    #[error("the terms of service at {terms} must be agreed to first")]
    TermsNotAgreed { terms: String },
    #[error("the CA requires an external account binding (key id and HMAC key)")]
    EabRequired { by_email: bool },
    #[error("{url} gave no external account binding for this e-mail address: {said}")]
    EabNotGiven { url: Box<Url>, said: String },
    #[error("the CA does not accept the external account binding: {problem}")]
    EabRefused { problem: Box<Problem> },
    #[error("the external account binding is unusable: {why}")]
    EabUnusable { why: &'static str },
    #[error("the account is not registered yet")]
    NotRegistered,
    #[error("the CA knows the account neither by its key nor by the one prepared for it")]
    NoKeyInForce,
    #[error("no new account key was prepared")]
    NoNextKey,
    #[error("the account belongs to {theirs:?}, not to {ours}")]
    OtherDirectory { ours: Box<Url>, theirs: String },
    #[error("{what} is unusable: {why}")]
    Key { what: &'static str, why: String },
    #[error("the CA opened an order for {got} although it was asked for {wanted}")]
    OtherIdentifiers { wanted: String, got: String },
    #[error("the CA is not convinced: {}", list(.failures))]
    Unproven { failures: Vec<ChallengeFailure> },
    #[error("order {url} is invalid: {problem}")]
    OrderInvalid { url: Box<Url>, problem: Box<Problem> },
    #[error("order {url} cannot be {what} while it is {status}")]
    OrderNotFit { url: Box<Url>, what: &'static str, status: &'static str },
    #[error("{url} is not {what} after {} s", .waited.as_secs())]
    StillWaiting { url: Box<Url>, what: &'static str, waited: Duration, until: Option<Timestamp> },
    #[error("cannot use the account")]
    Account(#[source] instant_acme::Error),
}

/// A challenge the CA could not follow, in its own words.
#[derive(Clone, Debug)]
pub(crate) struct ChallengeFailure {
    pub(crate) identifier: Identifier,
    /// The challenge type, as in `http-01`.
    pub(crate) challenge: String,
    pub(crate) problem: Problem,
}

impl fmt::Display for ChallengeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}: {}", self.identifier, self.challenge, self.problem)
    }
}

/// A TLS error as it is, or inside the I/O errors it travels in.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let carrier = error.downcast_ref::<std::io::Error>();
    match carrier.and_then(std::io::Error::get_ref) {
        Some(inner) => tls_error(inner),
        None => error.downcast_ref(),
    }
}

/// What is wrong with the CA's own TLS certificate, if that is why it is out of reach.
fn certificate_error(source: &reqwest::Error) -> Option<&rustls::CertificateError> {
    let causes = std::iter::successors(Some(source as &dyn std::error::Error), |e| e.source());
    causes.filter_map(tls_error).find_map(|error| match error {
        rustls::Error::InvalidCertificate(why) => Some(why),
        _ => None,
    })
}

/// The dates of the CA's own TLS certificate in words, where they are what is wrong.
fn untimely(source: &reqwest::Error) -> String {
    use rustls::CertificateError::{ExpiredContext, NotValidYetContext};
    let at = |time: &rustls::pki_types::UnixTime| {
        Timestamp::from_unix(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
    };
    match certificate_error(source) {
        Some(ExpiredContext { not_after, .. }) => {
            format!(": its certificate expired at {}", at(not_after))
        }
        Some(NotValidYetContext { not_before, .. }) => {
            format!(": its certificate is valid from {} on", at(not_before))
        }
        _ => String::new(),
    }
}

fn list(failures: &[ChallengeFailure]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What a request may be refused for now and granted later, though nobody changes anything here.
const MOMENTARY: &[&str] =
    &["serverInternal", "orderNotReady", "conflict", "badNonce", "rateLimited", "about:blank"];

/// What makes proving the same names again pointless. Anything else may be a server still starting
/// or a record still spreading.
const LASTING: &[&str] =
    &["rejectedIdentifier", "unsupportedIdentifier", "caa", "badCSR", "badPublicKey"];

impl AcmeError {
    /// Sorts what the CA answered; `until` is when it wants to be asked again.
    pub(super) fn from_problem(url: &CaUrl, problem: Problem, until: Option<Timestamp>) -> Self {
        let (url, problem) = (url.boxed(), Box::new(problem));
        match (problem.status, until) {
            (_, None) if problem.is_pause() => Self::Paused { problem },
            // Let's Encrypt calls a server that is busy rateLimited too: that is no limit of ours.
            (500.., until) => Self::Unavailable { url, problem, until },
            (status, Some(until)) if status == 429 || problem.is("rateLimited") => {
                Self::RateLimited { problem, until }
            }
            _ => Self::Refused { url, problem },
        }
    }

    /// The same where a registration with an external account binding was refused.
    ///
    /// CAs have no word of their own for a binding that is used up or expired.
    pub(super) fn of_registration(self) -> Self {
        const OF_BINDING: [&str; 3] = ["externalAccountRequired", "malformed", "unauthorized"];
        match self {
            Self::Refused { problem, .. } if among(&OF_BINDING, &problem) => {
                Self::EabRefused { problem }
            }
            other => other,
        }
    }

    /// Whether trying again can help, and from when on.
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Oversized { .. }
            | Self::Unintelligible { .. }
            | Self::NonceStorm { .. }
            | Self::ReplacesRefused { .. } => Fault::Passing,
            Self::RateLimited { until, .. } => Fault::WaitUntil(*until),
            Self::Unavailable { until, .. } | Self::StillWaiting { until, .. } => {
                until.map_or(Fault::Passing, Fault::WaitUntil)
            }
            // Whatever it is called: a limit nobody says the end of.
            Self::Refused { problem, .. } if problem.status == 429 => Fault::Passing,
            Self::Refused { problem, .. } if among(MOMENTARY, problem) => Fault::Passing,
            Self::OrderInvalid { problem, .. } if !among(LASTING, problem) => Fault::Passing,
            Self::Unproven { failures }
                if !failures.iter().any(|failure| among(LASTING, &failure.problem)) =>
            {
                Fault::Passing
            }
            _ => Fault::Permanent,
        }
    }

    /// The word by which it is counted: what the CA called it where that is known.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Tls { .. } | Self::Unreachable { .. } => "network",
            Self::TimedOut { .. } | Self::StillWaiting { .. } => "timeout",
            Self::Paused { .. } => "paused",
            Self::Unavailable { problem, .. } => problem.word().unwrap_or("unavailable"),
            Self::NonceStorm { .. } => "badNonce",
            Self::TermsNotAgreed { .. } => "userActionRequired",
            Self::EabRequired { .. }
            | Self::EabNotGiven { .. }
            | Self::EabRefused { .. }
            | Self::EabUnusable { .. } => "externalAccountRequired",
            Self::NotRegistered
            | Self::NoKeyInForce
            | Self::NoNextKey
            | Self::OtherDirectory { .. }
            | Self::Key { .. }
            | Self::Account(_) => "account",
            Self::Unproven { failures } => {
                failures.iter().find_map(|failure| failure.problem.word()).unwrap_or("acme")
            }
            Self::Refused { .. }
            | Self::RateLimited { .. }
            | Self::ReplacesRefused { .. }
            | Self::OrderInvalid { .. } => self.problem().and_then(Problem::word).unwrap_or("acme"),
            Self::Oversized { .. }
            | Self::Redirected { .. }
            | Self::Unintelligible { .. }
            | Self::Unacceptable { .. }
            | Self::NotOffered { .. }
            | Self::OtherIdentifiers { .. }
            | Self::OrderNotFit { .. } => "acme",
        }
    }

    /// The problem document the CA sent, if there is one.
    pub(crate) fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { problem, .. }
            | Self::RateLimited { problem, .. }
            | Self::Paused { problem }
            | Self::Unavailable { problem, .. }
            | Self::ReplacesRefused { problem }
            | Self::EabRefused { problem }
            | Self::OrderInvalid { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// What this teaches of the CA's limits, for an order of `identifiers`.
    pub(crate) fn lessons(&self, identifiers: &BTreeSet<Identifier>) -> Vec<What> {
        match self {
            Self::RateLimited { problem, until } => {
                vec![What::Refused { scope: problem.limit(identifiers), until: *until }]
            }
            Self::Unavailable { until: Some(until), .. } => {
                vec![What::Refused { scope: Scope::Ca, until: *until }]
            }
            Self::Paused { problem } => {
                let page = problem.page().unwrap_or_default();
                let named = problem.named(identifiers);
                let concerned = if named.is_empty() { identifiers.iter().collect() } else { named };
                let paused = |identifier: &Identifier| What::Paused {
                    identifier: identifier.clone(),
                    page: page.to_owned(),
                };
                concerned.into_iter().map(paused).collect()
            }
            Self::Unproven { failures } => {
                let failed = |failure: &ChallengeFailure| What::Unproven {
                    identifier: failure.identifier.clone(),
                };
                failures.iter().map(failed).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The identifiers the CA says are at fault, as far as it names them.
    pub(crate) fn blamed(&self) -> BTreeSet<Identifier> {
        match self {
            Self::Unproven { failures } => {
                failures.iter().map(|failure| failure.identifier.clone()).collect()
            }
            _ => {
                let subproblems = self.problem().map(|problem| problem.subproblems.as_slice());
                let named = subproblems.unwrap_or_default().iter();
                named.filter_map(|sub| sub.identifier.clone()).collect()
            }
        }
    }

    /// Whether the CA's own TLS certificate is out of its dates, by this host's clock.
    pub(crate) fn is_untimely(&self) -> bool {
        use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
        self.certificate_error().is_some_and(|error| {
            matches!(
                error,
                Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }
            )
        })
    }

    /// What is wrong with the CA's own TLS certificate, if that is why it is out of reach.
    fn certificate_error(&self) -> Option<&rustls::CertificateError> {
        let Self::Unreachable { source, .. } = self else { return None };
        certificate_error(source)
    }

    /// Whether the CA's own TLS certificate leads to no root that is trusted.
    pub(crate) fn is_untrusted(&self) -> bool {
        use rustls::CertificateError::{BadSignature, UnknownIssuer};
        // The latter where a private CA was made anew under its old name.
        matches!(self.certificate_error(), Some(UnknownIssuer | BadSignature))
    }

    /// Whether the same order without `replaces` should be tried once (RFC 9773 §5).
    pub(crate) fn concerns_replaces(&self) -> bool {
        matches!(self, Self::ReplacesRefused { .. })
    }

    /// Whether the CA gave this ACME error (RFC 8555 §6.7), as in `userActionRequired`.
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.problem().is_some_and(|problem| problem.is(kind))
    }

    /// Whether this says nothing of what was asked for, only that the answer did not come.
    pub(super) fn is_no_answer(&self) -> bool {
        !matches!(self, Self::Refused { .. }) && self.fault() != Fault::Permanent
    }
}

fn among(kinds: &[&str], problem: &Problem) -> bool {
    kinds.contains(&problem.kind.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::ca::Endpoint;
    use crate::acme::origin::Origin;

    fn sorted(status: u16, body: &str, until: Option<Timestamp>) -> AcmeError {
        let origin = Origin::of(&Endpoint::builtin("letsencrypt").unwrap()).unwrap();
        let problem = Problem::from_response(status, body.as_bytes());
        AcmeError::from_problem(origin.directory(), problem, until)
    }

    fn acme(kind: &str, detail: &str) -> String {
        format!(r#"{{"type":"urn:ietf:params:acme:error:{kind}","detail":"{detail}"}}"#)
    }

    #[test]
    fn refusals_are_counted_by_words_that_are_known() {
        let at = Timestamp::from_unix(1_800_000_000);
        let parts = |kind: &str| {
            let part = acme(kind, "no");
            acme("compound", "several").replace('}', &format!(r#","subproblems":[{part}]}}"#))
        };
        let table = [
            (429, acme("rateLimited", "too many"), Some(at), "rateLimited"),
            (429, acme("rateLimited", "visit https://x/unpause?jwt=y"), None, "paused"),
            (403, acme("caa", "no"), None, "caa"),
            (403, parts("dns"), None, "dns"),
            (403, parts("invented"), None, "compound"),
            (403, acme("invented", "no"), None, "acme"),
            (403, acme("rateLimited\\nx", "no"), None, "acme"),
            (400, "<html>".to_owned(), None, "acme"),
            (503, "<html>".to_owned(), None, "unavailable"),
            (500, acme("serverInternal", "oops"), None, "serverInternal"),
        ];
        for (status, body, until, kind) in table {
            assert_eq!(sorted(status, &body, until).kind(), kind, "{body}");
        }
    }

    #[test]
    fn answers_are_sorted_by_whether_to_come_back() {
        let at = Timestamp::from_unix(1_800_000_000);
        let paused = acme("rateLimited", "prevented. Please visit: https://x/sfe/v1/unpause?jwt=y");
        let table = [
            (429, acme("rateLimited", "too many"), Some(at), Fault::WaitUntil(at)),
            (429, acme("rateLimited", "too many"), None, Fault::Passing),
            (429, acme("unauthorized", "too many"), None, Fault::Passing),
            (429, paused, None, Fault::Permanent),
            (503, "<html>down</html>".to_owned(), Some(at), Fault::WaitUntil(at)),
            (503, "<html>down</html>".to_owned(), None, Fault::Passing),
            (500, acme("serverInternal", "oops"), None, Fault::Passing),
            (400, acme("rejectedIdentifier", "no"), None, Fault::Permanent),
            (403, acme("userActionRequired", "new terms"), None, Fault::Permanent),
            (400, acme("accountDoesNotExist", "gone"), None, Fault::Permanent),
            (403, acme("unauthorized", "deactivated"), None, Fault::Permanent),
            (404, "not found".to_owned(), None, Fault::Passing),
        ];
        for (status, body, until, fault) in table {
            assert_eq!(sorted(status, &body, until).fault(), fault, "{status} {body}");
        }
    }

    #[test]
    fn a_busy_ca_holds_up_all_and_a_limit_of_it_this_order() {
        let until = Timestamp::from_unix(1_800_000_000);
        let busy = acme("rateLimited", "Service busy; retry later.");
        let order = BTreeSet::from([Identifier::parse("a.example").unwrap()]);
        for (status, scope) in [(503, Scope::Ca), (429, Scope::ExactSet(order.clone()))] {
            let lessons = sorted(status, &busy, Some(until)).lessons(&order);
            assert_eq!(lessons, [What::Refused { scope, until }], "{status}");
        }
    }
}
