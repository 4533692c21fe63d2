//! What the CA answers when it refuses (RFC 8555 §6.7, RFC 7807).

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Serialize, Serializer};

use crate::model::name::Identifier;

/// The registered error types this CA uses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    AccountDoesNotExist,
    AlreadyReplaced,
    AlreadyRevoked,
    BadCsr,
    BadNonce,
    BadPublicKey,
    BadRevocationReason,
    BadSignatureAlgorithm,
    Connection,
    Dns,
    ExternalAccountRequired,
    IncorrectResponse,
    InvalidContact,
    InvalidProfile,
    Malformed,
    OrderNotReady,
    RateLimited,
    RejectedIdentifier,
    ServerInternal,
    Tls,
    Unauthorized,
    UnsupportedContact,
    UnsupportedIdentifier,
    UserActionRequired,
}

impl Kind {
    /// Its name behind `urn:ietf:params:acme:error:` and the status it usually travels with.
    fn row(self) -> (&'static str, StatusCode) {
        use StatusCode as S;
        match self {
            Self::AccountDoesNotExist => ("accountDoesNotExist", S::BAD_REQUEST),
            Self::AlreadyReplaced => ("alreadyReplaced", S::CONFLICT),
            Self::AlreadyRevoked => ("alreadyRevoked", S::BAD_REQUEST),
            Self::BadCsr => ("badCSR", S::BAD_REQUEST),
            Self::BadNonce => ("badNonce", S::BAD_REQUEST),
            Self::BadPublicKey => ("badPublicKey", S::BAD_REQUEST),
            Self::BadRevocationReason => ("badRevocationReason", S::BAD_REQUEST),
            Self::BadSignatureAlgorithm => ("badSignatureAlgorithm", S::BAD_REQUEST),
            Self::Connection => ("connection", S::BAD_REQUEST),
            Self::Dns => ("dns", S::BAD_REQUEST),
            Self::ExternalAccountRequired => ("externalAccountRequired", S::FORBIDDEN),
            Self::IncorrectResponse => ("incorrectResponse", S::FORBIDDEN),
            Self::InvalidContact => ("invalidContact", S::BAD_REQUEST),
            Self::InvalidProfile => ("invalidProfile", S::BAD_REQUEST),
            Self::Malformed => ("malformed", S::BAD_REQUEST),
            Self::OrderNotReady => ("orderNotReady", S::FORBIDDEN),
            Self::RateLimited => ("rateLimited", S::TOO_MANY_REQUESTS),
            Self::RejectedIdentifier => ("rejectedIdentifier", S::BAD_REQUEST),
            Self::ServerInternal => ("serverInternal", S::INTERNAL_SERVER_ERROR),
            Self::Tls => ("tls", S::BAD_REQUEST),
            Self::Unauthorized => ("unauthorized", S::FORBIDDEN),
            Self::UnsupportedContact => ("unsupportedContact", S::BAD_REQUEST),
            Self::UnsupportedIdentifier => ("unsupportedIdentifier", S::BAD_REQUEST),
            Self::UserActionRequired => ("userActionRequired", S::FORBIDDEN),
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("urn:ietf:params:acme:error:{}", self.row().0))
    }
}

/// A refusal with its reason, as the client is told it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    detail: String,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    /// The algorithms that would have been accepted (RFC 8555 §6.2).
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    algorithms: &'static [&'static str],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subproblems: Vec<Subproblem>,
    /// What goes along with it.
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is wrong with one of several identifiers (RFC 8555 §6.7.1).
#[derive(Clone, Debug, Serialize)]
pub(super) struct Subproblem {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    pub(super) detail: String,
    pub(super) identifier: Identifier,
}

impl Problem {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (_, status) = kind.row();
        let detail = detail.into();
        let (algorithms, subproblems) = (&[][..], Vec::new());
        Self { kind, detail, status, algorithms, subproblems, headers: Vec::new() }
    }

    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, detail)
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::malformed(format!("no such {what}")).status(StatusCode::NOT_FOUND)
    }

    /// For what is not the client's doing. The cause is told: this CA has no secrets from its owner.
    pub(super) fn internal(cause: &dyn std::error::Error) -> Self {
        Self::new(Kind::ServerInternal, cause.to_string())
    }

    pub(super) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(super) fn algorithms(self, algorithms: &'static [&'static str]) -> Self {
        Self { algorithms, ..self }
    }

    pub(super) fn subproblems(self, subproblems: Vec<Subproblem>) -> Self {
        Self { subproblems, ..self }
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same refusal, its detail introduced by what was being done.
    pub(super) fn during(self, what: &str) -> Self {
        Self { detail: format!("{what} :: {}", self.detail), ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(&self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response.headers_mut().extend(self.headers);
        response
    }
}

fn as_number<S: Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}
