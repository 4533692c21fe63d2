//! A clock for programs, that can be moved while they run. Needs `faketime`.

use std::fs;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::NamedTempFile;

/// It goes as the real one does, ahead of it or behind. Clones are the same clock.
#[derive(Clone)]
pub struct Clock(Arc<NamedTempFile>);

impl Clock {
    /// One that is right.
    pub fn right() -> Self {
        Self::off_by(TimeDelta::zero())
    }

    pub fn off_by(by: TimeDelta) -> Self {
        let clock = Self(Arc::new(NamedTempFile::new().unwrap()));
        clock.set(by);
        clock
    }

    /// Puts it that far from the real one.
    pub fn set(&self, by: TimeDelta) {
        // At once: whoever looks meanwhile must not find half a number.
        let next = self.0.path().with_extension("next");
        fs::write(&next, format!("{:+}", by.num_seconds())).unwrap();
        fs::rename(next, self.0.path()).unwrap();
    }

    pub fn advance(&self, by: TimeDelta) {
        self.set(self.ahead() + by);
    }

    /// Moves it to that instant or up to a second later, and never back.
    pub fn advance_to(&self, at: DateTime<Utc>) {
        let ahead = at - self.now() + TimeDelta::seconds(1);
        self.advance(ahead.max(TimeDelta::zero()));
    }

    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + self.ahead()
    }

    fn ahead(&self) -> TimeDelta {
        TimeDelta::seconds(fs::read_to_string(self.0.path()).unwrap().parse().unwrap())
    }

    /// Lets a program go by this clock. How long waits take, and when files were written, stays.
    pub fn rule(&self, command: &mut Command) {
        command.env("LD_PRELOAD", library()).env("FAKETIME_TIMESTAMP_FILE", self.0.path());
        command.env("FAKETIME_NO_CACHE", "1").env("NO_FAKE_STAT", "1");
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
}

/// Lets a program go by a clock that stands elsewhere, as in `+8 days`, `+7h` or
/// `@2027-01-01 00:00:00` (UTC). How long waits take, and when files were written, stays.
pub fn shift(command: &mut Command, time: &str) {
    let unit = |unit: &str| unit.chars().next().map(String::from);
    let time = match time.split_once(' ') {
        Some((number, name)) if !time.starts_with('@') => {
            number.to_owned() + &unit(name).expect("a unit of time")
        }
        _ => time.to_owned(),
    };
    command.env("LD_PRELOAD", library()).env("FAKETIME", time).env("TZ", "UTC");
    command.env("NO_FAKE_STAT", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

/// Lets all clocks of a program go that many times as fast.
pub fn hurry(command: &mut Command, times: u32) {
    command.env("LD_PRELOAD", library()).env("FAKETIME", format!("+0 x{times}"));
}

/// What `faketime` would have the program load.
///
/// It itself would stand between us and the program, and fails where one of its own that was killed
/// had the same process id.
fn library() -> &'static str {
    static LIBRARY: OnceLock<String> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let mut tries = std::iter::repeat_with(|| {
            let args = ["-f", "+0", "printenv", "LD_PRELOAD"];
            Command::new("faketime").args(args).output().unwrap()
        });
        let worked = tries.by_ref().take(20).find(|output| output.status.success());
        let output = worked.expect("faketime says what it lets programs load");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}
