//! nginx: the files its configuration names, and what it says of that configuration itself.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, Command};

use super::{Mention, Part, resolve};
use crate::doctor::host;

/// How long `nginx -t` may take: it looks up the names of upstream servers.
const PATIENCE: Duration = Duration::from_secs(10);
/// More of what it prints is not read.
const MOST_OUTPUT: u64 = 64 * 1024;
/// More files than this, or files that include each other deeper, are no configuration.
const MOST_FILES: usize = 2000;
const DEEPEST: usize = 16;

/// What nginx of this machine is configured with.
#[derive(Debug, Default)]
pub(super) struct Nginx {
    /// Why it would not start, or not reload.
    pub(super) complaint: Option<String>,
    pub(super) mentions: Vec<Mention>,
}

/// Asks the nginx in `PATH` for its configuration; `None` where there is none.
///
/// The files are read here: nginx prints them only when it accepts them.
pub(super) async fn examine() -> Option<Nginx> {
    let said = test().await?;
    let main = main_file(&said)?;
    let complaint = complaint(&said).filter(|text| !text.contains("(13: Permission denied)"));
    Some(Nginx { complaint: complaint.map(str::to_owned), mentions: Reader::read(&main) })
}

/// What `nginx -t` says.
async fn test() -> Option<String> {
    let start = |program: &str| {
        let mut command = Command::new(program);
        command.arg("-t").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.kill_on_drop(true).spawn()
    };
    // Where cron starts us, PATH is short.
    let mut child = start("nginx").or_else(|_| start("/usr/sbin/nginx")).ok()?;
    let said = read_all(child.stderr.take()?);
    let said = tokio::time::timeout(PATIENCE, said).await.ok()?;
    let _ = tokio::time::timeout(PATIENCE, child.wait()).await;
    Some(said)
}

async fn read_all(from: ChildStderr) -> String {
    let mut bytes = Vec::new();
    // What was read before a failure is what there is.
    let _ = from.take(MOST_OUTPUT).read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The file it begins with, out of what the test says of it.
fn main_file(said: &str) -> Option<PathBuf> {
    let ends = [" test failed", " test is successful", " syntax is ok"];
    said.lines().rev().find_map(|line| {
        let (_, rest) = line.split_once("configuration file ")?;
        ends.iter().find_map(|end| rest.strip_suffix(end)).map(PathBuf::from)
    })
}

fn complaint(said: &str) -> Option<&str> {
    said.lines().find_map(|line| line.strip_prefix("nginx: [emerg] "))
}

/// One step of a configuration.
#[derive(Debug, Eq, PartialEq)]
enum Step {
    /// A directive: its words, and the line it begins in.
    Directive(Vec<String>, usize),
    Open(Vec<String>),
    Close,
}

/// Follows a configuration through the files it includes.
struct Reader {
    /// What relative paths are relative to.
    base: PathBuf,
    files: usize,
    mentions: Vec<Mention>,
    /// The blocks around the present step.
    blocks: Vec<Block>,
}

struct Block {
    is_server: bool,
    /// How many mentions there were before it.
    first: usize,
    names: Vec<String>,
}

impl Reader {
    fn read(main: &Path) -> Vec<Mention> {
        let base = main.parent().unwrap_or(main).to_owned();
        let mut reader = Self { base, files: 0, mentions: Vec::new(), blocks: Vec::new() };
        reader.follow(main, 0);
        reader.mentions
    }

    fn follow(&mut self, file: &Path, depth: usize) {
        self.files += 1;
        if self.files > MOST_FILES || depth > DEEPEST {
            return;
        }
        let Some(text) = host::text(file) else { return };
        let around = self.blocks.len();
        for step in steps(&text) {
            match step {
                Step::Directive(words, line) => self.take(file, &words, line, depth),
                Step::Open(words) => self.blocks.push(Block {
                    is_server: words.first().is_some_and(|word| word == "server"),
                    first: self.mentions.len(),
                    names: Vec::new(),
                }),
                Step::Close if self.blocks.len() > around => self.close(),
                Step::Close => {}
            }
        }
        self.blocks.truncate(around);
    }

    fn close(&mut self) {
        let Some(block) = self.blocks.pop().filter(|block| block.is_server) else { return };
        for mention in &mut self.mentions[block.first..] {
            mention.names.clone_from(&block.names);
        }
    }

    fn take(&mut self, file: &Path, words: &[String], line: usize, depth: usize) {
        let (word, part) = match words {
            [word, pattern] if word == "include" => {
                for file in matching(&resolve(&self.base, pattern)) {
                    self.follow(&file, depth + 1);
                }
                return;
            }
            [word, names @ ..] if word == "server_name" => {
                if let Some(block) = self.blocks.last_mut() {
                    block.names.extend_from_slice(names);
                }
                return;
            }
            [word, _] if word == "ssl_certificate" => ("ssl_certificate", Part::Chain),
            [word, _] if word == "ssl_certificate_key" => ("ssl_certificate_key", Part::Key),
            _ => return,
        };
        let path = &words[1];
        // What is computed for each connection, or lies in no file.
        let elsewhere = ["data:", "engine:", "store:"].iter().any(|kind| path.starts_with(kind));
        if elsewhere || path.contains('$') {
            return;
        }
        let (file, path) = (file.to_owned(), resolve(&self.base, path));
        self.mentions.push(Mention { file, line, word, part, path, names: Vec::new() });
    }
}

/// The files a pattern of `include` stands for: `*` and `?`, in any part of the path.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let part = part.as_os_str().to_string_lossy();
        let next: Vec<PathBuf> = if part.contains(['*', '?']) {
            let entries = found.iter().flat_map(|dir| host::list(dir));
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

/// Takes a configuration apart by nginx's own rules of quotes, comments and blocks.
fn steps(text: &str) -> Vec<Step> {
    let mut words = Words { rest: text, line: 1 };
    let (mut steps, mut open) = (Vec::new(), Vec::new());
    let mut began = 1;
    while let Some(token) = words.next() {
        match token {
            Token::Word(word, line) => {
                if open.is_empty() {
                    began = line;
                }
                open.push(word);
            }
            Token::End => steps.push(Step::Directive(std::mem::take(&mut open), began)),
            Token::Open => {
                let is_lua =
                    open.first().is_some_and(|word: &String| word.ends_with("_by_lua_block"));
                if is_lua {
                    words.skip_block();
                    open.clear();
                } else {
                    steps.push(Step::Open(std::mem::take(&mut open)));
                }
            }
            Token::Close => {
                open.clear();
                steps.push(Step::Close);
            }
        }
    }
    steps
}

enum Token {
    Word(String, usize),
    End,
    Open,
    Close,
}

/// The words of a configuration, one after the other.
struct Words<'a> {
    rest: &'a str,
    line: usize,
}

impl Words<'_> {
    fn take(&mut self) -> Option<char> {
        let sign = self.rest.chars().next()?;
        self.rest = &self.rest[sign.len_utf8()..];
        self.line += usize::from(sign == '\n');
        Some(sign)
    }

    fn next(&mut self) -> Option<Token> {
        loop {
            let line = self.line;
            match self.take()? {
                sign if sign.is_ascii_whitespace() => {}
                '#' => while self.take().is_some_and(|sign| sign != '\n') {},
                ';' => return Some(Token::End),
                '{' => return Some(Token::Open),
                '}' => return Some(Token::Close),
                quote @ ('"' | '\'') => return Some(Token::Word(self.quoted(quote), line)),
                first => return Some(Token::Word(self.bare(first), line)),
            }
        }
    }

    fn quoted(&mut self, quote: char) -> String {
        let mut word = String::new();
        while let Some(sign) = self.take().filter(|sign| *sign != quote) {
            match sign {
                '\\' => self.escaped(&mut word),
                sign => word.push(sign),
            }
        }
        word
    }

    fn bare(&mut self, first: char) -> String {
        let mut word = String::new();
        let mut sign = first;
        loop {
            match sign {
                '\\' => self.escaped(&mut word),
                sign => word.push(sign),
            }
            let next = self.rest.chars().next();
            // A brace behind a dollar belongs to a variable.
            let ends = |next: char| {
                next.is_ascii_whitespace() || next == ';' || (next == '{' && sign != '$')
            };
            match next {
                Some(next) if !ends(next) => sign = self.take().unwrap_or(next),
                _ => return word,
            }
        }
    }

    /// nginx takes the backslash away before these signs only.
    fn escaped(&mut self, word: &mut String) {
        match self.take() {
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(sign @ ('"' | '\'' | '\\')) => word.push(sign),
            Some(sign) => word.extend(['\\', sign]),
            None => word.push('\\'),
        }
    }

    /// Passes over a block of another language.
    fn skip_block(&mut self) {
        let mut depth = 1;
        while depth > 0 {
            match self.take() {
                Some('{') => depth += 1,
                Some('}') => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests;
