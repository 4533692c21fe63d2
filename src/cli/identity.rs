//! As whom a verb works: root becomes the user to whom the store belongs.
//!
//! What root wrote there the service that runs as that user could not read. So it is that user's
//! rights that count from the beginning, whoever calls.

use std::ffi::CString;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setgroups, setresgid, setresuid};
use rustix::fs::{Access, access};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use super::args::{Account, Check, Issue, Verb};
use super::context::Context;
use super::exit::Exit;
use super::report::{Failure, printable};
use crate::store::Owner;

/// Becomes the user to whom the store belongs, if root calls and the verb works on the store.
///
/// Where others could have put the store there nothing changes: the store itself says so when it is
/// opened. For the beginning of the process, while it has one thread and no file is open.
pub(super) fn settle(context: &Context, verb: &Verb) -> Result<(), Failure> {
    if !geteuid().is_root() || !works_on_store(verb) {
        return Ok(());
    }
    let Ok(Some(owner)) = context.store().owner() else { return Ok(()) };
    if owner.user == 0 {
        return Ok(());
    }
    let user = User::from_uid(Uid::from_raw(owner.user)).ok().flatten();
    let name = user.as_ref().map_or_else(|| owner.user.to_string(), |user| user.name.clone());
    let name = printable(&name);
    let store = printable(&context.layout.store_root().display().to_string());
    become_user(owner, user.as_ref()).map_err(|errno| {
        let text = format!("cannot become user {name}, to whom {store} belongs: {}", errno.desc());
        Failure::new(Exit::Refused, text).hint(format!("run this as user {name}"))
    })?;
    super::harden();
    if context.talk.verbose {
        context.talk.remark(&format!("working as user {name}, to whom {store} belongs"));
    }
    files(verb).into_iter().try_for_each(|file| ensure_readable(file, &name))
}

/// Whether what a verb does concerns the store and what it writes there.
fn works_on_store(verb: &Verb) -> bool {
    match verb {
        Verb::Check(Check { connect, file, .. }) => connect.is_none() && file.is_none(),
        Verb::Drill(_) | Verb::Generate(_) => false,
        _ => true,
    }
}

/// Takes over user, groups and nothing else: of root's capabilities only that for ports below 1024
/// is kept, for challenges that are answered here. Programs that are run do not get it.
fn become_user(owner: Owner, user: Option<&User>) -> nix::Result<()> {
    let uid = Uid::from_raw(owner.user);
    let gid = user.map_or(Gid::from_raw(owner.group), |user| user.gid);
    let port = capabilities(None).map_err(plain)?.permitted & CapabilitySet::NET_BIND_SERVICE;
    prctl::set_keepcaps(true)?;
    match user.and_then(|user| CString::new(user.name.as_str()).ok()) {
        Some(name) => initgroups(&name, gid)?,
        None => setgroups(&[gid])?,
    }
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    let inheritable = CapabilitySet::empty();
    let kept = CapabilitySets { effective: port, permitted: port, inheritable };
    set_capabilities(None, kept).map_err(plain)?;
    prctl::set_keepcaps(false)
}

fn plain(errno: rustix::io::Errno) -> Errno {
    Errno::from_raw(errno.raw_os_error())
}

/// The files that the command line says to read.
fn files(verb: &Verb) -> Vec<&Path> {
    let flags = match verb {
        Verb::Issue(issue) => {
            let Issue { ca, challenge, .. } = &**issue;
            [&ca.ca_root, &ca.eab_hmac_key_file, &challenge.dns_credentials].to_vec()
        }
        Verb::Account(Account { ca, .. }) => [&ca.ca_root, &ca.eab_hmac_key_file].to_vec(),
        Verb::Check(Check { ca_root, .. }) => [ca_root].to_vec(),
        _ => Vec::new(),
    };
    flags.into_iter().flatten().map(AsRef::as_ref).collect()
}

/// Says who cannot read a file that root can; that it is missing is said by whoever wants it.
fn ensure_readable(file: &Path, user: &str) -> Result<(), Failure> {
    match access(file, Access::READ_OK) {
        Err(rustix::io::Errno::ACCESS) => {
            let text =
                format!("user {user}, to whom the store belongs, cannot read {}", file.display());
            let hint = format!("put it where user {user} can read it, and give it to that user");
            Err(Failure::config(text).hint(hint))
        }
        _ => Ok(()),
    }
}
