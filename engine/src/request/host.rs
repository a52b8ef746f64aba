//! The host of an authority, in the spelling in which it is compared with a connection's `hosts`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The host in the `Host` header or `:authority`, in the one spelling that is compared: lower case,
/// without port, without the trailing dot of a fully qualified name, IPv6 in brackets and
/// shortened.
///
/// # Errors
/// When the authority has user information, is empty, or is no host name or address. Numbers that
/// some resolvers take for an IPv4 address (`2130706433`, `0x7f.1`) are refused too.
pub fn host_of(authority: &str) -> Result<String, HostError> {
    if authority.contains('@') {
        return Err(HostError::UserInfo);
    }
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(HostError::Malformed)?;
        check_port(after)?;
        let address: Ipv6Addr = address.parse().map_err(|_| HostError::Malformed)?;
        return Ok(format!("[{address}]"));
    }
    let (host, port) = match authority.find(':') {
        Some(at) => authority.split_at_checked(at).ok_or(HostError::Malformed)?,
        None => (authority, ""),
    };
    check_port(port)?;
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if host.is_empty() {
        return Err(HostError::Empty);
    }
    if host.len() > 253 || !host.split('.').all(is_label) {
        return Err(HostError::Malformed);
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    let looks_numeric = last.bytes().all(|b| b.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if looks_numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err(HostError::Malformed);
    }
    Ok(host)
}

/// Letters, digits, hyphens and underscores (service names in clusters have them); RFC 1123 §2.1.
fn is_label(label: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !label.is_empty() && label.len() <= 63 && label.bytes().all(allowed)
}

/// `port` is empty or begins with the colon.
fn check_port(port: &str) -> Result<(), HostError> {
    if port.is_empty() {
        return Ok(());
    }
    let digits = port.strip_prefix(':').ok_or(HostError::Malformed)?;
    // `u16::from_str` takes a leading `+`.
    if !digits.bytes().all(|b| b.is_ascii_digit()) || digits.parse::<u16>().is_err() {
        return Err(HostError::Port);
    }
    Ok(())
}

/// Why an authority names no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostError {
    /// Nothing there.
    Empty,
    /// `user@host`: a reader that splits at the wrong `@` sees another host.
    UserInfo,
    /// The port is not a number from 0 to 65535.
    Port,
    /// Neither a host name nor an address.
    Malformed,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "The request names no host.",
            Self::UserInfo => "The host has user information before an `@`.",
            Self::Port => "The port is not a number from 0 to 65535.",
            Self::Malformed => "The host is neither a host name nor an IP address.",
        })
    }
}

impl std::error::Error for HostError {}
