//! The syntax of nginx's configuration.

/// One step of a configuration.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// A directive: its words, and the line it begins in.
    Directive(Vec<String>, usize),
    Open(Vec<String>),
    Close,
}

/// Takes a configuration apart by nginx's own rules of quotes, comments and blocks.
pub(super) fn steps(text: &str) -> Vec<Step> {
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
