//! Findings as a monitoring system wants them, for the verbs that inspect.

use std::fmt::Write;
use std::process::ExitCode;

use super::args::Format;
use super::context::Context;
use super::report::{Failure, print_json, printable};
use crate::model::finding::{Finding, Severity};
use crate::observe::prometheus::label;

/// Exit code for "could not be looked at".
const UNKNOWN: u8 = 3;

/// Prints what `command` found and exits as a monitoring plugin does.
pub(super) fn show(
    context: &Context,
    command: &str,
    format: Format,
    found: Result<Vec<Finding>, Failure>,
) -> ExitCode {
    let format = if context.talk.json { Format::Json } else { format };
    match found {
        Ok(findings) => {
            let worst = findings.iter().map(|finding| finding.severity).max();
            let code = worst.map_or(UNKNOWN, |worst| worst as u8);
            if !context.talk.quiet || format != Format::Text {
                print(command, format, &findings, code);
            }
            ExitCode::from(code)
        }
        Err(failure) => {
            print_unknown(context, command, format, &failure);
            ExitCode::from(UNKNOWN)
        }
    }
}

fn print(command: &str, format: Format, findings: &[Finding], code: u8) {
    match format {
        Format::Text => say(&text(findings)),
        Format::Json => document(command, findings, code, None),
        Format::Junit => say(&junit(findings)),
        Format::Github => say(&github(findings)),
        Format::Prometheus => say(&prometheus(findings)),
    }
}

fn print_unknown(context: &Context, command: &str, format: Format, failure: &Failure) {
    if format == Format::Json {
        return document(command, &[], UNKNOWN, Some(failure));
    }
    let causes: String = failure.causes.iter().map(|cause| format!(": {cause}")).collect();
    say(&format!("UNKNOWN {}{}\n", printable(&failure.message), printable(&causes)));
    for hint in &failure.hints {
        context.talk.remark(&format!("hint: {hint}"));
    }
}

fn document(command: &str, findings: &[Finding], code: u8, failure: Option<&Failure>) {
    const NAMES: [&str; 4] = ["OK", "WARNING", "CRITICAL", "UNKNOWN"];
    print_json(&serde_json::json!({
        "schema": 1, "command": command,
        "exit": {"code": code, "name": NAMES[usize::from(code)]},
        "certificates": [], "findings": findings, "error": failure,
    }));
}

pub(super) fn say(text: &str) {
    use std::io::Write;
    // A reader that went away is no error of ours.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "OK",
        Severity::Warning => "WARNING",
        Severity::Critical => "CRITICAL",
    }
}

/// A line a finding, the worst first.
fn text(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "UNKNOWN there is no certificate to look at\n".to_owned();
    }
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    sorted.into_iter().map(|finding| format!("{}\n", line(finding))).collect()
}

/// One finding as one line.
pub(super) fn line(finding: &Finding) -> String {
    let Finding { subject, severity, message, hint, .. } = finding;
    let hint = hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    let line = printable(&format!("{} {subject}: {message}{hint}", word(*severity)));
    line.replace('\n', " ")
}

/// Text for the inside of an XML attribute.
fn xml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

fn junit(findings: &[Finding]) -> String {
    let failed = findings.iter().filter(|finding| finding.severity != Severity::Ok).count();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"acmeagent check\" tests=\"{}\" failures=\"{failed}\">\n",
        findings.len()
    );
    for Finding { subject, reason, severity, message, .. } in findings {
        let _ = write!(text, "  <testcase classname=\"{}\" name=\"{reason}\">", xml(subject));
        if *severity != Severity::Ok {
            let _ = write!(
                text,
                "<failure type=\"{}\" message=\"{}\"/>",
                word(*severity),
                xml(message)
            );
        }
        text.push_str("</testcase>\n");
    }
    text.push_str("</testsuite>\n");
    text
}

/// Workflow commands; their data must not contain line ends or bare percent signs.
fn github(findings: &[Finding]) -> String {
    let escape = |text: &str| printable(text).replace('%', "%25").replace('\n', "%0A");
    let mut text = String::new();
    for Finding { subject, severity, message, .. } in findings {
        let command = match severity {
            Severity::Ok => "notice",
            Severity::Warning => "warning",
            Severity::Critical => "error",
        };
        text += &format!("::{command} title=acmeagent::{}: {}\n", escape(subject), escape(message));
    }
    text
}

/// Text format 0.0.4: node_exporter's textfile collector reads no other.
fn prometheus(findings: &[Finding]) -> String {
    let mut text = String::from(
        "# HELP acmeagent_check Worst finding: 0 OK, 1 WARNING, 2 CRITICAL.\n# TYPE acmeagent_check gauge\n",
    );
    for Finding { subject, reason, severity, .. } in findings {
        let (subject, reason) = (label("subject", subject), label("reason", reason));
        text += &format!("acmeagent_check{{{subject},{reason}}} {}\n", *severity as u8);
    }
    text
}
