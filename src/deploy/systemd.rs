//! A unit of systemd, reloaded or restarted.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use super::{Delivery, Target, TargetError, Told};
use crate::hook::environment::HookEnv;
use crate::hook::{Hook, HookError, run};
use crate::model::traffic::Share;

/// What systemd calls a unit; never an option, never a pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct UnitName(String);

/// Why a text is no [`UnitName`].
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "{text:?} is no unit of systemd: 1 to 255 letters, digits and `:_.@\\-`, no hyphen or dot first"
)]
pub(crate) struct UnitNameError {
    text: String,
}

impl UnitName {
    const LONGEST: usize = 255;
    /// systemd.unit(5).
    const KINDS: [&str; 11] = [
        "service",
        "socket",
        "device",
        "mount",
        "automount",
        "swap",
        "target",
        "path",
        "timer",
        "slice",
        "scope",
    ];

    /// Takes a name with or without its kind; without one it is a service.
    pub(crate) fn parse(text: &str) -> Result<Self, UnitNameError> {
        let kind = text.rsplit_once('.').map(|(_, kind)| kind);
        let name = match kind.is_some_and(|kind| Self::KINDS.contains(&kind)) {
            true => text.to_owned(),
            false => format!("{text}.service"),
        };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b":_.@\\-".contains(&b);
        let begins = !text.is_empty() && !text.starts_with(['-', '.']);
        if begins && name.len() <= Self::LONGEST && name.bytes().all(allowed) {
            return Ok(Self(name));
        }
        Err(UnitNameError { text: text.chars().take(Self::LONGEST).collect() })
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which unit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Settings {
    pub(crate) unit: UnitName,
}

/// Reloads a unit, or restarts it where it cannot reload. One that does not run is left alone: it
/// reads what is live when it starts.
pub(crate) struct Systemd {
    unit: UnitName,
    label: String,
    systemctl: OsString,
    limit: Duration,
}

/// What systemd says of a unit.
#[derive(Debug, Default, Eq, PartialEq)]
struct State {
    load: String,
    active: String,
    can_reload: bool,
}

impl State {
    fn parse(said: &str) -> Self {
        let value = |key: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or("unknown").to_owned()
        };
        Self {
            load: value("LoadState"),
            active: value("ActiveState"),
            can_reload: value("CanReload") == "yes",
        }
    }

    fn runs(&self) -> bool {
        !matches!(self.active.as_str(), "inactive" | "failed")
    }
}

impl Systemd {
    /// Longer than systemd by itself lets a unit stop and start.
    const LIMIT: Duration = Duration::from_secs(200);
    const PATIENCE: Duration = Duration::from_secs(10);

    pub(crate) fn new(label: String, settings: Settings) -> Self {
        Self { unit: settings.unit, label, systemctl: "systemctl".into(), limit: Self::LIMIT }
    }

    async fn state(&self) -> Result<State, TargetError> {
        let properties = "--property=LoadState,ActiveState,CanReload";
        let said = self.ask(&["show", properties], Self::PATIENCE).await?;
        Ok(State::parse(
            &said.map_err(|output| {
                self.refused("systemd does not answer".to_owned(), &output, None)
            })?,
        ))
    }

    /// What `systemctl` printed: when all was well, or else.
    async fn ask(
        &self,
        words: &[&str],
        limit: Duration,
    ) -> Result<Result<String, String>, TargetError> {
        let words = words.iter().copied().chain(["--no-pager", "--no-ask-password", "--"]);
        let argv = [self.systemctl.clone()].into_iter().chain(words.map(OsString::from));
        let argv = argv.chain([OsString::from(&self.unit.0)]).collect();
        match run(&Hook::new(argv).within(limit), &HookEnv::new()).await {
            Ok(report) => Ok(Ok(report.output)),
            Err(HookError::Exited { output, .. }) => Ok(Err(output)),
            Err(HookError::TimedOut { limit, .. }) => {
                let target = self.label.clone();
                Err(TargetError::TimedOut { target, what: "systemctl", after: limit })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn refused(&self, what: String, output: &str, hint: Option<String>) -> TargetError {
        TargetError::Refused { target: self.label.clone(), what, output: output.to_owned(), hint }
    }

    /// `what` says how the unit failed.
    fn failed(&self, what: String, output: &str) -> TargetError {
        let unit = &self.unit;
        let hint = match is_forbidden(output) {
            true => format!("let this user reload {unit}, by a rule in /etc/polkit-1/rules.d"),
            false => format!("`journalctl -u {unit}` shows why"),
        };
        self.refused(what, output, Some(hint))
    }
}

/// Whether systemd would have done it for another user: with polkit, and without.
fn is_forbidden(output: &str) -> bool {
    ["authentication required", "Access denied"].iter().any(|words| output.contains(words))
}

#[async_trait]
impl Target for Systemd {
    fn label(&self) -> &str {
        &self.label
    }

    async fn stage(&self, _: &Delivery) -> Result<(), TargetError> {
        let state = self.state().await?;
        if state.load == "loaded" {
            return Ok(());
        }
        let hint = format!("`systemctl status {}` shows it", self.unit);
        Err(self.refused(format!("systemd has the unit as {}", state.load), "", Some(hint)))
    }

    async fn activate(&self, _: &Delivery, _: Share) -> Result<Told, TargetError> {
        let before = self.state().await?;
        if !before.runs() {
            let output = format!("{} is {} and was left alone", self.unit, before.active);
            return Ok(Told { output });
        }
        let verb = if before.can_reload { "reloaded" } else { "restarted" };
        let done = self.ask(&["reload-or-restart"], self.limit).await?;
        done.map_err(|output| self.failed(format!("it could not be {verb}"), &output))?;
        let after = self.state().await?;
        if after.active != "active" {
            return Err(self.failed(format!("it was {verb} and is {} now", after.active), ""));
        }
        Ok(match before.can_reload {
            true => Told::default(),
            false => Told { output: format!("{} cannot reload and was restarted", self.unit) },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::certificate::{Chain, Fingerprint};
    use crate::deploy::conformance::{Bed, Rack, conforms};
    use crate::hook::tests::Programs;

    #[test]
    fn names_of_units() {
        let table = [
            ("nginx", "nginx.service"),
            ("nginx.service", "nginx.service"),
            ("web.target", "web.target"),
            ("app@1.2", "app@1.2.service"),
            (r"a\x2db:c_d", r"a\x2db:c_d.service"),
        ];
        for (text, name) in table {
            assert_eq!(UnitName::parse(text).unwrap().to_string(), name, "{text}");
        }
        let long = "a".repeat(250);
        for text in ["", "-H", ".", ".service", "a b", "a/b", "ng*", "a;b", "é", "a\n", &long] {
            assert!(UnitName::parse(text).is_err(), "{text:?}");
        }
    }

    /// A stand-in for `systemctl` with one unit, whose facts lie in files; a server takes up what is
    /// live when it is reloaded.
    struct Unit(Programs);

    const SYSTEMCTL: &str = r#"
        echo "$@" >>asked
        case $1 in
        show)
            [ -e load ] || { echo 'System has not been booted with systemd' >&2; exit 1; }
            for key in LoadState:load ActiveState:active CanReload:reload; do
                echo "${key%%:*}=$(cat ${key##*:})"
            done ;;
        reload-or-restart)
            [ ! -e hangs ] || sleep 1000
            [ ! -e forbidden ] || { echo 'Failed to reload-or-restart web.service: Interactive authentication required.' >&2; exit 1; }
            [ ! -e fails ] || { echo 'Job for web.service failed.' >&2; exit 1; }
            [ ! -e dies ] || echo failed >active
            cat "$(cat live)/fullchain.pem" >served.pem ;;
        esac"#;

    impl Unit {
        fn new(rack: &Rack) -> (Self, Systemd) {
            let programs = Programs::new();
            programs.script(SYSTEMCTL);
            let unit = Self(programs);
            for (file, text) in [("load", "loaded"), ("active", "active"), ("reload", "yes")] {
                unit.set(file, text);
            }
            unit.set("live", rack.old.live_dir.to_str().unwrap());
            let systemctl = unit.0.path("hook").into();
            let limit = Duration::from_secs(2);
            let settings = Settings { unit: UnitName::parse("web").unwrap() };
            (
                unit,
                Systemd {
                    systemctl,
                    limit,
                    ..Systemd::new("systemd:web.service".to_owned(), settings)
                },
            )
        }

        fn set(&self, file: &str, text: &str) {
            self.0.add(file, "644", text);
        }

        #[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
        fn unset(&self, file: &str) {
            std::fs::remove_file(self.0.path(file)).unwrap();
        }

        fn asked(&self) -> String {
            std::fs::read_to_string(self.0.path("asked")).unwrap()
        }
    }

    #[async_trait]
    impl Bed for Unit {
        async fn served(&mut self) -> Option<Fingerprint> {
            let pem = std::fs::read(self.0.path("served.pem")).ok()?;
            Some(Chain::parse(&pem).unwrap().fingerprint())
        }

        fn watched(&self) -> Vec<PathBuf> {
            vec![self.0.path("served.pem")]
        }

        async fn damage(&mut self) {
            self.set("load", "masked");
        }

        async fn mend(&mut self) {
            self.set("load", "loaded");
        }

        async fn hang(&mut self) -> bool {
            self.set("hangs", "");
            true
        }

        async fn resume(&mut self) {
            self.unset("hangs");
        }
    }

    #[tokio::test]
    async fn it_keeps_the_contract() {
        let rack = Rack::new(&["a.example"]);
        let (mut unit, target) = Unit::new(&rack);
        assert_eq!(target.label(), "systemd:web.service");
        target.activate(&rack.old, Share::ALL).await.unwrap();
        conforms(&target, &mut unit, &rack).await;
        let asked = unit.asked();
        for line in asked.lines() {
            assert!(line.ends_with(" --no-pager --no-ask-password -- web.service"), "{line}");
        }
    }

    #[tokio::test]
    async fn what_does_not_run_is_left_alone() {
        let rack = Rack::new(&["a.example"]);
        let (unit, target) = Unit::new(&rack);
        for state in ["inactive", "failed"] {
            unit.set("active", state);
            target.stage(&rack.new).await.unwrap();
            let told = target.activate(&rack.new, Share::ALL).await.unwrap();
            assert_eq!(told.output, format!("web.service is {state} and was left alone"));
        }
        assert!(!unit.asked().contains("reload-or-restart"));
    }

    #[tokio::test]
    async fn what_goes_wrong_is_told() {
        let rack = Rack::new(&["a.example"]);
        let (unit, target) = Unit::new(&rack);
        unit.set("reload", "no");
        let told = target.activate(&rack.new, Share::ALL).await.unwrap();
        assert_eq!(told.output, "web.service cannot reload and was restarted");

        unit.set("fails", "");
        let error = target.activate(&rack.new, Share::ALL).await.unwrap_err();
        assert_eq!(error.to_string(), "systemd:web.service: it could not be restarted");
        assert_eq!(error.output(), Some("Job for web.service failed.\n"));
        assert_eq!(error.hint().unwrap(), "`journalctl -u web.service` shows why");

        unit.set("forbidden", "");
        let error = target.activate(&rack.new, Share::ALL).await.unwrap_err();
        let hint = "let this user reload web.service, by a rule in /etc/polkit-1/rules.d";
        assert_eq!(error.hint().unwrap(), hint);

        unit.unset("forbidden");
        unit.unset("fails");
        unit.set("dies", "");
        let error = target.activate(&rack.new, Share::ALL).await.unwrap_err();
        assert_eq!(error.to_string(), "systemd:web.service: it was restarted and is failed now");

        unit.set("load", "not-found");
        let error = target.stage(&rack.new).await.unwrap_err();
        assert_eq!(error.to_string(), "systemd:web.service: systemd has the unit as not-found");

        unit.unset("load");
        let error = target.stage(&rack.new).await.unwrap_err();
        assert_eq!(error.to_string(), "systemd:web.service: systemd does not answer");
        assert_eq!(error.output(), Some("System has not been booted with systemd\n"));
    }
}
