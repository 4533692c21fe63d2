//! What the program nginx says of its configuration and of itself.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Settings;
use crate::hook::environment::HookEnv;
use crate::hook::{Hook, HookError, run};

/// How long it may take to answer: it looks up the names of upstream servers.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `nginx -t` said.
#[derive(Debug)]
pub(crate) struct Tested {
    pub(crate) is_good: bool,
    /// The last of all it printed, safe for a terminal.
    pub(crate) output: String,
}

impl Tested {
    /// The file the configuration begins with.
    pub(crate) fn main_file(&self) -> Option<PathBuf> {
        let ends = [" test failed", " test is successful", " syntax is ok"];
        self.output.lines().rev().find_map(|line| {
            let (_, rest) = line.split_once("configuration file ")?;
            ends.iter().find_map(|end| rest.strip_suffix(end)).map(PathBuf::from)
        })
    }

    /// Why it would not start, or not reload.
    pub(crate) fn complaint(&self) -> Option<&str> {
        self.output.lines().find_map(emergency)
    }

    /// The file of a certificate that the complaint is about: `cannot load certificate "/x": …`,
    /// `SSL_CTX_use_PrivateKey("/x") failed …`.
    pub(super) fn blamed(&self) -> Option<&Path> {
        self.complaint()?.split('"').nth(1).filter(|path| path.starts_with('/')).map(Path::new)
    }

    /// What it takes all the same.
    pub(super) fn warnings(&self) -> String {
        self.output.lines().filter(|line| line.contains("[warn]")).collect::<Vec<_>>().join("\n")
    }
}

/// What a line says that keeps nginx from going on: `nginx: [emerg] …` on a terminal, in a log and
/// where the terminal is the log `… [emerg] 12#12: …`.
pub(super) fn emergency(line: &str) -> Option<&str> {
    let (_, what) = line.split_once("[emerg] ")?;
    let process = |(who, _): &(&str, &str)| {
        who.contains('#') && who.bytes().all(|sign| sign == b'#' || sign.is_ascii_digit())
    };
    Some(what.split_once(": ").filter(process).map_or(what, |(_, what)| what))
}

/// Lets nginx test its configuration and the files it names. Serves nothing and signals nobody.
///
/// # Errors
/// Where it could not be asked; a bad configuration is an answer.
pub(crate) async fn test(settings: &Settings) -> Result<Tested, HookError> {
    match ask(settings, "-t").await {
        Ok(output) => Ok(Tested { is_good: true, output }),
        Err(HookError::Exited { output, .. }) => Ok(Tested { is_good: false, output }),
        Err(error) => Err(error),
    }
}

async fn ask(settings: &Settings, question: &str) -> Result<String, HookError> {
    let hook = Hook::new(argv(settings, question)).within(PATIENCE);
    Ok(run(&hook, &HookEnv::new()).await?.output)
}

/// The command that asks this nginx.
pub(super) fn argv(settings: &Settings, question: &str) -> Vec<OsString> {
    let program = settings.program.as_deref().unwrap_or(Path::new("nginx"));
    let mut argv: Vec<OsString> = vec![program.into()];
    for (option, path) in [("-p", &settings.prefix), ("-c", &settings.config)] {
        argv.extend(path.iter().flat_map(|path| [option.into(), path.into()]));
    }
    argv.push(question.into());
    argv
}

/// Where nginx looks for what its configuration does not place.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Compiled {
    prefix: PathBuf,
    pid: PathBuf,
    error_log: PathBuf,
}

impl Compiled {
    pub(super) async fn of(settings: &Settings) -> Result<Self, HookError> {
        let said = Self::parse(&ask(settings, "-V").await?);
        let prefix = settings.prefix.clone().unwrap_or(said.prefix);
        Ok(Self { prefix, ..said })
    }

    /// Reads what `nginx -V` says; what it leaves out is as in nginx's sources.
    fn parse(said: &str) -> Self {
        let arguments = said.lines().find_map(|line| line.strip_prefix("configure arguments: "));
        let words = arguments.and_then(shlex::split).unwrap_or_default();
        let value = |option: &str, default: &str| {
            let given = words.iter().find_map(|word| word.strip_prefix(option)?.strip_prefix('='));
            PathBuf::from(given.unwrap_or(default))
        };
        Self {
            prefix: value("--prefix", "/usr/local/nginx"),
            pid: value("--pid-path", "logs/nginx.pid"),
            error_log: value("--error-log-path", "logs/error.log"),
        }
    }

    /// The file with the master's number; `given` as the configuration writes it.
    pub(super) fn pid(&self, given: Option<&Path>) -> PathBuf {
        self.prefix.join(given.unwrap_or(&self.pid))
    }

    /// Where the master logs, were it a file.
    pub(super) fn error_log(&self, given: Option<&Path>) -> PathBuf {
        self.prefix.join(given.unwrap_or(&self.error_log))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_test_says() {
        let said = |output: &str| Tested { is_good: true, output: output.to_owned() };
        let good = said(
            "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\n\
             nginx: configuration file /etc/nginx/nginx.conf test is successful\n",
        );
        let bad = said(
            "nginx: [warn] x\nnginx: [emerg] cannot load certificate \"/x\": no such file\n\
             nginx: configuration file /a b/n.conf test failed\n",
        );
        assert_eq!(good.main_file(), Some("/etc/nginx/nginx.conf".into()));
        assert_eq!((good.complaint(), good.warnings().as_str()), (None, ""));
        assert_eq!(bad.main_file(), Some("/a b/n.conf".into()));
        assert_eq!(bad.complaint(), Some("cannot load certificate \"/x\": no such file"));
        assert_eq!((good.blamed(), bad.blamed()), (None, Some(Path::new("/x"))));
        assert_eq!(bad.warnings(), "nginx: [warn] x");
        let logged =
            said("2026/11/23 13:32:40 [emerg] 21769#21769: unknown directive \"x\" in y: z\n");
        assert_eq!(logged.complaint(), Some("unknown directive \"x\" in y: z"));
        assert_eq!(said("sh: nginx: not found").main_file(), None);
    }

    #[test]
    fn where_things_are() {
        let debian = "nginx version: nginx/1.22.1\nconfigure arguments: --with-cc-opt='-g -O2' \
                      --prefix=/usr/share/nginx --error-log-path=stderr --pid-path=/run/nginx.pid\n";
        let compiled = Compiled::parse(debian);
        assert_eq!(compiled.pid(None), Path::new("/run/nginx.pid"));
        assert_eq!(compiled.pid(Some(Path::new("x/y"))), Path::new("/usr/share/nginx/x/y"));
        assert_eq!(compiled.error_log(None), Path::new("/usr/share/nginx/stderr"));
        for plain in ["", "configure arguments: ", "configure arguments: 'open"] {
            let compiled = Compiled::parse(plain);
            assert_eq!(compiled.pid(None), Path::new("/usr/local/nginx/logs/nginx.pid"));
            assert_eq!(compiled.error_log(Some(Path::new("/var/log/e"))), Path::new("/var/log/e"));
        }
    }
}
