//! What `check --live` says of clusters that cannot do everything.

use crate::harness::config::Config;
use crate::harness::standin::StandIn;
use crate::operator::run;
use crate::world::{World, shared};
use libtest_mimic::Trial;
use std::fs;

pub fn trials() -> Vec<Trial> {
    let kinds: [(&str, Make); 2] = [("old", StandIn::old), ("warpstream", StandIn::warpstream)];
    let of_kind = |(kind, make): (&'static str, Make)| {
        shared(format!("stand-in {kind}: check --live says what it cannot do"), move |world| is_told(world, kind, make))
    };
    kinds.map(of_kind).into()
}

type Make = fn(u16) -> anyhow::Result<StandIn>;

/// What an operator reads of a cluster that cannot do everything, and whom that affects.
fn is_told(world: &World, kind: &str, make: Make) {
    let stand_in = make(world.b.broker(1).port).unwrap_or_else(|error| panic!("{error:#}"));
    let config = Config::two_clusters(&world.a.bootstrap(), &stand_in.bootstrap());
    let file = world.directory.join(format!("{kind}-live.yaml"));
    fs::write(&file, config.yaml()).expect("a file");
    let (_, said) = run(&["check", "-c", &file.to_string_lossy(), "--live"]);
    let of = |cluster: &str| {
        let lines = said.lines().skip_while(|line| !line.starts_with(&format!("{cluster}: "))).skip(1);
        lines.take_while(|line| line.starts_with("  without ")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(of("a"), "", "Kafka of today lacks nothing: {said}");
    insta::assert_snapshot!(format!("lacks_of_{kind}"), of("b"));
}
