//! Pairs that are refused, by the socket and at the start; what is served stays.

use std::fs;
use std::path::Path;

use acmeagent_reload::{BuildError, LiveCert};
use serde_json::json;

use crate::support::{Issued, Site, prepare_of, provider};

/// Each with a word of the reason it must be refused for.
fn bad_pairs(site: &Site) -> Vec<(&'static str, &'static str, Issued)> {
    let (good, other) = (site.ca.issue(&["site.example"]), site.ca.issue(&["site.example"]));
    let with_cert = |cert: &str| Issued { cert: cert.to_owned(), key: good.key.clone() };
    let with_key = |key: &str| Issued { cert: good.cert.clone(), key: key.to_owned() };
    let torn = &good.cert[..good.cert.len() / 2];
    let broken = format!("{}{torn}", good.cert);
    vec![
        ("other-key", "is not the key of", with_key(&other.key)),
        ("expired", "expired", site.ca.issue_for(&["site.example"], -9, -1)),
        ("early", "not valid before", site.ca.issue_for(&["site.example"], 1, 9)),
        ("empty-cert", "no chain", with_cert("")),
        ("empty-key", "no private key", with_key("")),
        ("torn", "no chain", with_cert(torn)),
        ("torn-chain", "no chain", with_cert(&broken)),
        ("garbage", "no chain", with_cert("\u{1b}]0;hello\u{7}\0")),
        (
            "no-certificate",
            "no chain",
            with_cert("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ),
        ("key-is-cert", "no private key", with_key(&good.cert)),
        ("cert-is-key", "no chain", with_cert(&good.key)),
        ("huge", "too long", with_cert(&"x".repeat(300 * 1024))),
        ("long-chain", "too long", with_cert(&good.cert.repeat(17))),
    ]
}

#[test]
fn a_bad_pair_is_refused_by_the_socket() {
    let site = Site::new();
    let mut agent = site.agent();
    for (folder, reason, issued) in bad_pairs(&site) {
        let folder = site.home.put(folder, &issued);
        let why = agent.refused(prepare_of("site", &folder));
        assert!(why.contains(reason), "{folder:?}: {why}");
        assert!(!why.contains('\u{1b}'));
    }
    let stats = site.live.stats("site").unwrap();
    assert_eq!(stats.certificates.len(), 1);
    assert_eq!(site.shown("site.example"), site.first.der());
}

#[test]
fn a_bad_pair_in_the_folder_leaves_the_old_one_in_service() {
    let site = Site::new();
    for (folder, _, issued) in bad_pairs(&site) {
        site.home.put("site", &issued);
        let refused = site.live.reload();
        assert_eq!(refused.len(), 1, "{folder}");
        assert_eq!(site.shown("site.example"), site.first.der(), "{folder}");
    }
    let next = site.ca.issue(&["site.example"]);
    site.home.put("site", &next);
    assert!(site.live.reload().is_empty());
    assert_eq!(site.shown("site.example"), next.der());
}

#[test]
fn a_folder_is_not_loaded_over_a_trial() {
    let site = Site::new();
    site.prepare("next", &site.ca.issue(&["site.example"]));
    site.home.put("site", &site.ca.issue(&["site.example"]));
    let refused = site.live.reload();
    assert_eq!(refused[0].1.to_string(), "another certificate is prepared for \"site\"");
    assert_eq!(site.shown("site.example"), site.first.der());
}

#[test]
fn what_is_no_file_holds_nobody_up() {
    let site = Site::new();
    let pipe = site.home.path("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut agent = site.agent();
    for (cert, reason) in [
        (pipe.as_path(), "no regular file"),
        (&site.home.path("site"), "no regular file"),
        (Path::new("/dev/zero"), "no regular file"),
        (&site.home.path("nowhere"), "cannot read"),
        (&site.home.path("socket"), "cannot read"),
    ] {
        let request = json!({ "v": 1, "op": "prepare", "name": "site", "cert": cert, "key": cert });
        let why = agent.refused(request);
        assert!(why.contains(reason), "{cert:?}: {why}");
    }
}

#[test]
fn a_server_does_not_begin_with_a_bad_pair() {
    let site = Site::new();
    let begin = || LiveCert::builder().provider(provider());
    for (folder, reason, issued) in bad_pairs(&site) {
        let folder = site.home.put(folder, &issued);
        let Err(BuildError::Pair { source, .. }) = begin().folder("site", &folder).build() else {
            panic!("{folder:?} was taken");
        };
        assert!(source.to_string().contains(reason), "{folder:?}: {source}");
    }
    let folder = site.home.path("next");
    fs::create_dir(&folder).unwrap();
    assert!(begin().folder("site", &folder).build().is_err());
    let folder = site.home.path("site");
    let twice = begin().folder("site", &folder).folder("site", &folder).build();
    assert!(matches!(twice, Err(BuildError::NameTwice(_))));
    let unknown = begin().folder("site", &folder).default_name("other").build();
    assert!(matches!(unknown, Err(BuildError::UnknownDefault(_))));
    assert!(matches!(begin().build(), Err(BuildError::Empty)));
}
