//! A cluster that is patched as MSK's are: its brokers go one by one, each is away for a while and slow when it is back, and all
//! of Fishplate's links are over TLS with logins of five seconds.

use crate::harness::config::{Config, View};
use crate::harness::secured::{PASSWORD, USER};
use crate::harness::topics::Topics;
use crate::harness::wait;
use crate::load::Load;
use crate::world::{World, alone, full};
use libtest_mimic::Trial;
use std::thread::sleep;

/// It is the controller, too: elsewhere controllers are machines of their own, and it goes last.
const PATCHED: [i32; 3] = [3, 2, 1];

pub fn trials() -> Vec<Trial> {
    let rolling = alone("patching: brokers go one by one over secured links, and clients only try again", rolling);
    vec![rolling.with_ignored_flag(!full())]
}

/// Both clusters over TLS: cluster a with logins of five seconds, b with a certificate.
pub fn secured(world: &World) -> Config {
    let login = format!("sasl: {{ mechanism: SCRAM-SHA-512, username: {USER}, password: \"{PASSWORD}\" }}");
    let keys = format!("{}, {login}", world.a.pki().tls());
    let config = Config::two_clusters(&world.a.secured(), &world.b.mutual());
    config.keys("a", &keys).keys("b", &world.b.pki().mutual_tls())
}

fn rolling(world: &World) {
    // Given producers and consumers in both views, before a cluster of three brokers that asks who comes
    let proxy = world.start_proxy(&secured(world).listener(View::Single, None));
    let topics = ["a-patching", "a-patching-single"];
    topics.iter().for_each(|topic| Topics::of(&world.a.bootstrap()).create(topic, 6, 3));
    PATCHED.iter().for_each(|id| proxy.log().allow(&format!("broker {id}")));
    proxy.log().allow("have not heard of a new shadow topic yet");
    let loads =
        [Load::start(&proxy.bootstrap(), &topics[..1]), Load::start(&proxy.bootstrap_in(View::Single), &topics[1..])];
    let flow = || loads.iter().for_each(|load| load.flows(wait::seconds(60)));
    for id in PATCHED {
        // When a broker hands its partitions over, is away for longer than its clients' patience, and comes back
        world.a.broker(id).stop();
        sleep(wait::seconds(20));
        if id != 1 {
            flow();
        }
        world.a.broker(id).restart();
        world.a.wait_ready();
        flow();
        // And is slow for a while: it stands still again and again
        for _ in 0..5 {
            world.a.broker(id).freeze();
            sleep(wait::seconds(1));
            world.a.broker(id).thaw();
            sleep(wait::seconds(1));
        }
        flow();
    }
    // Then no record was given up, and none was lost, doubled or reordered
    for (load, view) in loads.into_iter().zip(["brokers", "single"]) {
        let gaps: Vec<_> = topics.iter().map(|topic| load.longest_gap(topic)).collect();
        let outcome = load.judge(&[&world.a]);
        world.note(format!("patching, {view}: {outcome}; longest silence {:.1?}", gaps.iter().min().expect("two")));
        outcome.must_be_clean();
        assert!(outcome.errors.is_empty(), "{outcome}");
    }
    proxy.finish();
}
