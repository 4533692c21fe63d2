//! nginx that a hook tells to reload, and what clients see of it.

use std::fs;
use std::path::Path;

use super::{NAME, Site};
use crate::support::agent::Ran;
use crate::support::nginx::TlsNginx;
use crate::support::{free_ports, script};

/// A certificate that a hook puts to use, and that is looked at where nginx serves it.
pub(super) struct Hooked {
    pub(super) site: Site,
    pub(super) nginx: TlsNginx,
    pub(super) address: String,
}

impl Hooked {
    /// Generation 1 is served; `timeout` is that of the hook.
    pub(super) fn new(timeout: &str) -> Self {
        Self::certifying(&[], timeout)
    }

    /// The same, with these names besides.
    pub(super) fn certifying(more: &[&str], timeout: &str) -> Self {
        let (site, [port]) = (Site::new(), free_ports());
        let address = format!("127.0.0.1:{port}");
        let nginx = TlsNginx::configured(&block(&site, &address));
        let mut hooked = Self { site, nginx, address };
        let _ = hooked.site.issue(more).exits(0);
        hooked.nginx.start(None);
        let hook = hooked.site.agent.path("hook");
        hooked.site.targets(&format!(
            "[[target]]\nname = \"told\"\nkind = \"hook\"\ncommand = [{hook:?}]\ntimeout = {timeout:?}\n"
        ));
        hooked.does("");
        let put_to_use = ["--target", "told", "--verify", &hooked.address];
        let _ = hooked.site.issue(&[more, &put_to_use].concat()).exits(0);
        hooked.serves(1);
        let _ = fs::remove_file(hooked.ran_file());
        hooked
    }

    /// Lets the hook do this for the second generation, before the reload that it always does.
    pub(super) fn does(&self, evil: &str) {
        let master = self.nginx.master();
        self.is(&format!(
            "if [ \"$ACMEAGENT_GENERATION\" = 2 ]; then :; {evil}\nfi\nkill -HUP {master}"
        ));
    }

    /// Lets the hook be this, besides noting for which generation it runs.
    pub(super) fn is(&self, body: &str) {
        let noted = format!("echo \"$ACMEAGENT_GENERATION\" >>{:?}\n{body}", self.ran_file());
        script(Path::new(&self.site.agent.path("hook")), &noted);
    }

    fn ran_file(&self) -> std::path::PathBuf {
        self.site.agent.path("ran")
    }

    /// For which generations the hook was run, in order.
    pub(super) fn ran(&self) -> String {
        fs::read_to_string(self.ran_file()).unwrap_or_default().replace('\n', "")
    }

    pub(super) fn renew(&self) -> Ran {
        self.site.agent.run(&["renew", "--force"])
    }

    #[track_caller]
    pub(super) fn serves(&self, generation: usize) {
        // A hook is not waited for until the workers it asked for are there.
        crate::support::wait_for("nginx to reload", || {
            self.site.served(&self.address).is_some_and(|one| one.generation == Some(generation))
        });
        self.site.serves(generation, &[&self.address]);
    }

    /// Asserts that what was kept is put to use once the hook is good, without another order.
    #[track_caller]
    pub(super) fn goes_on_once_mended(&self) {
        self.does("");
        let _ = self.site.agent.run(&["renew", NAME]).exits(0);
        self.serves(2);
        assert_eq!((self.site.live(), self.site.agent.issued()), (2, 2));
    }
}

/// A server for the certificate at that address.
pub(super) fn block(site: &Site, address: &str) -> String {
    let certificate = site.certificate();
    format!("    server {{ listen {address} ssl; server_name {NAME}; {certificate} }}\n")
}
