//! A real Pebble with its challenge test server, which here only plays DNS.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::agent::Agent;
use super::{Running, free_ports, tools, wait_for};

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
}

pub struct Pebble {
    pub directory: String,
    pub management: String,
    pub tls_root: PathBuf,
    pub http_port: u16,
    pub tls_port: u16,
    _processes: [Running; 2],
    _folder: TempDir,
}

impl Pebble {
    /// Starts both and waits until they answer. A port lost to somebody else between the kernel's
    /// choice and its use costs another attempt.
    pub fn start(settings: &Settings) -> Self {
        let mut attempts = (0..5).filter_map(|_| Self::attempt(settings));
        attempts.next().expect("Pebble starts")
    }

    fn attempt(settings: &Settings) -> Option<Self> {
        let [listen, manage, http_port, tls_port, dns, control] = free_ports();
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
            "profiles": {
                "default": { "description": "90 days", "validityPeriod": 7_776_000 },
                "shortlived": { "description": "160 hours", "validityPeriod": 576_000 },
            },
        }});
        let config = write("config.json", config.to_string());
        let dns = format!("127.0.0.1:{dns}");
        let challtestsrv = quiet(Command::new(tools::find("pebble-challtestsrv").unwrap()).args([
            "-dnsserver",
            &dns,
            "-management",
            &format!("127.0.0.1:{control}"),
            "-http01=",
            "-https01=",
            "-tlsalpn01=",
            "-doh=",
            "-defaultIPv4=127.0.0.1",
            "-defaultIPv6=",
        ]));
        let mut pebble = Command::new(tools::find("pebble").unwrap());
        pebble.arg("-config").arg(config).args(["-dnsserver", &dns]);
        pebble.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_AUTHZREUSE", "0");
        pebble.env("PEBBLE_WFE_NONCEREJECT", settings.nonce_reject.to_string());
        pebble.env("PEBBLE_ALTERNATE_ROOTS", settings.alternate_roots.to_string());
        if settings.chain_length > 0 {
            pebble.env("PEBBLE_CHAIN_LENGTH", settings.chain_length.to_string());
        }
        let mut started = Self {
            directory: format!("https://127.0.0.1:{listen}/dir"),
            management: format!("https://127.0.0.1:{manage}"),
            tls_root,
            http_port,
            tls_port,
            _processes: [quiet(&mut pebble), challtestsrv],
            _folder: folder,
        };
        let mut ended = false;
        wait_for("Pebble to answer", || {
            ended = started._processes.iter_mut().any(Running::has_ended);
            ended || started.get(&started.directory).is_some()
        });
        (!ended).then_some(started)
    }

    /// An agent that orders here, answering where this Pebble looks.
    pub fn agent(&self) -> Agent {
        Agent::new().with_ca([
            "--server",
            &self.directory,
            "--ca-root",
            self.tls_root.to_str().unwrap(),
            "--agree-tos",
            "--http-01-port",
            &self.http_port.to_string(),
            "--tls-alpn-01-port",
            &self.tls_port.to_string(),
        ])
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
        curl
    }
}

fn quiet(command: &mut Command) -> Running {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Running(silent.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
}
