//! The config that a test gives Fishplate, as the YAML that a user would write.

use super::Bootstrap;
use std::fmt::Write;

/// Clusters `a` and `b` in slots 0 and 1; topics and groups go by the first letter of their names.
#[derive(Clone)]
pub struct Config {
    port: u16,
    advertised: Option<String>,
    clusters: Vec<(&'static str, String)>,
    pipelines: Vec<Pipeline>,
    more: String,
}

#[derive(Clone)]
struct Pipeline {
    name: String,
    topics: String,
    groups: String,
    cluster: &'static str,
}

impl Config {
    /// Topics `a-*` and groups `ga-*` live on `a`, `b-*` and `gb-*` on `b`, all others on `a`.
    pub fn two_clusters(a: &Bootstrap, b: &Bootstrap) -> Self {
        Self { port: 0, advertised: None, clusters: Vec::new(), pipelines: Vec::new(), more: String::new() }
            .cluster("a", a)
            .cluster("b", b)
            .pipeline("left", "a-*", "ga-*", "a")
            .pipeline("right", "b-*", "gb-*", "b")
    }

    /// Listens on that port instead of any free one, so that a second process can take its place.
    pub fn on_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Tells clients this address instead of the one it listens on.
    pub fn advertised(mut self, address: &str) -> Self {
        self.advertised = Some(address.to_owned());
        self
    }

    /// Adds lines of YAML at the end.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn with(mut self, more: &str) -> Self {
        self.more.push_str(more);
        self
    }

    /// Adds a cluster in the next slot.
    pub fn cluster(mut self, name: &'static str, bootstrap: &Bootstrap) -> Self {
        self.clusters.push((name, bootstrap.servers.clone()));
        self
    }

    /// Adds a pipeline behind those that are there.
    pub fn pipeline(mut self, name: &str, topics: &str, groups: &str, cluster: &'static str) -> Self {
        let pipeline = Pipeline { name: name.into(), topics: topics.into(), groups: groups.into(), cluster };
        self.pipelines.push(pipeline);
        self
    }

    /// The file.
    pub fn yaml(&self) -> String {
        let default = self.clusters.first().map_or("a", |(name, _)| name);
        let advertised =
            self.advertised.as_ref().map_or_else(String::new, |address| format!("    advertised: {address}\n"));
        let mut text = format!(
            "virtual_cluster: fishplate-test
default_cluster: {default}
listeners:
  - bind: 127.0.0.1:{}
{advertised}clusters:
",
            self.port
        );
        // Writing to a String cannot fail.
        for (slot, (name, servers)) in self.clusters.iter().enumerate() {
            let list: Vec<_> = servers.split(',').map(|server| format!("\"{server}\"")).collect();
            let _ = writeln!(text, "  {name}: {{ slot: {slot}, bootstrap: [{}] }}", list.join(", "));
        }
        text.push_str("pipelines:\n");
        for Pipeline { name, topics, groups, cluster } in &self.pipelines {
            let _ = writeln!(
                text,
                "  - name: {name}\n    topics: [\"{topics}\"]\n    groups: [\"{groups}\"]\n    cluster: {cluster}"
            );
        }
        text.push_str("admin: { bind: 127.0.0.1:0 }\n");
        text.push_str(&self.more);
        text
    }
}
