//! Ports that stay ours over restarts: below the range that the kernel gives to outgoing connections, in blocks that
//! a bound first port reserves, so that several test runs on one machine keep out of each other's way.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 20_000;
const BLOCK: u16 = 100;
const BLOCKS: u16 = 120;

/// A block of ports, reserved as long as this lives.
pub struct Ports {
    _reserved: TcpListener,
    next: AtomicU16,
    end: u16,
}

impl Ports {
    /// Reserves a block that nobody else has.
    pub fn reserve() -> anyhow::Result<Self> {
        let start = fastrand::u16(0..BLOCKS);
        for i in 0..BLOCKS {
            let first = FIRST + (start + i) % BLOCKS * BLOCK;
            if let Ok(reserved) = TcpListener::bind((Ipv4Addr::LOCALHOST, first)) {
                return Ok(Self { _reserved: reserved, next: AtomicU16::new(first + 1), end: first + BLOCK });
            }
        }
        anyhow::bail!("no block of free ports between {FIRST} and {}", FIRST + BLOCKS * BLOCK)
    }

    /// So many free ports of the block that follow each other, never given twice.
    pub fn range(&self, count: u16) -> RangeInclusive<u16> {
        loop {
            let first = self.next.fetch_add(count, Ordering::Relaxed);
            assert!(first + count <= self.end, "the block of {BLOCK} ports is used up");
            let ports = first..=first + count - 1;
            if ports.clone().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()) {
                return ports;
            }
        }
    }

    /// A free port of the block, never given twice.
    pub fn take(&self) -> u16 {
        loop {
            let port = self.next.fetch_add(1, Ordering::Relaxed);
            assert!(port < self.end, "the block of {BLOCK} ports is used up");
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return port;
            }
        }
    }
}
