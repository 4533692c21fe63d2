//! The names of all settings, in the order in which new files hold them.

use crate::model::word::nearest;

/// The keys of one table.
#[derive(Debug)]
pub(super) struct Keys {
    /// The header of the table as people write it between brackets; empty for what stands above all
    /// tables.
    pub(super) header: &'static str,
    pub(super) known: &'static [&'static str],
}

const CERT_KEYS: &[&str] = &[
    "identifiers",
    "ca",
    "ca-root",
    "email",
    "profile",
    "required-profile",
    "preferred-chain",
    "on_bad_name",
    "key-type",
    "reuse-key",
    "targets",
    "challenge",
    "hooks",
    "verify",
    "rollout",
    "permissions",
    "eab",
];

/// A certificate's file.
pub(super) const CERT: Keys = Keys { header: "", known: CERT_KEYS };
pub(super) const CHALLENGE: Keys = Keys {
    header: "challenge",
    known: &[
        "types",
        "webroot",
        "http-01-address",
        "http-01-port",
        "tls-alpn-01-port",
        "dns",
        "dns-credentials",
        "dns-propagation-timeout",
        "dns-resolvers",
        "manual-auth-hook",
        "manual-cleanup-hook",
    ],
};
pub(super) const HOOKS: Keys = Keys { header: "hooks", known: &["pre", "deploy", "post"] };
pub(super) const VERIFY: Keys = Keys {
    header: "verify",
    known: &[
        "endpoints",
        "attempts",
        "needed",
        "within",
        "handshake-failures",
        "verification-errors",
        "latency",
        "latency-share",
        "ocsp-failures",
        "sample",
    ],
};
pub(super) const ROLLOUT: Keys =
    Keys { header: "rollout", known: &["freeze-until", "deadline", "wave"] };
pub(super) const WAVE: Keys =
    Keys { header: "[rollout.wave]", known: &["targets", "percent", "soak", "approve"] };
pub(super) const PERMISSIONS: Keys =
    Keys { header: "permissions", known: &["owner", "group", "mode"] };
pub(super) const EAB: Keys = Keys {
    header: "eab",
    known: &[
        "kid",
        "hmac-key-credential",
        "hmac-key-file",
        "hmac-key-command",
        "hmac-key-env",
        "hmac-key",
        "alg",
    ],
};

/// `acmeagent.toml`.
pub(super) const MAIN: Keys = Keys {
    header: "",
    known: &["defaults", "ca", "target", "dns", "metrics", "heartbeat", "alert"],
};
/// What a certificate's file may hold, but for the identifiers.
pub(super) const DEFAULTS: Keys = Keys {
    header: "defaults",
    known: match CERT_KEYS {
        [_identifiers, others @ ..] => others,
        [] => &[],
    },
};
pub(super) const CA: Keys =
    Keys { header: "ca", known: &["name", "directory", "root", "limits", "eab-by-email", "eab"] };
pub(super) const TARGET: Keys = Keys {
    header: "[target]",
    known: &[
        "name",
        "kind",
        "verify",
        "program",
        "config",
        "prefix",
        "pid",
        "socket",
        "certificate",
        "dir",
        "owner",
        "group",
        "mode",
        "format",
        "file",
        "reload",
        "password-file",
        "unit",
        "command",
        "timeout",
    ],
};

pub(super) const DNS: Keys = Keys {
    header: "[dns]",
    known: &[
        "name",
        "kind",
        "zones",
        "credentials-credential",
        "credentials-file",
        "credentials-command",
        "credentials-env",
        "command",
        "script",
        "url",
        "auth",
        "cleanup",
    ],
};

pub(super) const ALERT: Keys = Keys {
    header: "[alert]",
    known: &[
        "name",
        "kind",
        "severity",
        "repeat",
        "url",
        "url-credential",
        "url-file",
        "url-command",
        "url-env",
        "template",
        "secret",
        "secret-credential",
        "secret-file",
        "secret-command",
        "secret-env",
        "token",
        "token-credential",
        "token-file",
        "token-command",
        "token-env",
        "room",
        "topic",
        "from",
        "to",
        "smtp",
        "tls",
        "user",
        "password",
        "password-credential",
        "password-file",
        "password-command",
        "password-env",
        "command",
    ],
};

/// The value of a header, or rather where it is kept.
pub(super) const OTLP_AUTHORIZATION: &str = "otlp-authorization";
pub(super) const METRICS: Keys = Keys {
    header: "metrics",
    known: &[
        "textfile",
        "listen",
        "otlp",
        "otlp-authorization-credential",
        "otlp-authorization-file",
        "otlp-authorization-command",
        "otlp-authorization-env",
    ],
};

/// The URL that is asked after each good run, or where it is kept.
pub(super) const HEARTBEAT_URL: &str = "url";
pub(super) const HEARTBEAT: Keys = Keys {
    header: "heartbeat",
    known: &[HEARTBEAT_URL, "url-credential", "url-file", "url-command", "url-env", "silence"],
};

/// The tables of a certificate's file, but for its waves.
pub(super) const CERT_TABLES: [&Keys; 7] =
    [&CERT, &CHALLENGE, &HOOKS, &VERIFY, &ROLLOUT, &PERMISSIONS, &EAB];

impl Keys {
    /// Says where an unknown key belongs, or which one was probably meant.
    pub(super) fn advice(&self, key: &str) -> String {
        // What stands in [rollout] is meant for one of its waves before it is for anything else.
        let own = Some(&WAVE).filter(|_| self.header == ROLLOUT.header);
        let mut homes = own.into_iter().chain(CERT_TABLES).chain([&WAVE]);
        let home = homes.find(|table| table.known.contains(&key));
        match (home, nearest(key, self.known)) {
            (Some(Self { header: "", .. }), _) if self.header != MAIN.header => {
                format!("`{key}` belongs above the first [table] of a certificate's file")
            }
            (Some(Self { header: "", .. }), _) => format!("`{key}` belongs into [defaults]"),
            (Some(home), _) => format!("`{key}` belongs into [{}]", home.header),
            (None, Some(known)) => format!("did you mean `{known}`?"),
            (None, None) => format!("known here: {}", self.known.join(", ")),
        }
    }
}

/// Says that a word is none of those known, and which of them was probably meant.
pub(super) fn unknown_word(text: &str, known: &[&str]) -> String {
    let text = text.chars().take(40).collect::<String>();
    match nearest(&text, known) {
        Some(word) => format!("{text:?} is unknown; did you mean {word:?}?"),
        None => format!("{text:?} is unknown; known are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_find_their_key() {
        let table = [
            ("identifers", Some("identifiers")),
            ("key_type", Some("key-type")),
            ("Profile", Some("profile")),
            ("emial", Some("email")),
            ("prefered-chain", Some("preferred-chain")),
            ("requiredprofile", Some("required-profile")),
            ("domains", None),
            ("x", None),
            ("", None),
        ];
        for (typed, known) in table {
            assert_eq!(nearest(typed, CERT.known), known, "{typed}");
        }
    }

    #[test]
    fn a_key_in_the_wrong_table_is_sent_home() {
        assert_eq!(CERT.advice("webroot"), "`webroot` belongs into [challenge]");
        assert_eq!(CHALLENGE.advice("deploy"), "`deploy` belongs into [hooks]");
        assert_eq!(CERT.advice("within"), "`within` belongs into [verify]");
        assert_eq!(VERIFY.advice("deadline"), "`deadline` belongs into [rollout]");
        assert_eq!(ROLLOUT.advice("targets"), "`targets` belongs into [[rollout.wave]]");
        assert_eq!(CERT.advice("soak"), "`soak` belongs into [[rollout.wave]]");
        assert!(VERIFY.advice("targets").contains("above the first [table]"));
        assert_eq!(MAIN.advice("targets"), "`targets` belongs into [defaults]");
        assert_eq!(TARGET.advice("sokcet"), "did you mean `socket`?");
        assert!(HOOKS.advice("email").contains("above the first [table]"));
        assert!(MAIN.advice("default").contains("`defaults`"));
        assert!(EAB.advice("zzz").ends_with("hmac-key, alg"));
        assert!(!DEFAULTS.known.contains(&"identifiers"));
    }
}
