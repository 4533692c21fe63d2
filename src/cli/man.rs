//! The man pages acmeagent(1) and one for each command, written from the command line's own help.

use clap::builder::StyledStr;
use clap::{Arg, Command};
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::args::CHECK_CODES;
use super::exit::Exit;

const PROGRAM: &str = "acmeagent";
/// When the texts were last gone through, as the other pages say it.
const REVISED: &str = "2026-11-23";

const DESCRIPTION: &str = "\
gets TLS certificates from a certificate authority that speaks ACME (RFC 8555), puts them to use, \
and renews them when the authority advises to (RFC 9773) or when their life calls for it. \
A certificate in service is replaced only by one that was verified, in one step, and the way back \
stays open.";

const FILES: [(&str, &str); 9] = [
    (
        "acmeagent.toml",
        "defaults for new certificates; certificate authorities and targets of your own",
    ),
    (
        "certificates/NAME.toml",
        "what is wanted of one certificate: written by issue, yours to edit",
    ),
    ("live/NAME/", "the certificate in service: fullchain.pem, privkey.pem, cert.pem, chain.pem"),
    ("archive/NAME/NNNN/", "every generation ever issued"),
    ("snapshots/", "copies of what was in service before each change"),
    (
        "hooks/pre/, hooks/deploy/, hooks/post/",
        "programs run with those of the settings, in byte order",
    ),
    ("accounts/", "the accounts at the certificate authorities, with their keys"),
    ("state/", "what is planned when, and what went wrong"),
    ("embedded-ca/", "the authority of --ca embedded, which nobody trusts"),
];

const ENVIRONMENT: [(&str, &str); 3] = [
    ("ACMEAGENT_HOME", "as --home"),
    (
        "XDG_CONFIG_HOME, XDG_STATE_HOME",
        "where users other than root have settings and certificates",
    ),
    ("NO_COLOR", "no colours unless --color always is given"),
];

const HOOKS: &str = "\
Hooks are programs with arguments, run without a shell. Their environment holds PATH and, for \
deploy hooks, RENEWED_LINEAGE (the directory of the certificate), RENEWED_DOMAINS, ACMEAGENT_NAME, \
ACMEAGENT_GENERATION, ACMEAGENT_FINGERPRINT, ACMEAGENT_LIVE_DIR and ACMEAGENT_JSON (a file with \
the particulars); for post hooks RENEWED_DOMAINS and FAILED_DOMAINS.";

const EXAMPLES: [(&str, &str); 7] = [
    ("acmeagent --home ./try issue -d 127.0.0.1 --ca embedded", "try it out: no root, no network"),
    (
        "acmeagent issue -d www.example.com -w /var/www/html --agree-tos --target nginx",
        "a certificate from Let\u{2019}s Encrypt for a running web server",
    ),
    (
        "acmeagent serve --upstream http://127.0.0.1:8080",
        "answers for an application that had port 80",
    ),
    ("acmeagent renew", "what a timer runs every half hour"),
    ("acmeagent renew --plan", "what it will do when and why; nothing is asked or changed"),
    ("acmeagent doctor", "would it succeed? Read before you need it"),
    ("acmeagent rollback www.example.com", "back to the certificate before this one"),
];

/// The pages beside these, with their chapters.
const OTHER_PAGES: [(&str, &str); 5] = [
    ("acmeagent.toml", "5"),
    ("acmeagent-store", "5"),
    ("acmeagent-hooks", "7"),
    ("acmeagent-dns", "7"),
    ("acmeagent-recovery", "7"),
];

/// Where man pages want their source to be broken.
const WIDTH: usize = 80;

/// The commands there are.
pub(super) fn verbs(command: &Command) -> Vec<&str> {
    command.get_subcommands().map(Command::get_name).filter(|name| *name != "help").collect()
}

/// Writes acmeagent(1).
pub(super) fn page(command: Command) -> String {
    let command = built(command);
    let mut page = begun(PROGRAM, &command);
    page.control("SH", ["SYNOPSIS"]);
    page.text([bold(PROGRAM), roman(" ["), italic("option"), roman("]... ")]);
    page.text([italic("command"), roman(" ["), italic("argument"), roman("]...")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([bold(PROGRAM), roman(format!(" {DESCRIPTION}"))]);
    page.control("SH", ["COMMANDS"]);
    page.text([roman("Each has a page of its own.")]);
    for verb in command.get_subcommands() {
        page.control("TP", []);
        page.text([bold(format!("{PROGRAM}-{}", verb.get_name())), roman("(1)")]);
        page.text([roman(verb.get_about().map(plain).unwrap_or_default())]);
    }
    page.control("SH", ["GLOBAL OPTIONS"]);
    for arg in command.get_arguments() {
        option(&mut page, arg);
    }
    page.control("SH", ["HOOKS"]);
    page.text([roman(HOOKS)]);
    exit_status(&mut page);
    section(&mut page, "FILES", "Below the directory of --home:", &FILES);
    section(&mut page, "ENVIRONMENT", "", &ENVIRONMENT);
    section(&mut page, "EXAMPLES", "", &EXAMPLES);
    see_also(&mut page, &OTHER_PAGES);
    folded(&page.render())
}

/// Writes the page of one command, as in acmeagent-issue(1).
pub(super) fn page_of(command: Command, verb: &str) -> Option<String> {
    let command = built(command);
    let verb = command.get_subcommands().find(|one| one.get_name() == verb)?;
    let name = format!("{PROGRAM}-{}", verb.get_name());
    let mut page = begun(&name, verb);
    page.control("SH", ["SYNOPSIS"]);
    synopsis(&mut page, verb, &format!("{PROGRAM} {}", verb.get_name()));
    page.control("SH", ["DESCRIPTION"]);
    describe(&mut page, verb, &format!("{PROGRAM} {}", verb.get_name()), "OPTIONS");
    page.control("PP", []);
    page.text([roman(
        "The options every command takes, exit codes, files and environment are in ",
    )]);
    page.control("BR", [PROGRAM, "(1)."]);
    let others: Vec<_> = [(PROGRAM, "1")].into_iter().chain(OTHER_PAGES).collect();
    see_also(&mut page, &others);
    Some(folded(&page.render()))
}

fn built(command: Command) -> Command {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    command
}

fn begun(name: &str, command: &Command) -> Roff {
    let mut page = Roff::new();
    let version = format!("{PROGRAM} {}", env!("CARGO_PKG_VERSION"));
    page.control("TH", [name.to_uppercase().as_str(), "1", REVISED, version.as_str()]);
    page.control("SH", ["NAME"]);
    let about = command.get_about().map(plain).unwrap_or_default();
    page.text([roman(format!("{name} - {}", lower_first(&about)))]);
    page
}

fn see_also(page: &mut Roff, pages: &[(&str, &str)]) {
    page.control("SH", ["SEE ALSO"]);
    for (place, (name, chapter)) in pages.iter().enumerate() {
        let comma = if place + 1 < pages.len() { "," } else { "" };
        let chapter = format!("({chapter}){comma}");
        page.control("BR", [*name, chapter.as_str()]);
    }
}

/// How it is called, or how the commands below it are.
fn synopsis(page: &mut Roff, command: &Command, path: &str) {
    let mut below = command.get_subcommands().peekable();
    if below.peek().is_none() {
        page.text([roman(usage(command, path))]);
    }
    for (place, one) in below.enumerate() {
        if place > 0 {
            page.control("br", []);
        }
        synopsis(page, one, &format!("{path} {}", one.get_name()));
    }
}

/// The source with no line longer than [`WIDTH`], where it may be broken.
fn folded(source: &str) -> String {
    let (mut text, mut verbatim) = (String::with_capacity(source.len()), false);
    for line in source.lines() {
        match line {
            ".nf" => verbatim = true,
            ".fi" => verbatim = false,
            _ => {}
        }
        if verbatim || line.starts_with('.') {
            text += line;
        } else {
            text += &fold(line.trim_end());
        }
        text.push('\n');
    }
    text
}

fn fold(line: &str) -> String {
    let (mut text, mut width) = (String::new(), 0);
    for word in line.split(' ') {
        // A line that begins with one of these would be a request.
        let safe = !word.starts_with(['.', '\'']) && !word.is_empty();
        if width > 0 && width + 1 + word.len() > WIDTH && safe {
            text.push('\n');
            width = 0;
        } else if !text.is_empty() {
            text.push(' ');
            width += 1;
        }
        text += word;
        width += word.len();
    }
    text
}

/// A command with its own arguments below that heading, and the commands below it.
fn describe(page: &mut Roff, command: &Command, path: &str, options: &str) {
    let about = command.get_long_about().or(command.get_about());
    paragraphs(page, &about.map(plain).unwrap_or_default());
    let mut below = command.get_subcommands().peekable();
    if below.peek().is_some() {
        for one in below {
            let path = format!("{path} {}", one.get_name());
            page.control("SS", [usage(one, &path).as_str()]);
            describe(page, one, &path, "");
        }
        return;
    }
    let takes = |arg: &&Arg| !arg.is_global_set() && arg.get_id() != "help";
    if !options.is_empty() && command.get_arguments().any(|arg| takes(&arg)) {
        page.control("SH", [options]);
    }
    for arg in command.get_arguments() {
        if !arg.is_global_set() && arg.get_id() != "help" {
            option(page, arg);
        }
    }
    if let Some(example) = command.get_after_long_help() {
        verbatim(page, &plain(example));
    }
}

fn verbatim(page: &mut Roff, text: &str) {
    page.control("PP", []);
    page.control("nf", []);
    for line in text.lines() {
        page.text([roman(line)]);
    }
    page.control("fi", []);
}

/// As in `acmeagent rollback [OPTIONS] <NAME>`.
fn usage(command: &Command, path: &str) -> String {
    let usage = plain(&command.clone().render_usage());
    let words = usage.trim_start_matches("Usage:").split_whitespace();
    let own = words.skip(path.split(' ').count()).collect::<Vec<_>>().join(" ");
    format!("{path} {own}").trim_end().to_owned()
}

fn option(page: &mut Roff, arg: &Arg) {
    page.control("TP", []);
    page.text(heading(arg));
    let help = arg.get_long_help().or(arg.get_help()).map(plain).unwrap_or_default();
    let mut text = help.split("\n\n").map(unfold);
    let first = text.next().unwrap_or_default();
    page.text([roman(format!("{first}{}{}", choices(arg), default(arg)))]);
    for more in text {
        page.control("IP", []);
        page.text([roman(more)]);
    }
}

fn choices(arg: &Arg) -> String {
    let values = arg.get_possible_values();
    if !arg.get_action().takes_values() || values.is_empty() {
        return String::new();
    }
    let names = values.iter().map(|value| match value.get_help() {
        Some(help) => format!("{} ({})", value.get_name(), lower_first(&plain(help))),
        None => value.get_name().to_owned(),
    });
    format!(": {}", names.collect::<Vec<_>>().join(", "))
}

fn default(arg: &Arg) -> String {
    let values: Vec<_> = arg.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
    match arg.get_action().takes_values() && !values.is_empty() {
        true => format!(" (default {})", values.join(" ")),
        false => String::new(),
    }
}

/// As in `-d, --domain, --domains NAME`.
fn heading(arg: &Arg) -> Vec<Inline> {
    let short = arg.get_short().map(|short| format!("-{short}"));
    let aliases = arg.get_visible_aliases().unwrap_or_default();
    let long = arg.get_long().into_iter().chain(aliases).map(|long| format!("--{long}"));
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    let mut heading = Vec::new();
    for (count, flag) in flags.iter().enumerate() {
        heading.extend((count > 0).then(|| roman(", ")));
        heading.push(bold(flag.as_str()));
    }
    if arg.get_action().takes_values() {
        heading.extend((!flags.is_empty()).then(|| roman(" ")));
        let names = arg.get_value_names().unwrap_or_default();
        heading.extend(names.iter().map(|name| italic(name.as_str())));
    }
    heading
}

fn exit_status(page: &mut Roff) {
    page.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL {
        page.control("TP", []);
        page.text([bold(exit.code().to_string()), roman(format!(" {}", exit.name()))]);
        page.text([roman(exit.meaning())]);
    }
    page.control("PP", []);
    page.text([roman(CHECK_CODES.replace('`', ""))]);
}

fn section(page: &mut Roff, title: &str, before: &str, rows: &[(&str, &str)]) {
    page.control("SH", [title]);
    if !before.is_empty() {
        page.text([roman(before)]);
    }
    for (term, meaning) in rows {
        page.control("TP", []);
        page.text([bold(*term)]);
        page.text([roman(*meaning)]);
    }
}

/// The first stands below a heading, which begins a paragraph by itself.
fn paragraphs(page: &mut Roff, text: &str) {
    for (place, paragraph) in text.split("\n\n").map(unfold).enumerate() {
        if place > 0 {
            page.control("PP", []);
        }
        page.text([roman(paragraph)]);
    }
}

fn plain(text: &StyledStr) -> String {
    text.to_string()
}

fn unfold(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `Get` becomes `get`; `PEM` stays.
fn lower_first(text: &str) -> String {
    let mut rest = text.chars();
    match (rest.next(), rest.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            first.to_lowercase().chain(rest).collect()
        }
        _ => text.to_owned(),
    }
}
