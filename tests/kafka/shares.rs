//! Share groups (KIP-932) in `single`, where one connection stands for a session at each of three brokers: what is accepted is
//! not delivered again, what is given back is, and nothing is left, whatever happens on the way.

use crate::harness::Bootstrap;
use crate::harness::config::View;
use crate::harness::link::Link;
use crate::scenarios::clients::CLIENTS;
use crate::scenarios::contract::{Client, Line, Run};
use crate::world::{World, alone, full};
use libtest_mimic::Trial;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const SHARING: &str = "sharing";
/// Who plays, and before what also outside of the full level.
const MEMBERS: &[(&str, &str)] = &[("java-4.3", FREEZE), ("franz-go", CUT)];
const CUT: &str = "all connections are cut";
const FREEZE: &str = "a broker is frozen";
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
/// Shorter than a broker may be silent until its cluster counts it out: three seconds, and it says something twice a second.
const FROZEN: Duration = Duration::from_millis(1_500);
/// Where a cut comes between a broker's taking of an acknowledgement and its answer, the member knows of no outcome. That can be
/// so with what two partitions' last answers gave it, and not of more.
const MOST_IN_DOUBT: u64 = 10;

/// Something that happens, once.
type Happens = fn(&World, &Link);

pub fn trials() -> Vec<Trial> {
    let cases: [(&str, Happens); 2] = [
        (CUT, |_, link| {
            assert!(link.connections() > 0, "nothing is connected that could be cut");
            link.cut();
        }),
        // Not the controller.
        (FREEZE, |world, _| {
            world.a.broker(2).freeze();
            thread::sleep(FROZEN);
            world.a.broker(2).thaw();
        }),
    ];
    let mut trials = Vec::new();
    for (name, in_ci) in MEMBERS {
        let Some(client) = CLIENTS.iter().find(|client| client.name == *name) else { continue };
        for (what, happens) in cases.into_iter().filter(|(what, _)| what == in_ci || full()) {
            let name = format!("shares: {name}: {what}, and nothing is lost in single");
            trials.push(alone(name, move |world| plays(world, client, what, happens)));
        }
    }
    trials
}

fn plays(world: &World, client: &'static Client, what: &str, happens: Happens) {
    // Given a Fishplate that shows everybody one node, behind a link
    let port = world.ports.take();
    let link = Link::new(0, port).unwrap_or_else(|error| panic!("{error:#}"));
    let address = format!("127.0.0.1:{}", link.port());
    let proxy = world.start_proxy(&world.config().showing(View::Single, None).on_port(port).advertised(&address));
    // When that happens while two share groups are at work
    let line = play(world, client, what, (&link, address), happens);
    // Then each record was accepted once, and what was given back came again
    let result = line.result.clone().unwrap_or_else(|| panic!("{}", line.failure()));
    let of = |mode: &str, back: u64| {
        let seen = &result[mode];
        let count = |what: &str| seen[what].as_u64().unwrap_or_else(|| panic!("{what}: {result} {}", line.raw));
        assert_eq!(count("accepted") + count("in doubt"), 72, "{mode}: {result} {}", line.raw);
        assert!(count("in doubt") <= MOST_IN_DOUBT, "{mode}: {result} {}", line.raw);
        assert_eq!(count("given back"), back, "{mode}: {result} {}", line.raw);
        for nothing in ["delivered after it was accepted", "left for the next member"] {
            assert!(seen[nothing].is_null() || seen[nothing] == 0, "{mode}: {result} {}", line.raw);
        }
    };
    of("explicit", 18);
    of("implicit", 0);
    assert_eq!(result["explicit"]["left for the next member"], 0, "{result}");
    world.note(format!("{}: {what}: {}", client.name, line.raw));
    proxy.log().allow("cluster");
    proxy.finish();
}

fn play(
    world: &World,
    client: &'static Client,
    what: &str,
    (link, address): (&Link, String),
    happens: Happens,
) -> Line {
    let name = format!("sharing-{}-{}", client.name, what.split(' ').next_back().unwrap_or_default());
    let file = |end: &str| world.directory.join(format!("{name}.{end}"));
    let (asked, over) = (file("now"), AtomicBool::new(false));
    let run = Run {
        client: client.name,
        scenarios: &[SHARING],
        bootstrap: &Bootstrap { name: "fishplate single behind a link".to_owned(), servers: address },
        topics: ["a", "b"].map(|home| format!("{home}-{name}")),
        groups: ["ga", "gb"].map(|home| format!("{home}-{name}")),
        output: file("out"),
        log: file("log"),
        cut: Some(asked.clone()),
    };
    let (lines, has_happened) = thread::scope(|scope| {
        let happening = scope.spawn(|| when_asked(&asked, &over, || happens(world, link)));
        let lines = (client.play)(&run);
        over.store(true, Ordering::Relaxed);
        (lines, happening.join().unwrap())
    });
    let line = lines.unwrap_or_else(|error| panic!("{error:#}")).remove(0);
    assert!(has_happened, "{name} never asked: {:?}", line.failed);
    line
}

/// Whether it was asked for.
fn when_asked(asked: &Path, over: &AtomicBool, happens: impl FnOnce()) -> bool {
    while !asked.exists() {
        if over.load(Ordering::Relaxed) {
            return false;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    happens();
    std::fs::remove_file(asked).unwrap();
    true
}
