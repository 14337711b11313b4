//! Consumer groups: their members, their offsets, and what operators ask about them.

pub mod by_group;
pub mod lists;
pub mod offset_delete;
pub mod offsets;
