//! Which process still runs, and takes connections.

use std::{fs, net::Ipv4Addr, path::PathBuf};

/// Whether a process listens on a port of an address. One that cannot be looked at does not.
pub(super) fn listens(pid: u32, address: Ipv4Addr) -> bool {
    let sockets = fs::read_to_string("/proc/net/tcp").map(|table| sockets(&table, address)).unwrap_or_default();
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    open.flatten().filter_map(|file| fs::read_link(file.path()).ok()).any(|target| sockets.contains(&target))
}

/// Whether a process runs.
pub(super) fn exists(pid: u32) -> bool {
    PathBuf::from(format!("/proc/{pid}")).exists()
}

/// The listening sockets of an address, as links to open files name them.
fn sockets(table: &str, address: Ipv4Addr) -> Vec<PathBuf> {
    // The kernel writes the address as the number that it is in this machine's memory.
    let local = format!("{:08X}:", u32::from_ne_bytes(address.octets()));
    let inode = |line: &str| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let listens = cells.get(1)?.starts_with(&local) && *cells.get(3)? == "0A";
        listens.then(|| cells.get(9).map(|inode| PathBuf::from(format!("socket:[{inode}]"))))?
    };
    table.lines().filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_listens_until_it_closes_its_socket() {
        let (here, elsewhere) = (Ipv4Addr::new(127, 252, 0, 4), Ipv4Addr::new(127, 252, 0, 5));
        let listener = std::net::TcpListener::bind((here, 0)).unwrap();
        let connected = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(listens(std::process::id(), here));
        assert!(!listens(std::process::id(), elsewhere));
        assert!(!listens(u32::MAX, here));
        drop(listener);
        assert!(!listens(std::process::id(), here), "{connected:?} is no listener");
    }
}
