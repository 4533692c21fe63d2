//! What this machine runs by itself, as far as cron and systemd tell.

use std::path::Path;

use super::host::Host;
use crate::deploy::files;

/// Every line of cron, and every unit systemd starts by itself.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    cron: Vec<String>,
    units: Vec<String>,
}

impl Jobs {
    pub(super) fn gather(host: &Host) -> Self {
        let mut jobs = Self::default();
        let has_systemd = host.has("/run/systemd/system");
        let mut tables = vec![host.at("/etc/crontab"), host.at("/etc/anacrontab")];
        for folder in ["cron.d", "cron.hourly", "cron.daily", "cron.weekly"] {
            tables.extend(host.list(&format!("/etc/{folder}")));
        }
        tables.extend(host.list("/var/spool/cron"));
        tables.extend(host.list("/var/spool/cron/crontabs"));
        for text in tables.iter().filter_map(|table| files::text(table)) {
            let lines = text.lines().map(str::trim);
            // Debian's tables for programs that have a timer as well say so themselves.
            let stands_back = |line: &str| has_systemd && line.contains("! -d /run/systemd/system");
            let lines = lines.filter(|line| !line.starts_with('#') && !stands_back(line));
            jobs.cron.extend(lines.map(str::to_owned));
        }
        jobs.gather_units(&host.at("/etc/systemd/system"));
        if let Some(home) = &host.home {
            jobs.gather_units(&home.join(".config/systemd/user"));
        }
        jobs
    }

    /// What is enabled has a link in the folder of what wants it.
    fn gather_units(&mut self, dir: &Path) {
        let wants = |dir: &Path| dir.extension().is_some_and(|extension| extension == "wants");
        for folder in files::list(dir).iter().filter(|dir| wants(dir)) {
            let names = files::list(folder);
            let names = names.iter().filter_map(|unit| unit.file_name()?.to_str());
            self.units.extend(names.map(str::to_owned));
        }
    }

    /// What runs a program of that name, for people.
    pub(super) fn running(&self, program: &str) -> Option<String> {
        if let Some(unit) = self.units.iter().find(|unit| unit.contains(program)) {
            return Some(unit.clone());
        }
        self.cron.iter().any(|line| line.contains(program)).then(|| "cron".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "sets the stage for a test")]
    fn running(files: &[(&str, &str)]) -> Option<String> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Jobs::gather(&Host::below(root.path())).running("certbot")
    }

    #[test]
    fn cron_and_timers_are_seen() {
        const DEBIAN: &str = "0 */12 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && certbot -q renew";
        let timer = ("etc/systemd/system/timers.target.wants/snap.certbot.renew.timer", "");
        let systemd = ("run/systemd/system/x", "");
        let cron = Some("cron".to_owned());
        let by_timer = Some("snap.certbot.renew.timer".to_owned());
        assert_eq!(running(&[]), None);
        assert_eq!(running(&[("etc/crontab", "# 1 * * * * root certbot renew")]), None);
        assert_eq!(running(&[("etc/crontab", "1 * * * * root certbot renew")]), cron);
        assert_eq!(running(&[("var/spool/cron/crontabs/root", "1 * * * * certbot renew")]), cron);
        assert_eq!(running(&[("etc/cron.d/certbot", DEBIAN)]), cron);
        assert_eq!(running(&[("etc/cron.d/certbot", DEBIAN), systemd]), None);
        assert_eq!(running(&[("etc/cron.d/certbot", DEBIAN), systemd, timer]), by_timer);
        assert_eq!(running(&[("etc/systemd/system/certbot.timer", "")]), None, "not enabled");
    }
}
