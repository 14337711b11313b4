//! Names that have got in from an address, and not failed there since. They need no place among the attempts of an address that has
//! failed (`security::brake`): one client with an old password keeps nobody out who is known there. Pure, but for its lock.

use crate::security::brake::network;
use crate::types::fast_hash;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::net::IpAddr;

/// So many are remembered. Where there are more, an eighth of them is forgotten, whichever they are.
const MOST: usize = 16_384;

/// See the module's text. An address, and the hash of a name.
#[derive(Debug, Default)]
pub(super) struct Regulars(Mutex<HashSet<(IpAddr, u64)>>);

impl Regulars {
    /// Whether this name is one.
    pub(super) fn has(&self, address: IpAddr, name: &str) -> bool {
        self.0.lock().contains(&place(address, name))
    }

    /// It got in.
    pub(super) fn came(&self, address: IpAddr, name: &str) {
        let mut all = self.0.lock();
        let new = all.insert(place(address, name));
        if new && all.len() > MOST {
            let mut beyond = MOST / 8;
            all.retain(|known| {
                let goes = beyond > 0 && *known != place(address, name);
                beyond -= usize::from(goes);
                !goes
            });
        }
    }

    /// It did not.
    pub(super) fn failed(&self, address: IpAddr, name: &str) {
        self.0.lock().remove(&place(address, name));
    }
}

fn place(address: IpAddr, name: &str) -> (IpAddr, u64) {
    (network(address), fast_hash(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    #[test]
    fn a_name_is_one_until_it_fails_there() {
        let regulars = Regulars::default();
        regulars.came(HERE, "alice");
        assert!(regulars.has(HERE, "alice") && !regulars.has(HERE, "bob"));
        assert!(!regulars.has([10, 0, 0, 2].into(), "alice"), "from elsewhere it is not");
        regulars.failed([10, 0, 0, 2].into(), "alice");
        assert!(regulars.has(HERE, "alice"));
        regulars.failed(HERE, "alice");
        assert!(!regulars.has(HERE, "alice"));
    }

    /// [L4]
    #[test]
    fn l4_no_more_than_so_many_are_remembered() {
        let regulars = Regulars::default();
        for number in 0..50_000_u32 {
            regulars.came(IpAddr::V4(number.into()), "alice");
            assert!(regulars.has(IpAddr::V4(number.into()), "alice"));
            assert!(regulars.0.lock().len() <= MOST);
        }
    }
}
