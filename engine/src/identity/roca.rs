//! RSA keys of one broken generator, known by their modulus.
//!
//! Infineon's library made primes of the form `k * M + 65537^a mod M`, with `M` the product of the
//! first primes (Nemec and others, "The Return of Coppersmith's Attack", CCS 2017; CVE-2017-15361).
//! So the modulus, too, is a power of 65537 modulo each of these primes, which a random modulus is
//! with a probability of about 2^-27 (section 2.3 there). Whoever reads such a key can compute its
//! private half, in hours for 2048 bits, and sign tokens.

/// The odd primes of `M` for the smallest keys; larger keys have these and more.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

const GENERATOR: u32 = 65537;

/// Whether the modulus (big-endian) has the form of that generator's.
pub(super) fn has_its_form(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|&prime| {
        let residue = modulus.iter().fold(0_u32, |rest, &byte| {
            modulo((rest << 8) | u32::from(byte), prime)
        });
        is_power(residue, prime)
    })
}

/// Whether `residue` is a power of the generator modulo `prime`. Powers repeat after less than
/// `prime` steps.
fn is_power(residue: u32, prime: u32) -> bool {
    let mut power = 1;
    (1..prime).any(|_| {
        let is_it = power == residue;
        power = modulo(power.wrapping_mul(modulo(GENERATOR, prime)), prime);
        is_it
    })
}

/// Residues are below 168, so neither a shift by a byte nor a product leaves 32 bits.
fn modulo(number: u32, prime: u32) -> u32 {
    number.checked_rem(prime).unwrap_or(0)
}
