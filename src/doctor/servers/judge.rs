//! Whether a server names the right file. Pure: a mention and what lies there in, a finding out.

use std::path::Path;

use super::Ours;
use super::contents::Contents;
use crate::deploy::mention::{Mention, Part};
use crate::doctor::HOST;
use crate::model::file;
use crate::model::finding::{Finding, Severity};
use crate::model::name::Identifier;
use crate::store::layout;

/// What is to be said of a mention, before it is known where it stands.
struct Verdict<'a> {
    severity: Severity,
    /// Whose file should be named there.
    whose: Option<&'a Ours>,
    /// What is wrong with, or to be known of, the file.
    what: String,
}

/// Judges one mention; `None` where it is none of our business.
pub(super) fn judge(mention: &Mention, contents: &Contents, ours: &[Ours]) -> Option<Finding> {
    let verdict = match &contents.lies_at {
        None => Some(missing(mention, ours)),
        Some(real) => of_ours(mention, real, ours)
            .or_else(|| misplaced(mention, contents))
            .or_else(|| foreign(contents, ours)),
    }?;
    let Mention { file, line, word, path, .. } = mention;
    let (file, path) = (file.display(), path.display());
    let hint = match (verdict.severity, verdict.whose) {
        (Severity::Ok, _) => None,
        (_, None) => Some(format!("name the right file in {file}, line {line}")),
        (_, Some(ours)) => Some(right_file(mention.part, ours)),
    };
    Some(Finding {
        subject: verdict.whose.map_or_else(|| HOST.to_owned(), |ours| ours.name.to_string()),
        reason: "server_path",
        severity: verdict.severity,
        message: format!("{file}:{line}: {word} {path} {}", verdict.what),
        hint,
    })
}

fn right_file(part: Part, ours: &Ours) -> String {
    let live = |file: &str| ours.live.join(file).display().to_string();
    match part {
        Part::Chain => format!("name {} there", live(file::FULLCHAIN)),
        Part::Key => format!("name {} there", live(file::PRIVKEY)),
        Part::Bundle => {
            let (chain, key) = (live(file::FULLCHAIN), live(file::PRIVKEY));
            format!("let a deploy hook join {chain} and {key} into the file named there")
        }
    }
}

fn missing<'a>(mention: &Mention, ours: &'a [Ours]) -> Verdict<'a> {
    let answers = |one: &Ours| {
        let names = mention.names.iter().filter_map(|name| Identifier::parse(name).ok());
        names.into_iter().any(|name| one.identifiers.contains(&name))
    };
    let lies_below = |one: &&Ours| mention.path.starts_with(&one.live);
    let whose = ours.iter().find(lies_below).or_else(|| ours.iter().find(|one| answers(one)));
    Verdict { severity: Severity::Critical, whose, what: "does not exist".to_owned() }
}

/// Judges a path into our store.
fn of_ours<'a>(mention: &Mention, real: &Path, ours: &'a [Ours]) -> Option<Verdict<'a>> {
    let found = ours.iter().find_map(|one| {
        let live = real.strip_prefix(&one.live).ok().map(|rest| (one, true, rest));
        live.or_else(|| Some((one, false, real.strip_prefix(&one.archive).ok()?)))
    });
    let (one, is_live, rest) = found?;
    if !is_live {
        let generation = rest.iter().next().and_then(|folder| folder.to_str());
        let generation = generation.and_then(layout::parse_generation_folder);
        let which = generation.map_or_else(String::new, |number| format!(" generation {number}"));
        let what = format!("is{which} in the archive, which no renewal changes");
        return Some(Verdict { severity: Severity::Critical, whose: Some(one), what });
    }
    let what = match (mention.part, rest.to_str().unwrap_or_default()) {
        (Part::Chain, file::FULLCHAIN) | (Part::Key, file::PRIVKEY) => {
            let what = "is what is live".to_owned();
            return Some(Verdict { severity: Severity::Ok, whose: Some(one), what });
        }
        (Part::Chain, file::CERT) => "lacks the issuers, which many clients do not know",
        (Part::Chain, file::CHAIN) => "holds the issuers only",
        (Part::Chain, file::PRIVKEY) => "is the key where the certificate belongs",
        (Part::Key, file::FULLCHAIN | file::CERT | file::CHAIN) => {
            "is the certificate where the key belongs"
        }
        (Part::Bundle, file::PRIVKEY) => "holds no certificate",
        (Part::Bundle, file::FULLCHAIN | file::CERT | file::CHAIN) => "holds no key",
        _ => "is no file of a certificate",
    };
    Some(Verdict { severity: Severity::Critical, whose: Some(one), what: what.to_owned() })
}

/// Certificate and key the wrong way round keep a server from loading anything at all.
fn misplaced<'a>(mention: &Mention, contents: &Contents) -> Option<Verdict<'a>> {
    let what = match (mention.part, contents.certificates, contents.has_key) {
        (Part::Chain, 0, true) => "is a key where the certificate belongs",
        (Part::Key, 1.., false) => "is a certificate where the key belongs",
        _ => return None,
    };
    Some(Verdict { severity: Severity::Critical, whose: None, what: what.to_owned() })
}

/// Judges a file outside our store by the certificate in it.
fn foreign<'a>(contents: &Contents, ours: &'a [Ours]) -> Option<Verdict<'a>> {
    let (fingerprint, identifiers) = contents.leaf.as_ref()?;
    let copy = ours.iter().find_map(|one| {
        let mut generations = one.generations.iter();
        let (generation, _) = generations.find(|(_, ours)| ours == fingerprint)?;
        Some((one, *generation))
    });
    if let Some((one, generation)) = copy {
        let is_live = one.live_generation == Some(generation);
        let (severity, what) = match (is_live, one.has_hooks) {
            (true, true) => {
                (Severity::Ok, "is a copy of what is live, which a hook may keep fresh")
            }
            (true, false) => {
                (Severity::Warning, "is a copy of what is live, which no renewal reaches")
            }
            (false, _) => (Severity::Critical, "is a stale copy"),
        };
        let what = match is_live {
            true => what.to_owned(),
            false => format!("{what}: generation {generation}, which is not live"),
        };
        return Some(Verdict { severity, whose: Some(one), what });
    }
    let one = ours.iter().find(|one| !one.identifiers.is_disjoint(identifiers))?;
    let what = "is another certificate for the same names, none of ours".to_owned();
    Some(Verdict { severity: Severity::Warning, whose: Some(one), what })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::generation::Generation;
    use crate::model::name::CertName;

    fn names(names: &[&str]) -> BTreeSet<Identifier> {
        names.iter().map(|name| Identifier::parse(name).unwrap()).collect()
    }

    fn ours(has_hooks: bool) -> Ours {
        let generation = |number| Generation::new(number).unwrap();
        Ours {
            name: CertName::parse("a").unwrap(),
            live: "/s/live/a".into(),
            archive: "/s/archive/a".into(),
            identifiers: names(&["a.example"]),
            live_generation: Some(generation(2)),
            generations: vec![(generation(1), "old".into()), (generation(2), "new".into())],
            has_hooks,
        }
    }

    fn mention(part: Part, path: &str) -> Mention {
        Mention {
            file: "/etc/nginx/x.conf".into(),
            line: 7,
            word: "ssl_certificate",
            part,
            path: path.into(),
            names: vec!["_".into(), "a.example".into()],
        }
    }

    fn at(path: &str) -> Contents {
        Contents { lies_at: Some(path.into()), ..Contents::default() }
    }

    #[track_caller]
    fn judged(mention: &Mention, contents: &Contents, has_hooks: bool) -> Option<Finding> {
        let found = judge(mention, contents, &[ours(has_hooks)]);
        if let Some(found) = &found {
            assert!(
                found.message.starts_with("/etc/nginx/x.conf:7: ssl_certificate "),
                "{found:?}"
            );
            assert_eq!(found.hint.is_some(), found.severity > Severity::Ok, "{found:?}");
        }
        found
    }

    #[test]
    fn paths_into_the_store() {
        use Part::{Bundle, Chain, Key};
        let table = [
            (Chain, "live/a/fullchain.pem", "is what is live"),
            (Key, "live/a/privkey.pem", "is what is live"),
            (Chain, "live/a/cert.pem", "lacks the issuers"),
            (Chain, "live/a/chain.pem", "issuers only"),
            (Chain, "live/a/privkey.pem", "key where the certificate belongs"),
            (Chain, "live/a/meta.json", "no file of a certificate"),
            (Key, "live/a/fullchain.pem", "certificate where the key belongs"),
            (Bundle, "live/a/fullchain.pem", "holds no key"),
            (Bundle, "live/a/privkey.pem", "holds no certificate"),
            (Chain, "archive/a/0001/fullchain.pem", "is generation 1 in the archive"),
            (Key, "archive/a/0002/privkey.pem", "is generation 2 in the archive"),
        ];
        for (part, path, says) in table {
            let path = format!("/s/{path}");
            let found = judged(&mention(part, &path), &at(&path), false).unwrap();
            let good = says == "is what is live";
            assert!(found.message.contains(says), "{found:?}");
            assert_eq!(found.severity == Severity::Ok, good, "{found:?}");
            assert_eq!(found.subject, "a");
        }
    }

    #[test]
    fn the_right_file_is_named() {
        let found = judged(&mention(Part::Chain, "/x"), &at("/s/live/a/cert.pem"), false).unwrap();
        assert_eq!(found.hint.unwrap(), "name /s/live/a/fullchain.pem there");
        let gone = judged(&mention(Part::Key, "/gone.pem"), &Contents::default(), false).unwrap();
        assert_eq!((gone.severity, gone.subject.as_str()), (Severity::Critical, "a"));
        assert_eq!(gone.hint.unwrap(), "name /s/live/a/privkey.pem there");
        let nobodys = Mention { names: Vec::new(), ..mention(Part::Key, "/gone.pem") };
        let gone = judged(&nobodys, &Contents::default(), false).unwrap();
        assert_eq!(gone.subject, HOST);
    }

    #[test]
    fn files_elsewhere_are_judged_by_what_is_in_them() {
        let holding = |leaf: Option<(&str, &[&str])>, has_key| Contents {
            lies_at: Some("/etc/ssl/x.pem".into()),
            certificates: usize::from(leaf.is_some()),
            has_key,
            leaf: leaf.map(|(fingerprint, identifiers)| (fingerprint.into(), names(identifiers))),
        };
        let of = |fingerprint| holding(Some((fingerprint, &["a.example"])), false);
        let other = holding(Some(("x", &["b.example"])), false);
        use Part::{Bundle, Chain, Key};
        let table = [
            (Chain, of("new"), false, Some((Severity::Warning, "a copy of what is live"))),
            (Chain, of("new"), true, Some((Severity::Ok, "a hook may keep fresh"))),
            (Bundle, of("old"), true, Some((Severity::Critical, "stale copy: generation 1"))),
            (Chain, of("x"), true, Some((Severity::Warning, "none of ours"))),
            (Chain, other, true, None),
            (Chain, holding(None, true), true, Some((Severity::Critical, "is a key where"))),
            (Key, of("x"), true, Some((Severity::Critical, "is a certificate where"))),
            (Key, holding(None, true), true, None),
            (Chain, holding(None, false), true, None),
        ];
        for (part, contents, has_hooks, expected) in table {
            let found = judged(&mention(part, "/etc/ssl/x.pem"), &contents, has_hooks);
            let severity = found.as_ref().map(|found| found.severity);
            assert_eq!(severity, expected.map(|(severity, _)| severity), "{contents:?} {found:?}");
            if let (Some(found), Some((_, says))) = (found, expected) {
                assert!(found.message.contains(says), "{found:?}");
            }
        }
    }
}
