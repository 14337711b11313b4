//! The scenario `cut`: every connection of a client is cut once, while a producer and a group are at work. Alone, because
//! whoever uses the same links would be cut too.

use super::contract::{CUT, Client, Line, Run, View};
use super::{differences, homes, results, shown};
use crate::harness::Bootstrap;
use crate::harness::link::Link;
use crate::harness::proxy::Proxy;
use crate::world::World;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// For the nodes of `hosts`.
const PORTS: u16 = 8;
/// Where Fishplate listens.
const BEHIND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// On bare Kafka and through Fishplate: what was lost or doubled is the same, and that is nothing.
pub fn judge(world: &World, client: &'static Client, view: View) {
    results::noted(client, view, CUT, || {
        let links: Vec<_> = world.a.brokers().iter().map(|broker| &broker.link).collect();
        let before = Before::start(world, view);
        // Both at once: most of it is waiting.
        let (bare, through) = thread::scope(|scope| {
            let bare = scope.spawn(|| {
                play(world, client, &format!("bare-{}", view.name()), &world.a.over_links(), &|| cut(&links))
            });
            let through = play(world, client, view.name(), &before.servers(view), &|| before.cut());
            (bare.join().unwrap_or_else(|cause| resume_unwind(cause)), through)
        });
        let saw = |line: &Line| line.result.clone().unwrap_or_else(|| panic!("{}", line.failure()));
        let differs = differences::judge(client.name, view, CUT, &saw(&bare), &saw(&through));
        before.proxy.finish();
        differs
    });
}

fn play(world: &World, client: &'static Client, way: &str, at: &Bootstrap, cut: &(dyn Fn() + Sync)) -> Line {
    let name = client.name;
    let file = |end: &str| world.directory.join(format!("cut-{name}-{way}.{end}"));
    let asked = file("now");
    let run = Run {
        client: name,
        scenarios: &[CUT],
        bootstrap: at,
        topics: homes(way).map(|home| format!("{home}-cut-{name}-{way}")),
        groups: homes(way).map(|home| format!("g{home}-cut-{name}-{way}")),
        output: file("out"),
        log: file("log"),
        cut: Some(asked.clone()),
    };
    let over = AtomicBool::new(false);
    let (lines, was_cut) = thread::scope(|scope| {
        let cutting = scope.spawn(|| cut_when_asked(&asked, cut, &over));
        let lines = (client.play)(&run);
        over.store(true, Ordering::Relaxed);
        (lines, cutting.join().unwrap())
    });
    let line = lines.unwrap_or_else(|error| panic!("{error:#}")).remove(0);
    assert!(was_cut, "{name} at {at} never asked for the cut: {:?}", line.failed);
    line
}

/// Whether it was asked for.
fn cut_when_asked(asked: &Path, cut: &dyn Fn(), over: &AtomicBool) -> bool {
    while !asked.exists() {
        if over.load(Ordering::Relaxed) {
            return false;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    cut();
    std::fs::remove_file(asked).unwrap();
    true
}

#[track_caller]
fn cut(links: &[&Link]) {
    assert!(links.iter().any(|link| link.connections() > 0), "nothing is connected that could be cut");
    links.iter().for_each(|link| link.cut());
}

/// A Fishplate of the trial's own, behind doors: whatever address clients are told, they come over a link. It listens on
/// another address of loopback, at the ports that the doors have on 127.0.0.1.
struct Before {
    proxy: Proxy,
    doors: &'static Doors,
}

/// Links, for all trials of a run one after the other: a door for each port takes many.
struct Doors {
    port: u16,
    nodes: RangeInclusive<u16>,
    links: Vec<Link>,
}

impl Before {
    fn start(world: &World, view: View) -> Self {
        let doors = Doors::of(world);
        let nodes = (view == View::Hosts).then(|| doors.nodes.clone());
        let config = world.config().on_host(BEHIND).on_port(doors.port).advertised(&doors.address());
        Self { proxy: world.start_proxy(&config.showing(shown(view), nodes)), doors }
    }

    fn servers(&self, view: View) -> Bootstrap {
        Bootstrap { name: format!("fishplate {} to be cut", view.name()), servers: self.doors.address() }
    }

    fn cut(&self) {
        cut(&self.doors.links.iter().collect::<Vec<_>>());
    }
}

impl Doors {
    fn of(world: &World) -> &'static Self {
        static DOORS: OnceLock<Doors> = OnceLock::new();
        DOORS.get_or_init(|| {
            let (port, nodes) = (world.ports.take(), world.ports.range(PORTS));
            let links = nodes.clone().chain([port]).map(|port| Link::to_host(port, BEHIND, port).unwrap()).collect();
            Self { port, nodes, links }
        })
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}
