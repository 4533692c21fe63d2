//! One CA as the runs of a process share it: one connection, one account.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::cause::Cause;
use super::solvers::Looker;
use crate::acme::{
    Account, AccountFile, AcmeError, Eab, Endpoint, KeyInForce, Registration, Session,
};
use crate::certificate::Roots;
use crate::model::challenge::{AccountLabel, ValidationPorts};
use crate::model::time::Clock;
use crate::schedule::budget::{Entry, What};
use crate::store::layout::Label;
use crate::store::lock::AccountLock;
use crate::store::{Store, StoreError};

const USER_AGENT: &str = concat!("acmeagent/", env!("CARGO_PKG_VERSION"));

/// The one account we keep at each CA.
const ACCOUNT: &str = "default";

/// How long to wait for another run that is creating or changing the account.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// How to become a customer, should there be no account yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Application {
    pub(crate) contacts: Vec<String>,
    pub(crate) agree_terms: bool,
    pub(crate) eab: Option<Eab>,
    /// Whether an account may be created: not where one is known to have existed.
    pub(crate) may_create: bool,
}

impl Application {
    fn registration(&self) -> Registration {
        let Self { contacts, agree_terms, eab, .. } = self.clone();
        Registration { contacts, agree_terms, eab }
    }
}

/// A CA, reached when first needed.
pub(crate) struct Authority {
    pub(crate) endpoint: Endpoint,
    label: Label,
    /// What its certificates must lead to, where that is known.
    pub(crate) issuing_roots: Option<Roots>,
    /// Where a CA inside this process looks for answers.
    pub(crate) validation_ports: Option<Arc<ValidationPorts>>,
    clock: Arc<dyn Clock>,
    session: OnceCell<Session>,
    /// Why there is no session, once that was tried.
    out_of_reach: OnceLock<Arc<AcmeError>>,
    account: OnceCell<Account>,
}

impl Authority {
    pub(crate) fn new(
        label: Label,
        endpoint: Endpoint,
        issuing_roots: Option<Roots>,
        validation_ports: Option<Arc<ValidationPorts>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (session, account, out_of_reach) = (OnceCell::new(), OnceCell::new(), OnceLock::new());
        Self {
            endpoint,
            label,
            issuing_roots,
            validation_ports,
            clock,
            session,
            out_of_reach,
            account,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.endpoint.name
    }

    /// Whether the CA can be told which port answers.
    pub(crate) fn takes_any_port(&self) -> bool {
        self.validation_ports.is_some()
    }

    /// The CA's directory and a connection to it, asked for once per process.
    ///
    /// A CA that is down is asked once, too: a thousand certificates must not wait for it in turn.
    pub(crate) async fn session(&self) -> Result<&Session, Cause> {
        let open = || async {
            if let Some(error) = self.out_of_reach.get() {
                return Err(Cause::Acme(Arc::clone(error)));
            }
            let opened = Session::open(&self.endpoint, USER_AGENT, Arc::clone(&self.clock)).await;
            opened.map_err(|error| {
                Cause::Acme(Arc::clone(self.out_of_reach.get_or_init(|| Arc::new(error))))
            })
        };
        self.session.get_or_try_init(open).await
    }

    /// Our account, created when there is none and `application` allows it.
    ///
    /// Runs at once in other processes wait for each other: only one account comes of it.
    pub(crate) async fn account(
        &self,
        store: &Store,
        application: &Application,
    ) -> Result<&Account, Cause> {
        self.account.get_or_try_init(|| self.open_account(store, application)).await
    }

    async fn open_account(
        &self,
        store: &Store,
        application: &Application,
    ) -> Result<Account, Cause> {
        let session = self.session().await?;
        if let Some(file) = self.account_file(store)?
            && file.url.is_some()
            && !file.is_rolling_over()
        {
            return Ok(session.account(&file)?);
        }
        let registration = application.registration();
        let lock = self.lock(store).await?;
        let mut file = match self.account_file(store)? {
            Some(file) => file,
            None if !application.may_create => return Err(self.account_lost(store)),
            // No key is made for what would be turned down.
            None => {
                session.admits(&registration)?;
                AccountFile::fresh(&self.endpoint.directory)?
            }
        };
        self.save(store, &lock, &file)?;
        if file.is_rolling_over() {
            let in_force = session.settle_rollover(&file).await?;
            file.settle(in_force);
            self.save(store, &lock, &file)?;
        }
        if file.url.is_some() {
            return Ok(session.account(&file)?);
        }
        // A key that was never registered: an earlier attempt did not get that far.
        if !application.may_create {
            return Err(self.account_lost(store));
        }
        self.register_within_limits(store)?;
        let account = session.register(&mut file, registration).await?;
        self.save(store, &lock, &file)?;
        Ok(account)
    }

    /// Enters the registration before it is sent, if the CA's limits allow it.
    fn register_within_limits(&self, store: &Store) -> Result<(), Cause> {
        let (ca, now) = (self.name(), self.clock.now());
        let judged = store.account_for(ca, self.endpoint.limits, now, |budget| {
            match budget.judge_registration(now) {
                Err(shortage) => (Err(shortage), Vec::new()),
                Ok(()) => {
                    let what = What::Registering;
                    (Ok(()), vec![Entry { at: now, ca: ca.to_owned(), what }])
                }
            }
        })?;
        judged.map_err(|shortage| Cause::Limited { ca: ca.to_owned(), shortage })
    }

    /// What is stored of our account.
    pub(crate) fn account_file(&self, store: &Store) -> Result<Option<AccountFile>, Cause> {
        let Some(bytes) = store.read_account(&self.label, &account_id())? else { return Ok(None) };
        let mut file = AccountFile::parse(&bytes).map_err(|source| {
            let (ca, directory) = (self.name().to_owned(), self.endpoint.directory.clone());
            let path = store.layout().account(&self.label, &account_id());
            Cause::AccountFile { ca, directory, path, source }
        })?;
        if self.takes_any_port() {
            // A CA inside the process is the same one whatever port it got this time.
            file.directory.clone_from(&self.endpoint.directory);
        }
        Ok(Some(file))
    }

    /// What solvers have to know of it.
    ///
    /// An account whose file cannot be read is complained of when it is needed.
    pub(crate) fn looker(&self, store: &Store) -> Looker {
        let url = self.account_file(store).ok().flatten().and_then(|file| file.url);
        let account = url.map(|url| AccountLabel::of(&url));
        Looker { any_port: self.takes_any_port(), account }
    }

    /// Replaces the account key; the account under its new key. The new one is stored before the
    /// CA hears of it; should its answer be lost, the CA is asked which key holds.
    pub(crate) async fn rotate_key(&self, store: &Store) -> Result<Account, Cause> {
        let session = self.session().await?;
        let account = self.account(store, &Application::default()).await?;
        let lock = self.lock(store).await?;
        let mut file = self.account_file(store)?.ok_or_else(|| self.account_lost(store))?;
        file.prepare_next_key()?;
        self.save(store, &lock, &file)?;
        let told = account.rotate_key(&file).await;
        let in_force = session.settle_rollover(&file).await?;
        file.settle(in_force);
        self.save(store, &lock, &file)?;
        if in_force == KeyInForce::Current {
            told?;
        }
        Ok(session.account(&file)?)
    }

    /// Closes the account at the CA and forgets its key.
    pub(crate) async fn deactivate(&self, store: &Store) -> Result<(), Cause> {
        let account = self.account(store, &Application::default()).await?;
        account.deactivate().await?;
        let lock = self.lock(store).await?;
        Ok(store.remove_account(&lock, &account_id())?)
    }

    /// Makes the stored account readable for us alone.
    pub(crate) async fn mend_account_file(&self, store: &Store) -> Result<(), Cause> {
        let lock = self.lock(store).await?;
        Ok(store.mend_account(&lock, &account_id())?)
    }

    /// Registers a new account in the place of one the CA no longer knows; where the old is kept.
    pub(crate) async fn register_anew(
        &self,
        store: &Store,
        application: &Application,
    ) -> Result<PathBuf, Cause> {
        let session = self.session().await?;
        let registration = application.registration();
        session.admits(&registration)?;
        let lock = self.lock(store).await?;
        self.register_within_limits(store)?;
        let kept = store.keep_account(&lock, &account_id(), self.clock.now())?;
        let mut file = AccountFile::fresh(&self.endpoint.directory)?;
        self.save(store, &lock, &file)?;
        session.register(&mut file, registration).await?;
        self.save(store, &lock, &file)?;
        Ok(kept)
    }

    fn account_lost(&self, store: &Store) -> Cause {
        let (ca, directory) = (self.name().to_owned(), self.endpoint.directory.clone());
        let path = store.layout().account(&self.label, &account_id());
        Cause::AccountLost { ca, directory, path }
    }

    /// Waits for the account without holding up what else this process does.
    async fn lock(&self, store: &Store) -> Result<AccountLock, Cause> {
        let began = self.clock.monotonic();
        loop {
            match store.lock_account(&self.label, Duration::ZERO) {
                Err(StoreError::Locked { .. })
                    if self.clock.monotonic().saturating_sub(began) < LOCK_PATIENCE =>
                {
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                taken => return Ok(taken?),
            }
        }
    }

    fn save(&self, store: &Store, lock: &AccountLock, file: &AccountFile) -> Result<(), Cause> {
        Ok(store.save_account(lock, &account_id(), &file.to_bytes())?)
    }
}

fn account_id() -> Label {
    Label::parse(ACCOUNT).expect("a plain word")
}
