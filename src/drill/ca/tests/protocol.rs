//! Signatures, nonces, accounts: what RFC 8555 §6 and §7.3 demand of every request.

use aws_lc_rs::hmac;
use reqwest::Method;
use serde_json::{Value, json};

use super::Rig;
use super::client::{Client, Key, b64, link};

#[tokio::test]
async fn every_key_type_signs_and_is_recognised() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    for key in [Key::p256(), Key::p384(), Key::rsa(), Key::ed25519()] {
        let mut client = Client::new(&ca, key).await;
        let url = client.url("newAccount");
        let existing = json!({ "onlyReturnExisting": true });
        client.post(&url, &existing).await.refuses("accountDoesNotExist", 400);
        client.post(&url, &json!({})).await.refuses("userActionRequired", 403);
        let wanted = json!({ "termsOfServiceAgreed": true, "contact": ["mailto:a@b.example"] });
        let made = client.post(&url, &wanted).await;
        assert_eq!(made.status, 201, "{made:?}");
        let found = client.post(&url, &existing).await;
        assert_eq!((found.status, found.location()), (200, made.location()));
        client.kid = Some(made.location());
        let account = client.fetch(&made.location()).await.json();
        assert_eq!(account["contact"], json!(["mailto:a@b.example"]));
        let orders = client.fetch(account["orders"].as_str().unwrap()).await;
        assert_eq!(orders.json(), json!({ "orders": [] }));
    }
}

#[tokio::test]
async fn nonces_are_good_once_and_come_with_refusals() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, Key::p256()).await;
    let url = client.kid.clone().unwrap();
    let mut header = client.header(&url).await;
    assert_eq!(client.post_with(&url, &header, "").await.status, 200);
    let replayed = client.post_with(&url, &header, "").await;
    replayed.refuses("badNonce", 400);
    header["nonce"] = replayed.headers["replay-nonce"].to_str().unwrap().into();
    assert_eq!(client.post_with(&url, &header, "").await.status, 200);
    for nonce in [json!("bWFkZSB1cA"), Value::Null] {
        header["nonce"] = nonce;
        client.post_with(&url, &header, "").await.refuses("badNonce", 400);
    }
    let got = client.send(Method::GET, &client.url("newNonce"), Vec::new()).await;
    assert_eq!(got.status, 204);
    assert_eq!(got.headers["cache-control"], "no-store");
    assert_eq!(link(&got.headers, "index"), Some(ca.directory.clone()));
}

#[tokio::test]
async fn wrong_headers_are_refused_each_for_its_reason() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, Key::p256()).await;
    let url = client.kid.clone().unwrap();
    let jwk = client.key.jwk();
    let off_curve = json!({ "kty": "EC", "crv": "P-256", "x": b64([1; 32]), "y": b64([1; 32]) });
    let table = [
        (json!({ "url": client.url("newOrder") }), "unauthorized", 403),
        (json!({ "url": null }), "unauthorized", 403),
        (json!({ "alg": "HS256" }), "badSignatureAlgorithm", 400),
        (json!({ "alg": "none" }), "badSignatureAlgorithm", 400),
        (json!({ "alg": "ES384" }), "badSignatureAlgorithm", 400),
        (json!({ "jwk": jwk }), "malformed", 400),
        (json!({ "kid": null }), "malformed", 400),
        (json!({ "kid": null, "jwk": jwk }), "malformed", 400),
        (json!({ "kid": null, "jwk": off_curve }), "badPublicKey", 400),
        (json!({ "kid": null, "jwk": { "kty": "oct", "k": "" } }), "badPublicKey", 400),
        (json!({ "kid": format!("{url}9") }), "accountDoesNotExist", 400),
        (json!({ "kid": "not a URL" }), "accountDoesNotExist", 400),
        (json!({ "crit": ["b64"], "b64": false }), "malformed", 400),
    ];
    for (change, kind, status) in table {
        let mut header = client.header(&url).await;
        header.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = client.post_with(&url, &header, "").await;
        assert_eq!(answer.status, status, "{change} {answer:?}");
        answer.refuses(kind, status);
    }
}

#[tokio::test]
async fn what_is_no_signed_request_is_refused() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, Key::p256()).await;
    let url = client.kid.clone().unwrap();
    let header = client.header(&url).await;
    let good = client.key.jws(&header, "");
    let changed = |member: &str, value: Value| {
        let mut jws = good.clone();
        jws[member] = value;
        jws.to_string()
    };
    let table = [
        ("a broken signature", changed("signature", json!(b64([0; 64])))),
        ("another payload", changed("payload", json!(b64("{}")))),
        ("padding", changed("signature", json!("AA=="))),
        ("an unprotected header", changed("header", json!({}))),
        ("several signatures", changed("signatures", json!([]))),
        ("no JSON", "rubbish".to_owned()),
        ("nothing", String::new()),
    ];
    for (what, body) in table {
        let answer = client.send(Method::POST, &url, body.into_bytes()).await;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        answer.refuses("malformed", 400);
    }
    let huge = vec![b'x'; 1 << 20];
    client.send(Method::POST, &url, huge).await.refuses("malformed", 413);
    client.send(Method::GET, &url, Vec::new()).await.refuses("malformed", 405);
    let missing = format!("{}x", client.url("newOrder"));
    client.send(Method::POST, &missing, Vec::new()).await.refuses("malformed", 404);
    let plain = client.http.post(&url).body(good.to_string()).send().await.unwrap();
    assert_eq!(plain.status(), 415);
}

#[tokio::test]
async fn accounts_change_and_end() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, Key::p256()).await;
    let other = Client::registered(&ca, Key::p256()).await;
    let url = client.kid.clone().unwrap();
    for (contact, kind) in [
        ("tel:+1", "unsupportedContact"),
        ("mailto:", "invalidContact"),
        ("mailto:a@b,c@d", "invalidContact"),
        ("mailto:a@b?subject=x", "invalidContact"),
        ("mailto:a\n@b", "invalidContact"),
    ] {
        client.post(&url, &json!({ "contact": [contact] })).await.refuses(kind, 400);
    }
    let changed = client.post(&url, &json!({ "contact": ["mailto:a@b"] })).await.json();
    assert_eq!(changed["contact"], json!(["mailto:a@b"]));
    other.fetch(&url).await.refuses("unauthorized", 403);
    let order = client.order(&["a.example"], json!({})).await;
    other.fetch(&order.location()).await.refuses("malformed", 404);
    let ended = client.post(&url, &json!({ "status": "deactivated" })).await.json();
    assert_eq!(ended["status"], "deactivated");
    client.fetch(&url).await.refuses("unauthorized", 403);
}

#[tokio::test]
async fn accounts_move_to_another_key() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let mut client = Client::registered(&ca, Key::p256()).await;
    let other = Client::registered(&ca, Key::p256()).await;
    let url = client.url("keyChange");
    let next = Key::rsa();
    let inner = |key: &Key, header: Value, account: &str, old: &Key| {
        let mut full = json!({ "alg": key.alg(), "jwk": key.jwk(), "url": url });
        full.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
        key.jws(&full, &json!({ "account": account, "oldKey": old.jwk() }).to_string())
    };
    let kid = client.kid.clone().unwrap();
    let table = [
        inner(&next, json!({ "nonce": "x" }), &kid, &client.key),
        inner(&next, json!({ "url": client.url("newOrder") }), &kid, &client.key),
        inner(&next, json!({}), other.kid.as_ref().unwrap(), &client.key),
        inner(&next, json!({}), &kid, &next),
    ];
    for wrong in table {
        client.post(&url, &wrong).await.refuses("malformed", 400);
    }
    let taken = client.post(&url, &inner(&other.key, json!({}), &kid, &client.key)).await;
    taken.refuses("malformed", 409);
    assert_eq!(Some(taken.location()), other.kid);
    let right = inner(&next, json!({}), &kid, &client.key);
    assert_eq!(client.post(&url, &right).await.status, 200);
    client.fetch(&kid).await.refuses("badSignatureAlgorithm", 400);
    client.key = next;
    assert_eq!(client.fetch(&kid).await.status, 200);
}

#[tokio::test]
async fn external_accounts_are_required_and_checked() {
    let rig = Rig::new().await;
    let ca = rig.start_with_eab("kid-1", b"a shared secret").await;
    let client = Client::new(&ca, Key::p256()).await;
    assert_eq!(client.directory["meta"]["externalAccountRequired"], true);
    let url = client.url("newAccount");
    let binding = |kid: &str, url: &str, jwk: &Value, secret: &[u8]| {
        let header = b64(json!({ "alg": "HS512", "kid": kid, "url": url }).to_string());
        let payload = b64(jwk.to_string());
        let key = hmac::Key::new(hmac::HMAC_SHA512, secret);
        let mac = b64(hmac::sign(&key, format!("{header}.{payload}").as_bytes()));
        json!({
            "termsOfServiceAgreed": true,
            "externalAccountBinding": { "protected": header, "payload": payload, "signature": mac },
        })
    };
    let (jwk, secret) = (client.key.jwk(), b"a shared secret".as_slice());
    let other = Key::p256().jwk();
    let none = json!({ "termsOfServiceAgreed": true });
    let table = [
        (none, "externalAccountRequired", 403),
        (binding("kid-2", &url, &jwk, secret), "unauthorized", 403),
        (binding("kid-1", &url, &jwk, b"guessed"), "unauthorized", 403),
        (binding("kid-1", "https://elsewhere.example/", &jwk, secret), "malformed", 400),
        (binding("kid-1", &url, &other, secret), "malformed", 400),
    ];
    for (payload, kind, status) in table {
        client.post(&url, &payload).await.refuses(kind, status);
    }
    let made = client.post(&url, &binding("kid-1", &url, &jwk, secret)).await;
    assert_eq!(made.status, 201, "{made:?}");
}
