//! Several names of one certificate are bad, and it is issued without them.

use std::fs;

use chrono::TimeDelta;

use crate::need;
use crate::support::ca::Ca;
use crate::support::clock::Clock;

const NAME: &str = "a.example";

/// They are found one after the other, and the server does not take what is issued.
#[test]
fn what_was_left_out_stays_so_and_nothing_is_ordered_twice_for_it() {
    need!("faketime", "curl");
    let clock = Clock::right();
    let ca = Ca::by(&clock, "");
    let agent = ca.limited_agent().by(&clock);
    agent.run(&["account", "register", "--ca", "corp", "--agree-tos"]).exits(0);
    fs::create_dir_all(agent.path("certificates")).unwrap();
    let text = format!(
        "identifiers = [\"a.example\", \"127.7.7.7\", \"10.0.0.1\"]\nca = [\"corp\"]\n\
         on_bad_name = \"split\"\nchallenge = {{ http-01-port = {}, http-01-address = \
         \"127.0.0.1\" }}\nhooks = {{ deploy = [[\"/bin/ls\", {:?}]] }}\n",
        ca.http_port,
        agent.path("taken"),
    );
    fs::write(agent.path("certificates/a.example.toml"), text).unwrap();
    agent.run(&["renew"]).exits(2).says(&["10.0.0.1", "rejectedIdentifier"]);
    clock.advance(TimeDelta::hours(1));
    agent.run(&["renew"]).exits(3).says(&["127.7.7.7 by http-01"]);
    assert_eq!(ca.issued(), 0);
    clock.advance(TimeDelta::hours(1));
    let ran = agent.run(&["renew"]);
    assert_eq!((ca.issued(), ca.asked(NAME)), (1, 3), "without both: {ran:?}");
    for _ in 0..3 {
        clock.advance(TimeDelta::minutes(15));
        let ran = agent.run(&["renew"]);
        assert_eq!((ca.issued(), ca.asked(NAME)), (1, 3), "only to be deployed: {ran:?}");
    }
    fs::write(agent.path("taken"), "").unwrap();
    clock.advance(TimeDelta::hours(2));
    agent.run(&["renew"]).exits(4).says(&["issued without 127.7.7.7, 10.0.0.1"]);
    assert_eq!((ca.issued(), ca.asked(NAME)), (1, 3));
}
