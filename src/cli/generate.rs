//! `generate`: man page and completions from the command line's own definition.

use std::process::ExitCode;

use clap::CommandFactory;

use super::args::{Cli, Generate};
use super::exit::Exit;

pub(super) fn run(args: &Generate) -> ExitCode {
    let mut command = Cli::command();
    let mut page = Vec::new();
    match args {
        Generate::Man => man(&command, &mut page),
        Generate::Completions { shell } => {
            clap_complete::generate(*shell, &mut command, "acmeagent", &mut page);
        }
    }
    // A reader that went away is no error of ours.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), &page);
    Exit::Ok.into()
}

/// One page for everything: the command, then each verb with its flags.
fn man(command: &clap::Command, page: &mut Vec<u8>) {
    let write = "writing to memory cannot fail";
    clap_mangen::Man::new(command.clone()).render(page).expect(write);
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let title = format!(".SH \"acmeagent {}\"\n", verb.get_name());
        page.extend_from_slice(title.as_bytes());
        let man = clap_mangen::Man::new(verb.clone());
        man.render_description_section(page).expect(write);
        man.render_options_section(page).expect(write);
    }
}
