//! Who they are, and what each wants to be told; by name, for they are searched.

use super::{Company, Key};

/// API token of the user; where it can be limited, to the one zone.
const TOKEN: Key = Key::secret("token");
const KEY: Key = Key::secret("key");
const SECRET: Key = Key::secret("secret");
const USER: Key = Key::plain("user");
const PASSWORD: Key = Key::secret("password");
/// The half of a pair of keys that is no secret.
const ID: Key = Key::plain("key");
const REGION: Key = Key::plain("region");
const SESSION: Key = Key::secret("session-token").optional().is("of temporary credentials");

pub(super) static COMPANIES: &[Company] = &[
    Company::new(
        "alidns",
        "Alibaba Cloud DNS",
        &[ID, SECRET, REGION.optional(), SESSION, Key::plain("line").optional()],
    )
    .ttl(600),
    Company::new("arvancloud", "ArvanCloud", &[KEY]).ttl(600),
    Company::new(
        "autodns",
        "AutoDNS (InterNetX)",
        &[USER, PASSWORD, Key::plain("context").optional().is("a number; 4 unless given")],
    )
    .ttl(600),
    Company::new(
        "azure",
        "Azure DNS",
        &[
            Key::plain("tenant"),
            Key::plain("client").is("application (client) ID of a service principal"),
            SECRET.is("its client secret"),
            Key::plain("subscription"),
            Key::plain("resource-group"),
            Key::plain("cloud").optional().is("public, china or usgovernment"),
        ],
    ),
    Company::new("baiducloud", "Baidu Cloud DNS", &[ID, SECRET]).ttl(300),
    Company::new(
        "bluecat",
        "BlueCat Address Manager",
        &[
            Key::plain("url"),
            USER,
            PASSWORD,
            Key::plain("configuration"),
            Key::plain("view"),
            Key::plain("skip-deploy").optional().is("true: changes wait for somebody to deploy"),
        ],
    ),
    Company::new("bunny", "Bunny DNS", &[KEY]),
    Company::new(
        "cloudflare",
        "Cloudflare",
        &[TOKEN.is("API token with Zone:Read and DNS:Edit for the zone")],
    ),
    Company::new(
        "cloudns",
        "ClouDNS",
        &[
            Key::plain("id").optional().is("auth-id; or sub-id"),
            Key::plain("sub-id").optional().is("sub-auth-id, limited to zones"),
            PASSWORD,
        ],
    ),
    Company::new("constellix", "Constellix", &[KEY, SECRET]),
    Company::new(
        "cpanel",
        "cPanel",
        &[Key::plain("url").is("as in https://cpanel.example.com:2083"), USER, TOKEN],
    )
    .ttl(300),
    Company::new("ddnss", "DDNSS.de", &[KEY]).single(),
    Company::new("desec", "deSEC", &[TOKEN]).ttl(3600),
    Company::new("digitalocean", "DigitalOcean", &[TOKEN]),
    Company::new("dnsimple", "DNSimple", &[TOKEN, Key::plain("account").is("account number")]),
    Company::new("dnsmadeeasy", "DNS Made Easy", &[KEY, SECRET]),
    Company::new("domeneshop", "Domeneshop", &[TOKEN, SECRET]).ttl(300),
    Company::new("dreamhost", "DreamHost", &[KEY]),
    Company::new("duckdns", "Duck DNS", &[TOKEN]).single(),
    Company::new("dynu", "Dynu", &[KEY]).ttl(300),
    Company::new("easydns", "easyDNS", &[TOKEN, KEY]),
    Company::new(
        "edgedns",
        "Akamai Edge DNS",
        &[
            Key::plain("host").is("as in akab-….luna.akamaiapis.net"),
            Key::secret("client-token"),
            Key::secret("client-secret"),
            Key::secret("access-token"),
            Key::plain("account-switch-key").optional(),
        ],
    ),
    Company::new("exoscale", "Exoscale", &[ID, SECRET]),
    Company::new("freemyip", "freemyip.com", &[TOKEN]).single(),
    Company::new("gandi", "Gandi LiveDNS", &[TOKEN.is("personal access token")]).ttl(300),
    Company::new("gcore", "Gcore", &[TOKEN]),
    Company::new("glesys", "GleSYS", &[USER.is("project, as in cl12345"), KEY]),
    Company::new("godaddy", "GoDaddy", &[KEY, SECRET]).ttl(600),
    Company::new(
        "google",
        "Google Cloud DNS",
        &[
            Key::secret("service-account").is("the JSON text of its key, between '''"),
            Key::plain("project"),
            Key::plain("zone").optional().is("the managed zone's name"),
            Key::plain("private").optional().is("true: private zones only"),
            Key::plain("impersonate").optional().is("e-mail of another service account"),
        ],
    ),
    Company::new("hetzner", "Hetzner", &[TOKEN.is("of the project in the Cloud Console")]),
    Company::new("hostingde", "hosting.de", &[KEY]),
    Company::new("hostinger", "Hostinger", &[TOKEN]),
    Company::new("huaweicloud", "Huawei Cloud DNS", &[ID, SECRET, REGION]).ttl(300),
    Company::new(
        "hurricane",
        "Hurricane Electric",
        &[
            Key::plain("zone").is("as in example.com"),
            KEY.is("the dynamic DNS key of the TXT record, which must exist"),
        ],
    )
    .single(),
    Company::new("ibmcloud", "IBM Cloud (classic)", &[USER, KEY]),
    Company::new(
        "infoblox",
        "Infoblox NIOS",
        &[
            Key::plain("host"),
            Key::plain("port").optional(),
            USER,
            PASSWORD,
            Key::plain("wapi-version").optional(),
            Key::plain("view").optional(),
        ],
    ),
    Company::new("infomaniak", "Infomaniak", &[TOKEN]).ttl(300),
    Company::new("inwx", "INWX", &[USER, PASSWORD]).ttl(300),
    Company::new("ionos", "IONOS", &[KEY.is("as in prefix.secret")]).ttl(300),
    Company::new("ipv64", "IPv64.net", &[KEY]),
    Company::new(
        "joker",
        "Joker.com",
        &[KEY.optional().is("or user and password"), USER.optional(), PASSWORD.optional()],
    ),
    Company::new("lightsail", "Amazon Lightsail", &[ID, SECRET, SESSION, REGION.optional()]),
    Company::new("linode", "Linode (Akamai)", &[TOKEN]).ttl(300),
    Company::new("luadns", "LuaDNS", &[USER, TOKEN]).ttl(300),
    Company::new("mythicbeasts", "Mythic Beasts", &[USER.is("ID of an API key"), PASSWORD]),
    Company::new(
        "namecheap",
        "Namecheap",
        &[
            USER,
            KEY,
            Key::plain("client-ip").is("the address of this host that is let in"),
            Key::plain("for-user").optional().is("on whose behalf"),
        ],
    ),
    Company::new("namecom", "Name.com", &[USER, TOKEN]).ttl(300),
    Company::new("namesilo", "NameSilo", &[KEY]).ttl(3600),
    Company::new("netcup", "netcup", &[Key::plain("customer").is("number"), KEY, PASSWORD]),
    Company::new("netlify", "Netlify", &[TOKEN]).ttl(300),
    Company::new("nifcloud", "NIFCLOUD", &[ID, SECRET]),
    Company::new("ns1", "NS1 (IBM)", &[KEY]),
    Company::new(
        "oracle",
        "Oracle Cloud",
        &[
            Key::plain("tenancy").is("OCID"),
            USER.is("OCID"),
            Key::plain("fingerprint"),
            Key::secret("private-key").is("PEM text, between '''"),
            Key::secret("private-key-password").optional(),
            REGION,
            Key::plain("compartment").is("OCID"),
        ],
    ),
    Company::new(
        "ovh",
        "OVHcloud",
        &[
            Key::plain("endpoint").optional().is("ovh-eu (if not given), ovh-ca, ovh-us, …"),
            Key::plain("application-key"),
            Key::secret("application-secret"),
            Key::secret("consumer-key"),
        ],
    ),
    Company::new(
        "pdns",
        "PowerDNS Authoritative Server",
        &[
            Key::plain("url").optional().is("http://localhost:8081 if not given"),
            KEY,
            Key::plain("server").optional().is("localhost if not given"),
        ],
    ),
    Company::new(
        "plesk",
        "Plesk",
        &[Key::plain("url").is("as in https://plesk.example.com:8443"), KEY],
    ),
    Company::new("porkbun", "Porkbun", &[KEY, SECRET]).ttl(600),
    Company::new(
        "route53",
        "Amazon Route 53",
        &[
            ID.is("access key ID"),
            SECRET.is("secret access key"),
            SESSION,
            REGION.optional(),
            Key::plain("zone").optional().is("ID of the hosted zone"),
            Key::plain("private").optional().is("true: private zones only"),
        ],
    ),
    Company::new("safedns", "ANS SafeDNS", &[TOKEN]),
    Company::new("scaleway", "Scaleway", &[TOKEN.is("secret key")]),
    Company::new(
        "selectel",
        "Selectel",
        &[USER.is("service user"), PASSWORD, Key::plain("account"), Key::plain("project")],
    ),
    Company::new("simply", "Simply.com", &[Key::plain("account"), KEY]),
    Company::new("spaceship", "Spaceship", &[KEY, SECRET]),
    Company::new(
        "tencentcloud",
        "Tencent Cloud DNSPod",
        &[Key::plain("id"), KEY, REGION.optional(), SESSION],
    )
    .ttl(600),
    Company::new(
        "transip",
        "TransIP",
        &[
            USER,
            Key::secret("private-key").is("PEM text, between '''"),
            Key::plain("global-key").optional().is("true: a key for any address"),
        ],
    )
    .ttl(300),
    Company::new("ultradns", "UltraDNS (Vercara)", &[USER, PASSWORD, Key::plain("url").optional()]),
    Company::new("vercel", "Vercel", &[TOKEN, Key::plain("team").optional()]),
    Company::new(
        "volcengine",
        "Volcano Engine",
        &[ID, SECRET, REGION.optional(), Key::plain("host").optional()],
    )
    .ttl(600),
    Company::new("vultr", "Vultr", &[KEY]),
    Company::new("websupport", "Websupport", &[KEY, SECRET]).ttl(600),
    Company::new(
        "yandexcloud",
        "Yandex Cloud",
        &[Key::secret("service-account").is("its key's JSON, in base64"), Key::plain("folder")],
    ),
    Company::new("zoneee", "Zone.eu", &[USER, KEY]).ttl(300),
];
