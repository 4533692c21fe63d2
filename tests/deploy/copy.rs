//! Copies of the files elsewhere, and back.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{NAME, Site, tells_all};
use crate::support::script;

/// Every file of a folder, with its content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect()
}

#[test]
fn copies_are_those_of_what_is_live_whatever_happens() {
    let (site, folder) = (Site::new(), tempfile::tempdir().unwrap());
    let (dir, hook) = (folder.path().join("copies"), site.agent.path("hook"));
    fs::create_dir(&dir).unwrap();
    script(&hook, "");
    let [copy, told] = [format!("copy:{}", dir.display()), format!("hook:{}", hook.display())];
    let _ = site.issue(&["--target", &copy, "--target", &told]).exits(0);
    site.at_once();
    let live = || fs::read(site.agent.path(&format!("live/{NAME}/fullchain.pem"))).unwrap();
    let first = files(&dir);
    assert_eq!(first["fullchain.pem"], live());

    script(&hook, "[ \"$ACMEAGENT_GENERATION\" != 2 ]");
    let ran = site.agent.run(&["renew", "--force"]).exits(6);
    let _ = tells_all(ran, 1).says(&["hook ended with exit code 1"]);
    assert_eq!(files(&dir), first, "the same again, and nothing besides");

    script(&hook, "");
    let away = folder.path().join("away");
    fs::rename(&dir, &away).unwrap();
    let ran = site.agent.run(&["renew", NAME]).exits(5);
    let _ = tells_all(ran, 1).says(&[dir.to_str().unwrap()]);
    fs::rename(&away, &dir).unwrap();
    let _ = site.agent.run(&["renew", NAME]).exits(0);
    assert_eq!(
        (files(&dir)["fullchain.pem"].clone(), site.live(), site.agent.issued()),
        (live(), 2, 2)
    );
}
