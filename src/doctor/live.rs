//! The files servers read: are they what the store put there?

use std::path::PathBuf;

use super::{Patient, in_full};
use crate::agent::audit::Findings;
use crate::certificate::wrong_way_round;
use crate::deploy::files;
use crate::model::file;
use crate::model::finding::{Finding, Severity};
use crate::model::name::CertName;
use crate::store::{Store, StoreError};

/// Looks at the live directory of each.
pub(super) fn glance(store: &Store, patients: &[Patient]) -> Vec<Finding> {
    patients.iter().flat_map(|patient| look(store, &patient.name)).collect()
}

fn look(store: &Store, name: &CertName) -> Vec<Finding> {
    let mut findings = Findings::about(name.to_string());
    match store.live(name) {
        Ok(None) => {}
        Ok(Some(_)) => judge_links(&store.unlinked(name).unwrap_or_default(), &mut findings),
        Err(error @ StoreError::Refused { .. }) => {
            let StoreError::Refused { mend, .. } = &error else { return Vec::new() };
            findings.add(Severity::Critical, "live", error.to_string());
            findings.hint(mend.clone());
        }
        Err(_) if is_swapped(store, name) => {
            let dir = store.layout().live(name);
            let (chain, key) = (file::FULLCHAIN, file::PRIVKEY);
            let text =
                format!("in {} {chain} holds the key and {key} the certificate", dir.display());
            findings.add(Severity::Critical, "live", text);
            findings.hint(format!("`acmeagent renew {name}` puts them back"));
        }
        Err(error) => {
            findings.add(Severity::Critical, "live", in_full(&error));
            findings.hint(format!("`acmeagent renew {name}` mends it"));
        }
    }
    findings.found
}

fn is_swapped(store: &Store, name: &CertName) -> bool {
    let dir = store.layout().live(name);
    let read = |file| files::bytes(&dir.join(file)).map(zeroize::Zeroizing::new);
    match (read(file::FULLCHAIN), read(file::PRIVKEY)) {
        (Some(chain), Some(key)) => wrong_way_round(&chain, &key),
        _ => false,
    }
}

/// Whole files that are no links are copies: harmless until somebody copies again. Where none is
/// a link the file system has none.
fn judge_links(unlinked: &[PathBuf], findings: &mut Findings) {
    let names = unlinked.iter().filter_map(|path| path.file_name()?.to_str());
    let names: Vec<&str> = names.collect();
    if names.is_empty() || names.len() == file::ALL.len() {
        return findings.add(Severity::Ok, "live", "the live files are those of the archive");
    }
    let text = format!("{} in live was copied there by hand", names.join(", "));
    findings.add(Severity::Warning, "live", text);
    findings.hint("let servers read live itself; a renewal replaces what is copied into it");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_copies_are_odd_and_all_are_a_file_system_without_links() {
        let paths = |count: usize| -> Vec<PathBuf> {
            file::ALL.iter().take(count).map(|name| PathBuf::from("/live/a").join(name)).collect()
        };
        for (count, severity) in [(0, Severity::Ok), (1, Severity::Warning), (5, Severity::Ok)] {
            let mut findings = Findings::about("a");
            judge_links(&paths(count), &mut findings);
            assert_eq!(findings.found[0].severity, severity, "{count}");
        }
    }
}
