//! Clusters that ask who comes and let nobody read along, and listeners that do: real brokers' listeners over TLS with every
//! mechanism of SASL, and Java's client before Fishplate.

use crate::harness::Bootstrap;
use crate::harness::cluster::Cluster;
use crate::harness::config::Config;
use crate::harness::metrics::Metrics;
use crate::harness::proxy::Proxy;
use crate::harness::secured::{LIFETIME_MS, PASSWORD, USER};
use crate::harness::topics::Topics;
use crate::harness::wait;
use crate::load::{Load, client};
use crate::scenarios::programs::{java_at, run_to_end};
use crate::world::{World, full, shared};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libtest_mimic::Trial;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::fs;
use std::path::Path;
use std::thread::sleep;
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

fn renewed(world: &World) {
    // Given logins that the brokers believe for five seconds
    let topics = topics(world, "secured-renewed");
    let proxy = world.start_proxy(&config(world, "SCRAM-SHA-512", PASSWORD, "secured-renewed"));
    let load = Load::start(&proxy.bootstrap(), &[&topics[0], &topics[1]]);
    load.flows(WITHIN);
    let closed = || Metrics::of(&proxy.admin()).sum("fishplate_links_closed_total", &[("cluster", "a")]).unwrap_or(0.0);
    let before = closed();
    // When clients go on for several times as long
    let lifetimes = if full() { 60 } else { 4 };
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
    let end = Instant::now() + wait::seconds(10);
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

/// Settings of a Java client that trusts this cluster's authority, as a file.
fn settings(world: &World, cluster: &Cluster, shows: bool) -> String {
    let mut text = format!(
        "max.block.ms=15000\nsecurity.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location={}\n",
        cluster.pki().ca().display()
    );
    if shows {
        let own = cluster.pki().client_in_one();
        text.push_str(&format!("ssl.keystore.type=PEM\nssl.keystore.location={}\n", own.display()));
    }
    let file = world.directory.join(format!("client-{}.properties", fastrand::u64(..)));
    fs::write(&file, text).expect("a file");
    file.display().to_string()
}

/// Writes through the console producer of Kafka 4.3; what it printed.
fn write(world: &World, at: &Bootstrap, topic: &str, settings: &str) -> anyhow::Result<String> {
    let output = world.directory.join(format!("secured-{}.out", fastrand::u64(..)));
    let mut tool = java_at("4.3", &output.with_extension("log"))?;
    tool.arg("org.apache.kafka.tools.ProducerPerformance");
    tool.args(["--bootstrap-server", &at.servers, "--command-config", settings, "--topic", topic]);
    tool.args(["--num-records", "1000", "--record-size", "1000", "--throughput", "-1"]);
    run_to_end("the performance tool", tool, WITHIN, Path::new(&output))
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
        let written = write(world, &proxy.bootstrap(), &topic, &settings(world, &world.a, shows));
        assert!(written.expect("it is served").contains("1000 records sent"));
        // Who does not speak TLS, or does not show a certificate, is told so and counted
        proxy.log().allow("TLS handshake failed");
        if shows {
            assert!(write(world, &proxy.bootstrap(), &topic, &settings(world, &world.a, false)).is_err());
        }
        assert!(
            write(world, &proxy.bootstrap(), &topic, &settings(world, &world.b, shows)).is_err(),
            "another authority"
        );
        let failed = Metrics::of(&proxy.admin()).sum("fishplate_handshakes_failed_total", &[]).unwrap_or(0.0);
        assert!(failed > 0.0);
        proxy.finish();
    }
}
