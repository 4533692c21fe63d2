//! The house holds: uses point down, files and functions stay small, rooms have honest names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The floor of every room, in tenths: there is one between the third and the fourth.
const FLOORS: &[(&str, u8)] = &[
    ("model", 10),
    ("certificate", 20),
    ("schedule", 30),
    ("pipeline/machine", 30),
    ("hook", 35),
    ("dns", 35),
    ("store", 40),
    ("acme", 40),
    ("challenge", 40),
    ("deploy", 40),
    ("probe", 40),
    ("observe", 40),
    ("config", 50),
    ("pipeline", 50),
    ("agent", 60),
    ("doctor", 70),
    ("drill", 70),
    ("cli", 80),
];

const FORBIDDEN_NAMES: &[&str] = &[
    "util", "utils", "helper", "helpers", "common", "misc", "core", "manager", "handler", "service",
];

const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 60;

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    assert!(found.len() > 10, "the sources were not found");
    found
}

fn room_of(path: &str) -> Option<(&'static str, u8)> {
    let within = |room: &str| {
        path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
    };
    let rooms = FLOORS.iter().filter(|(room, _)| within(room));
    rooms.max_by_key(|(room, _)| room.len()).copied()
}

/// The rooms a file names by `crate::…`, as paths below `src`.
fn uses(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in text.split("crate::").skip(1) {
        let end = part.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        let path = part[..end.unwrap_or(part.len())].replace("::", "/");
        found.insert(path.trim_end_matches('/').to_owned());
    }
    found
}

/// The code of a file without its tests, as lines with their numbers; blank lines and comments left out.
fn code_lines(text: &str) -> Vec<(usize, &str)> {
    let tests = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..tests].lines().enumerate().map(|(i, line)| (i + 1, line));
    let is_code = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    lines.filter(|(_, line)| is_code(line)).collect()
}

fn is_test_file(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests")
        || path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .is_some_and(|stem| stem == "tests" || stem.ends_with("_tests"))
}

#[test]
fn uses_point_down() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let here = path.to_str().unwrap();
        let Some((room, floor)) = room_of(here) else { continue };
        for used in uses(&text) {
            let Some((other, below)) = room_of(&used) else { continue };
            let same_folder = other.split('/').next() == room.split('/').next();
            if other != room && below >= floor && !same_folder {
                wrong
                    .push(format!("src/{here} (floor {floor}) uses crate::{used} (floor {below})"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_pure_machine_does_not_use_its_own_folder() {
    let (_, text) =
        sources().into_iter().find(|(p, _)| p.ends_with("pipeline/machine.rs")).unwrap();
    assert!(uses(&text).iter().all(|used| room_of(used).is_some_and(|(_, floor)| floor <= 20)));
}

#[test]
fn every_room_has_a_floor() {
    for (path, _) in sources() {
        let here = path.to_str().unwrap();
        let doorbell = ["main.rs", "lib.rs"].contains(&here);
        assert!(doorbell || room_of(here).is_some(), "src/{here} stands on no floor");
    }
}

#[test]
fn files_and_functions_are_small() {
    let mut wrong = Vec::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| !is_test_file(path)) {
        let lines = code_lines(&text);
        if lines.len() > LONGEST_FILE {
            wrong.push(format!("src/{}: {} lines of code", path.display(), lines.len()));
        }
        let mut open: Option<(usize, usize, String)> = None;
        for (count, (number, line)) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let words = line.split_whitespace().take(6).collect::<Vec<_>>();
            if open.is_none() && words.contains(&"fn") && !line.trim_end().ends_with(';') {
                open = Some((count, indent, format!("src/{}:{number}", path.display())));
            }
            let Some((from, column, place)) = &open else { continue };
            if indent == *column && line.trim_start().starts_with('}')
                || line.trim_end().ends_with("}") && count == *from
            {
                if count - from + 1 > LONGEST_FUNCTION {
                    wrong.push(format!("{place}: function of {} lines", count - from + 1));
                }
                open = None;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rooms_have_honest_names() {
    for (path, _) in sources() {
        for part in path.iter().filter_map(|part| part.to_str()) {
            let name = part.trim_end_matches(".rs");
            assert!(
                !FORBIDDEN_NAMES.contains(&name),
                "src/{}: `{name}` says nothing",
                path.display()
            );
        }
    }
}
