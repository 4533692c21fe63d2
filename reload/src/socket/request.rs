//! A line and its answer.

use std::path::PathBuf;
use std::process;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::live::LiveCert;
use crate::pair::{Files, Pair};
use crate::table::{ChangeError, Entry, Table};

const VERSION: u64 = 1;
/// What of a request an error may repeat, in characters.
const ERROR_LIMIT: usize = 500;

#[derive(Deserialize)]
struct Version {
    v: u64,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Request {
    Hello { name: Option<String> },
    Prepare { name: String, cert: PathBuf, key: PathBuf },
    Canary { name: String, percent: u64 },
    Commit { name: String, fingerprint: Option<String> },
    Rollback { name: String },
    Stats { name: String },
    Challenge { name: String, cert: PathBuf, key: PathBuf },
    Clear { name: Option<String> },
}

/// Answers one line with one line, whatever it holds.
pub(super) fn answer(live: &LiveCert, server: &str, line: &[u8]) -> Vec<u8> {
    let answer = understand(line)
        .and_then(|request| request.obey(live, server).map_err(|error| refusal(&error)));
    match answer {
        Ok(fields) => line_of(true, fields),
        Err(error) => refused(&error),
    }
}

/// The line that refuses a request.
pub(super) fn refused(error: &str) -> Vec<u8> {
    let error = error.chars().take(ERROR_LIMIT).collect::<String>();
    line_of(false, json!({ "error": error }))
}

fn line_of(ok: bool, mut answer: Value) -> Vec<u8> {
    answer["v"] = VERSION.into();
    answer["ok"] = ok.into();
    let mut line = serde_json::to_vec(&answer).expect("a JSON value can be written");
    line.push(b'\n');
    line
}

fn understand(line: &[u8]) -> Result<Request, String> {
    let not_understood = |error| format!("not understood: {error}");
    let version = serde_json::from_slice::<Version>(line).map_err(not_understood)?;
    if version.v != VERSION {
        return Err(format!("version {} is not spoken here, only {VERSION}", version.v));
    }
    serde_json::from_slice(line).map_err(not_understood)
}

/// The error with its causes, as one sentence.
fn refusal(error: &ChangeError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

impl Request {
    fn obey(self, live: &LiveCert, server: &str) -> Result<Value, ChangeError> {
        match self {
            Self::Hello { name } => hello(live, server, name.as_deref()),
            Self::Prepare { name, cert, key } => {
                let prepared = live.prepare(&name, &Files { cert, key })?;
                let state = if prepared.is_active { "active" } else { "prepared" };
                let mut fields = pair(&prepared.pair);
                fields["name"] = name.into();
                fields["state"] = state.into();
                fields["names"] = prepared.pair.names().into();
                Ok(fields)
            }
            Self::Canary { name, percent } => {
                let entry = live.canary(&name, percent)?;
                let canary = entry.prepared()?;
                let fingerprint = canary.pair.fingerprint().to_string();
                Ok(json!({ "name": name, "fingerprint": fingerprint, "percent": canary.percent }))
            }
            Self::Commit { name, fingerprint } => {
                let entry = live.commit(&name, fingerprint.as_deref())?;
                let previous = entry.previous().map(|pair| pair.fingerprint().to_string());
                let fingerprint = entry.active.fingerprint().to_string();
                Ok(json!({ "name": name, "fingerprint": fingerprint, "previous": previous }))
            }
            Self::Rollback { name } => {
                let fingerprint = live.rollback(&name)?.active.fingerprint().to_string();
                Ok(json!({ "name": name, "fingerprint": fingerprint }))
            }
            Self::Stats { name } => {
                let stats = live.stats(&name);
                let stats = stats.ok_or_else(|| ChangeError::UnknownName(name.clone()))?;
                let (observed, certificates) = (stats.observed, stats.certificates);
                Ok(json!({ "name": name, "observed": observed, "certificates": certificates }))
            }
            Self::Challenge { name, cert, key } => {
                live.challenge(&name, &Files { cert, key })?;
                Ok(json!({ "name": name }))
            }
            Self::Clear { name } => Ok(json!({ "cleared": live.clear(name.as_deref()) })),
        }
    }
}

fn hello(live: &LiveCert, server: &str, name: Option<&str>) -> Result<Value, ChangeError> {
    let table = live.table();
    let certificates = match name {
        Some(name) => vec![certificate(&table, &table.entries[table.place_of(name)?])],
        None => table.entries.iter().map(|entry| certificate(&table, entry)).collect(),
    };
    let (pid, observed) = (process::id(), live.is_observed());
    Ok(json!({ "server": server, "pid": pid, "observed": observed, "certificates": certificates }))
}

fn certificate(table: &Table, entry: &Entry) -> Value {
    let prepared = entry.prepared().ok().map(|canary| {
        let mut fields = pair(&canary.pair);
        fields["percent"] = canary.percent.into();
        fields
    });
    let mut fields = pair(&entry.active);
    fields["name"] = entry.name.as_str().into();
    fields["names"] = entry.active.names().into();
    fields["default"] = table.is_default(entry).into();
    fields["prepared"] = prepared.into();
    fields["previous"] = entry.previous().map(pair).into();
    fields
}

fn pair(pair: &Pair) -> Value {
    json!({ "fingerprint": pair.fingerprint().to_string(), "not_after": pair.not_after() })
}
