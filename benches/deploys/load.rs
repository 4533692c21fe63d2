//! What clients notice when the certificate is exchanged again and again while they are at work.

use std::thread;
use std::time::{Duration, Instant};

use super::crowd::{Crowd, leaf_in};
use super::rollback::{archived, with_two_generations};
use super::server::{Kind, Server};
use super::{conditions, rounds, spread};
use crate::support::agent::Agent;
use crate::support::ca::Ca;

/// Clients that shake hands for every request.
const SHAKING: usize = 8;
/// Clients that keep their connection.
const KEEPING: usize = 4;

pub fn measure(kinds: &[Kind]) {
    println!(
        "\n(b) Exchanged under load: {SHAKING} clients with a full handshake for each request,"
    );
    println!("    {KEEPING} that keep their connections; {}", conditions());
    println!(
        "  {:<18}{:>6}{:>18}{:>8}{:>16}{:>6}{:>22}{:>24}",
        "",
        "n",
        "handshakes",
        "failed",
        "kept requests",
        "lost",
        "new one served after",
        "old one served until"
    );
    let ca = Ca::start();
    let agent = with_two_generations(&ca);
    for kind in kinds {
        let found = under_load(*kind, &agent, &ca);
        let per_second = found.handshakes as f64 / found.took.as_secs_f64();
        println!(
            "  {:<18}{:>6}{:>18}{:>8}{:>16}{:>6}{:>22}{:>24}",
            kind.version(),
            found.served.len(),
            format!("{} ({per_second:.0}/s)", found.handshakes),
            found.failures.len(),
            found.kept,
            found.lost,
            spread(&found.served),
            spread(&found.stale),
        );
        for failure in found.failures.iter().take(3) {
            println!("    {failure}");
        }
    }
    println!(
        "    times from the word to serve it; the old one: by connections begun after the word was answered"
    );
}

struct Found {
    took: Duration,
    handshakes: usize,
    failures: Vec<String>,
    kept: u64,
    lost: u64,
    /// From the word to the first handshake that shows the new certificate.
    served: Vec<Duration>,
    /// From the answer to the begin of the last connection that was shown the old one.
    stale: Vec<Duration>,
}

/// How often, and how long the server is left alone between two.
fn pace(kind: Kind) -> (usize, Duration) {
    match kind {
        // Old workers may serve for a while.
        Kind::Nginx => (100, Duration::from_millis(150)),
        Kind::Haproxy | Kind::Rustls => (1000, Duration::from_millis(10)),
    }
}

fn under_load(kind: Kind, agent: &Agent, ca: &Ca) -> Found {
    let (usual, pause) = pace(kind);
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("live");
    let pairs = [1, 2].map(|generation| archived(agent, generation));
    let leaves = [0, 1].map(|at: usize| leaf_in(&pairs[at].join("fullchain.pem")));
    std::os::unix::fs::symlink(&pairs[0], &live).unwrap();
    let server = Server::start(kind, &live);
    let roots = [ca.issuing_root.clone()];
    let crowd = Crowd::at(server.port, &roots, SHAKING, KEEPING);
    crowd.wait_for(leaves[0], Instant::now());

    let (mut handshakes, mut served, mut stale) = (0, Vec::new(), Vec::new());
    let began = Instant::now();
    for round in 1..=rounds(usual) {
        let next = round % 2;
        handshakes += crowd.sights().len();
        crowd.forget();
        server.prepare(&pairs[next]);
        let (asked, answered) = server.commit();
        crowd.wait_for(leaves[next], asked);
        thread::sleep(pause);
        let sights = crowd.sights();
        let new = sights.iter().filter(|one| one.leaf == leaves[next]);
        served.push(new.map(|one| one.ended).min().unwrap().duration_since(asked));
        let old = sights.iter().filter(|one| one.leaf != leaves[next] && one.begun > answered);
        let last = old.map(|one| one.begun).max();
        stale.push(last.map_or(Duration::ZERO, |begun| begun.duration_since(answered)));
    }
    let (took, (kept, lost)) = (began.elapsed(), crowd.kept_and_lost());
    Found { took, handshakes, failures: crowd.failures(), kept, lost, served, stale }
}
