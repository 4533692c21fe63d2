//! The socket's file: whose it is, and who may knock.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use acmeagent_reload::WatchError;
use acmeagent_reload::socket::{SocketError, SocketSettings};
use serde_json::json;

use crate::support::{Agent, Site, live};

#[test]
fn the_file_comes_with_its_mode_and_goes_with_the_server() {
    let mut site = Site::new();
    let path = site.home.path("socket");
    let metadata = fs::symlink_metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o660);
    site.socket.take();
    assert!(!path.exists());
    assert_eq!(names_in(path.parent().unwrap()), ["site"]);
}

#[test]
fn a_client_of_a_closed_socket_gets_no_word_in() {
    let mut site = Site::new();
    let mut agent = site.agent();
    agent.get(json!({ "v": 1, "op": "hello" }));
    site.socket.take();
    agent.send(b"{\"v\":1,\"op\":\"hello\"}\n");
    assert!(agent.answer().is_none());
}

#[test]
fn the_dead_are_replaced_and_the_living_are_not() {
    let mut site = Site::new();
    let path = site.home.path("socket");
    let other = live(&[("site", &site.home.path("site"))]);
    let open = || other.listen(SocketSettings::at(&path));
    assert!(matches!(open(), Err(SocketError::InUse { .. })));
    site.agent().get(json!({ "v": 1, "op": "hello" }));
    site.socket.take();

    // A listener that dies leaves its file behind.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let socket = open().unwrap();
    Agent::at(&path).get(json!({ "v": 1, "op": "hello" }));
    drop(socket);

    // One that lives but answers nobody is still alive.
    let silent = UnixListener::bind(&path).unwrap();
    assert!(matches!(open(), Err(SocketError::InUse { .. })));
    drop(silent);
    fs::remove_file(&path).unwrap();

    fs::write(&path, "precious").unwrap();
    assert!(matches!(open(), Err(SocketError::Open { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    assert!(other.listen(SocketSettings::at(site.home.path("no/such/socket"))).is_err());
}

#[test]
fn a_file_that_took_the_place_is_left_alone() {
    let mut site = Site::new();
    let path = site.home.path("socket");
    fs::remove_file(&path).unwrap();
    fs::write(&path, "somebody else's").unwrap();
    site.socket.take();
    assert!(path.exists());
}

#[test]
fn of_many_that_find_a_dead_one_one_gets_the_place() {
    for _ in 0..20 {
        let mut site = Site::new();
        site.socket.take();
        let path = site.home.path("socket");
        drop(UnixListener::bind(&path).unwrap());
        let folder = site.home.path("site");
        let servers = (0..4).map(|_| live(&[("site", &folder)])).collect::<Vec<_>>();
        let opened = std::thread::scope(|scope| {
            let open = |server| {
                let path = &path;
                scope.spawn(move || {
                    acmeagent_reload::LiveCert::listen(server, SocketSettings::at(path)).ok()
                })
            };
            let opening = servers.iter().map(open).collect::<Vec<_>>();
            opening.into_iter().filter_map(|one| one.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(opened.len(), 1);
        Agent::at(&path).get(json!({ "v": 1, "op": "hello" }));
    }
}

#[test]
fn a_server_follows_one_master() {
    let mut site = Site::new();
    assert!(matches!(site.live.watch(), Err(WatchError::HasMaster)));
    let second = SocketSettings::at(site.home.path("second"));
    assert!(matches!(site.live.listen(second.clone()), Err(SocketError::HasMaster)));
    site.socket.take();
    let watch = site.live.watch().unwrap();
    assert!(matches!(site.live.listen(second.clone()), Err(SocketError::HasMaster)));
    drop(watch);
    drop(site.live.listen(second).unwrap());
}

/// Knocks as the user the environment of [`strangers_are_not_admitted`] says; otherwise nothing.
#[test]
fn knocker() {
    let Some(path) = std::env::var_os("KNOCK_AT") else { return };
    let answer = Agent::at(&PathBuf::from(path)).ask(json!({ "v": 1, "op": "hello" }));
    let expected = std::env::var("EXPECT_OK").unwrap() == "true";
    assert_eq!(answer["ok"], expected, "{answer}");
    if !expected {
        assert_eq!(answer["error"], "uid 65534 is not admitted");
    }
}

#[test]
fn strangers_are_not_admitted() {
    assert!(nix::unistd::geteuid().is_root(), "needs root, to knock as somebody else");
    const NOBODY: u32 = 65534;
    let knock = |path: &Path, ok: bool| {
        // The mode alone would keep them out; here it is the uid that must.
        fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
        fs::set_permissions(path.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
        let mut knocker = Command::new(std::env::current_exe().unwrap());
        knocker.args(["--exact", "place::knocker"]).env("KNOCK_AT", path);
        let knocker = knocker.env("EXPECT_OK", ok.to_string()).uid(NOBODY).output().unwrap();
        let told = String::from_utf8_lossy(&knocker.stdout).into_owned();
        assert!(knocker.status.success() && told.contains("1 passed"), "{told}");
    };
    let mut site = Site::new();
    let path = site.home.path("socket");
    knock(&path, false);
    site.socket.take();
    let settings = SocketSettings::at(&path).admit(NOBODY);
    let _socket = site.live.listen(settings).unwrap();
    knock(&path, true);
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
