//! The power goes after any sync: a copy of the disk as it is at that moment is mounted, and holds
//! the old certificate or the new one, whole.
//!
//! The agent stands still while its disk is copied, so every copy is what a cut there would leave:
//! what was synced, and nothing that was only written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::need;
use crate::support::ca::Ca;
use crate::support::changes::{Fate, watch};
use crate::support::home::Home;
use crate::support::mount::Mount;

struct FileSystem {
    make: &'static [&'static str],
    /// The smallest image it can be made in.
    size: u64,
    mount: &'static str,
}

fn copy(image: &Path, to: &Path) {
    let mut cp = Command::new("cp");
    assert!(cp.arg("--sparse=always").args([image, to]).status().unwrap().success());
}

/// Runs a command and keeps a copy of the disk after every sync.
fn cut_after_every_sync(home: &Home<'_>, args: &[&str], image: &Path) -> Vec<PathBuf> {
    let mut copies = Vec::new();
    let mut keep = || {
        let to = image.with_extension(copies.len().to_string());
        copy(image, &to);
        copies.push(to);
    };
    let mut synced = false;
    let watched = watch(&home.agent.command(args), home.agent.home(), |change| {
        if std::mem::replace(&mut synced, change.call == "fsync") {
            keep();
        }
        Fate::Passes
    });
    let _ = watched.ran.exits(0);
    keep();
    copies
}

/// Mounts a copy and looks at it, then lets the next run work on it.
fn look_at(home: &Home<'_>, copy: &Path, options: &str, old: Option<u64>, next: &[&str]) {
    let at = copy.display();
    let mount = ["-o", options, copy.to_str().unwrap()];
    let _mount = Mount::new(&mount, home.agent.home()).expect("it could be mounted before");
    let (live, orders) = (home.live_generation(), home.orders());
    let new = old.map_or(1, |old| old + 1);
    assert!(live == old || live == Some(new), "{at}: {live:?} is neither {old:?} nor {new}");
    let ran = home.agent.run(next);
    assert_eq!(ran.code, 0, "{at}: {ran:#?}");
    let after = home.live_generation();
    assert!(after.is_some() && after >= live, "{at}: {after:?}");
    assert!(home.orders() - orders <= 1, "{at}");
    home.assert_settled();
}

fn power_cuts(file_system: &FileSystem) {
    need!("curl", "losetup", file_system.make[0]);
    let ca = Ca::start();
    let home = Home::new(&ca, 0);
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("disk");
    fs::File::create(&image).unwrap().set_len(file_system.size << 20).unwrap();
    let mut make = Command::new(file_system.make[0]);
    let made = make.args(&file_system.make[1..]).arg(&image).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let mut cuts = 0;
    let mut old = None;
    for (args, next) in [
        (home.issue().to_vec(), home.issue().to_vec()),
        (vec!["renew", "--force"], vec!["renew", &home.name]),
    ] {
        let mount = ["-o", file_system.mount, image.to_str().unwrap()];
        let Some(mounted) = Mount::new(&mount, home.agent.home()) else { return };
        let copies = cut_after_every_sync(&home, &args, &image);
        drop(mounted);
        cuts += copies.len();
        for copy in copies {
            look_at(&home, &copy, file_system.mount, old, &next);
            fs::remove_file(copy).unwrap();
        }
        old = Some(1);
    }
    println!("{}: {cuts} cuts", file_system.make[0]);
    assert!(cuts > 60, "{cuts}");
}

#[test]
fn ext4_is_cut_after_every_sync() {
    let make = &["mkfs.ext4", "-q", "-F", "-J", "size=4"];
    power_cuts(&FileSystem { make, size: 64, mount: "loop" });
}

#[test]
fn xfs_is_cut_after_every_sync() {
    power_cuts(&FileSystem { make: &["mkfs.xfs", "-q", "-f"], size: 320, mount: "loop,nouuid" });
}

#[test]
fn btrfs_is_cut_after_every_sync() {
    power_cuts(&FileSystem { make: &["mkfs.btrfs", "-q", "-f"], size: 160, mount: "loop" });
}
