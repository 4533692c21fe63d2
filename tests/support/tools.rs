//! Programs that tests need and that may not be there.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `make tools` puts what it installs for the tests alone.
fn own_tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/tools/bin")
}

pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = [own_tools()].into_iter().chain(env::split_paths(&path));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The programs a test cannot do without.
///
/// Where one is missing the test ends here. It is then named, with the reason, at the end of
/// `make test`; under CI it fails at once, so that nothing ever passes by not being run.
#[macro_export]
macro_rules! need {
    ($($program:expr),+) => {
        $(
            if $crate::support::tools::find($program).is_none() {
                $crate::support::tools::cannot_run(&format!("{} is not installed", $program));
                return;
            }
        )+
    };
}

/// Records that the running test could not be run.
pub fn cannot_run(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(env::var_os("CI").is_none(), "{test} cannot run here: {why}");
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/cannot-run.txt");
    let mut list = OpenOptions::new().create(true).append(true).open(list).unwrap();
    writeln!(list, "{test}: {why}").unwrap();
}

/// What openssl says of a file.
#[track_caller]
pub fn openssl(args: &[&str], file: &Path) -> String {
    let output = Command::new("openssl").args(args).arg(file).output().unwrap();
    assert!(output.status.success(), "openssl {args:?} {}: {output:?}", file.display());
    String::from_utf8(output.stdout).unwrap()
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
