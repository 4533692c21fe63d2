use proptest::prelude::*;

use super::*;

use crate::deploy::nginx::syntax::{Step, steps};

fn directives(text: &str) -> Vec<(String, usize)> {
    let steps = steps(text).into_iter();
    let directives = steps.filter_map(|step| match step {
        Step::Directive(words, line) => Some((words.join("|"), line)),
        _ => None,
    });
    directives.collect()
}

#[test]
fn the_syntax() {
    let table: &[(&str, &[(&str, usize)])] = &[
        ("a b c;", &[("a|b|c", 1)]),
        ("# no;\na b; # x { ;\nc d;", &[("a|b", 2), ("c|d", 3)]),
        ("a 'b c' \"d;{}#\";", &[("a|b c|d;{}#", 1)]),
        ("a b#c;", &[("a|b#c", 1)]),
        (r#"a "x\"y" x\ y c:\new;"#, &[("a|x\"y|x\\ y|c:\new", 1)]),
        ("log ${x}y;", &[("log|${x}y", 1)]),
        ("s {\n\n  a\n b;\n}", &[("a|b", 3)]),
        ("x_by_lua_block { if a then { b; } end }\nc d;", &[("c|d", 2)]),
        ("a \"never closed;", &[]),
        ("} } a b;", &[("a|b", 1)]),
    ];
    for (text, expected) in table {
        let found = directives(text);
        let found: Vec<(&str, usize)> = found.iter().map(|(w, l)| (w.as_str(), *l)).collect();
        assert_eq!(found, *expected, "{text}");
    }
}

#[test]
fn patterns() {
    let table = [
        ("*.conf", "a.conf", true),
        ("*.conf", "a.conf~", false),
        ("a?c*", "abcde", true),
        ("*a*b*", "xxaxxbxx", true),
        ("*a*b", "ab b", true),
        ("a", "b", false),
        ("*", "", true),
        ("?", "", false),
    ];
    for (pattern, name, fit) in table {
        assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), fit, "{pattern} {name}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
fn files_are_followed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir_all(at("sites")).unwrap();
    let main = "http {\n include sites/*.conf;\n include loop.conf;\n include /gone/*;\n}\n";
    std::fs::write(at("nginx.conf"), main).unwrap();
    std::fs::write(at("loop.conf"), "include loop.conf;").unwrap();
    let site = "server {\n ssl_certificate_key /k.pem;\n ssl_certificate c.pem;\n server_name a b;\n include sites/inner;\n location / { ssl_certificate $x; }\n}\n";
    std::fs::write(at("sites/a.conf"), site).unwrap();
    std::fs::write(at("sites/inner"), "server_name c;").unwrap();
    std::fs::write(at("sites/z.conf"), "ssl_certificate data:x; ssl_certificate /z;}").unwrap();
    let found = read(&at("nginx.conf")).mentions;
    let names = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
    let mention = |file: &str, line, word, part, path: PathBuf, names| Mention {
        file: at(file),
        line,
        word,
        part,
        path,
        names,
    };
    let expected = [
        mention(
            "sites/a.conf",
            2,
            "ssl_certificate_key",
            Part::Key,
            "/k.pem".into(),
            names.clone(),
        ),
        mention("sites/a.conf", 3, "ssl_certificate", Part::Chain, at("c.pem"), names),
        mention("sites/z.conf", 1, "ssl_certificate", Part::Chain, "/z".into(), Vec::new()),
    ];
    assert_eq!(found, expected);
}

proptest! {
    #[test]
    fn any_text_comes_apart(text in "[a-c \\n;{}#\"'\\\\$]{0,80}") {
        let lines = text.lines().count().max(1) + 1;
        for (_, line) in directives(&text) {
            prop_assert!((1..=lines).contains(&line));
        }
    }
}
