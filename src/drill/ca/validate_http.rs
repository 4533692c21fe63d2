//! Validation by http-01 (RFC 8555 §8.3), as strictly as Let's Encrypt does it.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::any_certificate::client_config;
use super::problem::{Kind, Problem};
use super::validate::{connect, own_address, this_machine};
use crate::model::challenge::{Challenge, ValidationPorts};
use crate::model::name::Identifier;

/// A key authorization has 87 bytes here; whoever sends this many is not answering the challenge.
const LONGEST_BODY: usize = 128;
/// All response headers together.
const LARGEST_HEAD: usize = 16 * 1024;
/// How often the client's server may point elsewhere.
const MOST_REDIRECTS: usize = 10;
const LONGEST_PATH: usize = 2000;

/// Fetches the key authorization, following redirects, and compares it.
pub(super) async fn check(ports: &ValidationPorts, challenge: &Challenge) -> Result<(), Problem> {
    let mut visited = vec![first(challenge)?];
    loop {
        let here = &visited[visited.len() - 1];
        let response = fetch(ports, here).await?;
        match response.head.status {
            StatusCode::OK => return compare(response, challenge).await,
            StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT => {
                let next = next(&visited, response.location(), ports)?;
                visited.push(next);
            }
            status => return Err(incorrect(format!("{here} answered {status}"))),
        }
    }
}

/// What a public CA would ask port 80 for, wherever this one really connects.
fn first(challenge: &Challenge) -> Result<Url, Problem> {
    let host = match &challenge.identifier {
        Identifier::Ip(ip) if ip.is_ipv6() => format!("[{ip}]"),
        other => other.to_string(),
    };
    let token = challenge.token.as_str();
    let url = format!("http://{host}/.well-known/acme-challenge/{token}");
    Url::parse(&url).map_err(|why| Problem::internal(&why))
}

/// Where a redirect leads, if it may lead there.
fn next(visited: &[Url], location: Option<&str>, ports: &ValidationPorts) -> Result<Url, Problem> {
    let here = &visited[visited.len() - 1];
    let refused =
        |why: String| Problem::new(Kind::Connection, format!("redirected by {here}: {why}"));
    let Some(location) = location else {
        return Err(refused("there is no readable Location".to_owned()));
    };
    let next = here.join(location).map_err(|why| refused(format!("{location:?}: {why}")))?;
    if visited.len() > MOST_REDIRECTS {
        return Err(refused(format!("more than {MOST_REDIRECTS} redirects")));
    }
    if !matches!(next.scheme(), "http" | "https") {
        return Err(refused(format!("{next} is neither http nor https")));
    }
    if real_port(&next, ports).is_none() {
        return Err(refused(format!("{next} is on a port other than 80 and 443")));
    }
    match next.host() {
        Some(Host::Domain(name)) if !name.contains('.') || name.ends_with('.') => {
            return Err(refused(format!("{name} does not end in a top-level domain")));
        }
        _ => {}
    }
    if next.path().len() > LONGEST_PATH {
        return Err(refused(format!("a path of more than {LONGEST_PATH} bytes")));
    }
    if visited.contains(&next) {
        return Err(refused(format!("{next} was asked already")));
    }
    Ok(next)
}

/// The port to connect to for this URL: its own, or what stands for 80 and 443 here.
fn real_port(url: &Url, ports: &ValidationPorts) -> Option<u16> {
    let (http, https) = (ports.http_01(), ports.tls_alpn_01());
    match url.port_or_known_default()? {
        80 => Some(http),
        443 => Some(https),
        port => [http, https].contains(&port).then_some(port),
    }
}

/// An answer of which nothing but the head is read yet.
struct Answer {
    head: http::response::Parts,
    body: Incoming,
    /// Drives the connection, which ends with it.
    _driver: JoinSet<()>,
}

impl Answer {
    fn location(&self) -> Option<&str> {
        self.head.headers.get(header::LOCATION)?.to_str().ok()
    }
}

async fn fetch(ports: &ValidationPorts, url: &Url) -> Result<Answer, Problem> {
    let addresses = match url.host() {
        Some(Host::Ipv4(ip)) => own_address(ip.into())?,
        Some(Host::Ipv6(ip)) => own_address(ip.into())?,
        Some(Host::Domain(_)) | None => this_machine(),
    };
    // The ports are shared, and may have changed since the URL was found good.
    let port = real_port(url, ports)
        .ok_or_else(|| Problem::new(Kind::Connection, format!("{url}: not a port of this CA")))?;
    let stream = connect(&addresses, port).await?;
    if url.scheme() == "http" {
        return ask(stream, url).await;
    }
    let tls = |why: String| Problem::new(Kind::Tls, format!("{url}: {why}"));
    let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(name).map_err(|why| tls(why.to_string()))?;
    let config = client_config(b"http/1.1").map_err(|why| Problem::internal(&why))?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    ask(stream.map_err(|why| tls(format!("the TLS handshake failed: {why}")))?, url).await
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    url: &Url,
) -> Result<Answer, Problem> {
    let broken = |why: hyper::Error| Problem::new(Kind::Connection, format!("HTTP failed: {why}"));
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(LARGEST_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let mut driver = JoinSet::new();
    driver.spawn(async {
        // What goes wrong with it, the request is told.
        let _ = connection.await;
    });
    let response: Response<Incoming> = sender.send_request(request(url)?).await.map_err(broken)?;
    let (head, body) = response.into_parts();
    Ok(Answer { head, body, _driver: driver })
}

fn request(url: &Url) -> Result<Request<Empty<Bytes>>, Problem> {
    Request::get(&url[url::Position::BeforePath..url::Position::AfterQuery])
        .header(header::HOST, &url[url::Position::BeforeHost..url::Position::AfterPort])
        .header(header::USER_AGENT, concat!("acmeagent-drill/", env!("CARGO_PKG_VERSION")))
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|why| Problem::internal(&why))
}

async fn compare(answer: Answer, challenge: &Challenge) -> Result<(), Problem> {
    let body = Limited::new(answer.body, LONGEST_BODY - 1).collect().await;
    let body = body.map_err(|why| incorrect(format!("the body cannot be read: {why}")))?;
    let body = body.to_bytes();
    if body.trim_ascii_end() == challenge.key_authorization.as_str().as_bytes() {
        return Ok(());
    }
    let found = String::from_utf8_lossy(&body);
    Err(incorrect(format!("the key authorization is wrong: {found:?}")))
}

fn incorrect(detail: String) -> Problem {
    Problem::new(Kind::IncorrectResponse, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn redirects_lead_where_a_public_ca_would_follow() {
        let ports = ValidationPorts::new(5002, 5001);
        let long = format!("/{}", "a".repeat(1999));
        let longer = format!("/{}", "a".repeat(2000));
        let table = [
            ("/elsewhere", "http://a.example/elsewhere"),
            ("https://b.example/x?y=z", "https://b.example/x?y=z"),
            ("http://B.EXAMPLE:443/x", "http://b.example:443/x"),
            ("https://b.example:80/", "https://b.example:80/"),
            ("http://b.example:5002/", "http://b.example:5002/"),
            ("https://127.0.0.1:5001/", "https://127.0.0.1:5001/"),
            ("//192.0.2.1/", "http://192.0.2.1/"),
            ("http://[::1]/", "http://[::1]/"),
            (&long, &format!("http://a.example{long}")),
            ("", "was asked already"),
            ("/token", "was asked already"),
            ("http://A.example:80/token", "was asked already"),
            ("ftp://b.example/", "neither http nor https"),
            ("javascript:alert(1)", "neither http nor https"),
            ("http://b.example:8080/", "port other than 80 and 443"),
            ("https://b.example:22/", "port other than 80 and 443"),
            ("http://localhost/", "top-level domain"),
            ("http://b.example./", "top-level domain"),
            ("http://", "empty host"),
            (&longer, "more than 2000 bytes"),
        ];
        for (location, expected) in table {
            let visited = [url("http://a.example/first"), url("http://a.example/token")];
            match next(&visited, Some(location), &ports) {
                Ok(next) => assert_eq!(next.as_str(), expected, "{location}"),
                Err(why) => {
                    let why = serde_json::to_value(why).unwrap()["detail"].to_string();
                    assert!(why.contains(expected), "{location}: {why}");
                }
            }
        }
        assert!(next(&[url("http://a.example/")], None, &ports).is_err());
    }

    #[test]
    fn ten_redirects_are_followed_and_no_more() {
        let ports = ValidationPorts::default();
        let mut visited = vec![url("http://a.example/0")];
        for step in 1..=10 {
            visited.push(next(&visited, Some(&format!("/{step}")), &ports).unwrap());
        }
        assert!(next(&visited, Some("/11"), &ports).is_err());
    }

    #[test]
    fn the_ports_of_the_web_stand_for_those_of_the_solver() {
        let ports = ValidationPorts::new(5002, 5001);
        let table = [
            ("http://a.example/", 5002),
            ("https://a.example/", 5001),
            ("http://a.example:443/", 5001),
            ("https://a.example:5002/", 5002),
        ];
        for (text, port) in table {
            assert_eq!(real_port(&url(text), &ports), Some(port), "{text}");
        }
    }
}
