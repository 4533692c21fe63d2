//! Certificates that follow their folders.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};

use acmeagent_reload::LiveCert;

use crate::support::{Ca, Home, Issued, eventually, provider};

struct Watched {
    home: Home,
    ca: Ca,
    live: Arc<LiveCert>,
    said: Arc<Mutex<Vec<String>>>,
}

impl Watched {
    fn new(folder: impl FnOnce(&Home, &Issued) -> std::path::PathBuf) -> Self {
        let (home, ca) = (Home::new(), Ca::new());
        let folder = folder(&home, &ca.issue(&["site.example"]));
        let said = Arc::new(Mutex::new(Vec::new()));
        let hears = said.clone();
        let live = LiveCert::builder()
            .provider(provider())
            .folder("site", folder)
            .on_change(move |change| hears.lock().unwrap().push(format!("{change:?}")))
            .build()
            .unwrap();
        Self { home, ca, live, said }
    }

    fn next(&self) -> Issued {
        self.ca.issue(&["site.example"])
    }

    fn serves(&self, issued: &Issued) {
        let print = issued.fingerprint();
        eventually("the new certificate is served", || {
            self.live.stats("site").unwrap().certificates[0].fingerprint == print
        });
    }

    /// Exchanges the live folder as a whole, by renaming.
    fn exchange(&self, issued: &Issued) {
        self.home.put("fresh", issued);
        fs::rename(self.home.path("site"), self.home.path("stale")).unwrap();
        fs::rename(self.home.path("fresh"), self.home.path("site")).unwrap();
        fs::remove_dir_all(self.home.path("stale")).unwrap();
    }
}

#[test]
fn files_and_whole_folders_are_followed() {
    let watched = Watched::new(|home, first| home.put("site", first));
    let _watch = watched.live.watch().unwrap();
    let next = watched.next();
    watched.home.put("site", &next);
    watched.serves(&next);
    for _ in 0..3 {
        let next = watched.next();
        watched.exchange(&next);
        watched.serves(&next);
    }
    // The folder of the last exchange is the one that is followed now.
    let next = watched.next();
    watched.home.put("site", &next);
    watched.serves(&next);
}

#[test]
fn links_within_the_folder_are_followed() {
    let watched = Watched::new(|home, first| {
        home.put("archive-1", first);
        let live = home.path("site");
        fs::create_dir(&live).unwrap();
        for name in ["fullchain.pem", "privkey.pem"] {
            symlink(home.path("archive-1").join(name), live.join(name)).unwrap();
        }
        live
    });
    let _watch = watched.live.watch().unwrap();
    let next = watched.next();
    let archive = watched.home.put("archive-2", &next);
    for name in ["fullchain.pem", "privkey.pem"] {
        let (link, draft) = (watched.home.path("site").join(name), watched.home.path("draft"));
        symlink(archive.join(name), &draft).unwrap();
        fs::rename(draft, link).unwrap();
    }
    watched.serves(&next);
}

#[test]
fn what_is_refused_is_told_once_and_what_comes_after_is_served() {
    let watched = Watched::new(|home, first| home.put("site", first));
    let watch = watched.live.watch().unwrap();
    let said = || watched.said.lock().unwrap().clone();
    let before = watched.live.stats("site").unwrap().certificates[0].fingerprint.clone();
    watched.exchange(&Issued { key: watched.next().key, ..watched.next() });
    eventually("the refusal is told", || said().iter().any(|said| said.contains("Mismatch")));
    assert_eq!(watched.live.stats("site").unwrap().certificates[0].fingerprint, before);
    let next = watched.next();
    watched.exchange(&next);
    watched.serves(&next);
    drop(watch);
    let mismatches = said().iter().filter(|said| said.contains("Mismatch")).count();
    assert_eq!(mismatches, 1, "{:?}", said());
    assert!(said().last().unwrap().contains("InService"), "{:?}", said());
}

#[test]
fn a_dropped_watch_follows_no_more() {
    let watched = Watched::new(|home, first| home.put("site", first));
    drop(watched.live.watch().unwrap());
    watched.home.put("site", &watched.next());
    // A dropped watch has ended, so there is nothing to wait for; and another may follow it.
    assert!(watched.said.lock().unwrap().is_empty());
    let _watch = watched.live.watch().unwrap();
    let next = watched.next();
    watched.home.put("site", &next);
    watched.serves(&next);
}
