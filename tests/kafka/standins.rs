//! Clusters that are older or other than Apache Kafka of today: clients see what they see on bare Kafka, or the difference
//! stands in `tests/clients/differences.yaml`.

use crate::harness::Bootstrap;
use crate::harness::config::{Config, View as Shown};
use crate::harness::standin::StandIn;
use crate::scenarios::clients::CLIENTS;
use crate::scenarios::contract::{ALL, CUT, Client, Line, Run, View};
use crate::scenarios::differences;
use crate::world::{World, full, shared};
use libtest_mimic::Trial;
use std::thread;

/// By the clients' names, and what else than the full level plays.
const PLAYED: &[(&str, bool)] = &[("librdkafka", true), ("franz-go", false), ("java-4.3", false)];

/// What is played beside the full level.
const IN_CI: &[&str] = &["codecs", "commit", "cooperative", "reset", "idempotent"];

/// A group is in the list once for each node that it knows (as before Apache Kafka), and here they come and go.
const LEFT_OUT: &[(&str, &str, &str)] = &[("warpstream", "librdkafka", "groups")];

pub fn trials() -> Vec<Trial> {
    let kinds: [(&str, Make); 2] = [("old", StandIn::old), ("warpstream", StandIn::warpstream)];
    let clients = PLAYED.iter().filter(|(_, in_ci)| *in_ci || full());
    let clients: Vec<&Client> =
        clients.filter_map(|(name, _)| CLIENTS.iter().find(|client| client.name == *name)).collect();
    let of_kind = |(kind, make): (&'static str, Make)| {
        let one = move |client: &&'static Client| {
            let client = *client;
            shared(format!("stand-in {kind}: {}", client.name), move |world| plays(world, client, kind, make))
        };
        clients.iter().map(one).collect::<Vec<_>>()
    };
    kinds.into_iter().flat_map(of_kind).collect()
}

type Make = fn(u16) -> anyhow::Result<StandIn>;

/// One client, all that every client plays, the second of its topics and groups on the stand-in.
fn plays(world: &World, client: &'static Client, kind: &str, make: Make) {
    let stand_in = make(world.b.broker(1).port).unwrap_or_else(|error| panic!("{error:#}"));
    let config = Config::two_clusters(&world.a.bootstrap(), &stand_in.bootstrap()).showing(Shown::Brokers, None);
    let proxy = world.start_proxy(&config);
    let is_played = |one: &&str| {
        ALL.contains(one)
            && *one != CUT
            && (full() || IN_CI.contains(one))
            && !LEFT_OUT.contains(&(kind, client.name, *one))
    };
    let scenarios: Vec<_> = client.plays().into_iter().filter(is_played).collect();
    let play = |bootstrap: &Bootstrap, way: &str, second: &str| {
        let (topics, groups) = (["a", second].map(|home| format!("{home}-{kind}-{}", client.name)), ["a", second]);
        (client.play)(&Run {
            client: client.name,
            scenarios: &scenarios,
            bootstrap,
            topics: topics.map(|topic| format!("{topic}-{way}")),
            groups: groups.map(|home| format!("g{home}-{kind}-{}-{way}", client.name)),
            output: world.directory.join(format!("{kind}-{}-{way}.out", client.name)),
            log: world.directory.join(format!("{kind}-{}-{way}.log", client.name)),
            cut: None,
        })
    };
    let (bare, through) = thread::scope(|scope| {
        let bare = scope.spawn(|| play(&world.a.bootstrap(), "bare", "c"));
        let through = play(&proxy.bootstrap(), "through", "b").unwrap_or_else(|error| panic!("{error:#}"));
        let bare = bare.join().expect("the client on bare Kafka");
        (bare.unwrap_or_else(|error| panic!("{error:#}")), through)
    });
    let complaints: Vec<_> =
        scenarios.iter().filter_map(|scenario| complaint(kind, client, scenario, &bare, &through)).collect();
    assert!(complaints.is_empty(), "before {kind}:\n{}", complaints.join("\n"));
    assert!(proxy.stop().success(), "{}", proxy.log().tail(20));
}

fn complaint(kind: &str, client: &Client, scenario: &str, bare: &[Line], through: &[Line]) -> Option<String> {
    let find = |lines: &[Line]| {
        let line = lines.iter().find(|line| line.scenario == scenario);
        let line = line.unwrap_or_else(|| panic!("the client left {scenario} out"));
        line.result.clone().ok_or_else(|| line.failure())
    };
    let (bare, through) = match (find(bare), find(through)) {
        (Ok(bare), Ok(through)) => (bare, through),
        (Err(failure), _) => return Some(format!("on bare Kafka, {failure}")),
        (_, Err(failure)) => return Some(failure),
    };
    differences::complaint_before(kind, client.name, View::Brokers, scenario, (&bare, &through))
}
