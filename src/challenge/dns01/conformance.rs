//! What every provider must do, tried on what it really edits.
//!
//! A provider's tests build it as [`super::Kind::build`] does, implement [`Bed`] for what is at the
//! other end, and call [`conforms`]:
//!
//! - for a name server, the bed starts it, and asks it for what it serves;
//! - for a program, the bed is the folder or the server that the program of the test writes to: one
//!   line for each record will do, as long as the program takes out no more than the value it is told.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep, timeout};

use super::{DnsError, Zone};
use crate::model::name::Identifier;
use crate::model::txt::Txt;

/// Longer than any provider may take over one call.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a provider edits, seen from outside.
#[async_trait]
pub(crate) trait Bed: Send {
    /// The zone that the provider may edit, empty of TXT records below `_acme-challenge`.
    fn apex(&self) -> String;

    /// The TXT values at a name as they are served now, each as often as it is there.
    async fn served(&mut self, owner: &str) -> Vec<String>;

    /// Adds a value as somebody else would, beside what is there.
    async fn plant(&mut self, owner: &str, value: &str);
}

/// A record of a name in the zone, as the solver writes it.
pub(crate) fn txt(apex: &str, label: &str, value: &str) -> Txt {
    let host = if label.is_empty() { apex.to_owned() } else { format!("{label}.{apex}") };
    let owner = format!("_acme-challenge.{host}");
    Txt {
        identifier: Identifier::parse(&host).unwrap(),
        asked: owner.clone(),
        owner,
        apex: apex.to_owned(),
        value: value.to_owned(),
    }
}

/// A value that looks like the digest of a key authorization (RFC 8555 §8.4).
pub(crate) fn value(number: usize) -> String {
    format!("{number:-<43}")
}

/// Fails where the provider does not keep its contract.
pub(crate) async fn conforms(zone: &dyn Zone, bed: &mut impl Bed) {
    let apex = bed.apex();
    let label = zone.label().to_owned();
    assert!(!label.is_empty() && !label.contains(char::is_control), "{label:?}");
    let [first, second, other] = [1, 2, 3].map(|n| txt(&apex, "", &value(n)));
    let foreign = value(0);

    expect("check", zone.check(&apex)).await;
    shows(bed, &first, &[], "check changes nothing").await;
    expect("nothing to add", zone.add(&[])).await;
    expect("nothing to remove", zone.remove(&[])).await;
    expect("remove what never was", zone.remove(&[first.clone(), second.clone()])).await;

    bed.plant(&first.owner, &foreign).await;
    shows(bed, &first, &[&foreign], "somebody else's").await;
    for turn in ["two values at one name", "the same two again"] {
        expect(turn, zone.add(&[first.clone(), second.clone()])).await;
        shows(bed, &first, &[&foreign, &first.value, &second.value], turn).await;
    }
    expect("one more", zone.add(std::slice::from_ref(&other))).await;
    shows(bed, &first, &[&foreign, &first.value, &second.value, &other.value], "one more").await;
    for turn in ["remove one", "remove it again"] {
        expect(turn, zone.remove(std::slice::from_ref(&first))).await;
        shows(bed, &first, &[&foreign, &second.value, &other.value], turn).await;
    }
    expect("check beside others", zone.check(&apex)).await;
    shows(bed, &first, &[&foreign, &second.value, &other.value], "check changes nothing").await;

    // As an order of several names is: a wildcard beside its base name, and names below.
    let many: Vec<Txt> = [("a", 4), ("b", 5), ("b", 6), ("x.y", 7)]
        .map(|(label, number)| txt(&apex, label, &value(number)))
        .into();
    expect("several names", zone.add(&many)).await;
    shows(bed, &many[0], &[&many[0].value], "several names").await;
    shows(bed, &many[1], &[&many[1].value, &many[2].value], "several names").await;
    shows(bed, &many[3], &[&many[3].value], "several names").await;

    let ours: Vec<Txt> = many.into_iter().chain([first.clone(), second, other]).collect();
    expect("remove all, one of them gone", zone.remove(&ours)).await;
    for record in &ours {
        let left: &[&str] = if record.owner == first.owner { &[&foreign] } else { &[] };
        shows(bed, record, left, "nothing of ours is left").await;
    }
    assert_eq!(zone.label(), label);
}

async fn expect(what: &str, call: impl Future<Output = Result<(), DnsError>>) {
    let result = timeout(PATIENCE, call).await;
    let result = result.unwrap_or_else(|_| panic!("{what}: a provider takes a bounded time"));
    result.unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// Waits until just these values are at the name of `record`.
async fn shows(bed: &mut impl Bed, record: &Txt, values: &[&str], when: &str) {
    let mut expected: Vec<&str> = values.to_vec();
    expected.sort_unstable();
    let began = Instant::now();
    loop {
        let mut served = bed.served(&record.owner).await;
        served.sort_unstable();
        if served == expected {
            return;
        }
        let is_late = began.elapsed() >= PATIENCE;
        assert!(!is_late, "{when}: {} shows {served:?}, not {expected:?}", record.owner);
        sleep(Duration::from_millis(20)).await;
    }
}
