//! Says what happened: to people as text, to programs as one JSON document with the same facts.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::Value;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::args::{Color, Global, LogFormat};
use super::exit::Exit;
use crate::model::generation::Generation;
use crate::model::name::{CertName, Identifier};
pub(crate) use crate::model::printable::printable;
use crate::model::proof::Proof;
use crate::model::time::{Timestamp, Validity, Window};
use crate::observe::log::{Failed, Log, Loudness};

const SCHEMA: u32 = 1;

/// Why a verb, or one certificate of it, did not come to a good end.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    #[serde(rename = "kind", serialize_with = "by_name")]
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) causes: Vec<String>,
    pub(crate) hints: Vec<String>,
    pub(crate) retry_at: Option<Timestamp>,
    /// How things stand, for people; JSON has it under the certificate's own keys.
    #[serde(skip)]
    pub(crate) standing: Vec<(&'static str, String)>,
}

fn by_name<S: serde::Serializer>(exit: &Exit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(exit.name())
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let message = message.into();
        let (causes, hints, standing) = (Vec::new(), Vec::new(), Vec::new());
        Self { exit, message, causes, hints, retry_at: None, standing }
    }

    /// Takes the texts of an error and of everything beneath it.
    pub(crate) fn of(exit: Exit, error: &(dyn std::error::Error + 'static)) -> Self {
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        let causes = causes.map(ToString::to_string).collect();
        Self { causes, ..Self::new(exit, error.to_string()) }
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(Exit::Config, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// What a run did for one certificate, and where it stands now.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CertificateLine {
    pub(crate) name: CertName,
    pub(crate) identifiers: BTreeSet<Identifier>,
    pub(crate) ca: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) generation: Option<Generation>,
    pub(crate) pinned: bool,
    pub(crate) fingerprint_sha256: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) not_after: Option<Timestamp>,
    pub(crate) lifetime_left: Option<f64>,
    pub(crate) live_dir: String,
    pub(crate) next_renewal: Option<NextRenewal>,
    pub(crate) outcome: Option<&'static str>,
    pub(crate) ari_exempt: Option<bool>,
    pub(crate) ari_exempt_reason: Option<String>,
    pub(crate) phases: Vec<PhaseTime>,
    /// How the generation above was proven; `None` where there is none, or it is not known.
    pub(crate) proved: Option<Proof>,
    pub(crate) error: Option<Failure>,
}

impl CertificateLine {
    pub(crate) fn validity(&self) -> Option<Validity> {
        Some(Validity { not_before: self.not_before?, not_after: self.not_after? })
    }
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct NextRenewal {
    pub(crate) at: Timestamp,
    pub(crate) source: String,
    pub(crate) reason: String,
    pub(crate) window: Option<Window>,
    pub(crate) poll_ari_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct PhaseTime {
    pub(crate) phase: &'static str,
    pub(crate) ms: u64,
}

/// Everything a verb has to say.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) exit: Option<Exit>,
    pub(crate) certificates: Vec<CertificateLine>,
    /// What only this verb has, under its own key.
    pub(crate) more: Option<(&'static str, Value)>,
    /// The same for people, on standard output.
    pub(crate) text: String,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    command: &'a str,
    exit: Exit,
    certificates: &'a [CertificateLine],
    error: Option<&'a Failure>,
    #[serde(flatten)]
    more: Option<serde_json::Map<String, Value>>,
}

/// Where the talk goes, and how much of it.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    /// What takes all talk, where it is not for people.
    pub(crate) log: Option<Log>,
}

impl Talk {
    pub(crate) fn new(global: &Global) -> Self {
        let choice = match global.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        let Global { json, quiet, verbose, .. } = *global;
        Self { json, quiet, verbose, log: open_log(global) }
    }

    /// Progress is for people who look: on a terminal, and not where only data is wanted.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.json && !self.quiet && self.log.is_none() && std::io::stderr().is_terminal()
    }

    /// Says a line in passing: on standard error, or to the log.
    pub(crate) fn remark(&self, text: &str) {
        match &self.log {
            Some(log) => log.say(text),
            None => anstream::eprintln!("{}", printable(text)),
        }
    }

    /// Says what could not be done although nothing failed for it.
    pub(crate) fn complain(&self, text: &str) {
        match &self.log {
            Some(log) => log.warn(text),
            None if self.quiet => {}
            None => anstream::eprintln!("{}", printable(text)),
        }
    }

    /// Prints the outcome of a verb and says the exit code it comes to.
    pub(crate) fn finish(&self, command: &str, result: Result<Report, Failure>) -> Exit {
        let (report, failure) = match result {
            Ok(report) => (report, None),
            Err(failure) => (Report::default(), Some(failure)),
        };
        let exit = failure.as_ref().map_or(report.exit.unwrap_or(Exit::Ok), |f| f.exit);
        if self.json {
            let failure = failure.as_ref();
            print_json(&Document {
                schema: SCHEMA,
                command,
                exit,
                certificates: &report.certificates,
                error: failure,
                more: report
                    .more
                    .map(|(key, value)| [(key.to_owned(), value)].into_iter().collect()),
            });
        } else {
            if !self.quiet {
                say(&mut anstream::stdout(), &report.text);
            }
        }
        match &self.log {
            Some(log) => log_failures(log, &report.certificates, failure.as_ref()),
            None if self.json => {}
            None => tell_failures(&report.certificates, failure.as_ref()),
        }
        exit
    }
}

fn open_log(global: &Global) -> Option<Log> {
    let loudness = match (global.quiet, global.verbose) {
        (true, _) => Loudness::Errors,
        (false, true) => Loudness::More,
        (false, false) => Loudness::Usual,
    };
    let lines = || Log::json(loudness, BoxMakeWriter::new(std::io::stderr));
    match global.log {
        LogFormat::Text => None,
        LogFormat::Json => Some(lines()),
        LogFormat::Journald => Some(Log::journald(loudness).unwrap_or_else(|error| {
            let log = lines();
            log.warn(&format!("there is no journal here, so standard error is the log: {error}"));
            log
        })),
    }
}

fn log_failures(log: &Log, certificates: &[CertificateLine], failure: Option<&Failure>) {
    let of_certificates = certificates
        .iter()
        .filter_map(|line| line.error.as_ref().map(|failure| (Some(line.name.as_str()), failure)));
    for (certificate, failure) in of_certificates.chain(failure.map(|failure| (None, failure))) {
        let Failure { exit, message, causes, hints, retry_at, standing } = failure;
        if *exit == Exit::Locked {
            // That another run does it is how two runs share the work.
            log.say(&format!("{}: {message}", certificate.unwrap_or("locked")));
            continue;
        }
        let (exit, see) = (exit.name(), manual(*exit));
        let retry_at = retry_at.map(|at| at.to_string());
        log.fail(&Failed { certificate, exit, message, causes, hints, standing, retry_at, see });
    }
}

fn tell_failures(certificates: &[CertificateLine], failure: Option<&Failure>) {
    let mut text = String::new();
    for line in certificates {
        if let Some(failure) = &line.error {
            text.push_str(&failure_text(failure, Some(&line.name)));
        }
    }
    if let Some(failure) = failure {
        text.push_str(&failure_text(failure, None));
    }
    let told = certificates.iter().filter_map(|line| line.error.as_ref()).chain(failure);
    text.extend(told.map(|failure| failure.exit).collect::<BTreeSet<_>>().into_iter().map(see));
    say(&mut anstream::stderr(), &text);
}

/// Writes what is to be said; a reader that went away is no error of ours.
fn say(to: &mut impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}

pub(crate) fn print_json(document: &impl Serialize) {
    let mut text = serde_json::to_string(document).expect("documents have string keys only");
    text.push('\n');
    say(&mut std::io::stdout(), &text);
}

/// Where the manual says what to do about it.
fn manual(exit: Exit) -> String {
    format!("man acmeagent-recovery, {} {}", exit.code(), exit.name())
}

fn see(exit: Exit) -> String {
    let cyan = Style::new().bold().fg_color(Some(AnsiColor::Cyan.into()));
    format!("{cyan}see:{cyan:#} {}\n", manual(exit))
}

fn failure_text(failure: &Failure, name: Option<&CertName>) -> String {
    let bold = |color: AnsiColor| Style::new().bold().fg_color(Some(color.into()));
    let (red, cyan) = (bold(AnsiColor::Red), bold(AnsiColor::Cyan));
    let about = name.map(|name| format!("{name}: ")).unwrap_or_default();
    let message = printable(&failure.message);
    let mut text = match failure.exit {
        // That another run does it is how two runs share the work.
        Exit::Locked => format!("{cyan}locked:{cyan:#} {about}{message}\n"),
        _ => format!("{red}error:{red:#} {about}{message}\n"),
    };
    for cause in &failure.causes {
        text += &format!("{red}caused by:{red:#} {}\n", printable(cause));
    }
    for (what, how) in &failure.standing {
        text += &format!("{cyan}{what}:{cyan:#} {}\n", printable(how));
    }
    for hint in &failure.hints {
        text += &format!("{cyan}hint:{cyan:#} {}\n", printable(hint));
    }
    text
}
