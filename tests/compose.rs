//! docker-compose.yml and the Dockerfile, checked without an engine: what they name exists and fits together.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fishplate::config::Config;
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn compose() -> Value {
    let text = fs::read_to_string(root().join("docker-compose.yml")).expect("docker-compose.yml");
    serde_saphyr::from_str(&text).expect("YAML")
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// `NAME://host:port` in a comma-separated list, without the names of the listeners.
fn listeners<'a>(kafka: &'a Value, variable: &str) -> Vec<&'a str> {
    let list = kafka["environment"][variable].as_str().expect("a list of listeners");
    list.split(',').map(|one| one.split_once("://").expect("NAME://host:port").1).collect()
}

/// Published ports as (host, container).
fn ports(service: &Value) -> Vec<(u16, u16)> {
    let port = |text: &str| text.parse().expect("a port");
    let pair = |text: &str| {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            [_, host, inside] | [host, inside] => (port(host), port(inside)),
            _ => panic!("{text} publishes no port"),
        }
    };
    texts(&service["ports"]).into_iter().map(pair).collect()
}

/// The mounted config: the file here, and where the container has it.
fn mounted() -> (PathBuf, String) {
    let compose = compose();
    let mounts = texts(&compose["services"]["fishplate"]["volumes"]).join(" ");
    let parts: Vec<&str> = mounts.split(':').collect();
    let [host, inside, "ro"] = parts.as_slice() else { panic!("{mounts} is not one read-only mount") };
    (root().join(host), (*inside).to_owned())
}

fn config() -> Config {
    Config::from_file(&mounted().0).expect("a right config")
}

#[test]
fn each_cluster_is_a_service_that_is_reached_as_it_says() {
    let (compose, config) = (compose(), config());
    assert_eq!(config.clusters.len(), 2);
    let mut ids = BTreeSet::new();
    for cluster in &config.clusters {
        for address in &cluster.bootstrap {
            let kafka = &compose["services"][address.host.as_ref()];
            assert!(kafka["image"].as_str().is_some_and(|image| image.starts_with("apache/kafka:")), "{address}");
            assert!(listeners(kafka, "KAFKA_LISTENERS").contains(&format!(":{}", address.port).as_str()), "{address}");
            // Brokers are reached by what they advertise, once the bootstrap address has said it.
            let advertised = listeners(kafka, "KAFKA_ADVERTISED_LISTENERS");
            assert!(advertised.contains(&address.to_string().as_str()), "{address}");
            ids.insert(kafka["environment"]["CLUSTER_ID"].as_str().expect("a cluster id").to_owned());
        }
    }
    assert_eq!(ids.len(), 2, "each cluster needs an id of its own");
}

#[test]
fn what_is_advertised_to_the_host_is_published() {
    let (compose, config) = (compose(), config());
    let fishplate = ports(&compose["services"]["fishplate"]);
    for listener in &config.listeners {
        assert!(listener.bind.ip().is_unspecified(), "{}: a container's loopback is nobody else's", listener.bind);
        let told = listener.advertised.as_ref().expect("what clients are told");
        match told.host.as_ref() {
            "localhost" => assert!(fishplate.contains(&(told.port, listener.bind.port())), "{told}"),
            "fishplate" => assert_eq!(told.port, listener.bind.port()),
            other => panic!("{other} is no name that anybody has"),
        }
    }
    let admin = config.admin.expect("an admin address").bind;
    assert!(admin.ip().is_unspecified() && fishplate.iter().any(|(_, inside)| *inside == admin.port()), "{admin}");
    for name in ["kafka-old", "kafka-new"] {
        let kafka = &compose["services"][name];
        for (host, inside) in ports(kafka) {
            assert!(listeners(kafka, "KAFKA_LISTENERS").contains(&format!(":{inside}").as_str()), "{name}:{inside}");
            assert!(
                listeners(kafka, "KAFKA_ADVERTISED_LISTENERS").contains(&format!("localhost:{host}").as_str()),
                "{name}:{host}"
            );
        }
    }
}

#[test]
fn no_two_services_publish_one_port() {
    let compose = compose();
    let services = compose["services"].as_object().expect("services");
    let all: Vec<u16> = services.values().flat_map(ports).map(|(host, _)| host).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    assert_eq!(services.keys().collect::<Vec<_>>(), ["kafka-old", "kafka-new", "fishplate", "prometheus", "grafana"]);
    let waits = compose["services"]["fishplate"]["depends_on"].as_object().expect("depends_on");
    for (name, condition) in waits {
        assert_eq!(condition["condition"], "service_healthy");
        assert!(services[name]["healthcheck"]["test"].is_array(), "{name} has no health check to wait for");
    }
}

/// The Dockerfile's instructions, lines that go on joined.
fn dockerfile() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("Dockerfile")).expect("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = |line: &str| line.split_once(' ').map(|(word, rest)| (word.to_owned(), rest.trim().to_owned()));
    lines.map(|line| split(line).unwrap_or_else(|| panic!("`{line}` is no instruction"))).collect()
}

fn instruction(word: &str) -> String {
    let all: Vec<String> = dockerfile().into_iter().filter(|(one, _)| one == word).map(|(_, rest)| rest).collect();
    assert_eq!(all.len(), 1, "{word}");
    all.concat()
}

/// A form such as `["run", "-c"]`.
fn words(word: &str) -> Vec<String> {
    serde_json::from_str(&instruction(word)).expect("a JSON list")
}

#[test]
fn the_image_is_small_and_not_roots() {
    let from: Vec<String> = dockerfile().into_iter().filter(|(word, _)| word == "FROM").map(|(_, rest)| rest).collect();
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let rust =
        manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).expect("rust-version").replace('"', "");
    assert_eq!(from.len(), 2, "{from:?}");
    assert!(from[0].starts_with(&format!("rust:{rust}")) && from[0].ends_with(" AS build"), "{from:?}");
    assert!(from[1].contains("distroless"), "{from:?}");
    assert_eq!(instruction("USER"), "nonroot");
    let build = instruction("RUN");
    assert!(
        build.contains("--locked") && build.ends_with("--features msk-iam"),
        "what it can do, and no demo: {build}"
    );
}

/// What the first stage copies is enough for Cargo to read the workspace.
#[test]
fn the_image_is_built_from_what_is_there() {
    let context = std::env::temp_dir().join(format!("fishplate-dockerfile-{}", std::process::id()));
    fs::create_dir_all(&context).expect("a directory");
    for (_, copy) in dockerfile().into_iter().filter(|(word, rest)| word == "COPY" && !rest.starts_with("--from")) {
        let mut sources: Vec<&str> = copy.split(' ').collect();
        let to = sources.pop().expect("a destination");
        for source in sources {
            let from = root().join(source);
            assert!(from.exists(), "{source} is not here");
            let to = if to == "./" { context.join(source) } else { context.join(to) };
            let copied = Command::new("cp").arg("-r").arg(from).arg(to).status().expect("cp");
            assert!(copied.success(), "{source}");
        }
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(cargo).args(arguments).current_dir(&context).output().expect("cargo");
    let _ = fs::remove_dir_all(&context);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let targets = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .flat_map(|package| package["targets"].as_array())
        .flatten();
    let programs: Vec<&str> =
        targets.filter(|target| target["kind"][0] == "bin").filter_map(|target| target["name"].as_str()).collect();
    let (_, copied) =
        dockerfile().into_iter().find(|(_, rest)| rest.starts_with("--from=build")).expect("a copy out of build");
    let built = copied.split(' ').nth(1).and_then(|path| Path::new(path).strip_prefix("/src/target/release").ok());
    assert!(built.and_then(Path::to_str).is_some_and(|name| programs.contains(&name)), "{copied}");
    assert!(copied.ends_with(&format!(" {}", words("ENTRYPOINT")[0])), "{copied}");
}

/// `--help` behind a command line: it is shown if all before it is understood.
fn understood(arguments: &[String]) -> bool {
    let output =
        Command::new(env!("CARGO_BIN_EXE_fishplate")).args(arguments).arg("--help").output().expect("fishplate");
    output.status.success()
}

#[test]
fn the_containers_command_is_one_that_fishplate_knows() {
    let image: Vec<String> = words("ENTRYPOINT").into_iter().skip(1).chain(words("CMD")).collect();
    let compose = compose();
    let service: Vec<String> =
        texts(&compose["services"]["fishplate"]["command"]).into_iter().map(str::to_owned).collect();
    for command in [&image, &service] {
        assert!(understood(command), "{command:?}");
        assert_eq!(command.first().map(String::as_str), Some("run"));
        assert_eq!(command.last(), Some(&mounted().1), "the config is mounted elsewhere");
    }
    assert!(!understood(&["run".to_owned(), "--konfig".to_owned()]), "this test can fail");
}

/// But for its admin address: Prometheus comes from another container, and on the host it is on loopback.
#[test]
fn the_mounted_config_has_nothing_wrong() {
    let (file, _) = mounted();
    let output =
        Command::new(env!("CARGO_BIN_EXE_fishplate")).args(["check", "-c"]).arg(file).output().expect("fishplate");
    let said = String::from_utf8_lossy(&output.stdout);
    let fine = said.contains(": fine with 1 warning; 2 listeners, 2 clusters, 1 pipeline");
    assert!(output.status.success() && fine && said.contains("and it speaks no TLS"), "{said}");
}

/// Where a service has a file or folder of ours mounted, which is there.
fn mounts(service: &str) -> Vec<(PathBuf, String)> {
    let compose = compose();
    let all = texts(&compose["services"][service]["volumes"]);
    let split = |mount: &&str| {
        let parts: Vec<&str> = mount.split(':').collect();
        let [here, inside, "ro"] = parts.as_slice() else { panic!("{mount} can be written to") };
        (root().join(here), (*inside).to_owned())
    };
    all.iter().map(split).collect()
}

#[test]
fn prometheus_and_grafana_are_given_what_is_there() {
    for service in ["prometheus", "grafana"] {
        for (here, inside) in mounts(service) {
            assert!(here.exists(), "{inside}: {} is not here", here.display());
        }
        let compose = compose();
        let ports = texts(&compose["services"][service]["ports"]).join(" ");
        assert!(ports.starts_with("127.0.0.1:"), "{service} is for this machine only: {ports}");
    }
    let environment = compose()["services"]["grafana"]["environment"].clone();
    assert_eq!(environment["GF_AUTH_ANONYMOUS_ORG_ROLE"], "Viewer");
    let yaml = |path: &str| -> Value {
        serde_saphyr::from_str(&fs::read_to_string(root().join(path)).expect(path)).expect(path)
    };
    let folder = &yaml("deploy/monitoring/grafana/dashboards.yml")["providers"][0]["options"]["path"];
    assert!(mounts("grafana").iter().any(|(_, inside)| folder == inside.as_str()), "{folder}");
    let prometheus = yaml("deploy/monitoring/prometheus.yml");
    let scraped = &prometheus["scrape_configs"][0];
    let admin = config().admin.expect("an admin address").bind.port();
    assert_eq!(scraped["job_name"], "fishplate");
    assert_eq!(scraped["static_configs"][0]["targets"][0], format!("fishplate:{admin}"));
    assert_eq!(yaml("deploy/monitoring/grafana/datasources.yml")["datasources"][0]["url"], "http://prometheus:9090");
}

#[test]
fn what_is_provisioned_is_what_the_mounted_config_makes() {
    let (file, _) = mounted();
    let output = Command::new(env!("CARGO_BIN_EXE_fishplate"))
        .args(["provision", "--check", "--out", "deploy/monitoring", "-c"])
        .arg(file)
        .current_dir(root())
        .output()
        .expect("fishplate");
    let said = String::from_utf8_lossy(&output.stdout);
    let instead = "fishplate provision -c config/compose.yaml --out deploy/monitoring";
    assert!(output.status.success(), "{said}{}{instead}", String::from_utf8_lossy(&output.stderr));
}

/// With the rules beside it, as the container has them. Debian's promtool.
#[test]
fn prometheus_reads_its_config() {
    let arguments = ["check", "config", "deploy/monitoring/prometheus.yml"];
    let output = Command::new("promtool").args(arguments).current_dir(root()).output();
    let output = output.expect("promtool; scripts/test setup brings it");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("rules found"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
