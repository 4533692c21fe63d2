//! From the name of a CA to a CA that can be asked; each is made once per process.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use tokio::sync::{Mutex, OnceCell};

use super::trouble::Trouble;
use super::{Agent, secrets};
use crate::acme::{Eab, EndedCa, Endpoint};
use crate::certificate::Roots;
use crate::config::cert::CertSettings;
use crate::config::choice::{CaChoice, CaName};
use crate::config::main_settings::MainSettings;
use crate::model::challenge::ValidationPorts;
use crate::model::time::Clock;
use crate::pipeline::{Application, Authority};
use crate::schedule::limits::Limits;
use crate::store::layout::Label;

/// The name the embedded CA goes by in settings, store and reports.
pub(crate) const EMBEDDED: &str = "embedded";

/// A CA inside this process; it ends when this is dropped.
pub(crate) struct EmbeddedCa {
    pub(crate) endpoint: Endpoint,
    pub(crate) issuing_roots: Roots,
    pub(crate) ports: Arc<ValidationPorts>,
    pub(crate) _alive: Box<dyn Any + Send + Sync>,
}

type Launched = Result<EmbeddedCa, Box<dyn std::error::Error + Send + Sync>>;

/// Starts the embedded CA; it lives on a higher floor.
pub(crate) type Launch =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Launched> + Send>> + Send + Sync>;

/// The CAs in use.
pub(crate) struct Authorities {
    main: MainSettings,
    clock: Arc<dyn Clock>,
    launch: Launch,
    embedded: OnceCell<EmbeddedCa>,
    known: Mutex<BTreeMap<Reached, Arc<Authority>>>,
}

/// A CA by name, and the root its HTTPS is trusted by: certificates may differ in that.
type Reached = (String, Option<PathBuf>);

impl Authorities {
    /// The machine's settings.
    pub(crate) fn main(&self) -> &MainSettings {
        &self.main
    }

    pub(crate) fn new(main: MainSettings, clock: Arc<dyn Clock>, launch: Launch) -> Self {
        Self { main, clock, launch, embedded: OnceCell::new(), known: Mutex::default() }
    }

    /// The CA that `settings` want first of all.
    pub(crate) async fn wanted(&self, settings: &CertSettings) -> Result<Arc<Authority>, Trouble> {
        self.of(settings, &settings.cas[0]).await
    }

    /// One of the CAs that `settings` want.
    pub(crate) async fn of(
        &self,
        settings: &CertSettings,
        choice: &CaChoice,
    ) -> Result<Arc<Authority>, Trouble> {
        self.find(choice, settings.ca_root.as_ref().map(|path| path.as_path())).await
    }

    /// The name and the limits of a CA, without reaching for it.
    pub(crate) fn limits(&self, choice: &CaChoice) -> Result<(String, Limits), Trouble> {
        let name = ca_name(choice);
        let limits = match choice {
            CaChoice::Embedded => Limits::UNKNOWN,
            _ => self.endpoint(choice, &name)?.limits,
        };
        Ok((name, limits))
    }

    /// The CA that issued what is held, by the name it has in the store: only it can advise on it
    /// or revoke it. `None` where nothing tells any more how it is reached.
    pub(crate) async fn issuer(
        &self,
        settings: &CertSettings,
        name: &str,
    ) -> Result<Option<Arc<Authority>>, Trouble> {
        if let Some(choice) = settings.cas.iter().find(|choice| ca_name(choice) == name) {
            return self.of(settings, choice).await.map(Some);
        }
        match CaChoice::parse(name) {
            Ok(choice @ CaChoice::Embedded) => self.find(&choice, None).await.map(Some),
            Ok(CaChoice::Named(named))
                if self.main.ca(&named).is_some() || Endpoint::builtin(name).is_some() =>
            {
                self.find(&CaChoice::Named(named), None).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The CA of that choice; `root` is trusted for its HTTPS instead of the system's roots.
    pub(crate) async fn find(
        &self,
        choice: &CaChoice,
        root: Option<&Path>,
    ) -> Result<Arc<Authority>, Trouble> {
        let name = ca_name(choice);
        let mut known = self.known.lock().await;
        let key = (name, root.map(Path::to_owned));
        if let Some(authority) = known.get(&key) {
            return Ok(Arc::clone(authority));
        }
        let authority = Arc::new(self.make(choice, root, &key.0).await?);
        known.insert(key, Arc::clone(&authority));
        Ok(authority)
    }

    async fn make(
        &self,
        choice: &CaChoice,
        root: Option<&Path>,
        name: &str,
    ) -> Result<Authority, Trouble> {
        let label = Label::parse(name).expect("CA names are labels");
        let clock = Arc::clone(&self.clock);
        if *choice == CaChoice::Embedded {
            let ca =
                self.embedded.get_or_try_init(&self.launch).await.map_err(Trouble::Embedded)?;
            let (roots, ports) = (ca.issuing_roots.clone(), Arc::clone(&ca.ports));
            return Ok(Authority::new(label, ca.endpoint.clone(), Some(roots), Some(ports), clock));
        }
        let mut endpoint = self.endpoint(choice, name)?;
        if let Some(ended) = EndedCa::at(&endpoint.directory) {
            return Err(Trouble::EndedCa(ended));
        }
        if let Some(path) = root {
            endpoint.roots = Some(read_roots(path)?);
        }
        Ok(Authority::new(label, endpoint, None, None, clock))
    }

    fn endpoint(&self, choice: &CaChoice, name: &str) -> Result<Endpoint, Trouble> {
        match choice {
            CaChoice::Server(url) => Ok(Endpoint::new(name, url.as_str())),
            CaChoice::Named(named) => match self.main.ca(named) {
                Some(table) => {
                    let roots = table.root.as_ref().map(|path| read_roots(path.as_path()));
                    let plain = Endpoint::new(name, table.directory.as_str());
                    let limits = table.limits.unwrap_or(plain.limits);
                    let by_email = table.eab_by_email.as_ref().map(ToString::to_string);
                    let eab_by_email = by_email.or(plain.eab_by_email.clone());
                    Ok(Endpoint { roots: roots.transpose()?, limits, eab_by_email, ..plain })
                }
                None => Endpoint::builtin(name).ok_or_else(|| self.unknown(named)),
            },
            CaChoice::Embedded => unreachable!("made by its own launcher"),
        }
    }

    fn unknown(&self, name: &CaName) -> Trouble {
        if let Some(ended) = EndedCa::named(name.as_str()) {
            return Trouble::EndedCa(ended);
        }
        let distance = |known: &&str| strsim::damerau_levenshtein(known, name.as_str());
        let known = Endpoint::builtin_names().chain([EMBEDDED]);
        let nearest = known.min_by_key(distance).filter(|n| distance(n) <= 3);
        Trouble::UnknownCa { name: name.to_string(), nearest: nearest.map(str::to_owned) }
    }

    /// How to become a customer of one of the CAs that `settings` want.
    ///
    /// The certificate's own account binding is for the first of them; the others have theirs in
    /// their `[[ca]]`.
    pub(crate) async fn application(
        &self,
        settings: &CertSettings,
        choice: &CaChoice,
        agree_terms: bool,
        may_create: bool,
    ) -> Result<Application, Trouble> {
        let of_ca = match choice {
            CaChoice::Named(name) => self.main.ca(name).and_then(|table| table.eab.as_ref()),
            _ => None,
        };
        let own = settings.eab.as_ref().filter(|_| settings.cas.first() == Some(choice));
        let eab = match own.or(of_ca) {
            Some(eab) if may_create => {
                let hmac_key = secrets::reveal(&eab.hmac_key).await?.expose().to_owned().into();
                Some(Eab { kid: eab.kid.clone(), hmac_key, alg: eab.alg })
            }
            _ => None,
        };
        let contacts = settings.email.iter().map(|email| format!("mailto:{email}")).collect();
        let agree_terms = agree_terms || *choice == CaChoice::Embedded;
        Ok(Application { contacts, agree_terms, eab, may_create })
    }
}

impl Agent {
    /// Whether an account may be opened at this CA: there is none, and nothing that is held came
    /// from it. Else the key was lost, and only a person may decide to begin anew.
    pub(super) fn may_open_account(&self, authority: &Authority) -> Result<bool, Trouble> {
        match authority.account_file(self.store()) {
            // An earlier attempt did not get further than the key.
            Ok(Some(file)) => return Ok(file.url.is_none()),
            // What cannot be read is there, and is complained of when it is needed.
            Err(_) => return Ok(false),
            Ok(None) => {}
        }
        let mut lost = self.lost_accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lost.get(authority.name()) {
            return Ok(!known);
        }
        let is_lost = self.issued_something(authority.name())?;
        lost.insert(authority.name().to_owned(), is_lost);
        Ok(!is_lost)
    }

    fn issued_something(&self, ca: &str) -> Result<bool, Trouble> {
        for name in self.store().names()? {
            for generation in self.store().generations(&name)? {
                if self.store().meta(&name, generation).is_ok_and(|meta| meta.ca == ca) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// The name of a CA in store and reports; a server given by URL is called after it.
pub(crate) fn ca_name(choice: &CaChoice) -> String {
    match choice {
        CaChoice::Embedded => EMBEDDED.to_owned(),
        CaChoice::Named(name) => name.to_string(),
        CaChoice::Server(url) => {
            let rest = url.as_str().trim_start_matches("https://").to_lowercase();
            let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.';
            let safe: String = rest.chars().map(|c| if allowed(c) { c } else { '-' }).collect();
            let readable: String = safe.trim_matches(['-', '.']).chars().take(80).collect();
            // What was made safe may have lost a difference; the fingerprint keeps it.
            let digest = digest(&SHA256, url.as_str().as_bytes());
            format!("{readable}-{}", HEXLOWER.encode(&digest.as_ref()[..4]))
        }
    }
}

fn read_roots(path: &Path) -> Result<Vec<u8>, Trouble> {
    std::fs::read(path).map_err(|source| Trouble::RootsFile { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::clock::SystemClock;

    fn authorities() -> Authorities {
        let launch: Launch = Box::new(|| Box::pin(async { Err("not wanted".into()) }));
        Authorities::new(MainSettings::default(), Arc::new(SystemClock::start()), launch)
    }

    #[tokio::test]
    async fn a_typing_error_finds_its_ca() {
        for (typed, meant) in
            [("letsencrpt", Some("letsencrypt")), ("embeded", Some(EMBEDDED)), ("x", None)]
        {
            let found = authorities().find(&CaChoice::parse(typed).unwrap(), None).await;
            let Err(Trouble::UnknownCa { nearest, .. }) = found else {
                panic!("{typed} was found")
            };
            assert_eq!(nearest.as_deref(), meant, "{typed}");
        }
    }

    #[tokio::test]
    async fn a_root_given_for_one_certificate_is_trusted_for_no_other() {
        let (authorities, ca) = (authorities(), CaChoice::parse("https://ca.example/dir").unwrap());
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let private = authorities.find(&ca, Some(root)).await.unwrap();
        let public = authorities.find(&ca, None).await.unwrap();
        assert!(private.endpoint.roots.is_some() && public.endpoint.roots.is_none());
        let again = authorities.find(&ca, Some(root)).await.unwrap();
        assert!(Arc::ptr_eq(&private, &again), "one connection and one account in the process");
    }
}
