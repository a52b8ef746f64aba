//! Who holds a connection.

use std::net::IpAddr;

/// Who holds a connection. Connections of equal holders are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// Somebody at this source who has shown no good token yet.
    Stranger(Source),
    /// A person or a program, by the subject of its token.
    Person(String),
    /// Nodes, by the subject of their token.
    Node(String),
}

/// The kinds of holders, from the one that proves least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Stranger,
    Person,
    Node,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Stranger, Self::Person, Self::Node];

    /// As a label of metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Person => "person",
            Self::Node => "node",
        }
    }
}

impl Holder {
    /// A stranger at this address.
    pub(crate) fn stranger(address: IpAddr) -> Self {
        Self::Stranger(Source::of(address))
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Stranger(_) => Kind::Stranger,
            Self::Person(_) => Kind::Person,
            Self::Node(_) => Kind::Node,
        }
    }
}

/// The addresses that one stranger may be thought to have: one of IPv4, or a network of 64 bits of
/// IPv6. One host is given such a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Source(IpAddr);

impl Source {
    fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let network = v6.to_bits() & (u128::MAX << 64);
                IpAddr::V6(network.into())
            }
            v4 => v4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_of_ipv6_is_one_source_whatever_address_it_takes() {
        let source = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }
}
