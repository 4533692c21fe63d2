//! Disks that are full, read-only or less able than others.

use std::fs;
use std::path::Path;

use nix::errno::Errno;

use crate::need;
use crate::support::ca::Ca;
use crate::support::changes::{Change, Fate, Watched, watch};
use crate::support::home::Home;
use crate::support::mount::Mount;

fn watch_renewal(home: &Home<'_>, fate: impl FnMut(&Change) -> Fate + Send) -> Watched {
    watch(&home.agent.command(&["renew", "--force"]), home.agent.home(), fate)
}

fn free(path: &Path) -> rustix::fs::StatVfs {
    rustix::fs::statvfs(path).unwrap()
}

#[test]
fn a_disk_without_room_is_told_before_anything_is_ordered() {
    need!("curl");
    let ca = Ca::start();
    let home = Home::new(&ca, 0);
    let tmpfs = ["-t", "tmpfs", "-o", "size=40k,mode=711", "tmpfs"];
    let Some(mount) = Mount::new(&tmpfs, home.agent.home()) else { return };
    let ran = home.agent.run(&home.issue()).exits(10);
    let state = home.agent.path("state");
    let need = format!("store full: need 64 KiB in {}, have ", state.display());
    let _ = ran.says(&[&need, "live: nothing", "make room in"]);
    assert_eq!(home.orders(), 0);

    mount.remount("size=4m");
    let _ = home.agent.run(&home.issue()).exits(0);
    assert_eq!((home.orders(), home.live_generation()), (1, Some(1)));
    home.assert_settled();

    let left = free(home.agent.home());
    let filler = home.agent.path("filler");
    let room = usize::try_from(left.f_bavail * left.f_frsize).unwrap();
    fs::write(&filler, vec![0; room - 16 * 1024]).unwrap();
    let ran = home.agent.run(&["renew", "--force"]).exits(10);
    let _ = ran.says(&[&need, "live: generation 1, valid until"]);
    assert_eq!((home.orders(), home.live_generation()), (1, Some(1)));

    fs::remove_file(filler).unwrap();
    let _ = home.agent.run(&["renew", "--force"]).exits(0);
    assert_eq!((home.orders(), home.live_generation()), (2, Some(2)));
    home.assert_settled();
}

#[test]
fn a_disk_without_inodes_is_told_before_anything_is_ordered() {
    need!("curl");
    let ca = Ca::start();
    let home = Home::new(&ca, 0);
    let tmpfs = ["-t", "tmpfs", "-o", "size=4m,nr_inodes=500,mode=711", "tmpfs"];
    let Some(mount) = Mount::new(&tmpfs, home.agent.home()) else { return };
    let _ = home.agent.run(&home.issue()).exits(0);
    let facts = free(home.agent.home());
    let used = facts.f_files - facts.f_ffree;
    for spare in [0, 1, 2, 5, 10] {
        mount.remount(&format!("nr_inodes={}", used + spare));
        let ran = home.agent.run(&["renew", "--force"]).exits(10);
        let _ = ran.says(&["inodes", "live: generation 1, valid until", "make room in"]);
        assert_eq!((home.orders(), home.live_generation()), (1, Some(1)), "{spare}");
    }
    mount.remount("nr_inodes=500");
    let _ = home.agent.run(&["renew", "--force"]).exits(0);
    assert_eq!((home.orders(), home.live_generation()), (2, Some(2)));
    home.assert_settled();
}

#[test]
fn a_read_only_store_is_told_before_the_ca_is_asked() {
    need!("curl");
    let ca = Ca::start();
    let home = Home::with_certificate(&ca, 0);
    // Whoever asked this CA would fail otherwise than by the disk.
    let settings = home.agent.path(&format!("certificates/{}.toml", home.name));
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, text.replace(&ca.directory, "https://127.0.0.1:1/directory")).unwrap();
    let path = home.agent.home().to_str().unwrap();
    let Some(mount) = Mount::new(&["--bind", path], home.agent.home()) else { return };
    mount.remount("bind,ro");
    let watched = watch_renewal(&home, |_| Fate::Passes);
    let _ = watched.ran.exits(10).says(&["(os error 30)", path, "do not restart servers"]);
    assert_eq!((home.orders(), home.live_generation()), (1, Some(1)));
    assert_eq!(watched.changes, 0, "nothing is tried that cannot be");
}

/// A failed sync tells nothing about what is on the disk: only new inodes can be trusted again.
#[test]
fn a_file_whose_sync_failed_is_written_anew_and_never_synced_again() {
    need!("curl");
    let ca = Ca::start();
    let home = Home::with_certificate(&ca, 0);
    let mut seen: Vec<String> = Vec::new();
    let mut failed = false;
    let watched = watch_renewal(&home, |change| {
        if change.path.starts_with("archive/") && change.path.contains("privkey.pem") {
            seen.push(change.call.to_owned());
            if change.call == "fsync" && !std::mem::replace(&mut failed, true) {
                return Fate::Fails(Errno::EIO);
            }
        }
        Fate::Passes
    });
    let _ = watched.ran.exits(0);
    let once = ["create", "write", "chmod", "fsync"];
    assert_eq!(seen, [&once[..], &["unlink"], &once].concat());
    assert_eq!((home.orders(), home.live_generation()), (2, Some(2)));
    home.assert_settled();
}

#[test]
fn a_generation_that_cannot_be_synced_is_never_live_and_its_order_not_lost() {
    need!("curl");
    let ca = Ca::start();
    let home = Home::with_certificate(&ca, 0);
    let mut syncs = 0;
    let watched = watch_renewal(&home, |change| {
        if change.call != "fsync" || !change.path.contains("privkey.pem") {
            return Fate::Passes;
        }
        syncs += 1;
        Fate::Fails(Errno::EIO)
    });
    let ran = watched.ran.exits(10);
    let _ = ran.says(&[
        "cannot sync",
        "privkey.pem",
        "(os error 5)",
        "live: generation 1, valid until",
    ]);
    assert_eq!((syncs, home.live_generation()), (2, Some(1)));
    assert!(!home.agent.path(&format!("archive/{}/0002", home.name)).exists());
    let _ = home.agent.run(&["renew", &home.name]).exits(0);
    assert_eq!((home.orders(), home.live_generation()), (2, Some(2)), "the order is taken up");
    home.assert_settled();
}

#[test]
fn a_crash_loop_after_the_order_costs_one_order() {
    need!("curl");
    let ca = Ca::start();
    let home = Home::new(&ca, 0);
    for _ in 0..10 {
        let watched = watch(&home.agent.command(&home.issue()), home.agent.home(), |change| {
            let archives = change.call == "mkdir" && change.path.contains("/.tmp-");
            if archives { Fate::Dies } else { Fate::Passes }
        });
        assert_eq!((watched.ran.code, home.orders()), (-1, 1));
    }
    let _ = home.agent.run(&home.issue()).exits(0).says(&["taking up the order"]);
    assert_eq!((home.orders(), home.live_generation()), (1, Some(1)));
    home.assert_settled();
}

#[test]
fn without_hard_links_there_are_copies_and_it_is_said_once() {
    need!("curl");
    for errno in [Errno::EPERM, Errno::EXDEV, Errno::EMLINK] {
        let ca = Ca::start();
        let home = Home::with_certificate(&ca, 0);
        let watched = watch_renewal(&home, |change| match change.call {
            "link" => Fate::Fails(errno),
            _ => Fate::Passes,
        });
        let ran = watched.ran.exits(0);
        assert_eq!(ran.stderr.matches("no hard links").count(), 1, "{ran:?}");
        assert_eq!((home.orders(), home.live_generation()), (2, Some(2)));
        home.assert_settled();
        for verb in [["snapshot", "verify"], ["check", &home.name]] {
            let _ = home.agent.run(&verb).exits(0);
        }
        let _ = home.agent.run(&["renew", "--force"]).exits(0);
        assert_eq!(home.live_generation(), Some(3));
    }
}

#[test]
fn without_an_exchange_of_directories_two_renames_do_and_it_is_said_once() {
    need!("curl");
    let ca = Ca::start();
    let home = Home::with_certificate(&ca, 0);
    let watched = watch_renewal(&home, |change| match change.call {
        "exchange" => Fate::Fails(Errno::EINVAL),
        _ => Fate::Passes,
    });
    let ran = watched.ran.exits(0);
    assert_eq!(ran.stderr.matches("cannot exchange directories").count(), 1, "{ran:?}");
    assert_eq!((home.orders(), home.live_generation()), (2, Some(2)));
    home.assert_settled();
}

#[test]
fn a_switch_in_two_renames_is_finished_or_undone_wherever_it_is_killed() {
    need!("curl");
    let ca = Ca::start();
    let home = Home::with_certificate(&ca, 0);
    let mut away = 0;
    for n in 1.. {
        let before = home.live_generation();
        let mut since = 0;
        let watched = watch_renewal(&home, |change| {
            if change.call == "exchange" {
                since = 1;
                return Fate::Fails(Errno::EINVAL);
            }
            since += usize::from(since > 0);
            if since > n { Fate::Dies } else { Fate::Passes }
        });
        if watched.ran.code == 0 {
            println!("killed {} times after the refused exchange", n - 1);
            assert!((10..100).contains(&n), "{n}");
            break;
        }
        let left = home.live_generation();
        away += usize::from(left.is_none());
        let _ = home.agent.run(&["renew"]).exits(0);
        assert!(home.live_generation() > before, "change {n} after the exchange: {watched:?}");
        home.assert_settled();
    }
    assert_eq!(away, 1, "live is away only between the two renames");
}
