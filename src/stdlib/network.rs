//! Networks.

use std::net::IpAddr;

use super::argument::{At, strings, text};
use super::{Functions, raise};
use crate::engine::vm::{Context, Raise, Value};

pub(super) const FUNCTIONS: Functions = &[("iprange", iprange)];

/// Most addresses one call lists: a /12 network of version 4.
const ADDRESSES_MAX: u128 = 1 << 20;
/// What one address takes in the heap, roughly.
const ADDRESS_COST: usize = 80;

fn iprange(ctx: &mut Context<'_>, args: &[Value]) -> Result<Value, Raise> {
    let network = text(ctx, At("iprange", "address"), args[0])?;
    let Some((first, count, four)) = range(&network) else {
        return raise(format!("cannot convert '{network}' to a network"));
    };
    if count > ADDRESSES_MAX {
        return raise(format!("network too large: {network}"));
    }
    ctx.heap.reserve(usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(ADDRESS_COST))?;
    let addresses = (0..count).map(|offset| {
        let address = first + offset;
        match u32::try_from(address) {
            Ok(address) if four => std::net::Ipv4Addr::from(address).to_string(),
            _ => std::net::Ipv6Addr::from(address).to_string(),
        }
    });
    Ok(strings(ctx, addresses))
}

/// First address, number of addresses, whether it is version 4. Host bits are ignored.
fn range(network: &str) -> Option<(u128, u128, bool)> {
    let (address, prefix) = match network.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (network, None),
    };
    let (number, bits, four) = match address.trim().parse().ok()? {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32, true),
        IpAddr::V6(address) => (u128::from(address), 128, false),
    };
    let prefix: u32 = match prefix {
        None => bits,
        Some(prefix) if four && prefix.contains('.') => {
            let mask = u32::from(prefix.trim().parse::<std::net::Ipv4Addr>().ok()?);
            (mask.leading_ones() + mask.trailing_zeros() == 32 || mask == 0)
                .then(|| mask.leading_ones())?
        }
        Some(prefix) => prefix.trim().parse().ok().filter(|prefix| *prefix <= bits)?,
    };
    let host = bits - prefix;
    if host >= 127 {
        return Some((0, u128::MAX, four));
    }
    let count = 1_u128 << host;
    Some((number & !(count - 1), count, four))
}

#[cfg(test)]
mod tests {
    use super::range;

    // rule: language/functions, [C-64]
    #[test]
    fn a_network_holds_all_its_addresses_and_host_bits_do_not_count() {
        assert_eq!(range("192.168.1.77/30"), Some((0xc0a8_014c, 4, true)));
        assert_eq!(range("10.0.0.0/255.255.255.0"), Some((0x0a00_0000, 256, true)));
        assert_eq!(range("10.1.2.3"), Some((0x0a01_0203, 1, true)));
        assert_eq!(range("::1/127"), Some((0, 2, false)));
        for wrong in ["", "10.0.0.0/33", "10.0.0/24", "x/8", "10.0.0.0/255.0.255.0", "::/129"] {
            assert_eq!(range(wrong), None, "{wrong}");
        }
    }
}
