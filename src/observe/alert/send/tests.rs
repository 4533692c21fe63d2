use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::super::Severity;
use super::super::medium::{Mail, MailServer};
use super::super::message::tests::news;
use super::*;
use crate::model::time::Timestamp;

type Seen = Arc<Mutex<Vec<(Method, String, HeaderMap, Value)>>>;

async fn answer(
    Shared(seen): Shared<Seen>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = serde_json::from_slice(&body).unwrap_or_default();
    seen.lock().unwrap().push((method, uri.to_string(), headers, body));
    match uri.path() {
        "/away" => axum::response::Redirect::temporary("/here").into_response(),
        "/no" => (StatusCode::FORBIDDEN, "no hunter22 \u{1b}[2J").into_response(),
        "/T/hunter23" => (StatusCode::NOT_FOUND, format!("Cannot POST {uri}")).into_response(),
        "/long" => (StatusCode::BAD_REQUEST, "x".repeat(1 << 24)).into_response(),
        _ => StatusCode::OK.into_response(),
    }
}

async fn serve() -> (String, Seen) {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let server = Router::new().fallback(answer).with_state(Arc::clone(&seen));
    tokio::spawn(async move { axum::serve(listener, server).await });
    (url, seen)
}

fn secret(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

async fn send(medium: Medium<Zeroizing<String>>, news: &[News]) -> Result<(), SendError> {
    let terms = Terms { name: "ops".to_owned(), severity: Severity::Warning, repeat: None };
    let origin = Origin { host: "web-1", at: Timestamp::from_unix(1_800_000_000) };
    let parcel = Parcel { origin, news, lasts: Duration::from_secs(3600), file: None };
    Receiver { terms, medium, template: None }.send(parcel).await
}

fn begun() -> [News; 1] {
    [news(State::Begun, "a", Severity::Warning)]
}

#[tokio::test]
async fn each_medium_is_asked_in_its_own_way() {
    let (url, seen) = serve().await;
    let token = || secret("hunter22");
    let address = |path: &str| secret(&format!("{url}{path}"));
    let room = "!r/../x:m.example".to_owned();
    let table = [
        (Medium::Webhook { url: address("/hook?x=1"), secret: Some(token()) }, "POST /hook?x=1"),
        (Medium::Slack { url: address("/services/T/B/x") }, "POST /services/T/B/x"),
        (
            Medium::Ntfy { url: address("/"), topic: "tls".to_owned(), token: Some(token()) },
            "POST /",
        ),
        (
            Medium::Alertmanager { url: address("/am/"), token: Some(token()) },
            "POST /am/api/v2/alerts",
        ),
        (
            Medium::Matrix { url: address(""), room, token: token() },
            "PUT /_matrix/client/v3/rooms/!r%2F..%2Fx:m.example/send/m.room.message/",
        ),
    ];
    for (medium, asked) in table {
        let (signed, has_token) =
            (matches!(medium, Medium::Webhook { .. }), medium.secret().is_some());
        send(medium, &begun()).await.unwrap();
        let (method, uri, headers, body) = seen.lock().unwrap().pop().unwrap();
        assert!(format!("{method} {uri}").starts_with(asked), "{method} {uri}");
        assert_eq!(headers["content-type"], "application/json");
        assert!(body.is_object() || body.is_array());
        assert_eq!(headers.contains_key("x-acmeagent-signature"), signed);
        if has_token && !signed {
            assert_eq!(headers["authorization"], "Bearer hunter22");
        }
    }
}

#[tokio::test]
async fn an_alertmanager_is_told_of_a_worse_one_as_of_another() {
    let (url, seen) = serve().await;
    let all = [
        news(State::Lasting, "a", Severity::Warning),
        news(State::Worsened, "b", Severity::Critical),
        news(State::Resolved, "c", Severity::Warning),
    ];
    send(Medium::Alertmanager { url: secret(&url), token: None }, &all).await.unwrap();
    let (.., body) = seen.lock().unwrap().pop().unwrap();
    let told: Vec<_> = body
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let label = |name: &str| one["labels"][name].as_str().unwrap();
            (label("certificate"), label("severity"), one["endsAt"].as_str().unwrap())
        })
        .collect();
    let (now, later) = ("2027-01-15T08:00:00Z", "2027-01-15T09:00:00Z");
    let expected = [
        ("a", "warning", later),
        ("b", "warning", now),
        ("b", "critical", later),
        ("c", "warning", now),
    ];
    assert_eq!(told, expected);
    assert_eq!(body[0]["startsAt"], "2027-01-15T06:00:00Z");
    assert_eq!(body[0]["labels"]["alertname"], "AcmeagentFailing");
    assert_eq!(body[0]["labels"]["instance"], "web-1");
}

#[tokio::test]
async fn failures_are_told_without_secrets() {
    let (url, _) = serve().await;
    let ntfy = |path: &str, token: &str| Medium::Ntfy {
        url: secret(&format!("{url}{path}")),
        topic: "t".to_owned(),
        token: Some(secret(token)),
    };
    let table = [
        ("/no", "127.0.0.1 answered 403 Forbidden: no *** \\u{1b}[2J", Some("token or secret")),
        ("/away", "127.0.0.1 answered 307", Some("not followed")),
        ("/T/hunter23?k=1", "127.0.0.1 answered 404 Not Found: Cannot POST ***?k=1", Some("url")),
        ("/long", "127.0.0.1 answered 400 Bad Request: xxx", None),
    ];
    for (path, says, hint) in table {
        let error = send(ntfy(path, "hunter22"), &begun()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(says) && text.len() < 400, "{text}");
        assert_eq!(error.hint().is_some(), hint.is_some());
        assert!(hint.is_none_or(|part| error.hint().unwrap().contains(part)));
    }
    let closed = Medium::Slack { url: secret("http://127.0.0.1:1/T/hunter22") };
    let error = send(closed, &begun()).await.unwrap_err().to_string();
    assert!(error.starts_with("127.0.0.1 could not be reached: "), "{error}");
    let open = Medium::Slack { url: secret("http://slack.example/hunter22") };
    let error = send(open, &begun()).await.unwrap_err().to_string();
    assert!(error.contains("https") && !error.contains("hunter22"), "{error}");
}

#[tokio::test]
async fn mail_names_its_server_when_it_fails() {
    let mail = Mail {
        from: "a@b.example".to_owned(),
        to: vec!["c@d.example".to_owned()],
        server: MailServer::parse("127.0.0.1:1").unwrap(),
        tls: MailTls::None,
        user: None,
    };
    let error = send(Medium::Email { mail, password: None }, &begun()).await.unwrap_err();
    assert!(error.to_string().starts_with("127.0.0.1:1 did not take the mail: "), "{error}");
}

#[test]
fn only_an_alertmanager_hears_what_lasts() {
    let all = || vec![news(State::Lasting, "a", Severity::Warning)];
    assert_eq!(worth_sending(&Medium::Slack { url: () }, all()), []);
    assert_eq!(worth_sending(&Medium::Alertmanager { url: (), token: None }, all()), all());
}
