//! A Debian of its own that has been booted: real systemd, in a network of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

use super::agent::Ran;
use super::mount::Mount;
use super::network::Network;
use super::{Running, tools, wait_for};

/// What is installed in it besides the least that Debian is.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,polkitd,libpam-systemd,sudo,nginx-light,haproxy,\
                        postfix,openssl,procps,ca-certificates,rpm";
const RELEASE: &str = "bookworm";

/// A machine with a disk of its own, ended with the test.
pub struct Machine {
    process: Running,
    /// The first process of the machine.
    leader: u32,
    root: PathBuf,
    _disk: (Mount, Mount),
    _folder: TempDir,
}

impl Machine {
    /// Boots a fresh one in that network; `None` where this machine does not allow it, which is then
    /// noted.
    pub fn boot(network: &Network) -> Option<Self> {
        let base = base()?;
        let folder = tempfile::tempdir().unwrap();
        // An overlay cannot lie upon another, as a temporary directory in a container would.
        let layers = Mount::new(&["-t", "tmpfs", "-o", "mode=755", "tmpfs"], folder.path())?;
        let [upper, work, root] = ["upper", "work", "root"].map(|name| folder.path().join(name));
        for path in [&upper, &work, &root] {
            fs::create_dir(path).unwrap();
        }
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            base.display(),
            upper.display(),
            work.display()
        );
        let disk = Mount::new(&["-t", "overlay", "-o", &options, "overlay"], &root)?;
        fs::write(root.join("etc/resolv.conf"), network.resolv_conf()).unwrap();
        let name = format!("acmeagent-{}", folder.path().file_name()?.to_str()?.trim_matches('.'));
        let mut nspawn = Command::new("systemd-nspawn");
        nspawn.args(["--boot", "--register=no", "--keep-unit", "--quiet"]);
        nspawn.args(["--resolv-conf=off", "--directory"]).arg(&root);
        nspawn.arg(format!("--machine={}", name.to_ascii_lowercase()));
        let mut nspawn = network.command_outside(&nspawn);
        nspawn.stdout(Stdio::null()).stderr(Stdio::null());
        let process = Running(nspawn.spawn().unwrap());
        let mut machine = Self { process, leader: 0, root, _disk: (disk, layers), _folder: folder };
        wait_for("the machine to be up", || {
            assert!(!machine.process.has_ended(), "the machine ended");
            // The first child there is only makes the one that stays.
            machine.leader = child_of(machine.process.0.id()).unwrap_or_default();
            if machine.leader == 0 {
                return false;
            }
            let state = machine.run(&["systemctl", "is-system-running"]).stdout;
            ["running", "degraded"].contains(&state.trim())
        });
        Some(machine)
    }

    /// Runs a program in it, as root.
    #[must_use]
    pub fn run(&self, argv: &[&str]) -> Ran {
        Ran::of(self.output(argv))
    }

    /// Runs a shell's words in it, which must succeed; what they print.
    #[track_caller]
    pub fn sh(&self, words: &str) -> String {
        self.run(&["sh", "-euc", words]).exits(0).stdout
    }

    fn output(&self, argv: &[&str]) -> Output {
        let mut inside = Command::new("nsenter");
        inside.arg("--target").arg(self.leader.to_string());
        inside.args([
            "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd", "--cgroup", "--",
        ]);
        inside.args(argv).env_clear().stdin(Stdio::null());
        inside.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        inside.output().unwrap()
    }

    /// The place of a path of the machine as seen from outside.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.root.join(inside.trim_start_matches('/'))
    }

    /// What a unit wrote to the journal, one JSON object a line.
    pub fn journal(&self, unit: &str) -> String {
        self.run(&["journalctl", "--no-pager", "--output=json", "--unit", unit]).exits(0).stdout
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The disk can only be taken away once nothing runs on it. The first process ends the rest.
        if let Some(leader) = child_of(self.process.0.id()) {
            let leader = nix::unistd::Pid::from_raw(leader.cast_signed());
            let _ = nix::sys::signal::kill(leader, nix::sys::signal::Signal::SIGKILL);
        }
        let _ = self.process.0.wait();
    }
}

/// The first process of a container is the only child of the program that keeps it.
fn child_of(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// The folder all machines are layered upon; made once.
fn base() -> Option<PathBuf> {
    static MAKING: Mutex<()> = Mutex::new(());
    let _turn = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let needed = ["systemd-nspawn", "debootstrap", "nsenter"];
    if let Some(missing) = needed.iter().find(|program| tools::find(program).is_none()) {
        tools::cannot_run(&format!("{missing} is not installed"));
        return None;
    }
    if !tools::is_root() {
        tools::cannot_run("booting a machine needs root");
        return None;
    }
    let packages: String = PACKAGES.chars().map(|c| if c == ',' { '-' } else { c }).collect();
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/machines");
    let base = cache.join(format!("{RELEASE}-{packages}"));
    if base.exists() {
        return Some(base);
    }
    fs::create_dir_all(&cache).unwrap();
    let making = tempfile::tempdir_in(&cache).unwrap();
    let root = making.path().join("root");
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", &format!("--include={PACKAGES}"), RELEASE]);
    let made = debootstrap.arg(&root).stdin(Stdio::null()).output().unwrap();
    if !made.status.success() {
        let said = String::from_utf8_lossy(&made.stdout);
        let last = said.lines().last().unwrap_or("nothing").to_owned();
        tools::cannot_run(&format!("debootstrap failed: {last}"));
        return None;
    }
    // Each boot makes itself an identity, and a test says which servers run.
    fs::write(root.join("etc/machine-id"), "").unwrap();
    for server in ["haproxy", "nginx", "postfix"] {
        let wanted = format!("etc/systemd/system/multi-user.target.wants/{server}.service");
        fs::remove_file(root.join(wanted)).unwrap();
    }
    fs::rename(&root, &base).unwrap();
    Some(base)
}
