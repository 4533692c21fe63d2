//! In which order targets are told, and told again.

use std::fs;

use super::{NAME, Site, tells_all};
use crate::support::script;

/// Three hooks, which note their names; the last wave is listed first.
struct Ordered(Site);

impl Ordered {
    fn new() -> Self {
        let ordered = Self(Site::new());
        let tables = ["a", "b", "c"].map(|name| {
            ordered.does(name, "");
            let hook = ordered.0.agent.path(name);
            format!("[[target]]\nname = {name:?}\nkind = \"hook\"\ncommand = [{hook:?}]\n")
        });
        ordered.0.targets(&tables.concat());
        let targets = ["--target", "a", "--target", "b", "--target", "c"];
        let _ = ordered.0.issue(&targets).exits(0);
        ordered.0.edit(|settings| {
            settings + "\n[[rollout.wave]]\ntargets = [\"c\"]\nsoak = \"0s\"\n[[rollout.wave]]\nsoak = \"0s\"\n"
        });
        ordered.told();
        ordered
    }

    fn does(&self, name: &str, evil: &str) {
        let log = self.0.agent.path("told");
        script(&self.0.agent.path(name), &format!("printf {name} >>{log:?}\n{evil}"));
    }

    /// Who was told since it was last asked.
    fn told(&self) -> String {
        let log = self.0.agent.path("told");
        let told = fs::read_to_string(&log).unwrap_or_default();
        let _ = fs::remove_file(log);
        told
    }
}

#[test]
fn waves_go_in_their_order_and_back_in_reverse() {
    let ordered = Ordered::new();
    let _ = ordered.0.agent.run(&["renew", "--force"]).exits(0);
    assert_eq!(ordered.told(), "cab");
    ordered.does("b", "[ \"$ACMEAGENT_GENERATION\" != 3 ]");
    let ran = ordered.0.agent.run(&["renew", "--force"]).exits(6);
    let _ = tells_all(ran, 2).says(&["/b ended with exit code 1"]);
    assert_eq!(ordered.told(), "cabbac");
    ordered.does("b", "");
    let _ = ordered.0.agent.run(&["renew", NAME]).exits(0);
    assert_eq!((ordered.told().as_str(), ordered.0.agent.issued()), ("cab", 3));
}
