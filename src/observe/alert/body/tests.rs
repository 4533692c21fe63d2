use serde_json::{Value, json};

use super::super::ledger::State;
use super::super::message::tests::{message, news};
use super::super::{Severity, plain};
use super::*;

fn one() -> Message {
    message(&[news(State::Begun, "a", Severity::Critical)])
}

fn built(medium: &Medium<()>, message: &Message) -> Value {
    let body = render(built_in(medium).unwrap(), message, "tls").unwrap();
    serde_json::from_str(&body).unwrap()
}

#[test]
fn each_medium_gets_what_it_knows() {
    let message = one();
    let webhook = built(&Medium::Webhook { url: (), secret: None }, &message);
    assert_eq!(webhook, serde_json::to_value(&message).unwrap());
    let slack = built(&Medium::Slack { url: () }, &message);
    assert_eq!(slack["text"], "[critical] a is not renewed (web-1)");
    assert_eq!(slack["blocks"][1]["text"]["type"], "plain_text");
    assert_eq!(slack["blocks"][1]["text"]["text"], message.text.as_str());
    let matrix = built(&Medium::Matrix { url: (), room: String::new(), token: () }, &message);
    assert_eq!(matrix["msgtype"], "m.text");
    assert!(matrix["body"].as_str().unwrap().ends_with(&message.text), "{matrix}");
    let ntfy = Medium::Ntfy { url: (), topic: String::new(), token: None };
    let table = [
        (State::Begun, Severity::Warning, 4, "warning"),
        (State::Begun, Severity::Critical, 5, "rotating_light"),
        (State::Resolved, Severity::Critical, 3, "white_check_mark"),
    ];
    for (state, severity, priority, tag) in table {
        let mut one = news(state, "a", severity);
        let body = built(&ntfy, &super::super::message::tests::message(&[one.clone()]));
        assert_eq!((&body["priority"], &body["tags"]), (&json!(priority), &json!([tag])));
        assert_eq!(
            (&body["topic"], &body["click"]),
            (&json!("tls"), &json!("https://ca.example/why?a=1"))
        );
        one.condition.link = None;
        assert!(
            built(&ntfy, &super::super::message::tests::message(&[one])).get("click").is_none()
        );
    }
}

/// Texts of a CA that would like to be more than texts.
#[test]
fn no_text_becomes_more() {
    let evil = "\"}],\"x\":1 </script> {{ 7*191 }} <!channel> <@U1> & \\ \u{2028} 😀";
    let mut one = news(State::Begun, "a", Severity::Warning);
    (one.condition.text, one.condition.title) = (plain(evil), plain(evil));
    let message = message(&[one]);
    for medium in [
        Medium::Webhook { url: (), secret: None },
        Medium::Slack { url: () },
        Medium::Matrix { url: (), room: String::new(), token: () },
        Medium::Ntfy { url: (), topic: String::new(), token: None },
    ] {
        let body = built(&medium, &message);
        assert!(body.get("x").is_none(), "{body}");
        let text = body.to_string();
        assert!(!text.contains("1337") && text.contains("😀"), "{text}");
    }
    let slack = built(&Medium::Slack { url: () }, &message);
    let text = slack["text"].as_str().unwrap();
    assert!(text.contains("&lt;!channel&gt;") && !text.contains('<'), "{text}");
}

#[test]
fn templates_of_operators() {
    let message = one();
    let table = [
        ("{\"t\": {{ message.title }}}", Ok(json!({"t": "[critical] a is not renewed (web-1)"}))),
        (
            "{\"t\": {{ message.title|tojson }}}",
            Ok(json!({"t": "[critical] a is not renewed (web-1)"})),
        ),
        (
            "[{% for alert in message.alerts %}{{ alert.certificate }}{% endfor %}]",
            Ok(json!(["a"])),
        ),
        ("{\"t\": \"{{ message.title }}\"}", Err("no JSON")),
        ("{\"t\": {{ message.titel }}}", Err("fails")),
        ("{% if %}", Err("fails")),
        ("{% for a in range(9999) %}{{ message }}{% endfor %}", Err("longer than")),
    ];
    for (template, expected) in table {
        match (render(template, &message, ""), expected) {
            (Ok(body), Ok(json)) => assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), json),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (got, _) => panic!("{template}: {got:?}"),
        }
    }
}

#[test]
fn long_texts_are_cut_at_a_character() {
    assert_eq!(cut("äöü", 3), "äöü");
    assert_eq!(cut("äöüß", 3), "äö…");
    assert_eq!(cut("", 3), "");
}
