//! What a full handshake costs the server: with rustls' own resolvers of one certificate and of
//! many, with `LiveCert` holding as many, and with each handshake observed. Where each client asks
//! for another name, what a certificate needs is no longer in the processor's caches; that costs
//! whoever resolves it.
//!
//! `CARGO_PROFILE_BENCH_OPT_LEVEL=3 cargo bench -p acmeagent-reload`, for a server is built to be quick. Only the server's share of a handshake in memory is timed. The
//! ratios come of a run in which all take turns, for a machine is never as quick as a minute ago.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use acmeagent_reload::{Handshake, LiveCert};
use criterion::Criterion;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ResolvesServerCert, ResolvesServerCertUsingSni};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
};

const MANY: usize = 10_000;
const ROUNDS: usize = 4_000;

fn main() {
    let _ = aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let (variants, client) = variants(folder.path());
    let mut criterion = Criterion::default().configure_from_args();
    for variant in &variants {
        criterion.bench_function(variant.name, |bencher| {
            bencher.iter_custom(|times| {
                (0..times as usize).map(|turn| variant.handshake(&client, turn)).sum()
            });
        });
    }
    criterion.final_summary();
    compare(&variants, &client);
}

/// Prints the medians of handshakes taken in turns, and how they compare with the first.
fn compare(variants: &[Variant], client: &Arc<ClientConfig>) {
    let mut times = vec![Vec::with_capacity(ROUNDS); variants.len()];
    for round in 0..ROUNDS {
        for at in 0..variants.len() {
            let at = (at + round) % variants.len();
            // Nobody asks for the name that was asked for just before.
            times[at].push(variants[at].handshake(client, round + at * ROUNDS));
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_nanos() as f64 / 1000.0
    };
    let medians = times.iter_mut().map(median).collect::<Vec<_>>();
    println!("\nmedian of {ROUNDS} full handshakes in turns, the server's share");
    for (variant, median) in variants.iter().zip(&medians) {
        let ratio = median / medians[0];
        println!("{:34} {median:8.2} µs  {:+.2} %", variant.name, (ratio - 1.0) * 100.0);
    }
}

struct Variant {
    name: &'static str,
    config: Arc<ServerConfig>,
    /// Where handshakes are observed.
    live: Option<Arc<LiveCert>>,
    names: Vec<ServerName<'static>>,
}

impl Variant {
    /// The time the server spends on one handshake.
    fn handshake(&self, client: &Arc<ClientConfig>, turn: usize) -> Duration {
        // A stride that visits all names, far from each other.
        let name = self.names[turn * 4099 % self.names.len()].clone();
        let client = ClientConnection::new(client.clone(), name).unwrap();
        let began = Instant::now();
        let observed = self.live.as_ref().map(|live| live.begin(&self.config));
        let config = observed.as_ref().map_or_else(|| self.config.clone(), Handshake::config);
        let server = Connection::from(ServerConnection::new(config).unwrap());
        let spent = began.elapsed();
        let (server, spent) = shake(client.into(), server, spent);
        let began = Instant::now();
        if let Some(observed) = observed {
            observed.completed(&server);
        }
        spent + began.elapsed()
    }
}

fn shake(
    mut client: Connection,
    mut server: Connection,
    spent: Duration,
) -> (Connection, Duration) {
    let mut spent = spent;
    while client.is_handshaking() || server.is_handshaking() {
        let sent = write(&mut client);
        let began = Instant::now();
        read(&mut server, &sent);
        let sent = write(&mut server);
        spent += began.elapsed();
        read(&mut client, &sent);
    }
    (server, spent)
}

fn write(from: &mut Connection) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4096);
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    bytes
}

fn read(to: &mut Connection, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        to.read_tls(&mut bytes).unwrap();
        to.process_new_packets().unwrap();
    }
}

fn variants(folder: &Path) -> (Vec<Variant>, Arc<ClientConfig>) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let key_pem = key.serialize_pem();
    let names = (0..MANY).map(|at| format!("host-{at}.example")).collect::<Vec<_>>();
    let mut one = LiveCert::builder();
    let mut many = LiveCert::builder();
    let mut own_many = ResolvesServerCertUsingSni::new();
    let mut single = None;
    for (at, name) in names.iter().enumerate() {
        let mut params = CertificateParams::new([name.clone()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let cert = params.signed_by(&key, &ca).unwrap().pem();
        own_many.add(name, certified(&cert, &key_pem)).unwrap();
        let folder = folder.join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("fullchain.pem"), &cert).unwrap();
        fs::write(folder.join("privkey.pem"), &key_pem).unwrap();
        if at == 0 {
            one = one.folder(name, &folder);
            single = Some(cert);
        }
        many = many.folder(name, folder);
    }
    let (one, many) = (one.build().unwrap(), many.build().unwrap());
    let own = SingleCertAndKey::from(certified(&single.unwrap(), &key_pem));
    let (own, own_many) = (server(Arc::new(own)), server(Arc::new(own_many)));

    let names = names.into_iter().map(|name| ServerName::try_from(name).unwrap());
    let names = names.collect::<Vec<_>>();
    let first = vec![names[0].clone()];
    let variant = |name, config: &Arc<ServerConfig>, live, names: &[ServerName<'static>]| Variant {
        name,
        config: config.clone(),
        live,
        names: names.to_vec(),
    };
    let (of_one, of_many) = (server(one.clone()), server(many.clone()));
    let variants = vec![
        variant("rustls, one certificate", &own, None, &first),
        variant("LiveCert, one", &of_one, None, &first),
        variant("LiveCert, one, observed", &of_one, Some(one), &first),
        variant("LiveCert, one of 10000", &of_many, None, &first),
        variant("rustls, each of 10000", &own_many, None, &names),
        variant("LiveCert, each of 10000", &of_many, None, &names),
        variant("LiveCert, each of 10000, observed", &of_many, Some(many), &names),
    ];
    let mut roots = RootCertStore::empty();
    roots.add(ca.as_ref().der().clone()).unwrap();
    let mut client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    client.resumption = Resumption::disabled();
    (variants, Arc::new(client))
}

fn certified(cert: &str, key: &str) -> CertifiedKey {
    let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).unwrap()
}

fn server(resolver: Arc<dyn ResolvesServerCert>) -> Arc<ServerConfig> {
    Arc::new(ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver))
}
