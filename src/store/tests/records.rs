//! What was put into the DNS.

use super::*;
use crate::model::txt::{Leftover, Txt};
use crate::store::layout::Label;

fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions())
        & 0o7777
}

fn leftover(provider: &str, value: &str, seconds: i64) -> Leftover {
    let txt = Txt {
        identifier: Identifier::parse("*.example.com").unwrap(),
        asked: "_acme-challenge.example.com".to_owned(),
        owner: "example.dns.example".to_owned(),
        apex: "dns.example".to_owned(),
        value: value.to_owned(),
    };
    let (provider, credentials) = (provider.to_owned(), Some("/etc/dns.toml".to_owned()));
    Leftover { provider, credentials, txt, at: at(seconds) }
}

#[test]
fn what_is_left_is_remembered_until_it_is_removed() {
    let home = Home::new();
    let store = home.open();
    assert_eq!(store.with_leftovers().unwrap(), []);
    let [one, two] = ["one", "two"].map(|value| leftover("exec:/x", value, 0));
    store.note_leftovers(&name(), vec![one.clone(), two.clone()]).unwrap();
    // By another provider it is another matter; noted anew it is the same.
    let other = leftover("corp", "one", 0);
    let again = leftover("exec:/x", "one", 5);
    store.note_leftovers(&name(), vec![other.clone(), again.clone()]).unwrap();
    assert_eq!(store.with_leftovers().unwrap(), [name()]);
    let left = home.open().leftovers(&name()).unwrap();
    assert_eq!(left, [two.clone(), other.clone(), again.clone()]);
    store.forget_leftovers(&name(), "exec:/x", &[one.txt, two.txt]).unwrap();
    assert_eq!(store.leftovers(&name()).unwrap(), std::slice::from_ref(&other));
    store.forget_leftovers(&name(), "corp", &[other.txt]).unwrap();
    assert_eq!(store.with_leftovers().unwrap(), []);
    store.forget_leftovers(&name(), "corp", &[]).unwrap();
}

#[test]
fn what_cannot_be_read_is_in_nobodys_way() {
    let home = Home::new();
    let store = home.open();
    store.note_leftovers(&name(), vec![leftover("corp", "one", 0)]).unwrap();
    overwrite(&store.layout().leftovers(&name()), b"{\"schema\": 3");
    assert_eq!(store.leftovers(&name()).unwrap(), []);
    assert_eq!(store.with_leftovers().unwrap(), [name()]);
    store.forget_leftovers(&name(), "", &[]).unwrap();
    assert_eq!(store.with_leftovers().unwrap(), []);
}

#[test]
fn what_a_provider_gave_is_kept_under_any_label() {
    let home = Home::new();
    let store = home.open();
    let name = format!("_acme-challenge.{}", ["a".repeat(60).as_str(); 4].join("."));
    let labels = [
        "acme-dns:https://auth.example.org/ _acme-challenge.example.com".to_owned(),
        "acme-dns:https://auth.example.org/ _acme-challenge.example.net".to_owned(),
        format!("acme-dns:https://auth.example.org/ {name}"),
        "../../etc/passwd".to_owned(),
        "/".to_owned(),
    ];
    for label in &labels {
        assert_eq!(store.registration(&Label::of(label)).unwrap(), None, "{label}");
        store.save_registration(&Label::of(label), label.as_bytes()).unwrap();
    }
    for label in &labels {
        let kept = home.open().registration(&Label::of(label)).unwrap().unwrap();
        assert_eq!(*kept, label.as_bytes(), "{label}");
    }
    let folder = store.layout().registrations_dir();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), labels.len());
    assert_eq!(mode(&folder), 0o700);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
fn files_are_lent_for_names_of_any_length() {
    let home = Home::new();
    let store = home.open();
    std::fs::create_dir_all(store.layout().live_dir()).unwrap();
    let name = ["a".repeat(62).as_str(); 4].join(".");
    let lent = store.lend(&Label::of(&name), b"pem", 0).unwrap();
    assert_eq!((std::fs::read(&lent).unwrap(), mode(&lent)), (b"pem".to_vec(), 0o400));
    store.take_back(&lent);
    assert!(!lent.exists());
}
