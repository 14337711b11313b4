//! Clusters that ask who comes and let nobody read along, and listeners that do: real brokers' listeners over TLS with every
//! mechanism of SASL, and Java's client before Fishplate.

use crate::harness::cluster::Cluster;
use crate::harness::config::Config;
use crate::harness::metrics::Metrics;
use crate::harness::proxy::Proxy;
use crate::harness::secured::{LIFETIME_MS, PASSWORD, USER};
use crate::harness::topics::Topics;
use crate::harness::wait;
use crate::load::{Load, client};
use crate::login::Client;
use crate::tokens::{Ends, Site, claims_of};
use crate::world::{World, full, shared};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libtest_mimic::Trial;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::Value;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const WITHIN: Duration = wait::seconds(30);
const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

pub fn trials() -> Vec<Trial> {
    let logged_in = MECHANISMS.map(|mechanism| {
        shared(format!("secured: clusters are entered over TLS with {mechanism}"), move |world| {
            over_tls_with(world, mechanism);
        })
    });
    let others = vec![
        shared("secured: a cluster is entered over TLS with a token out of a file", with_a_token),
        shared("secured: tokens that an issuer signed are taken by Kafka 4.3 and 3.9, and no others", signed_tokens),
        shared("secured: tokens of seconds out of an endpoint are renewed, and no link ends", from_an_endpoint),
        shared("secured: traffic goes on while logins of five seconds are renewed", renewed),
        shared("secured: a wrong password is one clear line and no storm, and a reload mends it", wrong_password),
        shared("secured: a cluster whose certificate nobody knows is not entered", unknown_authority),
        shared(
            "secured: Java's client comes over TLS, and with a certificate where one is asked for",
            clients_over_tls,
        ),
    ];
    logged_in.into_iter().chain(others).collect()
}

fn sasl(mechanism: &str, password: &str) -> String {
    format!("sasl: {{ mechanism: {mechanism}, username: {USER}, password: \"{password}\" }}")
}

/// Cluster a over TLS with SASL, cluster b over TLS with a client certificate.
fn config(world: &World, mechanism: &str, password: &str, name: &str) -> Config {
    let keys = format!("{}, {}", world.a.pki().tls(), sasl(mechanism, password));
    let config = Config::two_clusters(&world.a.secured(), &world.b.mutual()).only(name);
    config.keys("a", &keys).keys("b", &world.b.pki().mutual_tls())
}

/// A topic on each cluster.
fn topics(world: &World, name: &str) -> [String; 2] {
    let names = [format!("a-{name}"), format!("b-{name}")];
    for (cluster, topic, replicas) in [(&world.a, &names[0], 3), (&world.b, &names[1], 1)] {
        Topics::of(&cluster.bootstrap()).create(topic, 3, replicas);
    }
    names
}

fn over_tls_with(world: &World, mechanism: &str) {
    let name = format!("secured-{}", mechanism.to_lowercase());
    let topics = topics(world, &name);
    let proxy = world.start_proxy(&config(world, mechanism, PASSWORD, &name));
    let load = Load::start(&proxy.bootstrap(), &[&topics[0], &topics[1]]);
    load.flows(WITHIN);
    load.judge(&[&world.a, &world.b]).must_be_clean();
    proxy.finish();
}

/// As Kafka's own validator for tests takes them: unsigned.
fn with_a_token(world: &World) {
    let name = "secured-token";
    let topics = topics(world, name);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let claims = format!("{{\"sub\":\"{USER}\",\"iat\":{now},\"exp\":{}}}", now + 3_600);
    let [head, claims] = ["{\"alg\":\"none\"}", &claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let file = world.directory.join("cluster.token");
    fs::write(&file, format!("{head}.{claims}.")).expect("a file");
    let keys =
        format!("{}, sasl: {{ mechanism: OAUTHBEARER, token_file: \"{}\" }}", world.a.pki().tls(), file.display());
    let config = Config::two_clusters(&world.a.secured(), &world.b.mutual()).only(name);
    let proxy = world.start_proxy(&config.keys("a", &keys).keys("b", &world.b.pki().mutual_tls()));
    let load = Load::start(&proxy.bootstrap(), &[&topics[0]]);
    load.flows(WITHIN);
    load.judge(&[&world.a]).must_be_clean();
    proxy.finish();
}

/// Both clusters by tokens that are not encrypted on their way.
fn by_tokens(world: &World, name: &str, sources: [String; 2]) -> Config {
    let [a, b] = sources.map(|source| format!("sasl: {{ mechanism: OAUTHBEARER, {source} }}"));
    Config::two_clusters(&world.a.named(), &world.b.named()).only(name).keys("a", &a).keys("b", &b)
}

/// What `check` says of it.
fn allow_open_tokens(proxy: &Proxy) {
    for part in ["everybody on the way can read the token", "|", "clusters:", "write `tls: {}` beside"] {
        proxy.log().allow(part);
    }
}

fn signed_tokens(world: &World) {
    let name = "secured-signed";
    let topics = topics(world, name);
    let put = |cluster: &Cluster, claims: &Value, what: &str| {
        let file = world.directory.join(format!("signed-{}-{what}.token", cluster.name()));
        fs::write(&file, cluster.pki().issuer().token(claims)).expect("a file");
        format!("token_file: \"{}\"", file.display())
    };
    let good = claims_of(USER, 600);
    let proxy = world.start_proxy(&by_tokens(world, name, [&world.a, &world.b].map(|one| put(one, &good, "good"))));
    allow_open_tokens(&proxy);
    let load = Load::start(&proxy.bootstrap(), &[&topics[0], &topics[1]]);
    load.flows(WITHIN);
    load.judge(&[&world.a, &world.b]).must_be_clean();
    proxy.finish();
    // Given tokens for somebody else, and of another issuer
    let mut other = [good.clone(), good];
    other[0]["aud"] = "billing".into();
    other[1]["iss"] = "https://idp.other".into();
    let sources = [put(&world.a, &other[0], "other"), put(&world.b, &other[1], "other")];
    let config = by_tokens(world, name, sources);
    let file = world.directory.join("signed-other.yaml");
    fs::write(&file, config.yaml()).expect("a file");
    let proxy = Proxy::of_file(&file, config.views(), &world.directory).expect("Fishplate");
    allow_open_tokens(&proxy);
    ["cluster", "broker"].iter().for_each(|who| proxy.log().allow(who));
    // Then both clusters refuse them, and the log says so
    for cluster in ["a", "b"] {
        let failed = [("cluster", cluster), ("reason", "login")];
        wait::until("the token was refused", WITHIN, || {
            Metrics::of(&proxy.admin()).sum("fishplate_links_failed_total", &failed).unwrap_or(0.0) > 0.0
        });
    }
    let told = || proxy.log().lines_with("refused the login");
    wait::until("the log says why", WITHIN, || {
        told().iter().filter(|line| line.contains("invalid_token")).count() >= 2
    });
    proxy.finish();
}

fn from_an_endpoint(world: &World) {
    // Shorter ones a broker on busy cores ends before the next has been asked for and shown.
    let lasts = 20;
    let name = "secured-endpoint";
    let topics = topics(world, name);
    let answer = |cluster: &Cluster| {
        let token = cluster.pki().issuer().token(&claims_of(USER, lasts));
        format!("{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\",\"expires_in\":{lasts}}}")
    };
    let clusters = [&world.a, &world.b];
    let sites = clusters.map(|cluster| Site::saying(&answer(cluster)));
    let source =
        |site: &Site| format!("token_url: \"{}\", client_id: fishplate, client_secret: planted-Secret-4", site.url());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                sites.iter().zip(clusters).for_each(|(site, cluster)| site.says(&answer(cluster)));
                sleep(Duration::from_millis(500));
            }
        });
        let _ends = Ends(&over);
        let proxy = world.start_proxy(&by_tokens(world, name, [source(&sites[0]), source(&sites[1])]));
        allow_open_tokens(&proxy);
        let load = Load::start(&proxy.bootstrap(), &[&topics[0], &topics[1]]);
        load.flows(WITHIN);
        let closed = || Metrics::of(&proxy.admin()).sum("fishplate_links_closed_total", &[]).unwrap_or(0.0);
        let before = closed();
        // When clients go on for longer than tokens last
        sleep(Duration::from_secs(lasts * if full() { 10 } else { 1 } + lasts / 2));
        load.flows(WITHIN);
        // Then no link has ended, and nothing was lost
        let reasons = Metrics::of(&proxy.admin()).family("fishplate_links_closed_total");
        assert_eq!(closed(), before, "a link was closed: {reasons}");
        load.judge(&clusters).must_be_clean();
        let log = fs::read_to_string(proxy.log().file()).expect("a log");
        assert!(!log.contains("planted-Secret-4") && !log.contains("eyJ"), "a secret was said");
        proxy.finish();
    });
}

fn renewed(world: &World) {
    // Given logins that the brokers believe for five seconds
    let topics = topics(world, "secured-renewed");
    let proxy = world.start_proxy(&config(world, "SCRAM-SHA-512", PASSWORD, "secured-renewed"));
    let load = Load::start(&proxy.bootstrap(), &[&topics[0], &topics[1]]);
    load.flows(WITHIN);
    let closed = || Metrics::of(&proxy.admin()).sum("fishplate_links_closed_total", &[("cluster", "a")]).unwrap_or(0.0);
    let before = closed();
    // When clients go on for several times as long
    let lifetimes = if full() { 60 } else { 3 };
    sleep(Duration::from_millis(u64::from(LIFETIME_MS)) * lifetimes);
    load.flows(WITHIN);
    // Then no link has ended, and nothing was lost
    assert_eq!(closed(), before, "a link was closed");
    load.judge(&[&world.a, &world.b]).must_be_clean();
    proxy.finish();
}

/// How often a broker refused a login.
fn refusals(proxy: &Proxy) -> f64 {
    let failed = [("cluster", "a"), ("reason", "login")];
    Metrics::of(&proxy.admin()).sum("fishplate_links_failed_total", &failed).unwrap_or(0.0)
}

fn wrong_password(world: &World) {
    let name = "secured-wrong";
    let topics = topics(world, name);
    let file = world.directory.join("wrong.yaml");
    let write = |password: &str| {
        fs::write(&file, config(world, "SCRAM-SHA-256", password, name).yaml()).expect("a file");
    };
    write("not-the-password");
    let proxy =
        Proxy::of_file(&file, config(world, "PLAIN", PASSWORD, name).views(), &world.directory).expect("Fishplate");
    ["cluster", "broker"].iter().for_each(|who| proxy.log().allow(who));
    wait::until("the login was refused", WITHIN, || refusals(&proxy) > 0.0);
    // Given clients that ask all the time
    let eyes = client(&proxy.bootstrap()).create::<BaseConsumer>().expect("a consumer");
    let end = Instant::now() + wait::seconds(if full() { 10 } else { 5 });
    while Instant::now() < end {
        let _ = eyes.fetch_metadata(Some(&topics[0]), Duration::from_millis(500));
    }
    let lines = proxy.log().lines_with("refused the login");
    assert!((1..=4).contains(&lines.len()), "{lines:#?}");
    assert!(lines.iter().all(|line| line.contains("SCRAM-SHA-256") && line.contains("58")), "{lines:#?}");
    assert!(proxy.log().lines_with("not-the-password").is_empty());
    // When the config has the right one
    write(PASSWORD);
    proxy.hang_up();
    wait::until("the cluster is there", wait::seconds(60), || {
        Metrics::of(&proxy.admin()).sum("fishplate_cluster_up", &[("cluster", "a")]) == Some(1.0)
    });
    // Then all flows
    let load = Load::start(&proxy.bootstrap(), &[&topics[0]]);
    load.flows(WITHIN);
    load.judge(&[&world.a]).must_be_clean();
    assert!(proxy.log().lines_with(PASSWORD).is_empty());
    proxy.finish();
}

fn unknown_authority(world: &World) {
    // Given cluster a as one that b's authority must have signed for
    let keys = format!("{}, {}", world.b.pki().tls(), sasl("PLAIN", PASSWORD));
    let config = Config::two_clusters(&world.a.secured(), &world.b.bootstrap()).keys("a", &keys);
    let file = world.directory.join("unknown.yaml");
    fs::write(&file, config.yaml()).expect("a file");
    let proxy = Proxy::of_file(&file, config.views(), &world.directory).expect("Fishplate");
    ["cluster", "broker"].iter().for_each(|who| proxy.log().allow(who));
    let failed = [("cluster", "a"), ("reason", "tls")];
    wait::until("no handshake came to an end", WITHIN, || {
        Metrics::of(&proxy.admin()).sum("fishplate_links_failed_total", &failed).unwrap_or(0.0) > 0.0
    });
    wait::until("the log says why", WITHIN, || !proxy.log().lines_with("invalid peer certificate").is_empty());
    proxy.finish();
}

fn clients_over_tls(world: &World) {
    let [topic, _] = topics(world, "secured-clients");
    let (certificate, key) = world.a.pki().server();
    let tls = |more: &str| {
        let (certificate, key) = (certificate.display(), key.display());
        format!("tls: {{ certificate: \"{certificate}\", key: \"{key}\"{more} }}")
    };
    let ca = format!(", client_ca: \"{}\"", world.a.pki().ca().display());
    for (tls, shows) in [(tls(""), false), (tls(&ca), true)] {
        let proxy = world.start_proxy(&world.config().only("secured-clients").keeps(&tls));
        let client = |trusts: &Cluster, shows| {
            let client = Client::new("java-4.3", &proxy.bootstrap().servers, &topic).trusting(&trusts.pki().ca());
            if shows { client.showing(&world.a.pki().client_in_one()) } else { client }
        };
        client(&world.a, shows).play(world).expect("it is served");
        // Who does not show a certificate, or trusts another authority, is told so and counted
        proxy.log().allow("TLS handshake failed");
        if shows {
            assert!(client(&world.a, false).play(world).is_err());
        }
        assert!(client(&world.b, shows).play(world).is_err(), "another authority");
        let failed = Metrics::of(&proxy.admin()).sum("fishplate_handshakes_failed_total", &[]).unwrap_or(0.0);
        assert!(failed > 0.0);
        proxy.finish();
    }
}
