//! HAProxy: the files its configuration names.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::binding::{self, Bind};
use crate::deploy::files;
use crate::deploy::mention::{Mention, Part, resolve};
use crate::model::endpoint::Endpoint;
use crate::model::name::Identifier;

/// Below the root of the system.
const USUAL: &str = "etc/haproxy/haproxy.cfg";

/// What lies beside a bundle and is no bundle itself.
const COMPANIONS: [&str; 5] = ["key", "issuer", "ocsp", "sctl", "dh"];

/// Every mention in the configurations of running processes, else in the usual one; `root` is where
/// the system's files lie.
pub(crate) fn mentions(root: &Path) -> Vec<Mention> {
    read(root).mentions
}

/// Where clients meet HAProxy with one of these files, and for which names: those of a list where
/// one limits them, else all. A wildcard stands for a name below it that nobody has thought of.
pub(crate) fn endpoints(
    root: &Path,
    bundles: &[PathBuf],
    identifiers: &[Identifier],
) -> Vec<Endpoint> {
    let bundles: Vec<_> = bundles.iter().map(|path| files::resolved(path)).collect();
    binding::endpoints(&read(root).binds, identifiers, |path| {
        bundles.contains(&files::resolved(path))
    })
}

fn read(root: &Path) -> Reader {
    let mut files = of_processes(root);
    if files.is_empty() {
        files.insert(root.join(USUAL));
    }
    let mut reader = Reader::default();
    for file in &files {
        reader.read(file);
    }
    reader
}

/// The files that running processes were started with.
fn of_processes(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mounts = |process: &Path| process.join("ns/mnt").read_link().ok();
    let ours = mounts(&root.join("proc/self"));
    for process in files::list(&root.join("proc")) {
        if files::text(&process.join("comm")).is_none_or(|name| name.trim_end() != "haproxy") {
            continue;
        }
        // Inside a container its paths are not ours.
        if mounts(&process).is_some_and(|theirs| ours.as_ref().is_some_and(|ours| theirs != *ours))
        {
            continue;
        }
        let Some(line) = files::bytes(&process.join("cmdline")) else { continue };
        let base = process.join("cwd").read_link().unwrap_or_default();
        for path in configurations(&line) {
            let path = base.join(path);
            match path.is_dir() {
                true => {
                    found.extend(files::list(&path).into_iter().filter(|file| has_end(file, "cfg")))
                }
                false => drop(found.insert(path)),
            }
        }
    }
    found
}

/// The arguments of `-f`, of which one may be followed by several paths, and of `--`.
fn configurations(command_line: &[u8]) -> Vec<&Path> {
    let (mut found, mut takes) = (Vec::new(), false);
    for word in command_line.split(|byte| *byte == 0).skip(1).filter(|word| !word.is_empty()) {
        if word.starts_with(b"-") {
            takes = matches!(word, b"-f" | b"--");
        } else if takes {
            found.push(Path::new(OsStr::from_bytes(word)));
        }
    }
    found
}

fn has_end(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// Reads configurations line by line; what `global` says holds for those that follow.
#[derive(Default)]
struct Reader {
    crt_base: Option<PathBuf>,
    key_base: Option<PathBuf>,
    mentions: Vec<Mention>,
    binds: Vec<Bind>,
}

/// Where a line stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    file: &'a Path,
    line: usize,
}

impl Reader {
    fn read(&mut self, file: &Path) {
        for (place, words) in lines(file) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match words[..] {
                ["crt-base", dir] => self.crt_base = Some(dir.into()),
                ["key-base", dir] => self.key_base = Some(dir.into()),
                ["bind", addresses, ref parameters @ ..] => {
                    self.bind(place, addresses, parameters);
                }
                ["load", ..] => self.load(place, &words),
                _ => {}
            }
        }
    }

    fn bind(&mut self, place: Place<'_>, addresses: &str, parameters: &[&str]) {
        let before = self.mentions.len();
        for pair in parameters.windows(2) {
            match pair {
                ["crt", path] => self.bundle(place, "crt", path),
                ["crt-list", list] => self.read_list(list),
                _ => {}
            }
        }
        let bundles = self.mentions[before..].iter();
        let bundles = bundles.map(|one| (one.path.clone(), one.names.clone())).collect();
        self.binds.extend(Bind::read(addresses, parameters, bundles));
    }

    /// A file of a bundle, what is special about it, and the names it is for, line by line.
    fn read_list(&mut self, list: &str) {
        let Some(list) = absolute(None, list) else { return };
        for (place, words) in lines(&list) {
            let before = self.mentions.len();
            self.bundle(place, "crt-list", &words[0]);
            let special = match words.get(1).filter(|word| word.starts_with('[')) {
                Some(_) => words.iter().position(|word| word.ends_with(']')).unwrap_or(0),
                None => 0,
            };
            for mention in &mut self.mentions[before..] {
                mention.names = words[special + 1..].to_vec();
            }
        }
    }

    /// A line of a `crt-store`.
    fn load(&mut self, place: Place<'_>, words: &[&str]) {
        let after = |word| words.windows(2).find(|pair| pair[0] == word).map(|pair| pair[1]);
        match (after("crt"), after("key")) {
            (Some(crt), Some(key)) => {
                let (crt, key) = (
                    absolute(self.crt_base.as_deref(), crt),
                    absolute(self.key_base.as_deref(), key),
                );
                self.add(place, "crt", Part::Chain, crt);
                self.add(place, "key", Part::Key, key);
            }
            (Some(crt), None) => self.bundle(place, "crt", crt),
            _ => {}
        }
    }

    /// A file with chain and key, or with its key beside it, or a directory of such files.
    fn bundle(&mut self, place: Place<'_>, word: &'static str, path: &str) {
        let Some(path) = absolute(self.crt_base.as_deref(), path) else { return };
        let companion = |file: &PathBuf| COMPANIONS.iter().any(|end| has_end(file, end));
        let files = match path.is_dir() {
            true => files::list(&path).into_iter().filter(|file| !companion(file)).collect(),
            false => vec![path],
        };
        for file in files {
            let mut beside = file.clone().into_os_string();
            beside.push(".key");
            let key = [PathBuf::from(beside), file.with_extension("key")];
            let part = if key.iter().any(|key| key.exists()) { Part::Chain } else { Part::Bundle };
            self.add(place, word, part, Some(file));
        }
    }

    fn add(&mut self, place: Place<'_>, word: &'static str, part: Part, path: Option<PathBuf>) {
        let Some(path) = path else { return };
        let (file, line) = (place.file.to_owned(), place.line);
        self.mentions.push(Mention { file, line, word, part, path, names: Vec::new() });
    }
}

/// The lines of a file that say something, as words by the quoting rules of HAProxy, which here
/// are those of a shell.
fn lines(file: &Path) -> impl Iterator<Item = (Place<'_>, Vec<String>)> {
    let text = files::text(file).unwrap_or_default();
    let words: Vec<_> = text
        .lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, shlex::split(line)?)))
        .filter(|(_, words)| !words.is_empty())
        .collect();
    words.into_iter().map(move |(line, words)| (Place { file, line }, words))
}

/// `None` for what is computed, lies in a store of its own, or depends on where HAProxy was started.
fn absolute(base: Option<&Path>, path: &str) -> Option<PathBuf> {
    let known = !path.contains('$') && !path.starts_with('@');
    let path = resolve(base.unwrap_or(Path::new("")), path);
    (known && path.is_absolute()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn command_lines() {
        let table: [(&[u8], &[&str]); 5] = [
            (b"haproxy\0-W\0-f\0/a.cfg\0-f\0/b.cfg\0-p\0/x.pid\0", &["/a.cfg", "/b.cfg"]),
            (b"haproxy\0-f\0/a.cfg\0/b.cfg\0-D\0", &["/a.cfg", "/b.cfg"]),
            (b"haproxy\0-D\0--\0/a.cfg\0", &["/a.cfg"]),
            (b"haproxy\0-sf\09\0", &[]),
            (b"", &[]),
        ];
        for (line, expected) in table {
            let expected: Vec<&Path> = expected.iter().map(Path::new).collect();
            assert_eq!(configurations(line), expected, "{line:?}");
        }
    }

    #[test]
    fn every_way_to_name_a_file() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let text = format!(
            "global\n  crt-base /base # x\n  key-base /keys\nfrontend a\n  \
             bind :443 ssl crt a.pem crt \"/b c.pem\" alpn h2\n  bind :8443 ssl crt-list {list}\n  \
             bind :9 ssl crt {dir}\n  server s 1.2.3.4:443 ssl crt /client.pem\n  bind :1 ssl crt $X\n\
             crt-store web\n  load crt x.crt key x.key alias z\n  load crt /y.pem\n",
            list = at("list").display(),
            dir = at("certs").display(),
        );
        write(&at("etc/haproxy/haproxy.cfg"), &text);
        write(&at("list"), "# list\n/l.pem [alpn h2] *.a.example\n@web/z\n");
        write(&at("certs/a.pem"), "");
        write(&at("certs/b.pem"), "");
        write(&at("certs/b.pem.key"), "");
        let found = mentions(root.path());
        let seen: Vec<_> =
            found.iter().map(|one| (one.line, one.word, one.part, one.path.clone())).collect();
        let expected = [
            (5, "crt", Part::Bundle, "/base/a.pem".into()),
            (5, "crt", Part::Bundle, "/b c.pem".into()),
            (2, "crt-list", Part::Bundle, "/l.pem".into()),
            (7, "crt", Part::Bundle, at("certs/a.pem")),
            (7, "crt", Part::Chain, at("certs/b.pem")),
            (11, "crt", Part::Chain, "/base/x.crt".into()),
            (11, "key", Part::Key, "/keys/x.key".into()),
            (12, "crt", Part::Bundle, "/y.pem".into()),
        ];
        assert_eq!(seen, expected);
        assert_eq!(found[2].file, at("list"));
    }

    #[test]
    fn running_processes_come_first() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        write(&at("etc/haproxy/haproxy.cfg"), "bind :1 crt /usual.pem\n");
        write(&at("mine.cfg"), "bind :1 crt /mine.pem\n");
        write(&at("proc/7/comm"), "haproxy\n");
        write(&at("proc/7/cmdline"), &format!("haproxy\0-f\0{}\0", at("mine.cfg").display()));
        write(&at("proc/8/comm"), "other\n");
        let found = mentions(root.path());
        let paths: Vec<_> = found.iter().map(|one| one.path.as_path()).collect();
        assert_eq!(paths, [Path::new("/mine.pem")]);
    }

    #[test]
    fn where_it_is_met() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let text = format!(
            "frontend a\n  bind :443 ssl crt {ours}\n  bind :8443 ssl crt-list {list}\n  bind :80\n",
            ours = at("ours.pem").display(),
            list = at("list").display(),
        );
        write(&at("etc/haproxy/haproxy.cfg"), &text);
        write(&at("real/ours.pem"), "");
        std::os::unix::fs::symlink(at("real/ours.pem"), at("ours.pem")).unwrap();
        let list = format!(
            "/x.pem\n{} [alpn h2 ssl-min-ver TLSv1.2] b.example\n",
            at("ours.pem").display()
        );
        write(&at("list"), &list);
        let identifiers = ["a.example", "b.example"].map(|name| Identifier::parse(name).unwrap());
        let found = endpoints(root.path(), &[at("real/ours.pem")], &identifiers);
        let found: Vec<_> =
            found.iter().map(|one| (one.to_string(), one.names.as_slice())).collect();
        let expected = [
            ("127.0.0.1:443".to_owned(), &identifiers[..]),
            ("127.0.0.1:8443".to_owned(), &identifiers[1..]),
        ];
        assert_eq!(found, expected);
    }
}
