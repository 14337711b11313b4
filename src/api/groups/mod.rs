//! Consumer groups: their members, their offsets, and what operators ask about them.

pub mod by_group;
pub mod descriptions;
pub mod heartbeats;
pub mod joined;
pub mod lists;
pub mod offset_delete;
pub mod offsets;
mod re2;
pub mod share_offsets;
pub mod shares;
pub mod subscription;
