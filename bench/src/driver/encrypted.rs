//! TLS on the clients' side and on both, beside a plain copy that has it too: processor time a byte, connections that come
//! anew, memory of idle ones. The load and the synthetic clusters speak plain text; a copier before each encrypts for them,
//! so that what is measured is the proxy's process alone.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::certificates::Folder;
use crate::load::{Kind, Report};

use super::contestants::{Encryption, Proxies};
use super::measure::{Course, Load, Row};
use super::process::Process;
use super::rest::{self, Rest};
use super::sections::load;
use super::stage::{NODES, Way, first, start_copy_with};
use super::stats::{Rounds, ratio};
use super::table::line;
use super::{Bench, IDLE};

const WAYS: [Way; 3] = [Way::Copy, Way::Fishplate, Way::Single];
const HUNDRED: &[&str] = &["many-a-:50", "many-b-:50"];

/// Where there is TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Sides {
    Clients,
    Both,
}

impl Sides {
    const ALL: [Self; 2] = [Self::Clients, Self::Both];

    fn name(self) -> &'static str {
        match self {
            Self::Clients => "TLS to clients",
            Self::Both => "TLS on both sides",
        }
    }
}

/// All that was measured with TLS.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Encrypted {
    pub(super) rows: BTreeMap<Sides, Vec<Row>>,
    /// Connections that came anew: whole handshakes, and such that resume a session.
    pub(super) handshakes: Vec<Handshakes>,
    /// With TLS to clients.
    pub(super) rest: BTreeMap<Way, Rest>,
}

/// Connections that came anew.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Handshakes {
    resumed: bool,
    ways: BTreeMap<Way, Vec<Report>>,
}

impl Encrypted {
    /// The worst row's processor time a byte, of the copy's.
    pub(super) fn against_copy(&self, sides: Sides, way: Way) -> Option<f64> {
        let of = |row: &Row| row.cpu_per_gigabyte(way).with(&row.cpu_per_gigabyte(Way::Copy), ratio).median();
        self.rows.get(&sides)?.iter().filter_map(of).reduce(f64::max)
    }
}

/// Two clusters, the copier, and the proxies, all reached through copiers that do TLS.
struct Stage {
    /// The copier first; each ends with this.
    processes: Vec<Process>,
    /// Where the copier listens with TLS.
    shaken: String,
    copied: Vec<String>,
    proxies: Proxies,
    /// Where the proxies listen with TLS.
    addresses: BTreeMap<Way, String>,
    files: Folder,
}

/// A copier, and its ports.
fn copier(ports: usize, more: &[&str], folder: &str) -> Result<(Process, Vec<String>)> {
    let more: Vec<_> = more.iter().copied().chain(["--certificates", folder]).collect();
    let mut copier = start_copy_with(ports, &more)?;
    let ports = copier.line("listening on ")?.split(',').map(str::to_owned).collect();
    Ok((copier, ports))
}

impl Stage {
    fn start(bench: &Bench<'_>, sides: Sides) -> Result<Self> {
        let folder = bench.programs.folder.join("certificates");
        let files = Folder::make(&folder)?;
        let folder = folder.to_str().context("a folder whose name is no text")?;
        let all = NODES * 2;
        let both: &[&str] = if sides == Sides::Both { &["--connect-tls"] } else { &[] };
        let (mut copy, shaken) = copier(all, &[&["--accept-tls"], both].concat(), folder)?;
        let (mut to_copy, copied) = copier(all, &["--connect-tls"], folder)?;
        to_copy.say(&shaken.join(","))?;
        let (mut processes, mut behind, mut bootstraps) = (Vec::new(), Vec::new(), Vec::new());
        for (id, ports) in ["a", "b"].iter().zip(copied.chunks(NODES)) {
            let topics = if *id == "a" { "many-a-:50:3" } else { "many-b-:50:3" };
            let nodes = NODES.to_string();
            let ports = ports.join(",");
            let mut arguments: Vec<String> =
                ["sink", "--id", id, "--nodes", &nodes, "--copied", &ports, "--topics", topics]
                    .map(str::to_owned)
                    .into();
            if sides == Sides::Both {
                // Who does TLS for the cluster must be told the ports that the cluster has, which must know its.
                let (mut decrypting, ports) = copier(NODES, &["--accept-tls"], folder)?;
                arguments.extend(["--told".to_owned(), ports.join(",")]);
                let mut sink = Process::own(&arguments)?;
                decrypting.say(&sink.line("listening on ")?)?;
                bootstraps.extend(ports.into_iter().take(1));
                let (mut decrypting_copy, ports) = copier(NODES, &["--accept-tls"], folder)?;
                decrypting_copy.say(&sink.line("behind the copier ")?)?;
                behind.extend(ports);
                processes.extend([sink, decrypting, decrypting_copy]);
            } else {
                let mut sink = Process::own(&arguments)?;
                bootstraps.extend(first(&sink.line("listening on ")?));
                behind.push(sink.line("behind the copier ")?);
                processes.push(sink);
            }
        }
        copy.say(&behind.join(","))?;
        processes.insert(0, copy);
        processes.push(to_copy);
        let copied = copied.chunks(NODES).filter_map(|ports| ports.first().cloned()).collect();
        let shaken = shaken.first().cloned().context("a copier without ports")?;
        let mut stage =
            Self { processes, shaken, copied, proxies: Proxies::default(), addresses: BTreeMap::new(), files };
        let [a, b] = bootstraps.as_slice() else { anyhow::bail!("two clusters, and not {}", bootstraps.len()) };
        for way in [Way::Fishplate, Way::Single] {
            let (mut encrypting, ports) = copier(1, &["--connect-tls"], folder)?;
            let advertised = ports.join(",");
            let told = Encryption { files: &stage.files, advertised: advertised.clone(), both: sides == Sides::Both };
            let Some(mut proxy) = bench.programs.start_encrypted(way, [a, b], "*-b-*", &told)? else { continue };
            let address = proxy.reach_at(advertised);
            encrypting.say(&address)?;
            stage.addresses.insert(way, address);
            stage.proxies.running.insert(way, proxy);
            stage.processes.push(encrypting);
        }
        Ok(stage)
    }

    fn copy(&self) -> u32 {
        self.processes.first().map_or(0, Process::pid)
    }

    fn course<'a>(&'a self, bench: &'a Bench<'_>) -> Course<'a> {
        let client = &bench.about.client;
        Course {
            direct: Vec::new(),
            copied: self.copied.clone(),
            watched: self.watched(),
            proxies: &self.proxies,
            rounds: bench.about.rounds,
            seconds: bench.about.seconds,
            software: client.split_once('/').unwrap_or((client, "")),
        }
    }

    /// All processes but the proxies by name.
    fn watched(&self) -> Vec<(String, u32)> {
        let name = |at: usize| if at == 0 { Way::Copy.name().to_owned() } else { format!("beside {at}") };
        self.processes.iter().enumerate().map(|(at, process)| (name(at), process.pid())).collect()
    }

    /// Each way's process, and where it listens with TLS.
    fn ways(&self) -> impl Iterator<Item = (Way, u32, &str)> {
        let proxies = self
            .proxies
            .running
            .iter()
            .filter_map(|(way, proxy)| Some((*way, proxy.pid(), &**self.addresses.get(way)?)));
        std::iter::once((Way::Copy, self.copy(), self.shaken.as_str())).chain(proxies)
    }
}

/// Measures it.
pub(super) fn all(bench: &Bench<'_>) -> Result<Encrypted> {
    let mut all = Encrypted::default();
    for sides in Sides::ALL {
        let stage = Stage::start(bench, sides)?;
        if sides == Sides::Clients {
            all.handshakes = handshakes(bench, &stage)?;
        }
        let named = |load: Load| Load { name: format!("{}, {}", load.name, sides.name()), ..load };
        let mut loads: Vec<_> =
            [Kind::Produce, Kind::Fetch].map(|kind| named(load(kind, 256, HUNDRED, None))).into_iter().collect();
        if !bench.about.quick {
            loads.extend([Kind::Produce, Kind::Fetch].map(|kind| named(load(kind, 16, HUNDRED, None))));
        }
        loads.retain(|load| bench.wants(load));
        all.rows.insert(sides, stage.course(bench).run(loads, &WAYS));
    }
    // Anew, so that the allocator has nothing left over.
    let stage = Stage::start(bench, Sides::Clients)?;
    let course = stage.course(bench);
    std::thread::sleep(std::time::Duration::from_millis(700));
    for (way, pid, _) in stage.ways() {
        let entry = all.rest.entry(way).or_default();
        if let Err(error) = rest::idle(&course, way, pid, IDLE, "many-a-:50", entry) {
            entry.failures.push(format!("{}: {error:#}", way.name()));
        }
    }
    Ok(all)
}

fn handshakes(bench: &Bench<'_>, stage: &Stage) -> Result<Vec<Handshakes>> {
    let mut all = Vec::new();
    for resumed in [false, true] {
        let mut ways: BTreeMap<Way, Vec<Report>> = BTreeMap::new();
        for _ in 0..bench.about.rounds {
            for (way, pid, address) in stage.ways() {
                let mut arguments = vec!["handshakes".to_owned(), "--address".to_owned(), address.to_owned()];
                arguments.extend(["--ca".to_owned(), stage.files.ca.display().to_string()]);
                arguments.extend(["--seconds".to_owned(), bench.about.seconds.to_string()]);
                arguments.extend(["--watch".to_owned(), format!("{}={pid}", way.name())]);
                arguments.extend(resumed.then(|| "--resume".to_owned()));
                let line = Process::own(&arguments)?.result()?;
                let report: Report =
                    serde_json::from_str(&line).with_context(|| format!("a report of another form: {line}"))?;
                ensure!(report.requests > 0, "{}: no handshake", way.name());
                ways.entry(way).or_default().push(report);
            }
        }
        all.push(Handshakes { resumed, ways });
    }
    Ok(all)
}

/// Its tables.
pub(super) fn markdown(encrypted: &Encrypted) -> String {
    flow_table(encrypted) + &handshakes_table(encrypted) + &rest_table(encrypted)
}

fn flow_table(encrypted: &Encrypted) -> String {
    if encrypted.rows.values().all(Vec::is_empty) {
        return String::new();
    }
    let mut text = "\n**As much as goes, with TLS** (1.3, AES-256-GCM): the copy has it too, by the same crates (rustls, ring, tokio-rustls, \
         one task a connection). The load and the clusters have it done by copiers of their own, which share the machine\n\n\
         | | copy GB/s | Fishplate GB/s | single GB/s | copy CPU-s/GB | Fishplate CPU-s/GB | ÷ copy | single CPU-s/GB | ÷ copy |\n\
         |---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in encrypted.rows.values().flatten() {
        let cpu = |way| row.cpu_per_gigabyte(way);
        let against = |way| cpu(way).with(&cpu(Way::Copy), ratio).show(2);
        let mut cells = vec![row.load.name.clone()];
        cells.extend(WAYS.map(|way| row.flow(way).show(2)));
        cells.push(cpu(Way::Copy).show(3));
        for way in [Way::Fishplate, Way::Single] {
            cells.extend([cpu(way).show(3), against(way)]);
        }
        line(&mut text, &cells);
    }
    text
}

fn handshakes_table(encrypted: &Encrypted) -> String {
    if encrypted.handshakes.is_empty() {
        return String::new();
    }
    let mut text = "\n**Connections that come anew**, with TLS (certificates of ECDSA P-256), ApiVersions and the end: how many a second of one core of the \
         proxy, and how many there were a second. The copy also connects to its cluster for each\n\n\
         | | copy, of a core | Fishplate, of a core | single, of a core | copy/s | Fishplate/s | single/s |\n|---|---|---|---|---|---|---|\n"
        .to_owned();
    for Handshakes { resumed, ways } in &encrypted.handshakes {
        let of = |way: Way, value: &dyn Fn(&Report) -> f64| -> String {
            ways.get(&way).into_iter().flatten().map(value).collect::<Rounds>().show(0)
        };
        let mut cells = vec![if *resumed { "resumed" } else { "whole handshakes" }.to_owned()];
        cells.extend(WAYS.map(|way| {
            of(way, &|report| report.requests as f64 / report.cpu.get(way.name()).copied().unwrap_or(f64::NAN))
        }));
        cells.extend(WAYS.map(|way| of(way, &|report| report.requests as f64 / report.seconds)));
        line(&mut text, &cells);
    }
    text
}

fn rest_table(encrypted: &Encrypted) -> String {
    if encrypted.rest.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n**Idle connections with TLS**, {IDLE} of them\n\n| | KiB each | KiB with links open |\n|---|---|---|\n"
    );
    let kib = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
    for (way, rest) in &encrypted.rest {
        line(&mut text, &[way.name().to_owned(), kib(rest.open), kib(rest.linked)]);
    }
    text
}
