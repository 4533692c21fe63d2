//! A command line as an argv.

use thiserror::Error;

/// A program and its arguments: never empty, never passed through a shell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Command(Vec<String>);

/// Why a command cannot be run without a shell.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum CommandError {
    #[error("the command is empty")]
    Empty,
    #[error("a quote or backslash at the end of {line:?} is left open")]
    Unclosed { line: String },
    #[error("{line:?} needs a shell for {what}, and commands are run without one")]
    NeedsShell { line: String, what: String },
    #[error("program {program:?} is relative, and commands run in /")]
    Relative { program: String },
    #[error("a word of the command holds a NUL character")]
    Nul,
}

impl CommandError {
    /// The one thing to do about it, where there is one.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NeedsShell { .. } => {
                Some("put the line into an executable script and name the script here")
            }
            Self::Relative { .. } => Some("give the absolute path of the program"),
            Self::Empty | Self::Unclosed { .. } | Self::Nul => None,
        }
    }
}

impl Command {
    /// Takes words as they are. The program is absolute, or a bare name to be found in the
    /// fixed `PATH` of hooks.
    pub(crate) fn new(argv: Vec<String>) -> Result<Self, CommandError> {
        let Some(program) = argv.first().filter(|program| !program.is_empty()) else {
            return Err(CommandError::Empty);
        };
        if argv.iter().any(|word| word.contains('\0')) {
            return Err(CommandError::Nul);
        }
        if program.contains('/') && !program.starts_with('/') {
            return Err(CommandError::Relative { program: program.clone() });
        }
        Ok(Self(argv))
    }

    /// Splits a line into words by the shell's quoting rules; refuses what only a shell can do.
    pub(crate) fn split(line: &str) -> Result<Self, CommandError> {
        let needs_shell =
            |what: String| Err(CommandError::NeedsShell { line: line.to_owned(), what });
        if let Some(sign) = shell_sign(line) {
            return needs_shell(format!("`{}`", sign.escape_debug()));
        }
        let Some(words) = shlex::split(line) else {
            return Err(CommandError::Unclosed { line: line.to_owned() });
        };
        if words.first().is_some_and(|program| is_assignment(program)) {
            return needs_shell("the variable assignment".to_owned());
        }
        Self::new(words)
    }

    pub(crate) fn argv(&self) -> &[String] {
        &self.0
    }
}

/// Finds the first character that a shell would act on, outside the quotes that keep it from it.
fn shell_sign(line: &str) -> Option<char> {
    #[derive(Clone, Copy, PartialEq)]
    enum Quote {
        None,
        Single,
        Double,
    }
    let mut quote = Quote::None;
    let mut word_begins = true;
    let mut signs = line.trim().chars();
    while let Some(sign) = signs.next() {
        let begins = std::mem::replace(&mut word_begins, false);
        match (quote, sign) {
            (Quote::None, '\'') => quote = Quote::Single,
            (Quote::None, '"') => quote = Quote::Double,
            (Quote::Single, '\'') | (Quote::Double, '"') => quote = Quote::None,
            (Quote::None | Quote::Double, '\\') => drop(signs.next()),
            (Quote::None | Quote::Double, '$' | '`') => return Some(sign),
            (Quote::None, '|' | '&' | ';' | '<' | '>' | '(' | ')' | '*' | '?' | '[' | '\n') => {
                return Some(sign);
            }
            (Quote::None, '~' | '#') if begins => return Some(sign),
            (Quote::None, ' ' | '\t') => word_begins = true,
            _ => {}
        }
    }
    None
}

/// Whether a shell would take the word as `NAME=value` and not as a program.
fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_split_like_in_a_shell() {
        let table: &[(&str, &[&str])] = &[
            ("systemctl reload nginx", &["systemctl", "reload", "nginx"]),
            ("  /usr/bin/x   -a\tb ", &["/usr/bin/x", "-a", "b"]),
            ("mail -s 'new $cert | ok' ops", &["mail", "-s", "new $cert | ok", "ops"]),
            (r#"x "a b" c\ d "e\"f" '' a'b'c"#, &["x", "a b", "c d", "e\"f", "", "abc"]),
            (r"x \$HOME \; \|", &["x", "$HOME", ";", "|"]),
            ("x a~b c#d {{.Id}} k=v 50%", &["x", "a~b", "c#d", "{{.Id}}", "k=v", "50%"]),
            ("'/opt/my app/hook' é", &["/opt/my app/hook", "é"]),
        ];
        for (line, words) in table {
            assert_eq!(Command::split(line).unwrap().argv(), *words, "{line}");
        }
    }

    #[test]
    fn what_needs_a_shell_is_refused_with_the_sign() {
        let table = [
            ("a | b", "|"),
            ("a; b", ";"),
            ("a && b", "&"),
            ("a &", "&"),
            ("echo $HOME", "$"),
            ("echo \"$HOME\"", "$"),
            ("echo `id`", "`"),
            ("echo \"`id`\"", "`"),
            ("a > /dev/null", ">"),
            ("a 2>&1", ">"),
            ("a < b", "<"),
            ("(a)", "("),
            ("cp *.pem /x", "*"),
            ("cat ~/x", "~"),
            ("a # later", "#"),
            ("a\nb", "\\n"),
            ("A=1 b", "assignment"),
        ];
        for (line, sign) in table {
            let error = Command::split(line).unwrap_err();
            assert!(matches!(&error, CommandError::NeedsShell { what, .. } if what.contains(sign)));
            assert!(error.hint().unwrap().contains("script"), "{line}");
        }
    }

    #[test]
    fn what_is_no_command_is_refused() {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(Command::split(""), Err(CommandError::Empty));
        assert_eq!(Command::split("''"), Err(CommandError::Empty));
        assert!(matches!(Command::split("a 'b"), Err(CommandError::Unclosed { .. })));
        assert!(matches!(Command::split("a \\"), Err(CommandError::Unclosed { .. })));
        assert!(matches!(Command::split("./a"), Err(CommandError::Relative { .. })));
        assert!(matches!(Command::split("bin/a"), Err(CommandError::Relative { .. })));
        assert_eq!(Command::new(vec![]), Err(CommandError::Empty));
        assert_eq!(Command::new(owned(&["a", "b\0c"])), Err(CommandError::Nul));
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(words in prop::collection::vec("[^\0]{0,12}", 1..6)) {
            let argv: Vec<String> = ["/x".to_owned()].into_iter().chain(words).collect();
            let line = shlex::try_join(argv.iter().map(String::as_str)).unwrap();
            prop_assert_eq!(Command::split(&line), Command::new(argv));
        }

        #[test]
        fn any_line_splits_or_is_refused(line in ".{0,60}") {
            if let Ok(command) = Command::split(&line) {
                prop_assert!(!command.argv().is_empty());
            }
        }
    }
}
