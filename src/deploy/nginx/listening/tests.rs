use proptest::prelude::*;

use super::*;
use crate::deploy::nginx::configuration;

/// What is asked for where, as text, for a configuration of these servers.
#[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
fn asked(http: &str, identifiers: &[&str]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("nginx.conf");
    std::fs::write(&main, format!("http {{ {http} }}")).unwrap();
    let identifiers: Vec<_> =
        identifiers.iter().map(|one| Identifier::parse(one).unwrap()).collect();
    let servers = configuration::read(&main).servers;
    let found = endpoints(&servers, &identifiers, |path| path.starts_with("/live"));
    let text = |endpoint: &Endpoint| {
        let names: Vec<_> = endpoint.names.iter().map(Identifier::to_string).collect();
        format!("{endpoint} {}", names.join(","))
    };
    found.iter().map(text).collect()
}

#[test]
fn sockets() {
    let both = ["127.0.0.1:443 a.example", "[::1]:443 a.example"];
    let table: &[(&str, &[&str])] = &[
        ("listen 443 ssl;", &both[..1]),
        ("listen *:443 ssl; listen [::]:443 ssl ipv6only=on;", &both),
        ("listen [::]:443 ssl;", &both[1..]),
        ("listen [::]:443 ssl ipv6only=off;", &both),
        ("listen 127.0.0.1:8443 ssl;", &["127.0.0.1:8443 a.example"]),
        ("listen [2001:db8::1]:443 ssl;", &["[2001:db8::1]:443 a.example"]),
        ("listen localhost:443 ssl;", &["localhost:443 a.example"]),
        ("listen 127.0.0.1 ssl;", &["127.0.0.1:80 a.example"]),
        ("listen [::1] ssl;", &["[::1]:80 a.example"]),
        ("listen 127.0.0.1:1-2 ssl;", &["127.0.0.1:1 a.example", "127.0.0.1:2 a.example"]),
        ("ssl on; listen 443;", &both[..1]),
        ("listen 80; listen 443;", &[]),
        ("listen unix:/run/x ssl;", &[]),
        ("listen 443 quic;", &[]),
        ("listen 443 quic; listen 443 ssl;", &both[..1]),
        ("listen 443 ssl proxy_protocol;", &[]),
        ("listen 192.0.2.1.5:443 ssl;", &[]),
        ("listen $x:443 ssl;", &[]),
        ("", &[]),
    ];
    for (listen, expected) in table {
        let server = format!("server {{ {listen} ssl_certificate /live/x; }}");
        assert_eq!(asked(&server, &["a.example"]), *expected, "{listen}");
        let around = format!("server {{ {listen} }} ssl_certificate /live/x;");
        assert_eq!(asked(&around, &["a.example"]), *expected, "inherited: {listen}");
        let other =
            format!("server {{ {listen} ssl_certificate /etc/x; }} ssl_certificate /live/x;");
        assert_eq!(asked(&other, &["a.example"]), [""; 0], "not inherited: {listen}");
    }
}

fn server(names: &str, path: &str) -> String {
    format!("server {{ listen 443 ssl; server_name {names}; ssl_certificate {path}; }}")
}

fn ours(names: &str) -> String {
    server(names, "/live/x")
}

fn other(names: &str) -> String {
    server(names, "/etc/x")
}

/// Each case: what it is, the servers, and the names that are asked for, `-` where nobody is asked.
#[track_caller]
fn check(identifiers: &[&str], table: &[(&str, String, &str)]) {
    for (what, servers, expected) in table {
        let expected: &[String] = match *expected {
            "-" => &[],
            names => &[format!("127.0.0.1:443 {names}")],
        };
        assert_eq!(asked(servers, identifiers), expected, "{what}");
    }
}

#[test]
fn names() {
    let all = "a.example,b.example,192.0.2.1";
    let two = "a.example,b.example";
    check(
        &["a.example", "b.example", "192.0.2.1"],
        &[
            ("alone and so the default", ours("x.example"), all),
            ("the default of old", ours("_"), all),
            ("behind a default", other("_") + &ours("A.example"), "a.example"),
            ("before another", ours("a.example") + &other("x.example"), all),
            ("another claims a name", other("b.example") + &ours("a.example"), two),
            ("another claims by wildcard", other("*.example") + &ours("z.example"), two),
            ("regex of another", ours("a.example") + &other("~^b"), "a.example,192.0.2.1"),
            ("our regex behind a default", other("_") + &ours("~^b a.example"), "a.example"),
            ("a wildcard of ours", other("_") + &ours("*.example"), two),
            ("with its base", other("_") + &ours(".b.example"), "b.example"),
            ("a wildcard at the end", other("_") + &ours("b.*"), "b.example"),
            ("nothing of ours", other("_") + &ours("x.example"), "-"),
            ("nowhere ours", other("a.example"), "-"),
        ],
    );
}

#[test]
fn names_of_a_wildcard() {
    let by_two = "*.b.example,w.b.example";
    check(
        &["*.b.example"],
        &[
            ("named", other("_") + &ours("w.b.example v.w.b.example"), "w.b.example"),
            ("by a wildcard", other("_") + &ours("*.b.example"), "*.b.example"),
            ("by default", ours("w.b.example"), by_two),
            (
                "what others name is theirs",
                other("w.b.example") + &ours("v.b.example"),
                "v.b.example",
            ),
        ],
    );
}

#[test]
fn servers_that_share_a_socket() {
    let ours = "ssl_certificate /live/x; server_name a.example;";
    let table: &[(&str, String, &[&str])] = &[
        (
            "default_server wins wherever it stands",
            format!(
                "server {{ listen 443; {ours} }} server {{ listen 443 ssl default_server; ssl_certificate /etc/x; }}"
            ),
            &["127.0.0.1:443 a.example"],
        ),
        (
            "one address apart from the rest",
            format!(
                "server {{ listen 443 ssl; {ours} }} server {{ listen 127.0.0.1:443 ssl; ssl_certificate /etc/x; }}"
            ),
            &["127.0.0.2:443 a.example,b.example"],
        ),
        (
            "each socket by itself",
            format!(
                "server {{ listen 443 ssl; {ours} }} server {{ listen 8443 ssl; listen 443 ssl; ssl_certificate /etc/x; server_name b.example; }}"
            ),
            &["127.0.0.1:443 a.example,b.example"],
        ),
    ];
    for (what, servers, expected) in table {
        assert_eq!(asked(servers, &["a.example", "b.example"]), *expected, "{what}");
    }
}

proptest! {
    #[test]
    fn any_socket_is_read_or_left_out(
        socket in "[0-9a-z:.*\\[\\]\\-]{0,24}",
        parameters in prop::collection::vec("ssl|default_server|quic|ipv6only=off|x", 0..4),
    ) {
        let parameters: Vec<_> = parameters.iter().map(String::as_str).collect();
        let found = Listen::read(&socket, &parameters);
        prop_assert!(found.len() <= 16 && found.iter().all(|listen| listen.socket.port > 0));
        prop_assert!(!parameters.contains(&"quic") || found.is_empty());
    }

    #[test]
    fn what_is_written_out_fits_itself(name in "[a-z]{1,5}(\\.[a-z]{1,5}){1,3}") {
        let (starred, dotted) = (format!("*.{name}"), format!(".{name}"));
        let (below, beside) = (format!("x.{name}"), format!("x{name}"));
        for (pattern, fitting) in [
            (&name, vec![&name]),
            (&dotted, vec![&name, &below]),
            (&starred, vec![&below]),
        ] {
            for asked in [&name, &below, &beside] {
                prop_assert_eq!(fits(pattern, asked), fitting.contains(&asked));
            }
        }
    }
}
