//! Servers that speak lego's `httpreq`.

use async_trait::async_trait;
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use super::api::Api;
use super::credentials::Credentials;
use super::{DnsError, Zone};
use crate::model::txt::Txt;

/// Posts `fqdn` and `value` to `present` and `cleanup`, as lego does without `HTTPREQ_MODE=RAW`.
pub(super) struct HttpReq {
    api: Api,
    login: Option<(String, Zeroizing<String>)>,
}

impl HttpReq {
    /// Takes `username` and `password` for basic authentication, both or none.
    pub(super) fn new(label: &str, url: &Url, credentials: &Credentials) -> Result<Self, DnsError> {
        let unusable = |why: String| DnsError::Credentials { provider: label.to_owned(), why };
        if let Some(key) = credentials.keys().find(|key| !["username", "password"].contains(key)) {
            return Err(unusable(format!("{} is not known", key.escape_debug())));
        }
        let login = match (credentials.get("username"), credentials.get("password")) {
            (Some(name), Some(word)) => Some((name.to_owned(), Zeroizing::new(word.to_owned()))),
            (None, None) => None,
            (Some(_), None) => return Err(unusable("password is missing".to_owned())),
            (None, Some(_)) => return Err(unusable("username is missing".to_owned())),
        };
        Ok(Self { api: Api::new(label, url)?, login })
    }

    async fn post(&self, path: &str, record: &Txt) -> Result<(), DnsError> {
        let body = json!({ "fqdn": format!("{}.", record.owner), "value": record.value });
        let request = self.api.post(path).json(&body);
        let request = match &self.login {
            Some((name, word)) => request.basic_auth(name, Some(word.as_str())),
            None => request,
        };
        let reply = self.api.send(request).await?;
        if reply.status.is_success() {
            return Ok(());
        }
        let secrets: Vec<&str> = self.login.iter().map(|(_, word)| word.as_str()).collect();
        Err(self.api.refusal(&reply, &record.apex, &secrets))
    }
}

#[async_trait]
impl Zone for HttpReq {
    fn label(&self) -> &str {
        self.api.label()
    }

    fn needs_zone(&self) -> bool {
        false
    }

    /// Only that the server answers: the protocol has no request that changes nothing.
    async fn check(&self, _: &str) -> Result<(), DnsError> {
        self.api.send(self.api.get("present")).await.map(drop)
    }

    async fn add(&self, records: &[Txt]) -> Result<(), DnsError> {
        for record in records {
            self.post("present", record).await?;
        }
        Ok(())
    }

    async fn remove(&self, records: &[Txt]) -> Result<(), DnsError> {
        let mut first = Ok(());
        for record in records {
            first = first.and(self.post("cleanup", record).await);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;
    use axum::{Json, Router};
    use serde_json::Value;

    use super::super::api::tests::Served;
    use super::super::conformance::{Bed, conforms, txt, value};
    use super::super::program::tests::credentials;
    use super::*;

    type Records = Arc<Mutex<Vec<(String, String)>>>;

    fn record(body: &Value) -> (String, String) {
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
        let text = |key: &str| body[key].as_str().unwrap().to_owned();
        (text("fqdn"), text("value"))
    }

    fn lets_in(headers: &HeaderMap) -> bool {
        headers["authorization"] == "Basic dXNlcjpodW50ZXIyMg=="
    }

    async fn present(
        State(records): State<Records>,
        headers: HeaderMap,
        Json(body): Json<Value>,
    ) -> StatusCode {
        if !lets_in(&headers) {
            return StatusCode::UNAUTHORIZED;
        }
        let (record, mut records) = (record(&body), records.lock().unwrap());
        if !records.contains(&record) {
            records.push(record);
        }
        StatusCode::OK
    }

    async fn cleanup(
        State(records): State<Records>,
        headers: HeaderMap,
        Json(body): Json<Value>,
    ) -> StatusCode {
        if !lets_in(&headers) {
            return StatusCode::UNAUTHORIZED;
        }
        let record = record(&body);
        records.lock().unwrap().retain(|other| *other != record);
        StatusCode::NO_CONTENT
    }

    async fn server(records: &Records) -> Served {
        let router =
            Router::new().route("/present", post(present)).route("/cleanup", post(cleanup));
        Served::new(router.with_state(Arc::clone(records))).await
    }

    #[async_trait]
    impl Bed for Records {
        fn apex(&self) -> String {
            "example.com".to_owned()
        }

        async fn served(&mut self, owner: &str) -> Vec<String> {
            let records = self.lock().unwrap();
            let here = records.iter().filter(|(name, _)| name.trim_end_matches('.') == owner);
            here.map(|(_, value)| value.clone()).collect()
        }

        async fn plant(&mut self, owner: &str, value: &str) {
            self.lock().unwrap().push((owner.to_owned(), value.to_owned()));
        }
    }

    const LOGIN: &str = "username = \"user\"\npassword = \"hunter22\"";

    #[tokio::test]
    async fn keeps_the_contract_of_providers() {
        let mut records = Records::default();
        let server = server(&records).await;
        let zone = HttpReq::new("httpreq:x", &server.url, &credentials(LOGIN)).unwrap();
        conforms(&zone, &mut records).await;
    }

    #[tokio::test]
    async fn names_end_in_a_dot_and_wrong_passwords_are_told() {
        let records = Records::default();
        let server = server(&records).await;
        let record = [txt("example.com", "", &value(1))];
        let zone = HttpReq::new("httpreq:x", &server.url, &credentials(LOGIN)).unwrap();
        zone.add(&record).await.unwrap();
        assert_eq!(
            records.lock().unwrap()[0],
            ("_acme-challenge.example.com.".to_owned(), value(1))
        );

        let wrong = credentials("username = \"user\"\npassword = \"wrong\"");
        let zone = HttpReq::new("httpreq:x", &server.url, &wrong).unwrap();
        let error = zone.add(&record).await.unwrap_err();
        assert!(matches!(error, DnsError::Unauthorized { .. }), "{error}");

        for bad in ["username = \"u\"", "password = \"p\"", "HTTPREQ_USERNAME = \"u\""] {
            assert!(HttpReq::new("httpreq:x", &server.url, &credentials(bad)).is_err(), "{bad}");
        }
        let [nobody] = crate::ports::free_ports();
        let url = Url::parse(&format!("http://127.0.0.1:{nobody}/")).unwrap();
        let zone = HttpReq::new("httpreq:x", &url, &Credentials::default()).unwrap();
        let error = zone.check("example.com").await.unwrap_err();
        assert!(matches!(error, DnsError::Unreachable { .. }), "{error}");
    }

    #[tokio::test]
    async fn an_answer_without_end_is_cut_short() {
        let endless = || async { "x".repeat(10_000_000) };
        let server = Served::new(Router::new().route("/present", post(endless))).await;
        let zone = HttpReq::new("httpreq:x", &server.url, &Credentials::default()).unwrap();
        let error = zone.add(&[txt("example.com", "", &value(1))]).await.unwrap_err();
        assert!(error.to_string().contains("more than 65536 bytes"), "{error}");
    }
}
