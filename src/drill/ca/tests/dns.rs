//! Proofs by the DNS, looked up in a real BIND.

#![expect(clippy::disallowed_methods, reason = "writes the files of a name server")]

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::super::{CaError, Settings, lookup, start, validate_dns};
use super::Rig;
use super::client::{Client, Key, b64, challenge, csr, key_authorization_digest};

/// Two zones, in one of which the other's challenges are answered.
struct Named {
    process: Child,
    folder: TempDir,
    address: SocketAddr,
    serial: u32,
}

impl Named {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [port] = crate::ports::free_ports();
        let home = folder.path().display();
        let mut config = format!(
            // For other zones it asks where nobody listens.
            "options {{ directory \"{home}\"; pid-file none; lock-file none; recursion yes; \
             forward only; forwarders {{ 127.0.0.1 port 1; }}; \
             session-keyfile \"{home}/key\"; dnssec-validation no; listen-on-v6 {{ none; }}; \
             listen-on port {port} {{ 127.0.0.1; }}; }}; controls {{ }};\n"
        );
        for zone in ["a.example", "proofs.example"] {
            let line = format!("zone \"{zone}\" {{ type primary; file \"{zone}\"; }};\n");
            config.push_str(&line);
        }
        let file = folder.path().join("named.conf");
        fs::write(&file, config).unwrap();
        let ready = text(1, "ready TXT yes");
        for zone in ["a.example", "proofs.example"] {
            fs::write(folder.path().join(zone), &ready).unwrap();
        }
        let mut named = Command::new("named");
        named.args(["-f", "-n", "1", "-c"]).arg(&file).arg("-L").arg(folder.path().join("log"));
        let process = named.spawn().expect("named of BIND 9 is needed");
        let named =
            Self { process, folder, address: (Ipv4Addr::LOCALHOST, port).into(), serial: 1 };
        named.wait_for("ready.proofs.example", 1, || {}).await;
        named
    }

    /// Gives both zones these records, and waits until a name has so many of them.
    async fn say(&mut self, ours: &str, proofs: &str, name: &str, count: usize) {
        self.serial += 1;
        for (zone, records) in [("a.example", ours), ("proofs.example", proofs)] {
            let file = self.folder.path().join(zone);
            let new = self.folder.path().join("new");
            fs::write(&new, text(self.serial, records)).unwrap();
            fs::rename(new, file).unwrap();
        }
        // Once may be too early for a server that is still reading.
        let again = || {
            kill(Pid::from_raw(self.process.id().try_into().unwrap()), Signal::SIGHUP).unwrap();
        };
        self.wait_for(name, count, again).await;
    }

    async fn wait_for(&self, name: &str, count: usize, urge: impl Fn()) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            urge();
            let found = lookup::txt(self.address, name).await;
            if found.as_ref().is_ok_and(|found| found.len() == count) {
                return;
            }
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{name}: {found:?}\n{}", log());
            sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn text(serial: u32, records: &str) -> String {
    format!("$TTL 0\n@ SOA ns admin {serial} 60 60 60 0\n@ NS ns\nns A 127.0.0.1\n{records}\n")
}

/// Every authorization of an order, by its URL.
async fn authorizations(client: &Client, order: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for url in order["authorizations"].as_array().unwrap() {
        let url = url.as_str().unwrap().to_owned();
        let authorization = client.fetch(&url).await.json();
        all.push((url, authorization));
    }
    all
}

fn kinds(authorization: &Value) -> Vec<&str> {
    let challenges = authorization["challenges"].as_array().unwrap();
    challenges.iter().map(|one| one["type"].as_str().unwrap()).collect()
}

async fn claim(client: &Client, url: &str, challenge: &Value) -> Value {
    let answer = client.post(challenge["url"].as_str().unwrap(), &json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    client.decided(url).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_and_its_wildcard_are_proved_by_records_beside_each_other() {
    let rig = Rig::new().await;
    let mut named = Named::start().await;
    let behaviour = format!("dns_server = \"{}\"\nperspectives = 3", named.address);
    let ca = rig.start_behaving(&behaviour).await;
    let client = Client::registered(&ca, Key::p256()).await;
    let names = ["*.a.example", "a.example"];
    for kind in ["dns-01", "dns-account-01"] {
        let order = client.order(&names, json!({})).await.json();
        let both = authorizations(&client, &order).await;
        let account = client.kid.as_ref().unwrap();
        let label = match kind {
            "dns-01" => validate_dns::record_name("a.example"),
            _ => validate_dns::account_record_name("a.example", account),
        };
        let dns = ["dns-01", "dns-account-01", "dns-persist-01"];
        let mut proofs = String::new();
        for (_, authorization) in &both {
            assert_eq!(authorization["identifier"]["value"], "a.example");
            match authorization["wildcard"] == true {
                true => assert_eq!(kinds(authorization), dns),
                false => assert_eq!(kinds(authorization)[2..], dns),
            }
            let token = challenge(authorization, kind)["token"].as_str().unwrap().to_owned();
            let digest = b64(key_authorization_digest(&token, &client.key));
            // In two pieces, which are one value.
            writeln!(proofs, "here TXT \"{}\" \"{}\"", &digest[..9], &digest[9..]).unwrap();
        }
        assert_eq!(both.iter().filter(|(_, one)| one["wildcard"] == true).count(), 1);
        named.say(&format!("{label}. CNAME here.proofs.example."), &proofs, &label, 2).await;
        for (url, authorization) in &both {
            let decided = claim(&client, url, &challenge(authorization, kind)).await;
            assert_eq!(decided["status"], "valid", "{decided}");
            assert_eq!(decided["wildcard"], authorization["wildcard"]);
        }
        let key = rcgen::KeyPair::generate().unwrap();
        let answer = client.finalize(&order, &csr(&names, &key)).await;
        assert_eq!(answer.json()["status"], "valid", "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_wrong_or_missing_prove_nothing() {
    let rig = Rig::new().await;
    let mut named = Named::start().await;
    let ca = Settings { dns_server: Some(named.address), ..rig.settings() };
    let ca = start(ca).await.unwrap();
    let client = Client::registered(&ca, Key::p256()).await;
    let wrong = "_acme-challenge TXT wrong";
    named.say(wrong, "", "_acme-challenge.a.example", 1).await;
    let table = [
        ("a.example", "dns-01", "incorrectResponse", "\\\"wrong\\\""),
        ("a.example", "dns-account-01", "incorrectResponse", "no TXT record at _"),
        ("a.example", "dns-persist-01", "unauthorized", "names drill-ca.example"),
        // The server knows nobody to ask.
        ("b.example", "dns-01", "dns", "looking up TXT of _acme-challenge.b.example failed"),
    ];
    for (name, kind, problem, why) in table {
        let order = client.order(&[name], json!({})).await.json();
        let (url, authorization) = authorizations(&client, &order).await.remove(0);
        let decided = claim(&client, &url, &challenge(&authorization, kind)).await;
        let error = &decided["challenges"][0]["error"];
        assert_eq!(error["type"], format!("urn:ietf:params:acme:error:{problem}"), "{error}");
        assert!(error["detail"].to_string().contains(why), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn standing_records_prove_in_the_form_of_any_draft() {
    let rig = Rig::new().await;
    let mut named = Named::start().await;
    for draft in ["00", "01", "02"] {
        let extra = "challenge_extra = true";
        let server = named.address;
        let behaviour = format!("dns_server = \"{server}\"\ndns_persist = \"{draft}\"\n{extra}");
        let ca = rig.start_behaving(&behaviour).await;
        let client = Client::registered(&ca, Key::p256()).await;
        let account = client.kid.as_ref().unwrap();
        let meta = &client.directory["meta"];
        let accounturi = match draft {
            "02" => {
                assert_eq!(meta["issuerDomainNames"], meta["caaIdentities"]);
                let text = format!("\u{9}a.example{}{account}", client.key.thumbprint());
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
                format!("{}sha-256/{}", meta["accountHashPrefix"].as_str().unwrap(), b64(digest))
            }
            _ => account.clone(),
        };
        let order = client.order(&["*.a.example"], json!({})).await.json();
        let (url, authorization) = authorizations(&client, &order).await.remove(0);
        let offered = challenge(&authorization, "dns-persist-01");
        let issuers = if draft == "02" { "issuerDomainNames" } else { "issuer-domain-names" };
        assert_eq!(offered[issuers], meta["caaIdentities"], "{offered}");
        assert_eq!(offered.get("token"), None);
        let expected = if draft == "01" { json!(account) } else { Value::Null };
        assert_eq!(offered["accounturi"], expected);
        assert!(kinds(&authorization).contains(&"drill-carrier-pigeon-01"));
        let until = rig.clock.0.load(std::sync::atomic::Ordering::SeqCst) + 600;
        let record = format!(
            "_validation-persist TXT \"drill-ca.example; accounturi={accounturi}\" \
             \"; policy=wildcard; persistUntil={until}\"",
        );
        // Without that of the draft before, which would be counted too.
        named.say("", "", "_validation-persist.a.example", 0).await;
        named.say(&record, "", "_validation-persist.a.example", 1).await;
        let decided = claim(&client, &url, &offered).await;
        assert_eq!(decided["status"], "valid", "{decided}");
        let clamped = crate::model::time::Timestamp::from_unix(until);
        assert_eq!(decided["expires"] == json!(clamped), draft == "02", "{decided}");
        assert_eq!(decided["challenges"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn only_name_servers_of_this_machine_are_asked() {
    let rig = Rig::new().await;
    let server = "192.0.2.1:53".parse().ok();
    let refused = start(Settings { dns_server: server, ..rig.settings() }).await.err();
    assert!(matches!(refused, Some(CaError::DnsNotLoopback(_))), "{refused:?}");
}
