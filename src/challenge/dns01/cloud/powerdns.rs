//! Through the library to a real PowerDNS, and to servers that misbehave in its place.

use std::fs;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use tempfile::TempDir;
use tokio::time::Instant;

use super::zone::Cloud;
use super::*;
use crate::challenge::dns01::conformance::{Bed, conforms, txt, value};
use crate::model::txt::Txt;
use crate::ports::free_ports;

const APEX: &str = "example.com";
const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

/// A PowerDNS with one zone, of a test's own.
struct PowerDns {
    process: Child,
    home: TempDir,
    dns: u16,
    api: u16,
}

impl PowerDns {
    #[allow(clippy::disallowed_methods, reason = "the server of the test reads these files")]
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let at = home.path().display();
        let [dns, api] = free_ports();
        let settings = format!(
            "launch=gsqlite3\ngsqlite3-database={at}/db\nsocket-dir={at}\nsecurity-poll-suffix=\n\
             local-address=127.0.0.1\nlocal-port={dns}\napi=yes\napi-key=hush-hush\n\
             webserver-address=127.0.0.1\nwebserver-port={api}\nwebserver-allow-from=127.0.0.1\n\
             zone-cache-refresh-interval=0\ncache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\n"
        );
        fs::write(home.path().join("pdns.conf"), settings).unwrap();
        let schema = fs::File::open(SCHEMA).expect("pdns-backend-sqlite3 is installed");
        let mut made = Command::new("sqlite3");
        made.arg(home.path().join("db")).stdin(schema);
        assert!(made.status().expect("sqlite3 is installed").success());
        let config = format!("--config-dir={at}");
        let mut zone = Command::new("pdnsutil");
        zone.args([&config, "create-zone", APEX, "ns1.example.com"]);
        assert!(zone.output().expect("pdnsutil is installed").status.success());
        let mut server = Command::new("pdns_server");
        server.args([&config, "--guardian=no", "--daemon=no"]);
        server.stdout(Stdio::null()).stderr(Stdio::null());
        let process = server.spawn().expect("pdns_server is installed");
        let server = Self { process, home, dns, api };
        let began = Instant::now();
        while server.zone("hush-hush").check(APEX).await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "PowerDNS does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server
    }

    fn zone(&self, key: &str) -> Cloud {
        hands(&format!("http://127.0.0.1:{}", self.api), key)
    }

    /// What its name server shows, as `dig` reads it.
    fn dig(&self, owner: &str) -> Vec<String> {
        let mut dig = Command::new("dig");
        dig.args(["+short", "+tries=1", "-p", &self.dns.to_string(), "@127.0.0.1", owner, "TXT"]);
        let output = dig.output().expect("dig is installed");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| line.trim_matches('"').to_owned()).collect()
    }
}

impl Drop for PowerDns {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[async_trait]
impl Bed for PowerDns {
    fn apex(&self) -> String {
        APEX.to_owned()
    }

    async fn served(&mut self, owner: &str) -> Vec<String> {
        self.dig(owner)
    }

    async fn plant(&mut self, owner: &str, value: &str) {
        let home = format!("--config-dir={}", self.home.path().display());
        let mut add = Command::new("pdnsutil");
        add.args([&home, "add-record", APEX, owner.strip_suffix(".example.com").unwrap(), "TXT"]);
        let output = add.args(["120", &format!("\"{value}\"")]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

fn hands(url: &str, key: &str) -> Cloud {
    let credentials = Credentials::parse(&format!("url = '{url}'\nkey = '{key}'")).unwrap();
    Cloud::new("pdns", Company::find("pdns").unwrap(), &credentials).unwrap()
}

#[tokio::test]
async fn powerdns_keeps_the_contract() {
    let mut server = PowerDns::start().await;
    conforms(&server.zone("hush-hush"), &mut server).await;
}

#[tokio::test]
async fn powerdns_lets_nobody_else_in() {
    let server = PowerDns::start().await;
    let (stranger, friend) = (server.zone("wrong-key"), server.zone("hush-hush"));
    let record = txt(APEX, "", &value(1));
    let said = "pdns does not accept the credentials: HTTP 401";
    assert_eq!(stranger.check(APEX).await.unwrap_err().to_string(), said);
    let refused = stranger.add(std::slice::from_ref(&record)).await;
    assert_eq!(refused.unwrap_err().to_string(), said);
    assert_eq!(server.dig(&record.owner), Vec::<String>::new());
    let absent = friend.check("example.org").await.unwrap_err();
    assert_eq!(absent.to_string(), "pdns has no zone example.org");

    // What the library would panic over or write elsewhere never reaches it.
    for apex in ["example.org", "ample.com", ""] {
        let outside = Txt { apex: apex.to_owned(), ..record.clone() };
        let error = friend.add(&[outside]).await.unwrap_err();
        assert!(matches!(error, DnsError::Unwritable { .. }), "{error}");
    }
}

#[tokio::test]
async fn servers_that_misbehave() {
    let table = [
        (StatusCode::UNAUTHORIZED, "", "pdns does not accept the credentials: HTTP 401"),
        (StatusCode::FORBIDDEN, "", "pdns does not accept the credentials: HTTP 403"),
        (StatusCode::TOO_MANY_REQUESTS, "", "pdns has too many requests to answer"),
        (StatusCode::INTERNAL_SERVER_ERROR, "x", "pdns cannot be reached: HTTP 500: x"),
        (StatusCode::OK, "<html>", "pdns cannot be reached: its answer makes no sense"),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            "no hush-hush",
            "pdns refuses to change the zone example.com: HTTP 422: no ***",
        ),
    ];
    for (status, text, expected) in table {
        let answer = move || async move { (status, [(header::RETRY_AFTER, "0")], text) };
        let url = serve(answer).await;
        let zone = hands(&url, "hush-hush");
        let checked = zone.check(APEX).await.unwrap_err().to_string();
        assert!(checked.starts_with(expected), "{status}: {checked}");
        let added = zone.add(&[txt(APEX, "", &value(1))]).await.unwrap_err().to_string();
        assert!(added.starts_with(expected), "{status}: {added}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_and_one_that_is_away() {
    let url = serve(std::future::pending::<StatusCode>).await;
    let mut zone = hands(&url, "hush-hush");
    zone.patience = Duration::from_millis(300);
    let said = zone.check(APEX).await.unwrap_err().to_string();
    assert_eq!(said, "pdns cannot be reached: it was not done within 0 s");
    let [nobody] = free_ports();
    let away = hands(&format!("http://127.0.0.1:{nobody}"), "hush-hush");
    let said = away.check(APEX).await.unwrap_err().to_string();
    assert!(said.starts_with("pdns cannot be reached: no answer from http://127.0.0.1:"), "{said}");
}

#[tokio::test]
async fn a_library_that_panics_is_an_error() {
    let zone = hands("http://127.0.0.1:1", "hush-hush");
    let failed = zone.call(APEX, async { panic!("a bug of somebody else") }).await;
    let failed: Result<(), DnsError> = failed;
    let expected = "pdns refuses to change the zone example.com: \
                    the library that speaks with it failed";
    assert_eq!(failed.unwrap_err().to_string(), expected);
}

#[tokio::test]
async fn a_company_that_keeps_one_value_refuses_a_second() {
    let company = Company::find("duckdns").unwrap();
    let credentials = Credentials::parse("token = 'hush-hush'").unwrap();
    let zone = Cloud::new("duckdns", company, &credentials).unwrap();
    let [first, second] = [1, 2].map(|number| txt("me.duckdns.org", "", &value(number)));
    let error = zone.add(&[first, second]).await.unwrap_err();
    assert!(matches!(error, DnsError::Unwritable { .. }), "{error}");
    assert!(error.to_string().contains("Duck DNS keeps one value at a name"), "{error}");
    assert!(!zone.can_check());
}

async fn serve<R, F>(answer: impl Fn() -> F + Clone + Send + Sync + 'static) -> String
where
    R: IntoResponse,
    F: Future<Output = R> + Send,
{
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    url
}
