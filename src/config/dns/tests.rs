use super::*;
use crate::config::main_settings::MainSettings;
use crate::config::secret::SecretSource;

fn main(text: &str) -> Result<MainSettings, ConfigError> {
    MainSettings::parse(Path::new("acmeagent.toml"), text)
}

#[test]
fn short_forms_are_read_and_told_alike() {
    let table = [
        ("rfc2136", "rfc2136"),
        ("exec:/opt/dns", "exec:/opt/dns"),
        ("exec:  /opt/dns  'two words' \"\" ", "exec:/opt/dns 'two words' ''"),
        ("exec: nsupdate-hook -k \"/etc/a key\"", "exec:nsupdate-hook -k '/etc/a key'"),
        ("acme.sh:dns_cf", "acme.sh:dns_cf"),
        ("acme.sh:/root/.acme.sh/dnsapi/dns_cf.sh", "acme.sh:/root/.acme.sh/dnsapi/dns_cf.sh"),
        ("manual", "manual"),
        ("lego-exec:/opt/lego-hook --fast", "lego-exec:/opt/lego-hook --fast"),
        ("httpreq:https://dns.example:8443/api", "httpreq:https://dns.example:8443/api"),
        ("httpreq:https://DNS.example", "httpreq:https://dns.example/"),
        ("acme-dns:http://127.0.0.1:8053", "acme-dns:http://127.0.0.1:8053/"),
        ("acme-dns:http://[::1]:8053/", "acme-dns:http://[::1]:8053/"),
        ("acme-dns:http://localhost/", "acme-dns:http://localhost/"),
        ("cloudflare", "cloudflare"),
        ("corp-dns", "corp-dns"),
    ];
    for (text, label) in table {
        let choice = DnsChoice::parse(text).unwrap();
        assert_eq!(choice.label(), label, "{text}");
        assert_eq!(DnsChoice::parse(label).as_ref(), Ok(&choice), "{text}");
    }
    let parsed = DnsChoice::parse("exec:/opt/dns 'two words'").unwrap();
    let DnsChoice::Short(Kind::Exec(command), _) = parsed else { panic!("{parsed:?}") };
    assert_eq!(command.argv(), ["/opt/dns", "two words"]);
    assert_eq!(DnsChoice::parse("corp-dns"), Ok(DnsChoice::Named("corp-dns".to_owned())));
    assert_eq!(DnsChoice::parse("manual"), Ok(DnsChoice::Manual));
}

#[test]
fn what_is_no_provider_is_refused_with_the_nearest() {
    let long = format!("exec:/opt/dns {}", "x".repeat(500));
    let table = [
        ("", "1 to 64 characters"),
        ("Rfc2136", "1 to 64 characters"),
        ("rfc2136:x", "takes no argument"),
        ("manual:/opt/x", "takes no argument"),
        ("exec", "write it as exec:COMMAND"),
        ("exec: ", "write it as exec:COMMAND"),
        ("cloudflare:x", "takes no argument"),
        ("clodflare:x", "did you mean \"cloudflare\"?"),
        ("exce:/opt/dns", "did you mean \"exec\"?"),
        ("script:/opt/dns", "known are rfc2136, exec:COMMAND, acme.sh:dns_NAME, manual"),
        ("exec:./dns", "relative"),
        ("exec:a | b", "needs a shell"),
        ("exec:'a", "left open"),
        ("acme.sh", "write it as acme.sh:dns_NAME"),
        ("acme.sh:cf", "give its name, as in dns_cf"),
        ("acme.sh:dns_", "give its name, as in dns_cf"),
        ("acme.sh:dns_cf;id", "give its name, as in dns_cf"),
        ("acme.sh:../dns_cf.sh", "must be absolute"),
        ("acme.sh:dns_cf.sh", "must be absolute"),
        ("acme.sh:/etc/passwd", "must be called dns_NAME.sh"),
        ("acme.sh:/x/dns_$(id).sh", "must be called dns_NAME.sh"),
        ("httpreq", "write it as httpreq:URL"),
        ("httpreq:dns.example", "must begin with https://"),
        ("httpreq:http://dns.example/", "must begin with https://"),
        ("httpreq:http://127.0.0.1.example/", "must begin with https://"),
        ("httpreq:ftp://127.0.0.1/", "must begin with https://"),
        ("httpreq:https://me:pw@dns.example/", "stand in the credentials"),
        ("httpreq:https://dns.example/?token=x", "must end with its path"),
        ("acme-dns:", "write it as acme-dns:URL"),
        ("a\nb", "none of control"),
        (&long, "up to 500 characters"),
    ];
    for (text, part) in table {
        let error = DnsChoice::parse(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn paths_are_resolved_where_they_are_typed() {
    let resolve =
        |typed| DnsChoice::resolve(Path::new("/home/x"), typed).map(|one| one.label().to_owned());
    assert_eq!(resolve("acme.sh:dns_my.sh").unwrap(), "acme.sh:/home/x/dns_my.sh");
    assert_eq!(resolve("acme.sh:../dns_my.sh").unwrap(), "acme.sh:/home/dns_my.sh");
    assert_eq!(resolve("acme.sh:dns_my").unwrap(), "acme.sh:dns_my");
}

#[test]
fn tables_say_more() {
    let text = r#"
        [[dns]]
        name = "corp"
        kind = "rfc2136"
        zones = ["Example.com", "bücher.example"]
        credentials-file = "/etc/acmeagent/tsig.toml"

        [[dns]]
        name = "script"
        kind = "acme.sh"
        script = "/opt/dns_corp.sh"
        credentials-command = ["pass", "show", "dns"]

        [[dns]]
        name = "by-hand"
        kind = "manual"
        auth = ["/opt/auth", "a b"]

        [[dns]]
        name = "http"
        kind = "httpreq"
        url = "https://dns.example/"
        credentials-env = "DNS_CREDENTIALS"
    "#;
    let main = main(text).unwrap();
    let corp = main.dns("corp").unwrap();
    assert_eq!(corp.zones, ["example.com", "xn--bcher-kva.example"]);
    assert_eq!(corp.kind, Kind::Rfc2136);
    let file = AbsolutePath::parse("/etc/acmeagent/tsig.toml").unwrap();
    assert_eq!(corp.credentials, Some(SecretSource::File(file)));
    let script = main.dns("script").unwrap();
    assert_eq!(script.kind, Kind::AcmeSh(Script::At("/opt/dns_corp.sh".into())));
    assert!(matches!(&script.credentials, Some(SecretSource::Command(_))));
    assert!(script.zones.is_empty());
    let by_hand = main.dns("by-hand").unwrap();
    assert!(matches!(&by_hand.kind, Kind::Manual { cleanup: None, .. }));
    assert_eq!(by_hand.credentials, None);
    let table = [
        ("crop", "did you mean corp?"),
        ("exce", "did you mean exec:COMMAND?"),
        ("cloudflair", "did you mean cloudflare?"),
        ("whatever", "and here corp, script, by-hand, http"),
    ];
    for (name, part) in table {
        let error = main.dns(name).unwrap_err();
        assert!(error.hint().contains(part), "{name}: {}", error.hint());
    }
}

#[test]
fn tables_refuse_what_does_not_belong() {
    let table = [
        ("", "1:1: `dns.name` is missing"),
        ("name = \"x\"", "1:1: `dns.kind` is missing"),
        ("name = \"exec\"\nkind = \"exec\"", "2:8: `dns.name`: a kind of DNS providers has that"),
        ("name = \"x\"\nkind = \"excec\"", "3:8: `dns.kind`: \"excec\" is unknown; did you mean"),
        ("name = \"x\"\nkind = \"exec\"", "1:1: `dns.command` is missing"),
        ("name = \"x\"\nkind = \"exec\"\ncommand = \"/opt/dns\"", "a command is a list"),
        (
            "name = \"x\"\nkind = \"exec\"\nurl = \"https://x\"",
            "4:7: `dns.url`: it does not belong to kind exec, which has command",
        ),
        (
            "name = \"x\"\nkind = \"rfc2136\"\nurl = \"https://x\"",
            "4:7: `dns.url`: it does not belong to kind rfc2136, which has none",
        ),
        ("name = \"x\"\nkind = \"rfc2136\"\nzone = [\"x\"]", "4:1: unknown key `dns.zone`"),
        ("name = \"x\"\nkind = \"rfc2136\"\nzones = [\"*.x\"]", "4:10: `dns.zones`: a zone has no"),
        ("name = \"x\"\nkind = \"rfc2136\"\nzones = []", "4:9: `dns.zones`: the list is empty"),
        ("name = \"x\"\nkind = \"manual\"", "1:1: `dns.auth` is missing"),
        ("name = \"x\"\nkind = \"httpreq\"\nurl = \"http://x\"", "4:7: `dns.url`: \"http://x\" is"),
        (
            "name = \"x\"\nkind = \"rfc2136\"\ncredentials-env = \"A\"\ncredentials-file = \"/a\"",
            "`dns.name`: only one of its credentials may be given",
        ),
        (
            "name = \"x\"\nkind = \"rfc2136\"\n[[dns]]\nname = \"x\"\nkind = \"rfc2136\"",
            "5:8: `dns.name`: another [[dns]] has that name",
        ),
    ];
    for (text, part) in table {
        let error = main(&format!("[[dns]]\n{text}")).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}
