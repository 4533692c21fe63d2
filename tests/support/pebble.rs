//! A real Pebble with its challenge test server, which here only plays DNS, or in a network of a
//! test's own with the DNS of that.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::agent::Agent;
use super::network::{Door, Network};
use super::tools::{self, openssl};
use super::{Running, free_ports, wait_for};

/// Key id and HMAC key of the external account Pebble is told about.
pub const EAB: (&str, &str) =
    ("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W");

/// What a test wants to differ from a plain Pebble.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Per cent of nonces refused.
    pub nonce_reject: u8,
    /// Certificates between leaf and root; Pebble's own default when 0.
    pub chain_length: u8,
    pub alternate_roots: u8,
    pub eab_required: bool,
    /// Where it looks for answers to http-01 and tls-alpn-01; at free ports unless it is said.
    pub ports: Option<[u16; 2]>,
    /// Whether it also has the profile `minute`, of 60 seconds. An order that names none gets any.
    pub minute: bool,
}

impl Settings {
    fn profiles(&self) -> Value {
        let mut profiles = json!({
            "default": { "description": "90 days", "validityPeriod": 7_776_000 },
            "shortlived": { "description": "160 hours", "validityPeriod": 576_000 },
        });
        if self.minute {
            profiles["minute"] = json!({ "description": "60 seconds", "validityPeriod": 60 });
        }
        profiles
    }

    /// Puts into Pebble's environment what it does not read from its file.
    fn apply(&self, pebble: &mut Command) {
        pebble.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_AUTHZREUSE", "0");
        pebble.env("PEBBLE_WFE_NONCEREJECT", self.nonce_reject.to_string());
        pebble.env("PEBBLE_ALTERNATE_ROOTS", self.alternate_roots.to_string());
        if self.chain_length > 0 {
            pebble.env("PEBBLE_CHAIN_LENGTH", self.chain_length.to_string());
        }
    }
}

pub struct Pebble {
    pub directory: String,
    pub management: String,
    pub tls_root: PathBuf,
    pub http_port: u16,
    pub tls_port: u16,
    /// Pebble, and its DNS server where it has one of its own.
    pub processes: Vec<Running>,
    /// Where its own DNS server is told what to answer.
    pub dns_control: u16,
    door: Option<Door>,
    folder: TempDir,
}

/// The other place a Pebble writes to, beside what it answers.
const LOG: &str = "pebble.log";

impl Pebble {
    /// Starts both and waits until they answer. A port lost to somebody else between the kernel's
    /// choice and its use costs another attempt.
    pub fn start(settings: &Settings) -> Self {
        let mut attempts = (0..5).filter_map(|_| Self::attempt(settings, None));
        attempts.next().expect("Pebble starts")
    }

    /// Starts one that only this network reaches, and that asks the resolver at `address`.
    pub fn start_in(network: &Network, address: &str, settings: &Settings) -> Self {
        let resolver = format!("{address}:53");
        Self::attempt(settings, Some((network.door(), resolver))).expect("Pebble starts")
    }

    fn attempt(settings: &Settings, place: Option<(Door, String)>) -> Option<Self> {
        let [listen, manage, http_port, tls_port, dns, control] = free_ports();
        let [http_port, tls_port] = settings.ports.unwrap_or([http_port, tls_port]);
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let write = |name: &str, content: String| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let tls_root = write("tls.pem", certificate.pem());
        let tls_key = write("tls.key", key.serialize_pem());
        let config = json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{listen}"),
            "managementListenAddress": format!("127.0.0.1:{manage}"),
            "certificate": tls_root, "privateKey": tls_key,
            "httpPort": http_port, "tlsPort": tls_port,
            "externalAccountBindingRequired": settings.eab_required,
            "externalAccountMACKeys": { EAB.0: EAB.1 },
            "retryAfter": { "authz": 3, "order": 5 },
            "keyAlgorithm": "ecdsa",
            "profiles": settings.profiles(),
        }});
        let config = write("config.json", config.to_string());
        let door = place.as_ref().map(|(door, _)| *door);
        let (dns, dns_server) = if let Some((_, resolver)) = place {
            (resolver, None)
        } else {
            let dns = format!("127.0.0.1:{dns}");
            let server = start_dns(&dns, control);
            (dns, Some(server))
        };
        let mut pebble = Command::new(tools::find("pebble").unwrap());
        pebble.arg("-config").arg(config).args(["-dnsserver", &dns]);
        settings.apply(&mut pebble);
        let mut pebble = inside(door, pebble);
        let log = File::create(folder.path().join(LOG)).unwrap();
        let mut started = Self {
            directory: format!("https://127.0.0.1:{listen}/dir"),
            management: format!("https://127.0.0.1:{manage}"),
            tls_root,
            http_port,
            tls_port,
            processes: [spawn(&mut pebble, log)].into_iter().chain(dns_server).collect(),
            dns_control: control,
            door,
            folder,
        };
        let mut ended = false;
        wait_for("Pebble to answer", || {
            ended = started.processes.iter_mut().any(Running::has_ended);
            ended || started.get(&started.directory).is_some()
        });
        (!ended).then_some(started)
    }

    /// An agent that orders here, answering where this Pebble looks.
    pub fn agent(&self) -> Agent {
        Agent::ordering_at(&self.directory, &self.tls_root, self.http_port, self.tls_port)
    }

    /// Ends Pebble: from now on nobody listens where it did.
    pub fn stop(&mut self) {
        self.processes[0].end();
    }

    /// What Pebble says it did.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join(LOG)).unwrap()
    }

    /// How many orders were ever opened.
    pub fn orders(&self) -> usize {
        self.log().matches("Added order").count()
    }

    /// How many orders named a certificate they replace, and were opened for that.
    pub fn replacements(&self) -> usize {
        self.log().matches("is a replacement of").count()
    }

    /// How many accounts were ever created.
    pub fn accounts(&self) -> usize {
        self.log().matches("accounts in memory").count()
    }

    /// What Pebble thinks of a certificate: `Valid` or `Revoked`, with the reason.
    pub fn status(&self, serial: &str) -> Value {
        let url = format!("{}/cert-status-by-serial/{serial}", self.management);
        serde_json::from_str(&self.get(&url).expect("Pebble knows the certificate")).unwrap()
    }

    /// Common name of the root of Pebble's chain `number`; 0 is its default, others are alternates.
    pub fn root_name(&self, number: u8) -> String {
        let pem = self.get(&format!("{}/roots/{number}", self.management)).expect("a root");
        let path = self.folder.path().join(format!("root-{number}.pem"));
        fs::write(&path, pem).unwrap();
        let said = openssl(&["x509", "-noout", "-subject", "-nameopt", "multiline", "-in"], &path);
        let name = said.lines().find_map(|line| line.trim().strip_prefix("commonName"));
        name.unwrap().trim_start_matches([' ', '=']).to_owned()
    }

    /// Fetches a URL of Pebble's by curl; `None` unless it answers 200.
    pub fn get(&self, url: &str) -> Option<String> {
        let output = self.curl().arg(url).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    /// Makes Pebble answer renewal information with this window (RFC 3339).
    pub fn set_window(&self, certificate_pem: &str, start: &str, end: &str) {
        let window = json!({"suggestedWindow": {"start": start, "end": end}});
        self.set_renewal_info(certificate_pem, &window.to_string());
    }

    /// Makes Pebble answer renewal information literally so, malformed or not.
    pub fn set_renewal_info(&self, certificate_pem: &str, answer: &str) {
        let body: Value = json!({"certificate": certificate_pem, "ariResponse": answer});
        let url = format!("{}/set-renewal-info/", self.management);
        let status = self.curl().args(["-d", &body.to_string(), &url]).status().unwrap();
        assert!(status.success(), "Pebble did not take the renewal information");
    }

    fn curl(&self) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["-sf", "--max-time", "5", "--cacert"]).arg(&self.tls_root);
        inside(self.door, curl)
    }
}

fn inside(door: Option<Door>, command: Command) -> Command {
    match door {
        Some(door) => door.command(&command),
        None => command,
    }
}

/// The DNS server of a network, for which every name lies on loopback.
pub fn dns_in(network: &Network) -> Running {
    let [control] = free_ports();
    network.start(&dns("127.0.0.1:53", control))
}

fn start_dns(listen: &str, control: u16) -> Running {
    spawn(&mut dns(listen, control), Stdio::null())
}

/// A DNS server for which every name lies on loopback.
fn dns(listen: &str, control: u16) -> Command {
    let mut server = Command::new(tools::find("pebble-challtestsrv").unwrap());
    server.args(["-dnsserver", listen, "-management", &format!("127.0.0.1:{control}")]);
    server.args(["-http01=", "-https01=", "-tlsalpn01=", "-doh="]);
    server.args(["-defaultIPv4=127.0.0.1", "-defaultIPv6="]);
    server
}

fn spawn(command: &mut Command, log: impl Into<Stdio>) -> Running {
    let started = command.stdin(Stdio::null()).stdout(log).stderr(Stdio::null()).spawn();
    Running(started.unwrap_or_else(|error| panic!("{command:?}: {error}")))
}
