//! What a server's answer means, in words.

use std::io::ErrorKind;

use hickory_net::proto::op::ResponseCode;
use hickory_net::proto::rr::rdata::tsig::TsigError;

use super::exchange::Heard;
use crate::challenge::dns01::DnsError;

/// An update that was not done.
pub(super) struct Refusal {
    /// The provider, and which of its servers.
    pub(super) provider: String,
    pub(super) apex: String,
    /// The name of the key it was signed by.
    pub(super) key: Option<String>,
}

impl Refusal {
    pub(super) fn explain(self, heard: Heard) -> DnsError {
        let why = match heard {
            Heard::Code(code) => return self.refused(code),
            Heard::Tsig { error, ahead } => return self.signature(error, ahead),
            // Knot does not sign this one; anybody on the way could have said it, so it is no last word.
            Heard::Unsigned(ResponseCode::NotAuth) => {
                let why = format!("it has no zone {} (NOTAUTH, unsigned)", self.apex);
                return self.failed(why);
            }
            Heard::Unsigned(code) => {
                let why =
                    format!("its answer ({}) is not signed and counts for nothing", name(code));
                return self.failed(why);
            }
            Heard::Forged => {
                return self
                    .failed("its answer bears a signature that is not by our key".to_owned());
            }
            Heard::Nonsense => return self.failed("what it sends is no DNS".to_owned()),
            Heard::Io(ErrorKind::ConnectionRefused) => "nothing listens there".to_owned(),
            Heard::Io(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                "it closes the connection without an answer".to_owned()
            }
            Heard::Io(kind) => kind.to_string(),
            Heard::Silence => "no answer by UDP or TCP".to_owned(),
        };
        DnsError::Unreachable { provider: self.provider, why }
    }

    /// A refusal that the server signed (RFC 2136 §2.2).
    fn refused(self, code: ResponseCode) -> DnsError {
        let Self { provider, apex, key } = self;
        let has_key = key.is_some();
        let by = key.map_or("an update without a key".to_owned(), |key| format!("the key {key}"));
        let refused =
            |why| DnsError::Refused { provider: provider.clone(), apex: apex.clone(), why };
        match code {
            // Knot answers so to whom it lets in nowhere.
            ResponseCode::NotAuth if !has_key => {
                refused("it has no such zone, or forbids this without a key (NOTAUTH)".to_owned())
            }
            ResponseCode::NotAuth | ResponseCode::NotZone => DnsError::NoZone { provider, apex },
            ResponseCode::Refused => refused(format!("its policy forbids this to {by} (REFUSED)")),
            ResponseCode::NotImp | ResponseCode::FormErr => {
                refused(format!("it takes no dynamic updates ({})", name(code)))
            }
            ResponseCode::ServFail => {
                let why = "it could not change the zone (SERVFAIL); its log says why".to_owned();
                DnsError::Failed { provider, why }
            }
            other => refused(format!("it answers {}", name(other))),
        }
    }

    /// A complaint about our signature (RFC 8945 §5.2).
    fn signature(self, error: TsigError, ahead: Option<i64>) -> DnsError {
        let key = self.key.unwrap_or_default();
        let why = match (error, ahead) {
            (TsigError::BadKey, _) => {
                format!(
                    "it has no key {key} of this algorithm, or that key has no right to this (BADKEY)"
                )
            }
            (TsigError::BadSig, _) => {
                format!("its key {key} has another secret (BADSIG)")
            }
            (TsigError::BadTime, Some(ahead)) => {
                let direction = if ahead < 0 { "behind" } else { "ahead of" };
                let seconds = ahead.unsigned_abs();
                format!("its clock is {seconds} s {direction} that of this host (BADTIME)")
            }
            (TsigError::BadTime, None) => {
                "its clock and that of this host differ too much (BADTIME)".to_owned()
            }
            (TsigError::BadTrunc, _) => {
                format!("its policy for the key {key} wants another signature (BADTRUNC)")
            }
            (TsigError::Unknown(code), _) => {
                format!("it has TSIG error {code} against the key {key}")
            }
        };
        DnsError::Unauthorized { provider: self.provider, why }
    }

    fn failed(self, why: String) -> DnsError {
        DnsError::Failed { provider: self.provider, why }
    }
}

/// A code as name servers log it (RFC 2136 §2.2).
fn name(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        ResponseCode::YXDomain => "YXDOMAIN".to_owned(),
        ResponseCode::YXRRSet => "YXRRSET".to_owned(),
        ResponseCode::NXRRSet => "NXRRSET".to_owned(),
        ResponseCode::NotAuth => "NOTAUTH".to_owned(),
        ResponseCode::NotZone => "NOTZONE".to_owned(),
        other => format!("code {}", u16::from(other)),
    }
}
