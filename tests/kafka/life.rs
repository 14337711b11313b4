//! Security under traffic: sessions of seconds on both sides, certificates that are replaced, and no client notices.

use crate::harness::certificates::Validity;
use crate::harness::config::{Config, View};
use crate::harness::metrics::Metrics;
use crate::harness::proxy::Proxy;
use crate::harness::secured::{PASSWORD, USER};
use crate::harness::topics::Topics;
use crate::harness::wait;
use crate::history::{History, Outcome, Partition, Payload, Promise, Sent, judge};
use crate::load::read_to_end;
use crate::login::Client;
use crate::security::add;
use crate::world::{World, full, shared};
use libtest_mimic::Trial;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const CLIENTS: [&str; 3] = ["java-4.3", "confluent-2.16", "franz-go"];

pub fn trials() -> Vec<Trial> {
    vec![shared(
        "life: logins of five seconds on both sides and new certificates cost no client anything",
        under_traffic,
    )]
}

/// Certificates in files that are replaced.
struct Rotating<'w> {
    world: &'w World,
    directory: PathBuf,
    turns: u64,
}

impl<'w> Rotating<'w> {
    fn new(world: &'w World) -> Self {
        let directory = world.directory.join("life");
        fs::create_dir_all(&directory).expect("a folder");
        let mut rotating = Self { world, directory, turns: 0 };
        rotating.turn();
        rotating
    }

    fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// A new certificate and key of the listener, others to trust at cluster a, and a new certificate of ours for cluster b; each
    /// ends on a day of its own.
    fn turn(&mut self) {
        self.turns += 1;
        let validity = Validity::For(Duration::from_secs(86_400 * (40 + self.turns)));
        let [a, b] = [self.world.a.pki(), self.world.b.pki()];
        let name = format!("life-{}", self.turns);
        let put = |(certificate, key): (PathBuf, PathBuf), as_name: &str| {
            copy(&certificate, &self.directory.join(format!("{as_name}.crt")));
            copy(&key, &self.directory.join(format!("{as_name}.key")));
        };
        put(a.another_server(&name, validity), "listener");
        put(b.another_client(&name, validity), "client");
        let trusted = if self.turns.is_multiple_of(2) { vec![a.ca(), b.ca()] } else { vec![a.ca()] };
        let trusted: String = trusted.iter().map(|ca| fs::read_to_string(ca).expect("a file")).collect();
        fs::write(self.directory.join("trusted.new"), trusted).expect("a file");
        fs::rename(self.directory.join("trusted.new"), self.directory.join("trusted.crt")).expect("a file");
    }

    fn config(&self, users: &Path) -> Config {
        let tls = format!(
            "tls: {{ certificate: \"{}\", key: \"{}\" }}",
            self.file("listener.crt"),
            self.file("listener.key")
        );
        let sasl = format!(
            "sasl: {{ mechanisms: [SCRAM-SHA-512], users_file: \"{}\", session_lifetime: 5s }}",
            users.display()
        );
        let login = format!("sasl: {{ mechanism: SCRAM-SHA-512, username: {USER}, password: \"{PASSWORD}\" }}");
        let to_a = format!("tls: {{ ca: \"{}\" }}, {login}", self.file("trusted.crt"));
        let to_b = format!(
            "tls: {{ ca: \"{}\", certificate: \"{}\", key: \"{}\" }}",
            self.world.b.pki().ca().display(),
            self.file("client.crt"),
            self.file("client.key")
        );
        let config = Config::two_clusters(&self.world.a.secured(), &self.world.b.mutual()).only("life");
        config.showing(View::Auto, None).keeps(&tls).keeps(&sasl).keys("a", &to_a).keys("b", &to_b)
    }
}

/// In one step.
fn copy(from: &Path, to: &Path) {
    let new = to.with_extension("new");
    fs::copy(from, &new).expect("a file");
    fs::rename(new, to).expect("a file");
}

fn under_traffic(world: &World) {
    // How many records a second each client writes, too
    let (seconds, between, rate) = if full() { (300, 60, 1_000) } else { (20, 6, 250) };
    let topics = |name: &str| [format!("a-life-{name}"), format!("b-life-{name}")];
    for name in CLIENTS.iter().chain(&["late"]) {
        let [a, b] = topics(name);
        Topics::of(&world.a.bootstrap()).create(&a, 1, 3);
        Topics::of(&world.b.bootstrap()).create(&b, 1, 1);
    }
    let users = world.directory.join("life.users");
    add(&users, "alice", "planted-Secret-2");
    let mut rotating = Rotating::new(world);
    let proxy = world.start_proxy(&rotating.config(&users));
    let client = |name: &'static str, number: usize| {
        let client = Client::new(name, &proxy.bootstrap().servers, &topics(name).join(","));
        let client = client.by("SCRAM-SHA-512", "alice", "planted-Secret-2").trusting(&world.a.pki().ca());
        client.with("LOGIN_PRODUCER", number)
    };
    let ended: Vec<_> = thread::scope(|scope| {
        let playing: Vec<_> = CLIENTS
            .iter()
            .enumerate()
            .map(|(number, name)| {
                let client = Client { seconds, ..client(name, number + 1) }.with("LOGIN_RATE", rate);
                let client = client.with("LOGIN_GROUP", format!("ga-life-{name}"));
                scope.spawn(move || client.play(world))
            })
            .collect();
        let begin = Instant::now();
        while begin.elapsed() + Duration::from_secs(between) < Duration::from_secs(seconds.into()) {
            sleep(Duration::from_secs(between));
            rotate(&mut rotating, &proxy);
            // Who comes now sees the new ones, on both sides
            let late = client("confluent-2.16", 9).with("LOGIN_RATE", 200);
            Client { topics: topics("late").join(","), ..late }.play(world).expect("it comes in");
        }
        playing.into_iter().map(|one| one.join().expect("a client")).collect()
    });
    let wrong: Vec<_> = CLIENTS.iter().zip(&ended).filter(|(_, ended)| ended.is_err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let ended: Vec<_> = ended.into_iter().flatten().collect();
    // Then nothing is lost, doubled or out of order
    let mut history = History::default();
    for ((number, name), records) in (1..).zip(CLIENTS).zip(&ended) {
        history.producer(number, Promise::ExactlyOnce);
        let names = topics(name);
        for record in 0..*records {
            let partition = Partition::new(names[usize::try_from(record % 2).expect("0 or 1")].as_str(), 0);
            let sent = Sent { partition, outcome: Outcome::Acknowledged(None) };
            history.sent.insert(Payload { producer: number, number: record }, sent);
        }
        for (cluster, topic) in [&world.a, &world.b].into_iter().zip(names) {
            history.pass(read_to_end(&cluster.bootstrap(), &[topic]));
        }
    }
    judge(&history).must_be_clean();
    told(world, &proxy, seconds, &rotating, &ended);
    proxy.finish();
}

/// Replaces all, and waits until that is seen.
fn rotate(rotating: &mut Rotating<'_>, proxy: &Proxy) {
    let ends = |side: &str| {
        let metrics = Metrics::of(&proxy.admin());
        metrics.sum("fishplate_certificate_expiry_time_seconds", &[("side", side)]).unwrap_or(0.0)
    };
    let applied = || {
        let metrics = Metrics::of(&proxy.admin());
        metrics.sum("fishplate_certificate_reloads_total", &[("result", "applied")]).unwrap_or(0.0)
    };
    let (before, reloads) = ([ends("listener"), ends("cluster")], applied());
    rotating.turn();
    wait::until("new certificates are taken", wait::seconds(30), || {
        let now = [ends("listener"), ends("cluster")];
        now[0] != before[0] && now[1] != before[1] && applied() >= reloads + 3.0
    });
}

fn told(world: &World, proxy: &Proxy, seconds: u32, rotating: &Rotating<'_>, ended: &[u64]) {
    let metrics = Metrics::of(&proxy.admin());
    let sum = |family, labels: &[(&str, &str)]| metrics.sum(family, labels).unwrap_or(0.0);
    let renewed = sum("fishplate_logins_total", &[("result", "renewed")]);
    let expired = sum("fishplate_sessions_closed_total", &[("reason", "expired")]);
    let failed = sum("fishplate_links_failed_total", &[]);
    world.note(format!(
        "life: {seconds} s, {} rotations, {ended:?} records of {CLIENTS:?}: {renewed} logins of clients renewed, {expired} \
         sessions expired, {failed} links failed",
        rotating.turns - 1
    ));
    assert!(renewed >= f64::from(seconds / 5 - 1) * CLIENTS.len() as f64, "{renewed}");
    assert_eq!((expired, failed), (0.0, 0.0));
}
