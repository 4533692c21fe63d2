//! Why a certificate is revoked.

use std::fmt;

use instant_acme::{RevocationReason, RevocationRequest};
use rustls::pki_types::CertificateDer;

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

impl Reason {
    pub(crate) const ALL: [Self; 5] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
    ];

    /// The name of RFC 5280.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
        }
    }

    /// Reads a name of RFC 5280 in any case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str().eq_ignore_ascii_case(text))
    }

    fn code(self) -> RevocationReason {
        match self {
            Self::Unspecified => RevocationReason::Unspecified,
            Self::KeyCompromise => RevocationReason::KeyCompromise,
            Self::AffiliationChanged => RevocationReason::AffiliationChanged,
            Self::Superseded => RevocationReason::Superseded,
            Self::CessationOfOperation => RevocationReason::CessationOfOperation,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

pub(super) fn payload<'a>(leaf: &'a CertificateDer<'a>, reason: Reason) -> RevocationRequest<'a> {
    RevocationRequest { certificate: leaf, reason: Some(reason.code()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_the_codes_of_rfc_5280() {
        let table = [
            ("unspecified", 0),
            ("keyCompromise", 1),
            ("affiliationChanged", 3),
            ("superseded", 4),
            ("cessationOfOperation", 5),
        ];
        for (name, code) in table {
            let reason = Reason::parse(&name.to_uppercase()).unwrap();
            assert_eq!(reason.to_string(), name);
            assert_eq!(serde_json::to_value(reason.code()).unwrap(), code);
        }
        assert_eq!(Reason::parse("certificateHold"), None);
    }
}
