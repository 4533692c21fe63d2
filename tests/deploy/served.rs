//! What a client is shown, by `openssl s_client`.

use std::fs;
use std::process::{Command, Stdio};

use crate::support::agent::Agent;

/// The certificates a server sends.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Served {
    /// The generation whose leaf it is; `None` for a stranger's.
    pub(super) generation: Option<usize>,
    pub(super) certificates: usize,
}

/// What is served there to a client that asks for `sni`; `None` where no handshake succeeds.
pub(super) fn served(agent: &Agent, name: &str, address: &str, sni: &str) -> Option<Served> {
    let chain = chain(address, sni)?;
    let is_leaf = |generation: &usize| {
        let path = agent.path(&format!("archive/{name}/{generation:04}/cert.pem"));
        fs::read_to_string(path).is_ok_and(|pem| pem.trim() == chain[0].trim())
    };
    let generation = (1..=agent.generations(name)).find(is_leaf);
    Some(Served { generation, certificates: chain.len() })
}

/// The certificates sent, the leaf first.
pub(super) fn chain(address: &str, sni: &str) -> Option<Vec<String>> {
    const END: &str = "-----END CERTIFICATE-----";
    let mut client = Command::new("timeout");
    client.args(["10", "openssl", "s_client", "-showcerts", "-servername", sni]);
    let answer = client.args(["-connect", address]).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&answer.stdout);
    let chain: Vec<String> = text
        .match_indices("-----BEGIN CERTIFICATE-----")
        .map(|(at, _)| text[at..].split_inclusive(END).next().unwrap().to_owned())
        .collect();
    (!chain.is_empty()).then_some(chain)
}
