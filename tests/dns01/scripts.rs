//! Programs of others, as their documentation tells to write them.

use super::world::{NS, World};
use crate::need;
use crate::support::named::{KEY, Named, zone};
use crate::support::script;

/// A zone, the key of its server, and credentials that tell scripts of both.
fn bed() -> Option<(World, Named, String)> {
    let world = World::with(&[("one", &[NS[0]])])?;
    let zones = [("one.example", zone(1, &[("ns1", NS[0])], ""))];
    let bind = world.server(NS[0], &zones, "");
    let text = format!("key \"{}\" {{ algorithm hmac-sha256; secret \"{}\"; }};\n", KEY.0, KEY.1);
    let key = world.file("key", &text);
    let text = format!("NSUPDATE_SERVER = '{}'\nNSUPDATE_KEY = '{}'\n", NS[0], key.display());
    let credentials = world.file("credentials", &text).to_str().unwrap().to_owned();
    Some((world, bind, credentials))
}

const NAMES: &str = "one.example,*.one.example";

#[test]
fn a_script_of_acme_sh() {
    need!("pebble", "named", "nsupdate", "dig", "ip", "unshare", "nsenter", "curl");
    let Some((world, _bind, credentials)) = bed() else { return };
    let path = world.file("dns_nsupdate.sh", SCRIPT);
    let provider = format!("acme.sh:{}", path.display());
    world.run(NAMES, &["--dns", &provider, "--dns-credentials", &credentials]).exits(0);
    world.assert_clean(NS[0], "one.example");
}

const SCRIPT: &str = r#"#!/usr/bin/env sh
# Usage: dns_nsupdate_add _acme-challenge.www.domain.com "XKrxpRBosdIKFzxW_CT3KLZNf6q0HG9i01zxXp5CPBs"
dns_nsupdate_add() {
  fulldomain=$1
  txtvalue=$2
  nsupdate -k "$NSUPDATE_KEY" <<EOF
server $NSUPDATE_SERVER
update add ${fulldomain}. 60 in txt "${txtvalue}"
send
EOF
}

# Usage: dns_nsupdate_rm fulldomain txtvalue
dns_nsupdate_rm() {
  nsupdate -k "$NSUPDATE_KEY" <<EOF
server $NSUPDATE_SERVER
update delete ${1}. txt "${2}"
send
EOF
}
"#;

#[test]
fn manual_hooks_of_certbot() {
    need!("pebble", "named", "nsupdate", "dig", "ip", "unshare", "nsenter", "curl");
    let Some((world, _bind, credentials)) = bed() else { return };
    let hook = |name: &str, update: &str| {
        let path = world.agent.path(name);
        let body = format!(
            "printf 'server %s\\nupdate {update}\\nsend\\n' \"$NSUPDATE_SERVER\" \\\n \
             \"_acme-challenge.$CERTBOT_DOMAIN\" \"$CERTBOT_VALIDATION\" |\n \
             nsupdate -k \"$NSUPDATE_KEY\""
        );
        script(&path, &body);
        path.to_str().unwrap().to_owned()
    };
    let auth = hook("auth", "add %s. 60 TXT \"%s\"");
    let cleanup = hook("cleanup", "delete %s. TXT \"%s\"");
    let args = ["--manual-auth-hook", &auth, "--manual-cleanup-hook", &cleanup];
    let args = [&args[..], &["--dns-credentials", &credentials]].concat();
    world.run(NAMES, &args).exits(0);
    world.assert_clean(NS[0], "one.example");
}
