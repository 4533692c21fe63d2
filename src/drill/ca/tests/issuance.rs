//! From order to certificate: what comes out, and what must not.

use std::io::Write;
use std::pin::Pin;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use instant_acme::{
    Account, BodyWrapper, BytesResponse, ChallengeType, ExternalAccountKey, HttpClient, Identifier,
    NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use serde_json::json;
use x509_parser::extensions::ParsedExtension;

use super::client::{Client, Key, challenge, csr, http_client, key_authorization_digest};
use super::solver::Page;
use super::{Rig, Running};

struct Reqwest(reqwest::Client);

impl HttpClient for Reqwest {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let http = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let request = http.request(parts.method, parts.uri.to_string()).headers(parts.headers);
            let response = http::Response::from(request.body(body).send().await.unwrap());
            let (parts, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}

async fn account(ca: &Running, eab: Option<&ExternalAccountKey>) -> Account {
    let http = Box::new(Reqwest(http_client(&ca.tls_root)));
    let wanted = NewAccount {
        contact: &["mailto:admin@example.org"],
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let builder = Account::builder_with_http(http);
    builder.create(&wanted, ca.directory.clone(), eab).await.unwrap().0
}

/// A whole issuance by a client that is not ours, over all four kinds of listener.
#[tokio::test]
async fn instant_acme_issues_for_names_and_addresses() {
    let rig = Rig::new().await;
    let ca = rig.start_with_eab("kid-1", b"a shared secret").await;
    let eab = ExternalAccountKey::new("kid-1".into(), b"a shared secret");
    let account = account(&ca, Some(&eab)).await;
    let mut profiles: Vec<_> = account.profiles().map(|profile| profile.name.to_owned()).collect();
    profiles.sort();
    assert_eq!(profiles, ["classic", "shortlived", "tlsserver"]);
    let retry = RetryPolicy::new().initial_delay(Duration::from_millis(5)).backoff(1.5);
    for kind in [ChallengeType::Http01, ChallengeType::TlsAlpn01] {
        let identifiers = [
            Identifier::Dns("a.example".into()),
            Identifier::Ip("127.0.0.1".parse().unwrap()),
            Identifier::Ip("::1".parse().unwrap()),
        ];
        let order = NewOrder::new(&identifiers).profile("shortlived");
        let mut order = account.new_order(&order).await.unwrap();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.unwrap();
            let mut challenge = authorization.challenge(kind.clone()).unwrap();
            let answer = challenge.key_authorization();
            rig.solver.show(&challenge.token, Page::Body(format!("{}\r\n ", answer.as_str())));
            let san = challenge.identifier().to_string();
            let sni = match san.as_str() {
                "127.0.0.1" => "1.0.0.127.in-addr.arpa".to_owned(),
                "::1" => format!("1.{}ip6.arpa", "0.".repeat(31)),
                name => name.to_owned(),
            };
            rig.solver.show_certificate(&sni, &san, answer.digest().as_ref());
            challenge.set_ready().await.unwrap();
        }
        assert_eq!(order.poll_ready(&retry).await.unwrap(), OrderStatus::Ready);
        order.finalize().await.unwrap();
        let chain = order.poll_certificate(&retry).await.unwrap();
        assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 2);
    }
    let mut hosts = rig.solver.hosts();
    hosts.sort();
    assert_eq!(hosts, ["127.0.0.1", "[::1]", "a.example"]);
}

#[tokio::test]
async fn every_profile_issues_what_it_promises() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, Key::p256()).await;
    let table = [("shortlived", 160), ("tlsserver", 45 * 24), ("classic", 90 * 24)];
    for (profile, hours) in table {
        let names = ["b.example", "a.example"];
        let issued = client.issue(&names, json!({ "profile": profile }), &rig.solver).await;
        assert_eq!(issued.order["profile"], profile);
        let leaf = issued.leaf();
        let (_, leaf) = x509_parser::parse_x509_certificate(&leaf).unwrap();
        let life = leaf.validity().not_after.timestamp() - leaf.validity().not_before.timestamp();
        assert_eq!(life + 1, hours * 3600, "{profile}");
        assert!(leaf.raw_serial().len() >= 16);
        let classic = profile == "classic";
        let san = leaf.subject_alternative_name().unwrap().unwrap();
        assert_eq!(san.value.general_names.len(), 2);
        assert_eq!(san.critical, !classic);
        let common_name = leaf.subject().iter_common_name().next();
        assert_eq!(common_name.map(|cn| cn.as_str().unwrap()), classic.then_some("a.example"));
        let usage = leaf.key_usage().unwrap().unwrap().value;
        assert!(usage.digital_signature() && !usage.key_encipherment());
        assert!(leaf.extended_key_usage().unwrap().unwrap().value.server_auth);
        let has = |wanted: fn(&ParsedExtension<'_>) -> bool| {
            leaf.iter_extensions().any(|one| wanted(one.parsed_extension()))
        };
        assert!(has(|one| matches!(one, ParsedExtension::AuthorityKeyIdentifier(_))));
        assert!(has(|one| matches!(one, ParsedExtension::CRLDistributionPoints(_))));
        let subject_key = has(|one| matches!(one, ParsedExtension::SubjectKeyIdentifier(_)));
        assert_eq!(subject_key, classic);
    }
}

#[tokio::test]
async fn openssl_accepts_both_chains() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, Key::p256()).await;
    let profile = json!({ "profile": "shortlived" });
    let issued = client.issue(&["127.0.0.1", "a.example"], profile, &rig.solver).await;
    let alternate = client.fetch(issued.alternate.as_ref().unwrap()).await;
    assert_eq!(super::client::link(&alternate.headers, "alternate"), Some(issued.url.clone()));
    let root_2 = ca.issuing_root.with_file_name("root-2.pem");
    for (chain, root, other) in
        [(&issued.chain, &ca.issuing_root, &root_2), (&alternate.text, &root_2, &ca.issuing_root)]
    {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(chain.as_bytes()).unwrap();
        let file = file.path();
        let verify = |root: &std::path::Path| {
            let mut openssl = Command::new("openssl");
            openssl.args(["verify", "-x509_strict", "-purpose", "sslserver"]);
            openssl.args(["-verify_ip", "127.0.0.1", "-verify_hostname", "a.example"]);
            openssl.arg("-CAfile").arg(root).arg("-untrusted").arg(file).arg(file);
            openssl.output().unwrap()
        };
        let output = verify(root);
        assert!(output.status.success(), "{output:?}");
        assert!(!verify(other).status.success());
    }
}

#[tokio::test]
async fn rsa_and_p384_keys_are_certified_and_weak_ones_are_not() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, Key::rsa()).await;
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let table = [
        (vec!["rsa:2048"], None),
        (vec!["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], None),
        (vec!["rsa:1024"], Some("2048 to 4096 bits")),
        (vec!["ec", "-pkeyopt", "ec_paramgen_curve:P-521"], Some("neither P-256 nor P-384")),
        (vec!["ed25519"], Some("neither RSA nor ECDSA")),
    ];
    for (key, refused) in table {
        let order = client.order(&["a.example"], json!({})).await.json();
        client.prove(&order, &rig.solver).await;
        let out = rig.dir.path().join("key.pem");
        let mut arguments = vec!["req", "-new", "-nodes", "-outform", "DER", "-subj", "/"];
        arguments.extend(["-addext", "subjectAltName=DNS:a.example", "-newkey"]);
        arguments.extend(&key);
        arguments.extend(["-keyout", out.to_str().unwrap()]);
        let answer = client.finalize(&order, &openssl(&arguments)).await;
        match refused {
            None => {
                assert_eq!(answer.status, 200, "{key:?} {answer:?}");
                let url = answer.json()["certificate"].as_str().unwrap().to_owned();
                let chain = client.fetch(&url).await.text;
                let leaf = x509_parser::pem::parse_x509_pem(chain.as_bytes()).unwrap().1;
                let usage = leaf.parse_x509().unwrap().key_usage().unwrap().unwrap().value.flags;
                assert_eq!(usage, if key[0] == "rsa:2048" { 0b101 } else { 0b001 });
            }
            Some(why) => {
                answer.refuses("badCSR", 400);
                assert!(answer.text.contains(why), "{}", answer.text);
            }
        }
    }
}

#[tokio::test]
async fn wrong_certificate_requests_are_refused_and_the_order_stays_ready() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let key = rcgen::KeyPair::generate().unwrap();
    let client = Client::registered(&ca, Key::of_certificate(&key)).await;
    let order = client.order(&["a.example", "b.example"], json!({})).await.json();
    client.finalize(&order, &[]).await.refuses("orderNotReady", 403);
    client.prove(&order, &rig.solver).await;
    let other = rcgen::KeyPair::generate().unwrap();
    let names = ["a.example", "b.example"];
    let mut forged = csr(&names, &other);
    *forged.last_mut().unwrap() ^= 1;
    let trailing = [csr(&names, &other), vec![0]].concat();
    let table = [
        ("rubbish", b"rubbish".to_vec()),
        ("a name less", csr(&names[..1], &other)),
        ("a name more", csr(&["a.example", "b.example", "c.example"], &other)),
        ("no names", csr(&[], &other)),
        ("an address", csr(&["a.example", "b.example", "127.0.0.1"], &other)),
        ("the account's key", csr(&names, &key)),
        ("a forged signature", forged),
        ("trailing bytes", trailing),
    ];
    for (what, csr) in table {
        let answer = client.finalize(&order, &csr).await;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        answer.refuses("badCSR", 400);
    }
    let answer = client.finalize(&order, &csr(&names, &other)).await;
    assert_eq!(answer.json()["status"], "valid");
    client.finalize(&order, &csr(&names, &other)).await.refuses("orderNotReady", 403);
}

#[tokio::test]
async fn orders_that_cannot_be_filled_are_refused_at_once() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, Key::p256()).await;
    let many: Vec<String> = (0..26).map(|n| format!("{n}.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let none = json!({});
    let short = json!({ "profile": "shortlived" });
    let table: [(&[&str], _, _); 14] = [
        (&["*.a.example"], &none, "rejectedIdentifier"),
        (&["*.a.example", "b.a.example"], &none, "malformed"),
        (&["127.0.0.1"], &none, "rejectedIdentifier"),
        (&["127.0.0.1"], &json!({ "profile": "tlsserver" }), "rejectedIdentifier"),
        (&["192.0.2.1"], &short, "rejectedIdentifier"),
        (&["::ffff:127.0.0.1"], &short, "rejectedIdentifier"),
        (&["::0001"], &short, "malformed"),
        (&["a.example"], &json!({ "profile": "gold" }), "invalidProfile"),
        (&["a.example"], &json!({ "notAfter": "2030-01-01T00:00:00Z" }), "malformed"),
        (&["a..example"], &none, "malformed"),
        (&["bücher.example"], &none, "malformed"),
        (&[], &none, "malformed"),
        (&many, &short, "malformed"),
        (
            &["a.example"],
            &json!({ "identifiers": [{ "type": "email", "value": "a@b" }] }),
            "unsupportedIdentifier",
        ),
    ];
    for (names, more, kind) in table {
        let answer = client.order(names, more.clone()).await;
        assert_eq!(answer.status, 400, "{names:?} {answer:?}");
        answer.refuses(kind, 400);
    }
    let answer = client.order(&["*.a.example", "b.example", "127.0.0.1"], none).await;
    let refused = answer.json()["subproblems"].as_array().unwrap().len();
    assert_eq!(refused, 2, "{}", answer.text);
}

#[tokio::test]
async fn wrong_answers_to_http_01_make_the_order_invalid() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, Key::p256()).await;
    let table = [
        (None, "incorrectResponse", "404"),
        (Some(Page::Body("wrong".into())), "incorrectResponse", "wrong"),
        (Some(Page::Body("x".repeat(1 << 20))), "incorrectResponse", "length limit"),
        (Some(Page::Redirect("http://127.0.0.1:1/".into())), "connection", "is on a port other"),
        (Some(Page::Redirect("http://192.0.2.1/".into())), "connection", "is not dialled"),
    ];
    for (page, kind, detail) in table {
        let answer = client.order(&["a.example"], json!({})).await;
        let (url, order) = (answer.location(), answer.json());
        let authorization = order["authorizations"][0].as_str().unwrap();
        let offered = challenge(&client.fetch(authorization).await.json(), "http-01");
        if let Some(page) = page {
            rig.solver.show(offered["token"].as_str().unwrap(), page);
        }
        client.post(offered["url"].as_str().unwrap(), &json!({})).await;
        let decided = client.decided(authorization).await;
        assert_eq!(decided["status"], "invalid");
        let error = &decided["challenges"][0]["error"];
        assert_eq!(error["type"], format!("urn:ietf:params:acme:error:{kind}"), "{error}");
        assert!(error["detail"].as_str().unwrap().contains(detail), "{error}");
        let order = client.fetch(&url).await.json();
        assert_eq!((&order["status"], &order["error"]), (&json!("invalid"), error));
    }
}

#[tokio::test]
async fn a_closed_port_is_a_connection_problem() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, Key::p256()).await;
    // Held, so that nobody else listens there, but not listening.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    rig.ports.set_http_01(held.local_addr().unwrap().port());
    let profile = json!({ "profile": "shortlived" });
    let order = client.order(&["127.0.0.1"], profile).await.json();
    let authorization = order["authorizations"][0].as_str().unwrap();
    let offered = challenge(&client.fetch(authorization).await.json(), "http-01");
    client.post(offered["url"].as_str().unwrap(), &json!({})).await;
    let decided = client.decided(authorization).await;
    let error = &decided["challenges"][0]["error"];
    assert_eq!(error["type"], "urn:ietf:params:acme:error:connection", "{error}");
}

#[tokio::test]
async fn tls_alpn_01_is_refused_for_the_wrong_name_or_digest() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, Key::p256()).await;
    for (san, right_digest, kind) in [
        ("other.example", true, "incorrectResponse"),
        ("a.example", false, "incorrectResponse"),
        ("nothing shown", true, "tls"),
    ] {
        let order = client.order(&["a.example"], json!({})).await.json();
        let authorization = order["authorizations"][0].as_str().unwrap();
        let offered = challenge(&client.fetch(authorization).await.json(), "tls-alpn-01");
        let token = offered["token"].as_str().unwrap();
        let digest = key_authorization_digest(token, &client.key);
        match (san, right_digest) {
            ("nothing shown", _) => rig.ports.set_tls_alpn_01(rig.solver.http_port),
            (san, true) => rig.solver.show_certificate("a.example", san, &digest),
            (san, false) => rig.solver.show_certificate("a.example", san, &[0; 32]),
        }
        client.post(offered["url"].as_str().unwrap(), &json!({})).await;
        let decided = client.decided(authorization).await;
        let error = &decided["challenges"][0]["error"];
        assert_eq!(error["type"], format!("urn:ietf:params:acme:error:{kind}"), "{error}");
    }
}
