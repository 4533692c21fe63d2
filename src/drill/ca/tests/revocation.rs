//! The list as the prober reads it.

use std::time::Duration;

use serde_json::json;

use super::Rig;
use super::client::{Client, Key};
use crate::certificate::Chain;
use crate::model::time::Clock;
use crate::probe::revocation::{Revocation, Revocations};

const LIMIT: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn what_is_revoked_is_seen_within_the_hour() {
    let rig = Rig::new().await;
    let ca = rig.start().await;
    let client = Client::registered(&ca, Key::p256()).await;
    let issued = client.issue(&["a.example"], json!({}), &rig.solver).await;
    let chain = Chain::parse(issued.chain.as_bytes()).unwrap();
    let revocations = Revocations::new(LIMIT).unwrap();
    assert!(matches!(revocations.of(&chain, rig.clock.now()).await, Revocation::Good));

    let at = rig.clock.now();
    assert_eq!(super::renewal::revoke(&client, &issued, json!(4)).await.status, 200);
    rig.clock.advance(HOUR);
    match revocations.of(&chain, rig.clock.now()).await {
        Revocation::Revoked { at: told, reason: Some(reason) } => {
            assert_eq!((told, reason.to_string()), (at, "superseded".to_owned()));
        }
        other => panic!("{other:?}"),
    }
    ca.shutdown().await;
    rig.clock.advance(HOUR);
    let kept = revocations.of(&chain, rig.clock.now()).await;
    assert!(matches!(kept, Revocation::Revoked { .. }), "{kept:?}");
    let fresh = Revocations::new(LIMIT).unwrap();
    let unknown = fresh.of(&chain, rig.clock.now()).await;
    assert!(matches!(unknown, Revocation::Unknown(_)), "{unknown:?}");
}
