//! The scenario `cut`: every connection of a client is cut once, while a producer and a group are at work. Alone, because
//! whoever uses the same links would be cut too.

use super::contract::{CUT, Client, Line, Run, View};
use super::{differences, results, shown};
use crate::harness::Bootstrap;
use crate::harness::link::Link;
use crate::harness::proxy::Proxy;
use crate::world::World;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// For the nodes of `hosts`.
const PORTS: u16 = 8;
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
        topics: ["a", "b"].map(|home| format!("{home}-cut-{name}-{way}")),
        groups: ["ga", "gb"].map(|home| format!("{home}-cut-{name}-{way}")),
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

/// A Fishplate of the trial's own. In `hosts` each node has a port that Fishplate itself listens on, with no room for a
/// link: there it is killed and started again, which cuts every connection too.
struct Before {
    proxy: Proxy,
    door: Option<Link>,
}

impl Before {
    fn start(world: &World, view: View) -> Self {
        let port = world.ports.take();
        let config = world.config().on_port(port);
        let (config, door) = match view {
            View::Hosts => (config.showing(shown(view), Some(world.ports.range(PORTS))), None),
            View::Brokers | View::Single => {
                let door = Link::new(0, port).unwrap();
                let address = format!("127.0.0.1:{}", door.port());
                (config.advertised(&address).showing(shown(view), None), Some(door))
            }
        };
        Self { proxy: world.start_proxy(&config), door }
    }

    fn servers(&self, view: View) -> Bootstrap {
        let over_door = self.door.as_ref().map(|door| format!("127.0.0.1:{}", door.port()));
        let servers = over_door.unwrap_or_else(|| self.proxy.bootstrap().servers);
        Bootstrap { name: format!("fishplate {} to be cut", view.name()), servers }
    }

    fn cut(&self) {
        match &self.door {
            Some(door) => cut(&[door]),
            None => {
                self.proxy.kill();
                self.proxy.restart();
            }
        }
    }
}
