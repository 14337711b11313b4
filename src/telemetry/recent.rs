//! The meters that somebody used last, found without hashing three texts: a session counts under a few keys, and the
//! names in them are the same objects from request to request.

use super::{Meter, MeterKey, Telemetry};
use parking_lot::Mutex;
use std::sync::Arc;

/// A session that counts under more keys than this looks some of them up in the registry again.
const KEPT: usize = 16;

/// See the module's text.
#[derive(Default)]
pub struct Recent(Mutex<Vec<(MeterKey, Arc<Meter>)>>);

impl Recent {
    /// The meter of a key.
    #[must_use]
    pub fn meter(&self, telemetry: &Telemetry, key: &MeterKey) -> Arc<Meter> {
        let mut kept = self.0.lock();
        if let Some(at) = kept.iter().position(|(known, _)| known.is_same(key)) {
            kept.swap(0, at);
            return Arc::clone(&kept[0].1);
        }
        let meter = telemetry.meter(key);
        kept.truncate(KEPT - 1);
        kept.insert(0, (key.clone(), Arc::clone(&meter)));
        meter
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Name;
    use std::time::{Duration, Instant};

    fn key(api: &'static str, pipeline: &Name) -> MeterKey {
        MeterKey { api, pipeline: pipeline.clone(), cluster: Name::none() }
    }

    #[test]
    fn a_key_has_one_meter_however_it_is_found() {
        let (telemetry, recent) = (Telemetry::new().unwrap(), Recent::default());
        // Given more keys than are kept, of which some are equal and not the same
        let names: Vec<Name> = (0..2 * KEPT).map(|n| (n % (KEPT + 3)).to_string().as_str().into()).collect();
        let keys: Vec<_> = names.iter().flat_map(|name| [key("Fetch", name), key("Produce", name)]).collect();
        for key in keys.iter().chain(keys.iter().rev()).chain(&keys) {
            // Then each finds the registry's meter
            assert!(Arc::ptr_eq(&recent.meter(&telemetry, key), &telemetry.meter(key)), "{key:?}");
        }
        // And memory is bounded
        assert_eq!(recent.0.lock().len(), KEPT);
    }

    /// `cargo test --release --lib recent -- --ignored --nocapture`
    #[test]
    #[ignore = "a measure"]
    fn what_a_request_costs() {
        const ROUNDS: u32 = 1_000_000;
        let (telemetry, recent) = (Telemetry::new().unwrap(), Recent::default());
        let names = ["events", "replay", "a cluster"].map(Name::from);
        let keys = ["Produce", "Fetch", "Metadata"].map(|api| key(api, &names[0]));
        let measure = |what: &str, find: &dyn Fn(&MeterKey) -> Arc<Meter>| {
            let begun = Instant::now();
            for _ in 0..ROUNDS {
                find(std::hint::black_box(&keys[0])).answered(Duration::from_micros(300), 1000, 50);
            }
            println!("{what}: {:?} a request", begun.elapsed() / ROUNDS);
        };
        keys.iter().for_each(|key| drop(recent.meter(&telemetry, key)));
        let known = telemetry.meter(&keys[0]);
        measure("out of the registry", &|key| telemetry.meter(&key.clone()));
        measure("out of the recent ones", &|key| recent.meter(&telemetry, key));
        measure("counting alone", &|_| Arc::clone(&known));
    }
}
