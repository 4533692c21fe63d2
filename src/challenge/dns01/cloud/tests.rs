use std::collections::BTreeSet;

use super::updaters::UPDATERS;
use super::*;

/// Credentials as the table asks for them.
fn dummy(company: &Company) -> Credentials {
    let line = |key: &Key| {
        let text = match (company.name, key.name) {
            ("edgedns", "host") => "akab-x.luna.akamaiapis.net",
            (_, "url") => "http://127.0.0.1:1",
            (_, "client-ip") => "192.0.2.1",
            (_, "region") => "eu-west-1",
            _ => "abcdef0123456789",
        };
        format!("{} = '{text}'\n", key.name)
    };
    let optional = ["id", "key"];
    let keys = company.keys.iter();
    let keys = keys.filter(|key| key.required || optional.contains(&key.name));
    Credentials::parse(&keys.map(line).collect::<String>()).unwrap()
}

#[test]
fn the_table_is_sound() {
    let names: Vec<&str> = Company::all().map(|company| company.name).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    assert_eq!(names, UPDATERS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for company in Company::all() {
        let keys: BTreeSet<&str> = company.keys.iter().map(|key| key.name).collect();
        assert_eq!(keys.len(), company.keys.len(), "{company:?}");
        let is_name = |text: &str| {
            text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        assert!(is_name(company.name) && keys.iter().all(|key| is_name(key)), "{company:?}");
        assert!(company.keys.iter().any(|key| key.secret), "{company:?}");
        assert_eq!(Company::find(company.name), Some(company));
    }
    assert_eq!(Company::find("clodflare"), None);
}

#[test]
fn every_company_is_made_or_says_what_is_wrong() {
    for company in Company::all() {
        if let Err(error) = zone::Cloud::new(company.name, company, &dummy(company)) {
            let text = error.to_string();
            // These want keys that can be parsed.
            assert!(["google", "oracle", "transip"].contains(&company.name), "{text}");
            assert!(text.starts_with("the credentials for "), "{text}");
            assert!(!text.contains("abcdef0123456789"), "{text}");
        }
    }
}

#[test]
fn credentials_are_judged() {
    let table = [
        ("cloudflare", "token = 'abc'", None),
        ("cloudflare", "", Some("`token` is missing; wanted are `token`")),
        ("cloudflare", "token = ''", Some("`token` is missing; wanted are `token`")),
        (
            "cloudflare",
            "Tokn = 'abc'",
            Some("there is no key `Tokn` (meant: `token`?); wanted are `token`"),
        ),
        ("cloudflare", "CF_Key = 'abc'", Some("there is no key `CF_Key`; wanted are `token`")),
        (
            "ovh",
            "application-key = 'a'",
            Some(
                "`application-secret` is missing; wanted are `application-key`, \
                 `application-secret`, `consumer-key` (and perhaps `endpoint`)",
            ),
        ),
        ("azure", "tenant = 't'\nsecret = 's'", Some("`client` is missing; wanted are `tenant`")),
    ];
    for (name, text, expected) in table {
        let credentials = Credentials::parse(text).unwrap();
        let judged = Company::find(name).unwrap().judge(name, &credentials);
        let said = judged.map_err(|error| error.to_string()).err();
        match (said, expected) {
            (None, None) => {}
            (Some(said), Some(expected)) => assert!(said.contains(expected), "{said}"),
            (said, _) => panic!("{name} {text:?}: {said:?}"),
        }
    }
}

#[test]
fn texts_that_are_no_texts() {
    let table = [
        ("autodns", "user='u'\npassword='p'\ncontext='x'", "`context` is no number"),
        (
            "ovh",
            "endpoint='moon'\napplication-key='a'\napplication-secret='bbbb'\nconsumer-key='cccc'",
            "Invalid OVH endpoint: moon",
        ),
        ("lightsail", "key='k'\nsecret='ssss'\nregion='A B'", "Invalid region"),
        ("joker", "", "Joker username and password must not be empty"),
        ("cloudns", "password='p'", "requires either auth_id or sub_auth_id"),
        ("transip", "user='u'\nprivate-key='x'\nglobal-key='yes'", "neither true nor false"),
    ];
    for (name, text, expected) in table {
        let credentials = Credentials::parse(text).unwrap();
        let made = build(name, Company::find(name).unwrap(), &credentials);
        let said = made.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains(expected), "{name}: {said}");
    }
}

#[test]
fn the_manual_lists_what_is_wanted() {
    let escape = |text: &str| text.replace('-', "\\-").replace('\'', "\\(aq");
    let entry = |key: &Key| {
        let mut text = format!("\\fB{}\\fR", escape(key.name));
        if !key.meaning.is_empty() {
            text += &format!(" ({})", escape(key.meaning));
        }
        if key.required { text } else { format!("[{text}]") }
    };
    let mut table = String::new();
    for company in Company::all() {
        let keys = company.keys.iter().map(entry).collect::<Vec<_>>().join(", ");
        let (name, title) = (escape(company.name), escape(company.title));
        table += &format!(".TP\n\\fB{name}\\fR ({title})\n{keys}\n");
        if company.single {
            table += "One value at a name: no wildcard beside its base name.\n";
        }
    }
    // Where its lines are broken is the manual's affair.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let page = include_str!("../../../../man/acmeagent-dns.7");
    let is_there = words(page).contains(&words(&table));
    assert!(is_there, "put this into man/acmeagent-dns.7:\n{table}");
}
