//! What one certificate says, taken out of its ASN.1 once.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use data_encoding::HEXLOWER;
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER;
use x509_parser::x509::X509Name;

use super::{AriId, Fingerprint};
use crate::model::name::{DnsName, Identifier};
use crate::model::time::{Timestamp, Validity};

/// The facts of one certificate.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) fingerprint: Fingerprint,
    pub(super) serial: String,
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) validity: Validity,
    pub(super) is_ca: bool,
    pub(super) identifiers: BTreeSet<Identifier>,
    /// Alternative names that are no identifier: what they are, fit for printing.
    pub(super) other_names: BTreeSet<String>,
    pub(super) spki: Vec<u8>,
    pub(super) ari_id: Option<AriId>,
}

impl Facts {
    /// Refuses extensions that are repeated, and alternative names or constraints that are malformed.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Result<Self, X509Error> {
        certificate.extensions_map()?;
        let serial = HEXLOWER.encode(certificate.raw_serial());
        let validity = certificate.validity();
        let (identifiers, other_names) = alternative_names(certificate)?;
        let constraints = certificate.basic_constraints()?;
        Ok(Self {
            fingerprint: Fingerprint::of(certificate.as_raw()),
            subject: shown(certificate.subject()).unwrap_or_else(|| format!("serial {serial}")),
            issuer: shown(certificate.issuer()).unwrap_or_default(),
            validity: Validity {
                not_before: Timestamp::from_unix(validity.not_before.timestamp()),
                not_after: Timestamp::from_unix(validity.not_after.timestamp()),
            },
            is_ca: constraints.is_some_and(|constraints| constraints.value.ca),
            identifiers,
            other_names,
            spki: certificate.public_key().raw.to_vec(),
            ari_id: ari_id(certificate),
            serial,
        })
    }
}

/// What people call the bearer of a name: its common name, else its organisation.
fn shown(name: &X509Name<'_>) -> Option<String> {
    let mut parts = name.iter_common_name().chain(name.iter_organization());
    parts.find_map(|part| part.as_str().ok()).map(str::to_owned)
}

type Names = (BTreeSet<Identifier>, BTreeSet<String>);

fn alternative_names(certificate: &X509Certificate<'_>) -> Result<Names, X509Error> {
    let mut names = Names::default();
    let Some(extension) = certificate.subject_alternative_name()? else {
        return Ok(names);
    };
    for name in &extension.value.general_names {
        match identifier(name) {
            Some(identifier) => names.0.insert(identifier),
            None => names.1.insert(name.to_string().escape_debug().collect()),
        };
    }
    Ok(names)
}

fn identifier(name: &GeneralName<'_>) -> Option<Identifier> {
    match *name {
        GeneralName::DNSName(name) => DnsName::parse(name).ok().map(Identifier::Dns),
        GeneralName::IPAddress(octets) => ip(octets).map(Identifier::Ip),
        _ => None,
    }
}

fn ip(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).into());
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(|octets| Ipv6Addr::from(octets).into())).ok()
}

fn ari_id(certificate: &X509Certificate<'_>) -> Option<AriId> {
    let oid = OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER;
    let extension = certificate.get_extension_unique(&oid).ok()??;
    let ParsedExtension::AuthorityKeyIdentifier(authority) = extension.parsed_extension() else {
        return None;
    };
    AriId::new(authority.key_identifier.as_ref()?.0, certificate.raw_serial())
}
