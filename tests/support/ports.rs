//! Ports for those that cannot be given a listening socket.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where to look: below the ports the kernel gives to whoever wants any, as each connection and each
/// server at port 0 does. One of those would be taken by somebody else between here and its use,
/// about once in a thousand times.
static RANGE: LazyLock<Vec<u16>> = LazyLock::new(|| {
    let given = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let lowest: u16 = given.split_whitespace().next().unwrap().parse().unwrap();
    let range: Vec<u16> = (10_000..lowest).collect();
    assert!(range.len() > 1000, "the kernel gives away ports from {lowest} on");
    range
});

/// Ports nobody has on any address, by TCP or UDP. None is given twice: tests run side by side, and
/// one may not have bound its port yet when another asks.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    // Another test process begins elsewhere.
    static NEXT: LazyLock<AtomicUsize> =
        LazyLock::new(|| AtomicUsize::new(std::process::id() as usize * 199));
    let given = || RANGE[NEXT.fetch_add(1, Ordering::Relaxed) % RANGE.len()];
    [(); N].map(|()| std::iter::repeat_with(given).find(|port| is_free(*port)).unwrap())
}

fn is_free(port: u16) -> bool {
    let at = (Ipv4Addr::UNSPECIFIED, port);
    TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok()
}
