use super::*;
use crate::model::outlook::sample::{now, sample};
use crate::model::tally::Errors;

fn holds(text: &str, line: &str) -> bool {
    text.lines().any(|other| other == line)
}

#[test]
fn a_sample_of_everything() {
    let text = text(&sample(8));
    let at = now().unix();
    for line in [
        format!("acmeagent_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
        "acmeagent_certificates 8".to_owned(),
        "# TYPE acmeagent_certificate_info gauge".to_owned(),
        "acmeagent_certificate_info{certificate=\"host-0.example\",ca=\"letsencrypt\",profile=\"shortlived\",generation=\"3\"} 1".to_owned(),
        format!("acmeagent_certificate_not_after_timestamp_seconds{{certificate=\"host-0.example\"}} {}", at + 140 * 3600),
        "acmeagent_certificate_lifetime_seconds{certificate=\"host-0.example\"} 576001".to_owned(),
        "acmeagent_renewal_runway_seconds{certificate=\"host-0.example\"} 216000".to_owned(),
        "acmeagent_renewal_in_window{certificate=\"host-0.example\"} 0".to_owned(),
        "acmeagent_ari_age_seconds{certificate=\"host-0.example\"} 7200".to_owned(),
        "acmeagent_certificate_at_risk{certificate=\"host-1.example\"} 0".to_owned(),
        "acmeagent_certificate_at_risk{certificate=\"host-2.example\"} 1".to_owned(),
        "acmeagent_certificate_unreadable{certificate=\"host-7.example\"} 1".to_owned(),
        "acmeagent_phase{certificate=\"host-3.example\",phase=\"soak\"} 1".to_owned(),
        "acmeagent_rollout_step{certificate=\"host-3.example\"} 1".to_owned(),
        "acmeagent_handshakes{certificate=\"host-3.example\",side=\"new\",result=\"failed\"} 2".to_owned(),
        "acmeagent_deploy_queue_length{certificate=\"host-6.example\"} 1".to_owned(),
        "acmeagent_budget_left{ca=\"letsencrypt\",limit=\"exact_set\",of=\"host-0.example\"} 3".to_owned(),
        "acmeagent_paused_identifiers{ca=\"letsencrypt\"} 0".to_owned(),
        "# TYPE acmeagent_runs_total counter".to_owned(),
        "acmeagent_runs_total{outcome=\"renewed\"} 41".to_owned(),
        "acmeagent_runs_total{outcome=\"failed\"} 0".to_owned(),
        "acmeagent_phase_duration_seconds_bucket{phase=\"acquire\",le=\"0.25\"} 0".to_owned(),
        "acmeagent_phase_duration_seconds_bucket{phase=\"acquire\",le=\"0.5\"} 1".to_owned(),
        "acmeagent_phase_duration_seconds_bucket{phase=\"acquire\",le=\"1\"} 1".to_owned(),
        "acmeagent_phase_duration_seconds_bucket{phase=\"acquire\",le=\"+Inf\"} 1".to_owned(),
        "acmeagent_phase_duration_seconds_sum{phase=\"acquire\"} 0.412".to_owned(),
        "acmeagent_phase_duration_seconds_count{phase=\"acquire\"} 1".to_owned(),
        format!("acmeagent_last_good_run_timestamp_seconds {}", at - 600),
        "acmeagent_silence_patience_seconds 21600".to_owned(),
    ] {
        assert!(holds(&text, &line), "{line} is not in:\n{text}");
    }
    assert!(text.ends_with('\n') && !text.contains("NaN") && !text.contains("inf\n"), "{text}");
}

#[test]
fn no_label_breaks_out_of_its_quotes() {
    let mut outlook = sample(1);
    let hostile = "a\"} 1\nacmeagent_certificates 0\\\u{1b}[2J\u{85}é<";
    outlook.tally.errors.insert(hostile.to_owned(), Errors { count: 1, ..Errors::default() });
    let text = text(&outlook);
    let told = "acmeagent_errors_total{kind=\"a\\\"} 1\\nacmeagent_certificates 0\\\\\\\\u{1b}[2J\\\\u{85}é<\"} 1";
    assert!(holds(&text, told), "{text}");
    assert!(!holds(&text, "acmeagent_certificates 0"));
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
}

#[test]
fn ten_thousand_certificates_are_told_of() {
    let text = text(&sample(10_000));
    assert!(holds(&text, "acmeagent_certificates 10000"));
    assert!(text.len() < 40 << 20, "{} bytes", text.len());
}
