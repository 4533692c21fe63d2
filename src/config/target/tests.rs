use super::*;
use crate::config::keys::TARGET;
use crate::config::main_settings::MainSettings;

fn kind(text: &str) -> TargetKind {
    match TargetChoice::parse(text).unwrap() {
        TargetChoice::Short(kind, _) => kind,
        TargetChoice::Named(name) => panic!("{name} is no kind"),
    }
}

#[test]
fn short_forms_and_their_labels() {
    let table = [
        ("nginx", "nginx"),
        ("haproxy:/run/haproxy/admin.sock", "haproxy:/run/haproxy/admin.sock"),
        ("haproxy:127.0.0.1:9999", "haproxy:127.0.0.1:9999"),
        ("haproxy:[::1]:9999", "haproxy:[::1]:9999"),
        ("rustls:/run/app.sock", "rustls:/run/app.sock"),
        ("copy:/etc/a b", "copy:/etc/a b"),
        ("systemd:postfix@-.service", "systemd:postfix@-.service"),
        ("hook:  systemctl reload   nginx", "hook:systemctl reload nginx"),
        ("hook:/x 'a b' c:d", "hook:/x 'a b' c:d"),
        ("web-1", "web-1"),
    ];
    for (text, label) in table {
        let choice = TargetChoice::parse(text).unwrap();
        assert_eq!(choice.label(), label, "{text}");
        assert_eq!(TargetChoice::parse(label), Ok(choice), "{text}");
    }
    assert!(matches!(kind("haproxy:[::1]:9999"), TargetKind::Haproxy { socket, .. }
        if matches!(socket, SocketPlace::Loopback(address) if address.port() == 9999)));
    let TargetKind::Hook { command, .. } = kind("hook:/x 'a b'") else { panic!() };
    assert_eq!(command.argv(), ["/x", "a b"]);
    assert_eq!(Hook::from(&command).label(), "hook:/x 'a b'");
}

#[test]
fn what_is_typed_means_where_it_is_typed() {
    let table = [
        ("rustls:app.sock", "rustls:/srv/app.sock"),
        ("haproxy:../run/h.sock", "haproxy:/run/h.sock"),
        ("haproxy:127.0.0.1:9999", "haproxy:127.0.0.1:9999"),
        ("copy:./tls", "copy:/srv/tls"),
        ("copy:/etc/tls", "copy:/etc/tls"),
        ("web", "web"),
    ];
    for (typed, label) in table {
        assert_eq!(TargetChoice::resolve(Path::new("/srv"), typed).unwrap().label(), label);
    }
}

#[test]
fn what_is_no_target_is_refused() {
    let table = [
        ("", "1 to 64 characters"),
        ("Web", "1 to 64 characters"),
        ("a b", "1 to 64 characters"),
        ("nginx:/etc/nginx", "nginx takes no argument: what differs stands in a [[target]]"),
        ("nginx:", "nginx takes no argument"),
        ("haproxy", "write it as haproxy:SOCKET"),
        ("copy:", "write it as copy:DIR"),
        ("hook", "write it as hook:COMMAND"),
        ("rustls:app.sock", "it must be absolute"),
        ("haproxy:10.0.0.1:9999", "it must be on loopback, or a path"),
        ("haproxy:127.0.0.1:0", "it must be on loopback, or a path"),
        ("copy:/etc/../x", "it must not contain .."),
        ("systemd:-H", "give its name"),
        ("systemd:a/b", "give its name"),
        ("hook:a | b", "needs a shell for `|`"),
        ("hook:./a", "is relative"),
        ("haprxoy:/run/h.sock", "\"haprxoy\" is unknown; did you mean \"haproxy\"?"),
        ("k8s_secret:tls", "\"k8s_secret\" is unknown; known are nginx, haproxy, rustls, "),
        ("copy:/a\n", "none of control"),
        (&format!("copy:/{}", "a".repeat(500)), "up to 500 characters"),
    ];
    for (text, part) in table {
        let error = TargetChoice::parse(text).expect_err(text).to_string();
        assert!(error.contains(part) && error.len() < 400, "{text}: {error}");
    }
}

fn parse(table: &str) -> Result<MainSettings, String> {
    let text = format!("[[target]]\nname = \"web\"\n{table}");
    MainSettings::parse(Path::new("acmeagent.toml"), &text).map_err(|error| error.to_string())
}

#[test]
fn tables_say_the_same_and_more() {
    let table = [
        ("kind = \"nginx\"", "nginx"),
        ("kind = \"haproxy\"\nsocket = \"/run/h.sock\"", "haproxy:/run/h.sock"),
        ("kind = \"haproxy\"\nsocket = \"127.0.0.1:9999\"", "haproxy:127.0.0.1:9999"),
        ("kind = \"rustls\"\nsocket = \"/run/a.sock\"", "rustls:/run/a.sock"),
        ("kind = \"copy\"\ndir = \"/etc/tls\"", "copy:/etc/tls"),
        ("kind = \"copy\"\ndir = \"/etc/tls\"\nformat = \"pem\"", "copy:/etc/tls"),
        ("kind = \"systemd\"\nunit = \"nginx\"", "systemd:nginx"),
        ("kind = \"hook\"\ncommand = [\"/x\", \"a b\"]", "hook:/x 'a b'"),
    ];
    for (text, short) in table {
        let settings = parse(text).unwrap();
        let target = settings.target("web").unwrap();
        assert_eq!((&target.kind, target.verify.len()), (&kind(short), 0), "{text}");
    }
    let text = "kind = \"nginx\"\nverify = [\"a.example\", \"smtp://mx.example:25\"]";
    let settings = parse(text).unwrap();
    let verify = settings.target("web").unwrap().verify.iter().map(ToString::to_string);
    assert_eq!(verify.collect::<Vec<_>>(), ["a.example:443", "smtp://mx.example:25"]);
}

fn path(text: &str) -> Option<AbsolutePath> {
    Some(AbsolutePath::parse(text).unwrap())
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn every_key_of_a_table_is_read() {
    let p12 = |file, password_file| CopyFormat::Pkcs12 { file, password_file };
    let copy = |format| TargetKind::Copy {
        dir: AbsolutePath::parse("/etc/tls").unwrap(),
        owner: text("app"),
        group: text("tls"),
        mode: Some(0o640),
        format,
    };
    let dir =
        "kind = \"copy\"\ndir = \"/etc/tls\"\nowner = \"app\"\ngroup = \"tls\"\nmode = \"0640\"";
    let table = [
        (
            "kind = \"nginx\"\nprogram = \"/a\"\nconfig = \"/b\"\nprefix = \"/c\"\npid = \"/d\""
                .to_owned(),
            TargetKind::Nginx {
                program: path("/a"),
                config: path("/b"),
                prefix: path("/c"),
                pid: path("/d"),
            },
        ),
        (
            "kind = \"haproxy\"\nsocket = \"/s\"\nfile = \"/f.pem\"\nreload = [\"/x\"]".to_owned(),
            TargetKind::Haproxy {
                socket: SocketPlace::Path(AbsolutePath::parse("/s").unwrap()),
                file: path("/f.pem"),
                reload: Some(Command::split("/x").unwrap()),
            },
        ),
        (
            "kind = \"rustls\"\nsocket = \"/s\"\ncertificate = \"main\"".to_owned(),
            TargetKind::Rustls {
                socket: AbsolutePath::parse("/s").unwrap(),
                certificate: text("main"),
            },
        ),
        (
            "kind = \"hook\"\ncommand = [\"/x\"]\ntimeout = \"5m\"".to_owned(),
            TargetKind::Hook {
                command: Command::split("/x").unwrap(),
                timeout: Some(Duration::from_secs(300)),
            },
        ),
        (dir.to_owned(), copy(CopyFormat::Pem)),
        (format!("{dir}\nformat = \"combined\""), copy(CopyFormat::Combined { file: None })),
        (
            format!("{dir}\nformat = \"combined\"\nfile = \"a.pem\""),
            copy(CopyFormat::Combined { file: text("a.pem") }),
        ),
        (format!("{dir}\nformat = \"pkcs12\""), copy(p12(None, None))),
        (
            format!("{dir}\nformat = \"pkcs12\"\nfile = \"a.p12\"\npassword-file = \"/pw\""),
            copy(p12(text("a.p12"), path("/pw"))),
        ),
    ];
    for (text, kind) in table {
        assert_eq!(parse(&text).unwrap().target("web").unwrap().kind, kind, "{text}");
    }
}

/// Texts and what is said about each; a `+` stands for a copy that is right.
const WRONG: &[(&str, &str)] = &[
    ("", "1:1: `target.kind` is missing"),
    ("kind = \"k8s_secret\"", "3:8: `target.kind`: \"k8s_secret\" is unknown; known are nginx, "),
    ("kind = \"ngnix\"", "3:8: `target.kind`: \"ngnix\" is unknown; did you mean \"nginx\"?"),
    ("kind = 1", "3:8: `target.kind`: it must be a text in quotes, not a number"),
    ("knd = \"nginx\"", "3:1: unknown key `target.knd`"),
    (
        "kind = \"nginx\"\nsocket = \"/s\"",
        "4:10: `target.socket`: it does not belong to kind nginx, which has program, config, ",
    ),
    (
        "kind = \"systemd\"\nunit = \"a\"\ndir = \"/d\"",
        "5:7: `target.dir`: it does not belong to k",
    ),
    ("kind = \"nginx\"\npid = \"run/pid\"", "4:7: `target.pid`: \"run/pid\" is not a valid path"),
    ("kind = \"haproxy\"", "1:1: `target.socket` is missing"),
    (
        "kind = \"haproxy\"\nsocket = \"0.0.0.0:9999\"",
        "4:10: `target.socket`: \"0.0.0.0:9999\" is not a valid socket: the key goes there in",
    ),
    ("kind = \"rustls\"\nsocket = \"a\"", "4:10: `target.socket`: \"a\" is not a valid path"),
    ("kind = \"copy\"", "1:1: `target.dir` is missing"),
    ("+mode = \"0644\"", "5:8: `target.mode`: \"0644\" is not a valid mode"),
    ("+owner = \"a b\"", "5:9: `target.owner`: \"a b\" is not a valid user"),
    ("+format = \"der\"", "5:10: `target.format`: \"der\" is unknown; known are"),
    ("+file = \"a\"", "5:8: `target.file`: it does not belong to format pem"),
    (
        "+format = \"combined\"\nfile = \"a/b\"",
        "6:8: `target.file`: \"a/b\" is not a valid file name",
    ),
    (
        "+format = \"combined\"\npassword-file = \"/p\"",
        "6:17: `target.password-file`: it does not belong to format combined",
    ),
    ("+password-file = \"/p\"", "5:17: `target.password-file`: it does not bel"),
    ("kind = \"systemd\"", "1:1: `target.unit` is missing"),
    ("kind = \"systemd\"\nunit = \"-H\"", "4:8: `target.unit`: \"-H\" is not a valid unit"),
    ("kind = \"hook\"", "1:1: `target.command` is missing"),
    ("kind = \"hook\"\ncommand = \"a b\"", "4:11: `target.command`: a command is a list of its"),
    ("kind = \"hook\"\ncommand = []", "4:11: `target.command`: the command is empty"),
    (
        "kind = \"hook\"\ncommand = [\"/x\"]\ntimeout = \"0s\"",
        "5:11: `target.timeout`: it must be from 1s to 1h",
    ),
    ("kind = \"nginx\"\nverify = []", "4:10: `target.verify`: the list is empty"),
    (
        "kind = \"nginx\"\nverify = [\"ftp://a\"]",
        "4:11: `target.verify`: \"ftp\" is no way to begi",
    ),
    (
        "kind = \"nginx\"\n[[target]]\nname = \"web\"\nkind = \"nginx\"",
        "5:8: `target.name`: another [[target]] has that name",
    ),
    (
        "kind = \"nginx\"\n[[target]]\nname = \"copy\"\nkind = \"nginx\"",
        "5:8: `target.name`: a kind of targets has that name",
    ),
    (
        "kind = \"nginx\"\n[[target]]\nname = \"a:b\"",
        "5:8: `target.name`: \"a:b\" is not a valid target",
    ),
    ("kind = \"nginx\"\n[[target]]\nkind = \"nginx\"", "4:1: `target.name` is missing"),
];

#[test]
fn what_is_wrong_in_a_table_is_named_with_its_place() {
    for (text, part) in WRONG {
        let text = text.replacen('+', "kind = \"copy\"\ndir = \"/d\"\n", 1);
        let error = parse(&text).expect_err(&text);
        assert!(error.starts_with(&format!("acmeagent.toml:{part}")), "{text}\n{error}");
    }
    let error = MainSettings::parse(Path::new("a"), "[target]\nname = \"x\"").unwrap_err();
    let error = error.to_string();
    assert_eq!(error, "a:1:1: `target`: each begins with a line of its own, [[target]]");
}

#[test]
fn a_target_that_is_not_there() {
    let settings = parse("kind = \"nginx\"").unwrap();
    let table = [
        ("wbe", "did you mean web?"),
        ("ngnix", "did you mean nginx?"),
        ("rutsls", "did you mean rustls:SOCKET?"),
        (
            "k8s_secret",
            "known are nginx, haproxy:SOCKET, rustls:SOCKET, copy:DIR, systemd:UNIT, hook:COMMAND, web",
        ),
    ];
    for (name, hint) in table {
        let error = settings.target(name).unwrap_err();
        assert_eq!(error.to_string(), format!("there is no [[target]] named {name}"));
        assert_eq!(error.hint(), hint);
    }
}

#[test]
fn every_key_belongs_to_a_kind() {
    let own = Kind::ALL.into_iter().flat_map(|kind| kind.keys().iter().copied());
    let keys: Vec<&str> = ["name", "kind", "verify"].into_iter().chain(own).collect();
    for key in TARGET.known {
        assert!(keys.contains(key), "{key}");
    }
    assert!(keys.iter().all(|key| TARGET.known.contains(key)));
}
