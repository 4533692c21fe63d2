//! Judging certificate requests (RFC 8555 §7.4, RFC 2986).

use std::collections::BTreeSet;
use std::net::IpAddr;

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use super::problem::{Kind, Problem};
use super::public_key::PublicKey;
use crate::model::name::{DnsName, Identifier};

/// id-pe-tlsfeature, which asks for must-staple
const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";

/// Takes a request for exactly `identifiers`, signed by its own key, which is not the account's.
///
/// Returns the DER of its SubjectPublicKeyInfo, all that is used of it.
pub(super) fn accept(
    der: &[u8],
    identifiers: &[Identifier],
    account_key: &PublicKey,
) -> Result<Vec<u8>, Problem> {
    let (rest, csr) = X509CertificationRequest::from_der(der)
        .map_err(|why| bad(format!("it cannot be parsed: {why}")))?;
    if !rest.is_empty() {
        return Err(bad("there are bytes behind it"));
    }
    let spki = &csr.certification_request_info.subject_pki;
    let key = PublicKey::from_spki(spki).map_err(|why| bad(why.to_string()))?;
    csr.verify_signature().map_err(|_| bad("it is not signed by its own key"))?;
    if key == *account_key {
        return Err(bad("its key is that of the account"));
    }
    let wanted: BTreeSet<_> = identifiers.iter().cloned().collect();
    if requested(&csr)? != wanted {
        return Err(bad("its names are not those of the order"));
    }
    Ok(spki.raw.to_vec())
}

/// Every identifier the request asks for, in its alternative names or as its common name.
fn requested(csr: &X509CertificationRequest<'_>) -> Result<BTreeSet<Identifier>, Problem> {
    let mut found = BTreeSet::new();
    for extension in csr.requested_extensions().into_iter().flatten() {
        match extension {
            ParsedExtension::SubjectAlternativeName(names) => {
                for name in &names.general_names {
                    found.insert(identifier(name)?);
                }
            }
            ParsedExtension::UnsupportedExtension { oid } if oid.to_id_string() == TLS_FEATURE => {
                let detail = "must-staple is not supported";
                return Err(Problem::new(Kind::Unauthorized, detail));
            }
            ParsedExtension::ParseError { error } => {
                return Err(bad(format!("an extension cannot be parsed: {error}")));
            }
            _ => {}
        }
    }
    for name in csr.certification_request_info.subject.iter_common_name() {
        let name = name.as_str().map_err(|_| bad("the common name is not text"))?;
        let name = DnsName::parse(name).map_err(|why| bad(format!("the common name: {why}")))?;
        found.insert(Identifier::Dns(name));
    }
    Ok(found)
}

fn identifier(name: &GeneralName<'_>) -> Result<Identifier, Problem> {
    match name {
        GeneralName::DNSName(name) => match DnsName::parse(name) {
            Ok(name) => Ok(Identifier::Dns(name)),
            Err(why) => Err(bad(why.to_string())),
        },
        GeneralName::IPAddress(octets) => {
            let ip = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            let ip = ip.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from));
            ip.map(Identifier::Ip).map_err(|_| bad("an IP address has neither 4 nor 16 octets"))
        }
        _ => Err(bad("an alternative name is neither a DNS name nor an IP address")),
    }
}

fn bad(why: impl Into<String>) -> Problem {
    Problem::new(Kind::BadCsr, why).during("the CSR")
}
