//! From what a company was told to the library's hands.

use std::collections::HashMap;
use std::time::Duration;

use dns_update::DnsUpdater as Make;
use dns_update::providers::azuredns::{AzureDnsConfig, AzureEnvironment};
use dns_update::providers::bluecatv2::BluecatV2Config;
use dns_update::providers::edgedns::EdgeDnsConfig;
use dns_update::providers::google_cloud_dns::GoogleCloudDnsConfig;
use dns_update::providers::infoblox::InfobloxConfig;
use dns_update::providers::joker::JokerAuth;
use dns_update::providers::lightsail::LightsailConfig;
use dns_update::providers::oraclecloud::OracleCloudConfig;
use dns_update::providers::ovh::OvhEndpoint;
use dns_update::providers::route53::Route53Config;
use dns_update::providers::volcengine::VolcengineConfig;
use dns_update::providers::yandexcloud::YandexCloudConfig;
use dns_update::{DnsUpdater, Error};

use crate::challenge::dns01::credentials::Credentials;

/// For one request of the several that a change may take.
const TIMEOUT: Option<Duration> = Some(Duration::from_secs(20));

/// Credentials that were judged: what is required is there.
pub(super) struct Told<'a>(pub(super) &'a Credentials);

pub(super) type Updater = fn(&Told<'_>) -> dns_update::Result<DnsUpdater>;

/// Finds how the hands of a company are made.
pub(super) fn of(name: &str) -> Option<Updater> {
    let place = UPDATERS.binary_search_by_key(&name, |(name, _)| name).ok()?;
    Some(UPDATERS[place].1)
}

impl Told<'_> {
    fn text(&self, key: &str) -> String {
        self.maybe(key).unwrap_or_default()
    }

    fn maybe(&self, key: &str) -> Option<String> {
        self.0.get(key).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn flag(&self, key: &str) -> dns_update::Result<bool> {
        match self.0.get(key) {
            Some("true") => Ok(true),
            None | Some("false" | "") => Ok(false),
            Some(_) => Err(Error::Parse(format!("`{key}` is neither true nor false"))),
        }
    }

    fn token(&self) -> String {
        self.text("token")
    }

    fn key(&self) -> String {
        self.text("key")
    }

    fn secret(&self) -> String {
        self.text("secret")
    }

    fn user(&self) -> String {
        self.text("user")
    }

    fn password(&self) -> String {
        self.text("password")
    }

    fn region(&self) -> Option<String> {
        self.maybe("region")
    }

    fn session(&self) -> Option<String> {
        self.maybe("session-token")
    }
}

/// In the order of the table of companies.
pub(super) static UPDATERS: &[(&str, Updater)] = &[
    ("alidns", |it| {
        let (line, session) = (it.maybe("line"), it.session());
        Make::new_alidns(it.key(), it.secret(), it.region(), session, line, TIMEOUT)
    }),
    ("arvancloud", |it| Make::new_arvancloud(it.key(), TIMEOUT)),
    ("autodns", |it| {
        let number = |text: String| text.parse::<u32>();
        let context = it.maybe("context").map(number).transpose();
        let context = context.map_err(|_| Error::Parse("`context` is no number".to_owned()))?;
        Make::new_autodns(it.user(), it.password(), context, TIMEOUT)
    }),
    ("azure", azure),
    ("baiducloud", |it| Make::new_baiducloud(it.key(), it.secret(), TIMEOUT)),
    ("bluecat", |it| {
        Make::new_bluecatv2(BluecatV2Config {
            server_url: it.text("url"),
            username: it.user(),
            password: it.password(),
            config_name: it.text("configuration"),
            view_name: it.text("view"),
            skip_deploy: it.flag("skip-deploy")?,
            request_timeout: TIMEOUT,
        })
    }),
    ("bunny", |it| Make::new_bunny(it.key(), TIMEOUT)),
    ("cloudflare", |it| Make::new_cloudflare(it.token(), TIMEOUT)),
    ("cloudns", |it| Make::new_cloudns(it.maybe("id"), it.maybe("sub-id"), it.password(), TIMEOUT)),
    ("constellix", |it| Make::new_constellix(it.key(), it.secret(), TIMEOUT)),
    ("cpanel", |it| Make::new_cpanel(it.text("url"), it.user(), it.token(), TIMEOUT)),
    ("ddnss", |it| Make::new_ddnss(it.key(), TIMEOUT)),
    ("desec", |it| Make::new_desec(it.token(), TIMEOUT)),
    ("digitalocean", |it| Make::new_digitalocean(it.token(), TIMEOUT)),
    ("dnsimple", |it| Make::new_dnsimple(it.token(), it.text("account"), TIMEOUT)),
    ("dnsmadeeasy", |it| Make::new_dnsmadeeasy(it.key(), it.secret(), TIMEOUT)),
    ("domeneshop", |it| Make::new_domeneshop(it.token(), it.secret(), TIMEOUT)),
    ("dreamhost", |it| Make::new_dreamhost(it.key(), TIMEOUT)),
    ("duckdns", |it| Make::new_duckdns(it.token(), TIMEOUT)),
    ("dynu", |it| Make::new_dynu(it.key(), TIMEOUT)),
    ("easydns", |it| Make::new_easydns(it.token(), it.key(), TIMEOUT)),
    ("edgedns", |it| {
        Make::new_edgedns(EdgeDnsConfig {
            host: it.text("host"),
            client_token: it.text("client-token"),
            client_secret: it.text("client-secret"),
            access_token: it.text("access-token"),
            account_switch_key: it.maybe("account-switch-key"),
            request_timeout: TIMEOUT,
        })
    }),
    ("exoscale", |it| Make::new_exoscale(it.key(), it.secret(), TIMEOUT)),
    ("freemyip", |it| Make::new_freemyip(it.token(), TIMEOUT)),
    ("gandi", |it| Make::new_gandiv5(it.token(), TIMEOUT)),
    ("gcore", |it| Make::new_gcore(it.token(), TIMEOUT)),
    ("glesys", |it| Make::new_glesys(it.user(), it.key(), TIMEOUT)),
    ("godaddy", |it| Make::new_godaddy(it.key(), it.secret(), TIMEOUT)),
    ("google", |it| {
        Make::new_google_cloud_dns(GoogleCloudDnsConfig {
            service_account_json: it.text("service-account"),
            project_id: it.text("project"),
            managed_zone: it.maybe("zone"),
            private_zone: it.flag("private")?,
            impersonate_service_account: it.maybe("impersonate"),
            request_timeout: TIMEOUT,
        })
    }),
    ("hetzner", |it| Make::new_hetzner(it.token(), TIMEOUT)),
    ("hostingde", |it| Make::new_hostingde(it.key(), TIMEOUT)),
    ("hostinger", |it| Make::new_hostinger(it.token(), TIMEOUT)),
    ("huaweicloud", |it| Make::new_huaweicloud(it.key(), it.secret(), it.text("region"), TIMEOUT)),
    ("hurricane", |it| Make::new_hurricane(HashMap::from([(it.text("zone"), it.key())]), TIMEOUT)),
    ("ibmcloud", |it| Make::new_ibmcloud(it.user(), it.key(), TIMEOUT)),
    ("infoblox", |it| {
        Make::new_infoblox(InfobloxConfig {
            host: it.text("host"),
            port: it.maybe("port"),
            username: it.user(),
            password: it.password(),
            wapi_version: it.maybe("wapi-version"),
            dns_view: it.maybe("view"),
            request_timeout: TIMEOUT,
        })
    }),
    ("infomaniak", |it| Make::new_infomaniak(it.token(), TIMEOUT)),
    ("inwx", |it| Make::new_inwx(it.user(), it.password(), false, TIMEOUT)),
    ("ionos", |it| Make::new_ionos(it.key(), TIMEOUT)),
    ("ipv64", |it| Make::new_ipv64(it.key(), TIMEOUT)),
    ("joker", |it| {
        let (username, password) = (it.user(), it.password());
        let by_password = || JokerAuth::UsernamePassword { username, password };
        Make::new_joker(it.maybe("key").map_or_else(by_password, JokerAuth::ApiKey), TIMEOUT)
    }),
    ("lightsail", |it| {
        Make::new_lightsail(LightsailConfig {
            access_key_id: it.key(),
            secret_access_key: it.secret(),
            session_token: it.session(),
            region: it.region(),
            domain: None,
            request_timeout: TIMEOUT,
        })
    }),
    ("linode", |it| Make::new_linode(it.token(), TIMEOUT)),
    ("luadns", |it| Make::new_luadns(it.user(), it.token(), TIMEOUT)),
    ("mythicbeasts", |it| Make::new_mythicbeasts(it.user(), it.password(), TIMEOUT)),
    ("namecheap", |it| {
        let (address, behalf) = (it.text("client-ip"), it.maybe("for-user"));
        Make::new_namecheap(it.user(), it.key(), address, behalf, TIMEOUT)
    }),
    ("namecom", |it| Make::new_namedotcom(it.user(), it.token(), TIMEOUT)),
    ("namesilo", |it| Make::new_namesilo(it.key(), TIMEOUT)),
    ("netcup", |it| Make::new_netcup(it.text("customer"), it.key(), it.password(), TIMEOUT)),
    ("netlify", |it| Make::new_netlify(it.token(), TIMEOUT)),
    ("nifcloud", |it| Make::new_nifcloud(it.key(), it.secret(), TIMEOUT)),
    ("ns1", |it| Make::new_ns1(it.key(), TIMEOUT)),
    ("oracle", |it| {
        Make::new_oraclecloud(OracleCloudConfig {
            tenancy_ocid: it.text("tenancy"),
            user_ocid: it.user(),
            fingerprint: it.text("fingerprint"),
            private_key_pem: it.text("private-key"),
            private_key_password: it.maybe("private-key-password"),
            region: it.text("region"),
            compartment_ocid: it.text("compartment"),
            request_timeout: TIMEOUT,
        })
    }),
    ("ovh", |it| {
        let endpoint = it.maybe("endpoint").unwrap_or_else(|| "ovh-eu".to_owned());
        let endpoint: OvhEndpoint = endpoint.parse()?;
        let (key, secret) = (it.text("application-key"), it.text("application-secret"));
        Make::new_ovh(key, secret, it.text("consumer-key"), endpoint, TIMEOUT)
    }),
    ("pdns", |it| Make::new_pdns(it.key(), it.maybe("url"), it.maybe("server"), TIMEOUT)),
    ("plesk", |it| Make::new_plesk(it.text("url"), it.key(), TIMEOUT)),
    ("porkbun", |it| Make::new_porkbun(it.key(), it.secret(), TIMEOUT)),
    ("route53", |it| {
        Make::new_route53(Route53Config {
            access_key_id: it.key(),
            secret_access_key: it.secret(),
            session_token: it.session(),
            region: it.region(),
            hosted_zone_id: it.maybe("zone"),
            private_zone_only: it.flag("private")?.then_some(true),
            endpoint: None,
        })
    }),
    ("safedns", |it| Make::new_safedns(it.token(), TIMEOUT)),
    ("scaleway", |it| Make::new_scaleway(it.token(), TIMEOUT)),
    ("selectel", |it| {
        let (account, project) = (it.text("account"), it.text("project"));
        Make::new_selectel(it.user(), it.password(), account, project, TIMEOUT)
    }),
    ("simply", |it| Make::new_simplycom(it.text("account"), it.key(), TIMEOUT)),
    ("spaceship", |it| Make::new_spaceship(it.key(), it.secret(), TIMEOUT)),
    ("tencentcloud", |it| {
        Make::new_tencentcloud(it.text("id"), it.key(), it.region(), it.session(), TIMEOUT)
    }),
    ("transip", |it| {
        let global = it.flag("global-key")?;
        Make::new_transip(it.user(), it.text("private-key"), global, TIMEOUT)
    }),
    ("ultradns", |it| Make::new_ultradns(it.user(), it.password(), it.maybe("url"), TIMEOUT)),
    ("vercel", |it| Make::new_vercel(it.token(), it.maybe("team"), TIMEOUT)),
    ("volcengine", |it| {
        Make::new_volcengine(VolcengineConfig {
            access_key: it.key(),
            secret_key: it.secret(),
            region: it.region(),
            host: it.maybe("host"),
            scheme: None,
            request_timeout: TIMEOUT,
        })
    }),
    ("vultr", |it| Make::new_vultr(it.key(), TIMEOUT)),
    ("websupport", |it| Make::new_websupport(it.key(), it.secret(), TIMEOUT)),
    ("yandexcloud", |it| {
        Make::new_yandexcloud(YandexCloudConfig {
            iam_token_b64: it.text("service-account"),
            folder_id: it.text("folder"),
            request_timeout: TIMEOUT,
        })
    }),
    ("zoneee", |it| Make::new_zoneeu(it.user(), it.key(), TIMEOUT)),
];

fn azure(it: &Told<'_>) -> dns_update::Result<DnsUpdater> {
    let environment = match it.maybe("cloud").as_deref() {
        None | Some("public") => AzureEnvironment::Public,
        Some("china") => AzureEnvironment::China,
        Some("usgovernment") => AzureEnvironment::UsGovernment,
        Some(_) => {
            let why = "`cloud` is none of public, china, usgovernment";
            return Err(Error::Parse(why.to_owned()));
        }
    };
    Make::new_azuredns(AzureDnsConfig {
        tenant_id: it.text("tenant"),
        client_id: it.text("client"),
        client_secret: it.secret(),
        subscription_id: it.text("subscription"),
        resource_group: it.text("resource-group"),
        environment,
        request_timeout: TIMEOUT,
    })
}
