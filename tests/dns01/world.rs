//! A small internet: a root, a top-level domain, a resolver, name servers, and Pebble.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::Running;
use crate::support::agent::{Agent, Ran};
use crate::support::named::{KEY, Named, Setup, zone};
use crate::support::network::Network;
use crate::support::pebble::{Pebble, Settings};

pub const RESOLVER: &str = "203.0.113.53";
/// Addresses for web servers: ordinary ones, and one that means something else elsewhere.
pub const WEB: &str = "203.0.113.80";
pub const WEB_IPV6: &str = "2001:db8::80";
pub const PRIVATE: &str = "10.20.30.40";
pub const NS: [&str; 4] = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"];

/// The network and the resolver in it, which has the root and `example` itself.
pub struct World {
    pub network: Network,
    pub pebble: Pebble,
    pub agent: Agent,
    pub resolver: Named,
    folder: TempDir,
}

impl World {
    /// Each of these zones below `example` is delegated to `ns1`, `ns2`, … in it, at these addresses.
    pub fn with(delegations: &[(&str, &[&str])]) -> Option<Self> {
        Self::looked_at(delegations, &Settings::default())
    }

    /// The same with such a Pebble.
    pub fn looked_at(delegations: &[(&str, &[&str])], settings: &Settings) -> Option<Self> {
        let web = [RESOLVER, WEB, WEB_IPV6, PRIVATE];
        let network = Network::with(&[&web, &NS[..]].concat(), RESOLVER)?;
        let mut records = String::new();
        for (name, addresses) in delegations {
            for (index, address) in addresses.iter().enumerate() {
                let server = format!("ns{}.{name}", index + 1);
                records += &format!("{name} NS {server}\n{server} A {address}\n");
            }
        }
        let own = [("ns1", RESOLVER)];
        let root = zone(
            1,
            &[("ns1", RESOLVER)],
            &format!("example NS ns1.example\nns1.example A {RESOLVER}"),
        );
        let zones = [(".", root), ("example", zone(1, &own, &records))];
        // Pebble asks by TCP, about all names of an order at once.
        let options = "recursion yes; allow-recursion { any; }; dnssec-validation no; \
                       tcp-clients 1000; tcp-listen-queue 500;";
        let setup = Setup { address: RESOLVER, zones: &zones, more: "", options };
        let resolver = Named::start(&network, &setup);
        let pebble = Pebble::start_in(&network, RESOLVER, settings);
        let (agent, folder) = (pebble.agent(), tempfile::tempdir().unwrap());
        Some(Self { network, pebble, agent, resolver, folder })
    }

    /// An authoritative server that takes signed updates of these zones.
    pub fn server(&self, address: &str, zones: &[(&str, String)], more: &str) -> Named {
        let options = "recursion no; notify no; allow-transfer { any; };";
        Named::dynamic(&self.network, &Setup { address, zones, more, options })
    }

    /// Credentials of the provider `rfc2136`; without a server it is the zone's own.
    pub fn credentials(&self, key: (&str, &str), server: Option<&str>) -> String {
        let server = server.map(|server| format!("server = '{server}'\n")).unwrap_or_default();
        let text = format!("{server}key = '{}'\nsecret = '{}'\n", key.0, key.1);
        self.file("credentials", &text).to_str().unwrap().to_owned()
    }

    pub fn good_credentials(&self) -> String {
        self.credentials(KEY, None)
    }

    /// A private file of the test's own.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn issue(&self, identifiers: &str, args: &[&str]) -> Command {
        let args = [&["issue", "-d", identifiers, "--challenge", "dns-01"], args].concat();
        self.network.command(&self.agent.command(&args))
    }

    pub fn run(&self, identifiers: &str, args: &[&str]) -> Ran {
        Ran::of(self.issue(identifiers, args).output().unwrap())
    }

    /// What an agent does in this network.
    pub fn lets(&self, agent: &Agent, args: &[&str]) -> Ran {
        Ran::of(self.network.command(&agent.command(args)).output().unwrap())
    }

    /// Issues by signed updates.
    pub fn issues(&self, identifiers: &str, credentials: &str) -> Ran {
        self.run(identifiers, &["--dns", "rfc2136", "--dns-credentials", credentials])
    }

    pub fn spawn(&self, identifiers: &str, args: &[&str]) -> Running {
        let mut command = self.issue(identifiers, args);
        Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// What `dig` says, in short.
    pub fn dig(&self, args: &[&str]) -> String {
        let mut dig = Command::new("dig");
        dig.args(["+norec", "+short", "+time=2", "+tries=1"]).args(args);
        let output = self.network.command(&dig).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Asserts that a zone holds no TXT record any more, and that none is remembered.
    #[track_caller]
    pub fn assert_clean(&self, server: &str, zone: &str) {
        let all = self.dig(&["AXFR", zone, &format!("@{server}")]);
        assert!(all.contains("SOA") || all.contains("ns1"), "{zone} cannot be seen: {all}");
        assert!(!all.contains('"'), "{zone} still holds TXT records: {all}");
        let leftovers = fs::read_dir(self.agent.path("state/dns")).map_or(0, Iterator::count);
        assert_eq!(leftovers, 0, "records are still remembered");
    }
}
