//! What happens, as a log for programs: an entry for each event, with its facts in fields.
//!
//! Nothing but what is given here goes to it: the libraries that log by the same means do not
//! come in, and no variable of the environment changes what is told. Control characters are escaped
//! in whatever a CA, a server or a file may have said.

use std::io;
use std::time::Duration;

use tracing::{Dispatch, Level, dispatcher};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use crate::model::ended::Ended;
use crate::model::event::{Event, Failing, Sighting, Sink};
use crate::model::generation::Generation;
use crate::model::printable::printable;
use crate::model::traffic::{Counters, Traffic};

/// How much is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Loudness {
    Errors,
    Usual,
    /// What was measured, too.
    More,
}

/// A log that is open.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    dispatch: Dispatch,
}

/// Why a run, or its part for one certificate, did not come to a good end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failed<'a> {
    pub(crate) certificate: Option<&'a str>,
    /// The name of the exit code.
    pub(crate) exit: &'a str,
    pub(crate) message: &'a str,
    pub(crate) causes: &'a [String],
    pub(crate) hints: &'a [String],
    /// How things stand, as in `live` and what that is.
    pub(crate) standing: &'a [(&'static str, String)],
    pub(crate) retry_at: Option<String>,
    /// Where the manual says what to do.
    pub(crate) see: String,
}

impl From<Loudness> for LevelFilter {
    fn from(loudness: Loudness) -> Self {
        match loudness {
            Loudness::Errors => Self::ERROR,
            Loudness::Usual => Self::INFO,
            Loudness::More => Self::DEBUG,
        }
    }
}

const TARGET: &str = "acmeagent";

/// An entry; its fields are those of the journal and the keys of the lines.
macro_rules! tell {
    ($level:ident, $($fields_and_text:tt)+) => {
        tracing::event!(target: TARGET, Level::$level, $($fields_and_text)+)
    };
}

impl Log {
    /// A line of JSON for each entry: `timestamp` (RFC 3339), `level`, `message` and its fields.
    pub(crate) fn json(loudness: Loudness, to: BoxMakeWriter) -> Self {
        let lines = tracing_subscriber::fmt::layer().json().flatten_event(true);
        // What cannot be written is lost: there is nowhere else to say so.
        let lines = lines.with_target(false).log_internal_errors(false).with_writer(to);
        let filter = LevelFilter::from(loudness);
        Self { dispatch: Dispatch::new(Registry::default().with(filter).with(lines)) }
    }

    /// Entries of the systemd journal; the fields are called `ACMEAGENT_…`.
    ///
    /// # Errors
    /// There is no journal here.
    pub(crate) fn journald(loudness: Loudness) -> io::Result<Self> {
        let (info, debug) = (Priority::Informational, Priority::Debug);
        let journal = tracing_journald::layer()?
            .with_field_prefix(Some("ACMEAGENT".to_owned()))
            .with_syslog_identifier(TARGET.to_owned())
            .with_priority_mappings(PriorityMappings { info, debug, ..PriorityMappings::new() });
        let filter = LevelFilter::from(loudness);
        Ok(Self { dispatch: Dispatch::new(Registry::default().with(filter).with(journal)) })
    }

    /// Something that concerns the program and no single certificate.
    pub(crate) fn say(&self, text: &str) {
        let text = printable(text);
        dispatcher::with_default(&self.dispatch, || tell!(INFO, "{text}"));
    }

    /// The same, where somebody should look at it.
    pub(crate) fn warn(&self, text: &str) {
        let text = printable(text);
        dispatcher::with_default(&self.dispatch, || tell!(WARN, "{text}"));
    }

    /// What a run came to, where that is no good end.
    pub(crate) fn fail(&self, failed: &Failed<'_>) {
        let Failed { certificate, exit, message, retry_at, see, .. } = failed;
        let about = certificate.map(|name| format!("{name}: ")).unwrap_or_default();
        let (causes, hints) = (listed(failed.causes), listed(failed.hints));
        let standing = failed.standing.iter().map(|(what, how)| format!("{what}: {how}"));
        let standing = listed(&standing.collect::<Vec<_>>());
        let mut text = printable(&format!("{about}{message}"));
        if let Some(causes) = &causes {
            text = format!("{text}: {causes}");
        }
        let retry_at = retry_at.as_deref();
        dispatcher::with_default(&self.dispatch, || {
            tell!(
                ERROR,
                event = "failure",
                certificate,
                exit,
                causes,
                standing,
                hints,
                retry_at,
                see,
                "{text}"
            );
        });
    }
}

/// Several texts as one field; `None` for none.
fn listed(texts: &[String]) -> Option<String> {
    (!texts.is_empty()).then(|| printable(&texts.join("; ")))
}

impl Sink for Log {
    fn note(&self, event: Event) {
        dispatcher::with_default(&self.dispatch, || write(&event));
    }
}

/// The entry of an event. All begin with the certificate, so that they can be read without fields.
fn write(event: &Event) {
    let certificate = event.name().as_str();
    match event {
        Event::PhaseStarted { phase, .. } => {
            let phase = phase.as_str();
            tell!(DEBUG, event = "phase_started", certificate, phase, "{certificate}: {phase}");
        }
        Event::PhaseEnded { phase, took, .. } => {
            let (event, phase, elapsed_ms) = ("phase_ended", phase.as_str(), ms(*took));
            let text = format!("{certificate}: {phase} took {elapsed_ms} ms");
            tell!(INFO, event, certificate, phase, elapsed_ms, "{text}");
        }
        Event::ChallengeEnded { identifier, kind, took, failed, .. } => {
            let (identifier, challenge) = (identifier.to_string(), kind.as_str());
            write_challenge(certificate, &identifier, challenge, ms(*took), failed.as_deref());
        }
        Event::Issued { generation, ca, fingerprint, key, not_after, exempt, .. } => {
            let (ca, until) = (printable(ca), not_after.to_string());
            write_issued(certificate, generation.number(), &ca, fingerprint, key, &until, *exempt);
        }
        Event::Switched { from, to, fingerprint, .. } => {
            let (event, from, to) = ("switched", from.map(Generation::number), to.number());
            let text = format!("{certificate}: live is generation {to}");
            tell!(INFO, event, certificate, from, generation = to, fingerprint, "{text}");
        }
        Event::Activated { target, generation, took, lag, .. } => {
            let (target, took, lag) = (printable(target), ms(*took), lag.as_secs());
            write_activated(certificate, &target, generation.number(), took, lag);
        }
        Event::Seen { generation, sighting, .. } => {
            write_sighting(certificate, generation.number(), sighting);
        }
        Event::Counted { traffic, .. } => write_traffic(certificate, traffic),
        Event::RevocationSeen { state, .. } => write_revocation(certificate, state),
        Event::Decided { what, text, .. } => {
            let text = format!("{certificate}: {}", printable(text));
            tell!(INFO, event = "decided", certificate, decision = what, "{text}");
        }
        Event::Recorded { seq, hash, .. } => {
            let text = format!("the history has {seq} records, the last is {hash}");
            tell!(INFO, event = "recorded", seq, hash, "{text}");
        }
        Event::Measured { text, .. } => {
            let text = format!("{certificate}: {}", printable(text));
            tell!(DEBUG, event = "measured", certificate, "{text}");
        }
        Event::Noticed { text, .. } => {
            let text = format!("{certificate}: {}", printable(text));
            tell!(WARN, event = "noticed", certificate, "{text}");
        }
        Event::RunEnded { ended, failing, .. } => {
            write_end(certificate, *ended, failing.as_ref());
        }
    }
}

fn write_challenge(
    certificate: &str,
    identifier: &str,
    challenge: &str,
    elapsed_ms: u64,
    failed: Option<&str>,
) {
    let (event, text) = ("challenge_ended", format!("{certificate}: {challenge} of {identifier}"));
    match failed.map(printable) {
        None => {
            let text = format!("{text} took {elapsed_ms} ms");
            tell!(INFO, event, certificate, identifier, challenge, elapsed_ms, "{text}");
        }
        Some(error) => {
            let text = format!("{text} failed after {elapsed_ms} ms: {error}");
            tell!(WARN, event, certificate, identifier, challenge, elapsed_ms, error, "{text}");
        }
    }
}

fn write_issued(
    certificate: &str,
    generation: u32,
    ca: &str,
    fingerprint: &str,
    key: &str,
    not_after: &str,
    exempt: bool,
) {
    tell!(
        INFO,
        event = "issued",
        certificate,
        generation,
        ca,
        fingerprint,
        key,
        not_after,
        exempt,
        "{certificate}: {ca} issued generation {generation}, valid until {not_after}"
    );
}

fn write_revocation(certificate: &str, state: &str) {
    let (event, text) = ("revocation", format!("{certificate}: revocation: {state}"));
    match state {
        "revoked" => tell!(ERROR, event, certificate, state, "{text}"),
        state => tell!(INFO, event, certificate, state, "{text}"),
    }
}

fn write_activated(certificate: &str, target: &str, generation: u32, elapsed_ms: u64, lag: u64) {
    tell!(
        INFO,
        event = "activated",
        certificate,
        target,
        generation,
        elapsed_ms,
        lag_seconds = lag,
        "{certificate}: {target} took generation {generation} in {elapsed_ms} ms"
    );
}

fn write_sighting(certificate: &str, generation: u32, sighting: &Sighting) {
    let Sighting { place, serves, problem, took, took_before } = sighting;
    let (event, place) = ("seen", printable(place));
    let (elapsed_ms, before_ms) = (took.map(ms), took_before.map(ms));
    let (serves, problem) = (*serves, problem.as_deref().map(printable));
    match &problem {
        None => tell!(
            INFO,
            event,
            certificate,
            place,
            generation,
            serves,
            elapsed_ms,
            before_ms,
            "{certificate}: {place} serves generation {generation}"
        ),
        Some(problem) => tell!(
            WARN,
            event,
            certificate,
            place,
            generation,
            serves,
            elapsed_ms,
            before_ms,
            problem,
            "{certificate}: {place}: {problem}"
        ),
    }
}

fn write_traffic(certificate: &str, Traffic { old, new }: &Traffic) {
    let all = |counted: &Counters| {
        let refused = counted.refused.saturating_add(counted.ocsp_refused);
        (counted.completed, counted.failed, refused)
    };
    let ((completed_before, failed_before, refused_before), (completed, failed, refused)) =
        (all(old), all(new));
    tell!(
        INFO,
        event = "counted",
        certificate,
        completed,
        failed,
        refused,
        completed_before,
        failed_before,
        refused_before,
        "{certificate}: {completed} handshakes with the new certificate, {refused} refused it"
    );
}

fn write_end(certificate: &str, ended: Ended, failing: Option<&Failing>) {
    let (event, outcome) = ("run_ended", ended.as_str());
    let text = format!("{certificate}: ended as {outcome}");
    match (failing, ended) {
        (Some(Failing { kind, message }), _) => {
            let (kind, error) = (*kind, printable(message));
            let text = format!("{text}: {error}");
            tell!(WARN, event, certificate, outcome, kind, error, "{text}");
        }
        (None, Ended::NotDue) => tell!(DEBUG, event, certificate, outcome, "{text}"),
        (None, _) => tell!(INFO, event, certificate, outcome, "{text}"),
    }
}

fn ms(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
