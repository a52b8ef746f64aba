//! Checksums of Azure's identifiable keys and of Azure DevOps tokens.
//!
//! An identifiable key is the base64 of random bytes, of three that show as the service's
//! signature, and of the 32-bit Marvin hash of all before, seeded with a number that says what the
//! key is for. Source: <https://github.com/microsoft/security-utilities>
//! (`IdentifiableMetadata.cs`, `IdentifiableSecrets.cs`).

use super::crc32;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE},
};

pub(in crate::masking) fn storage(key: &[u8]) -> bool {
    identifiable(key, b"+ASt", &[b"Default0"])
}

pub(in crate::masking) fn cosmos(key: &[u8]) -> bool {
    identifiable(
        key,
        b"ACDb",
        &[
            b"MastRO00",
            b"MastRW00",
            b"SysAll00",
            b"Resour00",
            b"SystRO00",
            b"SystRW00",
            b"Encryp00",
        ],
    )
}

pub(in crate::masking) fn batch(key: &[u8]) -> bool {
    identifiable(key, b"+ABa", &[b"AbAcct00"])
}

pub(in crate::masking) fn machine_learning(key: &[u8]) -> bool {
    identifiable(key, b"+AMC", &[b"Classic0"])
}

pub(in crate::masking) fn api_management(key: &[u8]) -> bool {
    identifiable(
        key,
        b"APIM",
        &[b"Tenant00", b"IoTHub00", b"Gatewy00", b"GitKey00"],
    )
}

const MESSAGING: &[&[u8; 8]] = &[
    b"Send0000",
    b"Manage00",
    b"Listen00",
    b"System00",
    b"Unknown0",
];

pub(in crate::masking) fn service_bus(key: &[u8]) -> bool {
    identifiable(key, b"+ASb", MESSAGING)
}

pub(in crate::masking) fn event_hubs(key: &[u8]) -> bool {
    identifiable(key, b"+AEh", MESSAGING)
}

pub(in crate::masking) fn relay(key: &[u8]) -> bool {
    identifiable(key, b"+ARm", MESSAGING)
}

pub(in crate::masking) fn iot(key: &[u8]) -> bool {
    identifiable(key, b"AIoT", &[b"IoTHub00", b"DpsKey00", b"Device00"])
}

pub(in crate::masking) fn redis(key: &[u8]) -> bool {
    identifiable(key, b"AzCa", &[b"Access00"])
}

pub(in crate::masking) fn search(key: &[u8]) -> bool {
    identifiable(key, b"AzSe", &[b"Query000", b"PAdmin00"])
}

pub(in crate::masking) fn container_registry(key: &[u8]) -> bool {
    identifiable(key, b"+ACR", &[b"ACRDflt0"])
}

pub(in crate::masking) fn functions(key: &[u8]) -> bool {
    identifiable(key, b"AzFu", &[b"Master00", b"System00", b"Functi00"])
}

/// Whether the last 32 bits are the hash of the rest with one of the seeds.
fn identifiable(key: &[u8], signature: &[u8; 4], seeds: &[&[u8; 8]]) -> bool {
    // With its padding the signature stands ten characters before the end.
    let unpadded = key
        .iter()
        .rposition(|&b| b != b'=')
        .map_or(0, |at| at.saturating_add(1));
    let signed = key
        .get(unpadded.saturating_sub(10)..unpadded.saturating_sub(6))
        .is_some_and(|found| found == signature);
    let bytes = STANDARD
        .decode(key)
        .or_else(|_| URL_SAFE.decode(key))
        .or_else(|_| STANDARD_NO_PAD.decode(key))
        .unwrap_or_default();
    signed
        && bytes
            .split_last_chunk::<4>()
            .is_some_and(|(random, check)| {
                let check = u32::from_le_bytes(*check);
                seeds
                    .iter()
                    .any(|seed| marvin(random, u64::from_be_bytes(**seed)) == check)
            })
}

/// A token of Azure DevOps in its older form: 32 bytes in base32, of which the third, eighth, ninth
/// and 23rd are the CRC-32 of the others, changed by a number that says whose token it is. Source:
/// `AdoLegacyPat` in the same repository.
pub(in crate::masking) fn devops(token: &[u8]) -> bool {
    const MAGIC: [u32; 2] = [0xE0B9_692D, 0x1019_F92E];
    let Some(bytes) = base32(token) else {
        return false;
    };
    let (mut random, mut check) = (Vec::with_capacity(28), 0_u32);
    for (at, byte) in bytes.into_iter().enumerate() {
        let shift = match at {
            2 => 24,
            7 => 16,
            8 => 8,
            22 => 0,
            _ => {
                random.push(byte);
                continue;
            }
        };
        check |= u32::from(byte).wrapping_shl(shift);
    }
    let crc = crc32(&random);
    MAGIC.iter().any(|magic| crc ^ magic == check)
}

/// 52 digits of base32 (RFC 4648, lower case) as the 32 whole bytes that they hold.
fn base32(text: &[u8]) -> Option<Vec<u8>> {
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut bytes = Vec::with_capacity(32);
    for &digit in text {
        let value = match digit {
            b'a'..=b'z' => digit.wrapping_sub(b'a'),
            b'2'..=b'7' => digit.wrapping_sub(b'2').wrapping_add(26),
            _ => return None,
        };
        bits = bits.wrapping_shl(5) | u32::from(value);
        held = held.wrapping_add(5);
        if held >= 8 {
            held = held.wrapping_sub(8);
            bytes.push((bits.wrapping_shr(held) & 0xFF) as u8);
        }
    }
    (bytes.len() == 32).then_some(bytes)
}

/// Marvin32, folded to 32 bits (<https://patents.google.com/patent/US20130262421A1>; `Marvin.cs` in
/// dotnet/runtime).
fn marvin(data: &[u8], seed: u64) -> u32 {
    let hash = marvin64(data, seed);
    (hash >> 32) as u32 ^ (hash & 0xFFFF_FFFF) as u32
}

fn marvin64(data: &[u8], seed: u64) -> u64 {
    let mut state = ((seed & 0xFFFF_FFFF) as u32, (seed >> 32) as u32);
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        mix(&mut state, u32::from_le_bytes(*word));
    }
    // What is left, and a bit that says where it ends.
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(rest.iter().chain(&[0x80])) {
        *to = *from;
    }
    mix(&mut state, u32::from_le_bytes(last));
    mix(&mut state, 0);
    u64::from(state.1) << 32 | u64::from(state.0)
}

fn mix((p0, p1): &mut (u32, u32), word: u32) {
    *p0 = p0.wrapping_add(word);
    *p1 ^= *p0;
    *p0 = p0.rotate_left(20).wrapping_add(*p1);
    *p1 = p1.rotate_left(9) ^ *p0;
    *p0 = p0.rotate_left(27).wrapping_add(*p1);
    *p1 = p1.rotate_left(19);
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn marvin_gives_the_published_values() {
        // The vectors of dotnet/runtime's MarvinTests.
        let seed = 0x004F_B61A_001B_DBCC;
        for (data, hash) in [
            (&[][..], 0x30ED_35C1_00CD_3C7D),
            (&[0xAF], 0x48E7_3FC7_7D75_DDC1),
            (&[0xE7, 0x0F], 0xB5F6_E1FC_485D_BFF8),
            (&[0x37, 0xF4, 0x95], 0xF0B0_7C78_9B8C_F7E8),
            (&[0x86, 0x42, 0xDC, 0x59], 0x7008_F2E8_7E9C_F556),
        ] {
            assert_eq!(marvin64(data, seed), hash, "{data:02x?}");
        }
    }

    /// A key as the services make it: random bytes, the signature, the hash.
    fn key(length: usize, signature: &[u8; 4], seed: &[u8; 8]) -> String {
        let mut text = STANDARD.encode(vec![0x5A; length]).into_bytes();
        let unpadded = text.iter().rposition(|&b| b != b'=').unwrap() + 1;
        text[unpadded - 10..unpadded - 6].copy_from_slice(signature);
        let mut bytes = STANDARD.decode(&text).unwrap();
        let at = length - 4;
        // Bits between the signature and the hash are zero.
        let padding = (length - 7) * 8 % 6;
        bytes[at - 1] &= 0xFF_u8 << padding;
        let hash = marvin(&bytes[..at], u64::from_be_bytes(*seed));
        bytes[at..].copy_from_slice(&hash.to_le_bytes());
        STANDARD.encode(bytes)
    }

    #[test]
    fn a_key_is_confirmed_by_its_signature_and_its_hash() {
        for (length, signature, seed, confirm) in [
            (64, b"+ASt", b"Default0", storage as fn(&[u8]) -> bool),
            (64, b"ACDb", b"MastRW00", cosmos),
            (32, b"+ASb", b"Manage00", service_bus),
            (32, b"AIoT", b"Device00", iot),
            (39, b"AzSe", b"PAdmin00", search),
            (40, b"AzFu", b"Functi00", functions),
        ] {
            let key = key(length, signature, seed);
            assert!(confirm(key.as_bytes()), "{key}");
            let wrong = key.replacen('W', "X", 1);
            assert!(!confirm(wrong.as_bytes()), "{wrong}");
            assert!(!redis(key.as_bytes()));
        }
        assert!(!storage(b""));
    }

    #[test]
    fn a_devops_token_is_known_by_its_checksum() {
        let token = devops_example();
        assert!(devops(token.as_bytes()), "{token}");
        assert!(!devops(token.replacen('a', "b", 1).as_bytes()));
        assert!(!devops(b"a"));
        assert!(!devops(token.to_uppercase().as_bytes()));
    }

    fn devops_example() -> String {
        crate::masking::tests::devops_pat()
    }
}
