//! Where a CA may send us.

use url::Url;

use super::ca::Endpoint;
use super::error::AcmeError;
use super::problem::printable;

/// The hosts one CA may name in its answers.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    directory: CaUrl,
    other_hosts: Vec<String>,
    eab_by_email: Option<CaUrl>,
}

/// A URL of the CA: https, an allowed host, no credentials. Nothing else is ever requested.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct CaUrl(Url);

impl CaUrl {
    pub(super) fn as_url(&self) -> &Url {
        &self.0
    }

    /// A copy for an error to carry.
    pub(super) fn boxed(&self) -> Box<Url> {
        Box::new(self.0.clone())
    }

    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Appends one path segment, which is escaped where necessary.
    pub(super) fn child(&self, segment: &str) -> Self {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(segment);
        }
        Self(url)
    }
}

impl Origin {
    const LONGEST: usize = 2048;

    pub(super) fn of(endpoint: &Endpoint) -> Result<Self, AcmeError> {
        let desk = endpoint.eab_by_email.as_deref();
        Ok(Self {
            directory: trusted("directory URL", &endpoint.directory)?,
            other_hosts: endpoint.other_hosts.clone(),
            eab_by_email: desk.map(|url| trusted("eab-by-email URL", url)).transpose()?,
        })
    }

    pub(super) fn directory(&self) -> &CaUrl {
        &self.directory
    }

    /// Where the CA hands out account bindings, if it does; on a host of its own as a rule.
    pub(super) fn eab_by_email(&self) -> Option<&CaUrl> {
        self.eab_by_email.as_ref()
    }

    /// Lets a URL from one of the CA's answers through, or says what is wrong with it.
    pub(super) fn admit(&self, what: &'static str, text: &str) -> Result<CaUrl, AcmeError> {
        let refuse = |why| Err(AcmeError::Unacceptable { what, value: printable(text, 200), why });
        // The URL parser would silently drop tabs and newlines.
        if text.is_empty()
            || text.len() > Self::LONGEST
            || !text.bytes().all(|b| b.is_ascii_graphic())
        {
            return refuse("is empty, too long or holds characters no URL may have");
        }
        // Header fields may hold a reference relative to the CA (RFC 9110 §10.2.2, RFC 8288 §3.1).
        let Ok(url) = self.directory.0.join(text) else { return refuse("is no URL") };
        if url.scheme() != "https" {
            return refuse("is not https");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("holds credentials");
        }
        let host = url.host_str().unwrap_or_default();
        let known = Some(host) == self.directory.0.host_str()
            || self.other_hosts.iter().any(|other| other.eq_ignore_ascii_case(host));
        if !known {
            return refuse(
                "leads to another host than the directory's, which the CA's settings do not allow",
            );
        }
        Ok(CaUrl(url))
    }
}

/// Reads a URL that settings or our own table give.
fn trusted(what: &'static str, text: &str) -> Result<CaUrl, AcmeError> {
    let refuse = |why| AcmeError::Unacceptable { what, value: text.to_owned(), why };
    let url = Url::parse(text).map_err(|_| refuse("is no URL"))?;
    if url.scheme() != "https" {
        return Err(refuse("must begin with https:"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(refuse("names no host"));
    }
    Ok(CaUrl(url))
}

/// Reads a URL that is only shown to people, never followed: http or https, in its escaped form.
pub(super) fn shown_url(text: &str) -> Option<String> {
    let url = (text.len() <= Origin::LONGEST).then(|| Url::parse(text).ok())??;
    matches!(url.scheme(), "http" | "https").then(|| url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin::of(&Endpoint {
            other_hosts: vec!["two.example".to_owned()],
            ..Endpoint::new("x", "https://ca.example:14000/dir")
        })
        .unwrap()
    }

    #[test]
    fn only_the_cas_own_urls_pass() {
        let good = [
            "https://ca.example:14000/order/1",
            "https://CA.example/order/1",
            "https://two.example/x?y=z",
            "/relative",
        ];
        for text in good {
            assert!(origin().admit("order URL", text).is_ok(), "{text}");
        }
        let long = format!("https://ca.example/{}", "a".repeat(3000));
        let bad = [
            "http://ca.example/",
            "file:///etc/passwd",
            "https://evil.example/",
            "https://ca.example.evil.example/",
            "https://169.254.169.254/latest",
            "https://user:pw@ca.example/",
            "//evil.example/x",
            "https://ca.example/\n",
            "https://ca.exam\tple/",
            "https://ca.example/ä",
            "",
            "javascript:alert(1)",
            &long,
        ];
        for text in bad {
            assert!(origin().admit("order URL", text).is_err(), "{text}");
        }
    }

    #[test]
    fn urls_for_people_are_escaped() {
        let table = [
            ("https://ca.example/why?x=1", Some("https://ca.example/why?x=1")),
            ("https://ca.example/\u{1b}[2J", Some("https://ca.example/%1B[2J")),
            ("javascript:alert(1)", None),
            ("no url", None),
        ];
        for (text, shown) in table {
            assert_eq!(shown_url(text).as_deref(), shown, "{text:?}");
        }
    }

    #[test]
    fn the_directory_must_be_https() {
        for directory in ["http://ca.example/dir", "ca.example", "https:", "file:///dir"] {
            let endpoint = Endpoint { directory: directory.to_owned(), ..endpoint() };
            assert!(Origin::of(&endpoint).is_err(), "{directory}");
        }
    }

    fn endpoint() -> Endpoint {
        Endpoint::builtin("letsencrypt").unwrap()
    }
}
