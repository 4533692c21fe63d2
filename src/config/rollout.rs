//! In which steps a certificate reaches its targets: `[rollout]`.

use std::time::Duration;

use super::keys;
use super::reader::{ConfigError, Section};
use super::target::TargetChoice;
use crate::schedule::rollout::{Settings, Wave};

const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// Reads the `[rollout]` of a certificate's settings.
pub(super) fn read(root: &Section<'_>) -> Result<Settings, ConfigError> {
    let section = root.section("rollout", &keys::ROLLOUT)?;
    let deadline = section.value("deadline")?;
    let freeze_until = section.value("freeze-until")?;
    let waves = waves(root)?;
    Ok(Settings {
        waves: waves.iter().map(read_wave).collect::<Result<_, _>>()?,
        deadline: deadline.map(|node| node.span(Duration::from_secs(1)..=LONGEST)).transpose()?,
        freeze_until: freeze_until.map(|node| node.moment()).transpose()?,
    })
}

/// The tables `[[rollout.wave]]`.
pub(super) fn waves<'a>(root: &Section<'a>) -> Result<Vec<Section<'a>>, ConfigError> {
    root.section("rollout", &keys::ROLLOUT)?.sections("wave", &keys::WAVE)
}

fn read_wave(section: &Section<'_>) -> Result<Wave, ConfigError> {
    let label = |text: &str| TargetChoice::parse(text).map(|choice| choice.label().to_owned());
    let percent = section.value("percent")?;
    let soak = section.value("soak")?;
    let approve = section.value("approve")?;
    Ok(Wave {
        targets: section.parse_list("targets", label)?.unwrap_or_default(),
        percent: percent.map(|node| node.number(1..=100)).transpose()?,
        soak: soak.map(|node| node.span(Duration::ZERO..=LONGEST)).transpose()?,
        approve: approve.map_or(Ok(false), |node| node.flag())?,
    })
}
