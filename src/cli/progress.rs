//! What a person sees while it runs: a line per certificate at work, and notices.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::report::{Talk, printable};
use crate::model::event::{Event, Sink};
use crate::model::name::CertName;

/// Shows events on a terminal; elsewhere only notices are told.
pub(crate) struct Progress {
    talk: Talk,
    bars: MultiProgress,
    by_name: Mutex<HashMap<CertName, ProgressBar>>,
}

impl Progress {
    pub(crate) fn new(talk: Talk) -> Self {
        let target = if talk.shows_progress() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bars = MultiProgress::with_draw_target(target);
        Self { talk, bars, by_name: Mutex::default() }
    }

    fn bar(&self, name: &CertName) -> ProgressBar {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        by_name.entry(name.clone()).or_insert_with(|| self.new_bar(name)).clone()
    }

    fn new_bar(&self, name: &CertName) -> ProgressBar {
        let style = ProgressStyle::with_template("{spinner} {prefix}: {msg} {elapsed}");
        let bar = ProgressBar::new_spinner().with_style(style.expect("the template is constant"));
        bar.set_prefix(name.to_string());
        let bar = self.bars.add(bar);
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    /// Talk goes above the bars, to standard error.
    fn tell(&self, text: &str) {
        self.bars.suspend(|| anstream::eprintln!("{}", printable(text)));
    }
}

impl Sink for Progress {
    fn note(&self, event: Event) {
        match event {
            Event::PhaseStarted { name, phase } if self.talk.shows_progress() => {
                self.bar(&name).set_message(phase.as_str());
            }
            Event::PhaseStarted { .. } => {}
            Event::PhaseEnded { name, phase, took } if self.talk.verbose => {
                self.tell(&format!("{name}: {} took {} ms", phase.as_str(), took.as_millis()));
            }
            Event::PhaseEnded { .. } => {}
            Event::Measured { name, text } if self.talk.verbose => {
                self.tell(&format!("{name}: {text}"))
            }
            Event::Measured { .. } => {}
            Event::Noticed { name, text } if !self.talk.quiet => {
                self.tell(&format!("{name}: {text}"))
            }
            // For logs, counts and the history.
            Event::Noticed { .. }
            | Event::ChallengeEnded { .. }
            | Event::Issued { .. }
            | Event::Switched { .. }
            | Event::Activated { .. }
            | Event::Seen { .. }
            | Event::Counted { .. }
            | Event::RevocationSeen { .. }
            | Event::Decided { .. }
            | Event::Recorded { .. } => {}
            Event::RunEnded { name, .. } => {
                let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(bar) = by_name.remove(&name) {
                    bar.finish_and_clear();
                }
            }
        }
    }
}
