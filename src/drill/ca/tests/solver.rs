//! A web server and a TLS server that answer challenges on both loopback addresses.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode, header};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What the web server says to a token.
#[derive(Clone)]
pub(super) enum Page {
    Body(String),
    Redirect(String),
}

#[derive(Default)]
struct Answers {
    pages: HashMap<String, Page>,
    hosts: Vec<String>,
    certificates: HashMap<String, Arc<CertifiedKey>>,
}

type Shared = Arc<Mutex<Answers>>;

pub(super) struct Solver {
    pub(super) http_port: u16,
    pub(super) tls_port: u16,
    answers: Shared,
    _servers: JoinSet<()>,
}

impl Solver {
    pub(super) async fn start() -> Self {
        let answers = Shared::default();
        let mut servers = JoinSet::new();
        let (http_port, listeners) = both_loopbacks().await;
        for listener in listeners {
            let page = axum::routing::get(page);
            let router = Router::new()
                .route("/.well-known/acme-challenge/{token}", page)
                .with_state(Arc::clone(&answers));
            servers.spawn(async { axum::serve(listener, router).await.unwrap() });
        }
        let (tls_port, listeners) = both_loopbacks().await;
        let acceptor = acceptor(Arc::clone(&answers));
        for listener in listeners {
            let acceptor = acceptor.clone();
            servers.spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    // The CA closes as soon as it has seen the certificate.
                    let _ = acceptor.accept(stream).await;
                }
            });
        }
        Self { http_port, tls_port, answers, _servers: servers }
    }

    pub(super) fn show(&self, token: &str, page: Page) {
        self.answers.lock().unwrap().pages.insert(token.to_owned(), page);
    }

    /// The Host headers seen so far.
    pub(super) fn hosts(&self) -> Vec<String> {
        self.answers.lock().unwrap().hosts.clone()
    }

    /// Shows, for this SNI, a certificate that names `san` and proves `digest`.
    pub(super) fn show_certificate(&self, sni: &str, san: &str, digest: &[u8]) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([san.to_owned()]).unwrap();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let certificate = params.self_signed(&key).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
        let certified = Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key));
        self.answers.lock().unwrap().certificates.insert(sni.to_owned(), certified);
    }
}

async fn page(
    State(answers): State<Shared>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> (StatusCode, HeaderMap, String) {
    let mut answers = answers.lock().unwrap();
    answers.hosts.push(headers[header::HOST].to_str().unwrap().to_owned());
    let mut headers = HeaderMap::new();
    match answers.pages.get(&token).cloned() {
        Some(Page::Body(body)) => (StatusCode::OK, headers, body),
        Some(Page::Redirect(to)) => {
            headers.insert(header::LOCATION, to.parse().unwrap());
            (StatusCode::FOUND, headers, String::new())
        }
        None => (StatusCode::NOT_FOUND, headers, String::new()),
    }
}

#[derive(Debug)]
struct ByName(Shared);

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answers")
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.lock().unwrap().certificates.get(hello.server_name()?).cloned()
    }
}

fn acceptor(answers: Shared) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ByName(answers)));
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    Arc::new(config).into()
}

/// Listeners on one port of 127.0.0.1 and ::1.
async fn both_loopbacks() -> (u16, [TcpListener; 2]) {
    loop {
        let four = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = four.local_addr().unwrap().port();
        // Somebody else may have that port on the other address.
        if let Ok(six) = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
            return (port, [four, six]);
        }
    }
}
