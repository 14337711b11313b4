//! The clusters and the harness themselves: what all other trials stand on.

use crate::harness::topics::Topics;
use crate::harness::wait;
use crate::world::{World, alone, shared};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        shared("harness: both clusters serve what they lead", both_clusters_serve),
        alone("harness: a killed broker's partitions move and it comes back", a_killed_broker_comes_back),
    ]
}

fn both_clusters_serve(world: &World) {
    for (cluster, replicas) in [(&world.a, 3), (&world.b, 1)] {
        // Given a topic with a replica on every broker
        Topics::of(&cluster.bootstrap()).create("harness-serves", 6, replicas);
        // Then every partition gets a leader
        wait::until("all six partitions are led", wait::seconds(10), || {
            (0..6).all(|partition| cluster.leader("harness-serves", partition).is_some())
        });
    }
}

fn a_killed_broker_comes_back(world: &World) {
    // Given a partition that broker 2 leads
    Topics::of(&world.a.bootstrap()).create("harness-killed", 6, 3);
    let led_by_2 = || (0..6).find(|&partition| world.a.leader("harness-killed", partition) == Some(2));
    let partition = wait::find("a partition led by broker 2", wait::seconds(10), led_by_2);
    // When broker 2 is killed
    world.a.broker(2).kill();
    // Then another one leads it
    wait::until("another broker leads", wait::seconds(20), || {
        world.a.leader("harness-killed", partition).is_some_and(|leader| leader != 2)
    });
    // And when it is back, the cluster becomes whole
    world.a.broker(2).restart();
    world.a.wait_ready();
}
