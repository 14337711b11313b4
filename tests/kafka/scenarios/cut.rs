//! The scenario `cut`: every connection of a client is cut once, while a producer and a group are at work. Alone, because
//! whoever uses the same links would be cut too.

use super::contract::{CUT, Client, Line, Run, View};
use super::{differences, results, shown};
use crate::harness::Bootstrap;
use crate::harness::link::Link;
use crate::world::World;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// On bare Kafka and through Fishplate: what was lost or doubled is the same, and that is nothing.
pub fn judge(world: &World, client: &'static Client, view: View) {
    results::noted(client, view, CUT, || {
        let links: Vec<_> = world.a.brokers().iter().map(|broker| &broker.link).collect();
        let bare = play(world, client, "bare", &world.a.over_links(), &links);
        let port = world.ports.take();
        let door = Link::new(0, port).unwrap();
        let address = format!("127.0.0.1:{}", door.port());
        let proxy = world.start_proxy(&world.config().on_port(port).advertised(&address).showing(shown(view), None));
        let servers = Bootstrap { name: "fishplate over a link".into(), servers: address };
        let through = play(world, client, view.name(), &servers, &[&door]);
        let saw = |line: &Line| line.result.clone().unwrap_or_else(|| panic!("{}", line.failure()));
        let differs = differences::judge(client.name, view, CUT, &saw(&bare), &saw(&through));
        proxy.finish();
        differs
    });
}

fn play(world: &World, client: &'static Client, way: &str, at: &Bootstrap, links: &[&Link]) -> Line {
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
    let (lines, cut) = thread::scope(|scope| {
        let cutting = scope.spawn(|| cut_when_asked(&asked, links, &over));
        let lines = (client.play)(&run);
        over.store(true, Ordering::Relaxed);
        (lines, cutting.join().unwrap())
    });
    let line = lines.unwrap_or_else(|error| panic!("{error:#}")).remove(0);
    assert!(cut > 0, "{name} at {at} had no connection when it asked for the cut: {:?}", line.failed);
    line
}

/// How many connections it cut.
fn cut_when_asked(asked: &Path, links: &[&Link], over: &AtomicBool) -> usize {
    while !asked.exists() {
        if over.load(Ordering::Relaxed) {
            return 0;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    let connections = links.iter().map(|link| link.connections()).sum();
    links.iter().for_each(|link| link.cut());
    std::fs::remove_file(asked).unwrap();
    connections
}
