//! Tells the receivers of the settings what is wrong, each condition once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use thiserror::Error;
use zeroize::Zeroizing;

use super::aftermath::Complaints;
use super::{Agent, secrets};
use crate::config::alert::AlertTable;
use crate::config::file::FileError;
use crate::config::secret::SecretError;
use crate::model::outlook::Outlook;
use crate::model::time::Timestamp;
use crate::observe::alert::ledger::{Ledger, News, State};
use crate::observe::alert::medium::Medium;
use crate::observe::alert::message::{Message, Origin};
use crate::observe::alert::rules::judge;
use crate::observe::alert::send::{LIMIT, Parcel, Receiver, SendError, worth_sending};
use crate::observe::alert::{Condition, Rule};
use crate::store::StoreError;
use crate::store::alerts::AlertsLock;
use crate::store::layout::Label;

/// How long a run waits for another that is telling.
const PATIENCE: Duration = Duration::from_secs(1);
/// What an Alertmanager is told it believes at least so long.
const LASTS: Duration = Duration::from_secs(3600);

/// Why a receiver was not told.
#[derive(Debug, Error)]
pub(crate) enum Untold {
    #[error("cannot get its secret: {0}")]
    Secret(SecretError),
    #[error("cannot read its template: {0}")]
    Template(FileError),
    #[error("cannot write the message for it: {0}")]
    Store(StoreError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error("it took longer than {} s", LIMIT.as_secs())]
    Late,
}

impl Untold {
    /// The one thing to do about it, where there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Secret(error) => error.hint(),
            Self::Template(error) => error.hint(),
            Self::Send(error) => error.hint(),
            Self::Store(_) | Self::Late => None,
        }
    }
}

/// What came of a test message.
#[derive(Debug)]
pub(crate) struct Tried {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) result: Result<(), Untold>,
}

impl Agent {
    /// Tells every receiver what is news to it. What could not be told is news again next time.
    pub(super) async fn tell_alerts(&self, outlook: &Outlook) -> Complaints {
        let (tables, now) = (self.authorities.main().alerts(), outlook.at);
        let judged = judge(outlook);
        let nothing =
            judged.holding.is_empty() && self.store().alerts::<Ledger>() == Ledger::default();
        if tables.is_empty() || nothing {
            return Complaints::new();
        }
        let lock = match self.lock_alerts().await {
            Ok(lock) => lock,
            Err(error) => return vec![format!("alerts are left to the next run: {error}")],
        };
        let told: Ledger = self.store().alerts();
        let mut ledger = told.clone();
        ledger.tidy(|name| tables.iter().any(|table| table.terms.name == name), now);
        let origin = Origin { host: &outlook.host, at: now };
        let lasts = outlook.runs.patience.max(LASTS);
        let sent = join_all(tables.iter().map(async |table| {
            let news = worth_sending(&table.medium, ledger.news(&table.terms, &judged, now));
            let parcel = Parcel { origin, news: &news, lasts, file: None };
            let sent =
                if news.is_empty() { Ok(()) } else { self.deliver(&lock, table, parcel).await };
            (table, news, sent)
        }));
        let mut complaints = Complaints::new();
        for (table, news, sent) in sent.await {
            let name = &table.terms.name;
            match sent {
                Ok(()) => ledger.note(name, &news, now),
                Err(why) => complaints.push(format!("{name} was not told what is wrong: {why}")),
            }
        }
        if ledger != told
            && let Err(error) = self.store().save_alerts(&lock, &ledger)
        {
            complaints.push(format!("alerts may be told once more: {error}"));
        }
        complaints
    }

    /// Sends a message that says that it is a test, and its end, to these receivers.
    pub(crate) async fn test_alerts(
        &self,
        tables: &[AlertTable],
    ) -> Result<Vec<Tried>, StoreError> {
        let now = self.hands.clock.now();
        let host = super::outlook::host();
        let origin = Origin { host: &host, at: now };
        let lock = self.lock_alerts().await?;
        Ok(join_all(tables.iter().map(async |table| {
            let mut result = Ok(());
            for state in [State::Begun, State::Resolved] {
                if result.is_ok() {
                    let news = [test(table, state, now)];
                    let parcel = Parcel { origin, news: &news, lasts: LASTS, file: None };
                    result = self.deliver(&lock, table, parcel).await;
                }
            }
            Tried { name: table.terms.name.clone(), kind: table.medium.kind(), result }
        }))
        .await)
    }

    async fn lock_alerts(&self) -> Result<AlertsLock, StoreError> {
        let store = Arc::clone(&self.hands.store);
        let locked = tokio::task::spawn_blocking(move || store.lock_alerts(PATIENCE)).await;
        locked.expect("waiting for a lock does not panic")
    }

    async fn deliver(
        &self,
        lock: &AlertsLock,
        table: &AlertTable,
        parcel: Parcel<'_>,
    ) -> Result<(), Untold> {
        let label = Label::parse(&table.terms.name).expect("names of receivers are labels");
        let is_program = matches!(table.medium, Medium::Command(_));
        let file = is_program.then(|| {
            let message = Message::new(&table.terms.name, parcel.origin, parcel.news);
            let bytes = serde_json::to_vec(&message).expect("messages have text keys");
            self.store().put_message(lock, &label, &bytes)
        });
        let file = file.transpose().map_err(Untold::Store)?;
        let sending = async {
            let receiver = receiver(table).await?;
            Ok(receiver.send(Parcel { file: file.as_deref(), ..parcel }).await?)
        };
        let sent = tokio::time::timeout(LIMIT, sending).await.unwrap_or(Err(Untold::Late));
        if is_program {
            self.store().take_message(lock, &label);
        }
        sent
    }
}

/// A receiver with its secrets and its template.
async fn receiver(table: &AlertTable) -> Result<Receiver, Untold> {
    let revealed = table.medium.reveal(async |source| {
        let secret = secrets::reveal(source).await?;
        Ok(Zeroizing::new(secret.expose().to_owned()))
    });
    let medium = revealed.await.map_err(Untold::Secret)?;
    let template = table.template_text().map_err(Untold::Template)?;
    Ok(Receiver { terms: table.terms.clone(), medium, template })
}

fn test(table: &AlertTable, state: State, now: Timestamp) -> News {
    let condition = Condition {
        rule: Rule::Test,
        subject: "test".to_owned(),
        certificate: None,
        severity: table.terms.severity,
        title: "TEST: nothing is wrong".to_owned(),
        text: format!("a person tries out whether [[alert]] {} arrives", table.terms.name),
        hint: "nothing; it will be resolved at once".to_owned(),
        link: None,
    };
    News { state, condition, since: now }
}
