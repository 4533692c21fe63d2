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
    #[error("a quote is not closed in {line:?}")]
    Unclosed { line: String },
    #[error("{line:?} needs a shell for {what}, and commands are run without one")]
    NeedsShell { line: String, what: String },
    #[error("{program:?} is relative, and commands run in /")]
    Relative { program: String },
    #[error("a word of the command holds a NUL character")]
    Nul,
}

impl CommandError {
    /// The one thing to do about it, where there is one.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        todo!()
    }
}

impl Command {
    /// Takes words as they are. The program is absolute, or a bare name to be found in the
    /// fixed `PATH` of hooks.
    pub(crate) fn new(argv: Vec<String>) -> Result<Self, CommandError> {
        Ok(Self(argv))
    }

    /// Splits a line into words by the shell's quoting rules; refuses what only a shell can do.
    pub(crate) fn split(_line: &str) -> Result<Self, CommandError> {
        todo!()
    }

    pub(crate) fn argv(&self) -> &[String] {
        &self.0
    }
}
