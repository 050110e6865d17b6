//! What this machine is known by (rule: `tree/licence`).

use std::path::Path;

/// Where Linux lists the network interfaces.
const INTERFACES: &str = "/sys/class/net";

/// `NODE:` and the address of the first network interface in twelve hexadecimal digits; empty when
/// there is none.
pub(super) fn id() -> String {
    of(Path::new(INTERFACES)).unwrap_or_default()
}

fn of(interfaces: &Path) -> Option<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(interfaces).ok()?.flatten().map(|entry| entry.path()).collect();
    names.sort();
    names.iter().find_map(|interface| {
        let address = std::fs::read_to_string(interface.join("address")).ok()?;
        let digits: String = address.trim().split(':').collect();
        let digits = digits.to_ascii_uppercase();
        let whole = digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        // The loopback interface has no address.
        (whole && digits.bytes().any(|byte| byte != b'0')).then(|| format!("NODE:{digits}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // rule: tree/licence
    #[test]
    fn a_machine_is_known_by_its_first_network_address() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(of(&dir.path().join("none")), None);
        for (name, address) in [
            ("lo", "00:00:00:00:00:00\n"),
            ("eth1", "52:54:00:aa:bb:cc\n"),
            ("eth0", "x"),
            ("ib0", "80:00\n"),
        ] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("address"), address).unwrap();
        }
        assert_eq!(of(dir.path()).as_deref(), Some("NODE:525400AABBCC"));
    }
}
