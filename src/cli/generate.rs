//! `generate`: man page and completions from the command line's own definition.

use std::process::ExitCode;

use clap::CommandFactory;

use super::args::{Cli, Generate};
use super::exit::Exit;
use super::man;

pub(super) fn run(args: &Generate) -> ExitCode {
    let mut command = Cli::command();
    let mut page = Vec::new();
    match args {
        Generate::Man => page = man::page(command).into_bytes(),
        Generate::Completions { shell } => {
            clap_complete::generate(*shell, &mut command, "acmeagent", &mut page);
        }
    }
    // A reader that went away is no error of ours.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), &page);
    Exit::Ok.into()
}
