//! Why a certificate is revoked.

/// A reason code that RFC 8555 §7.6 lets a subscriber give (RFC 5280 §5.3.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Reason {
    #[default]
    Unspecified,
    KeyCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
}
