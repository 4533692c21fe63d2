//! What is asked wrongly is refused: with its exit code, with what to do, and with nothing touched.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::need;
use crate::support::agent::{Agent, Ran, within};
use crate::support::ca::Ca;
use crate::support::tools::is_root;
use crate::support::{free_ports, wait_for};

/// What is said where, and the exit code it comes with.
type Case<'a> = (&'a [&'a str], i32, &'a [&'a str]);

/// Every case in a home without anything and in one with a certificate in service.
fn refuses(cases: &[Case<'_>]) {
    let fresh = Agent::new();
    let used = Agent::new();
    let _ = used.run(&["issue", "-d", "a.example", "--ca", "embedded"]).exits(0);
    let before = used.files();
    for (args, code, says) in cases {
        for agent in [&fresh, &used] {
            let ran = agent.run(args);
            assert_eq!(ran.code, *code, "{args:?}: {ran:#?}");
            for text in *says {
                assert!(ran.stderr.contains(text), "{args:?} does not say {text:?}: {ran:#?}");
            }
            assert!(!ran.stderr.contains("panicked"), "{ran:#?}");
            let quiet = agent.run(&[&["--quiet"], *args].concat());
            assert_eq!((quiet.code, quiet.stdout.as_str()), (*code, ""), "{args:?}");
            assert!(!quiet.stderr.is_empty(), "an error is said even quietly: {args:?}");
        }
        assert_eq!(fresh.files(), Default::default(), "{args:?} left something behind");
        assert_eq!(used.files(), before, "{args:?} touched something");
    }
    let (_, document) = fresh.json(&["status"]);
    assert_eq!(document["certificates"], serde_json::json!([]), "no traces of failures");
    let _ = used.run(&["check"]).exits(0);
}

#[test]
fn the_command_line() {
    refuses(&[
        (&["issue", "--ca", "embedded"], 2, &["--domain <NAME>"]),
        (&["issue", "-d", "x.example", "--caa", "embedded"], 2, &["'--caa'", "'--ca'"]),
        (&["renwe"], 2, &["'renwe'", "'renew'"]),
        (&[], 2, &["subcommand", "issue"]),
        (&["rollback"], 2, &["<NAME>"]),
        (&["snapshot"], 2, &["create", "restore"]),
        (&["renew", "--jobs", "0"], 2, &["--jobs", "1..=256"]),
        (&["issue", "-d", "x.example", "--http-01-port", "70000"], 2, &["70000"]),
        (
            &["issue", "-d", "x.example", "--ca", "embedded", "--key-type", "rsa1024"],
            2,
            &["rsa1024", "rsa2048"],
        ),
        (
            &["issue", "-d", "x.example", "--ca", "embedded", "--challenge", "http-02"],
            2,
            &["http-02", "http-01"],
        ),
        (
            &["issue", "-d", "x.example", "--server", "http://ca.example/"],
            2,
            &["http://ca.example/", "https"],
        ),
        (&["issue", "-d", "x.example", "--ca", "embedded", "-m", "nobody"], 2, &["nobody"]),
        (
            &["issue", "-d", "x.example", "--eab-kid", "k", "--ca", "zerossl"],
            2,
            &["--eab-hmac-key-file"],
        ),
        (
            &["issue", "-d", "x.example", "--standalone", "-w", "/www"],
            2,
            &["--standalone", "--webroot"],
        ),
        (&["renew", "--approve"], 2, &["<NAME>"]),
        (&["renew", "--approve", "--plan", "a.example"], 2, &["--approve", "--plan"]),
        (&["renew", "--approve", "--dry-run", "a.example"], 2, &["--approve", "--dry-run"]),
    ]);
}

#[test]
fn targets_and_where_they_are_seen() {
    let issue = ["issue", "-d", "x.example", "--ca", "embedded"];
    let wrong: [(&[&str], &[&str]); 11] = [
        (&["--target", "haproxy"], &["haproxy:SOCKET"]),
        (&["--target", "nginx:/etc/nginx"], &["nginx takes no argument", "[[target]]"]),
        (&["--target", "haproxy:192.0.2.1:9999"], &["192.0.2.1:9999", "loopback"]),
        (&["--target", "k8s_secret:tls"], &["k8s_secret", "known are nginx, haproxy, rustls"]),
        (&["--target", "hook:a | b"], &["shell"]),
        (&["--target", "ngnix"], &["no [[target]] named ngnix", "hint: did you mean nginx?"]),
        (&["--target", "web"], &["no [[target]] named web", "hint: known are nginx, haproxy:SO"]),
        (&["--target", "copy:tls", "--target", "copy:./tls"], &["/tls is listed twice"]),
        (
            &["--target", "hook:true", "--deploy-hook", "true"],
            &["the target hook:true is listed twice"],
        ),
        (&["--verify", "a.example:0"], &["a.example:0", "1 to 65535"]),
        (&["--verify", "https://a.example"], &["https", "smtp"]),
    ];
    let words: Vec<Vec<&str>> =
        wrong.iter().map(|(flags, _)| [&issue[..], flags].concat()).collect();
    let cases: Vec<Case<'_>> =
        words.iter().zip(&wrong).map(|(args, (_, says))| (&args[..], 2, *says)).collect();
    refuses(&cases);
}

/// What the defaults of the machine say, the flags of one certificate can contradict.
#[test]
fn waves_of_the_defaults() {
    let agent = Agent::embedded();
    let machine = r#"
        [[target]]
        name = "web"
        kind = "nginx"
        [[defaults.rollout.wave]]
        targets = ["web"]
    "#;
    fs::write(agent.path("acmeagent.toml"), machine).unwrap();
    let ran = agent.run(&["issue", "-d", "a.example", "--target", "wbe"]).exits(2);
    let _ = ran.says(&["a wave names web, which is not among the targets", "did you mean wbe?"]);
    assert_eq!(agent.generations("a.example"), 0);
}

#[test]
fn names() {
    let long = format!("{}.example", "a".repeat(300));
    let many = format!("{}example", "a.".repeat(150));
    let names: [(&str, &str); 16] = [
        ("..", "trailing dot"),
        ("a/b", "letters, digits"),
        ("a\nb", "letters, digits"),
        ("xn--a", "letters, digits"),
        ("a..b", "letters, digits"),
        ("a b", "letters, digits"),
        ("", "letters, digits"),
        (&long, "letters, digits"),
        (&many, "not a valid DNS name"),
        ("*", "wildcard"),
        ("a.*.example", "wildcard"),
        ("*.127.0.0.1", "IP address"),
        ("1.2.3", "IP address"),
        ("256.1.1.1", "IP address"),
        ("http://a.example", "not a valid"),
        ("fe80::1%eth0", "not a valid"),
    ];
    let mut wrong: Vec<(Vec<String>, &str)> = Vec::new();
    let issue = |more: &[&str]| -> Vec<String> {
        ["issue", "--ca", "embedded"].iter().chain(more).map(ToString::to_string).collect()
    };
    for (name, says) in names {
        wrong.push((issue(&[&format!("-d={name}")]), says));
    }
    wrong.push((issue(&["-d=-x.example"]), "\"-x.example\""));
    wrong.push((issue(&["-d", "-x.example"]), "'-x'"));
    wrong.push((issue(&["-d", "x.example,x.example"]), "twice"));
    for name in ["..", "../x", "a/b", "-x", "a\nb", "", ".hidden", &"a".repeat(300)] {
        let label = format!("--cert-name={name}");
        wrong.push((issue(&["-d", "x.example", &label]), "certificate name"));
    }
    let words: Vec<Vec<&str>> =
        wrong.iter().map(|(args, _)| args.iter().map(String::as_str).collect()).collect();
    let said: Vec<[&str; 1]> = wrong.iter().map(|(_, says)| [*says]).collect();
    let cases: Vec<Case<'_>> =
        words.iter().zip(&said).map(|(args, says)| (&args[..], 2, &says[..])).collect();
    refuses(&cases);
}

#[test]
fn what_cannot_be_proved_or_had() {
    refuses(&[
        (
            &["issue", "--ca", "embedded", "-d", "*.x.example"],
            2,
            &["*.x.example", "http-01", "hint: ", "--dns PROVIDER"],
        ),
        (
            &["issue", "--ca", "embedded", "-d", "127.0.0.1", "--challenge", "dns-01"],
            2,
            &["127.0.0.1", "dns-01", "hint: ", "http-01"],
        ),
        (
            &["issue", "--ca", "embedded", "-d", "*.x.example,y.x.example"],
            2,
            &["*.x.example covers y.x.example"],
        ),
        (
            &["issue", "--ca", "embedded", "-d", "y.x.example,*.x.example"],
            2,
            &["*.x.example covers y.x.example"],
        ),
        (
            &["issue", "--ca", "letsencrytp", "-d", "x.example"],
            2,
            &["letsencrytp", "did you mean letsencrypt?"],
        ),
        (
            &["issue", "--ca", "nonsense", "-d", "x.example"],
            2,
            &["nonsense", "hint: known are", "letsencrypt"],
        ),
        (&["issue", "--ca", "buypass", "-d", "x.example"], 2, &["ended", "--ca"]),
        (&["renew", "a.exampel"], 2, &["no certificate named a.exampel", "hint: "]),
        (&["rollback", "a.exampel"], 2, &["no certificate named a.exampel", "hint: "]),
        (&["delete", "a.exampel"], 2, &["no certificate named a.exampel", "hint: "]),
        (&["revoke", "a.exampel"], 2, &["no certificate named a.exampel", "hint: "]),
        (&["status", "a.exampel"], 2, &["no certificate named a.exampel", "hint: "]),
        (&["renew", "../../etc/passwd"], 2, &["certificate name"]),
    ]);
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    let _ = agent.run(&["renew", "a.exampel"]).exits(2).says(&["did you mean a.example?"]);
    let required = ["issue", "-d", "x.example", "--required-profile", "golden"];
    let _ = agent.run(&required).exits(2).says(&["golden", "classic", "shortlived"]);
    assert_eq!(agent.generations("x.example"), 0);
}

#[test]
fn homes() {
    let agent = Agent::new();
    let args = ["issue", "-d", "a.example", "--ca", "embedded"];
    let at = |home: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_acmeagent"));
        command.env_clear().args(["--home", home]).args(args);
        Ran::of(command.output().unwrap())
    };
    let file = agent.path("file");
    fs::write(&file, "").unwrap();
    let ran = at(file.to_str().unwrap());
    assert!([2, 10].contains(&ran.code), "{ran:?}");
    let _ = ran.says(&[file.to_str().unwrap(), "Not a directory"]);
    // Not even root makes directories there.
    let _ = at("/proc/acmeagent").exits(10).says(&["/proc/acmeagent"]);

    let open = agent.path("open");
    fs::create_dir(&open).unwrap();
    for mode in [0o777, 0o775, 0o1777] {
        fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
        let ran = at(open.to_str().unwrap()).exits(11);
        let mend = format!("chmod go-w {}", open.display());
        let _ = ran.says(&[&format!("mode {mode:04o}"), &format!("hint: run: {mend}")]);
        assert_eq!(fs::read_dir(&open).unwrap().count(), 0, "nothing was written");
    }
    // What it tells to do is what helps.
    let mend = Command::new("chmod").arg("go-w").arg(&open).status().unwrap();
    assert!(mend.success());
    let _ = at(open.to_str().unwrap()).exits(0);
    let live = open.join("live");
    fs::set_permissions(&live, fs::Permissions::from_mode(0o777)).unwrap();
    let mut renew = Command::new(env!("CARGO_BIN_EXE_acmeagent"));
    let renew = renew.env_clear().arg("--home").arg(&open).args(["renew", "--force"]);
    let _ = Ran::of(renew.output().unwrap()).exits(11).says(&[live.to_str().unwrap(), "chmod"]);
}

/// The agent as a user who is not root and owns nothing.
fn as_nobody(folder: &Path, args: &[&str]) -> Ran {
    // Where the binary lies nobody may be able to go.
    let program = folder.join("acmeagent");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_acmeagent"), &program).unwrap();
    }
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    Ran::of(
        command
            .env("PATH", "/usr/bin:/bin")
            .env_remove("HOME")
            .current_dir("/")
            .args(args)
            .output()
            .unwrap(),
    )
}

#[test]
fn no_home_at_all_and_one_that_cannot_be_written() {
    need!("setpriv");
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let issue = ["issue", "-d", "a.example", "--ca", "embedded"];
    let ran = as_nobody(folder.path(), &issue).exits(2);
    let _ = ran.says(&["neither --home nor $HOME", "keep certificates"]);

    let home = folder.path().join("home");
    let args = [&["--home", home.to_str().unwrap()], &issue[..]].concat();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let ran = as_nobody(folder.path(), &args).exits(10);
    let _ = ran.says(&[
        "cannot make directory",
        home.to_str().unwrap(),
        "ermission denied",
        "run this as root",
    ]);
    assert!(!home.exists());
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_port_that_is_taken() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    let before = agent.files();
    for (challenge, flag) in [("http-01", "--http-01-port"), ("tls-alpn-01", "--tls-alpn-01-port")]
    {
        let args = ["issue", "-d", "b.example", "--challenge", challenge, flag, &port];
        let ran = agent.run(&args);
        assert!([2, 3].contains(&ran.code), "{ran:?}");
        let me = std::process::id().to_string();
        let _ = ran.says(&[&format!("port {port} is in use by"), &me, "--webroot"]);
        assert_eq!(agent.files(), before, "{challenge}");
    }
    drop(taken);
    let _ = agent.run(&["issue", "-d", "b.example", "--http-01-port", &port]).exits(0);
}

#[test]
fn settings_with_a_mistake() {
    let agent = Agent::embedded();
    let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
    let (path, good) =
        (agent.path("certificates/a.example.toml"), agent.read("certificates/a.example.toml"));
    let live = agent.read("live/a.example/cert.pem");
    for (broken, says) in [
        (good.replace("key-type", "key_typ"), "did you mean `key-type`?"),
        (good.replace("\"p256\"", "\"p265\""), "p265"),
        (good.replace("identifiers", "identifers"), "did you mean `identifiers`?"),
        (format!("{good}\n[hook]\n"), "did you mean `hooks`?"),
        (format!("targets = [\"haprxoy:/a\"]\n{good}"), "did you mean \"haproxy\"?"),
        (format!("{good}\n[verify]\nneeded = 9\n"), "9 of 5 `attempts` cannot agree"),
        (format!("{good}\n[rollout]\nsoak = \"1m\"\n"), "belongs into [[rollout.wave]]"),
        (format!("{good}\n[[rollout.wave]]\ntargets = [\"web\"]\n"), "a wave names web"),
        (good.replace('[', "("), "not valid TOML"),
        (format!("{good}\u{0}"), "not valid TOML"),
    ] {
        fs::write(&path, &broken).unwrap();
        for args in [&["renew"][..], &["renew", "a.example"], &["issue", "-d", "a.example"]] {
            let ran = agent.run(args).exits(2);
            let ran = ran.says(&[says]);
            let at =
                ran.stderr.split("a.example.toml:").nth(1).unwrap_or_else(|| panic!("{ran:?}"));
            assert!(at.starts_with(|c: char| c.is_ascii_digit()), "line and column: {ran:?}");
            assert_eq!(agent.read("certificates/a.example.toml"), broken);
            assert_eq!(agent.read("live/a.example/cert.pem"), live);
        }
    }
    fs::write(&path, &good).unwrap();
    let _ = agent.run(&["renew"]).exits(0);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let ran = agent.run(&["renew", "--force"]).exits(11);
    let _ = ran.says(&["a.example.toml", "mode 0666", "chmod go-w"]);
    assert_eq!(agent.generations("a.example"), 1);
}

#[test]
fn a_damaged_state_is_rebuilt_and_kept() {
    need!("openssl");
    for damage in ["", "{}", "{\"schema\": 1, \"sha256\": \"00\", \"body\": {}}", "\u{0}\u{0}\u{0}"]
    {
        let agent = Agent::embedded();
        let _ = agent.run(&["issue", "-d", "a.example"]).exits(0);
        fs::write(agent.path("state/a.example.json"), damage).unwrap();
        let live = agent.read("live/a.example/cert.pem");
        let ran = agent.run(&["renew", "a.example"]).exits(0);
        assert_eq!(agent.read("live/a.example/cert.pem"), live, "{ran:?}");
        assert_eq!(agent.issued(), 1, "what is held is still known: {ran:?}");
        assert_eq!(agent.facts("a.example")["confirmed"], 1);
        let kept = fs::read_dir(agent.path("state")).unwrap().map(|one| one.unwrap().path());
        let kept = kept.filter(|path| fs::read_to_string(path).is_ok_and(|text| text == damage));
        assert_eq!(kept.count(), 1, "the damaged one is kept: {damage:?}");
        let _ = agent.run(&["check"]).exits(0);
        let _ = agent.run(&["renew", "--force"]).exits(0);
        agent.assert_live_pair("a.example");
    }
}

#[test]
fn terms_nobody_agreed_to() {
    let ca = Ca::start();
    let agent = Agent::new();
    let args = [
        "issue",
        "-d",
        "a.example",
        "--server",
        &ca.directory,
        "--ca-root",
        ca.tls_root.to_str().unwrap(),
        "--http-01-port",
        &ca.http_port.to_string(),
    ];
    let ran = agent.run(&args).exits(2);
    let _ = ran.says(&["terms", "--agree-tos"]);
    assert_eq!(agent.files(), Default::default());
    let _ = agent.run(&[&args[..], &["--agree-tos"]].concat()).exits(0);
}

#[test]
fn a_ca_that_is_not_there_or_not_trusted() {
    let [nobody] = free_ports();
    let agent = Agent::new();
    let server = format!("https://127.0.0.1:{nobody}/dir");
    let ran = agent.run(&["issue", "-d", "a.example", "--server", &server, "--http-01-port", "0"]);
    let _ = ran.exits(3).says(&[&format!("127.0.0.1:{nobody}"), "refused", "live: nothing"]);
    let ca = Ca::start();
    let ran =
        agent.run(&["issue", "-d", "a.example", "--server", &ca.directory, "--http-01-port", "0"]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("--ca-root"), "{ran:?}");
    assert_eq!(agent.files(), Default::default());
}

/// A reader that went away, and no reader at all, are not errors of ours.
#[test]
fn closed_standard_streams() {
    let agent = Agent::embedded();
    for (number, closing) in
        ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "| head -c 0", "2>&1 | head -c 0"]
            .into_iter()
            .enumerate()
    {
        let name = format!("{number}.example");
        let plain = agent.command(&["issue", "-d", &name]);
        let mut shell = within("bash", &plain);
        shell.args(["-c", &format!("\"$@\" {closing}; exit ${{PIPESTATUS[0]}}"), "sh"]);
        shell.arg(plain.get_program()).args(plain.get_args());
        let ran = Ran::of(shell.output().unwrap());
        assert_eq!(ran.code, 0, "{closing}: {ran:?}");
        assert_eq!(agent.generations(&name), 1, "{closing}");
        // A file opened in the place of a closed stream would have been written into.
        for (path, content) in agent.files() {
            let content = String::from_utf8_lossy(&content);
            assert!(!content.contains("issued generation"), "{} was written into", path.display());
        }
    }
}

/// Ctrl-C while the CA looks for the answer.
#[test]
fn interrupted_while_a_validation_is_pending() {
    need!("openssl");
    let ca = Ca::start();
    // Where the CA looks, somebody accepts and never answers.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, ca.http_port)).unwrap();
    silent.set_nonblocking(true).unwrap();
    let [own_port] = free_ports();
    let agent = Agent::new();
    let www = agent.path("www");
    fs::create_dir(&www).unwrap();
    let server = [
        "issue",
        "-d",
        "a.example",
        "--server",
        &ca.directory,
        "--ca-root",
        ca.tls_root.to_str().unwrap(),
        "--agree-tos",
    ];
    let port = own_port.to_string();
    let answers = www.join(".well-known/acme-challenge");
    let count = || fs::read_dir(&answers).map_or(0, Iterator::count);
    for how in [
        &["--http-01-port", &port, "--http-01-address", "127.0.0.1"][..],
        &["--webroot", www.to_str().unwrap()],
    ] {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let run = agent.spawn(&[&server[..], how].concat());
            let mut visitor = None;
            wait_for("the CA's visit", || {
                visitor = silent.accept().ok();
                visitor.is_some()
            });
            if how[0] == "--webroot" {
                assert_eq!(count(), 1, "the answer lies in the web root");
            }
            run.signal(signal);
            let asked = Instant::now();
            let ran = run.ends().exits(3).says(&["interrupted", "live: nothing"]);
            assert!(asked.elapsed() < Duration::from_secs(5), "{ran:?}");
            assert_eq!(count(), 0, "answers were taken back");
            TcpListener::bind((Ipv4Addr::LOCALHOST, own_port)).expect("the port is free again");
        }
    }
    assert_eq!(agent.generations("a.example"), 0);
    // The next one goes on, once the CA finds the answer.
    drop(silent);
    let port = ca.http_port.to_string();
    let _ = agent.run(&[&server[..], &["--standalone", "--http-01-port", &port]].concat()).exits(0);
    assert_eq!(ca.issued(), 1);
    agent.assert_live_pair("a.example");
}
