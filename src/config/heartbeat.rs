//! `[heartbeat]` of `acmeagent.toml`: who is to hear of good runs, and how long none may be good.

use std::time::Duration;

use url::Url;

use super::keys;
use super::reader::{ConfigError, Section};
use super::secret::{self, Secret, SecretSource};

/// `[heartbeat]`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Heartbeat {
    /// Where the URL is kept that is asked after each good run: whoever knows it can feign them.
    pub(crate) url: Option<SecretSource>,
    /// How long no run may be good before `check` says so; `None` for what fits the runs there are.
    pub(crate) silence: Option<Duration>,
}

impl Heartbeat {
    const SHORTEST: Duration = Duration::from_secs(60);
    const LONGEST: Duration = Duration::from_secs(90 * 24 * 3600);

    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let mut sources = secret::read_sources(section, keys::HEARTBEAT_URL)?;
        sources.extend(section.parse(keys::HEARTBEAT_URL, read_url)?.map(SecretSource::Literal));
        let mut sources = sources.into_iter();
        let url = sources.next();
        if sources.next().is_some() {
            return Err(section.refuse(keys::HEARTBEAT_URL, "only one url may be given"));
        }
        let silence = section.value("silence")?;
        let silence = silence.map(|node| node.span(Self::SHORTEST..=Self::LONGEST)).transpose()?;
        Ok(Self { url, silence })
    }

    pub(super) fn holds_secret(&self) -> bool {
        matches!(self.url, Some(SecretSource::Literal(_)))
    }
}

/// Reads a URL that stands in the settings; messages do not repeat it.
fn read_url(text: &str) -> Result<Secret, &'static str> {
    let known = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
    let secret = Secret::new(text.to_owned()).filter(|_| known);
    secret.ok_or("it must be a URL that begins with https:// or http://")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::main_settings::MainSettings;
    use crate::config::secret::SecretSource;

    fn parse(text: &str) -> Result<MainSettings, String> {
        MainSettings::parse(Path::new("a.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_is_a_secret_like_others() {
        let hours = |hours: u64| Some(std::time::Duration::from_secs(hours * 3600));
        let main = parse("[heartbeat]\nurl = \"https://h.example/x\"\nsilence = \"6h\"").unwrap();
        let Some(SecretSource::Literal(url)) = &main.heartbeat().url else { panic!() };
        assert_eq!((url.expose(), main.heartbeat().silence), ("https://h.example/x", hours(6)));
        assert!(main.heartbeat().holds_secret() && !format!("{main:?}").contains("h.example"));
        let main = parse("[heartbeat]\nurl-credential = \"beat\"").unwrap();
        assert!(matches!(&main.heartbeat().url, Some(SecretSource::Credential(_))));
        assert!(!main.heartbeat().holds_secret());
        let main = parse("[heartbeat]\nsilence = \"2days\"").unwrap();
        assert_eq!((&main.heartbeat().url, main.heartbeat().silence), (&None, hours(48)));
        assert_eq!(parse("").unwrap().heartbeat(), &super::Heartbeat::default());
    }

    #[test]
    fn what_is_wrong_is_named_and_no_url_repeated() {
        let table = [
            ("url = \"ftp://h.example/x\"", "2:7: `heartbeat.url`: it must be a URL that begins"),
            ("url = \"h.example\"", "2:7: `heartbeat.url`: it must be a URL that begins"),
            ("url = \"https://h.example/ x\"", "2:7: `heartbeat.url`: it must be a URL"),
            (
                "url = \"https://h.example/x\"\nurl-env = \"X\"",
                "2:7: `heartbeat.url`: only one url may be given",
            ),
            ("silence = \"5s\"", "2:11: `heartbeat.silence`: it must be from 1m to"),
            ("silense = \"6h\"", "2:1: unknown key `heartbeat.silense`"),
        ];
        for (text, says) in table {
            let error = parse(&format!("[heartbeat]\n{text}")).unwrap_err();
            assert!(error.contains(&format!("a.toml:{says}")), "{error}");
            assert!(!error.contains("h.example"), "{error}");
        }
    }
}
