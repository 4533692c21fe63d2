//! Lists from a server of plain HTTP that answers as it is told.

use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint,
    KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::probe::sample::{Ca, LIMIT, hours, now};

/// What a server answers; changed as a test goes on.
#[derive(Clone)]
enum Answer {
    Body(Vec<u8>),
    Raw(&'static str),
    /// More than anybody wants, without end.
    Endless,
    /// A byte now and then.
    Slow,
}

struct Server {
    url: String,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/crl", listener.local_addr().unwrap());
        let (answer, asked) = (Arc::new(Mutex::new(answer)), Arc::new(AtomicUsize::new(0)));
        let (answers, count) = (Arc::clone(&answer), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut tcp, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = answers.lock().unwrap().clone();
                tokio::spawn(async move {
                    let _ = tcp.read(&mut [0; 4096]).await;
                    let _ = say(&mut tcp, answer).await;
                });
            }
        });
        Self { url, answer, asked }
    }

    fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn say(tcp: &mut tokio::net::TcpStream, answer: Answer) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    match answer {
        Answer::Raw(text) => tcp.write_all(text.as_bytes()).await,
        Answer::Body(body) => {
            let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
            tcp.write_all(head.as_bytes()).await?;
            tcp.write_all(&body).await
        }
        Answer::Endless => {
            tcp.write_all(format!("{head}\r\n").as_bytes()).await?;
            loop {
                tcp.write_all(&[0; 65536]).await?;
            }
        }
        Answer::Slow => {
            tcp.write_all(format!("{head}\r\n").as_bytes()).await?;
            loop {
                tcp.write_all(&[0x30]).await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

const SERIAL: [u8; 3] = [0x81, 2, 3];

fn list(signer: &Ca, revoked: bool, until: i64, place: Option<&str>) -> Vec<u8> {
    let entry = RevokedCertParams {
        serial_number: SerialNumber::from(SERIAL.to_vec()),
        revocation_time: hours(-1),
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: hours(-2),
        next_update: hours(until),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: place.map(|place| CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint { uris: vec![place.to_owned()] },
            scope: None,
        }),
        revoked_certs: revoked.then_some(entry).into_iter().collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(signer.issuer()).unwrap().der().to_vec()
}

/// A certificate that names these places.
fn chain(ca: &Ca, places: &[&str]) -> Chain {
    let leaf = ca.leaf(&["a.example"], |params| {
        params.serial_number = Some(SerialNumber::from(SERIAL.to_vec()));
        let uris = places.iter().map(|place| (*place).to_owned()).collect::<Vec<_>>();
        if !uris.is_empty() {
            params.crl_distribution_points = vec![CrlDistributionPoint { uris }];
        }
    });
    Chain::from_ders(vec![leaf.cert.der().clone(), ca.cert().der().clone()]).unwrap()
}

/// A verdict in short.
fn shown(revocation: &Revocation) -> String {
    match revocation {
        Revocation::Good => "good".to_owned(),
        Revocation::Revoked { reason, .. } => {
            format!("revoked: {}", reason.map(|reason| reason.to_string()).unwrap_or_default())
        }
        Revocation::Unknown(NoList::Useless { source, .. }) => format!("useless: {source:?}"),
        Revocation::Unknown(why) => why.to_string(),
    }
}

#[tokio::test]
async fn only_a_list_of_the_issuer_is_believed() {
    let (ca, twin) = (Ca::root("Issuer"), Ca::root("Issuer"));
    let server = Server::start(Answer::Raw("")).await;
    let chain = chain(&ca, &["ldap://x/crl", "https://x/crl", &server.url]);
    let (here, elsewhere) = (Some(server.url.as_str()), Some("http://elsewhere.example/crl"));
    let mut cut = list(&ca, false, 1, None);
    cut.pop();
    let table = [
        (list(&ca, false, 1, None), "good"),
        (list(&ca, false, 1, here), "good"),
        (list(&ca, true, 1, None), "revoked: keyCompromise"),
        (list(&ca, true, 1, here), "revoked: keyCompromise"),
        (list(&ca, false, 1, elsewhere), "useless: UnknownRevocationStatus"),
        (list(&twin, false, 1, None), "useless: InvalidCrlSignatureForPublicKey"),
        (list(&twin, true, 1, None), "useless: InvalidCrlSignatureForPublicKey"),
        (list(&Ca::root("Other"), false, 1, None), "useless: UnknownRevocationStatus"),
        (list(&ca, false, -1, None), "useless: CrlExpired"),
        (list(&ca, true, -1, None), "useless: CrlExpired"),
        (cut, "useless: "),
        (Vec::new(), "useless: "),
        (b"-----BEGIN X509 CRL-----\n".to_vec(), "useless: "),
    ];
    for (index, (body, wanted)) in table.into_iter().enumerate() {
        server.answers(Answer::Body(body));
        let found = shown(&Revocations::new(LIMIT).unwrap().of(&chain, now()).await);
        assert!(found.starts_with(wanted), "row {index}: {found}");
    }
}

#[tokio::test]
async fn a_place_that_fails_is_told_and_the_next_one_asked() {
    let ca = Ca::root("Issuer");
    let server = Server::start(Answer::Raw("")).await;
    let of = async |limit, places: &[&str]| {
        shown(&Revocations::new(limit).unwrap().of(&chain(&ca, places), now()).await)
    };
    let status = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let round =
        "HTTP/1.1 302 Found\r\nLocation: /crl\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let soon = Duration::from_secs(2);
    let table = [
        (Answer::Raw("no HTTP"), LIMIT, "cannot fetch the revocation list at PLACE"),
        (Answer::Raw(status), LIMIT, "instead of the revocation list at PLACE there is 404 Not"),
        (Answer::Raw(round), LIMIT, "cannot fetch the revocation list at PLACE"),
        (Answer::Endless, LIMIT, "the revocation list at PLACE is larger than 20971520 bytes"),
        (Answer::Slow, soon, "the revocation list at PLACE did not come within 2 s"),
    ];
    for (answer, limit, wanted) in table {
        server.answers(answer);
        let found = of(limit, &[&server.url]).await.replace(&server.url, "PLACE");
        assert!(found.starts_with(wanted), "{found}");
    }
    assert!(of(LIMIT, &[]).await.starts_with("the certificate names no revocation list"));
    assert!(of(LIMIT, &["ldap://x/"]).await.starts_with("the certificate names no"));
    let good = Server::start(Answer::Body(list(&ca, false, 1, None))).await;
    assert_eq!(of(soon, &[&server.url, &good.url]).await, "good");
    let alone = Chain::from_ders(chain(&ca, &[&good.url]).ders()[..1].to_vec()).unwrap();
    let verdict = Revocations::new(LIMIT).unwrap().of(&alone, now()).await;
    assert!(matches!(verdict, Revocation::Unknown(NoList::NoIssuer)));
}

#[tokio::test]
async fn a_list_is_fetched_no_oftener_than_needed() {
    let ca = Ca::root("Issuer");
    let server = Server::start(Answer::Body(list(&ca, false, 3, None))).await;
    let chain = chain(&ca, &[&server.url]);
    let revocations = Revocations::new(LIMIT).unwrap();
    let after = async |count: u32| {
        let now = now().plus(Duration::from_secs(60) * count);
        (shown(&revocations.of(&chain, now).await), server.asked())
    };
    assert_eq!(after(0).await, ("good".to_owned(), 1));
    assert_eq!(after(58).await, ("good".to_owned(), 1));
    // What is wrong there later does not matter while the list kept is good, …
    server.answers(Answer::Body(list(&Ca::root("Issuer"), true, 9, None)));
    assert_eq!(after(61).await, ("good".to_owned(), 2));
    server.answers(Answer::Body(list(&ca, true, 9, None)));
    assert_eq!(after(62).await, ("revoked: keyCompromise".to_owned(), 3));
    assert_eq!(after(63).await, ("revoked: keyCompromise".to_owned(), 3));
    // … and no longer.
    server.answers(Answer::Raw("no HTTP"));
    assert_eq!(after(8 * 60).await, ("revoked: keyCompromise".to_owned(), 4));
    let (late, _) = after(9 * 60 + 1).await;
    assert!(late.starts_with("cannot fetch the revocation list"), "{late}");
}

#[tokio::test]
async fn the_newest_lists_are_kept() {
    let ca = Ca::root("Issuer");
    let server = Server::start(Answer::Body(list(&ca, false, 3, None))).await;
    let revocations = Revocations::new(LIMIT).unwrap();
    let chains = (0..=MOST_KEPT).map(|index| chain(&ca, &[&format!("{}?{index}", server.url)]));
    let chains = chains.collect::<Vec<_>>();
    for (chain, second) in chains.iter().zip(0..) {
        let at = now().plus(Duration::from_secs(second));
        assert!(matches!(revocations.of(chain, at).await, Revocation::Good));
    }
    assert_eq!(server.asked(), MOST_KEPT + 1);
    for chain in chains[1..].iter().chain(&chains[..1]) {
        assert!(matches!(revocations.of(chain, now()).await, Revocation::Good));
    }
    assert_eq!(server.asked(), MOST_KEPT + 2, "only the oldest was fetched again");
}

#[test]
fn damage_is_noticed() {
    let ca = Ca::root("Issuer");
    let good = list(&ca, true, 1, None);
    let chain = chain(&ca, &[]);
    let judged = |list: &[u8]| judge(list, &chain.ders()[0], &chain.ders()[1], now());
    assert!(matches!(judged(&good), Ok(Revocation::Revoked { .. })));
    for index in 0..good.len() {
        assert!(judged(&good[..index]).is_err(), "cut at {index}");
        let mut damaged = good.clone();
        damaged[index] ^= 1;
        assert!(judged(&damaged).is_err(), "{index} of {}", good.len());
    }
}
