//! One account at one CA (RFC 8555 §7.3).

use std::sync::Arc;

use instant_acme::NewAccount;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::account_file::{AccountFile, KeyInForce};
use super::eab::Eab;
use super::error::AcmeError;
use super::http::{Expect, Reply};
use super::instant;
use super::jws::{self, AccountKey, Signer};
use super::order::{NewOrder, Order};
use super::origin::CaUrl;
use super::problem::printable;
use super::revoke::{self, Reason};
use super::session::{Session, parse, unintelligible};

/// What to register an account with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registration {
    /// Contact URIs, as in `mailto:admin@example.org`.
    pub(crate) contacts: Vec<String>,
    pub(crate) agree_terms: bool,
    pub(crate) eab: Option<Eab>,
}

/// An account ready to order. Cloning shares the session and the key.
#[derive(Clone)]
pub(crate) struct Account(Arc<Inner>);

struct Inner {
    session: Session,
    key: AccountKey,
    url: CaUrl,
    former_thumbprints: Vec<String>,
}

/// What the CA knows of an account.
#[derive(Clone, Debug)]
pub(crate) struct AccountFacts {
    pub(crate) url: String,
    pub(crate) status: AccountStatus,
    pub(crate) contacts: Vec<String>,
}

/// The life of an account (RFC 8555 §7.1.2).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AccountStatus {
    Valid,
    Deactivated,
    Revoked,
}

impl AccountStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Deactivated => "deactivated",
            Self::Revoked => "revoked",
        }
    }
}

/// The wire form of an account; the list of orders is of no use to us.
#[derive(Deserialize)]
struct Wire {
    status: AccountStatus,
    #[serde(default)]
    contact: Vec<String>,
}

/// What newAccount is sent: instant-acme's own call makes the key itself, too late to store it first.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(flatten)]
    account: NewAccount<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_account_binding: Option<Value>,
}

impl Session {
    /// Creates the account of `file`'s key, or finds the one that is there already.
    ///
    /// The caller stores `file` before, so that a crash leaves no account without a key, and
    /// again afterwards, when it holds the URL.
    pub(crate) async fn register(
        &self,
        file: &mut AccountFile,
        registration: Registration,
    ) -> Result<Account, AcmeError> {
        self.check_directory(file)?;
        self.admits(&registration)?;
        let registration = self.bound(registration).await?;
        let url = match self.create(&file.key, &registration).await {
            // A binding may be used up by a registration whose answer was lost.
            Err(error) if registration.eab.is_some() && error.problem().is_some() => {
                let found = instant::find(self, &file.key).await.ok().flatten();
                found.ok_or_else(|| error.of_registration())?
            }
            created => created?,
        };
        file.url = Some(url.as_str().to_owned());
        file.contacts = registration.contacts;
        file.created_at = Some(self.transport().now());
        self.account(file)
    }

    /// Says, without asking the CA, whether it would turn the registration down.
    ///
    /// # Errors
    /// [`AcmeError::TermsNotAgreed`] and [`AcmeError::EabRequired`].
    pub(crate) fn admits(&self, registration: &Registration) -> Result<(), AcmeError> {
        let directory = self.directory();
        if let (Some(terms), false) = (&directory.terms_of_service, registration.agree_terms) {
            return Err(AcmeError::TermsNotAgreed { terms: terms.clone() });
        }
        let lacks = directory.external_account_required && registration.eab.is_none();
        if lacks && self.email_for_binding(registration).is_none() {
            let by_email = self.transport().origin.eab_by_email().is_some();
            return Err(AcmeError::EabRequired { by_email });
        }
        Ok(())
    }

    async fn create(&self, key: &AccountKey, wanted: &Registration) -> Result<CaUrl, AcmeError> {
        let url = &self.directory().new_account;
        let bind = |eab: &Eab| jws::external_binding(key, eab, url.as_str());
        let contacts: Vec<&str> = wanted.contacts.iter().map(String::as_str).collect();
        let payload = Payload {
            account: NewAccount {
                contact: &contacts,
                terms_of_service_agreed: wanted.agree_terms,
                only_return_existing: false,
            },
            external_account_binding: wanted.eab.as_ref().map(bind).transpose()?,
        };
        let reply = self.post(Signer::Key(key.signing()), url, &payload).await?;
        let location = reply.location.ok_or_else(|| unintelligible(url, "no account URL"))?;
        self.admit("account URL", &location)
    }

    /// The account of `file`, ready to order; sends nothing.
    pub(crate) fn account(&self, file: &AccountFile) -> Result<Account, AcmeError> {
        self.check_directory(file)?;
        let url =
            self.admit("account URL", file.url.as_deref().ok_or(AcmeError::NotRegistered)?)?;
        let (session, key) = (self.clone(), file.key.clone());
        let former_thumbprints = file.former_thumbprints.clone();
        Ok(Account(Arc::new(Inner { session, key, url, former_thumbprints })))
    }

    /// Asks the CA whether it knows the account of `file`'s key; makes none (RFC 8555 §7.3.1).
    pub(crate) async fn knows(&self, file: &AccountFile) -> Result<bool, AcmeError> {
        self.check_directory(file)?;
        Ok(instant::find(self, &file.key).await?.is_some())
    }

    /// Asks the CA which of the two keys a crash in [`Account::rotate_key`] left in force.
    pub(crate) async fn settle_rollover(
        &self,
        file: &AccountFile,
    ) -> Result<KeyInForce, AcmeError> {
        self.check_directory(file)?;
        let next = file.next_key.as_ref().ok_or(AcmeError::NoNextKey)?;
        for (key, in_force) in [(next, KeyInForce::Next), (&file.key, KeyInForce::Current)] {
            if instant::find(self, key).await?.is_some() {
                return Ok(in_force);
            }
        }
        Err(AcmeError::NoKeyInForce)
    }

    /// An account's key must never sign for another CA than its own.
    fn check_directory(&self, file: &AccountFile) -> Result<(), AcmeError> {
        let ours = self.transport().origin.directory().as_url();
        if url::Url::parse(&file.directory).is_ok_and(|theirs| theirs == *ours) {
            return Ok(());
        }
        let theirs = printable(&file.directory, 200);
        Err(AcmeError::OtherDirectory { ours: Box::new(ours.clone()), theirs })
    }
}

impl Account {
    pub(crate) fn url(&self) -> &str {
        self.0.url.as_str()
    }

    pub(super) fn session(&self) -> &Session {
        &self.0.session
    }

    pub(super) fn thumbprint(&self) -> &str {
        self.0.key.thumbprint()
    }

    /// Of the key, and then of those it had before.
    pub(super) fn thumbprints(&self) -> impl Iterator<Item = &str> {
        let former = self.0.former_thumbprints.iter().map(String::as_str);
        std::iter::once(self.thumbprint()).chain(former)
    }

    fn signer(&self) -> Signer<'_> {
        Signer::Account(self.0.key.signing(), self.url())
    }

    pub(super) async fn post(
        &self,
        url: &CaUrl,
        payload: &impl Serialize,
    ) -> Result<Reply, AcmeError> {
        self.session().post(self.signer(), url, payload).await
    }

    pub(super) async fn read(&self, url: &CaUrl, expect: Expect) -> Result<Reply, AcmeError> {
        self.session().read(self.signer(), url, expect).await
    }

    /// Asks the CA what it knows of the account.
    pub(crate) async fn facts(&self) -> Result<AccountFacts, AcmeError> {
        let reply = self.read(&self.0.url, Expect::Json).await?;
        let wire: Wire = parse(&self.0.url, "this is no account", &reply.body)?;
        let contacts = wire.contact.iter().take(20).map(|uri| printable(uri, 300)).collect();
        Ok(AccountFacts { url: self.url().to_owned(), status: wire.status, contacts })
    }

    /// Replaces the contacts.
    pub(crate) async fn update_contacts(&self, contacts: &[String]) -> Result<(), AcmeError> {
        let contacts: Vec<&str> = contacts.iter().map(String::as_str).collect();
        let contacts = contacts.as_slice();
        instant::on_account(self.session(), &self.0.key, &self.0.url, |account| async move {
            account.update_contacts(contacts).await
        })
        .await
    }

    /// Puts `file`'s next key in force (RFC 8555 §7.3.5).
    ///
    /// The caller has stored the next key already, and settles the file for it after success. When
    /// the answer is lost, [`Session::settle_rollover`] tells which key holds.
    pub(crate) async fn rotate_key(&self, file: &AccountFile) -> Result<(), AcmeError> {
        let next = file.next_key.as_ref().ok_or(AcmeError::NoNextKey)?;
        let url = self.session().directory().key_change()?;
        let inner = jws::rollover(&self.0.key, next, self.url(), url.as_str())?;
        self.session().send(self.signer(), url, Some(&inner), Expect::Json).await?;
        Ok(())
    }

    /// Ends the account for good (RFC 8555 §7.3.6).
    pub(crate) async fn deactivate(&self) -> Result<(), AcmeError> {
        let reply = self.post(&self.0.url, &json!({ "status": "deactivated" })).await?;
        let wire: Wire = parse(&self.0.url, "this is no account", &reply.body)?;
        if wire.status == AccountStatus::Valid {
            return Err(unintelligible(&self.0.url, "the account is still valid"));
        }
        Ok(())
    }

    /// Opens an order.
    ///
    /// When [`AcmeError::concerns_replaces`] holds, the caller tries once more without `replaces`.
    pub(crate) async fn order(&self, wanted: &NewOrder) -> Result<Order, AcmeError> {
        Order::open(self.clone(), wanted).await
    }

    /// Takes up an order again by its URL, whatever its status is.
    pub(crate) async fn resume(&self, url: &str) -> Result<Order, AcmeError> {
        Order::resume(self.clone(), url).await
    }

    /// Revokes a certificate issued to this account or for names it is authorized for.
    pub(crate) async fn revoke(&self, leaf_der: &[u8], reason: Reason) -> Result<(), AcmeError> {
        self.session().directory().revoke_cert()?;
        let leaf = leaf_der.into();
        let request = &revoke::payload(&leaf, reason);
        instant::on_account(self.session(), &self.0.key, &self.0.url, |account| async move {
            account.revoke(request).await
        })
        .await
    }
}
