//! Copies as files, read back by other programs.

#![expect(clippy::disallowed_methods, reason = "sets the stage for tests")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use super::*;
use crate::certificate::{Chain, Fingerprint, Key};
use crate::deploy::conformance::{Bed, Rack, conforms};

fn settings(dir: PathBuf, format: Format) -> Settings {
    Settings { dir, owner: None, group: None, mode: None, format }
}

fn copy(settings: Settings) -> Copy {
    Copy::new("copy:test".to_owned(), settings)
}

fn modes(dir: &Path) -> Vec<(String, u32)> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let mode = |entry: &fs::DirEntry| entry.metadata().unwrap().mode() & 0o7777;
    let mut found: Vec<_> =
        entries.map(|entry| (entry.file_name().into_string().unwrap(), mode(&entry))).collect();
    found.sort();
    found
}

fn secret(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What a program prints that ends well.
#[track_caller]
fn printed(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused<T>(result: Result<T, TargetError>) -> (String, Option<String>) {
    match result.err().expect("it is refused") {
        TargetError::Refused { what, hint, .. } => (what, hint),
        other => panic!("{other:?}"),
    }
}

/// A directory whose `fullchain.pem` is what is served.
struct Folder(PathBuf);

#[async_trait]
impl Bed for Folder {
    async fn served(&mut self) -> Option<Fingerprint> {
        let pem = fs::read(self.0.join(file::FULLCHAIN)).ok()?;
        Some(Chain::parse(&pem).unwrap().fingerprint())
    }

    fn watched(&self) -> Vec<PathBuf> {
        vec![self.0.clone()]
    }

    async fn damage(&mut self) {
        fs::set_permissions(&self.0, fs::Permissions::from_mode(0o777)).unwrap();
    }

    async fn mend(&mut self) {
        fs::set_permissions(&self.0, fs::Permissions::from_mode(0o755)).unwrap();
    }

    async fn hang(&mut self) -> bool {
        false
    }

    async fn resume(&mut self) {}
}

#[tokio::test]
async fn it_conforms() {
    let rack = Rack::new(&["a.example"]);
    let mut bed = Folder(rack.room("copy"));
    let target = copy(settings(bed.0.clone(), Format::Pem));
    target.activate(&rack.old, Share::ALL).await.unwrap();
    conforms(&target, &mut bed, &rack).await;
}

#[tokio::test]
async fn pem_is_what_is_live() {
    let rack = Rack::new(&["a.example"]);
    let dir = rack.room("copy");
    let target = copy(settings(dir.clone(), Format::Pem));
    target.activate(&rack.old, Share::ALL).await.unwrap();
    let expected = [
        (file::CERT, 0o644),
        (file::CHAIN, 0o644),
        (file::FULLCHAIN, 0o644),
        (file::PRIVKEY, 0o600),
    ];
    assert_eq!(modes(&dir), expected.map(|(name, mode)| (name.to_owned(), mode)));
    for (name, _) in expected {
        let (copied, live) =
            (fs::read_to_string(dir.join(name)).unwrap(), rack.old.live_dir.join(name));
        assert_eq!(copied, fs::read_to_string(live).unwrap().replace("\r\n", "\n"), "{name}");
    }
}

#[tokio::test]
async fn one_file_holds_chain_and_key() {
    let rack = Rack::new(&["a.example"]);
    let dir = rack.room("copy");
    let named = Some(FileName::parse("site.pem").unwrap());
    for (file, mode, name) in [(None, None, "a.example.pem"), (named, Some(0o440), "site.pem")] {
        let format = Format::Combined { file };
        let target = copy(Settings { mode, ..settings(dir.clone(), format) });
        target.activate(&rack.old, Share::ALL).await.unwrap();
        let path = dir.join(name);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode.unwrap_or(0o600));
        let path = path.to_str().unwrap();
        let certificate = printed("openssl", &["x509", "-in", path, "-noout", "-pubkey"]);
        assert_eq!(certificate, printed("openssl", &["pkey", "-in", path, "-pubout"]));
    }
}

#[tokio::test]
async fn others_read_the_pkcs12_file() {
    let rack = Rack::new(&["a.example"]);
    let (dir, word) = (rack.room("copy"), rack.room("secret").join("password"));
    secret(&word, "correct horse\n", 0o600);
    let password = Password::File(word.clone());
    let target = copy(settings(dir.clone(), Format::Pkcs12 { file: None, password }));
    target.stage(&rack.old).await.unwrap();
    assert!(modes(&dir).is_empty());
    target.activate(&rack.old, Share::ALL).await.unwrap();
    let path = dir.join("a.example.p12");
    assert_eq!(modes(&dir), [("a.example.p12".to_owned(), 0o600)]);

    let (file, word) = (path.to_str().unwrap(), format!("file:{}", word.display()));
    let read = |rest: &[&str]| {
        let args = [&["pkcs12", "-in", file, "-passin", &word][..], rest].concat();
        printed("openssl", &args)
    };
    let pem = read(&["-nodes"]);
    let key = Key::parse(pem.as_bytes()).unwrap();
    let live = Pair::live(&rack.old, "test").unwrap();
    assert_eq!(key.pkcs8_der(), live.key.pkcs8_der());
    assert!(read(&["-nokeys"]).contains(live.chain.leaf_pem().trim_end()));
    let info = Command::new("openssl")
        .args(["pkcs12", "-in", file, "-passin", &word, "-info", "-noout"])
        .output()
        .unwrap();
    let info = String::from_utf8(info.stderr).unwrap();
    assert!(info.contains("AES-256-CBC") && info.contains("hmacWithSHA256"), "{info}");

    // Made anew it would differ; the same content is left alone, another is exchanged.
    let inode = || fs::metadata(&path).unwrap().ino();
    let first = inode();
    target.activate(&rack.old, Share::ALL).await.unwrap();
    assert_eq!(inode(), first);
    rack.switch(&rack.new);
    target.activate(&rack.new, Share::ALL).await.unwrap();
    assert_ne!(inode(), first);
    let live = Pair::live(&rack.new, "test").unwrap();
    assert_eq!(Key::parse(read(&["-nodes"]).as_bytes()).unwrap().pkcs8_der(), live.key.pkcs8_der());
}

#[tokio::test]
async fn java_reads_the_pkcs12_file() {
    if Command::new("keytool").arg("-help").output().is_err() {
        // A second opinion: OpenSSL's is the one that is asked for.
        return;
    }
    let rack = Rack::new(&["a.example"]);
    let (dir, word) = (rack.room("copy"), rack.room("secret").join("password"));
    secret(&word, "correct horse", 0o600);
    let format = Format::Pkcs12 { file: None, password: Password::File(word.clone()) };
    copy(settings(dir.clone(), format)).activate(&rack.old, Share::ALL).await.unwrap();
    let (path, word) = (dir.join("a.example.p12"), word.to_str().unwrap().to_owned());
    let listed = printed(
        "keytool",
        &["-list", "-keystore", path.to_str().unwrap(), "-storepass:file", &word],
    );
    assert!(listed.contains("a.example") && listed.contains("PrivateKeyEntry"), "{listed}");
}

#[tokio::test]
async fn the_password_is_checked_and_an_empty_one_must_be_meant() {
    let rack = Rack::new(&["a.example"]);
    let (dir, word) = (rack.room("copy"), rack.room("secret").join("password"));
    let target = |password| copy(settings(dir.clone(), Format::Pkcs12 { file: None, password }));
    let by_file = target(Password::File(word.clone()));
    let error = by_file.stage(&rack.old).await.unwrap_err();
    assert!(matches!(error, TargetError::Io { .. }), "{error:?}");
    let table = [
        ("x", 0o640, "mode 0640"),
        ("x", 0o604, "mode 0604"),
        ("", 0o600, "one line"),
        ("\n", 0o600, "one line"),
        ("a\nb", 0o600, "one line"),
        ("pässword", 0o600, "one line"),
        (&"x".repeat(1025), 0o600, "one line"),
    ];
    for (text, mode, part) in table {
        secret(&word, text, mode);
        let (what, _) = refused(by_file.stage(&rack.old).await);
        assert!(what.contains(part) && (text.len() < 2 || !what.contains(text)), "{what}");
    }
    target(Password::Empty).activate(&rack.old, Share::ALL).await.unwrap();
    let path = dir.join("a.example.p12");
    printed("openssl", &["pkcs12", "-in", path.to_str().unwrap(), "-passin", "pass:", "-noout"]);
}

#[tokio::test]
async fn accounts_are_found_and_given() {
    let rack = Rack::new(&["a.example"]);
    let dir = rack.room("copy");
    let account = |text: &str| Some(Account::parse(text).unwrap());
    let with = |owner, group| copy(Settings { owner, group, ..settings(dir.clone(), Format::Pem) });
    let (what, _) = refused(with(account("no-such-user"), None).stage(&rack.old).await);
    assert_eq!(what, "there is no user no-such-user");
    let (what, _) = refused(with(None, account("no-such-group")).stage(&rack.old).await);
    assert_eq!(what, "there is no group no-such-group");
    if !nix::unistd::geteuid().is_root() {
        let (what, _) = refused(with(account("root"), None).stage(&rack.old).await);
        assert!(what.contains("only root"), "{what}");
        return;
    }
    with(account("65534"), account("daemon")).activate(&rack.old, Share::ALL).await.unwrap();
    let facts = fs::metadata(dir.join(file::PRIVKEY)).unwrap();
    let daemon = Group::from_name("daemon").unwrap().unwrap().gid.as_raw();
    assert_eq!((facts.uid(), facts.gid(), facts.mode() & 0o777), (65_534, daemon, 0o640));
}

#[tokio::test]
async fn another_generation_than_the_live_one_is_not_delivered() {
    let rack = Rack::new(&["a.example"]);
    let dir = rack.room("copy");
    let target = copy(settings(dir.clone(), Format::Pem));
    let (what, _) = refused(target.activate(&rack.new, Share::ALL).await);
    assert!(what.ends_with("is not the certificate that is to be delivered"), "{what}");
    let key = rack.old.live_dir.join(file::PRIVKEY);
    let other = fs::read(rack.new.archive_dir.join(file::PRIVKEY)).unwrap();
    fs::remove_file(&key).unwrap();
    fs::write(&key, other).unwrap();
    let (what, _) = refused(target.activate(&rack.old, Share::ALL).await);
    assert!(what.ends_with("is not the key of the certificate beside it"), "{what}");
    assert!(modes(&dir).is_empty());
}

#[test]
fn words_are_parsed_or_refused() {
    for good in ["site.pem", "a", "A_1-b.p12", &"x".repeat(240)] {
        assert!(FileName::parse(good).is_ok(), "{good}");
    }
    for bad in ["", ".", "..", ".a", "-a", "a/b", "a b", "a\n", "ä", &"x".repeat(241)] {
        assert!(FileName::parse(bad).is_err(), "{bad}");
    }
    for (text, good) in [("root", true), ("0", true), ("", false), ("a b", false), ("a:b", false)] {
        assert_eq!(Account::parse(text).is_ok(), good, "{text}");
    }
}
