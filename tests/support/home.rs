//! A home whose certificate is looked at closely after every fault.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{KeyPair, PublicKeyData};
use serde_json::Value;
use x509_parser::prelude::{FromDer, Pem, X509Certificate};

use super::agent::Agent;
use super::ca::Ca;

/// One agent and the address it certifies; every home has one of its own, so that they can share
/// a CA and work at once.
pub struct Home<'a> {
    ca: &'a Ca,
    pub agent: Agent,
    pub name: String,
}

impl<'a> Home<'a> {
    pub fn new(ca: &'a Ca, number: usize) -> Self {
        let name = format!("127.1.{}.{}", number / 200, number % 200 + 1);
        Self { ca, agent: ca.agent(), name }
    }

    /// With a first certificate, and an index that knows of it.
    pub fn with_certificate(ca: &'a Ca, number: usize) -> Self {
        let home = Self::new(ca, number);
        for args in [home.issue().as_slice(), &["renew"]] {
            let _ = home.agent.run(args).exits(0);
        }
        home
    }

    pub fn issue(&self) -> [&str; 5] {
        ["issue", "-d", &self.name, "--http-01-address", &self.name]
    }

    pub fn orders(&self) -> usize {
        self.ca.orders(&self.name)
    }

    fn live(&self) -> PathBuf {
        self.agent.path(&format!("live/{}", self.name))
    }

    /// The number of the generation that is live, once it is seen to be whole; `None` for none.
    pub fn live_generation(&self) -> Option<u64> {
        if !self.live().exists() {
            return None;
        }
        let read = |file: &str| fs::read(self.live().join(file)).unwrap();
        let chain: Vec<Pem> =
            Pem::iter_from_buffer(&read("fullchain.pem")).map(Result::unwrap).collect();
        assert_eq!(chain.len(), 2, "{}", self.name);
        let public = |pem: &Pem| {
            let (_, certificate) = X509Certificate::from_der(&pem.contents).unwrap();
            certificate.public_key().raw.to_vec()
        };
        let publics: Vec<_> = chain.iter().map(public).collect();
        let key = String::from_utf8(read("privkey.pem")).unwrap();
        let key = KeyPair::from_pem(&key).unwrap();
        assert_eq!(publics[0], key.subject_public_key_info(), "{}", self.name);
        let meta: Value = serde_json::from_slice(&read("meta.json")).unwrap();
        Some(find(&meta, "generation").and_then(Value::as_u64).unwrap())
    }

    /// Everything that only a run under way may leave lying about.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let locks = self.agent.path("locks");
        walk(self.agent.home(), &mut |path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let passing = name.starts_with('.') && path.parent() != Some(&locks);
            let pending = name.ends_with(".key") || name.ends_with(".room");
            if passing || pending || name.contains(".damaged") {
                found.push(path.to_owned());
            }
        });
        found
    }

    /// Asserts that the state file can be read and has nothing under way.
    pub fn assert_settled(&self) {
        let state = self.agent.read(&format!("state/{}.json", self.name));
        let state: Value = serde_json::from_str(&state).unwrap();
        for under_way in ["order", "intent"] {
            assert!(find(&state, under_way).is_none_or(Value::is_null), "{under_way} in {state}");
        }
        assert_eq!(self.leftovers(), Vec::<PathBuf>::new());
    }
}

fn walk(dir: &Path, look: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        look(&path);
        if path.is_dir() {
            walk(&path, look);
        }
    }
}

/// The first value of this key, however deep.
fn find<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    let inner: Vec<&Value> = match value {
        Value::Object(map) if map.contains_key(key) => return map.get(key),
        Value::Object(map) => map.values().collect(),
        Value::Array(list) => list.iter().collect(),
        _ => return None,
    };
    inner.into_iter().find_map(|value| find(value, key))
}
