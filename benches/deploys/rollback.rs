//! How long it takes until clients see the old certificate again.
//!
//! By hand: from the start of `acmeagent rollback`. By itself: from the decision, which is when
//! `renew -v` says that what it saw when it verified has taken so long; what made it decide is that
//! the new certificate is from a CA that the system does not trust.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use std::{fs, iter};

use super::crowd::{Crowd, Leaf, Sight, leaf_in};
use super::server::{Kind, NAME, Server};
use super::{conditions, rounds, spread};
use crate::support::Running;
use crate::support::agent::Agent;
use crate::support::ca::Ca;

const ROUNDS: usize = 100;

pub fn measure(kinds: &[Kind]) {
    let rounds = rounds(ROUNDS);
    println!(
        "\n(a) Rollback: when a client sees the old certificate again, and from then on only it"
    );
    println!("    median (worst) of {rounds}; one client without a pause; {}", conditions());
    println!(
        "  {:<18}{:>20}{:>24}{:>24}  failed",
        "", "from the decision", "the agent has seen it", "from `rollback`'s start"
    );
    let trusted = Ca::start();
    let other = Ca::looking_at(trusted.http_port, trusted.tls_port);
    for kind in kinds {
        let trial = Trial::new(*kind, &trusted, &other);
        let by_hand: Vec<Duration> =
            (0..rounds).map(|round| trial.roll_back(1 + round as u32 % 2)).collect();
        trial.turn_to(&other);
        let alone = (0..rounds).map(|_| trial.fail(&trusted.issuing_root));
        let (back, seen): (Vec<Duration>, Vec<Duration>) = alone.unzip();
        let failures = trial.crowd.failures();
        println!(
            "  {:<18}{:>20}{:>24}{:>24}{:>8}",
            kind.version(),
            spread(&back),
            spread(&seen),
            spread(&by_hand),
            failures.len()
        );
        for failure in failures.iter().take(3) {
            println!("    {failure}");
        }
    }
}

/// Two generations of one certificate, the server that serves it, and a client.
struct Trial {
    agent: Agent,
    settings: PathBuf,
    trusted: (String, PathBuf),
    crowd: Crowd,
    server: Server,
}

impl Trial {
    fn new(kind: Kind, trusted: &Ca, other: &Ca) -> Self {
        let agent = with_two_generations(trusted);
        let server = Server::start(kind, &agent.path("live").join(NAME));
        fs::write(agent.path("acmeagent.toml"), server.target()).unwrap();
        let settings = agent.path("certificates").join(format!("{NAME}.toml"));
        let text = fs::read_to_string(&settings).unwrap();
        let wave = "[[rollout.wave]]\nsoak = \"0s\"\n";
        fs::write(&settings, format!("targets = [\"web\"]\n{text}\n{wave}")).unwrap();
        let roots = [&trusted.issuing_root, &other.issuing_root].map(Clone::clone);
        let crowd = Crowd::at(server.port, &roots, 1, 0);
        let trusted = (trusted.directory.clone(), trusted.tls_root.clone());
        Self { agent, settings, trusted, crowd, server }
    }

    fn leaf(&self, generation: u32) -> Leaf {
        leaf_in(&archived(&self.agent, generation).join("fullchain.pem"))
    }

    /// An operator has enough. Returns the time from the start of the program.
    fn roll_back(&self, generation: u32) -> Duration {
        let to = generation.to_string();
        self.crowd.forget();
        let began = Instant::now();
        let _ = self.agent.run(&["rollback", NAME, "--to", &to]).exits(0);
        self.only_since(self.leaf(generation), began)
    }

    /// Lets all further certificates come from that CA; the newest so far is live.
    fn turn_to(&self, other: &Ca) {
        self.roll_back(2);
        let text = fs::read_to_string(&self.settings).unwrap();
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let text = text.replace(&self.trusted.0, &other.directory);
        let text = text.replace(&path(&self.trusted.1), &path(&other.tls_root));
        fs::write(&self.settings, text).unwrap();
        let root = path(&other.tls_root);
        let at = ["--server", other.directory.as_str(), "--ca-root", root.as_str()];
        let _ =
            self.agent.run(&[&["account", "register", "--agree-tos"], &at[..]].concat()).exits(0);
    }

    /// A renewal that ends where it began. Returns the time from the decision, and how long the
    /// agent took until it had seen the old certificate itself.
    fn fail(&self, system_roots: &Path) -> (Duration, Duration) {
        self.crowd.forget();
        let mut command = self.agent.command(&["renew", NAME, "--force", "-v"]);
        command.env("SSL_CERT_FILE", system_roots).env("SSL_CERT_DIR", "/nonexistent");
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut renew = Running(command.spawn().unwrap());
        let mut said = BufReader::new(renew.0.stderr.take().unwrap());
        let lines = iter::from_fn(|| {
            let mut line = String::new();
            let count = said.read_line(&mut line).unwrap();
            (count > 0).then(|| (line, Instant::now()))
        });
        let lines: Vec<(String, Instant)> = lines.collect();
        let end_of = |phase: &str| {
            let found = lines.iter().find(|(line, _)| line.contains(&format!(": {phase} took ")));
            found.unwrap_or_else(|| panic!("there was no {phase}: {lines:#?}")).1
        };
        let (decided, seen) = (end_of("verify"), end_of("roll_back"));
        (self.only_since(self.leaf(2), decided), seen.duration_since(decided))
    }

    /// The time from `since` to the end of the first handshake from which on all show that one.
    fn only_since(&self, leaf: Leaf, since: Instant) -> Duration {
        self.crowd.wait_for(leaf, Instant::now());
        let sights: Vec<Sight> = self.crowd.sights().clone();
        let after_others = sights.iter().rposition(|one| one.leaf != leaf).map_or(0, |at| at + 1);
        let first = sights[after_others..].iter().find(|one| one.ended >= since);
        let first = first.expect("it was waited for");
        first.ended.duration_since(since)
    }
}

/// An agent with a certificate that it has renewed once.
pub fn with_two_generations(ca: &Ca) -> Agent {
    let agent = ca.agent();
    let _ = agent.run(&["issue", "-d", NAME]).exits(0);
    let _ = agent.run(&["renew", "--force"]).exits(0);
    agent
}

/// The folder of a generation.
pub fn archived(agent: &Agent, generation: u32) -> PathBuf {
    agent.path("archive").join(NAME).join(format!("{generation:04}"))
}
