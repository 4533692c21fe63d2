//! Responses made by openssl.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use proptest::prelude::*;
use rcgen::{ExtendedKeyUsagePurpose, SerialNumber};

use super::*;
use crate::probe::sample::{Ca, Credentials, hours, now, write};

/// A CA, a certificate of it, and who answers for it.
struct Case {
    issuer: Ca,
    leaf: Credentials,
}

/// A leading zero octet in DER, none in what openssl lists.
const SERIAL: [u8; 4] = [0x80, 1, 2, 3];

impl Case {
    fn new() -> Self {
        let issuer = Ca::root("Issuer");
        let leaf = issuer.leaf(&["a.example"], |params| {
            params.serial_number = Some(SerialNumber::from(SERIAL.to_vec()));
        });
        Self { issuer, leaf }
    }

    fn delegate(&self, usage: ExtendedKeyUsagePurpose) -> Credentials {
        self.issuer.leaf(&["ocsp.example"], |params| {
            params.extended_key_usages = vec![usage.clone()];
        })
    }

    /// What is answered for the leaf by this signer, going by this line of the CA's index.
    fn answered(&self, status: &str, arguments: &[&str], signer: Option<&Credentials>) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        write(&path("issuer.pem"), self.issuer.cert().pem());
        write(&path("leaf.pem"), self.leaf.cert.pem());
        let own = (self.issuer.cert().pem(), self.issuer.issuer().key().serialize_pem());
        let (cert, key) =
            signer.map_or(own, |signer| (signer.cert.pem(), signer.key.serialize_pem()));
        write(&path("signer.pem"), cert);
        write(&path("signer.key"), key);
        write(&path("index"), status);
        openssl(dir.path(), arguments);
        std::fs::read(path("response")).unwrap()
    }

    fn verdict(&self, staple: &[u8], at: Timestamp) -> Result<(), StapleError> {
        verify(staple, &[self.leaf.cert.der().clone(), self.issuer.cert().der().clone()], at)
    }
}

fn openssl(dir: &Path, arguments: &[&str]) {
    let mut openssl = Command::new("openssl");
    openssl.current_dir(dir).args(["ocsp", "-index", "index", "-CA", "issuer.pem"]);
    openssl.args(["-rsigner", "signer.pem", "-rkey", "signer.key", "-respout", "response"]);
    openssl.args(["-noverify", "-issuer", "issuer.pem"]).args(arguments);
    let output = openssl.args(["-cert", "leaf.pem"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const VALID: &str = "V\t490101000000Z\t\t80010203\tunknown\t/CN=x\n";
const REVOKED: &str = "R\t490101000000Z\t260102030405Z,keyCompromise\t80010203\tunknown\t/CN=x\n";
const A_DAY: &[&str] = &["-ndays", "1"];

#[test]
fn what_the_ca_says_counts() {
    let case = Case::new();
    let verdict =
        |status, arguments: &[&str]| case.verdict(&case.answered(status, arguments, None), now());
    assert_eq!(verdict(VALID, A_DAY), Ok(()));
    assert_eq!(verdict(VALID, &["-ndays", "1", "-sha256"]), Ok(()));
    assert_eq!(verdict("", A_DAY), Err(StapleError::Unknown));
    let at = Timestamp::parse("2026-01-02T03:04:05Z").unwrap();
    assert_eq!(verdict(REVOKED, A_DAY), Err(StapleError::Revoked { at }));
    let foreign = Err(StapleError::Foreign);
    assert_eq!(verdict(VALID, &["-ndays", "1", "-sha384"]), foreign, "a hash nobody uses");
}

#[test]
fn an_answer_has_its_time() {
    let case = Case::new();
    let (good, untold) = (case.answered(VALID, A_DAY, None), case.answered(VALID, &[], None));
    let hour = Duration::from_secs(3600);
    for (answer, life) in [(good, 24), (untold, 24)] {
        assert_eq!(case.verdict(&answer, now().plus(hour * (life - 1))), Ok(()));
        let late = case.verdict(&answer, now().plus(hour * (life + 1)));
        assert!(matches!(late, Err(StapleError::Stale { .. })), "{late:?}");
        let early = case.verdict(&answer, now().minus(hour));
        assert!(matches!(early, Err(StapleError::Stale { .. })), "{early:?}");
    }
}

#[test]
fn others_answer_only_with_the_right_to() {
    let case = Case::new();
    let verdict = |signer: &Credentials, status| {
        case.verdict(&case.answered(status, A_DAY, Some(signer)), now())
    };
    assert_eq!(verdict(&case.delegate(ExtendedKeyUsagePurpose::OcspSigning), VALID), Ok(()));
    let unsigned = Err(StapleError::Unsigned);
    assert_eq!(verdict(&case.delegate(ExtendedKeyUsagePurpose::ServerAuth), VALID), unsigned);
    assert_eq!(verdict(&case.leaf, VALID), unsigned, "a certificate does not vouch for itself");
    let stranger = Case::new().delegate(ExtendedKeyUsagePurpose::OcspSigning);
    assert_eq!(verdict(&stranger, VALID), unsigned);
    // Nor can a stranger have a certificate condemned.
    assert_eq!(verdict(&stranger, REVOKED), unsigned);
    let expired = case.issuer.leaf(&["ocsp.example"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        (params.not_before, params.not_after) = (hours(-3), hours(-2));
    });
    assert_eq!(verdict(&expired, VALID), unsigned);
}

#[test]
fn damage_is_noticed() {
    let (case, good) = good();
    for length in 0..good.len() {
        assert!(case.verdict(&good[..length], now()).is_err(), "cut at {length}");
    }
    for index in 0..good.len() {
        let mut damaged = good.clone();
        damaged[index] ^= 1;
        let verdict = case.verdict(&damaged, now());
        // The certificate sent along is the issuer's own, and nobody needs it.
        let matters = index < good.len() - case.issuer.cert().der().len() - 8;
        assert!(verdict.is_err() || !matters, "{index} of {}: {verdict:?}", good.len());
    }
    let other = Case::new();
    assert_eq!(other.verdict(good, now()), Err(StapleError::Foreign));
    // An OCSPResponse of tryLater, with nothing in it.
    let later = [0x30, 3, 0x0a, 1, 3];
    let status = "tryLater";
    assert_eq!(case.verdict(&later, now()), Err(StapleError::Unsuccessful { status }));
    assert_eq!(verify(good, &[case.leaf.cert.der().clone()], now()), Ok(()), "nothing to judge by");
}

/// One case and a good answer to it, for everything that is done to answers.
fn good() -> &'static (Case, Vec<u8>) {
    static GOOD: OnceLock<(Case, Vec<u8>)> = OnceLock::new();
    GOOD.get_or_init(|| {
        let case = Case::new();
        let answer = case.answered(VALID, A_DAY, None);
        (case, answer)
    })
}

proptest! {
    #[test]
    fn bytes_of_anybody_do_no_harm(junk in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(good().0.verdict(&junk, now()), Err(StapleError::Malformed));
    }

    #[test]
    fn no_damage_makes_a_certificate_revoked(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let (case, mut answer) = (&good().0, good().1.clone());
        for (index, byte) in damage {
            *index.get_mut(&mut answer) = byte;
        }
        let verdict = case.verdict(&answer, now());
        prop_assert!(!matches!(verdict, Err(StapleError::Revoked { .. })), "{:?}", verdict);
    }
}
