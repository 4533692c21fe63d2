//! A deploy as an operator lives it: real servers, a good renewal, and everything that goes wrong.
//!
//! What is served is asked of `openssl s_client`, not of the agent's own probe.

mod copy;
mod haproxy;
mod hooked;
mod hooks;
mod many;
mod nginx;
mod seen;
mod served;
mod waves;

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::agent::{Agent, Ran};
use served::{Served, served};

const NAME: &str = "a.example";

/// A certificate of the embedded CA, and where it is served.
struct Site {
    agent: Agent,
}

impl Site {
    fn new() -> Self {
        Self { agent: Agent::embedded() }
    }

    /// The settings of the machine: its `[[target]]`s.
    fn targets(&self, text: &str) {
        fs::write(self.agent.path("acmeagent.toml"), text).unwrap();
    }

    /// The directives of nginx that name the live files.
    fn certificate(&self) -> String {
        let live = self.agent.path("live").join(NAME);
        let live = live.display();
        format!("ssl_certificate {live}/fullchain.pem; ssl_certificate_key {live}/privkey.pem;")
    }

    fn issue(&self, args: &[&str]) -> Ran {
        self.agent.run(&[&["issue", "-d", NAME], args].concat())
    }

    /// Which generation a client is shown; `None` where nobody answers.
    fn served(&self, address: &str) -> Option<Served> {
        served(&self.agent, NAME, address, NAME)
    }

    /// Asserts that every one of these addresses serves just this generation, its chain with it.
    #[track_caller]
    fn serves(&self, generation: usize, addresses: &[&str]) {
        for address in addresses {
            let expected = Some(Served { generation: Some(generation), certificates: 2 });
            assert_eq!(self.served(address), expected, "{address}");
        }
    }

    fn live(&self) -> u64 {
        let (_, document) = self.agent.json(&["status", NAME]);
        document["certificates"][0]["generation"].as_u64().unwrap()
    }

    /// Edits the settings of the certificate as an editor does: the index looks at the directory.
    fn edit(&self, change: impl Fn(String) -> String) {
        let path = self.agent.path(&format!("certificates/{NAME}.toml"));
        let edited = self.agent.path("edited.toml");
        fs::write(&edited, change(fs::read_to_string(&path).unwrap())).unwrap();
        fs::rename(edited, path).unwrap();
    }

    /// Lets all targets go in one step, which nobody watches.
    fn at_once(&self) {
        self.edit(|settings| settings + "\n[[rollout.wave]]\nsoak = \"0s\"\n");
    }

    fn facts(&self) -> Value {
        self.agent.facts(NAME)
    }
}

/// Asserts that a failure of a deploy says everything a person needs: what is served, until when, when it is
/// tried again, and what to do.
#[track_caller]
fn tells_all(ran: Ran, generation: u64) -> Ran {
    let live = format!("live: generation {generation}, valid until 20");
    let ran =
        ran.says(&["error: a.example: ", &live, "next: `acmeagent renew` tries again from 20"]);
    ran.says(&["hint: ", &format!("deploy: generation {} ", generation + 1)])
}

/// How long something took, told with what was to be seen.
fn timed<T>(what: &str, act: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let result = act();
    let took = begun.elapsed();
    println!("{what}: {} ms", took.as_millis());
    (result, took)
}
