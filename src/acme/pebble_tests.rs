//! The room against a real Pebble.

use std::collections::BTreeSet;
use std::time::Duration;

use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::account::AccountStatus;
use super::account_file::KeyInForce;
use super::pebble::needs_pebble;
use super::pebble::{EAB, Pebble, Settings};
use super::*;
use crate::model::challenge::ChallengeKind::Http01;
use crate::model::fault::Fault;
use crate::model::name::Identifier;

fn names(names: &[&str]) -> Vec<Identifier> {
    names.iter().map(|name| Identifier::parse(name).unwrap()).collect()
}

fn wanted(identifiers: &[&str]) -> NewOrder {
    let profile = Some("default".to_owned());
    NewOrder { identifiers: names(identifiers), profile, replaces: None }
}

/// A certificate with what is needed to revoke or replace it.
struct Certificate {
    issued: Issued,
    leaf: Vec<u8>,
    key_pem: Zeroizing<String>,
    order_url: String,
}

impl Certificate {
    fn leaf_pem(&self) -> String {
        let end = "-----END CERTIFICATE-----";
        format!("{}{end}\n", self.issued.chain_pem.split_once(end).unwrap().0)
    }

    fn serial_hex(&self) -> String {
        let (_, leaf) = X509Certificate::from_der(&self.leaf).unwrap();
        format!("{:x}", leaf.serial)
    }

    fn ari_id(&self) -> String {
        let leaf = rustls::pki_types::CertificateDer::from(self.leaf.as_slice());
        instant_acme::CertificateIdentifier::try_from(&leaf).unwrap().to_string()
    }

    fn key_pkcs8(&self) -> Vec<u8> {
        rcgen::KeyPair::from_pem(&self.key_pem).unwrap().serialize_der()
    }
}

async fn prove(pebble: &Pebble, order: &mut Order) {
    for authorization in order.pending().await.unwrap() {
        pebble.answer(&authorization.challenges).await;
        order.set_ready(&authorization, Http01).await.unwrap();
    }
    order.wait_ready(PATIENCE).await.unwrap();
}

async fn complete(pebble: &Pebble, mut order: Order) -> (Order, Certificate) {
    prove(pebble, &mut order).await;
    let key_pem = fresh_key(KeyAlgorithm::P256).unwrap();
    order.finalize(&csr(&key_pem, order.identifiers()).unwrap()).await.unwrap();
    let issued = order.wait_certificate(PATIENCE).await.unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(issued.chain_pem.as_bytes()).unwrap();
    let order_url = order.url().to_owned();
    (order, Certificate { leaf: pem.contents, issued, key_pem, order_url })
}

async fn issue(pebble: &Pebble, account: &Account, wanted: &NewOrder) -> Certificate {
    complete(pebble, account.order(wanted).await.unwrap()).await.1
}

#[tokio::test]
async fn two_names_with_alternate_chains() {
    needs_pebble!();
    let pebble = Pebble::start(Settings { alternate_roots: 2, ..Settings::default() }).await;
    let (session, account, _) = pebble.account().await;
    let before = session.round_trips();
    let order = account.order(&wanted(&["a.example", "b.example"])).await.unwrap();
    assert_eq!(order.status(), OrderStatus::Pending);
    let (order, certificate) = complete(&pebble, order).await;
    let trips = session.round_trips() - before;
    assert!(
        trips <= 14,
        "newOrder, 2 authorizations, 2 challenges, looks, finalize, looks, certificate: {trips}"
    );
    assert_eq!((order.status(), order.profile()), (OrderStatus::Valid, Some("default")));
    let (_, leaf) = X509Certificate::from_der(&certificate.leaf).unwrap();
    let san = leaf.subject_alternative_name().unwrap().unwrap();
    assert_eq!(san.value.general_names.len(), 2);
    let alternates = order.alternates(&certificate.issued).await.unwrap();
    assert_eq!(alternates.len(), 2);
    assert!(alternates.iter().all(|chain| *chain != certificate.issued.chain_pem));
}

#[tokio::test]
async fn one_name_costs_few_requests_on_one_connection() {
    needs_pebble!();
    let pebble = Pebble::start(Settings::default()).await;
    let (_, _, file) = pebble.account().await;
    let session = pebble.session().await;
    let account = session.account(&file).unwrap();
    assert_eq!(session.round_trips(), 1, "only the directory");
    issue(&pebble, &account, &wanted(&["a.example"])).await;
    // Directory, nonce, newOrder, authorization, challenge, looks, finalize, looks, certificate.
    assert!(session.round_trips() <= 14, "{}", session.round_trips());
    assert!(session.ca_time().is_some());
}

#[tokio::test]
async fn addresses_with_a_profile() {
    needs_pebble!();
    let pebble = Pebble::start(Settings::default()).await;
    let (session, account, _) = pebble.account().await;
    assert_eq!(session.directory().profiles["shortlived"], "160 hours");
    let profile = Some("shortlived".to_owned());
    let order = NewOrder { identifiers: names(&["127.0.0.1"]), profile, replaces: None };
    let certificate = issue(&pebble, &account, &order).await;
    let (_, leaf) = X509Certificate::from_der(&certificate.leaf).unwrap();
    let life = leaf.validity().not_after.timestamp() - leaf.validity().not_before.timestamp();
    assert!((575_000..=576_000).contains(&life), "{life}");
    let unknown = NewOrder { profile: Some("nosuch".to_owned()), ..order };
    let error = account.order(&unknown).await.err().unwrap();
    assert!(error.problem().unwrap().is("invalidProfile"), "{error}");
    assert_eq!(error.fault(), Fault::Permanent);
}

#[tokio::test]
async fn every_second_nonce_refused() {
    needs_pebble!();
    let pebble = Pebble::start(Settings { nonce_reject: 50, ..Settings::default() }).await;
    let (session, account, mut file) = pebble.account().await;
    let orders = (0..8).map(|n| {
        let (pebble, account) = (&pebble, &account);
        async move { issue(pebble, account, &wanted(&[&format!("n{n}.example")])).await }
    });
    assert_eq!(futures_util::future::join_all(orders).await.len(), 8);
    file.prepare_next_key().unwrap();
    account.rotate_key(&file).await.unwrap();
    assert_eq!(session.settle_rollover(&file).await.unwrap(), KeyInForce::Next);
}

#[tokio::test]
async fn accounts_are_created_once_and_end() {
    needs_pebble!();
    let pebble = Pebble::start(Settings { nonce_reject: 5, ..Settings::default() }).await;
    let session = pebble.session().await;
    let mut file = AccountFile::fresh(&pebble.endpoint.directory).unwrap();
    assert!(matches!(session.account(&file), Err(AcmeError::NotRegistered)));
    let refused = session.register(&mut file, Registration::default()).await.err().unwrap();
    assert!(matches!(&refused, AcmeError::TermsNotAgreed { terms } if terms.contains("Do%20what")));
    let contacts = vec!["mailto:a@example.org".to_owned()];
    let registration = Registration { contacts, agree_terms: true, eab: None };
    session.register(&mut file, registration.clone()).await.unwrap();
    let stored = AccountFile::parse(&file.to_bytes()).unwrap();
    file.url = None;
    let account = session.register(&mut file, registration).await.unwrap();
    assert_eq!(file.url, stored.url, "a second registration finds the first");

    let contacts = vec!["mailto:b@example.org".to_owned()];
    account.update_contacts(&contacts).await.unwrap();
    let facts = account.facts().await.unwrap();
    assert_eq!((facts.status, facts.contacts), (AccountStatus::Valid, contacts));
    assert_eq!(Some(facts.url), file.url);

    account.deactivate().await.unwrap();
    let gone = account.order(&wanted(&["a.example"])).await.err().unwrap();
    assert_eq!(gone.fault(), Fault::Permanent, "{gone}");
    assert!(account.deactivate().await.is_err());
}

#[tokio::test]
async fn keys_roll_over_and_either_may_hold_after_a_crash() {
    needs_pebble!();
    let pebble = Pebble::start(Settings::default()).await;
    let (session, account, mut file) = pebble.account().await;
    assert!(matches!(account.rotate_key(&file).await, Err(AcmeError::NoNextKey)));
    file.prepare_next_key().unwrap();
    assert_eq!(session.settle_rollover(&file).await.unwrap(), KeyInForce::Current);
    account.rotate_key(&file).await.unwrap();
    assert_eq!(session.settle_rollover(&file).await.unwrap(), KeyInForce::Next);
    assert!(account.facts().await.is_err(), "the old key is out of force");
    file.settle(KeyInForce::Next);
    session.account(&file).unwrap().facts().await.unwrap();

    let mut stranger = AccountFile::fresh(&pebble.endpoint.directory).unwrap();
    stranger.prepare_next_key().unwrap();
    let lost = session.settle_rollover(&stranger).await.err().unwrap();
    assert!(matches!(lost, AcmeError::NoKeyInForce));
}

#[tokio::test]
async fn external_account_binding() {
    needs_pebble!();
    let pebble = Pebble::start(Settings { eab_required: true, ..Settings::default() }).await;
    let session = pebble.session().await;
    assert!(session.directory().external_account_required);
    let mut file = AccountFile::fresh(&pebble.endpoint.directory).unwrap();
    let bound = |kid: &str, alg| {
        let hmac_key = Zeroizing::new(EAB.1.to_owned());
        let eab = Some(Eab { kid: kid.to_owned(), hmac_key, alg });
        Registration { contacts: Vec::new(), agree_terms: true, eab }
    };
    let unbound = Registration { eab: None, ..bound("", MacAlgorithm::Hs256) };
    let missing = session.register(&mut file, unbound).await.err().unwrap();
    assert!(matches!(missing, AcmeError::EabRequired { by_email: false }));
    let unknown = bound("kid-2", MacAlgorithm::Hs256);
    let wrong = session.register(&mut file, unknown).await.err().unwrap();
    assert!(matches!(wrong, AcmeError::EabRefused { .. }), "{wrong}");
    // Pebble's key is too short for the longest.
    for alg in [MacAlgorithm::Hs256, MacAlgorithm::Hs384] {
        let mut file = AccountFile::fresh(&pebble.endpoint.directory).unwrap();
        session.register(&mut file, bound(EAB.0, alg)).await.unwrap();
    }
}

#[tokio::test]
async fn renewal_information_and_replacement() {
    needs_pebble!();
    let pebble = Pebble::start(Settings::default()).await;
    let (session, account, _) = pebble.account().await;
    // Pebble forgets serials whose first byte is zero; see `concerns_replaces`.
    let order = wanted(&["a.example"]);
    let old = loop {
        let certificate = issue(&pebble, &account, &order).await;
        let (_, leaf) = X509Certificate::from_der(&certificate.leaf).unwrap();
        if leaf.raw_serial()[0] != 0 {
            break certificate;
        }
    };
    let info = session.renewal_info(&old.ari_id()).await.unwrap();
    assert!(info.window.width() > Duration::ZERO);
    pebble.set_window(&old.leaf_pem(), "2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z").await;
    let info = session.renewal_info(&old.ari_id()).await.unwrap();
    assert_eq!(info.window.start().to_string(), "2020-01-01T00:00:00Z");
    assert_eq!(info.explanation_url.as_deref(), Some("https://ca.example/why"));
    pebble.set_window(&old.leaf_pem(), "2020-01-02T00:00:00Z", "2020-01-01T00:00:00Z").await;
    let unusable = session.renewal_info(&old.ari_id()).await.err().unwrap();
    assert!(matches!(unusable, RenewalInfoError::LongTerm(_)), "{unusable:?}");
    let id = old.ari_id();
    let (authority, _) = id.split_once('.').unwrap();
    let unknown = session.renewal_info(&format!("{authority}.AIdlQyE")).await.err().unwrap();
    assert!(matches!(unknown, RenewalInfoError::Unknown(_)), "{unknown:?}");

    let replacing = NewOrder { replaces: Some(old.ari_id()), ..order.clone() };
    issue(&pebble, &account, &replacing).await;
    let again = account.order(&replacing).await.err().unwrap();
    assert!(again.concerns_replaces(), "{again}");
    account.order(&order).await.unwrap();
}

#[tokio::test]
async fn revocation_by_account_and_by_key() {
    needs_pebble!();
    let pebble = Pebble::start(Settings { nonce_reject: 5, ..Settings::default() }).await;
    let (session, account, _) = pebble.account().await;
    let one = issue(&pebble, &account, &wanted(&["a.example"])).await;
    account.revoke(&one.leaf, Reason::Superseded).await.unwrap();
    let again = account.revoke(&one.leaf, Reason::Superseded).await.err().unwrap();
    assert!(again.problem().unwrap().is("alreadyRevoked"), "{again}");
    let two = issue(&pebble, &account, &wanted(&["b.example"])).await;
    session.revoke_with_key(&two.leaf, &two.key_pkcs8(), Reason::KeyCompromise).await.unwrap();
    for certificate in [&one, &two] {
        let status = pebble.certificate_status(&certificate.serial_hex()).await;
        assert!(status.contains("Revoked"), "{status}");
    }
    let wrong_key = session.revoke_with_key(&one.leaf, &two.key_pkcs8(), Reason::Unspecified).await;
    assert!(wrong_key.is_err());
}

#[tokio::test]
async fn orders_are_taken_up_again() {
    needs_pebble!();
    let pebble = Pebble::start(Settings::default()).await;
    let (session, account, file) = pebble.account().await;
    let url = account.order(&wanted(&["a.example"])).await.unwrap().url().to_owned();
    let mut order = account.resume(&url).await.unwrap();
    prove(&pebble, &mut order).await;
    drop(order);
    let order = pebble.session().await.account(&file).unwrap().resume(&url).await.unwrap();
    assert_eq!(order.status(), OrderStatus::Ready);
    let (_, certificate) = complete(&pebble, order).await;
    let mut order = account.resume(&certificate.order_url).await.unwrap();
    assert_eq!(order.status(), OrderStatus::Valid);
    order.wait_ready(PATIENCE).await.unwrap();
    let again = order.wait_certificate(PATIENCE).await.unwrap();
    assert_eq!(again.chain_pem, certificate.issued.chain_pem);
    assert!(matches!(order.finalize(b"").await, Err(AcmeError::OrderNotFit { .. })));
    let elsewhere = account.resume("https://example.org/order/1").await.err().unwrap();
    assert!(matches!(elsewhere, AcmeError::Unacceptable { .. }));
    assert!(account.resume(&format!("{url}x")).await.is_err());
    drop(session);
}

#[tokio::test]
async fn proven_names_are_not_proven_again() {
    needs_pebble!();
    let pebble = Pebble::start(Settings { authz_reuse: 100, ..Settings::default() }).await;
    let (_, account, _) = pebble.account().await;
    issue(&pebble, &account, &wanted(&["a.example"])).await;
    let order = account.order(&wanted(&["a.example", "b.example"])).await.unwrap();
    let pending = order.pending().await.unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].identifier.to_string(), "b.example");
}

#[tokio::test]
async fn a_lost_challenge_is_told_in_the_cas_words() {
    needs_pebble!();
    let pebble = Pebble::start(Settings::default()).await;
    let (_, account, _) = pebble.account().await;
    let mut order = account.order(&wanted(&["a.example", "b.example"])).await.unwrap();
    for authorization in order.pending().await.unwrap() {
        order.set_ready(&authorization, Http01).await.unwrap();
    }
    let error = order.wait_ready(PATIENCE).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Passing);
    let AcmeError::Unproven { failures } = error else { panic!("{error}") };
    assert_eq!(failures[0].challenge, "http-01");
    assert!(failures[0].problem.detail.contains("key authorization"), "{}", failures[0]);
    let resumed = account.resume(order.url()).await.unwrap();
    assert!(matches!(resumed.pending().await, Err(AcmeError::Unproven { .. })));
}

#[tokio::test]
async fn wildcards_keep_their_star() {
    needs_pebble!();
    let pebble = Pebble::start(Settings::default()).await;
    let (_, account, _) = pebble.account().await;
    let order = account.order(&wanted(&["*.a.example", "a.example"])).await.unwrap();
    let mut pending = order.pending().await.unwrap();
    pending.sort_by_key(|one| one.identifier.to_string());
    assert_eq!(pending[0].identifier.to_string(), "*.a.example");
    let kinds: BTreeSet<_> = pending[0].challenges.iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["dns-01", "dns-account-01"]));
    let cannot = order.set_ready(&pending[0], Http01).await.err().unwrap();
    assert!(matches!(cannot, AcmeError::NotOffered { .. }));
}

#[tokio::test]
async fn an_unknown_root_is_not_trusted() {
    needs_pebble!();
    let pebble = Pebble::start(Settings::default()).await;
    let (other, _) = pebble::loopback_certificate();
    let endpoint = Endpoint { roots: Some(other.into_bytes()), ..pebble.endpoint.clone() };
    let error = Session::open(&endpoint, "acmeagent/test", pebble::clock()).await.err().unwrap();
    assert!(matches!(error, AcmeError::Unreachable { .. }), "{error}");
    let endpoint = Endpoint { roots: Some(b"no pem".to_vec()), ..pebble.endpoint.clone() };
    let error = Session::open(&endpoint, "acmeagent/test", pebble::clock()).await.err().unwrap();
    assert!(matches!(error, AcmeError::Tls { .. }), "{error}");
}
