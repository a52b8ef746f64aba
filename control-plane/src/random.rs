//! Secrets and ids from the operating system's randomness.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// What API tokens begin with, so that secret scanners can know them.
pub(crate) const TOKEN_PREFIX: &str = "chp_";

/// Crockford's base 32, lower case: no letters that are taken for digits.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Random bytes.
///
/// # Errors
/// When the operating system has none, which a control plane cannot work without.
pub(crate) fn bytes<const N: usize>() -> std::io::Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut bytes[..]).map_err(std::io::Error::other)?;
    Ok(bytes)
}

/// The secret of a new API token: 256 random bits behind [`TOKEN_PREFIX`].
///
/// # Errors
/// Those of [`bytes`].
pub(crate) fn token() -> std::io::Result<Zeroizing<String>> {
    let secret = bytes::<32>()?;
    Ok(Zeroizing::new(format!(
        "{TOKEN_PREFIX}{}",
        URL_SAFE_NO_PAD.encode(&secret[..])
    )))
}

/// A short id with 80 random bits: `ap-7k3m9qxw2rtz4a5b`. No secret, but not to be guessed either.
///
/// # Errors
/// Those of [`bytes`].
pub(crate) fn id(prefix: &str) -> std::io::Result<String> {
    let bits = bytes::<16>()?;
    let letters = bits
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    Ok(format!("{prefix}-{}", letters.collect::<String>()))
}

/// A number in `0.0..1.0` for spreading work over time; 0.5 when there is no randomness.
pub(crate) fn jitter() -> f64 {
    bytes::<2>().map_or(0.5, |bytes| {
        f64::from(u16::from_be_bytes(*bytes)) / 65_536.0
    })
}
