//! A program of the operator that edits the DNS, told so in our words or in lego's.

use async_trait::async_trait;

use super::credentials::Credentials;
use super::program::Programs;
use super::{DnsError, Zone};
use crate::hook::Hook;
use crate::hook::command::Command;
use crate::model::txt::Txt;

/// How a program is told what to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Words {
    /// `add NAME VALUE` and `remove NAME VALUE`.
    Ours,
    /// `present NAME. VALUE` and `cleanup NAME. VALUE`, as lego's provider `exec` does without
    /// `EXEC_MODE=RAW`.
    Legos,
}

/// Runs a program once for each record.
pub(super) struct Exec {
    programs: Programs,
    hook: Hook,
    words: Words,
}

impl Words {
    fn add(self, record: &Txt) -> [String; 3] {
        match self {
            Self::Ours => ["add".to_owned(), record.owner.clone(), record.value.clone()],
            Self::Legos => ["present".to_owned(), absolute(record), record.value.clone()],
        }
    }

    fn remove(self, record: &Txt) -> [String; 3] {
        match self {
            Self::Ours => ["remove".to_owned(), record.owner.clone(), record.value.clone()],
            Self::Legos => ["cleanup".to_owned(), absolute(record), record.value.clone()],
        }
    }
}

fn absolute(record: &Txt) -> String {
    format!("{}.", record.owner)
}

impl Exec {
    pub(super) fn new(
        label: &str,
        command: &Command,
        words: Words,
        credentials: Credentials,
    ) -> Result<Self, DnsError> {
        Ok(Self { programs: Programs::new(label, &credentials)?, hook: command.into(), words })
    }

    async fn tell(&self, words: [String; 3], record: &Txt) -> Result<(), DnsError> {
        let env = self.programs.env(&words[0], record);
        self.programs.run(&self.hook.clone().with(words), &env).await?;
        Ok(())
    }
}

#[async_trait]
impl Zone for Exec {
    fn label(&self) -> &str {
        self.programs.label()
    }

    fn needs_zone(&self) -> bool {
        false
    }

    async fn check(&self, _: &str) -> Result<(), DnsError> {
        self.programs.check(&self.hook)
    }

    async fn add(&self, records: &[Txt]) -> Result<(), DnsError> {
        for record in records {
            self.tell(self.words.add(record), record).await?;
        }
        Ok(())
    }

    async fn remove(&self, records: &[Txt]) -> Result<(), DnsError> {
        let mut first = Ok(());
        for record in records {
            first = first.and(self.tell(self.words.remove(record), record).await);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::conformance::{conforms, txt, value};
    use super::super::program::tests::{Desk, credentials, source};
    use super::*;
    use crate::hook::HookError;

    const EDITS: &str = "echo \"$@\" >>log\ncase $1 in add) put \"$2\" \"$3\" ;; remove) drop \"$2\" \"$3\" ;; esac";

    fn exec(desk: &Desk, text: &str) -> Exec {
        let command = desk.program("dns", text);
        Exec::new(
            "exec:dns",
            &command,
            Words::Ours,
            credentials("TOKEN = \"hunter22\"\nTTL = \"60\""),
        )
        .unwrap()
    }

    fn within(exec: Exec, limit: Duration) -> Exec {
        Exec { hook: exec.hook.within(limit), ..exec }
    }

    #[tokio::test]
    async fn keeps_the_contract_of_providers() {
        let mut desk = Desk::new();
        let exec = exec(&desk, EDITS);
        conforms(&exec, &mut desk).await;
    }

    #[tokio::test]
    async fn is_told_name_and_value_and_what_for() {
        let desk = Desk::new();
        let exec = exec(&desk, "for word; do echo \"<$word>\"; done >log; env | sort >>log");
        let owner = "x.alias.example".to_owned();
        let record = Txt { owner, ..txt("example.com", "a", "-n --- $(id) `id` ; *") };
        exec.remove(&[record]).await.unwrap();
        let log = desk.read("log");
        let (words, variables) = log.split_at(log.find("ACMEAGENT_").unwrap());
        assert_eq!(words, "<remove>\n<x.alias.example>\n<-n --- $(id) `id` ; *>\n");
        let told: Vec<&str> = variables
            .lines()
            .filter(|line| !line.starts_with("PWD=") && *line != "_=/usr/bin/env")
            .collect();
        let expected = [
            "ACMEAGENT_ACTION=remove",
            "ACMEAGENT_ASKED=_acme-challenge.a.example.com",
            "ACMEAGENT_IDENTIFIER=a.example.com",
            "ACMEAGENT_ZONE=example.com",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "TOKEN=hunter22",
            "TTL=60",
        ];
        let told: Vec<&str> =
            told.into_iter().filter(|line| !line.starts_with("OLDPWD=")).collect();
        assert_eq!(told, expected);
    }

    #[tokio::test]
    async fn failures_name_the_program_and_mask_the_credentials() {
        let desk = Desk::new();
        let record = [txt("example.com", "", &value(1))];
        let bad = exec(&desk, "echo \"api says: $TOKEN is wrong\"; echo \"$TOKEN\" >&2; exit 1");
        let error = bad.add(&record).await.unwrap_err();
        assert!(matches!(source(&error), HookError::Exited { code: 1, .. }), "{error}");
        assert_eq!(source(&error).output(), Some("api says: *** is wrong\n***\n"));
        assert!(!format!("{error:?} {error}").contains("hunter22"));

        let hangs = within(exec(&desk, "echo \"$TOKEN\"; sleep 1000"), Duration::from_secs(1));
        let error = hangs.add(&record).await.unwrap_err();
        assert!(matches!(source(&error), HookError::TimedOut { .. }), "{error}");
        assert_eq!(source(&error).output(), Some("***\n"));

        let loud = exec(&desk, "head -c 1073741824 /dev/zero; printf '\\n%s' \"$TOKEN\"; exit 1");
        let error = loud.add(&record).await.unwrap_err();
        let output = source(&error).output().unwrap();
        assert!(output.ends_with("\n***"), "{}", &output[output.len() - 20..]);
    }

    #[tokio::test]
    async fn what_can_be_known_before_is_checked_before() {
        let desk = Desk::new();
        let good = exec(&desk, "touch ran");
        good.check("example.com").await.unwrap();
        assert!(!desk.path("ran").exists());

        let _ = desk.0.add("plain", "644", "#!/bin/sh\n");
        let table = [("gone", "does not exist"), ("plain", "may not be executed")];
        for (name, why) in table {
            let command = Command::new(vec![desk.path(name).display().to_string()]).unwrap();
            let exec = Exec::new("exec:x", &command, Words::Ours, Credentials::default()).unwrap();
            let error = exec.check("example.com").await.unwrap_err();
            let told = source(&error).to_string();
            assert!(told.contains(why), "{told}");
            assert!(error.hint().is_some());
        }
    }

    #[tokio::test]
    async fn removal_goes_on_after_a_failure() {
        let desk = Desk::new();
        let exec = exec(&desk, "echo \"$3\" >>log; [ \"$3\" != b ]");
        let records = ["a", "b", "c"].map(|value| txt("example.com", "", value));
        let error = exec.remove(&records).await.unwrap_err();
        assert!(matches!(source(&error), HookError::Exited { .. }));
        assert_eq!(desk.read("log"), "a\nb\nc\n");
        assert!(exec.add(&records).await.is_err());
        assert_eq!(desk.read("log"), "a\nb\nc\na\nb\n");
    }

    fn legos(command: &Command, credentials: Credentials) -> Exec {
        Exec::new("lego-exec:x", command, Words::Legos, credentials).unwrap()
    }

    #[tokio::test]
    async fn keeps_the_contract_in_legos_words() {
        let mut desk = Desk::new();
        // As lego's own documentation has it, with an unknown command as an error.
        let command = desk.program(
            "update-dns.sh",
            "case $1 in present) put \"$2\" \"$3\" ;; cleanup) drop \"$2\" \"$3\" ;; *) exit 2 ;; esac",
        );
        let lego = legos(&command, Credentials::default());
        conforms(&lego, &mut desk).await;
    }

    #[tokio::test]
    async fn names_end_in_a_dot_and_values_are_as_they_are() {
        let desk = Desk::new();
        let command = desk.program("dns", "for word; do echo \"<$word>\"; done >>log; exit $CODE");
        let lego = legos(&command, credentials("CODE = \"0\""));
        let record = txt("example.com", "a", "-Zx_9");
        lego.add(std::slice::from_ref(&record)).await.unwrap();
        lego.remove(std::slice::from_ref(&record)).await.unwrap();
        let name = "<_acme-challenge.a.example.com.>\n<-Zx_9>\n";
        assert_eq!(desk.read("log"), format!("<present>\n{name}<cleanup>\n{name}"));

        let lego = legos(&command, credentials("CODE = \"3\""));
        let error = lego.add(&[record]).await.unwrap_err();
        assert!(source(&error).to_string().ends_with("exit code 3"), "{error}");
    }
}
