//! What a provider must be told to let us in.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

/// Texts by name, as a credentials file holds them: TOML with nothing but `key = "text"` lines,
/// which a file of shell assignments in double quotes is, too. Zeroed when dropped, never printed.
#[derive(Clone, Default, Eq, PartialEq)]
pub(crate) struct Credentials(BTreeMap<String, Zeroizing<String>>);

impl Credentials {
    /// Reads a file's text; the error names the line, and nothing of what stands there.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let table: BTreeMap<String, String> = toml::from_str(text).map_err(|error| {
            // Its own words may hold what it could not read.
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            format!("line {line}: a line must be of the form NAME = \"text\", each name once")
        })?;
        Ok(Self(table.into_iter().map(|(key, text)| (key, Zeroizing::new(text))).collect()))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|text| text.as_str())
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_are_read() {
        let text = "# at the provider\nCF_Token=\"hunter2\"\nkey = \"\"\"\na\nb\"\"\"\n";
        let credentials = Credentials::parse(text).unwrap();
        assert_eq!(credentials.keys().collect::<Vec<_>>(), ["CF_Token", "key"]);
        assert_eq!((credentials.get("key"), credentials.get("x")), (Some("a\nb"), None));
        assert_eq!(format!("{credentials:?}"), "{\"CF_Token\", \"key\"}");
        assert_eq!(Credentials::parse("").unwrap(), Credentials::default());
    }

    #[test]
    fn errors_tell_the_line_and_nothing_of_it() {
        let table = [
            ("a = \"x\"\ntoken = hunter2", 2),
            ("a = \"x\"\n\ntoken = 42424242", 3),
            ("a = \"x\"\n[hunter2]\nb = 42424242", 2),
            ("a = \"hunter2", 1),
            ("hunter2", 1),
            ("a = \"x\"\na = \"hunter2\"", 2),
            ("a = \"x\"\nb = [\"hunter2\"]", 2),
            ("a = \"x\"\nexport b=\"hunter2\"", 2),
        ];
        for (text, line) in table {
            let error = Credentials::parse(text).unwrap_err();
            assert!(error.starts_with(&format!("line {line}: ")), "{text}: {error}");
            assert!(!error.contains("hunter2") && !error.contains("42424242"), "{error}");
        }
    }
}
