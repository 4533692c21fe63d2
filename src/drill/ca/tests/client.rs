//! A client that signs by hand, so that it can sign wrongly too.

use std::path::Path;
use std::sync::Mutex;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use data_encoding::BASE64URL_NOPAD;
use reqwest::{Certificate, Method};
use serde_json::{Value, json};

use super::super::Running;
use super::super::public_key::PublicKey;
use super::solver::{Page, Solver};

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

pub(super) enum Key {
    Ecdsa { pair: EcdsaKeyPair, alg: &'static str, crv: &'static str },
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    pub(super) fn p256() -> Self {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self::Ecdsa { pair, alg: "ES256", crv: "P-256" }
    }

    pub(super) fn p384() -> Self {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        Self::Ecdsa { pair, alg: "ES384", crv: "P-384" }
    }

    pub(super) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(rsa::KeySize::Rsa2048).unwrap())
    }

    pub(super) fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    /// The key a certificate was requested with.
    pub(super) fn of_certificate(key: &rcgen::KeyPair) -> Self {
        let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, key.serialized_der()).unwrap();
        Self::Ecdsa { pair, alg: "ES256", crv: "P-256" }
    }

    pub(super) fn alg(&self) -> &'static str {
        match self {
            Self::Ecdsa { alg, .. } => alg,
            Self::Rsa(_) => "RS256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    pub(super) fn jwk(&self) -> Value {
        match self {
            Self::Ecdsa { pair, crv, .. } => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({ "kty": "EC", "crv": crv, "x": b64(x), "y": b64(y) })
            }
            Self::Rsa(pair) => {
                let key = pair.public_key();
                let n = b64(key.modulus().big_endian_without_leading_zero());
                let e = b64(key.exponent().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "n": n, "e": e })
            }
            Self::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key()) })
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ecdsa { pair, .. } => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding = &signature::RSA_PKCS1_SHA256;
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    pub(super) fn thumbprint(&self) -> String {
        serde_json::from_value::<PublicKey>(self.jwk()).unwrap().thumbprint()
    }

    pub(super) fn jws(&self, header: &Value, payload: &str) -> Value {
        let (header, payload) = (b64(header.to_string()), b64(payload));
        let signature = b64(self.sign(format!("{header}.{payload}").as_bytes()));
        json!({ "protected": header, "payload": payload, "signature": signature })
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: http::HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(super) fn location(&self) -> String {
        self.headers["location"].to_str().unwrap().to_owned()
    }

    /// Passes when this is a problem document of the given kind and status.
    #[track_caller]
    pub(super) fn refuses(&self, kind: &str, status: u16) {
        let found = self.json();
        assert_eq!(found["type"], format!("urn:ietf:params:acme:error:{kind}"), "{found}");
        assert_eq!((self.status, &found["status"]), (status, &json!(status)), "{found}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
    }
}

pub(super) struct Client {
    pub(super) http: reqwest::Client,
    pub(super) directory: Value,
    pub(super) key: Key,
    pub(super) kid: Option<String>,
    pub(super) nonce: Mutex<Option<String>>,
}

pub(super) fn http_client(tls_root: &Path) -> reqwest::Client {
    let root = Certificate::from_pem(&std::fs::read(tls_root).unwrap()).unwrap();
    reqwest::Client::builder().tls_certs_only([root]).build().unwrap()
}

impl Client {
    pub(super) async fn new(ca: &Running, key: Key) -> Self {
        let http = http_client(&ca.tls_root);
        let directory = http.get(&ca.directory).send().await.unwrap().text().await.unwrap();
        let directory = serde_json::from_str(&directory).unwrap();
        Self { http, directory, key, kid: None, nonce: Mutex::new(None) }
    }

    /// A client with an account.
    pub(super) async fn registered(ca: &Running, key: Key) -> Self {
        let mut client = Self::new(ca, key).await;
        let payload = json!({ "termsOfServiceAgreed": true });
        let answer = client.post(&client.url("newAccount"), &payload).await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        client.kid = Some(answer.location());
        client
    }

    pub(super) fn url(&self, resource: &str) -> String {
        self.directory[resource].as_str().unwrap().to_owned()
    }

    pub(super) async fn send(&self, method: Method, url: &str, body: Vec<u8>) -> Answer {
        let request = self.http.request(method, url).body(body);
        let request = request.header("content-type", "application/jose+json");
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let nonce = headers.get("replay-nonce").map(|nonce| nonce.to_str().unwrap().to_owned());
        *self.nonce.lock().unwrap() = nonce;
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    pub(super) async fn nonce(&self) -> String {
        if let Some(nonce) = self.nonce.lock().unwrap().take() {
            return nonce;
        }
        let answer = self.send(Method::HEAD, &self.url("newNonce"), Vec::new()).await;
        assert_eq!(answer.status, 200);
        self.nonce.lock().unwrap().take().unwrap()
    }

    /// The header a correct request to `url` has.
    pub(super) async fn header(&self, url: &str) -> Value {
        let mut header = json!({ "alg": self.key.alg(), "nonce": self.nonce().await, "url": url });
        match &self.kid {
            Some(kid) => header["kid"] = json!(kid),
            None => header["jwk"] = self.key.jwk(),
        }
        header
    }

    pub(super) async fn post(&self, url: &str, payload: &Value) -> Answer {
        let header = self.header(url).await;
        self.post_with(url, &header, &payload.to_string()).await
    }

    /// POST-as-GET.
    pub(super) async fn fetch(&self, url: &str) -> Answer {
        let header = self.header(url).await;
        self.post_with(url, &header, "").await
    }

    pub(super) async fn post_with(&self, url: &str, header: &Value, payload: &str) -> Answer {
        let body = self.key.jws(header, payload).to_string().into_bytes();
        self.send(Method::POST, url, body).await
    }

    /// Opens an order; `more` is merged into the request.
    pub(super) async fn order(&self, names: &[&str], more: Value) -> Answer {
        let mut payload =
            json!({ "identifiers": names.iter().map(identifier).collect::<Vec<_>>() });
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.post(&self.url("newOrder"), &payload).await
    }

    /// Proves every identifier of an order by http-01 and waits until the CA has looked.
    pub(super) async fn prove(&self, order: &Value, solver: &Solver) {
        for url in order["authorizations"].as_array().unwrap() {
            let authorization = self.fetch(url.as_str().unwrap()).await.json();
            let challenge = challenge(&authorization, "http-01");
            let token = challenge["token"].as_str().unwrap();
            solver.show(token, Page::Body(format!("{token}.{}", self.key.thumbprint())));
            let answer = self.post(challenge["url"].as_str().unwrap(), &json!({})).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let decided = self.decided(url.as_str().unwrap()).await;
            assert_eq!(decided["status"], "valid", "{decided}");
        }
    }

    /// Has an identifier looked for that shows nothing.
    pub(super) async fn fail(&self, order: &Value) {
        let url = order["authorizations"][0].as_str().unwrap();
        let authorization = self.fetch(url).await.json();
        let challenge = challenge(&authorization, "http-01");
        self.post(challenge["url"].as_str().unwrap(), &json!({})).await;
        assert_eq!(self.decided(url).await["status"], "invalid");
    }

    /// Asks the management, by POST if there is something to say.
    pub(super) async fn manage(&self, ca: &Running, path: &str, body: Option<Value>) -> Answer {
        let url = format!("{}/{path}", ca.management);
        match body {
            Some(body) => self.send(Method::POST, &url, body.to_string().into_bytes()).await,
            None => self.send(Method::GET, &url, Vec::new()).await,
        }
    }

    /// Polls an authorization until it is no longer pending; validation itself has a deadline.
    pub(super) async fn decided(&self, url: &str) -> Value {
        loop {
            let authorization = self.fetch(url).await.json();
            if authorization["status"] != "pending" {
                return authorization;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    /// Everything from order to certificate.
    pub(super) async fn issue(&self, names: &[&str], more: Value, solver: &Solver) -> Issued {
        let answer = self.order(names, more).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let order = answer.json();
        self.prove(&order, solver).await;
        let key = rcgen::KeyPair::generate().unwrap();
        let answer = self.finalize(&order, &csr(names, &key)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let order = answer.json();
        assert_eq!(order["status"], "valid", "{order}");
        let url = order["certificate"].as_str().unwrap().to_owned();
        let chain = self.fetch(&url).await;
        assert_eq!(chain.headers["content-type"], "application/pem-certificate-chain");
        Issued { order, url, chain: chain.text, alternate: link(&chain.headers, "alternate"), key }
    }

    pub(super) async fn finalize(&self, order: &Value, csr: &[u8]) -> Answer {
        self.post(order["finalize"].as_str().unwrap(), &json!({ "csr": b64(csr) })).await
    }
}

/// What an order ended with.
pub(super) struct Issued {
    pub(super) order: Value,
    pub(super) url: String,
    pub(super) chain: String,
    pub(super) alternate: Option<String>,
    pub(super) key: rcgen::KeyPair,
}

impl Issued {
    pub(super) fn leaf(&self) -> Vec<u8> {
        x509_parser::pem::parse_x509_pem(self.chain.as_bytes()).unwrap().1.contents
    }

    /// RFC 9773 §4.1, from the certificate alone.
    pub(super) fn cert_id(&self) -> String {
        let leaf = self.leaf();
        let (_, leaf) = x509_parser::parse_x509_certificate(&leaf).unwrap();
        let key = leaf.iter_extensions().find_map(|extension| match extension.parsed_extension() {
            x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(aki) => {
                aki.key_identifier.as_ref().map(|id| b64(id.0))
            }
            _ => None,
        });
        format!("{}.{}", key.unwrap(), b64(leaf.raw_serial()))
    }
}

pub(super) fn identifier(name: &&str) -> Value {
    let kind = if name.parse::<std::net::IpAddr>().is_ok() { "ip" } else { "dns" };
    json!({ "type": kind, "value": name })
}

pub(super) fn challenge(authorization: &Value, kind: &str) -> Value {
    let challenges = authorization["challenges"].as_array().unwrap();
    challenges.iter().find(|challenge| challenge["type"] == kind).unwrap().clone()
}

pub(super) fn csr(names: &[&str], key: &rcgen::KeyPair) -> Vec<u8> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serialize_request(key).unwrap().der().to_vec()
}

pub(super) fn link(headers: &http::HeaderMap, rel: &str) -> Option<String> {
    let end = format!(">;rel=\"{rel}\"");
    let mut links = headers.get_all("link").iter().map(|link| link.to_str().unwrap());
    links.find_map(|link| Some(link.strip_prefix('<')?.strip_suffix(&end)?.to_owned()))
}

pub(super) fn key_authorization_digest(token: &str, key: &Key) -> Vec<u8> {
    let text = format!("{token}.{}", key.thumbprint());
    digest::digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec()
}
