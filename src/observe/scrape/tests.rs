use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::model::outlook::sample::sample;

async fn serving(found: Result<Outlook, String>) -> SocketAddr {
    let listener = open((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let at = listener.local_addr().unwrap();
    let found = found.map(Arc::new);
    let look: Look = Arc::new(move || {
        let found = found.clone();
        Box::pin(async move { found })
    });
    tokio::spawn(serve(listener, look));
    at
}

async fn asks(at: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn gets(at: SocketAddr, path: &str) -> String {
    asks(at, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
}

#[tokio::test]
async fn two_paths_are_answered_and_no_other() {
    let mut outlook = sample(3);
    let at = serving(Ok(outlook.clone())).await;
    let answer = gets(at, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert!(answer.ends_with(&prometheus::text(&outlook)), "{answer}");
    let answer = gets(at, "/healthz").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with("at risk: host-2.example\n"), "{answer}");
    for path in ["/", "/metrics/", "/metrics/x", "/%6detrics/..", "//healthz"] {
        let answer = gets(at, path).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
    let answer = asks(at, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    let answer = asks(at, &format!("GET /{} HTTP/1.1\r\n", "x".repeat(LARGEST_HEAD))).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    outlook.certificates.truncate(1);
    let at = serving(Ok(outlook)).await;
    let answer = gets(at, "/healthz").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\r\n\r\nwell: "), "{answer}");
}

#[tokio::test]
async fn what_cannot_be_told_is_ill() {
    let at = serving(Err("the store is away".to_owned())).await;
    for path in ["/metrics", "/healthz"] {
        let answer = gets(at, path).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nthe store is away\n"), "{answer}");
    }
}

#[tokio::test]
async fn those_that_only_hold_the_line_wait_for_each_other_and_for_nobody_else() {
    let at = serving(Ok(sample(1))).await;
    let mut idle = Vec::new();
    for _ in 0..MOST_VISITS - 1 {
        idle.push(TcpStream::connect(at).await.unwrap());
    }
    assert!(gets(at, "/healthz").await.starts_with("HTTP/1.1 200 "));
    idle.push(TcpStream::connect(at).await.unwrap());
    // The last place is taken: whoever comes now is answered once one of them is sent away.
    let answer = timeout(HEAD * 2, gets(at, "/healthz")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
