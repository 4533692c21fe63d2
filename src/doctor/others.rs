//! Other clients for the same names: two who renew one name use up its limits and fight over the
//! server's files.

use std::collections::BTreeSet;
use std::path::Path;

use super::Patient;
use super::host::Host;
use super::jobs::Jobs;
use crate::agent::audit::Findings;
use crate::certificate::Chain;
use crate::deploy::files;
use crate::model::finding::{Finding, Severity};
use crate::model::name::Identifier;

/// A certificate another client looks after.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Foreign {
    client: &'static str,
    identifiers: BTreeSet<Identifier>,
    /// What makes the client let go of it.
    end: String,
}

/// Compares what certbot and acme.sh renew with what we do.
pub(super) fn examine(patients: &[Patient], host: &Host, jobs: &Jobs) -> Vec<Finding> {
    let foreign: Vec<Foreign> = certbot(host).into_iter().chain(acme_sh(host)).collect();
    let mut findings = Vec::new();
    for patient in patients {
        let mut about = Findings::about(patient.name.to_string());
        let ours: BTreeSet<_> = patient.settings.identifiers.iter().cloned().collect();
        for other in &foreign {
            judge(&ours, other, jobs.running(other.client), &mut about);
        }
        findings.extend(about.found);
    }
    findings
}

/// A client nobody runs does no harm, and may be the way back.
fn judge(
    ours: &BTreeSet<Identifier>,
    other: &Foreign,
    job: Option<String>,
    findings: &mut Findings,
) {
    let shared: Vec<String> =
        ours.intersection(&other.identifiers).map(ToString::to_string).collect();
    if shared.is_empty() {
        return;
    }
    let (client, shared) = (other.client, shared.join(", "));
    match job {
        Some(job) => {
            let text = format!("{client} renews {shared} as well, run by {job}");
            findings.add(Severity::Warning, "other_client", text);
            findings.hint(other.end.clone());
        }
        None => {
            let text = format!("{client} has {shared} as well, but nothing was seen to run it");
            findings.add(Severity::Ok, "other_client", text);
        }
    }
}

/// What certbot renews: one file for each lineage; the names stand in its certificate.
fn certbot(host: &Host) -> Vec<Foreign> {
    const RENEWAL: &str = "/etc/letsencrypt/renewal";
    let files = host.list(RENEWAL);
    files.iter().filter_map(|path| certbot_lineage(host, path)).collect()
}

fn certbot_lineage(host: &Host, path: &Path) -> Option<Foreign> {
    let name = path.file_name()?.to_str()?.strip_suffix(".conf")?;
    let text = files::text(path)?;
    let value = |key| values(&text).find(|(found, _)| *found == key).map(|(_, value)| value);
    if value("autorenew").is_some_and(|value| value.eq_ignore_ascii_case("false")) {
        return None;
    }
    let certificate = value("cert").and_then(|path| files::bytes(&host.at(path)));
    let chain = certificate.and_then(|pem| Chain::parse(&pem).ok());
    let by_name = || Identifier::parse(name).ok().into_iter().collect();
    let identifiers = chain.map_or_else(by_name, |chain| chain.identifiers());
    let end = format!("`autorenew = False` below [renewalparams] in {} stops it", path.display());
    Some(Foreign { client: "certbot", identifiers, end })
}

/// What acme.sh renews: one folder for each certificate, in the home of whoever runs it.
fn acme_sh(host: &Host) -> Vec<Foreign> {
    let homes = host.home.iter().map(|home| home.join(".acme.sh")).chain([host.at("/etc/acme.sh")]);
    let folders = homes.flat_map(|home| files::list(&home));
    folders.filter_map(|folder| acme_sh_folder(&folder)).collect()
}

fn acme_sh_folder(folder: &Path) -> Option<Foreign> {
    let name = folder.file_name()?.to_str()?;
    let (domain, flag) = match name.strip_suffix("_ecc") {
        Some(domain) => (domain, " --ecc"),
        None => (name, ""),
    };
    let text = files::text(&folder.join(format!("{domain}.conf")))?;
    let listed = values(&text).filter(|(key, _)| ["Le_Domain", "Le_Alt"].contains(key));
    let names = listed.flat_map(|(_, value)| value.trim_matches('\'').split(','));
    let identifiers = names.filter_map(|name| Identifier::parse(name.trim()).ok()).collect();
    let end = format!("`acme.sh --remove -d {domain}{flag}` stops it; the files stay");
    Some(Foreign { client: "acme.sh", identifiers, end })
}

/// The settings of a file of `key = value` lines.
fn values(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn names(names: &[&str]) -> BTreeSet<Identifier> {
        names.iter().map(|name| Identifier::parse(name).unwrap()).collect()
    }

    #[test]
    fn certbot_is_read() {
        let root = tempfile::tempdir().unwrap();
        let conf = "version = 5.0\ncert = /etc/letsencrypt/live/a/cert.pem\n[renewalparams]\naccount = 0\n";
        write(root.path(), "etc/letsencrypt/renewal/a.example.conf", conf);
        write(root.path(), "etc/letsencrypt/renewal/README", "x");
        let paused = format!("{conf}autorenew = False\n");
        write(root.path(), "etc/letsencrypt/renewal/b.example.conf", &paused);
        let host = Host::below(root.path());
        let found = certbot(&host);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].identifiers, names(&["a.example"]), "without its certificate");
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["x.example".into(), "y.example".into()]);
        let pem = params.unwrap().self_signed(&key).unwrap().pem();
        write(root.path(), "etc/letsencrypt/live/a/cert.pem", &pem);
        assert_eq!(certbot(&host)[0].identifiers, names(&["x.example", "y.example"]));
    }

    #[test]
    fn acme_sh_is_read() {
        let root = tempfile::tempdir().unwrap();
        let conf = "Le_Domain='a.example'\nLe_Alt='b.example,*.c.example'\nLe_Webroot='no'\n";
        write(root.path(), "root/.acme.sh/a.example_ecc/a.example.conf", conf);
        write(
            root.path(),
            "root/.acme.sh/d.example/d.example.conf",
            "Le_Domain='d.example'\nLe_Alt='no'\n",
        );
        write(root.path(), "root/.acme.sh/account.conf", "X='1'\n");
        let found = acme_sh(&Host::below(root.path()));
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].identifiers, names(&["a.example", "b.example", "*.c.example"]));
        assert!(found[0].end.contains("-d a.example --ecc"));
        assert!(found[1].identifiers.contains(&Identifier::parse("d.example").unwrap()));
    }

    #[test]
    fn only_shared_names_that_something_renews_are_wrong() {
        let other = Foreign {
            client: "certbot",
            identifiers: names(&["a.example", "b.example"]),
            end: String::new(),
        };
        let cron = || Some("cron".to_owned());
        let table = [
            (names(&["c.example"]), cron(), None),
            (names(&["a.example", "c.example"]), cron(), Some(Severity::Warning)),
            (names(&["a.example"]), None, Some(Severity::Ok)),
        ];
        for (ours, job, severity) in table {
            let mut findings = Findings::about("x");
            judge(&ours, &other, job, &mut findings);
            assert_eq!(findings.found.first().map(|found| found.severity), severity, "{ours:?}");
        }
    }
}
