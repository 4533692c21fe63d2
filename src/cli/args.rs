//! The command line, once: help, man page and completions all come from here.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "\
Exit codes:
   0 OK            what is wanted holds: renewed, or nothing due
   1 INTERNAL      a defect of acmeagent
   2 CONFIG        usage or configuration
   3 RETRY         failed for now; what is served is not at risk; the next attempt is stored
   4 PARTIAL       some certificates did, others did not
   5 NOT_DEPLOYED  issued, but not put to use
   6 ROLLED_BACK   the new one failed; the previous one is served again
   7 LOCKED        another run is doing all of this
   8 AT_RISK       failing, and little life is left
   9 SERVING_BAD   what is served is wrong and could not be mended
  10 STORE         the disk: full, read-only, damaged
  11 REFUSED       for security
`check` uses the codes of monitoring plugins: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.";

/// Keeps a valid certificate being served: issues, renews, checks and rolls back.
#[derive(Debug, Parser)]
#[command(name = "acmeagent", version, after_help = EXIT_CODES, propagate_version = false)]
#[command(max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags every verb takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Keep settings and store under one directory
    ///
    /// Default: settings in /etc/acmeagent and store in /var/lib/acmeagent for root, the XDG config
    /// and state directories otherwise.
    #[arg(long, global = true, value_name = "DIR", env = "ACMEAGENT_HOME")]
    pub(crate) home: Option<PathBuf>,
    /// Print one JSON document on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more: phases and their times
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Colour the messages
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
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
    Check(Check),
    Rollback(Rollback),
    #[command(subcommand)]
    Snapshot(Snapshot),
    Status(Names),
    Revoke(Revoke),
    Delete(Delete),
    Account(Account),
    #[command(subcommand)]
    Drill(Drill),
    #[command(subcommand)]
    Generate(Generate),
}

/// Order a certificate, put it to use and remember how, so that `renew` needs no flags
///
/// Run again with other flags, it changes the settings, and orders anew only when what is wanted
/// differs from what is held.
#[derive(Args, Debug)]
pub(crate) struct Issue {
    /// DNS name, wildcard or IP address to be certified (repeat, or separate by commas)
    #[arg(short = 'd', long = "domain", visible_alias = "domains", value_name = "NAME")]
    #[arg(required = true, value_delimiter = ',')]
    pub(crate) domains: Vec<String>,
    /// What to call the certificate (default: after its first name)
    #[arg(long, value_name = "NAME")]
    pub(crate) cert_name: Option<String>,
    #[command(flatten)]
    pub(crate) ca: CaFlags,
    #[command(flatten)]
    pub(crate) order: OrderFlags,
    #[command(flatten)]
    pub(crate) challenge: ChallengeFlags,
    #[command(flatten)]
    pub(crate) key: KeyFlags,
    #[command(flatten)]
    pub(crate) hooks: HookFlags,
    /// Rehearse everything against the CA's staging directory (or --server); keep and deploy nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Order even though a valid certificate is held
    #[arg(long, visible_alias = "force-renewal")]
    pub(crate) force: bool,
}

/// Which certificate authority, and how to be its customer.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Certificate authority")]
pub(crate) struct CaFlags {
    /// A CA by name: a built-in one, one of the settings' [[ca]], or `embedded` for trying out
    #[arg(long, value_name = "NAME")]
    pub(crate) ca: Option<String>,
    /// The CA's directory URL, or a name as for --ca
    #[arg(long, value_name = "URL|NAME", conflicts_with_all = ["ca", "staging"])]
    pub(crate) server: Option<String>,
    /// Use the CA's staging environment
    #[arg(long)]
    pub(crate) staging: bool,
    /// Trust this root (PEM), and no other, for the CA's own HTTPS
    #[arg(long, value_name = "PEM")]
    pub(crate) ca_root: Option<PathBuf>,
    /// Key identifier of an external account binding
    #[arg(long, value_name = "KID")]
    pub(crate) eab_kid: Option<String>,
    /// HMAC key of the binding, base64url (visible to others in the process list: prefer the file)
    #[arg(long, value_name = "KEY", requires = "eab_kid", conflicts_with = "eab_hmac_key_file")]
    pub(crate) eab_hmac_key: Option<String>,
    /// File with the HMAC key of the binding
    #[arg(long, value_name = "FILE", requires = "eab_kid")]
    pub(crate) eab_hmac_key_file: Option<PathBuf>,
    /// Contact address given to the CA
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
    /// Profile to ask for when the CA offers it
    #[arg(long, visible_alias = "preferred-profile", value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
    /// Profile without which nothing is ordered
    #[arg(long, value_name = "PROFILE", conflicts_with = "profile")]
    pub(crate) required_profile: Option<String>,
    /// Prefer the chain that has an issuer of this common name
    #[arg(long, value_name = "CN")]
    pub(crate) preferred_chain: Option<String>,
}

/// How control over the names is shown.
#[derive(Args, Debug)]
#[command(next_help_heading = "Challenge")]
pub(crate) struct ChallengeFlags {
    /// Challenge type: http-01 or tls-alpn-01 (default http-01; repeat in order of preference)
    #[arg(long, value_name = "TYPE", action = ArgAction::Append)]
    pub(crate) challenge: Vec<String>,
    /// Answer http-01 by files under this web root
    #[arg(short = 'w', long, value_name = "DIR", conflicts_with = "standalone")]
    pub(crate) webroot: Option<PathBuf>,
    /// Answer http-01 from a listener of our own (the default)
    #[arg(long)]
    pub(crate) standalone: bool,
    /// Address of our own listeners (default: all)
    #[arg(long, value_name = "IP")]
    pub(crate) http_01_address: Option<IpAddr>,
    /// Port of our http-01 listener (default 80)
    #[arg(long, value_name = "PORT")]
    pub(crate) http_01_port: Option<u16>,
    /// Port of our tls-alpn-01 listener (default 443)
    #[arg(long, value_name = "PORT")]
    pub(crate) tls_alpn_01_port: Option<u16>,
}

/// Which key the certificate gets.
#[derive(Args, Debug)]
#[command(next_help_heading = "Key")]
pub(crate) struct KeyFlags {
    /// p256, p384, rsa2048, rsa3072 or rsa4096 (default p256)
    #[arg(long, value_name = "TYPE")]
    pub(crate) key_type: Option<String>,
    /// Keep the key at renewals
    #[arg(long, conflicts_with = "new_key")]
    pub(crate) reuse_key: bool,
    /// Make a new key at each renewal (the default)
    #[arg(long)]
    pub(crate) new_key: bool,
}

/// What runs around a renewal. Programs with arguments, run without a shell.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Hooks")]
pub(crate) struct HookFlags {
    /// Run before an order (repeat)
    #[arg(long, value_name = "COMMAND", action = ArgAction::Append)]
    pub(crate) pre_hook: Vec<String>,
    /// Run to put a new certificate to use (repeat, in order); when it fails, the old one returns
    #[arg(long, value_name = "COMMAND", action = ArgAction::Append)]
    pub(crate) deploy_hook: Vec<String>,
    /// Run after the orders of a run, whatever came of them (repeat)
    #[arg(long, value_name = "COMMAND", action = ArgAction::Append)]
    pub(crate) post_hook: Vec<String>,
}

/// Renew what is due; what cron or a timer runs
#[derive(Args, Debug)]
pub(crate) struct Renew {
    /// Only these certificates
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Rehearse against the CA's staging directory; keep and deploy nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Renew although nothing is due
    #[arg(long)]
    pub(crate) force: bool,
    /// How many certificates to work on at once
    #[arg(long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
}

/// Say whether what is stored or served is consistent and fresh (exit codes of monitoring plugins)
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// Only these certificates
    #[arg(value_name = "NAME", conflicts_with_all = ["connect", "file"])]
    pub(crate) names: Vec<String>,
    /// Look at what this endpoint serves
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

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    Junit,
    Github,
    Prometheus,
}

/// Put an earlier generation of a certificate back in service, and keep it there
///
/// Unlike certbot's command of this name, which restores web-server configuration, this one
/// concerns the certificate itself.
#[derive(Args, Debug)]
pub(crate) struct Rollback {
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Go to this generation (default: the newest good one before the live one)
    #[arg(long, value_name = "N", conflicts_with = "snapshot")]
    pub(crate) to: Option<u32>,
    /// Go to the generation that was live in this snapshot
    #[arg(long, value_name = "ID")]
    pub(crate) snapshot: Option<String>,
    /// Show the generations and what became of them
    #[arg(long, conflicts_with_all = ["to", "snapshot", "unpin", "force"])]
    pub(crate) list: bool,
    /// Let the newest good generation go live again
    #[arg(long, conflicts_with_all = ["to", "snapshot"])]
    pub(crate) unpin: bool,
    /// Even if it has expired or was marked bad
    #[arg(long)]
    pub(crate) force: bool,
}

/// Keep, verify and restore copies of what is in service
#[derive(Debug, Subcommand)]
pub(crate) enum Snapshot {
    /// Take one now
    Create {
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Show them, newest last
    List,
    /// Compare every file with its recorded SHA-256
    Verify {
        #[arg(value_name = "ID")]
        id: Option<String>,
    },
    /// Link the files of a snapshot back, even if archive or live were lost
    Restore {
        #[arg(value_name = "ID")]
        id: String,
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Remove all but the newest
    Prune {
        /// How many to keep
        #[arg(long, value_name = "N", default_value_t = crate::store::snapshot::KEEP)]
        keep: usize,
    },
    /// Write one as a tar archive (it holds private keys)
    Export {
        #[arg(value_name = "ID")]
        id: String,
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Show every certificate: its names, its life, its next renewal and why
#[derive(Args, Debug)]
pub(crate) struct Names {
    /// Only these certificates
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// Tell the CA that a certificate is no longer to be trusted
#[derive(Args, Debug)]
pub(crate) struct Revoke {
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// unspecified, keyCompromise, affiliationChanged, superseded or cessationOfOperation
    #[arg(long, value_name = "REASON", default_value = "unspecified")]
    pub(crate) reason: String,
    /// Revoke this generation (default: the live one)
    #[arg(long, value_name = "N")]
    pub(crate) generation: Option<u32>,
}

/// Remove a certificate, its keys and its settings from this host (snapshots stay)
#[derive(Args, Debug)]
pub(crate) struct Delete {
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// Show or change the account at a CA
#[derive(Args, Debug)]
pub(crate) struct Account {
    #[arg(value_enum)]
    pub(crate) action: AccountAction,
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
}

/// Rehearse with an authority of our own
#[derive(Debug, Subcommand)]
pub(crate) enum Drill {
    Ca(DrillCa),
}

/// Serve the embedded ACME CA until told to stop, for any client
#[derive(Args, Debug)]
pub(crate) struct DrillCa {
    /// Where to listen (loopback only)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: std::net::SocketAddr,
    /// Port http-01 validation connects to
    #[arg(long, value_name = "N", default_value_t = 80)]
    pub(crate) http_01_port: u16,
    /// Port tls-alpn-01 validation connects to
    #[arg(long, value_name = "N", default_value_t = 443)]
    pub(crate) tls_alpn_01_port: u16,
}

/// Print the man page or shell completions
#[derive(Debug, Subcommand)]
pub(crate) enum Generate {
    /// The man page acmeagent(1), in roff
    Man,
    /// Completions for a shell
    Completions {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}
