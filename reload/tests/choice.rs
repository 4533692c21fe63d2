//! Which certificate a client is shown.

use crate::support::{Ca, Home, live, server, shake};

#[test]
fn each_name_leads_to_its_certificate() {
    let (home, ca) = (Home::new(), Ca::new());
    let plain = ca.issue(&["one.example", "two.example"]);
    let wild = ca.issue(&["*.one.example"]);
    let exact = ca.issue(&["exact.one.example"]);
    let address = ca.issue(&["192.0.2.7", "2001:db8::7", "addr.example"]);
    let live = live(&[
        ("plain", &home.put("plain", &plain)),
        ("wild", &home.put("wild", &wild)),
        ("exact", &home.put("exact", &exact)),
        ("address", &home.put("address", &address)),
    ]);
    let server = server(&live);
    for (asked, issued) in [
        ("one.example", &plain),
        ("TWO.example", &plain),
        ("a.one.example", &wild),
        ("exact.one.example", &exact),
        ("ExAcT.One.Example", &exact),
        ("addr.example", &address),
        ("192.0.2.7", &address),
        ("2001:db8::7", &address),
    ] {
        let shaken = shake(&ca.client(), &server, asked);
        assert_eq!(shaken.client, Ok(()), "{asked}");
        assert_eq!(shaken.shown, Some(issued.der()), "{asked}");
    }
    // What nobody covers gets the default, for the client to judge.
    for asked in ["a.b.one.example", "other.example", "example"] {
        assert!(shake(&ca.client(), &server, asked).client.is_err(), "{asked}");
    }
    assert_eq!(live.stats("plain").unwrap().certificates[0].counts.chosen, 2 + 3);
}

#[test]
fn without_an_address_the_default_is_for_all() {
    let (home, ca) = (Home::new(), Ca::new());
    let (one, two) = (ca.issue(&["one.example"]), ca.issue(&["two.example"]));
    let live = acmeagent_reload::LiveCert::builder()
        .provider(crate::support::provider())
        .folder("one", home.put("one", &one))
        .folder("two", home.put("two", &two))
        .default_name("two")
        .build()
        .unwrap();
    let _ = shake(&ca.client(), &server(&live), "192.0.2.7");
    let _ = shake(&ca.client(), &server(&live), "three.example");
    assert_eq!(live.stats("two").unwrap().certificates[0].counts.chosen, 2);
    assert!(live.stats("three").is_none());
}
