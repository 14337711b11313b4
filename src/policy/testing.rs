//! Records for tests.
#![allow(unreachable_pub, reason = "tests see it")]

pub use super::sample::Sample as Made;
use crate::wire::batch::{Record, Records};

/// The records of a section.
pub fn walk(section: &[u8], count: i32) -> Vec<Record<'_>> {
    Records::of(section, count).map(Result::unwrap).collect()
}
