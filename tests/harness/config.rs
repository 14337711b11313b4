//! The config that a test gives Fishplate, as the YAML that a user would write.

use super::Bootstrap;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

/// Clusters `a` and `b` in slots 0 and 1; topics, groups and transactional ids go by the first letter of their names.
#[derive(Clone)]
pub struct Config {
    listeners: Vec<Listener>,
    clusters: Vec<(&'static str, String, String)>,
    pipelines: Vec<Pipeline>,
    /// Keys of the admin address beside its own, as YAML in a line.
    admin: String,
    more: String,
}

/// An address that clients connect to.
#[derive(Clone)]
struct Listener {
    host: Ipv4Addr,
    port: u16,
    advertised: Option<String>,
    nodes: Option<&'static str>,
    ports: Option<RangeInclusive<u16>>,
    names: Option<String>,
    /// Other keys: lines of YAML.
    keys: String,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            host: Ipv4Addr::LOCALHOST,
            port: 0,
            advertised: None,
            nodes: None,
            ports: None,
            names: None,
            keys: String::new(),
        }
    }
}

/// What a listener shows its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    /// What each can use: nodes at one address for clients on the list, one node for others.
    Auto,
    /// A node for each broker, all at one address.
    Brokers,
    /// One node.
    Single,
    /// A node for each broker, each at a port of its own.
    Hosts,
}

impl View {
    /// In the order of the shared proxy's listeners.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Brokers, Self::Single, Self::Hosts];

    /// As the config says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Brokers => "brokers",
            Self::Single => "single",
            Self::Hosts => "hosts",
        }
    }
}

#[derive(Clone)]
struct Pipeline {
    name: String,
    topics: String,
    groups: String,
    transactional_ids: Option<String>,
    cluster: &'static str,
    policy: String,
}

impl Config {
    /// Topics `a-*`, groups `ga-*` and transactional ids `ta-*` live on `a`, `b-*`, `gb-*` and `tb-*` on `b`, all others on `a`.
    pub fn two_clusters(a: &Bootstrap, b: &Bootstrap) -> Self {
        let listeners = vec![Listener::default()];
        Self { listeners, clusters: Vec::new(), pipelines: Vec::new(), admin: String::new(), more: String::new() }
            .cluster("a", a)
            .cluster("b", b)
            .pipeline("left", "a-*", "ga-*", "a")
            .transactional_ids("ta-*")
            .pipeline("right", "b-*", "gb-*", "b")
            .transactional_ids("tb-*")
    }

    /// Its pipelines have no topics but those that go on with this name: what others leave is nothing to them.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn only(mut self, name: &str) -> Self {
        for pipeline in &mut self.pipelines {
            pipeline.topics = pipeline.topics.replace("-*", &format!("-{name}*"));
        }
        self
    }

    /// The last listener listens on that port instead of any free one, so that a second process can take its place.
    pub fn on_port(mut self, port: u16) -> Self {
        self.last().port = port;
        self
    }

    /// The last listener listens on that address of loopback; nodes of `hosts` are at 127.0.0.1 all the same.
    pub fn on_host(mut self, host: Ipv4Addr) -> Self {
        self.last().host = host;
        self
    }

    /// The last listener tells clients this address instead of the one it listens on.
    pub fn advertised(mut self, address: &str) -> Self {
        self.last().advertised = Some(address.to_owned());
        self
    }

    /// The last listener has this key too, as YAML in a line.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn keeps(mut self, key: &str) -> Self {
        self.last().keys.push_str(&format!("    {key}\n"));
        self
    }

    fn last(&mut self) -> &mut Listener {
        self.listeners.last_mut().expect("a listener")
    }

    /// The first listener shows this to all. The ports are for `hosts`.
    pub fn showing(mut self, view: View, ports: Option<RangeInclusive<u16>>) -> Self {
        self.listeners[0].nodes = Some(view.word());
        self.listeners[0].ports = ports;
        self
    }

    /// The first listener has a name for each node, by this template.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn named(mut self, template: &str) -> Self {
        self.listeners[0].names = Some(template.to_owned());
        self
    }

    /// Adds a listener on a free port that shows this. The ports are for `hosts`.
    pub fn listener(mut self, view: View, ports: Option<RangeInclusive<u16>>) -> Self {
        self.listeners.push(Listener { nodes: Some(view.word()), ports, ..Listener::default() });
        self
    }

    /// What each listener shows.
    pub fn views(&self) -> Vec<View> {
        let view = |one: &Listener| View::ALL.into_iter().find(|view| Some(view.word()) == one.nodes);
        self.listeners.iter().map(|one| view(one).unwrap_or(View::Auto)).collect()
    }

    /// The admin address has these keys too, as YAML in a line.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn admin(mut self, keys: &str) -> Self {
        self.admin = format!(", {keys}");
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
        self.clusters.push((name, bootstrap.servers.clone(), String::new()));
        self
    }

    /// A cluster has these keys too, as YAML in a line.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn keys(mut self, of: &str, keys: &str) -> Self {
        let cluster = self.clusters.iter_mut().find(|(name, ..)| *name == of).expect("a cluster");
        cluster.2 = format!(", {keys}");
        self
    }

    /// Adds a pipeline behind those that are there.
    pub fn pipeline(mut self, name: &str, topics: &str, groups: &str, cluster: &'static str) -> Self {
        let pipeline = Pipeline {
            name: name.into(),
            topics: topics.into(),
            groups: groups.into(),
            transactional_ids: None,
            cluster,
            policy: String::new(),
        };
        self.pipelines.push(pipeline);
        self
    }

    /// The last pipeline has these transactional ids.
    pub fn transactional_ids(mut self, ids: &str) -> Self {
        self.pipelines.last_mut().expect("a pipeline").transactional_ids = Some(ids.to_owned());
        self
    }

    /// That pipeline asks this of its records: lines of YAML.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn policy(mut self, of: &str, lines: &str) -> Self {
        let pipeline = self.pipelines.iter_mut().find(|pipeline| pipeline.name == of).expect("a pipeline");
        pipeline.policy = lines.lines().map(|line| format!("    {line}\n")).collect();
        self
    }

    /// No transactional id lives on another cluster than the default one, which is `a`.
    #[allow(dead_code, reason = "not in every test program")]
    pub fn transacting_on_a(mut self) -> Self {
        self.pipelines.iter_mut().for_each(|pipeline| pipeline.transactional_ids = None);
        self
    }

    /// The file.
    pub fn yaml(&self) -> String {
        let default = self.clusters.first().map_or("a", |(name, ..)| name);
        let mut text = format!("virtual_cluster: fishplate-test\ndefault_cluster: {default}\nlisteners:\n");
        // Writing to a String cannot fail.
        for Listener { host, port, advertised, nodes, ports, names, keys } in &self.listeners {
            let _ = writeln!(text, "  - bind: {host}:{port}");
            let _ = advertised.as_ref().map(|address| writeln!(text, "    advertised: {address}"));
            let _ = nodes.map(|nodes| writeln!(text, "    nodes: {nodes}"));
            let _ = names.as_ref().map(|template| writeln!(text, "    hosts: \"{template}\""));
            if let Some(ports) = ports {
                let (first, last) = (ports.start(), ports.end());
                let _ = writeln!(text, "    hosts: {{ name: \"127.0.0.1:{{port}}\", ports: {first}-{last} }}");
            }
            text.push_str(keys);
        }
        text.push_str("clusters:\n");
        for (slot, (name, servers, keys)) in self.clusters.iter().enumerate() {
            let list: Vec<_> = servers.split(',').map(|server| format!("\"{server}\"")).collect();
            let _ = writeln!(text, "  {name}: {{ slot: {slot}, bootstrap: [{}]{keys} }}", list.join(", "));
        }
        text.push_str("pipelines:\n");
        for Pipeline { name, topics, groups, transactional_ids, cluster, policy } in &self.pipelines {
            let _ = writeln!(
                text,
                "  - name: {name}\n    topics: [\"{topics}\"]\n    groups: [\"{groups}\"]\n    cluster: {cluster}"
            );
            let _ = transactional_ids.as_ref().map(|ids| writeln!(text, "    transactional_ids: [\"{ids}\"]"));
            text.push_str(policy);
        }
        let _ = writeln!(text, "admin: {{ bind: 127.0.0.1:0{} }}", self.admin);
        text.push_str(&self.more);
        text
    }
}
