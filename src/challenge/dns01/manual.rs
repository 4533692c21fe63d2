//! Programs written for certbot's manual hooks.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::credentials::Credentials;
use super::program::{Programs, domain};
use super::{DnsError, Zone};
use crate::hook::Hook;
use crate::hook::command::Command;
use crate::hook::environment::HookEnv;
use crate::model::txt::Txt;

/// Runs `--manual-auth-hook` and `--manual-cleanup-hook`, once for each record, without arguments.
///
/// These hooks are told the domain and write `_acme-challenge` below it: where aliases lead, and
/// which zone it is, is their own business.
pub(super) struct Manual {
    programs: Programs,
    auth: Hook,
    cleanup: Option<Hook>,
    told: Mutex<HashMap<Txt, Told>>,
}

/// What an auth hook was told and had to tell: its cleanup hook is told all of it.
#[derive(Clone)]
struct Told {
    domains: String,
    remaining: usize,
    output: OsString,
}

impl Manual {
    pub(super) fn new(
        label: &str,
        auth: &Command,
        cleanup: Option<&Command>,
        credentials: Credentials,
    ) -> Result<Self, DnsError> {
        let programs = Programs::new(label, &credentials)?;
        let cleanup = cleanup.map(Into::into);
        Ok(Self { programs, auth: auth.into(), cleanup, told: Mutex::default() })
    }

    /// What certbot sets for both hooks; no `CERTBOT_TOKEN`, which is for http-01 alone.
    fn env(&self, action: &str, record: &Txt, told: &Told) -> Result<HookEnv, DnsError> {
        let domain = domain(record).ok_or_else(|| DnsError::Unwritable {
            name: record.asked.clone(),
            why: "certbot's hooks are for dns-01 alone".to_owned(),
        })?;
        let env = self.programs.env(action, record);
        Ok(env
            .variable("CERTBOT_DOMAIN", domain)
            .variable("CERTBOT_IDENTIFIER", domain)
            .variable("CERTBOT_VALIDATION", &record.value)
            .variable("CERTBOT_ALL_DOMAINS", &told.domains)
            .variable("CERTBOT_ALL_IDENTIFIERS", &told.domains)
            .variable("CERTBOT_REMAINING_CHALLENGES", told.remaining.to_string()))
    }

    async fn authorize(&self, record: &Txt, mut told: Told) -> Result<(), DnsError> {
        let env = self.env("add", record, &told)?;
        let answer = self.programs.consult(&self.auth, &env).await?;
        told.output = trimmed(&answer);
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(record.clone(), told);
        Ok(())
    }

    async fn clean_up(&self, hook: &Hook, record: &Txt, told: Told) -> Result<(), DnsError> {
        let known = self.told.lock().unwrap_or_else(PoisonError::into_inner).get(record).cloned();
        let told = known.unwrap_or(told);
        let env = self.env("remove", record, &told)?;
        let env = env.variable("CERTBOT_AUTH_OUTPUT", &told.output);
        self.programs.run(hook, &env).await?;
        self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(record);
        Ok(())
    }
}

/// Each record with what is to be told about it.
fn tell(records: &[Txt]) -> impl Iterator<Item = (&Txt, Told)> {
    let domains: Vec<&str> = records.iter().filter_map(domain).collect();
    let domains = domains.join(",");
    let remaining = (0..records.len()).rev();
    records.iter().zip(remaining).map(move |(record, remaining)| {
        (record, Told { domains: domains.clone(), remaining, output: OsString::new() })
    })
}

/// What a variable can hold of it, without blanks at either end.
fn trimmed(output: &[u8]) -> OsString {
    let mut output = output.trim_ascii().to_vec();
    output.retain(|byte| *byte != 0);
    OsString::from_vec(output)
}

#[async_trait]
impl Zone for Manual {
    fn label(&self) -> &str {
        self.programs.label()
    }

    fn needs_zone(&self) -> bool {
        false
    }

    async fn check(&self, _: &str) -> Result<(), DnsError> {
        self.programs.check(&self.auth)?;
        self.cleanup.as_ref().map_or(Ok(()), |cleanup| self.programs.check(cleanup))
    }

    async fn add(&self, records: &[Txt]) -> Result<(), DnsError> {
        for (record, told) in tell(records) {
            self.authorize(record, told).await?;
        }
        Ok(())
    }

    async fn remove(&self, records: &[Txt]) -> Result<(), DnsError> {
        let Some(hook) = &self.cleanup else { return Ok(()) };
        let mut first = Ok(());
        for (record, told) in tell(records) {
            first = first.and(self.clean_up(hook, record, told).await);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{conforms, txt, value};
    use super::super::program::tests::{Desk, credentials, source};
    use super::*;
    use crate::hook::HookError;

    fn manual(desk: &Desk, auth: &str, cleanup: Option<&str>) -> Manual {
        let auth = desk.program("auth", auth);
        let cleanup = cleanup.map(|text| desk.program("cleanup", text));
        let credentials = credentials("TOKEN = \"hunter22\"");
        Manual::new("manual", &auth, cleanup.as_ref(), credentials).unwrap()
    }

    #[tokio::test]
    async fn keeps_the_contract_of_providers() {
        let mut desk = Desk::new();
        let auth = "put \"_acme-challenge.$CERTBOT_DOMAIN\" \"$CERTBOT_VALIDATION\"; echo id";
        let cleanup = "drop \"_acme-challenge.$CERTBOT_IDENTIFIER\" \"$CERTBOT_VALIDATION\"";
        let manual = manual(&desk, auth, Some(cleanup));
        conforms(&manual, &mut desk).await;
    }

    #[tokio::test]
    async fn hooks_are_told_what_certbot_tells_them() {
        let desk = Desk::new();
        let show = "env | grep ^CERTBOT_ | sort >>log; echo >>log";
        let manual = manual(&desk, &format!("echo ' id 7 '; echo talk >&2; {show}"), Some(show));
        let base = txt("example.com", "", "-first");
        let records = [base.clone(), Txt { value: "second".to_owned(), ..base }];
        manual.add(&records).await.unwrap();
        manual.remove(&records[1..]).await.unwrap();
        let block = |output: &str, remaining: usize, value: &str| {
            format!(
                "CERTBOT_ALL_DOMAINS=example.com,example.com\n\
                 CERTBOT_ALL_IDENTIFIERS=example.com,example.com\n{output}\
                 CERTBOT_DOMAIN=example.com\nCERTBOT_IDENTIFIER=example.com\n\
                 CERTBOT_REMAINING_CHALLENGES={remaining}\nCERTBOT_VALIDATION={value}\n\n"
            )
        };
        let kept = "CERTBOT_AUTH_OUTPUT=id 7\n";
        let blocks = [block("", 1, "-first"), block("", 0, "second"), block(kept, 0, "second")];
        assert_eq!(desk.read("log"), blocks.concat());
    }

    #[tokio::test]
    async fn after_a_crash_there_is_no_output_and_without_a_cleanup_hook_nothing_to_run() {
        let desk = Desk::new();
        let record = [txt("example.com", "a", &value(1))];
        let hooks = manual(&desk, "exit 1", Some("echo \"<$CERTBOT_AUTH_OUTPUT>\" >>log"));
        hooks.remove(&record).await.unwrap();
        assert_eq!(desk.read("log"), "<>\n");
        manual(&desk, "exit 1", None).remove(&record).await.unwrap();
    }

    #[tokio::test]
    async fn failures_mask_the_credentials_and_leave_the_rest_alone() {
        let desk = Desk::new();
        let record = txt("example.com", "", &value(1));
        let auth = manual(&desk, "echo \"no: $TOKEN\" >&2; exit 4", None);
        let error = auth.add(std::slice::from_ref(&record)).await.unwrap_err();
        assert!(matches!(source(&error), HookError::Exited { code: 4, .. }), "{error}");
        assert_eq!(source(&error).output(), Some("no: ***\n"));

        let loud = manual(&desk, "head -c 1073741824 /dev/zero", None);
        let error = loud.add(std::slice::from_ref(&record)).await.unwrap_err();
        assert!(matches!(source(&error), HookError::TooMuch { .. }), "{error}");

        let asked = format!("_rhuccyogo34zlvsj.{}", record.asked);
        let error = loud.add(&[Txt { asked, ..record }]).await.unwrap_err();
        assert!(matches!(error, DnsError::Unwritable { .. }), "{error}");
    }
}
