//! Secrets are said nowhere: they are planted in every place that may hold one, and all that a run says is searched for them.

use crate::harness::config::{Config, View};
use crate::harness::metrics::page;
use crate::harness::process::command;
use crate::harness::proxy::Proxy;
use crate::harness::secured::{AUDIENCE, ISSUER, PASSWORD, USER};
use crate::harness::topics::Topics;
use crate::harness::wait;
use crate::login::Client;
use crate::security::add;
use crate::tokens::{Site, claims_of};
use crate::turned_away::allow_plain;
use crate::world::{World, shared};
use fishplate::config::Reading;
use libtest_mimic::Trial;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

const CLIENTS_PASSWORD: &str = "planted-Secret-2";
const WRONG_PASSWORD: &str = "planted-Wrong-5";
const CLIENT_SECRET: &str = "planted-Client-4";
const IDENTITYS_PASSWORD: &str = "planted-Identity-8";
const ADMIN_TOKEN: &str = "planted-Admin-Token-9";
const AWS_KEY: &str = "plantedAwsSecretKey6";
const AWS_SESSION: &str = "plantedAwsSession7";

pub fn trials() -> Vec<Trial> {
    vec![
        shared("secrets: none is in anything that a run says, at any level of the log", a_run),
        shared("secrets: none is in what is said of a config with mistakes", mistakes),
    ]
}

/// What must be said nowhere, and what each is.
#[derive(Default)]
struct Planted(BTreeMap<String, &'static str>);

impl Planted {
    fn plant(&mut self, what: &'static str, secret: impl Into<String>) {
        self.0.insert(secret.into(), what);
    }

    /// The lines of a key in PEM.
    fn key(&mut self, what: &'static str, file: &Path) {
        let text = fs::read_to_string(file).expect("a key");
        text.lines().filter(|line| !line.contains("-----")).for_each(|line| self.plant(what, line));
    }

    /// The claims and the signature of a token.
    fn token(&mut self, what: &'static str, token: &str) {
        token.split('.').skip(1).filter(|part| !part.is_empty()).for_each(|part| self.plant(what, part));
    }

    /// The keys and salts of a file of users, and of what unknown names are made.
    fn users(&mut self, file: &Path) {
        let text = fs::read_to_string(file).expect("users");
        let unknown = text.lines().find_map(|line| line.strip_prefix("# unknown-names: ")).expect("its secret");
        self.plant("the secret of unknown names", unknown);
        for part in text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| line.split([' ', ','])) {
            if let Some((_, value)) = part.split_once('=').filter(|(name, _)| *name != "iterations") {
                self.plant("a user's credential", value);
            }
        }
    }

    /// What of it stands in a text.
    fn found(&self, place: &str, said: &str) -> Vec<String> {
        let found = self.0.iter().filter(|(secret, _)| said.contains(secret.as_str()));
        found.map(|(secret, what)| format!("{place}: {what}: {secret}")).collect()
    }
}

/// A config with a secret in each place that takes one, and its files.
struct Laid {
    config: Config,
    file: PathBuf,
    planted: Planted,
    token: PathBuf,
    _site: Site,
}

fn lay_out(world: &World) -> Laid {
    let mut planted = Planted::default();
    for (what, secret) in [
        ("a cluster's password", PASSWORD),
        ("a client's password", CLIENTS_PASSWORD),
        ("what somebody typed", WRONG_PASSWORD),
        ("an identity's password", IDENTITYS_PASSWORD),
        ("a token of the admin address", ADMIN_TOKEN),
        ("a client secret", CLIENT_SECRET),
        ("a secret key of AWS", AWS_KEY),
        ("a session token of AWS", AWS_SESSION),
    ] {
        planted.plant(what, secret);
    }
    let put = |name: &str, text: &str| {
        let file = world.directory.join(format!("secrets-{name}"));
        fs::write(&file, text).expect("a file");
        file
    };
    let (users, password) = (world.directory.join("secrets.users"), put("password", PASSWORD));
    add(&users, "alice", CLIENTS_PASSWORD);
    planted.users(&users);
    let inline = world.directory.join("secrets-inline.users");
    add(&inline, "bob", CLIENTS_PASSWORD);
    planted.users(&inline);
    let [a, b] = [world.a.pki(), world.b.pki()];
    let ((certificate, key), (_, clients_key)) = (a.server(), b.client());
    planted.key("a listener's key", &key);
    planted.key("our key for a cluster", &clients_key);
    let of_client = a.issuer().token(&claims_of("alice", 600));
    let of_cluster = b.issuer().token(&claims_of(USER, 600));
    planted.token("a client's token", &of_client);
    planted.token("a cluster's token", &of_cluster);
    let answer = format!("{{\"access_token\":\"{of_cluster}\",\"token_type\":\"Bearer\",\"expires_in\":600}}");
    let site = Site::saying(&answer);
    let keys = put("keys.json", &crate::harness::issuer::jwks([a.issuer()]));
    let oauthbearer = format!("{{ jwks: \"{}\", issuer: \"{ISSUER}\", audience: {AUDIENCE} }}", keys.display());
    let tls = format!("tls: {{ certificate: \"{}\", key: \"{}\" }}", certificate.display(), key.display());
    let sasl = format!(
        "sasl: {{ mechanisms: [PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER], users_file: \"{}\", oauthbearer: {oauthbearer} }}",
        users.display()
    );
    let inline = format!("sasl: {{ mechanisms: [PLAIN], users: \"${{file:{}}}\" }}", inline.display());
    let to_a = format!(
        "{}, sasl: {{ mechanism: SCRAM-SHA-256, username: {USER}, password: \"${{file:{}}}\" }}, identities: {{ bob: {{ \
         principals: [\"User:bob\"], sasl: {{ mechanism: SCRAM-SHA-256, username: bob, password: {IDENTITYS_PASSWORD} }} }} }}, \
         unmapped: own",
        a.tls(),
        password.display()
    );
    let to_b = format!(
        "sasl: {{ mechanism: OAUTHBEARER, token_url: \"{}\", client_id: fishplate, client_secret: {CLIENT_SECRET} }}",
        site.url()
    );
    let config = Config::two_clusters(&world.a.secured(), &world.b.named()).only("secrets");
    let config = config.cluster("iam", &world.b.secured()).keys("a", &to_a).keys("b", &to_b);
    let to_iam = format!("{}, sasl: {{ mechanism: AWS_MSK_IAM, region: eu-central-1 }}", b.mutual_tls());
    let config = config.keys("iam", &to_iam).showing(View::Single, None).keeps(&tls).keeps(&sasl);
    let config = config.listener(View::Single, None).keeps(&inline).with("log: trace\n");
    let config = config.admin(&format!("token: \"alice {ADMIN_TOKEN}\""));
    let file = put("run.yaml", &config.yaml());
    let token = put("client.token", &of_client);
    Laid { config, file, planted, token, _site: site }
}

fn a_run(world: &World) {
    Topics::of(&world.a.bootstrap()).create("a-secrets", 1, 1);
    let Laid { config, file, planted, token, _site } = lay_out(world);
    let aws =
        [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", AWS_KEY), ("AWS_SESSION_TOKEN", AWS_SESSION)];
    let proxy = Proxy::with_variables(&file, config.views(), &world.directory, &aws).expect("Fishplate");
    proxy.wait_ready();
    for told in [
        "a client was not let in",
        "a client's token is not taken",
        "cluster",
        "broker",
        "iam",
        "everybody on the way can read the token",
        "write `tls: {}` beside",
    ] {
        proxy.log().allow(told);
    }
    allow_plain(&proxy);
    // Given clients with every mechanism, and with what is wrong
    let ca = world.a.pki().ca();
    let client = |name, mechanism, secret: &str| {
        Client::new(name, &proxy.bootstrap().servers, "a-secrets")
            .trusting(&ca)
            .by(mechanism, "alice", secret)
            .play(world)
    };
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        client("franz-go", mechanism, CLIENTS_PASSWORD).expect("it is let in");
        assert!(client("franz-go", mechanism, WRONG_PASSWORD).is_err());
    }
    client("confluent-2.16", "OAUTHBEARER", &token.display().to_string()).expect("it is let in");
    let other = world.directory.join("secrets-other.token");
    fs::write(&other, world.b.pki().issuer().token(&claims_of("alice", 600))).expect("a file");
    assert!(client("franz-go", "OAUTHBEARER", &other.display().to_string()).is_err());
    let refused = || !proxy.log().lines_with("refused the login").is_empty();
    wait::until("the cluster has refused a token of AWS", wait::seconds(30), refused);
    // When all is asked that can be asked
    let mut said = everything(world, &proxy, &file);
    proxy.finish();
    let log = fs::read_to_string(proxy.log().file()).expect("a log");
    assert!(log.contains("\"TRACE\"") && log.contains("\"DEBUG\""), "the log says all");
    said.push(("the log".to_owned(), log));
    // Then nobody said a secret
    let found: Vec<_> = said.iter().flat_map(|(place, said)| planted.found(place, said)).collect();
    assert!(found.is_empty(), "{} secrets in {} texts:\n{}", found.len(), said.len(), found.join("\n"));
    assert!(said.iter().all(|(place, said)| !said.is_empty() || place.contains("provision")), "something was said");
}

/// What each page and command says.
fn everything(world: &World, proxy: &Proxy, file: &Path) -> Vec<(String, String)> {
    const PAGES: [&str; 10] = [
        "/metrics",
        "/healthz",
        "/readyz",
        "/",
        "/api/v1/config",
        "/api/v1/topics",
        "/api/v1/groups",
        "/api/v1/clients",
        "/api/v1/lag",
        "/api/v1/limits",
    ];
    let admin = proxy.admin();
    let mut said: Vec<_> = PAGES.map(|path| (path.to_owned(), page(&admin, path).expect("a page"))).into();
    let file = file.display().to_string();
    let out = world.directory.join("secrets-provisioned").display().to_string();
    let commands: [&[&str]; 14] = [
        &["check", "-c", &file],
        &["check", "-c", &file, "--json"],
        &["check", "-c", &file, "--live"],
        &["explain", "-c", &file, "--topic", "a-secrets", "--client", "librdkafka/2.3.0"],
        &["explain", "-c", &file, "--topic", "a-secrets", "--json"],
        &["diff", "-c", &file, "--admin", &admin],
        &["diff", "-c", "config/full.yaml", "--admin", &admin],
        &["topics", "--admin", &admin],
        &["groups", "--admin", &admin],
        &["clients", "--admin", &admin],
        &["lag", "--admin", &admin],
        &["limits", "--admin", &admin],
        &["provision", "-c", &file, "--out", &out],
        &["run", "-c", &file, "--log", "no such filter =="],
    ];
    for words in commands {
        said.push((words.join(" "), says(words)));
    }
    let users = world.directory.join("secrets.users").display().to_string();
    said.push(("users list".into(), says(&["users", "list", "--file", &users, "--json"])));
    let mut folders = vec![PathBuf::from(&out)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => said.push((path.display().to_string(), fs::read_to_string(&path).expect("a file"))),
            }
        }
    }
    let config = fishplate::config::Config::from_file(Path::new(&file)).expect("a config");
    said.push(("Debug of the config".into(), format!("{config:?} {config:#?}")));
    said
}

/// What a command says.
fn says(words: &[&str]) -> String {
    let mut program = command(env!("CARGO_BIN_EXE_fishplate"));
    program
        .env("AWS_SECRET_ACCESS_KEY", AWS_KEY)
        .env("AWS_SESSION_TOKEN", AWS_SESSION)
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    let output = program.args(words).output().expect("fishplate");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn mistakes(world: &World) {
    let mut planted = Planted::default();
    planted.plant("a password", "hunter2");
    let texts = mistaken(world);
    let said: Vec<String> = thread::scope(|scope| {
        let ask = |(number, text): (usize, &String)| {
            let text = text.clone();
            scope.spawn(move || said_of(world, number, &text))
        };
        let asking: Vec<_> = texts.iter().enumerate().map(ask).collect();
        asking.into_iter().flat_map(|one| one.join().expect("its answers")).collect()
    });
    let complaints: Vec<_> = said.iter().flat_map(|said| planted.found(said, said)).collect();
    assert!(complaints.is_empty(), "{} secrets were said:\n{}", complaints.len(), complaints.join("\n\n"));
}

/// Parts of configs in which something is wrong near a secret.
fn mistaken(world: &World) -> Vec<String> {
    let password = world.directory.join("secrets-mistakes.password");
    fs::write(&password, "hunter2").expect("a file");
    let of_file = format!("${{file:{}}}", password.display());
    let key = world.directory.join("secrets-mistakes.key");
    fs::write(&key, "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n").expect("a file");
    let users = world.directory.join("secrets-mistakes.users");
    fs::write(&users, "alice hunter2\nbob SCRAM-SHA-512 salt=hunter2\ncarol SCRAM-SHA-512 salt=aGk=,stored_key=hunter2,server_key=hunter2,iterations=4096\n")
        .expect("a file");
    let sasl = |inside: &str| format!("sasl: {{ mechanism: SCRAM-SHA-512, username: u, {inside} }}");
    let cluster = |keys: &str| format!("clusters:\n  a: {{ slot: 0, bootstrap: [\"127.0.0.1:1\"], {keys} }}\n");
    let listener = |keys: &str| format!("listeners:\n  - bind: 127.0.0.1:0\n    {keys}\n");
    let (certificate, _) = world.a.pki().server();
    let certificate = certificate.display();
    let texts = [
        cluster(&sasl("password: hunter2, passwrod: hunter2")),
        cluster(&sasl("password: [hunter2]")),
        cluster(&sasl("password: { a: hunter2 }")),
        cluster(&sasl("password: hunter2, password: hunter2")),
        cluster(&sasl("password: \"hunter2")),
        cluster(&sasl("password: !secret hunter2")),
        cluster(&sasl("password: *hunter2")),
        cluster(&sasl(&format!("password: \"{of_file}\", passwrod: x"))),
        cluster("sasl: { mechanism: hunter2-is-no-mechanism-but-look, username: u, password: hunter2 }").replace("hunter2-is", "it-is"),
        cluster(&format!("sasl: {{ mechanism: \"{of_file}\", username: u, password: x }}")),
        cluster(&format!("tls: {{ min_version: \"{of_file}\" }}")),
        cluster("sasl: { mechanism: OAUTHBEARER, token_url: \"https://u:hunter2@idp.example\", client_id: u, client_secret: hunter2 }"),
        cluster("sasl: { mechanism: OAUTHBEARER, token_url: \"http://idp.example\", client_id: u, client_secret: hunter2 }"),
        cluster("sasl: { mechanism: OAUTHBEARER, token_url: \"https://idp.example\", client_id: [], client_secret: hunter2 }"),
        "clusters:\n  a:\n    slot: 0\n    bootstrap: [\"127.0.0.1:1\"]\n    sasl:\n      mechanism: PLAIN\n      username: u\n      password:\n        - hunter2\n        - hunter2\n".into(),
        "clusters:\n  a:\n    slot: 0\n    bootstrap: [\"127.0.0.1:1\"]\n    sasl:\n      mechanism: PLAIN\n      username: u\n      password: |\n        hunter2\n       hunter2\n".into(),
        "clusters:\n  a:\n    slot: 0\n    bootstrap: [\"127.0.0.1:1\"]\n    sasl:\n      mechanism: PLAIN\n      username: u\n      password: hunter2: hunter2\n".into(),
        listener("sasl: { mechanisms: [PLAIN], users: \"alice hunter2\" }"),
        listener("sasl: { mechanisms: [PLAIN], users: \"alice SCRAM-SHA-512 salt=hunter2,stored_key=hunter2\", extra: x }"),
        listener("sasl: { mechanisms: [PLAIN], users: [\"alice hunter2\"] }"),
        listener(&format!("sasl: {{ mechanisms: [PLAIN], users: \"{of_file}\" }}")),
        listener(&format!("sasl: {{ mechanisms: [PLAIN], users_file: \"{}\" }}", users.display())),
        listener("sasl: { mechanisms: [OAUTHBEARER], oauthbearer: { jwks: \"https://u:hunter2@idp.example/\", issuer: x } }"),
        listener(&format!("tls: {{ certificate: \"{certificate}\", key: \"{}\" }}", key.display())),
        listener(&format!("tls: {{ certificate: \"{}\", key: \"{}\" }}", key.display(), key.display())),
        listener(&format!("tls: {{ certificate: \"{certificate}\", key: \"{certificate}\", client_ca: \"{}\" }}", key.display())),
    ];
    let identity = |inside: &str| {
        cluster(&format!(
            "{}, identities: {{ x: {{ principals: [\"User:x\"], {} }} }}, unmapped: own",
            sasl("password: y"),
            sasl(inside)
        ))
    };
    let admin = |keys: &str| format!("admin: {{ bind: 127.0.0.1:0, {keys} }}\n");
    let json = |admin: &str, more: &str| {
        format!(
            "{{\"virtual_cluster\":\"x\",\"default_cluster\":\"a\",\"listeners\":[{{\"bind\":\"127.0.0.1:0\"}}],{admin}\"clusters\":{{\"a\":{{\"slot\":0,\"bootstrap\":[\"127.0.0.1:1\"],\"sasl\":{{\"mechanism\":\"PLAIN\",\"username\":\"u\",\"password\":\"hunter2\"{more}}}}}}}}}"
        )
    };
    let texts = texts.into_iter().chain([
        identity("password: hunter2, passwrod: hunter2"),
        identity("password: [hunter2]"),
        admin("token: hunter2"),
        admin("token: \"alice hunter2 hunter2hunter2hunter2\""),
        admin("token: [hunter2hunter2hunter2]"),
        admin("token: { alice: hunter2hunter2hunter2 }"),
        admin("token: hunter2hunter2hunter2, tokne: hunter2"),
        admin(&format!("token_file: \"{}\"", users.display())),
        json("", ",\"extra\":\"x\""),
        json("\"admin\":{\"bind\":\"127.0.0.1:0\",\"token\":\"hunter2\"},", ""),
        json("\"admin\":{\"bind\":\"127.0.0.1:0\",\"token\":[\"hunter2\"]},", ""),
        json("\"admin\":{\"token\":[\"hunter2\"],", ""),
    ]);
    texts.collect()
}

/// What is said of a config that may have mistakes, where it is checked, and where it is run.
fn said_of(world: &World, number: usize, text: &str) -> Vec<String> {
    const LISTENERS: &str = "listeners: [{ bind: 127.0.0.1:0 }]\n";
    const CLUSTERS: &str = "clusters: { a: { slot: 0, bootstrap: [\"127.0.0.1:1\"] } }\n";
    let rest = match text.split(':').next() {
        Some("clusters") => LISTENERS.to_owned(),
        Some("listeners") => CLUSTERS.to_owned(),
        _ => [LISTENERS, CLUSTERS].concat(),
    };
    let whole = format!("virtual_cluster: x\ndefault_cluster: a\n{text}{rest}");
    let file = world.directory.join(format!("secrets-mistakes-{number}.yaml")).display().to_string();
    fs::write(&file, if text.starts_with('{') { text } else { &whole }).expect("a file");
    let found = Reading::of_file(Path::new(&file)).found;
    let mut said = vec![serde_json::to_string(&found).expect("JSON"), says(&["check", "-c", &file])];
    let is_told = |said: &String| said.contains(": mistake: ") || said.contains(": warning: ");
    assert!(said.iter().any(is_told), "nothing is said of {text}");
    // What would run is not run.
    if said.iter().any(|said| said.contains(": mistake: ")) {
        said.push(says(&["run", "-c", &file, "--log", "trace"]));
    }
    said
}
