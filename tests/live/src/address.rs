//! A loopback address of its own for each server, because domain controllers cannot be told other ports.
//!
//! It must not hand out an address on which anybody listens.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Attempt, LiveError, Result};

/// Addresses are 127.66.0.1 to 127.66.15.254.
const NETWORKS: u32 = 16;
const HOSTS: u32 = 254;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// An address that no other test process uses while this value lives.
#[derive(Debug)]
pub(crate) struct AddressClaim {
    address: Ipv4Addr,
    // Released by the system also when this process is killed.
    _lock: File,
}

impl AddressClaim {
    /// Claims an address on which all the given ports are free.
    pub(crate) fn new(live: &Path, ports: &[u16]) -> Result<Self> {
        let directory = live.join("addresses");
        fs::create_dir_all(&directory).attempt("create the directory of address locks")?;
        // Processes begin at different places, so that they seldom try the same address.
        let begin = std::process::id().wrapping_mul(97);
        for _ in 0..NETWORKS * HOSTS {
            let number = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % (NETWORKS * HOSTS);
            let [_, _, third, fourth] = number_to_address(number).to_be_bytes();
            let address = Ipv4Addr::new(127, 66, third, fourth);
            let lock = File::create(directory.join(address.to_string())).attempt("create an address lock")?;
            if lock.try_lock().is_ok() && ports.iter().all(|&port| TcpListener::bind((address, port)).is_ok()) {
                return Ok(Self { address, _lock: lock });
            }
        }
        Err(LiveError::new("no loopback address in 127.66.0.0/20 is free"))
    }

    pub(crate) const fn address(&self) -> Ipv4Addr {
        self.address
    }
}

const fn number_to_address(number: u32) -> u32 {
    (number / HOSTS) << 8 | (number % HOSTS + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_leave_out_the_network_and_broadcast_addresses() {
        assert_eq!(number_to_address(0), 1);
        assert_eq!(number_to_address(253), 254);
        assert_eq!(number_to_address(254), 0x101);
        assert_eq!(number_to_address(NETWORKS * HOSTS - 1), 0xffe);
    }
}
