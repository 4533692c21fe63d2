use super::*;

fn at(hours: i64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000 + hours * 3600)
}

pub(in super::super) fn news(state: State, name: &str, severity: Severity) -> News {
    let condition = Condition {
        rule: Rule::Failing,
        subject: name.to_owned(),
        certificate: Some(name.to_owned()),
        severity,
        title: format!("{name} is not renewed"),
        text: "the CA says \"<!channel> & no\"".to_owned(),
        hint: "run `acmeagent doctor`".to_owned(),
        link: Some("https://ca.example/why?a=1".to_owned()),
    };
    News { state, condition, since: at(-2) }
}

pub(in super::super) fn message(news: &[News]) -> Message {
    Message::new("ops", Origin { host: "web-1", at: at(0) }, news)
}

#[test]
fn titles_say_how_bad_it_is() {
    use Severity::{Critical, Warning};
    use State::{Begun, Reminder, Resolved, Worsened};
    let table: [(&[(State, Severity)], &str); 8] = [
        (&[(Begun, Warning)], "[warning] a is not renewed (web-1)"),
        (&[(Worsened, Critical)], "[critical] a is not renewed (web-1)"),
        (&[(Reminder, Critical)], "[still] a is not renewed (web-1)"),
        (&[(Resolved, Critical)], "[resolved] a is not renewed (web-1)"),
        (&[(Begun, Warning), (Begun, Critical)], "[critical] 2 alerts (web-1)"),
        (&[(Begun, Warning), (Resolved, Critical)], "[warning] 1 alert, 1 resolved (web-1)"),
        (&[(Resolved, Warning), (Resolved, Critical)], "[resolved] 2 alerts (web-1)"),
        (&[], "[resolved] 0 alerts (web-1)"),
    ];
    for (states, title) in table {
        let all: Vec<_> =
            states.iter().map(|(state, severity)| news(*state, "a", *severity)).collect();
        assert_eq!(message(&all).title, title);
    }
}

#[test]
fn the_text_holds_all_a_person_needs() {
    let all = [
        news(State::Begun, "a", Severity::Critical),
        news(State::Resolved, "b", Severity::Warning),
    ];
    let message = message(&all);
    assert_eq!(
        message.text,
        "CRITICAL: a is not renewed\n  the CA says \"<!channel> & no\"\n  what to do: run `acmeagent \
         doctor`\n  https://ca.example/why?a=1\n\nRESOLVED: b is not renewed\n  since \
         2027-01-15T06:00:00Z\n  https://ca.example/why?a=1\n\nacmeagent on web-1 at \
         2027-01-15T08:00:00Z\n"
    );
    assert_eq!((message.status, message.severity), (Status::Firing, Severity::Critical));
    assert_eq!(message.link.as_deref(), Some("https://ca.example/why?a=1"));
}

#[test]
fn many_are_counted_and_not_listed() {
    let all: Vec<_> =
        (0..500).map(|n| news(State::Begun, &format!("{n}"), Severity::Warning)).collect();
    let message = message(&all);
    assert_eq!((message.alerts.len(), message.more), (MOST, 480));
    assert!(message.text.contains("and 480 more"));
    assert!(message.text.len() < 20_000);
}

#[test]
fn only_pages_are_links() {
    for (link, is_page) in [
        ("https://a.example/x", true),
        ("https://a.example/\u{202e}x", false),
        ("http://a.example/x", false),
        ("javascript:alert(1)", false),
        ("file:///etc", false),
        ("x", false),
    ] {
        let mut one = news(State::Begun, "a", Severity::Warning);
        one.condition.link = Some(link.to_owned());
        assert_eq!(message(&[one]).link.is_some(), is_page, "{link}");
    }
}

#[test]
fn the_same_news_have_the_same_id() {
    let one = || [news(State::Begun, "a", Severity::Warning)];
    let id = |news: &[News]| message(news).id;
    assert_eq!(id(&one()), id(&one()));
    assert_ne!(id(&one()), id(&[news(State::Resolved, "a", Severity::Warning)]));
    assert_ne!(id(&one()), id(&[news(State::Begun, "b", Severity::Warning)]));
    let at = |state, hours| {
        let origin = Origin { host: "web-1", at: at(hours) };
        Message::new("ops", origin, &[news(state, "a", Severity::Warning)]).id
    };
    assert_eq!(at(State::Resolved, 0), at(State::Resolved, 24));
    assert_ne!(at(State::Reminder, 0), at(State::Reminder, 24), "another reminder");
}
