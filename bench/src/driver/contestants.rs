//! The proxies before the clusters: Fishplate in both views, Shotover. Which program each is, and what it is told.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::certificates::Folder;

use super::policy;
use super::process::Process;
use super::stage::Way;

/// How long a program may take until it listens.
const PATIENCE: Duration = Duration::from_secs(20);

/// The programs that were built.
pub(super) struct Programs {
    pub(super) fishplate: Option<PathBuf>,
    pub(super) shotover: Option<PathBuf>,
    /// Where configs and logs go.
    pub(super) folder: PathBuf,
}

/// Which program, and what it is told.
pub(super) struct Setup {
    way: Way,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    /// Where it listens, for a program that does not say so itself.
    port: Option<u16>,
}

/// What Fishplate is told of TLS.
pub(super) struct Encryption<'a> {
    pub(super) files: &'a Folder,
    /// What clients are told to connect to: something that does TLS for them.
    pub(super) advertised: String,
    /// Clusters are reached with TLS too.
    pub(super) both: bool,
}

/// A running proxy.
pub(super) struct Proxy {
    process: Process,
    address: String,
    /// Where its metrics are; Shotover has none.
    admin: Option<String>,
}

impl Proxy {
    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(super) fn bootstrap(&self) -> &str {
        &self.address
    }

    /// Clients reach it there from now on. Where it was reached before.
    pub(super) fn reach_at(&mut self, address: String) -> String {
        std::mem::replace(&mut self.address, address)
    }

    /// Where it tells of itself.
    pub(super) fn admin(&self) -> Result<&str> {
        self.admin.as_deref().context("it has no metrics")
    }

    /// All its metrics.
    pub(super) fn page(&self) -> Result<String> {
        let admin = self.admin()?;
        let mut page = String::new();
        let mut socket = TcpStream::connect(admin)?;
        write!(socket, "GET /metrics HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n")?;
        socket.read_to_string(&mut page)?;
        Ok(page)
    }

    /// The sum of a metric over all its labels; 0 where it has none.
    pub(super) fn metric(&self, family: &str) -> Result<f64> {
        Ok(sum(&self.page()?, family))
    }
}

/// The proxies of one stage.
#[derive(Default)]
pub(super) struct Proxies {
    pub(super) setups: BTreeMap<Way, Setup>,
    pub(super) running: BTreeMap<Way, Proxy>,
}

impl Programs {
    /// Starts the proxies that are among `ways` before these clusters, of which all but the topics of this pattern live on
    /// `a`. Shotover knows only `a`. One that is not there or does not start is told of and left out.
    pub(super) fn start(&self, ways: &[Way], bootstraps: &[String], topics_of_b: &str) -> Result<Proxies> {
        let mut proxies = Proxies::default();
        for way in ways {
            let Some(setup) = self.setup(*way, bootstraps, topics_of_b)? else { continue };
            match setup.start() {
                Ok((proxy, _)) => {
                    proxies.running.insert(*way, proxy);
                    proxies.setups.insert(*way, setup);
                }
                Err(error) => eprintln!("{} is left out: {error:#}", way.name()),
            }
        }
        Ok(proxies)
    }

    /// Writes what a proxy is told into our folder. None where the way is no proxy, or its program was not built.
    pub(super) fn setup(&self, way: Way, bootstraps: &[String], topics_of_b: &str) -> Result<Option<Setup>> {
        let [a, b] = bootstraps else { bail!("two clusters are wanted, not {}", bootstraps.len()) };
        let (program, nodes) = match way {
            Way::Direct | Way::Copy => return Ok(None),
            Way::Fishplate
            | Way::Observed
            | Way::Overflowing
            | Way::Contracted
            | Way::Edited
            | Way::Few
            | Way::Many => (&self.fishplate, ""),
            Way::Single => (&self.fishplate, "    nodes: single\n"),
            Way::Shotover => (&self.shotover, ""),
        };
        let Some(program) = program.clone() else { return Ok(None) };
        let log = self.folder.join(format!("{way:?}.log").to_lowercase());
        let (arguments, port) = if way == Way::Shotover {
            let port = free_port()?;
            (self.tell_shotover(port, a)?, Some(port))
        } else {
            (self.tell_fishplate(way, nodes, [a, b], topics_of_b, "")?, None)
        };
        Ok(Some(Setup { way, program, arguments, log, port }))
    }

    /// Starts Fishplate with TLS. None where it was not built.
    pub(super) fn start_encrypted(
        &self,
        way: Way,
        bootstraps: [&str; 2],
        topics_of_b: &str,
        told: &Encryption<'_>,
    ) -> Result<Option<Proxy>> {
        let Some(program) = self.fishplate.clone() else { return Ok(None) };
        let nodes = if way == Way::Single { "    nodes: single\n" } else { "" };
        let Encryption { files, advertised, both } = told;
        let (certificate, key) = (files.certificate.display(), files.key.display());
        let listener = format!(
            "{nodes}    advertised: \"{advertised}\"\n    tls: {{ certificate: \"{certificate}\", key: \"{key}\" }}\n"
        );
        let cluster = if *both { format!(", tls: {{ ca: \"{}\" }}", files.ca.display()) } else { String::new() };
        let arguments = self.tell_fishplate(way, &listener, bootstraps, topics_of_b, &cluster)?;
        let log = self.folder.join(format!("encrypted-{way:?}.log").to_lowercase());
        Ok(Some(Setup { way, program, arguments, log, port: None }.start()?.0))
    }

    fn tell_fishplate(
        &self,
        way: Way,
        listener: &str,
        [a, b]: [&str; 2],
        topics_of_b: &str,
        cluster: &str,
    ) -> Result<Vec<String>> {
        let events = policy::pipeline(way).unwrap_or_default();
        let text = format!(
            "virtual_cluster: bench\n\
             default_cluster: a\n\
             listeners:\n  - bind: 127.0.0.1:0\n{listener}\
             clusters:\n  a: {{ slot: 0, bootstrap: [\"{a}\"]{cluster} }}\n  b: {{ slot: 1, bootstrap: [\"{b}\"]{cluster} }}\n\
             pipelines:\n  - {{ name: other, topics: [\"{topics_of_b}\"], groups: [], cluster: b }}\n{events}\
             admin: {{ bind: 127.0.0.1:0 }}\n"
        );
        let config = self.write(&format!("{way:?}.yaml").to_lowercase(), &text)?;
        Ok(["run", "-c", &config].map(str::to_owned).into())
    }

    fn tell_shotover(&self, port: u16, cluster: &str) -> Result<Vec<String>> {
        let topology = format!(
            "sources:\n  - Kafka:\n      name: bench\n      listen_addr: \"127.0.0.1:{port}\"\n      \
             connection_limit: 30000\n      chain:\n        - KafkaSinkCluster:\n            \
             first_contact_points: [\"{cluster}\"]\n            local_shotover_broker_id: 0\n            \
             connect_timeout_ms: 3000\n            shotover_nodes:\n              - address_for_clients: \
             \"127.0.0.1:{port}\"\n                address_for_peers: \"127.0.0.1:{port}\"\n                \
             rack: rack0\n                broker_id: 0\n"
        );
        let topology = self.write("shotover-topology.yaml", &topology)?;
        let config = self.write("shotover.yaml", "main_log_level: error\n")?;
        Ok(["--topology-file", &topology, "--config-file", &config].map(str::to_owned).into())
    }

    fn write(&self, name: &str, text: &str) -> Result<String> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path.display().to_string())
    }
}

impl Setup {
    /// Starts it, and says how long it took until it listened.
    pub(super) fn start(&self) -> Result<(Proxy, Duration)> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let began = Instant::now();
        let mut process = Process::start(self.way.name(), &self.program, &self.arguments, Some(log))?;
        let see = || format!("see {}", self.log.display());
        let (address, admin) = match self.port {
            None => (process.line("listening on ").with_context(see)?, true),
            Some(port) => (reached(port).with_context(see)?, false),
        };
        let took = began.elapsed();
        let admin = if admin { Some(process.line("admin on ").with_context(see)?) } else { None };
        Ok((Proxy { process, address, admin }, took))
    }
}

/// The sum of a metric over all its labels on a page.
pub(super) fn sum(page: &str, family: &str) -> f64 {
    total(samples(page, family))
}

/// The sum of these lines.
pub(super) fn total<'p>(samples: impl Iterator<Item = &'p str>) -> f64 {
    samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// The lines of a page that are of a metric.
pub(super) fn samples<'p>(page: &'p str, family: &'p str) -> impl Iterator<Item = &'p str> {
    page.lines().filter(move |line| line.strip_prefix(family).is_some_and(|rest| rest.starts_with([' ', '{'])))
}

fn reached(port: u16) -> Result<String> {
    let (address, until) = (format!("127.0.0.1:{port}"), Instant::now() + PATIENCE);
    while TcpStream::connect(&address).is_err() {
        if Instant::now() > until {
            bail!("nobody listens on {address} after {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(address)
}

/// A port that is free now; it is taken a moment later.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A program that was named, or that was built at `built`.
pub(super) fn program(named: Option<&Path>, built: &Path) -> Result<Option<PathBuf>> {
    match named {
        Some(named) => fs::canonicalize(named).with_context(|| named.display().to_string()).map(Some),
        None => Ok(fs::canonicalize(built).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_the_sum_of_its_samples() {
        let page = "# TYPE a_total counter\na_total{x=\"1\"} 2\na_total{x=\"2\"} 3\na_total_more 7\nb 4\n";
        assert_eq!([sum(page, "a_total"), sum(page, "b"), sum(page, "c")], [5.0, 4.0, 0.0]);
    }
}
