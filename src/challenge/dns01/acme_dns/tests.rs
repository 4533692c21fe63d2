//! Against a server that does what the README of acme-dns says of its API.

use std::collections::HashMap;
use std::sync::Mutex;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;

use super::super::BoxError;
use super::super::api::tests::Served;
use super::super::conformance::{txt, value};
use super::super::program::tests::credentials;
use super::*;

#[derive(Default)]
struct Kept(Mutex<HashMap<String, Vec<u8>>>);

impl Memory for Kept {
    fn begin(&self, _: &str, _: &[Txt]) -> Result<(), BoxError> {
        Ok(())
    }

    fn done(&self, _: &str, _: &[Txt]) {}

    fn recall(&self, label: &str) -> Result<Option<Vec<u8>>, BoxError> {
        Ok(self.0.lock().unwrap().get(label).cloned())
    }

    fn keep(&self, label: &str, bytes: &[u8]) -> Result<(), BoxError> {
        self.0.lock().unwrap().insert(label.to_owned(), bytes.to_owned());
        Ok(())
    }
}

/// Values by subdomain, the last two of each.
type Values = Arc<Mutex<Vec<(String, Vec<String>)>>>;

async fn register(State(values): State<Values>) -> (StatusCode, Json<Value>) {
    let mut values = values.lock().unwrap();
    let number = values.len();
    values.push((format!("sub-{number}"), Vec::new()));
    let made = json!({
        "allowfrom": [],
        "fulldomain": format!("sub-{number}.auth.example.org"),
        "subdomain": format!("sub-{number}"),
        "username": format!("user-{number}"),
        "password": format!("password-{number}"),
    });
    (StatusCode::CREATED, Json(made))
}

async fn update(
    State(values): State<Values>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let mut values = values.lock().unwrap();
    let number = values.iter().position(|(subdomain, _)| body["subdomain"] == *subdomain);
    let lets_in = number.is_some_and(|number| {
        headers["X-Api-User"] == format!("user-{number}")
            && headers["X-Api-Key"] == format!("password-{number}")
    });
    let Some(number) = number.filter(|_| lets_in) else {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "forbidden" })));
    };
    let text = body["txt"].as_str().unwrap();
    if text.len() != 43 {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "bad_txt" })));
    }
    let shown = &mut values[number].1;
    shown.push(text.to_owned());
    let surplus = shown.len().saturating_sub(2);
    shown.drain(..surplus);
    (StatusCode::OK, Json(json!({ "txt": text })))
}

async fn server(values: &Values) -> Served {
    let router = Router::new()
        .route("/register", post(register))
        .route("/update", post(update))
        .route("/health", get(async || "OK"));
    Served::new(router.with_state(Arc::clone(values))).await
}

fn acme_dns(url: &Url, memory: &Arc<dyn Memory>) -> AcmeDns {
    AcmeDns::new("acme-dns:x", url, &Credentials::default(), memory).unwrap()
}

fn aliased(record: &Txt, owner: &str) -> Txt {
    Txt { owner: owner.to_owned(), apex: "auth.example.org".to_owned(), ..record.clone() }
}

#[tokio::test]
async fn a_name_is_registered_once_and_then_written_by_its_alias() {
    let (values, memory) = (Values::default(), Arc::new(Kept::default()) as Arc<dyn Memory>);
    let server = server(&values).await;
    let zone = acme_dns(&server.url, &memory);
    zone.check("example.com").await.unwrap();
    let (base, wildcard) = (txt("example.com", "", &value(1)), txt("example.com", "", &value(2)));
    let other = txt("example.com", "a", &value(3));
    for _ in 0..2 {
        let records = [base.clone(), other.clone(), wildcard.clone()];
        let error = zone.add(&records).await.unwrap_err();
        let DnsError::NoAlias { aliases } = &error else { panic!("{error}") };
        let pair = |name: &str, target: &str| (name.to_owned(), target.to_owned());
        let expected = [
            pair("_acme-challenge.a.example.com", "sub-0.auth.example.org"),
            pair("_acme-challenge.example.com", "sub-1.auth.example.org"),
        ];
        assert_eq!(*aliases, expected);
        let record = "_acme-challenge.example.com. CNAME sub-1.auth.example.org.";
        assert!(error.hint().unwrap().contains(record), "{error}");
    }
    assert!(values.lock().unwrap().iter().all(|(_, shown)| shown.is_empty()));

    // Another process goes on with what the first one has kept.
    let zone = acme_dns(&server.url, &memory);
    let owner = "SUB-1.auth.example.org";
    let records = [base, wildcard].map(|record| aliased(&record, owner));
    for _ in 0..2 {
        zone.add(&records).await.unwrap();
        assert_eq!(values.lock().unwrap()[1].1, [value(1), value(2)]);
    }
    zone.remove(&records).await.unwrap();
    assert_eq!(values.lock().unwrap().len(), 2, "registered once each");
}

#[tokio::test]
async fn a_registration_made_elsewhere_is_taken() {
    let (values, memory) = (Values::default(), Arc::new(Kept::default()) as Arc<dyn Memory>);
    let server = server(&values).await;
    let _ = register(State(Arc::clone(&values))).await;
    let text =
        "username = \"user-0\"\nsubdomain = \"sub-0\"\nfulldomain = \"sub-0.auth.example.org\"\n";
    let made = |password: &str| {
        let credentials = credentials(&format!("{text}password = \"{password}\""));
        AcmeDns::new("acme-dns:x", &server.url, &credentials, &memory)
    };
    let record = aliased(&txt("example.com", "", &value(1)), "sub-0.auth.example.org");
    made("password-0").unwrap().add(std::slice::from_ref(&record)).await.unwrap();
    assert_eq!(values.lock().unwrap()[0].1, [value(1)]);
    let error = made("wrong-word").unwrap().add(&[record]).await.unwrap_err();
    assert!(matches!(error, DnsError::Unauthorized { .. }), "{error}");
    assert!(!error.to_string().contains("wrong-word"), "{error}");

    for bad in [text, "X = \"y\"\n", &text.replace("sub-0.auth", "sub-9.auth")] {
        let bad =
            credentials(&format!("{bad}{}", if bad == text { "" } else { "password = \"p\"" }));
        assert!(AcmeDns::new("acme-dns:x", &server.url, &bad, &memory).is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn what_a_server_makes_up_is_refused() {
    let memory = Arc::new(Kept::default()) as Arc<dyn Memory>;
    let record = txt("example.com", "", &value(1));
    let good =
        json!({"username": "u", "password": "p", "fulldomain": "s.d.example", "subdomain": "s"});
    let twist = |key: &str, text: &str| {
        let mut twisted = good.clone();
        twisted[key] = text.into();
        twisted
    };
    let table = [
        json!({}),
        json!("text"),
        twist("fulldomain", "other.d.example"),
        twist("fulldomain", "s.d example"),
        twist("password", "p\r\nX-Other: 1"),
        twist("subdomain", ""),
    ];
    for made in table {
        let shown = made.to_string();
        let answer = post(async move || Json(made.clone()));
        let server = Served::new(Router::new().route("/register", answer)).await;
        let error =
            acme_dns(&server.url, &memory).add(std::slice::from_ref(&record)).await.unwrap_err();
        assert!(matches!(error, DnsError::Failed { .. }), "{shown} {error}");
    }
    let closed = Served::new(Router::new()).await;
    let zone = acme_dns(&closed.url, &memory);
    let error = zone.add(std::slice::from_ref(&record)).await.unwrap_err();
    assert!(matches!(error, DnsError::Refused { .. }), "{error}");
    let many = [1, 2, 3].map(|number| Txt { value: value(number), ..record.clone() });
    let error = zone.add(&many).await.unwrap_err();
    assert!(matches!(error, DnsError::Unwritable { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_registration_is_named_and_kept() {
    let (values, kept) = (Values::default(), Arc::new(Kept::default()));
    let server = server(&values).await;
    let label = "acme-dns:x _acme-challenge.example.com";
    kept.keep(label, b"{\"username\": \"secret77").unwrap();
    let memory = Arc::clone(&kept) as Arc<dyn Memory>;
    let error =
        acme_dns(&server.url, &memory).add(&[txt("example.com", "", &value(1))]).await.unwrap_err();
    assert!(error.to_string().contains("damaged") && !error.to_string().contains("secret77"));
    assert_eq!(kept.recall(label).unwrap().unwrap(), b"{\"username\": \"secret77");
    assert!(values.lock().unwrap().is_empty());
}
