//! Completions for shells. What a shell has is a stub that asks this program at each Tab, so that
//! it also knows which certificates there are.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::CommandFactory;
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::Shells;

use super::args::{Cli, Shell};
use crate::acme::Endpoint;
use crate::agent::certificates;
use crate::agent::home::{self, Surroundings};
use crate::config::choice::CaChoice;
use crate::model::challenge::ChallengeKind;
use crate::store::Store;
use crate::store::disk::Real;

/// Set by the stub, to the name of the shell.
const VARIABLE: &str = "COMPLETE";
const PROGRAM: &str = "acmeagent";

/// Answers a shell that asks; says whether one did.
pub(super) fn answered(args: &[OsString]) -> bool {
    let cwd = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(Cli::command).var(VARIABLE).bin(PROGRAM);
    // A shell has no use for an error in the middle of a line.
    asked.try_complete(args.to_owned(), cwd.as_deref()).unwrap_or(true)
}

/// Writes the stub for a shell.
pub(super) fn write_stub(shell: Shell, to: &mut dyn Write) -> std::io::Result<()> {
    let stub = Shells::builtins();
    let stub = stub.completer(shell.as_str()).expect("the library knows the shells we name");
    stub.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, to)
}

/// The certificates there are in the home the line so far is about.
pub(super) fn names() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let held = store().and_then(|store| certificates(&store).ok()).unwrap_or_default();
        held.into_iter().map(|name| CompletionCandidate::new(name.as_str())).collect()
    })
}

/// The built-in CAs.
pub(super) fn cas() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let names = Endpoint::builtin_names().chain([CaChoice::EMBEDDED]);
        names.map(CompletionCandidate::new).collect()
    })
}

/// The challenge types.
pub(super) fn challenges() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let kinds = ChallengeKind::ALL.into_iter().map(ChallengeKind::as_str);
        kinds.map(CompletionCandidate::new).collect()
    })
}

fn store() -> Option<Store> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let around = Surroundings::of_process().ok()?;
    let home = home_of(&words).or_else(|| std::env::var_os("ACMEAGENT_HOME").map(PathBuf::from));
    Some(Store::at(home::layout(home.as_deref(), &around)?, Arc::new(Real)))
}

/// The `--home` of a line that is being written.
fn home_of(words: &[OsString]) -> Option<PathBuf> {
    let of_word = |pair: &[OsString]| match pair {
        [flag, home] if flag == "--home" => Some(PathBuf::from(home)),
        [word, ..] => word.to_str()?.strip_prefix("--home=").map(|home| Path::new(home).to_owned()),
        [] => None,
    };
    words.windows(2).find_map(of_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_of_a_line_is_found() {
        let table: [(&[&str], Option<&str>); 5] = [
            (&["acmeagent", "--home", "/x", "renew", ""], Some("/x")),
            (&["acmeagent", "renew", "--home=/x", ""], Some("/x")),
            (&["acmeagent", "renew", "--home"], None),
            (&["acmeagent", "renew", ""], None),
            (&[], None),
        ];
        for (words, home) in table {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            assert_eq!(home_of(&words), home.map(PathBuf::from), "{words:?}");
        }
    }
}
