//! What nginx's configuration says of certificates.

use std::path::{Path, PathBuf};

use super::listening::Listen;
use super::syntax::{Step, steps};
use crate::deploy::files;
use crate::deploy::mention::{Mention, Part, resolve};

/// More files than this, or files that include each other deeper, are no configuration.
const MOST_FILES: usize = 2000;
const DEEPEST: usize = 16;

/// What there is to know of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Configuration {
    pub(crate) mentions: Vec<Mention>,
    pub(super) servers: Vec<Server>,
    /// As they are written, relative to nginx's prefix.
    pub(super) pid: Option<PathBuf>,
    pub(super) error_log: Option<PathBuf>,
}

/// A `server` block of any kind.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) listens: Vec<Listen>,
    pub(super) names: Vec<String>,
    /// Its own, or those of the block around it.
    pub(super) certificates: Vec<PathBuf>,
    /// Whether all its sockets speak TLS, by the `ssl on` of old.
    pub(super) is_ssl: bool,
}

/// Reads the file nginx begins with and those it includes.
pub(crate) fn read(main: &Path) -> Configuration {
    let base = main.parent().unwrap_or(main).to_owned();
    let mut reader = Reader { base, files: 0, found: Configuration::default(), blocks: Vec::new() };
    reader.follow(main, 0);
    reader.found
}

/// Follows a configuration through the files it includes.
struct Reader {
    /// What relative paths are relative to.
    base: PathBuf,
    files: usize,
    found: Configuration,
    /// The blocks around the present step.
    blocks: Vec<Block>,
}

struct Block {
    is_server: bool,
    /// How many mentions and servers there were before it.
    mentions: usize,
    servers: usize,
    /// What stands in it, as if it were a server.
    says: Server,
}

impl Reader {
    fn follow(&mut self, file: &Path, depth: usize) {
        self.files += 1;
        if self.files > MOST_FILES || depth > DEEPEST {
            return;
        }
        let Some(text) = files::text(file) else { return };
        let around = self.blocks.len();
        for step in steps(&text) {
            match step {
                Step::Directive(words, line) => self.take(file, &words, line, depth),
                Step::Open(words) => self.blocks.push(Block {
                    is_server: words.first().is_some_and(|word| word == "server"),
                    mentions: self.found.mentions.len(),
                    servers: self.found.servers.len(),
                    says: Server::default(),
                }),
                Step::Close if self.blocks.len() > around => self.close(),
                Step::Close => {}
            }
        }
        self.blocks.truncate(around);
    }

    fn close(&mut self) {
        let Some(block) = self.blocks.pop() else { return };
        if block.is_server {
            for mention in &mut self.found.mentions[block.mentions..] {
                mention.names.clone_from(&block.says.names);
            }
            self.found.servers.push(block.says);
            return;
        }
        for server in &mut self.found.servers[block.servers..] {
            server.is_ssl |= block.says.is_ssl;
            if server.certificates.is_empty() {
                server.certificates.clone_from(&block.says.certificates);
            }
        }
    }

    fn take(&mut self, file: &Path, words: &[String], line: usize, depth: usize) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match (words[..].as_ref(), self.blocks.last_mut()) {
            (["include", pattern], _) => {
                for file in matching(&resolve(&self.base, pattern)) {
                    self.follow(&file, depth + 1);
                }
            }
            (["pid", path], None) => self.found.pid = Some(path.into()),
            // Where there are several, any of them will do.
            (["error_log", path, ..], None) => self.found.error_log = Some(path.into()),
            (["server_name", names @ ..], Some(block)) => {
                block.says.names.extend(names.iter().map(|name| (*name).to_owned()));
            }
            (["listen", socket, parameters @ ..], Some(block)) => {
                block.says.listens.extend(Listen::read(socket, parameters));
            }
            (["ssl", "on"], Some(block)) => block.says.is_ssl = true,
            (["ssl_certificate", path], _) => {
                self.mention((file, line), "ssl_certificate", Part::Chain, path);
            }
            (["ssl_certificate_key", path], _) => {
                self.mention((file, line), "ssl_certificate_key", Part::Key, path);
            }
            _ => {}
        }
    }

    fn mention(&mut self, place: (&Path, usize), word: &'static str, part: Part, path: &str) {
        // What is computed for each connection, or lies in no file.
        let elsewhere = ["data:", "engine:", "store:"].iter().any(|kind| path.starts_with(kind));
        if elsewhere || path.contains('$') {
            return;
        }
        let ((file, line), path) = (place, resolve(&self.base, path));
        if let (Part::Chain, Some(block)) = (part, self.blocks.last_mut()) {
            block.says.certificates.push(path.clone());
        }
        let file = file.to_owned();
        self.found.mentions.push(Mention { file, line, word, part, path, names: Vec::new() });
    }
}

/// The files a pattern of `include` stands for: `*` and `?`, in any part of the path.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let part = part.as_os_str().to_string_lossy();
        let next: Vec<PathBuf> = if part.contains(['*', '?']) {
            let entries = found.iter().flat_map(|dir| files::list(dir));
            let fits = |path: &PathBuf| {
                let name = path.file_name().map(|name| name.to_string_lossy());
                // As a shell does, a pattern passes over what is hidden.
                name.is_some_and(|name| {
                    !name.starts_with('.') && fits(part.as_bytes(), name.as_bytes())
                })
            };
            entries.filter(fits).collect()
        } else {
            found.iter().map(|dir| dir.join(part.as_ref())).collect()
        };
        found = next.into_iter().take(MOST_FILES).collect();
    }
    found
}

fn fits(pattern: &[u8], name: &[u8]) -> bool {
    // Where the last star stands, and how much of the name it has taken.
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(sign) if *sign == b'?' || *sign == name[seen] => (at, seen) = (at + 1, seen + 1),
            _ => {
                let Some((before, taken)) = star else { return false };
                star = Some((before, taken + 1));
                (at, seen) = (before + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|sign| *sign == b'*')
}

#[cfg(test)]
mod tests;
