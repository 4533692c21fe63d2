use std::path::Path;

use super::*;
use crate::config::main_settings::MainSettings;

fn parse(text: &str) -> Result<Vec<AlertTable>, String> {
    let main = MainSettings::parse(Path::new("a.toml"), text).map_err(|error| error.to_string())?;
    Ok(main.alerts().to_vec())
}

#[track_caller]
fn one(text: &str) -> AlertTable {
    let mut all = parse(&format!("[[alert]]\nname = \"ops\"\n{text}")).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn each_kind_has_its_keys() {
    let table = [
        ("webhook", "url = \"http://10.0.0.1/x\"\nsecret-env = \"KEY\"\ntemplate = \"/a.json\""),
        ("slack", "url-file = \"/etc/slack\""),
        (
            "matrix",
            "url = \"https://m.example\"\nroom = \"!a:m.example\"\ntoken-credential = \"m\"",
        ),
        ("ntfy", "url = \"http://192.168.0.9:8080\"\ntopic = \"tls_1\""),
        ("email", "from = \"a@b.example\"\nto = [\"c@d.example\"]\nsmtp = \"mail.example:587\""),
        ("command", "command = [\"/usr/local/bin/page\", \"me\"]"),
        ("alertmanager", "url = \"http://am:9093\""),
    ];
    for (kind, keys) in table {
        let alert = one(&format!("kind = \"{kind}\"\n{keys}"));
        assert_eq!(alert.medium.kind(), kind);
        assert_eq!((alert.terms.name.as_str(), alert.terms.severity), ("ops", Severity::Warning));
        assert_eq!(alert.terms.repeat, Some(AlertTable::REPEAT));
        assert!(!alert.holds_secret());
    }
    assert_eq!(parse("").unwrap(), []);
}

#[test]
fn terms_are_read() {
    let webhook = "kind = \"webhook\"\nurl = \"https://a.example\"\n";
    let alert = one(&format!("{webhook}severity = \"critical\"\nrepeat = \"4h\""));
    assert_eq!(alert.terms.severity, Severity::Critical);
    assert_eq!(alert.terms.repeat, Some(Duration::from_secs(4 * 3600)));
    assert_eq!(one(&format!("{webhook}repeat = \"0s\"")).terms.repeat, None);
}

#[test]
fn mail_is_encrypted_but_on_this_host() {
    let mail = |more: &str| {
        let text = "[[alert]]\nname = \"m\"\nkind = \"email\"\nfrom = \"a@b.example\"\n\
                    to = [\"c@d.example\", \"e@f.example\"]\n";
        parse(&format!("{text}{more}"))
    };
    let tls = |more: &str| match &mail(more).unwrap()[0].medium {
        Medium::Email { mail, .. } => mail.tls,
        other => panic!("{other:?}"),
    };
    assert_eq!(tls("smtp = \"localhost:25\""), MailTls::None);
    assert_eq!(tls("smtp = \"mail.example:25\""), MailTls::StartTls);
    assert_eq!(tls("smtp = \"mail.example:465\"\ntls = \"tls\""), MailTls::Tls);
    let error = mail("smtp = \"mail.example:25\"\ntls = \"none\"").unwrap_err();
    assert!(error.contains("to this host only"), "{error}");
    let error = mail("smtp = \"mail.example:25\"\nuser = \"u\"").unwrap_err();
    assert!(error.contains("`alert.password-file` is missing"), "{error}");
}

#[test]
fn literal_secrets_are_known_as_such() {
    let table = [
        ("kind = \"slack\"\nurl = \"https://hooks.slack.example/hunter2\"", true),
        ("kind = \"webhook\"\nurl = \"https://a.example\"", false),
        ("kind = \"webhook\"\nurl = \"https://a.example\"\nsecret = \"hunter2\"", true),
        ("kind = \"ntfy\"\nurl = \"https://a.example\"\ntopic = \"t\"\ntoken = \"hunter2\"", true),
    ];
    for (text, holds) in table {
        let alert = one(text);
        assert_eq!(alert.holds_secret(), holds, "{text}");
        assert!(!format!("{alert:?}").contains("hunter2"), "{alert:?}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let many: String = (0..17)
        .map(|n| format!("[[alert]]\nname = \"a{n}\"\nkind = \"command\"\ncommand = [\"x\"]\n"))
        .collect();
    let table = [
        ("[[alert]]\nkind = \"slack\"", "1:1: `alert.name` is missing"),
        ("[[alert]]\nname = \"a\"", "1:1: `alert.kind` is missing"),
        (
            "[[alert]]\nname = \"a\"\nkind = \"slak\"",
            "3:8: `alert.kind`: \"slak\" is unknown; did you mean \"slack\"?",
        ),
        ("[[alert]]\nname = \"a\"\nkind = \"slack\"", "1:1: `alert.url` is missing"),
        (
            "[[alert]]\nname = \"a\"\nkind = \"slack\"\nurl = \"x\"",
            "4:7: `alert.url`: it must be a URL",
        ),
        (
            "[[alert]]\nname = \"a\"\nkind = \"slack\"\nurll = \"x\"",
            "4:1: unknown key `alert.urll`",
        ),
        (
            "[[alert]]\nname = \"a\"\nkind = \"slack\"\nroom = \"!x\"",
            "4:8: `alert.room`: it does not belong to kind slack, which has template, url",
        ),
        (
            "[[alert]]\nname = \"a\"\nkind = \"slack\"\nurl = \"https://x\"\nurl-env = \"X\"",
            "4:7: `alert.url`: only one place of it may be given",
        ),
        (
            "[[alert]]\nname = \"a\"\nkind = \"ntfy\"\nurl = \"http://a.example\"\ntopic = \"t\"\ntoken-env = \"T\"",
            "4:7: `alert.url`: a secret crosses networks by https:// only",
        ),
        (
            "[[alert]]\nname = \"a\"\nkind = \"ntfy\"\nurl = \"http://a.example\"\ntopic = \"a/b\"",
            "5:9: `alert.topic`: 1 to 64 letters",
        ),
        (
            "[[alert]]\nname = \"a\"\nkind = \"matrix\"\nurl = \"https://a\"\ntoken-env = \"T\"\nroom = \"#x:y\"",
            "6:8: `alert.room`: it must be the room's id",
        ),
        (
            "[[alert]]\nname = \"a\"\nkind = \"command\"\ncommand = [\"x\"]\nseverity = \"info\"",
            "5:12: `alert.severity`: \"info\" is unknown",
        ),
        (
            "[[alert]]\nname = \"a\"\nkind = \"command\"\ncommand = [\"x\"]\n[[alert]]\nname = \"a\"\nkind = \"command\"\ncommand = [\"x\"]",
            "6:8: `alert.name`: another [[alert]] has that name",
        ),
        (&many, "66:8: `alert.name`: more than 16"),
    ];
    for (text, says) in table {
        let error = parse(text).unwrap_err();
        assert!(error.contains(&format!("a.toml:{says}")), "{error}");
    }
}
