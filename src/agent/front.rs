//! Standing in front of an application until told to stop.

use sd_notify::NotifyState;
use tokio::sync::watch;

use super::serve::{announce, beat, tell};
use crate::challenge::front::Front;

/// Serves, and tells the service manager of it where there is one.
pub(crate) async fn serve(front: Front, stop: watch::Receiver<bool>) {
    tell(&[NotifyState::Ready]);
    tokio::select! {
        biased;
        never = beat() => match never {},
        never = announce(stop.clone()) => match never {},
        () = front.serve(stop) => {}
    }
}
