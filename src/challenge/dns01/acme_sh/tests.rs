//! Scripts in the conventions of acme.sh, beside a stand-in for it that behaves as it does when it
//! is sourced.

use super::super::conformance::{conforms, txt, value};
use super::super::program::tests::{Desk, credentials, source};
use super::*;
use crate::hook::HookError;

/// Prints its help without arguments, takes them for a command otherwise, and keeps what scripts
/// save below `LE_CONFIG_HOME`.
const LIBRARY: &str = r#"#!/usr/bin/env sh
_initpath() {
  ACCOUNT_CONF_PATH="$LE_CONFIG_HOME/account.conf"
  DOMAIN_PATH="$LE_CONFIG_HOME/$1"
  DOMAIN_CONF="$DOMAIN_PATH/$1.conf"
}
_info() { printf '%s\n' "$1"; }
_err() { printf '%s\n' "$1" >&2; return 1; }
_debug() { :; }
_saveaccountconf_mutable() { printf "SAVED_%s='%s'\n" "$1" "$2" >>"$ACCOUNT_CONF_PATH"; }
_readaccountconf_mutable() {
  [ ! -f "$ACCOUNT_CONF_PATH" ] || sed -n "s/^SAVED_$1='\(.*\)'$/\1/p" "$ACCOUNT_CONF_PATH"
}
_savedomainconf() { printf "%s='%s'\n" "$1" "$2" >>"$DOMAIN_CONF"; }
main() {
  [ -z "$1" ] && echo "Usage: acme.sh <command> ..." && return
  "$@"
}
main "$@"
"#;

/// As the guide for authors of such scripts has it: the credential is saved and read back.
const SCRIPT: &str = r#"#!/usr/bin/env sh
dns_desk_add() {
  fulldomain=$1
  txtvalue=$2
  Desk_Key="${Desk_Key:-$(_readaccountconf_mutable Desk_Key)}"
  if [ -z "$Desk_Key" ]; then
    _err "You did not set Desk_Key."
    return 1
  fi
  _saveaccountconf_mutable Desk_Key "$Desk_Key"
  _savedomainconf Desk_Id 7
  _info "adding $fulldomain with $Desk_Key"
  _desk_has || printf '%s %s\n' "$fulldomain" "$txtvalue" >>"$Desk_Folder/zone"
}
dns_desk_rm() {
  fulldomain=$1
  txtvalue=$2
  grep -vxF -e "$fulldomain $txtvalue" "$Desk_Folder/zone" >"$Desk_Folder/rest"
  mv "$Desk_Folder/rest" "$Desk_Folder/zone"
}
_desk_has() {
  grep -qxF -e "$fulldomain $txtvalue" "$Desk_Folder/zone" 2>/dev/null
}
"#;

fn install(desk: &Desk, library: bool, name: &str, script: &str) -> PathBuf {
    if library {
        let _ = desk.0.add("acme.sh", "644", LIBRARY);
    }
    let file = format!("{name}.sh");
    let _ = desk.0.add(&file, "644", script);
    desk.path(&file)
}

fn secrets(desk: &Desk, more: &str) -> Credentials {
    credentials(&format!("Desk_Folder = \"{}\"\n{more}", desk.path("").display()))
}

fn acme_sh(script: &Script, credentials: Credentials) -> AcmeSh {
    let made = AcmeSh::new("acme.sh:dns_desk", script, credentials).unwrap();
    // What is installed on this machine is no part of the test.
    let places = made.places.into_iter().filter(|place| place.starts_with("/tmp")).collect();
    AcmeSh { places, ..made }
}

#[tokio::test]
async fn keeps_the_contract_of_providers() {
    let mut desk = Desk::new();
    let path = install(&desk, true, "dns_desk", SCRIPT);
    let zone = acme_sh(&Script::At(path), secrets(&desk, "Desk_Key = \"hunter22\""));
    conforms(&zone, &mut desk).await;
}

#[tokio::test]
async fn what_is_saved_lasts_one_call_and_the_installation_is_not_touched() {
    let desk = Desk::new();
    let look = "{ printf '%s|%s|' \"$1\" \"$2\"; echo \"$HOME\"; stat -c %a \"$HOME\"; umask; env; } >>\"$Desk_Folder/log\"";
    let script = SCRIPT.replace("  _savedomainconf", &format!("  {look}\n  _savedomainconf"));
    let path = install(&desk, true, "dns_desk", &script);
    let zone = acme_sh(&Script::At(path), secrets(&desk, "Desk_Key = \"hunter22\""));
    zone.add(&[txt("example.com", "", "-$(id)`;*")]).await.unwrap();
    let log = desk.read("log");
    let mut lines = log.lines();
    let first = lines.next().unwrap();
    let home = first.strip_prefix("_acme-challenge.example.com|-$(id)`;*|").unwrap();
    assert!(Path::new(home).is_absolute() && !Path::new(home).exists(), "{home}");
    assert_eq!((lines.next(), lines.next()), (Some("700"), Some("0077")));
    let mut names: Vec<&str> = lines.map(|line| line.split('=').next().unwrap()).collect();
    names.retain(|name| !["PWD", "OLDPWD", "_", "SHLVL"].contains(name));
    names.sort_unstable();
    let expected = [
        "ACMEAGENT_ACTION",
        "ACMEAGENT_ASKED",
        "ACMEAGENT_IDENTIFIER",
        "ACMEAGENT_ZONE",
        "Desk_Folder",
        "Desk_Key",
        "HOME",
        "LANG",
        "LE_CONFIG_HOME",
        "LE_WORKING_DIR",
        "NO_TIMESTAMP",
        "PATH",
        "TMPDIR",
    ];
    assert_eq!(names, expected);
    assert!(!desk.path("account.conf").exists());
}

#[tokio::test]
async fn failures_are_those_of_the_script_with_its_credentials_masked() {
    let desk = Desk::new();
    let record = [txt("example.com", "", &value(1))];
    let path = install(&desk, true, "dns_desk", SCRIPT);
    let error = acme_sh(&Script::At(path), secrets(&desk, "")).add(&record).await.unwrap_err();
    let why = source(&error).to_string();
    assert!(why.contains("dns_desk.sh ended with exit code 1"), "{why}");
    assert_eq!(source(&error).output(), Some("You did not set Desk_Key.\n"));

    let leaks = "dns_leak_add() { _err \"bad key $Desk_Key\"; return 1; }";
    let path = install(&desk, true, "dns_leak", leaks);
    let zone = acme_sh(&Script::At(path), secrets(&desk, "Desk_Key = \"hunter22\""));
    let error = zone.add(&record).await.unwrap_err();
    assert_eq!(source(&error).output(), Some("bad key ***\n"));
    let error = zone.remove(&record).await.unwrap_err();
    assert!(matches!(source(&error), HookError::Exited { code: 127, .. }), "{error}");

    let path = install(
        &desk,
        true,
        "dns_bash",
        "#!/usr/bin/env bash\ndns_bash_add() { a=(x); [ \"${a[0]}\" = x ]; }",
    );
    acme_sh(&Script::At(path), secrets(&desk, "")).add(&record).await.unwrap();
}

#[tokio::test]
async fn scripts_are_found_where_acme_sh_is_installed() {
    let desk = Desk::new();
    let _ = install(&desk, true, "dns_desk", SCRIPT);
    let place = format!("Desk_Key = \"k\"\nLE_WORKING_DIR = \"{}\"", desk.path("").display());
    let zone = acme_sh(&Script::Named("dns_desk".to_owned()), secrets(&desk, &place));
    zone.check("example.com").await.unwrap();
    for name in ["dns_other", "desk", "../dns_desk", "dns_", "dns_x y"] {
        let zone = acme_sh(&Script::Named(name.to_owned()), secrets(&desk, &place));
        let error = zone.check("example.com").await.unwrap_err().to_string();
        assert!(error.contains("is in none of"), "{error}");
    }
}

#[tokio::test]
async fn what_cannot_work_is_said_before_anything_is_run() {
    let desk = Desk::new();
    let table = [
        ("dns_alone", "dns_alone_add() { _post x y; }", "needs _post of acme.sh"),
        ("dns_alone", "dns_alone_add() {\n# calls _post\n_err no\n}", "needs _err of acme.sh"),
        ("dns_alone", "dns_other_add() { :; }", "no function dns_alone_add"),
        ("alone", "alone_add() { :; }", "not called dns_NAME.sh"),
    ];
    for (name, script, why) in table {
        let path = install(&desk, false, name, script);
        let error = acme_sh(&Script::At(path), secrets(&desk, "")).check("x").await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    // A script that brings its functions along needs no acme.sh.
    let whole = "_err() { echo \"$1\"; }\nfunction dns_whole_add { _err fine; }";
    let path = install(&desk, false, "dns_whole", whole);
    acme_sh(&Script::At(path), secrets(&desk, "")).check("x").await.unwrap();

    let path = install(&desk, false, "dns_open", "dns_open_add() { :; }");
    let opened = std::process::Command::new("chmod").arg("666").arg(&path).status().unwrap();
    assert!(opened.success());
    let error = acme_sh(&Script::At(path), secrets(&desk, "")).check("x").await.unwrap_err();
    assert!(matches!(source(&error), HookError::Unsafe { .. }), "{error}");
    assert!(error.hint().unwrap().starts_with("chmod go-w "));

    for name in OURS {
        let script = Script::Named("dns_x".to_owned());
        let credentials = credentials(&format!("{name} = \"x\""));
        assert!(AcmeSh::new("x", &script, credentials).is_err(), "{name}");
    }
}
