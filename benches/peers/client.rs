//! What every client can be asked to do.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::pebble::Pebble;

/// A client with an empty installation of its own.
pub trait Client {
    fn name(&self) -> String;

    /// Prints its version: the least it can do.
    fn version(&self) -> Command;

    /// Gets a certificate for one name, with an account if there is one already.
    fn issue(&self, domain: &str) -> Command;

    /// Gets a certificate for each name, in whichever way is quickest.
    fn issue_all(&self, domains: &[String]) -> Vec<Command>;

    /// Holds `count` copies of the certificate for `domain` under names of their own, none of them
    /// due; what is run regularly then. `None` where we do not know how to make it believe so.
    fn pass_over(&self, domain: &str, count: usize) -> Option<Command>;

    /// What is installed.
    fn installed(&self) -> PathBuf;
}

/// Where a client finds its CA, and where the CA finds the client.
#[derive(Clone)]
pub struct Site {
    pub directory: String,
    pub tls_root: PathBuf,
    pub http_port: u16,
}

impl Site {
    pub fn of(pebble: &Pebble) -> Self {
        let (directory, tls_root) = (pebble.directory.clone(), pebble.tls_root.clone());
        Self { directory, tls_root, http_port: pebble.http_port }
    }
}

/// The names of copies.
pub fn copies(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("copy{number:05}.example"))
}

/// Copies a file to another place, with every occurrence of `before` in it replaced.
pub fn copy_with(from: &Path, to: &Path, before: &str, after: &str) {
    fs::write(to, fs::read_to_string(from).unwrap().replace(before, after)).unwrap();
}

/// Copies a folder: files as files, symbolic links with `before` in their targets replaced.
pub fn copy_folder(from: &Path, to: &Path, before: &str, after: &str) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            symlink(target.to_str().unwrap().replace(before, after), copy).unwrap();
        } else if path.is_dir() {
            copy_folder(&path, &copy, before, after);
        } else {
            fs::copy(path, copy).unwrap();
        }
    }
}
