//! The shape check against kafka-protocol: all that its encoders write passes, and whatever passes its decoders read
//! without a panic and with no more memory than was foreseen.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]
#![allow(dead_code, unreachable_pub, reason = "shared with tests/fuzz.rs")]

mod messages;

use fastrand::Rng;
use messages::{Kind, damage, kinds};

/// As the other properties, and each over all versions of all messages.
fn cases() -> u64 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(256) / 16
}

fn each(mut case: impl FnMut(&Kind, i16, &mut Rng)) {
    for kind in kinds() {
        for version in kind.versions.min..=kind.versions.max {
            for seed in 0..cases() {
                case(&kind, version, &mut Rng::with_seed(seed));
            }
        }
    }
}

#[test]
fn what_encoders_write_passes_and_is_read_again() {
    let (mut sound, mut rolls) = (0, 0);
    each(|kind, version, rng| {
        let found = (kind.judge_sound)(rng, version);
        rolls += 1;
        sound += u64::from(found);
    });
    assert!(sound * 10 > rolls * 9, "only {sound} of {rolls} rolls gave a message");
}

#[test]
fn what_is_damaged_is_refused_or_read_within_bounds() {
    let (mut passed, mut tried) = (0, 0);
    each(|kind, version, rng| {
        if let Some(body) = (kind.make)(rng, version) {
            tried += 1;
            passed += u64::from((kind.judge_any)(&damage::damage(rng, &body), version));
        }
    });
    assert!(passed > tried / 20 && passed < tried, "{passed} of {tried} passed: damage too much, or too little");
}

/// What has the most elements for its bytes: the tables know what each takes.
#[test]
fn what_swells_takes_what_was_foreseen() {
    let (mut passed, mut tried) = (0, 0);
    each(|kind, version, rng| {
        if let Some(body) = (kind.make)(rng, version) {
            let size = rng.usize(..4_096);
            tried += 1;
            passed += u64::from((kind.judge_any)(&damage::blow_up(rng, &body, size), version));
        }
    });
    assert!(passed > tried / 20 && passed < tried, "{passed} of {tried} passed");
}
