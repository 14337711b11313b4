//! Shotover as it comes, from its crate: `scripts/bench` builds it, `fishplate-bench` writes its topology.

fn main() {
    shotover::runner::Shotover::new().run_block();
}
