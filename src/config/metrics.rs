//! `[metrics]` of `acmeagent.toml`: where those who watch find out how things stand.

use std::net::SocketAddr;

use url::Url;

use super::choice::{AbsolutePath, ChoiceError};
use super::keys;
use super::reader::{ConfigError, Section};
use super::secret::{self, SecretSource};
use crate::observe::alert::medium::address;

/// `[metrics]`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Metrics {
    /// The file that is written after each run, for node_exporter.
    pub(crate) textfile: Option<AbsolutePath>,
    /// Where `renew --loop` listens for Prometheus.
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) otlp: Option<Otlp>,
}

/// A receiver of OTLP over HTTP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Otlp {
    /// Where metrics are posted to.
    pub(crate) url: Url,
    /// Where the value of the header `Authorization` is kept.
    pub(crate) authorization: Option<SecretSource>,
}

impl Metrics {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let authorization = secret::read_sources(section, keys::OTLP_AUTHORIZATION)?;
        let url = section.parse("otlp", otlp_url)?;
        let mut authorization = authorization.into_iter();
        let first = authorization.next();
        if first.is_some() && url.is_none() {
            return Err(section.missing("otlp"));
        }
        if authorization.next().is_some() {
            return Err(section.refuse("otlp", "only one authorization may be given"));
        }
        if let Some(url) = &url {
            let kept = address(url.as_str(), first.is_some());
            kept.map_err(|why| section.refuse("otlp", why))?;
        }
        Ok(Self {
            textfile: section.parse("textfile", textfile)?,
            listen: section.parse("listen", listen)?,
            otlp: url.map(|url| Otlp { url, authorization: first }),
        })
    }
}

fn textfile(text: &str) -> Result<AbsolutePath, ChoiceError> {
    let path = AbsolutePath::parse(text)?;
    if !text.ends_with(".prom") {
        let why = "its name must end in .prom, for node_exporter reads no other";
        return Err(ChoiceError::new(text, "textfile", why));
    }
    Ok(path)
}

fn listen(text: &str) -> Result<SocketAddr, ChoiceError> {
    let refuse = || {
        let why = "write an IP address and a port, as in 127.0.0.1:9402 or [::1]:9402";
        ChoiceError::new(text, "address", why)
    };
    text.parse().ok().filter(|at: &SocketAddr| at.port() != 0).ok_or_else(refuse)
}

/// The path of metrics is added to what is given, as by other senders of OTLP.
fn otlp_url(text: &str) -> Result<Url, ChoiceError> {
    let refuse = |why: &str| ChoiceError::new(text, "receiver of OTLP", why);
    let url = Url::parse(text).map_err(|error| refuse(&error.to_string()))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(refuse("it must begin with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(refuse("what is secret belongs into otlp-authorization-file or its like"));
    }
    let base = text.split('#').next().unwrap_or_default().trim_end_matches('/');
    Url::parse(&format!("{base}/v1/metrics")).map_err(|error| refuse(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::main_settings::MainSettings;

    fn parse(text: &str) -> Result<MainSettings, String> {
        let text = format!("[metrics]\n{text}");
        MainSettings::parse(Path::new("a.toml"), &text).map_err(|error| error.to_string())
    }

    #[test]
    fn all_of_it_or_nothing() {
        assert_eq!(parse("").unwrap().metrics(), &super::Metrics::default());
        let text = "textfile = \"/var/lib/node/acmeagent.prom\"\nlisten = \"[::1]:9402\"\n\
                    otlp = \"http://127.0.0.1:4318/otlp/\"\notlp-authorization-file = \"/etc/x\"";
        let main = parse(text).unwrap();
        let metrics = main.metrics();
        assert_eq!(metrics.textfile.as_ref().unwrap().as_str(), "/var/lib/node/acmeagent.prom");
        assert_eq!(metrics.listen.unwrap().to_string(), "[::1]:9402");
        let otlp = metrics.otlp.as_ref().unwrap();
        assert_eq!(otlp.url.as_str(), "http://127.0.0.1:4318/otlp/v1/metrics");
        assert!(otlp.authorization.is_some());
        let main = parse("otlp = \"https://o.example\"").unwrap();
        let otlp = main.metrics().otlp.as_ref().unwrap();
        assert_eq!(otlp.url.as_str(), "https://o.example/v1/metrics");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let table = [
            ("textfile = \"x.prom\"", "2:12: `metrics.textfile`: \"x.prom\" is not a valid path"),
            ("textfile = \"/x.txt\"", "2:12: `metrics.textfile`: \"/x.txt\" is not a valid"),
            ("listen = \"localhost:9402\"", "2:10: `metrics.listen`: \"localhost:9402\" is not"),
            ("listen = \"127.0.0.1:0\"", "2:10: `metrics.listen`: \"127.0.0.1:0\" is not"),
            ("listen = 9402", "2:10: `metrics.listen`: it must be a text"),
            ("otlp = \"127.0.0.1:4318\"", "2:8: `metrics.otlp`"),
            ("otlp = \"http://u:p@h\"", "2:8: `metrics.otlp`"),
            ("otlp-authorization-env = \"X\"", "1:1: `metrics.otlp` is missing"),
            (
                "otlp = \"http://h\"\notlp-authorization-env = \"X\"\notlp-authorization-file = \"/x\"",
                "2:8: `metrics.otlp`: only one authorization",
            ),
            (
                "otlp = \"http://otlp.example\"\notlp-authorization-env = \"X\"",
                "2:8: `metrics.otlp`: a secret crosses networks by https:// only",
            ),
            ("textfil = \"/x.prom\"", "2:1: unknown key `metrics.textfil`"),
        ];
        for (text, says) in table {
            let error = parse(text).unwrap_err();
            assert!(error.contains(&format!("a.toml:{says}")), "{error}");
        }
    }
}
