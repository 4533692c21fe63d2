//! Answers as a hostile server may write them.

use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::rdata::{A, CNAME};
use hickory_resolver::proto::rr::{RData, Record as Wire};
use proptest::prelude::*;

use super::*;

fn answer(records: Vec<(&str, RData)>) -> Answer {
    let mut message = Message::query().into_response();
    for (owner, data) in records {
        message.add_answer(Wire::from_rdata(name(owner).unwrap(), 1, data));
    }
    // By the wire and back.
    Answer::from_message(&Message::from_vec(&message.to_vec().unwrap()).unwrap())
}

fn alias(to: &str) -> RData {
    RData::CNAME(CNAME(name(to).unwrap()))
}

#[test]
fn aliases_are_followed_only_so_far() {
    let a = RData::A(A::new(198, 51, 100, 1));
    let start = name("a.example").unwrap();
    let followed =
        |answer: &Answer| answer.aliases(&start).iter().map(shown).collect::<Vec<_>>().join(" ");
    let plain = answer(vec![("A.Example", a.clone()), ("other.example", a.clone())]);
    assert_eq!((followed(&plain).as_str(), plain.addresses(&start).len()), ("", 1));
    let chain = answer(vec![
        ("c.example", a.clone()),
        ("a.example", alias("B.example")),
        ("b.example", alias("c.example")),
    ]);
    assert_eq!(followed(&chain), "b.example c.example");
    assert_eq!(chain.addresses(&start).len(), 1);
    let circle = answer(vec![
        ("a.example", alias("b.example")),
        ("b.example", alias("a.example")),
        ("a.example", a),
    ]);
    assert_eq!((followed(&circle).as_str(), circle.addresses(&start).len()), ("b.example", 0));
    let names: Vec<String> = (0..50).map(|n| format!("n{n}.example")).collect();
    let mut long = vec![("a.example", alias("n0.example"))];
    long.extend(names.windows(2).map(|pair| (pair[0].as_str(), alias(&pair[1]))));
    assert_eq!(answer(long).aliases(&start).len(), 16);
}

#[test]
fn names_are_shown_harmlessly() {
    assert_eq!(shown(&name("a.example").unwrap()), "a.example");
    assert_eq!(shown(&Name::root()), ".");
    let hostile = Name::from_labels([&b"\x1b[2J\n"[..], b"x"]).unwrap();
    assert!(shown(&hostile).bytes().all(|b| b.is_ascii_graphic()), "{}", shown(&hostile));
    assert!(name("a..b").is_none() && name(&"a".repeat(64)).is_none());
}

proptest! {
    #[test]
    fn bytes_of_anybody_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(message) = Message::from_vec(&bytes) {
            let answer = Answer::from_message(&message);
            let name = name("a.example").unwrap();
            prop_assert!(answer.aliases(&name).len() <= 16);
            answer.about(&name);
        }
    }

    /// Records that look right but for a few bytes.
    #[test]
    fn almost_an_answer(at in 12_usize..60, byte in any::<u8>()) {
        let mut message = Message::query().into_response();
        let owner = name("a.example").unwrap();
        message.add_answer(Wire::from_rdata(owner.clone(), 1, alias("b.example")));
        let mut bytes = message.to_vec().unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(message) = Message::from_vec(&bytes) {
            Answer::from_message(&message).about(&owner);
        }
    }
}
