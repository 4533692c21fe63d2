//! Certificate keys and signing requests.

use rcgen::{CertificateParams, DistinguishedName, KeyPair, RsaKeySize, SanType};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::model::name::Identifier;

/// A kind of key a public CA certifies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyAlgorithm {
    P256,
    P384,
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

#[derive(Debug, Error)]
pub(crate) enum CsrError {
    #[error("cannot make a key")]
    Generate(#[source] rcgen::Error),
    #[error("the certificate's key is unusable")]
    Key(#[source] rcgen::Error),
    #[error("cannot make the signing request")]
    Request(#[source] rcgen::Error),
}

/// Makes a private key as PKCS#8 PEM. RSA takes seconds in the worst case: not on an async thread.
pub(crate) fn fresh_key(algorithm: KeyAlgorithm) -> Result<Zeroizing<String>, CsrError> {
    let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
    let key = match algorithm {
        KeyAlgorithm::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyAlgorithm::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        KeyAlgorithm::Rsa2048 => rsa(RsaKeySize::_2048),
        KeyAlgorithm::Rsa3072 => rsa(RsaKeySize::_3072),
        KeyAlgorithm::Rsa4096 => rsa(RsaKeySize::_4096),
    };
    Ok(Zeroizing::new(key.map_err(CsrError::Generate)?.serialize_pem()))
}

/// Makes a signing request in DER: subject alternative names only, no common name.
pub(crate) fn csr(key_pem: &str, identifiers: &[Identifier]) -> Result<Vec<u8>, CsrError> {
    let key = KeyPair::from_pem(key_pem).map_err(CsrError::Key)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names =
        identifiers.iter().map(alt_name).collect::<Result<_, _>>().map_err(CsrError::Request)?;
    let request = params.serialize_request(&key).map_err(CsrError::Request)?;
    Ok(request.der().to_vec())
}

fn alt_name(identifier: &Identifier) -> Result<SanType, rcgen::Error> {
    Ok(match identifier {
        Identifier::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
        Identifier::Ip(ip) => SanType::IpAddress(*ip),
    })
}

#[cfg(test)]
mod tests {
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::extensions::{GeneralName, ParsedExtension};
    use x509_parser::prelude::FromDer;

    use super::*;

    #[test]
    fn requests_hold_the_names_and_nothing_else() {
        use KeyAlgorithm::{P256, P384, Rsa2048, Rsa3072};
        let names = ["a.example", "*.b.example", "127.0.0.1", "::1"];
        let identifiers = names.map(|name| Identifier::parse(name).unwrap());
        for algorithm in [P256, P384, Rsa2048, Rsa3072] {
            let der = csr(&fresh_key(algorithm).unwrap(), &identifiers).unwrap();
            let (_, request) = X509CertificationRequest::from_der(&der).unwrap();
            request.verify_signature().unwrap();
            assert_eq!(request.certification_request_info.subject.iter().count(), 0);
            let extensions: Vec<_> = request.requested_extensions().unwrap().collect();
            let [ParsedExtension::SubjectAlternativeName(san)] = extensions[..] else {
                panic!("only the names are requested: {extensions:?}")
            };
            let found = |name: &GeneralName<'_>| match name {
                GeneralName::DNSName(name) => (*name).to_owned(),
                GeneralName::IPAddress([127, 0, 0, 1]) => "127.0.0.1".to_owned(),
                GeneralName::IPAddress([0, .., 1]) => "::1".to_owned(),
                other => panic!("{other:?}"),
            };
            assert_eq!(san.general_names.iter().map(found).collect::<Vec<_>>(), names);
        }
    }
}
