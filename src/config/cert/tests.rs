use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::acme::MacAlgorithm;
use crate::config::choice::CaName;
use crate::config::dns::DnsChoice;
use crate::hook::command::Command;
use crate::model::endpoint::Endpoint;
use crate::model::time::Timestamp;
use crate::schedule::rollout::Wave;

const FULL: &str = r#"# The shop. Ask Ada before changing it.

identifiers = [
    "example.com", # the shop
    "www.example.com",
    # the old name
    "shop.example.org", # until 2027
]
ca = ["letsencrypt", "https://ca.example/dir"] # in this order
email = "ops@example.com"
required-profile = "shortlived"
preferred-chain = "ISRG Root X1"
on_bad_name = "split"
key-type = "p384"
reuse-key = true
targets = [
    "nginx", # the front
    "haproxy:/run/haproxy/admin.sock",
    "web", # of acmeagent.toml
]

[challenge]
types = ["tls-alpn-01", "http-01"]
http-01-address = "::1"
http-01-port = 8080
tls-alpn-01-port = 8443

# Who must know.
[hooks]
pre = [["/opt/stop"]]
deploy = [
    ["systemctl", "reload", "nginx"], # web
    ["/opt/notify", "two words", ""],
]
post = [["/opt/start"]]

[verify]
endpoints = ["www.example.com", "smtp://mx.example.com:25"] # not the office
attempts = 9
needed = 7
within = "1m 30s"
handshake-failures = 2 # percent
verification-errors = 0.25
latency = "20ms"
latency-share = 150
ocsp-failures = 0.0
sample = 50

[rollout]
# The feast days.
freeze-until = 2027-01-04T09:00:00+01:00
deadline = "6h"

# One first.
[[rollout.wave]]
targets = ["web"]
percent = 5
soak = "10m" # long enough

[[rollout.wave]]
targets = ["hook:systemctl  reload nginx", "nginx"]
approve = true

[permissions]
owner = "root"
group = "ssl-cert"
mode = "0640"

[eab]
kid = "kid-1"
hmac-key-file = "/etc/acmeagent/eab.key"
alg = "HS384"
"#;

fn parse(text: &str) -> Result<CertSettings, ConfigError> {
    CertSettings::parse(Path::new("a.toml"), text)
}

fn names(list: &[&str]) -> Vec<Identifier> {
    list.iter().map(|name| Identifier::parse(name).unwrap()).collect()
}

fn write_over(text: &str, change: impl FnOnce(&mut CertSettings)) -> String {
    let mut settings = parse(text).unwrap();
    change(&mut settings);
    let written = settings.write_over(Path::new("a.toml"), Some(text)).unwrap();
    assert_eq!(parse(&written).unwrap(), settings, "{written}");
    written
}

/// The lines that `new` lacks and those that it adds.
fn difference<'a>(old: &'a str, new: &'a str) -> (Vec<&'a str>, Vec<&'a str>) {
    let lacking = |one: &'a str, other: &str| {
        one.lines().filter(|line| !other.lines().any(|other| other == *line)).collect()
    };
    (lacking(old, new), lacking(new, old))
}

#[test]
fn every_key_is_read() {
    let settings = parse(FULL).unwrap();
    assert_eq!(
        settings.identifiers,
        names(&["example.com", "www.example.com", "shop.example.org"])
    );
    let cas = settings.cas.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(cas, ["letsencrypt", "https://ca.example/dir"]);
    assert_eq!(settings.on_bad_name, OnBadName::Split);
    let private = parse("identifiers = [\"a\"]\nca-root = \"/etc/ssl/corp.pem\"").unwrap();
    assert_eq!(private.ca_root.unwrap().as_str(), "/etc/ssl/corp.pem");
    assert_eq!(settings.email.as_ref().unwrap().as_str(), "ops@example.com");
    assert_eq!(settings.profile, Some(Profile::Required("shortlived".to_owned())));
    assert_eq!(settings.preferred_chain.as_deref(), Some("ISRG Root X1"));
    assert_eq!((settings.key_type, settings.reuse_key), (KeyType::P384, true));
    assert_eq!(settings.challenges, [ChallengeKind::TlsAlpn01, ChallengeKind::Http01]);
    let address = Some("::1".parse().unwrap());
    assert_eq!(settings.http01, Http01::Standalone { address, port: Some(8080) });
    assert_eq!(settings.tls_alpn01_port, Some(8443));
    assert_eq!(settings.hooks.deploy[1].argv(), ["/opt/notify", "two words", ""]);
    assert_eq!((settings.hooks.pre.len(), settings.hooks.post.len()), (1, 1));
    let targets = settings.targets.iter().map(TargetChoice::label).collect::<Vec<_>>();
    assert_eq!(targets, ["nginx", "haproxy:/run/haproxy/admin.sock", "web"]);
    assert_eq!(settings.verify, full_verify());
    let rollout = &settings.rollout;
    assert_eq!(rollout.freeze_until, Timestamp::parse("2027-01-04T08:00:00Z"));
    assert_eq!(rollout.deadline, Some(Duration::from_secs(6 * 3600)));
    let hook = "hook:systemctl reload nginx".to_owned();
    let canary = Wave {
        targets: vec!["web".to_owned()],
        percent: Some(5),
        soak: Some(Duration::from_secs(600)),
        approve: false,
    };
    let targets = vec![hook, "nginx".to_owned()];
    let asked = Wave { targets, approve: true, ..Wave::default() };
    assert_eq!(rollout.waves, [canary, asked]);
    assert_eq!(settings.permissions.owner.as_deref(), Some("root"));
    assert_eq!(settings.permissions.effective_mode(), 0o640);
    let eab = settings.eab.unwrap();
    assert!(matches!(eab.hmac_key, SecretSource::File(_)) && eab.alg == MacAlgorithm::Hs384);
}

fn full_verify() -> Verify {
    let endpoints = ["www.example.com:443", "smtp://mx.example.com:25"];
    Verify {
        endpoints: endpoints.map(|text| Endpoint::parse(text).unwrap()).to_vec(),
        attempts: 9,
        needed: 7,
        within: Duration::from_secs(90),
        handshake_failures: 0.02,
        verification_errors: 0.0025,
        latency: Duration::from_millis(20),
        latency_share: 1.5,
        ocsp_failures: 0.0,
        sample: 50,
    }
}

#[test]
fn few_looks_need_no_more_than_there_are() {
    for (text, attempts, needed) in [
        ("", 5, 3),
        ("attempts = 2", 2, 2),
        ("attempts = 1", 1, 1),
        ("attempts = 3", 3, 3),
        ("attempts = 100", 100, 3),
        ("needed = 5", 5, 5),
    ] {
        let text = format!("identifiers = [\"a.example\"]\n[verify]\n{text}");
        let verify = parse(&text).unwrap().verify;
        assert_eq!((verify.attempts, verify.needed), (attempts, needed), "{text}");
    }
}

#[test]
fn one_line_is_a_whole_file() {
    let settings = parse("identifiers = [\"A.example\"]").unwrap();
    let built_in = CertSettings::default();
    assert_eq!(settings, CertSettings { identifiers: names(&["a.example"]), ..built_in });
    assert_eq!(settings.cas, [CaChoice::Named(CaName::parse("letsencrypt").unwrap())]);
    assert_eq!(settings.permissions.effective_mode(), 0o600);
}

#[test]
fn the_same_tables_may_be_written_in_other_ways() {
    let inline = "identifiers = [\"a.example\"]\nchallenge = { webroot = \"/w\" }";
    let dotted = "identifiers = [\"a.example\"]\nchallenge.webroot = \"/w\"";
    let table = "identifiers = [\"a.example\"]\r\n[challenge]\r\nwebroot = '/w'\r\n";
    assert_eq!(parse(inline).unwrap(), parse(table).unwrap());
    assert_eq!(parse(dotted).unwrap(), parse(table).unwrap());
    for text in [inline, dotted, table] {
        let changed = write_over(text, |settings| settings.tls_alpn01_port = Some(5));
        assert_eq!(changed.contains("[challenge]"), text.contains("[challenge]"), "{changed}");
    }
}

/// Texts and a part of what is said about each; a `+` stands for a first line that is right.
const WRONG: &[(&str, &str)] = &[
    ("", "1:1: `identifiers` is missing"),
    ("identifiers = []", "1:15: `identifiers`: the list is empty"),
    ("identifiers = \"a.b\"", "1:15: `identifiers`: write it as a list, [\"a.b\"]"),
    ("identifiers = 1", "1:15: `identifiers`: it must be a list, not a number"),
    ("identifiers = [\"a.b\", 2]", "1:23: `identifiers`: it must be a text in quotes, not a num"),
    (
        "identifiers = [\n \"ok.example\",\n \"a..b\"]",
        "3:2: `identifiers`: \"a..b\" is not a valid",
    ),
    ("identifiers = [\"a.b\", \"A.b\"]", "1:15: `identifiers`: a.b is listed twice"),
    ("identifiers = [\"a.b\"", "not valid TOML: "),
    ("identifiers = [\"a.b\"]\nidentifiers = [\"a.c\"]", "2:1: not valid TOML: duplicate key"),
    ("identifers = [\"a.b\"]", "1:1: unknown key `identifers`"),
    ("+profil = \"x\"", "2:1: unknown key `profil`"),
    ("+[hook]\nx = 1", "2:2: unknown key `hook`"),
    ("+[challenge]\nwebrot = \"/x\"", "3:1: unknown key `challenge.webrot`"),
    ("+challenge = { tpyes = [] }", "2:15: unknown key `challenge.tpyes`"),
    ("+challenge = \"http-01\"", "2:13: `challenge`: it is a table and begins with a line of"),
    ("+[[challenge]]", "2:1: `challenge`: it is a table and begins"),
    ("+[email]", "2:1: `email`: it is a value, not a table"),
    ("+ca = [\"Let's Encrypt\"]", "2:7: `ca`: \"Let's Encrypt\" is not a valid CA name"),
    ("+ca = [\"http://ca.example\"]", "must begin with https://"),
    ("+ca = [\"x\", \"y\", \"x\"]", "2:6: `ca`: the CA x is listed twice"),
    (
        "+ca = [\"x\", \"y\"]\nca-root = \"/r.pem\"",
        "3:11: `ca-root`: one root cannot be that of several CAs",
    ),
    (
        "+ca = [\"embedded\"]\nca-root = \"/r.pem\"",
        "3:11: `ca-root`: the embedded CA has a root of its own",
    ),
    ("+on_bad_name = \"drop\"", "2:15: `on_bad_name`: \"drop\" is unknown; known are fail, split"),
    ("+ca-root = \"root.pem\"", "2:11: `ca-root`: \"root.pem\" is not a valid path: it must be ab"),
    ("+email = \"ops\"", "2:9: `email`: \"ops\" is not a valid mail address: it has no @"),
    ("+key-type = \"P-256\"", "`key-type`: \"P-256\" is unknown; did you mean \"p256\"?"),
    ("+key-type = \"ed25519\"", "known are p256, p384, rsa2048, rsa3072, rsa4096"),
    ("+reuse-key = \"yes\"", "2:13: `reuse-key`: it must be true or false, not a text"),
    ("+profile = \"\"", "2:11: `profile`: \"\" is not a valid name"),
    ("+profile = \"a\"\nrequired-profile = \"b\"", "2:11: `profile`: give it or required-profile"),
    (
        "+[challenge]\ntypes = [\"http01\"]",
        "3:10: `challenge.types`: \"http01\" is unknown; did you",
    ),
    ("+[challenge]\nhttp-01-port = 0", "3:16: `challenge.http-01-port`: a port is a number"),
    ("+[challenge]\nhttp-01-port = \"80\"", "it must be a port number, not a text"),
    ("+[challenge]\nhttp-01-address = \"lo\"", "3:19: `challenge.http-01-address`: invalid IP add"),
    ("+[challenge]\nwebroot = \"/w\"\nhttp-01-port = 80", "3:11: `challenge.webroot`: leave http"),
    (
        "+[hooks]\ndeploy = [\"systemctl\", \"reload\"]",
        "3:10: `hooks.deploy`: it is a list of comm",
    ),
    ("+[hooks]\ndeploy = \"x\"", "3:10: `hooks.deploy`: write it as a list"),
    ("+[hooks]\ndeploy = [[]]", "3:11: `hooks.deploy`: the command is empty"),
    ("+[hooks]\ndeploy = [[\"./x\"]]", "3:11: `hooks.deploy`: program \"./x\" is relative"),
    ("+targets = []", "2:11: `targets`: the list is empty"),
    ("+targets = \"nginx\"", "2:11: `targets`: write it as a list, [\"nginx\"]"),
    (
        "+targets = [\"nginx\", \"haproxy\"]",
        "2:21: `targets`: \"haproxy\" is not a valid target: w",
    ),
    ("+targets = [\"copy:tls\"]", "2:12: `targets`: \"tls\" is not a valid path: it must be abs"),
    ("+targets = [\"hook:a; b\"]", "2:12: `targets`: \"a; b\" is not a valid command: \"a; b\" n"),
    ("+targets = [\"k8s_secret:x\"]", "2:12: `targets`: \"k8s_secret:x\" is not a valid target: "),
    ("+targets = [\"nginx\", \"nginx\"]", "2:11: `targets`: the target nginx is listed twice"),
    (
        "+targets = [\"hook:x  y\"]\n[hooks]\ndeploy = [[\"x\", \"y\"]]",
        "2:11: `targets`: the target hook:x y is listed twice",
    ),
    ("+verify = [\"a.example:443\"]", "2:10: `verify`: it is a table and begins with a line of it"),
    ("+endpoints = [\"a.example:443\"]", "2:1: unknown key `endpoints`"),
    ("+[verify]\nendpoints = []", "3:13: `verify.endpoints`: the list is empty"),
    ("+[verify]\nendpoints = [\"a:0\"]", "3:14: `verify.endpoints`: \"a:0\" has no valid port"),
    (
        "+[verify]\nendpoints = [\"ftp://a\"]",
        "3:14: `verify.endpoints`: \"ftp\" is no way to begin",
    ),
    ("+[verify]\nattempts = 0", "3:12: `verify.attempts`: it must be a number from 1 to 100"),
    ("+[verify]\nattempts = 2.5", "3:12: `verify.attempts`: it must be a whole number, not a num"),
    ("+[verify]\nattempts = -1", "3:12: `verify.attempts`: it must be a number from 1 to 100"),
    ("+[verify]\nneeded = 6", "3:10: `verify.needed`: 6 of 5 `attempts` cannot agree"),
    ("+[verify]\nneeded = 0", "3:10: `verify.needed`: it must be a number from 1 to 100"),
    ("+[verify]\nneeded = 3\nattempts = 2", "3:10: `verify.needed`: 3 of 2 `attempts` cannot a"),
    ("+[verify]\nwithin = 10", "3:10: `verify.within`: it must be a time span in quotes, not a n"),
    (
        "+[verify]\nwithin = \"soon\"",
        "3:10: `verify.within`: \"soon\" is not a valid time span: write it as in \"90s\" or",
    ),
    ("+[verify]\nwithin = \"0s\"", "3:10: `verify.within`: it must be from 100ms to 10m"),
    ("+[verify]\nwithin = \"11m\"", "3:10: `verify.within`: it must be from 100ms to 10m"),
    ("+[verify]\nlatency = \"2m\"", "3:11: `verify.latency`: it must be from 0s to 1m"),
    ("+[verify]\nlatency-share = 1001", "3:17: `verify.latency-share`: it must be from 0 to 1000"),
    (
        "+[verify]\nhandshake-failures = 100.5",
        "3:22: `verify.handshake-failures`: it must be from 0 to 100 percent",
    ),
    (
        "+[verify]\nverification-errors = -0.1",
        "3:23: `verify.verification-errors`: it must be from 0 to 100 percent",
    ),
    ("+[verify]\nocsp-failures = nan", "3:17: `verify.ocsp-failures`: it must be from 0 to 100 p"),
    (
        "+[verify]\nocsp-failures = 9000000000000",
        "3:17: `verify.ocsp-failures`: it must be from 0 to 100 percent",
    ),
    (
        "+[verify]\nocsp-failures = \"5%\"",
        "3:17: `verify.ocsp-failures`: it must be a number of percent, not a text",
    ),
    ("+[verify]\nsample = 0", "3:10: `verify.sample`: it must be a number from 1 to 1000000"),
    ("+[verify]\nsoak = \"1m\"", "3:1: unknown key `verify.soak`"),
    ("+[rollout]\ndeadline = \"0s\"", "3:12: `rollout.deadline`: it must be from 1s to 30days"),
    (
        "+[rollout]\nfreeze-until = \"2027-01-04T08:00:00Z\"",
        "3:16: `rollout.freeze-until`: it must be a date and time with its offset, as in 2027",
    ),
    (
        "+[rollout]\nfreeze-until = 2027-01-04T08:00:00",
        "3:16: `rollout.freeze-until`: it must be a date and time with its offset, as in 2027",
    ),
    ("+[rollout]\nfreeze-until = 2027-01-04", "3:16: `rollout.freeze-until`: it must be a date"),
    ("+[rollout]\nwaves = 1", "3:1: unknown key `rollout.waves`"),
    ("+[rollout.wave]\npercent = 5", "2:1: `rollout.wave`: each begins with a line of its own, [["),
    ("+[[rollout.wave]]\npercent = 0", "3:11: `rollout.wave.percent`: it must be a number from 1 "),
    ("+[[rollout.wave]]\npercent = 101", "`rollout.wave.percent`: it must be a number from 1 to 1"),
    ("+[[rollout.wave]]\nsoak = \"31d\"", "3:8: `rollout.wave.soak`: it must be from 0s to 30days"),
    ("+[[rollout.wave]]\napprove = 1", "3:11: `rollout.wave.approve`: it must be true or false, n"),
    ("+[[rollout.wave]]\ntargets = []", "3:11: `rollout.wave.targets`: the list is empty"),
    (
        "+[[rollout.wave]]\n[[rollout.wave]]\ntargets = [\"web\"]",
        "4:11: `rollout.wave.targets`: a wave names web, which is not among the targets; there are",
    ),
    (
        "+targets = [\"web\", \"nginx\"]\n[[rollout.wave]]\ntargets = [\"nginx\", \"wbe\"]",
        "4:11: `rollout.wave.targets`: a wave names wbe, which is not among the targets; did you me",
    ),
    (
        "+targets = [\"web\"]\n[hooks]\ndeploy = [[\"x\"]]\n[[rollout.wave]]\ntargets = [\"copy:/d\"]",
        "6:11: `rollout.wave.targets`: a wave names copy:/d, which is not among the targets; they a",
    ),
    ("+[permissions]\nmode = \"0644\"", "3:8: `permissions.mode`: \"0644\" is not a valid mode"),
    ("+[permissions]\nmode = 640", "`permissions.mode`: it must be a text in quotes, not a number"),
    ("+[permissions]\ngroup = \"a b\"", "3:9: `permissions.group`: \"a b\" is not a valid user"),
    ("+[eab]\nhmac-key-env = \"K\"", "2:1: `eab.kid` is missing"),
    ("+[eab]\nkid = \"k\"", "2:1: `eab.hmac-key-file` is missing"),
    ("+[eab]\nkid = \"k\"\nhmac-key-env = \"A\"\nhmac-key = \"x\"", "3:7: `eab.kid`: only one"),
    (
        "+[eab]\nkid = \"k\"\nhmac-key-env = \"A\"\nalg = \"HS265\"",
        "5:7: `eab.alg`: \"HS265\" is unknown; known are HS256, HS384, HS512",
    ),
    ("+[eab]\nkid = \"k\"\nhmac-key-credential = \"../x\"", "4:23: `eab.hmac-key-credential`"),
];

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let first = "identifiers = [\"a.example\"]\n";
    for (text, part) in WRONG {
        let text = text.replacen('+', first, usize::from(text.starts_with('+')));
        let error = parse(&text).expect_err(&text).to_string();
        assert!(error.starts_with("a.toml:") && error.contains(part), "{text}\n{error}");
    }
}

#[test]
fn secrets_are_not_quoted_in_errors() {
    let text = "identifiers = [\"a.b\"]\n[eab]\nkid = \"k\"\nhmac-key = \"hunter 2\"";
    let error = parse(text).unwrap_err();
    assert!(error.to_string().contains("a.toml:4:12: `eab.hmac-key`"), "{error}");
    assert!(!format!("{error:?}{error}").contains("hunter"));
    let settings = parse(&text.replace("hunter 2", "hunter2")).unwrap();
    assert!(settings.holds_secret() && !format!("{settings:?}").contains("hunter2"));
}

#[test]
fn contradictions() {
    let with = |list: &[&str], kinds: &[ChallengeKind]| CertSettings {
        identifiers: names(list),
        challenges: kinds.to_vec(),
        dns: DnsSettings {
            providers: vec![DnsChoice::parse("rfc2136").unwrap()],
            ..DnsSettings::default()
        },
        ..CertSettings::default()
    };
    let (http, dns) = (ChallengeKind::Http01, ChallengeKind::Dns01);
    let table: [(&[&str], &[ChallengeKind], Option<&str>); 8] = [
        (&["a.b", "127.0.0.1"], &[http], None),
        (&["*.a.b", "a.b", "x.y.a.b"], &[http, dns], None),
        (&["*.a.b", "127.0.0.1"], &[dns, http], None),
        (&[], &[http], Some("no identifier is given")),
        (&["*.a.b"], &[http, ChallengeKind::TlsAlpn01], Some("by http-01 or tls-alpn-01")),
        (&["::1"], &[dns], Some("::1 cannot be proved by dns-01")),
        (&["x.a.b", "*.a.b"], &[dns], Some("*.a.b covers x.a.b already")),
        (&["::1", "0:0::1"], &[http], Some("::1 is listed twice")),
    ];
    for (list, kinds, problem) in table {
        let found = with(list, kinds).check().err().map(|error| error.to_string());
        match (&found, problem) {
            (None, None) => {}
            (Some(found), Some(part)) if found.contains(part) => {}
            _ => panic!("{list:?}: {found:?}"),
        }
    }
}

#[test]
fn a_new_file_explains_itself() {
    let path = Path::new("a.toml");
    let settings = CertSettings {
        identifiers: names(&["example.com", "127.0.0.1"]),
        cas: vec![CaChoice::Embedded],
        profile: Some(Profile::Preferred("shortlived".to_owned())),
        http01: Http01::Webroot(PathBuf::from("/var/www/html")),
        hooks: Hooks {
            deploy: vec![Command::split("systemctl reload nginx").unwrap()],
            ..Hooks::default()
        },
        ..CertSettings::default()
    };
    let text = settings.write_over(path, None).unwrap();
    let (greeting, body) = text.split_once("\n\n").unwrap();
    assert!(greeting.lines().all(|line| line.starts_with("# ")));
    let expected = r#"identifiers = ["example.com", "127.0.0.1"]
ca = ["embedded"]
profile = "shortlived"
key-type = "p256"

[challenge]
types = ["http-01"]
webroot = "/var/www/html"

[hooks]
deploy = [["systemctl", "reload", "nginx"]]
"#;
    assert_eq!(body, expected);
    assert_eq!(parse(&text).unwrap(), settings);
}

#[test]
fn nothing_is_touched_that_does_not_differ() {
    assert_eq!(write_over(FULL, |_| ()), FULL);
    let odd = "identifiers=[ 'A.Example' ]#x\n  key-type   = \"\"\"p256\"\"\"\nca = ['letsencrypt']\n\n\n#end";
    assert_eq!(write_over(odd, |_| ()), odd);
    let changed = write_over(odd, |settings| settings.key_type = KeyType::Rsa2048);
    assert_eq!(changed, odd.replace("\"\"\"p256\"\"\"", "\"rsa2048\""));
}

#[test]
fn only_what_differs_changes() {
    let changed = write_over(FULL, |settings| settings.key_type = KeyType::P256);
    assert_eq!(changed, FULL.replace("p384", "p256"));

    let changed = write_over(FULL, |settings| settings.reuse_key = false);
    assert_eq!(changed, FULL.replace("reuse-key = true\n", ""));

    let changed = write_over(FULL, |settings| settings.cas.truncate(1));
    assert_eq!(changed, FULL.replace(", \"https://ca.example/dir\"", ""));

    let changed = write_over(FULL, |settings| {
        settings.http01 = Http01::Webroot(PathBuf::from("/w"));
    });
    let (gone, come) = difference(FULL, &changed);
    assert_eq!(gone, ["http-01-address = \"::1\"", "http-01-port = 8080"]);
    assert_eq!(come, ["webroot = \"/w\""]);

    let changed = write_over(FULL, |settings| {
        settings.verify.handshake_failures = 0.005;
        settings.verify.within = Duration::from_secs(3);
        settings.verify.sample = Verify::default().sample;
        settings.rollout.freeze_until = Timestamp::parse("2028-01-04T08:00:00Z");
    });
    let (gone, come) = difference(FULL, &changed);
    let was = ["within = \"1m 30s\"", "handshake-failures = 2 # percent", "sample = 50"];
    assert_eq!(gone, [&was[..], &["freeze-until = 2027-01-04T09:00:00+01:00"]].concat());
    let is = ["within = \"3s\"", "handshake-failures = 0.5 # percent"];
    assert_eq!(come, [&is[..], &["freeze-until = 2028-01-04T08:00:00Z"]].concat());

    let changed = write_over(FULL, |settings| {
        settings.verify = Verify::default();
        settings.rollout.deadline = None;
        settings.rollout.freeze_until = None;
    });
    let waves = &FULL[FULL.find("# One first.").unwrap()..];
    assert!(!changed.contains("[verify]") && changed.ends_with(waves), "{changed}");

    let changed = write_over(FULL, |settings| settings.eab = None);
    assert_eq!(difference(FULL, &changed).0.len(), 4, "{changed}");
    assert!(!changed.contains("[eab]"));

    let changed = write_over("identifiers = [\"a.example\"]\n", |settings| {
        settings.email = Some(Email::parse("ops@example.com").unwrap());
        settings.challenges = vec![ChallengeKind::TlsAlpn01];
    });
    let expected = "identifiers = [\"a.example\"]\nemail = \"ops@example.com\"\n\n\
                    [challenge]\ntypes = [\"tls-alpn-01\"]\n";
    assert_eq!(changed, expected);
}

#[test]
fn comments_beside_list_elements_stay() {
    let comments =
        ["# The shop.", "# the shop", "# the old name", "# until 2027", "# in this order"];
    let edits: [&[&str]; 6] = [
        &["example.com", "www.example.com", "shop.example.org", "new.example"],
        &["www.example.com", "shop.example.org"],
        &["example.com", "www.example.com"],
        &["example.com"],
        &["shop.example.org", "a.example", "b.example"],
        &["www.example.com", "a.example"],
    ];
    for list in edits {
        let changed = write_over(FULL, |settings| settings.identifiers = names(list));
        for comment in comments {
            assert!(changed.contains(comment), "{comment} {changed}");
        }
    }
    let changed = write_over(FULL, |settings| {
        settings.identifiers.push(Identifier::parse("new.example").unwrap());
    });
    let expected = "    \"shop.example.org\", # until 2027\n    \"new.example\",\n]";
    assert!(changed.contains(expected), "{changed}");

    let changed = write_over(FULL, |settings| settings.identifiers.reverse());
    assert!(comments.iter().all(|comment| changed.contains(comment)), "{changed}");

    let changed = write_over(FULL, |settings| settings.cas.reverse());
    assert!(
        changed.contains("ca = [\"https://ca.example/dir\", \"letsencrypt\"] # in"),
        "{changed}"
    );
}

#[test]
fn comments_beside_targets_stay() {
    let targets = |list: &[&str]| -> Vec<TargetChoice> {
        list.iter().map(|target| TargetChoice::parse(target).unwrap()).collect()
    };
    for list in [
        &["web", "nginx"][..],
        &["copy:/d", "nginx", "web"],
        &["web", "haproxy:/run/haproxy/admin.sock", "nginx", "rustls:/run/a.sock"],
    ] {
        let changed = write_over(FULL, |settings| settings.targets = targets(list));
        for comment in ["# the front", "# of acmeagent.toml", "# One first.", "# long enough"] {
            assert!(changed.contains(comment), "{comment} {changed}");
        }
    }
    let text = "identifiers = [\"a.example\"]\n\n[hooks]\n# before\npre = [[\"/x\"]]\n";
    let changed = write_over(text, |settings| {
        settings.targets = targets(&["nginx"]);
        settings.verify.endpoints = vec![Endpoint::parse("a.example").unwrap()];
    });
    let text = text.replacen("\n\n", "\ntargets = [\"nginx\"]\n\n", 1);
    let expected = text + "\n[verify]\nendpoints = [\"a.example:443\"]\n";
    assert_eq!(changed, expected);
}

#[test]
fn waves_are_begun_with_and_then_left_alone() {
    let full = parse(FULL).unwrap();
    let begun = full.write_over(Path::new("a.toml"), None).unwrap();
    let expected = r#"
[rollout]
freeze-until = 2027-01-04T08:00:00Z
deadline = "6h"

[[rollout.wave]]
targets = ["web"]
percent = 5
soak = "10m"

[[rollout.wave]]
targets = ["hook:systemctl reload nginx", "nginx"]
approve = true
"#;
    assert!(begun.contains(expected), "{begun}");
    assert_eq!(parse(&begun).unwrap(), full);
    let only_waves = CertSettings {
        rollout: Rollout { waves: full.rollout.waves.clone(), ..Rollout::default() },
        ..full.clone()
    };
    let begun = only_waves.write_over(Path::new("a.toml"), None).unwrap();
    assert!(!begun.contains("[rollout]"), "{begun}");
    assert_eq!(parse(&begun).unwrap(), only_waves);
    // A key beside them comes into a table of its own.
    let changed = write_over(&begun, |settings| {
        settings.rollout.deadline = Some(Duration::from_secs(60));
    });
    assert!(changed.contains("\n[rollout]\ndeadline = \"1m\"\n"), "{changed}");

    let without = CertSettings { rollout: Rollout::default(), ..full };
    let changed = without.write_over(Path::new("a.toml"), Some(FULL)).unwrap();
    assert!(changed.contains(&FULL[FULL.find("# One first.").unwrap()..]), "{changed}");
}

#[test]
fn a_comment_about_more_than_a_removed_key_stays() {
    let text =
        "# About the file.\n\n# About reuse.\nreuse-key = true\nidentifiers = [\"a.example\"]\n";
    let changed = write_over(text, |settings| settings.reuse_key = false);
    assert_eq!(changed, "# About the file.\n\nidentifiers = [\"a.example\"]\n");
    let error = CertSettings::default().write_over(Path::new("a.toml"), Some("x = 1")).unwrap_err();
    assert!(matches!(error, ConfigError::UnknownKey { .. }));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test makes the files that are read")]
fn files_are_loaded_if_others_cannot_interfere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.toml");
    assert!(CertSettings::load(&path).unwrap().is_none());
    let plain = "identifiers = [\"a.example\"]\n";
    let secret = format!("{plain}[eab]\nkid = \"k\"\nhmac-key = \"hunter2\"\n");
    let table = [
        (plain, 0o644, true),
        (plain, 0o664, false),
        (plain, 0o602, false),
        (&secret, 0o600, true),
        (&secret, 0o640, false),
        (&secret, 0o604, false),
    ];
    for (text, mode, fits) in table {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        match CertSettings::load(&path) {
            Ok(found) => assert!(fits && found.unwrap().1 == text, "{mode:o}"),
            Err(error) => assert!(!fits && error.is_unsafe() && error.hint().is_some(), "{error}"),
        }
    }
}

fn any_span(least: u64, most: u64) -> impl Strategy<Value = Duration> {
    (least..=most).prop_map(Duration::from_millis)
}

fn any_verify() -> impl Strategy<Value = Verify> {
    let endpoint = prop::sample::select(vec!["a.example:1", "[::1]:443", "imap://b.example:143"]);
    let endpoints = prop::collection::vec(endpoint, 0..3);
    let looks = (1_u16..=100).prop_flat_map(|attempts| (Just(attempts), 1..=attempts));
    let spans = (any_span(100, 600_000), any_span(0, 60_000));
    let share =
        || prop_oneof![0.0..0.01, 0.0..1.0].prop_map(|share: f64| (share * 1e8).round() / 1e8);
    let shares = (share(), share(), share(), share());
    (endpoints, looks, spans, shares, 1..=1_000_000_u32).prop_map(
        |(endpoints, (attempts, needed), (within, latency), shares, sample)| Verify {
            endpoints: endpoints.into_iter().map(|text| Endpoint::parse(text).unwrap()).collect(),
            attempts,
            needed,
            within,
            handshake_failures: shares.0,
            verification_errors: shares.1,
            latency,
            latency_share: shares.2,
            ocsp_failures: shares.3,
            sample,
        },
    )
}

const TARGETS: [&str; 5] = ["nginx", "haproxy:127.0.0.1:9", "copy:/a b", "hook:/x 'a b'", "web"];

/// Targets, and a rollout over them whose waves are always the same.
fn any_rollout() -> impl Strategy<Value = (Vec<TargetChoice>, Rollout)> {
    let targets = prop::sample::subsequence(TARGETS[1..].to_vec(), 0..4).prop_shuffle();
    let deadline = prop::option::of(any_span(1000, 86_400_000));
    let freeze = prop::option::of((0_i64..4_000_000_000).prop_map(Timestamp::from_unix));
    (targets, deadline, freeze).prop_map(|(targets, deadline, freeze_until)| {
        let targets = [vec![TARGETS[0]], targets].concat();
        let wave = Wave {
            targets: vec![TARGETS[0].to_owned()],
            percent: Some(50),
            soak: Some(Duration::from_millis(1500)),
            approve: true,
        };
        let waves = vec![wave, Wave::default()];
        let targets = targets.into_iter().map(|text| TargetChoice::parse(text).unwrap());
        (targets.collect(), Rollout { waves, deadline, freeze_until })
    })
}

fn any_settings() -> impl Strategy<Value = CertSettings> {
    (any_identity(), any_verify(), any_rollout()).prop_map(|(identity, verify, rollout)| {
        let (targets, rollout) = rollout;
        CertSettings { targets, verify, rollout, ..identity }
    })
}

/// Settings without any of what follows the switch.
fn any_identity() -> impl Strategy<Value = CertSettings> {
    let hosts = prop::collection::btree_set("[a-z]{1,6}", 1..5);
    let words = prop::collection::vec("[^\0]{0,8}", 0..3);
    let commands = prop::collection::vec(words, 0..3);
    let key = prop::sample::select(KeyType::ALL.to_vec());
    let name = prop::option::of("[a-z][a-z ]{0,5}[a-z]");
    let webroot = prop::option::of("/[^\0/.]{0,9}");
    let port = prop::option::of(1_u16..);
    let rest = (webroot, port, any::<bool>(), prop::option::of(0_u32..0o70));
    (hosts, commands, key, name, rest).prop_map(|(hosts, commands, key_type, name, rest)| {
        let (webroot, port, reuse_key, mode) = rest;
        let command =
            |words: Vec<String>| Command::new([vec!["/x".to_owned()], words].concat()).unwrap();
        CertSettings {
            identifiers: hosts
                .iter()
                .map(|host| Identifier::parse(&format!("{host}.example")).unwrap())
                .collect(),
            key_type,
            reuse_key,
            profile: name.clone().map(Profile::Preferred),
            preferred_chain: name,
            http01: match webroot {
                Some(path) => Http01::Webroot(PathBuf::from(&path)),
                None => Http01::Standalone { address: None, port },
            },
            tls_alpn01_port: port,
            hooks: Hooks {
                deploy: commands.into_iter().map(command).collect(),
                ..Hooks::default()
            },
            permissions: Permissions {
                mode: mode.map(|bits| 0o400 | (bits & 0o60)),
                ..Permissions::default()
            },
            ..CertSettings::default()
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(one in any_settings(), other in any_settings()) {
        let path = Path::new("a.toml");
        let first = one.write_over(path, None).unwrap();
        prop_assert_eq!(&parse(&first).unwrap(), &one);
        let second = other.write_over(path, Some(&first)).unwrap();
        prop_assert_eq!(&parse(&second).unwrap(), &other, "{}", second);
        prop_assert_eq!(other.write_over(path, Some(&second)).unwrap(), second);
    }

    #[test]
    fn every_comment_of_a_list_survives(
        elements in prop::collection::btree_map("[a-z]{1,3}", 0_u8..32, 1..5),
        wanted in prop::collection::btree_set("[a-z]{1,2}", 1..5),
        comma in any::<bool>(),
        kept in any::<u8>(),
        turn in 0_usize..5,
    ) {
        let mut text = "identifiers = [".to_owned();
        let mut comments = Vec::new();
        for (nth, (host, style)) in elements.iter().enumerate() {
            let last = nth + 1 == elements.len();
            let pieces = [
                (1, format!("# above-{nth}\n"), true),
                (2, "\n    ".to_owned(), false),
                (0, format!("\"{host}.example\""), false),
                (4, format!("# before-{nth}\n"), true),
                (0, if last && !comma { "" } else { "," }.to_owned(), false),
                (8, format!(" # behind-{nth}\n"), true),
                (16, " ".to_owned(), false),
            ];
            for (bit, piece, is_comment) in pieces {
                if bit == 0 || style & bit != 0 {
                    text.push_str(&piece);
                    comments.extend(is_comment.then(|| piece.trim().to_owned()));
                }
            }
        }
        text.push_str("]\n");
        let mut settings = parse(&text).unwrap();
        let mut list = settings.identifiers.clone();
        let mut nth = 0;
        list.retain(|_| { nth += 1; kept & (1 << nth) != 0 });
        let added = wanted.iter().map(|host| Identifier::parse(&format!("{host}.example")).unwrap());
        list.extend(added.filter(|name| !settings.identifiers.contains(name)));
        prop_assume!(!list.is_empty());
        let turn = turn % list.len();
        list.rotate_left(turn);
        settings.identifiers = list;
        let changed = settings.write_over(Path::new("a.toml"), Some(&text)).unwrap();
        prop_assert_eq!(&parse(&changed).unwrap(), &settings, "{}\n{}", text, changed);
        for comment in comments {
            prop_assert!(changed.contains(&comment), "{} in\n{}\n{}", comment, text, changed);
        }
    }

    #[test]
    fn a_whole_file_can_be_changed(other in any_settings()) {
        // Its waves stay, and so must what they name.
        let full = parse(FULL).unwrap();
        let rollout = Rollout { waves: full.rollout.waves, ..other.rollout };
        let hooks = Hooks { deploy: full.hooks.deploy, ..other.hooks };
        let mut targets = other.targets;
        targets.retain(|target| target.label() != "web");
        targets.push(TargetChoice::parse("web").unwrap());
        let other = CertSettings { rollout, hooks, targets, ..other };
        let changed = other.write_over(Path::new("a.toml"), Some(FULL)).unwrap();
        prop_assert_eq!(&parse(&changed).unwrap(), &other, "{}", changed);
        for comment in ["# The shop.", "# the shop", "# the old name", "# until 2027"] {
            prop_assert!(changed.contains(comment), "{}", changed);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        let _ = parse(&text);
        let _ = parse(&format!("identifiers = [\"a.example\"]\n{text}"));
    }
}

const BY_DNS: &str = r#"identifiers = ["*.example.com"]
[challenge]
types = ["dns-01"]
dns = ["corp", "exec:/opt/dns"] # both
dns-credentials = "/etc/acmeagent/dns.toml"
dns-propagation-timeout = "2m"
dns-resolvers = ["192.0.2.53", "2001:db8::53"]
manual-auth-hook = ["/opt/auth", "two words"]
manual-cleanup-hook = ["/opt/cleanup"]
"#;

#[test]
fn every_key_of_the_dns_is_read_and_written() {
    let settings = parse(BY_DNS).unwrap();
    let dns = &settings.dns;
    let labels: Vec<_> = dns.providers.iter().map(DnsChoice::label).collect();
    assert_eq!(labels, ["manual", "corp", "exec:/opt/dns"]);
    assert_eq!(dns.credentials.as_ref().unwrap().as_str(), "/etc/acmeagent/dns.toml");
    assert_eq!(dns.propagation_timeout, Some(Duration::from_secs(120)));
    assert_eq!(dns.resolvers.len(), 2);
    assert_eq!(dns.manual_auth.as_ref().unwrap().argv(), ["/opt/auth", "two words"]);
    assert_eq!(write_over(BY_DNS, |_| {}), BY_DNS);

    let fresh = settings.write_over(Path::new("a.toml"), None).unwrap();
    assert_eq!(parse(&fresh).unwrap(), settings, "{fresh}");
    let changed = write_over(BY_DNS, |settings| {
        settings.dns.providers.pop();
        settings.dns.propagation_timeout = Some(Duration::ZERO);
        settings.dns.resolvers.clear();
    });
    let (gone, new) = difference(BY_DNS, &changed);
    assert_eq!(gone.len(), 3, "{gone:?}");
    assert_eq!(new, ["dns = [\"manual\", \"corp\"] # both", "dns-propagation-timeout = \"0s\""]);
    let without = write_over(BY_DNS, |settings| {
        settings.dns = DnsSettings::default();
        settings.dns.providers.push(DnsChoice::parse("rfc2136").unwrap());
    });
    assert!(without.ends_with("types = [\"dns-01\"]\ndns = [\"rfc2136\"] # both\n"), "{without}");
}

#[test]
fn what_is_wrong_with_the_dns_is_named() {
    let table = [
        ("dns = \"rfc2136\"", "write it as a list, [\"rfc2136\"]"),
        ("dns = [\"exec:dns | x\"]", "a.toml:3:8: `challenge.dns`: "),
        ("dns = [\"a\", \"a\"]", "the DNS provider a is listed twice"),
        ("dns = [\"manual\"]", "the DNS provider manual has no auth hook"),
        ("manual-cleanup-hook = [\"/x\"]", "the DNS provider manual has no auth hook"),
        ("manual-auth-hook = \"/x\"", "a command is a list of its words"),
        ("dns-credentials = \"dns.toml\"", "must be absolute"),
        ("dns-propagation-timeout = \"61m\"", "it must be from 0s to 1h"),
        ("dns-resolvers = [\"dns.example\"]", "`challenge.dns-resolvers`"),
        ("types = [\"http-01\", \"dns-01\"]", "dns-01 needs a DNS provider, and none is given"),
        ("types = [\"dns-account-01\"]", "dns-account-01 needs a DNS provider"),
    ];
    for (line, part) in table {
        let error = parse(&format!("identifiers = [\"a\"]\n[challenge]\n{line}")).unwrap_err();
        assert!(error.to_string().contains(part), "{line}: {error}");
    }
    parse("identifiers = [\"*.a\"]\n[challenge]\ntypes = [\"dns-persist-01\"]").unwrap();
    assert_eq!(keys::CERT.advice("dns-credentials"), "`dns-credentials` belongs into [challenge]");
}
