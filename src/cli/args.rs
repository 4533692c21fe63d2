//! The command line, once: help, man page and completions all come from here.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use super::complete;
use super::exit::Exit;
use crate::challenge::front::Upstream;
use crate::drill::ca::Behaviour;

/// The codes of `check`, which monitoring systems know.
pub(super) const CHECK_CODES: &str = "`check` and `doctor` use the codes of monitoring plugins: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.";

fn exit_codes() -> String {
    let rows = Exit::ALL.map(|exit| {
        format!(
            "  {:>2} {:<13} {}
",
            exit.code(),
            exit.name(),
            exit.meaning()
        )
    });
    format!(
        "Exit codes:
{}{CHECK_CODES}",
        rows.concat()
    )
}

fn behaviour_example() -> String {
    format!("A file for --behaviour:\n\n{}", Behaviour::EXAMPLE)
}

/// Get TLS certificates by ACME, and keep what is served valid
#[derive(Debug, Parser)]
#[command(name = "acmeagent", version, after_help = exit_codes(), propagate_version = false)]
#[command(max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags every verb takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Directory of settings and certificates
    ///
    /// Without it root's settings are in /etc/acmeagent and root's certificates in
    /// /var/lib/acmeagent; those of other users in the XDG config and state directories.
    #[arg(long, global = true, value_name = "DIR", env = "ACMEAGENT_HOME")]
    pub(crate) home: Option<PathBuf>,
    /// Print one JSON document on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more: each step and how long it took
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// How to say on standard error what happens: to people, in lines of JSON, or to the journal
    ///
    /// `json` is a line for each event, with its facts under their own keys; `journald` the same as
    /// fields of the systemd journal, which are called ACMEAGENT_ and the key. -v adds what was
    /// measured, -q leaves only errors.
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub(crate) log: LogFormat,
    /// When to colour messages
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
    Journald,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Issue(Box<Issue>),
    Renew(Renew),
    Serve(Serve),
    Check(Check),
    Doctor(Doctor),
    Rollback(Rollback),
    #[command(subcommand)]
    Snapshot(Snapshot),
    Status(Status),
    Revoke(Revoke),
    Delete(Delete),
    Account(Account),
    #[command(subcommand)]
    Alert(Alert),
    #[command(subcommand)]
    Drill(Drill),
    #[command(subcommand)]
    Generate(Generate),
}

/// Get a certificate, put it to use, and remember how: `renew` then needs no flags
///
/// Run again with other flags, it changes what is remembered, and orders another certificate only
/// when the one that is held is no longer what is wanted.
#[derive(Args, Debug)]
pub(crate) struct Issue {
    /// DNS name or IP address the certificate is for (repeat, or separate by commas)
    #[arg(short = 'd', long = "domain", visible_alias = "domains", value_name = "NAME")]
    #[arg(required = true, value_delimiter = ',')]
    pub(crate) domains: Vec<String>,
    /// What to call the certificate (default: after its first name)
    #[arg(long, value_name = "NAME", add = complete::names())]
    pub(crate) cert_name: Option<String>,
    /// Rehearse it all with the CA's staging environment (or --server); keep and deploy nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Order even though a valid certificate is held
    #[arg(long, visible_alias = "force-renewal")]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) ca: CaFlags,
    #[command(flatten)]
    pub(crate) order: OrderFlags,
    #[command(flatten)]
    pub(crate) challenge: ChallengeFlags,
    #[command(flatten)]
    pub(crate) key: KeyFlags,
    #[command(flatten)]
    pub(crate) deploy: DeployFlags,
    #[command(flatten)]
    pub(crate) hooks: HookFlags,
}

/// Which certificate authority, and how to be its customer.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Certificate authority")]
pub(crate) struct CaFlags {
    /// Name of the CA: a built-in one, a [[ca]] of the settings, or `embedded` to try things out
    ///
    /// Repeated, they are tried in this order: the others stand in where the first does not issue.
    /// A renewal stays with the first until the certificate nears its end without it.
    #[arg(long, value_name = "NAME", action = ArgAction::Append, add = complete::cas())]
    pub(crate) ca: Vec<String>,
    /// The CA's directory URL, or a name as for --ca
    #[arg(long, value_name = "URL|NAME", conflicts_with_all = ["ca", "staging"])]
    pub(crate) server: Option<String>,
    /// Use the CA's staging environment
    #[arg(long)]
    pub(crate) staging: bool,
    /// Root certificate of the CA's own HTTPS, instead of the system's roots
    #[arg(long, value_name = "PEM")]
    pub(crate) ca_root: Option<PathBuf>,
    /// Key identifier the CA gave you for an external account binding
    #[arg(long, value_name = "KID")]
    pub(crate) eab_kid: Option<String>,
    /// HMAC key of that binding (others see it in the process list: prefer the file)
    #[arg(long, value_name = "KEY", requires = "eab_kid", conflicts_with = "eab_hmac_key_file")]
    pub(crate) eab_hmac_key: Option<String>,
    /// File that holds the HMAC key of that binding
    #[arg(long, value_name = "FILE", requires = "eab_kid")]
    pub(crate) eab_hmac_key_file: Option<PathBuf>,
    /// E-mail address the CA may write to
    #[arg(short = 'm', long, value_name = "ADDRESS")]
    pub(crate) email: Option<String>,
    /// Agree to the CA's terms of service
    #[arg(long)]
    pub(crate) agree_tos: bool,
}

/// What to ask the CA for.
#[derive(Args, Debug)]
#[command(next_help_heading = "Order")]
pub(crate) struct OrderFlags {
    /// Certificate profile to ask for, if the CA offers it (as in shortlived)
    #[arg(long, visible_alias = "preferred-profile", value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
    /// Certificate profile to ask for; without it nothing is ordered
    #[arg(long, value_name = "PROFILE", conflicts_with = "profile")]
    pub(crate) required_profile: Option<String>,
    /// Take the chain with an issuer of this common name, if the CA has one
    #[arg(long, value_name = "CN")]
    pub(crate) preferred_chain: Option<String>,
}

/// How control over the names is shown.
#[derive(Args, Debug)]
#[command(next_help_heading = "Challenge")]
pub(crate) struct ChallengeFlags {
    /// Challenge type: http-01, tls-alpn-01, dns-01, dns-account-01 or dns-persist-01 (default
    /// http-01, with --dns dns-01; repeat in order of preference)
    #[arg(long, value_name = "TYPE", action = ArgAction::Append, add = complete::challenges())]
    pub(crate) challenge: Vec<String>,
    /// Answer http-01 by files in this directory, which a web server serves on port 80
    #[arg(short = 'w', long, value_name = "DIR", conflicts_with = "standalone")]
    pub(crate) webroot: Option<PathBuf>,
    /// Answer http-01 by listening ourselves (the default)
    #[arg(long)]
    pub(crate) standalone: bool,
    /// Address to listen on (default: all)
    #[arg(long, value_name = "IP")]
    pub(crate) http_01_address: Option<IpAddr>,
    /// Port to listen on for http-01 (default 80)
    #[arg(long, value_name = "PORT")]
    pub(crate) http_01_port: Option<u16>,
    /// Port to listen on for tls-alpn-01 (default 443)
    #[arg(long, value_name = "PORT")]
    pub(crate) tls_alpn_01_port: Option<u16>,
    /// Who edits the DNS: rfc2136, exec:COMMAND, acme.sh:dns_NAME, lego-exec:COMMAND, httpreq:URL,
    /// acme-dns:URL, a company such as cloudflare, or a [[dns]] of the settings (repeat)
    #[arg(long, value_name = "PROVIDER", action = ArgAction::Append)]
    pub(crate) dns: Vec<String>,
    /// File with what they must be told, lines of NAME = "text"; for nobody else to read (mode 0600)
    #[arg(long, value_name = "FILE")]
    pub(crate) dns_credentials: Option<PathBuf>,
    /// How long name servers may take to show a record (default 5m); 0s asks none of them
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) dns_propagation_timeout: Option<Duration>,
    /// Program written for certbot's flag of that name, to put a record into the DNS
    #[arg(long, value_name = "COMMAND")]
    pub(crate) manual_auth_hook: Option<String>,
    /// Program written for certbot's flag of that name, to remove the record
    #[arg(long, value_name = "COMMAND")]
    pub(crate) manual_cleanup_hook: Option<String>,
}

/// Which key the certificate gets.
#[derive(Args, Debug)]
#[command(next_help_heading = "Key")]
pub(crate) struct KeyFlags {
    /// Kind of key: p256, p384, rsa2048, rsa3072 or rsa4096 (default p256)
    #[arg(long, value_name = "TYPE")]
    pub(crate) key_type: Option<String>,
    /// Keep the key at renewals
    #[arg(long, conflicts_with = "new_key")]
    pub(crate) reuse_key: bool,
    /// Make a new key at each renewal (the default)
    #[arg(long)]
    pub(crate) new_key: bool,
}

/// Where the certificate is put to use, and where it must then be seen.
#[derive(Args, Debug)]
#[command(next_help_heading = "Deployment")]
pub(crate) struct DeployFlags {
    /// Put the certificate to use there: nginx, haproxy:SOCKET, rustls:SOCKET, copy:DIR,
    /// systemd:UNIT, hook:COMMAND, or a [[target]] of the settings (repeat, in order)
    #[arg(long, value_name = "KIND[:ARG]", action = ArgAction::Append)]
    pub(crate) target: Vec<String>,
    /// Look there whether the new certificate is served, and put the old one back if it is not
    /// (repeat; smtp://, imap:// or postgres:// before HOST:PORT where TLS does not come first)
    #[arg(long, value_name = "HOST:PORT", action = ArgAction::Append)]
    pub(crate) verify: Vec<String>,
}

/// What runs around a renewal. Programs with arguments, run without a shell.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Hooks")]
pub(crate) struct HookFlags {
    /// Run before the first order (repeat)
    #[arg(long, value_name = "COMMAND", action = ArgAction::Append)]
    pub(crate) pre_hook: Vec<String>,
    /// Run to put a new certificate to use (repeat); if it fails, the old one is put back
    #[arg(long, value_name = "COMMAND", action = ArgAction::Append)]
    pub(crate) deploy_hook: Vec<String>,
    /// Run after the last order, whatever came of it (repeat)
    #[arg(long, value_name = "COMMAND", action = ArgAction::Append)]
    pub(crate) post_hook: Vec<String>,
}

/// Renew what is due (to be run by a timer or cron, every half hour)
#[derive(Args, Debug)]
pub(crate) struct Renew {
    /// Only these certificates
    #[arg(value_name = "NAME", add = complete::names())]
    pub(crate) names: Vec<String>,
    /// Say what would be done when and why, and what it would take of the CA's limits; do nothing
    #[arg(long, conflicts_with_all = ["dry_run", "force", "stay", "max_wait"])]
    pub(crate) plan: bool,
    /// Rehearse with the CA's staging environment; keep and deploy nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Renew although nothing is due
    ///
    /// And deploy although a freeze, or too many rollbacks within a day, would keep it in the archive.
    #[arg(long)]
    pub(crate) force: bool,
    /// Let deploys go on that wait for approval
    #[arg(long, requires = "names", conflicts_with_all = ["plan", "dry_run"])]
    pub(crate) approve: bool,
    /// How many certificates to work on at once
    #[arg(long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
    /// Wait for what becomes due within this time, as in 30m, and renew it at its exact instant
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    #[arg(conflicts_with_all = ["names", "dry_run", "force"])]
    pub(crate) max_wait: Option<Duration>,
    /// Stay until told to stop, and renew each certificate at its exact instant (for containers
    /// and services; SIGHUP makes it look at all settings again)
    #[arg(long = "loop", conflicts_with_all = ["names", "dry_run", "force", "max_wait"])]
    pub(crate) stay: bool,
}

/// Answer http-01 in front of an application that has port 80, until told to stop
///
/// What `issue` and `renew` of the same home present by http-01 is answered here; nothing is to be
/// set for that. All else is passed on to the application unchanged, upgrades as of WebSockets
/// included, but for X-Forwarded-For, to which the visitor's address is added, and
/// X-Forwarded-Proto, which becomes `http` where it is missing. What lies below
/// /.well-known/acme-challenge/ never reaches the application, so --webroot does not work behind it.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Where the application is now
    #[arg(long, value_name = "http://HOST:PORT")]
    pub(crate) upstream: Upstream,
    /// Where to listen in its stead (repeat); [::] is every address, IPv6 and IPv4
    #[arg(long, value_name = "ADDR:PORT", default_value = "[::]:80", action = ArgAction::Append)]
    pub(crate) listen: Vec<SocketAddr>,
}

/// Say whether certificates are valid, fresh, whole and served, as a monitoring plugin
///
/// Compares what is stored with what is served at every place the targets and [verify] name, and with
/// the CA's revocation list; a certificate nobody says where to look for is not looked at, and a list
/// that does not come says nothing. Needs no lock and changes nothing.
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// Only these certificates
    #[arg(value_name = "NAME", add = complete::names(), conflicts_with_all = ["connect", "file"])]
    pub(crate) names: Vec<String>,
    /// Look at what this endpoint serves; with smtp://, imap:// or postgres:// in front, TLS begins
    /// there as that protocol has it
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) connect: Option<String>,
    /// Name to ask the endpoint for (default: its host)
    #[arg(long, value_name = "NAME", requires = "connect")]
    pub(crate) servername: Option<String>,
    /// Look at this certificate file (PEM)
    #[arg(long, value_name = "PEM", conflicts_with = "connect")]
    pub(crate) file: Option<PathBuf>,
    /// Private key that must match --file
    #[arg(long, value_name = "PEM", requires = "file")]
    pub(crate) key: Option<PathBuf>,
    /// Roots (PEM) the chain must lead to
    #[arg(long, value_name = "PEM")]
    pub(crate) ca_root: Option<PathBuf>,
    /// How to print the findings
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
}

/// Find out why the next renewal would fail, before a CA is asked for anything
///
/// Looks at accounts, ports, the clock, the paths servers are configured with, the disk and the
/// system's limits, and at other clients for the same names. Asks the DNS about each name (all its
/// name servers, CAA, DNSSEC), and for an answer of its own at every address, as a CA would.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Only these certificates
    #[arg(value_name = "NAME", add = complete::names())]
    pub(crate) names: Vec<String>,
    /// Mend what can be mended safely
    ///
    /// An account key that others could read becomes ours alone. Where a CA no longer knows our
    /// account a new one is registered, which agrees to its terms again; the old key is kept.
    #[arg(long)]
    pub(crate) fix: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    Junit,
    Github,
    Prometheus,
}

/// Put an earlier certificate back in service, and keep it there until told otherwise
///
/// Every issued certificate is kept as a generation, numbered from 1. (In certbot, `rollback` means
/// the configuration of a web server; here it is the certificate itself.)
#[derive(Args, Debug)]
pub(crate) struct Rollback {
    /// Name of the certificate, as `acmeagent status` shows it
    #[arg(value_name = "NAME", add = complete::names())]
    pub(crate) name: String,
    /// Go to this generation (default: the newest good one before the live one)
    #[arg(long, value_name = "N", conflicts_with = "snapshot")]
    pub(crate) to: Option<u32>,
    /// Go to the generation that was in service when this snapshot was taken
    #[arg(long, value_name = "ID")]
    pub(crate) snapshot: Option<String>,
    /// Show the generations and what became of them
    #[arg(long, conflicts_with_all = ["to", "snapshot", "unpin", "force"])]
    pub(crate) list: bool,
    /// No longer hold it back: put the newest good generation into service
    ///
    /// Also where nothing was deployed any more after too many rollbacks within a day.
    #[arg(long, conflicts_with_all = ["to", "snapshot"])]
    pub(crate) unpin: bool,
    /// Even if it has expired, was revoked or failed before
    #[arg(long)]
    pub(crate) force: bool,
}

/// Take, verify and restore copies of what is in service
#[derive(Debug, Subcommand)]
pub(crate) enum Snapshot {
    /// Take a snapshot now (one is taken by itself before every change)
    Create {
        /// Only of these certificates
        #[arg(value_name = "NAME", add = complete::names())]
        names: Vec<String>,
    },
    /// Show the snapshots, newest last
    List,
    /// Compare every file of a snapshot, or of all, with its recorded SHA-256
    Verify {
        /// Only this snapshot
        #[arg(value_name = "ID")]
        id: Option<String>,
    },
    /// Put certificates back as a snapshot holds them, whatever was lost since
    Restore {
        /// The snapshot, as `acmeagent snapshot list` shows it
        #[arg(value_name = "ID")]
        id: String,
        /// Only these certificates
        #[arg(value_name = "NAME", add = complete::names())]
        names: Vec<String>,
    },
    /// Remove all but the newest snapshots of each certificate
    Prune {
        /// How many to keep
        #[arg(long, value_name = "N", default_value_t = crate::store::snapshot::KEEP)]
        keep: usize,
    },
    /// Write a snapshot to a tar archive (it holds private keys)
    Export {
        /// The snapshot, as `acmeagent snapshot list` shows it
        #[arg(value_name = "ID")]
        id: String,
        /// The file to write; it must not exist yet
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Show every certificate: its names, its life, its next renewal and why
#[derive(Args, Debug)]
pub(crate) struct Status {
    /// Only these certificates
    #[arg(value_name = "NAME", add = complete::names())]
    pub(crate) names: Vec<String>,
    /// Show what was done: issued, put to use, undone, failed, decided by hand; the newest last
    #[arg(long)]
    pub(crate) history: bool,
    /// Write a page for a browser, which needs nothing else, to this file (- for standard output)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["history", "json"])]
    pub(crate) html: Option<PathBuf>,
}

/// Tell the CA that a certificate is no longer to be trusted
#[derive(Args, Debug)]
pub(crate) struct Revoke {
    /// Name of the certificate
    #[arg(value_name = "NAME", add = complete::names())]
    pub(crate) name: String,
    /// One of unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation
    #[arg(long, value_name = "REASON", default_value = "unspecified")]
    pub(crate) reason: String,
    /// Revoke this generation (default: the live one)
    #[arg(long, value_name = "N")]
    pub(crate) generation: Option<u32>,
}

/// Remove a certificate, its keys and its settings from this host (snapshots stay)
#[derive(Args, Debug)]
pub(crate) struct Delete {
    /// Name of the certificate
    #[arg(value_name = "NAME", add = complete::names())]
    pub(crate) name: String,
}

/// Show or change the account at a CA
#[derive(Args, Debug)]
pub(crate) struct Account {
    #[arg(value_enum)]
    /// What to do
    pub(crate) action: AccountAction,
    /// For dns-record: DNS names, or certificates to tell it for all their names
    #[arg(value_name = "NAME", add = complete::names(), required_if_eq("action", "dns-record"))]
    pub(crate) names: Vec<String>,
    /// For dns-record: until when the record is to be good (default: for good)
    #[arg(long, value_name = "DATE")]
    pub(crate) until: Option<String>,
    #[command(flatten)]
    pub(crate) ca: CaFlags,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum AccountAction {
    /// What the CA knows of us
    Show,
    /// Create the account, or find the one of our key
    Register,
    /// Replace the account key
    RotateKey,
    /// Close the account for good
    Deactivate,
    /// Print the DNS record that proves names by dns-persist-01
    DnsRecord,
}

/// Find out whether those are told who are to be told when something is wrong
#[derive(Debug, Subcommand)]
pub(crate) enum Alert {
    /// Send a test message, and then that it is over, and say what came of it
    ///
    /// Exits 3 where a message did not arrive.
    Test {
        /// Only these [[alert]]s of the settings
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
}

/// Rehearse with a CA of our own
#[derive(Debug, Subcommand)]
pub(crate) enum Drill {
    Ca(DrillCa),
}

/// Serve an ACME CA for any client, until told to stop; nobody trusts it
///
/// It obeys the RFCs, and with --behaviour plays what else a CA may do to its clients: rate limits,
/// renewal at once, outages, answers that get lost.
///
/// Below the management URL, in JSON: GET roots, requests, orders/IDENTIFIER; POST renewal-info
/// {"certID", "window"}, pause and unpause {"identifiers"}, incident {"identifiers" or "serials",
/// "explanationURL"}.
#[derive(Args, Debug)]
#[command(after_long_help = behaviour_example())]
pub(crate) struct DrillCa {
    /// Where to listen (loopback only)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// Port http-01 validation connects to
    #[arg(long, value_name = "N", default_value_t = 80)]
    pub(crate) http_01_port: u16,
    /// Port tls-alpn-01 validation connects to
    #[arg(long, value_name = "N", default_value_t = 443)]
    pub(crate) tls_alpn_01_port: u16,
    /// Name server to ask, by TCP, for the records of dns-01, dns-account-01 and dns-persist-01
    ///
    /// A loopback address. It is to follow aliases and delegations itself, as a resolver does; without
    /// it these challenges are not offered, and wildcards are refused.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) dns_server: Option<SocketAddr>,
    /// Behave as this file says, not only as the RFCs ask; an example is below
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) behaviour: Option<PathBuf>,
}

/// Print man pages or shell completions
#[derive(Debug, Subcommand)]
pub(crate) enum Generate {
    /// The man page acmeagent(1), in roff, or that of one command
    Man {
        /// The command
        #[arg(value_name = "COMMAND")]
        verb: Option<String>,
    },
    /// Completions for a shell, to be sourced or put where it looks for them
    ///
    /// They ask this program for everything at each Tab: also for the certificates there are.
    Completions {
        #[arg(value_enum)]
        /// The shell
        shell: Shell,
    },
    /// Alert rules for Prometheus, in YAML
    Rules,
    /// A dashboard for Grafana, to be imported
    Dashboard,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Elvish,
    Fish,
    Zsh,
}

impl Shell {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Elvish => "elvish",
            Self::Fish => "fish",
            Self::Zsh => "zsh",
        }
    }
}
