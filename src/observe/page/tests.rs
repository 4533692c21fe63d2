use std::time::Duration;

use super::*;
use crate::model::name::{CertName, Identifier};
use crate::model::outlook::sample::{now, sample};
use crate::model::outlook::{Allowance, PausedName, Prospect};

const HOSTILE: &str =
    "</title><script>alert('1')</script>\" onload=\"x\" & \u{1b}[2J\u{202e}\u{200b}end";

fn paused(page: &str) -> PausedName {
    let identifier = Identifier::parse("host-0.example").unwrap();
    PausedName { ca: "letsencrypt".to_owned(), identifier, page: page.to_owned() }
}

#[test]
fn every_view_is_there() {
    let mut outlook = sample(30);
    outlook.paused = vec![paused("https://ca.example/unpause")];
    let page = page(&outlook);
    let shown = [
        "host.example",
        "19 need you",
        "<title>19 need you · host.example · acmeagent</title>",
        "Need somebody, the worst first <small>19<",
        "Well, the first to expire first <small>11<",
        "letsencrypt · shortlived",
        "3 times in a row",
        "acmeagent doctor host-1.example",
        "ari: the CA suggests it",
        "cannot be read: state is damaged",
        "4 rolling out",
        "<b>api</b> <span>5 % · now</span>",
        "<b>nginx</b> <span>100 % · next</span>",
        "haproxy has not taken generation 3 after 2 attempts",
        "pinned until",
        "1 rollout in 24 h (clients refuse it)",
        "2 of 52",
        "−20 %",
        "<code>rateLimited</code>",
        "41 renewed, 2 retry",
        "<b>3</b> of 5 left",
        "<a href=\"https:&#x2f;&#x2f;ca.example&#x2f;unpause\" rel=\"noreferrer noopener\">",
        "10 min ago",
    ];
    for shown in shown {
        assert!(page.contains(shown), "no {shown:?}");
    }
    for class in
        ["class=\"p\"", "class=\"l\"", "class=\"o\"", "class=\"w\"", "class=d ", "class=f "]
    {
        assert!(page.contains(&format!("<i {class}")), "no mark {class}");
    }
}

#[test]
fn nothing_anybody_said_is_markup() {
    let mut outlook = sample(8);
    outlook.host = HOSTILE.to_owned();
    outlook.paused =
        vec![paused("javascript:alert(1)"), paused(HOSTILE), paused("http://ca.example/")];
    for errors in outlook.tally.errors.values_mut() {
        (errors.last_message, errors.last_name) = (HOSTILE.repeat(1000), HOSTILE.to_owned());
    }
    let kinds = std::mem::take(&mut outlook.tally.errors);
    outlook.tally.errors = kinds.into_values().map(|errors| (HOSTILE.to_owned(), errors)).collect();
    outlook.allowances[0].ca = HOSTILE.to_owned();
    outlook.allowances[0].of = HOSTILE.to_owned();
    outlook.allowances[0].limit = HOSTILE.to_owned();
    for one in &mut outlook.certificates {
        (one.ca, one.profile) = (Some(HOSTILE.to_owned()), Some(HOSTILE.to_owned()));
        one.unreadable = one.unreadable.as_ref().map(|_| HOSTILE.to_owned());
        if let Some(failed) = &mut one.last_failure {
            failed.message = HOSTILE.repeat(10_000);
        }
        if let Some(next) = &mut one.next {
            (next.source, next.reason) = (HOSTILE.to_owned(), HOSTILE.to_owned());
        }
        if let Some(advice) = &mut one.advice {
            advice.explanation_url = Some(format!("https://ca.example/{HOSTILE}"));
        }
        if let Some(rollout) = &mut one.rollout {
            (rollout.text, rollout.back) = (HOSTILE.to_owned(), Some(HOSTILE.to_owned()));
            rollout.steps = vec![(vec![HOSTILE.to_owned()], 100)];
        }
        for waiting in &mut one.queue {
            waiting.target = HOSTILE.to_owned();
        }
        let places = std::mem::take(&mut one.observed.places).into_values();
        let wrong = places.map(|mut place| {
            (place.serves, place.problem) = (false, Some(HOSTILE.to_owned()));
            (HOSTILE.to_owned(), place)
        });
        one.observed.places = wrong.collect();
    }
    let page = page(&outlook);
    assert!(page.contains("&lt;script&gt;alert"));
    for bad in [
        "<script",
        "onload=\"",
        "\u{1b}",
        "\u{202e}",
        "\u{200b}",
        "href=\"javascript",
        "href=\"http:",
    ] {
        assert!(!page.contains(bad), "{bad:?}");
    }
    assert_eq!(page.matches("</title>").count(), 1);
    assert!(page.len() < 200_000, "{}", page.len());
}

#[test]
fn a_thousand_are_small() {
    let page = page(&sample(1000));
    assert!(page.len() < 2 << 20, "{}", page.len());
    // Those that are well are many, and folded away.
    assert_eq!(page.matches("<details class=group open>").count(), 1);
    assert_eq!(page.matches("<details class=group>").count(), 1);
}

#[test]
fn it_says_how_things_stand_in_a_line() {
    let one = |one: Prospect| Outlook { certificates: vec![one], ..sample(0) };
    let silent = |outlook: Outlook| {
        let mut outlook = outlook;
        outlook.runs.last_good = Some(now().minus(Duration::from_secs(10 * 3600)));
        outlook
    };
    let table = [
        (sample(0), "", "No certificates yet"),
        (sample(1), "", "All well"),
        (sample(2), "w", "1 needs you"),
        (sample(3), "c", "2 need you"),
        (silent(sample(1)), "c", "1 needs you"),
        (one(sample(8).certificates.remove(7)), "c", "1 needs you"),
    ];
    for (outlook, level, words) in table {
        let view = view(&outlook);
        assert_eq!((view.verdict.level, view.verdict.words.as_str()), (level, words));
        assert!(page(&outlook).contains(words));
    }
}

#[test]
fn those_that_need_somebody_come_first_then_those_that_expire_first() {
    let outlook = sample(16);
    let holding = rules::judge(&outlook).holding;
    let sorted = rows::sorted(&outlook, &holding);
    let order = |at: &rows::Judged<'_>| {
        let ends = at.0.live.as_ref().map(|live| live.validity.not_after);
        (std::cmp::Reverse(at.1), ends)
    };
    assert!(sorted.is_sorted_by_key(order));
    assert!(sorted[0].1.is_some() && sorted[15].1.is_none());
}

#[test]
fn the_axis_shows_most_and_now() {
    let mut outlook = sample(9);
    let axis = Axis::of(&outlook);
    let ends = |one: &Prospect| axis.place(one.live.as_ref().unwrap().validity.not_after);
    assert!(outlook.certificates[..7].iter().map(ends).all(|end| end < 100.0));
    assert!((10.0..60.0).contains(&axis.now()), "{}", axis.now());
    assert!(axis.marks().len() > 2);
    // One that lives for much longer does not press the others together.
    let far = now().plus(Duration::from_secs(400 * 86_400));
    let first = &mut outlook.certificates[0];
    for held in first.live.iter_mut().chain(first.generations.last_mut()) {
        held.validity.not_after = far;
    }
    let axis = Axis::of(&outlook);
    assert!(axis.place(now().plus(Duration::from_secs(5 * 86_400))) - axis.now() > 8.0);
    assert!(page(&outlook).contains("<i class=\"l m\""));
    // Nothing at all is no reason to divide by nothing.
    assert!(page(&Outlook::default()).contains("No certificates yet"));
}

#[test]
fn a_rollout_that_is_undone_says_so() {
    let mut outlook = sample(4);
    let one = &mut outlook.certificates[3];
    one.rollout.as_mut().unwrap().back = Some("clients refuse it".to_owned());
    one.halted_since = Some(now());
    one.frozen_until = Some(now().plus(Duration::from_secs(3600)));
    one.name = CertName::parse("other").unwrap();
    let page = page(&outlook);
    for shown in ["being undone", "<li class=undone>", ">halted<", ">frozen<", "generation 2 → 3"]
    {
        assert!(page.contains(shown), "{shown}");
    }
}

#[test]
fn what_is_used_up_is_told_first() {
    let mut outlook = sample(1);
    let one = outlook.allowances[0].clone();
    let limit = |left| Allowance { left, of: format!("set-{left}"), ..one.clone() };
    outlook.allowances = vec![limit(5), limit(0), limit(1)];
    let page = page(&outlook);
    let at = |text: &str| page.find(text).unwrap();
    assert!(at("set-0") < at("set-1") && at("set-1") < at("set-5"));
    assert!(page.contains("<li class=c><span>certificates for exactly <b>set-0"));
    assert!(page.contains("<li class=w><span>certificates for exactly <b>set-1"));
}

#[test]
fn instants_in_texts_are_readable() {
    let table = [
        ("tried 2027-01-15T05:00:00Z: no", "tried 15 Jan 05:00: no"),
        ("(2028-01-15T05:00:00Z)", "(2028-01-15T05:00:00Z)"),
        ("until 2028-01-15T05:00:00Z", "until 15 Jan 2028"),
        ("ünïcödé-ünïcödé-ünïcödé", "ünïcödé-ünïcödé-ünïcödé"),
        ("", ""),
    ];
    for (text, read) in table {
        assert_eq!(readable(text, now()), read);
    }
}
