//! Check digits and structure of personal data. These are required: numbers of the same form are
//! everywhere.

/// A payment card: its issuer's range and length, and the check digit of Luhn (ISO/IEC 7812-1,
/// annex B).
pub(in crate::masking) fn card(number: &[u8]) -> bool {
    let digits: Vec<u8> = digits(number).collect();
    // Issuers also gave out 17 to 19 digits, but so long a number is far more often one of 64 bits:
    // only UnionPay's count, which are common, and Visa's where they are written in groups.
    let issued = match digits.as_slice() {
        [b'4', ..] => matches!(digits.len(), 13 | 16) || number.contains(&b' '),
        [b'5', b'1'..=b'5', ..] | [b'2', b'2'..=b'7', ..] => digits.len() == 16,
        [b'3', b'4' | b'7', ..] => digits.len() == 15,
        [b'3', b'0' | b'6' | b'8', ..] => matches!(digits.len(), 14 | 16),
        [b'6', b'2', ..] => (16..=19).contains(&digits.len()),
        [b'3', b'5', ..] | [b'6', b'0' | b'4' | b'5', ..] => digits.len() == 16,
        [b'5', b'0' | b'6'..=b'8', ..] => matches!(digits.len(), 13 | 16),
        _ => false,
    };
    let repeated = digits.iter().all(|digit| digits.first() == Some(digit));
    issued && !repeated && luhn(&digits)
}

fn luhn(digits: &[u8]) -> bool {
    let sum = digits
        .iter()
        .rev()
        .enumerate()
        .fold(0_u32, |sum, (at, digit)| {
            let value = u32::from(digit.wrapping_sub(b'0'));
            let doubled = match (at % 2, value) {
                (0, _) => value,
                (_, 5..) => value.wrapping_mul(2).wrapping_sub(9),
                _ => value.wrapping_mul(2),
            };
            sum.wrapping_add(doubled)
        });
    sum % 10 == 0
}

/// An IBAN: moved behind, letters as numbers, the whole is 1 modulo 97 (ISO 13616-1). Its length is
/// the pattern's business.
pub(in crate::masking) fn iban(number: &[u8]) -> bool {
    let compact: Vec<u8> = number.iter().copied().filter(|&b| b != b' ').collect();
    let Some((country, account)) = compact.split_at_checked(4) else {
        return false;
    };
    let remainder = account
        .iter()
        .chain(country)
        .try_fold(0_u32, |remainder, &byte| match byte {
            b'0'..=b'9' => Some(step(remainder, 10, u32::from(byte.wrapping_sub(b'0')))),
            b'A'..=b'Z' => Some(step(
                remainder,
                100,
                u32::from(byte.wrapping_sub(b'A')).wrapping_add(10),
            )),
            _ => None,
        });
    remainder == Some(1)
}

/// Appends a number of one or two digits to one that is known modulo 97.
fn step(remainder: u32, shift: u32, value: u32) -> u32 {
    remainder.wrapping_mul(shift).wrapping_add(value) % 97
}

/// A social security number: no part is all zeros, the area is not 666 or from 900 on, and it is
/// none of those that stood in advertisements.
pub(in crate::masking) fn ssn(number: &[u8]) -> bool {
    let digits: Vec<u8> = digits(number).collect();
    !matches!(
        digits.as_slice(),
        [b'0', b'0', b'0', ..]
            | [b'6', b'6', b'6', ..]
            | [b'9', ..]
            | [_, _, _, b'0', b'0', ..]
            | [.., b'0', b'0', b'0', b'0']
            | b"078051120"
            | b"219099999"
            | b"123456789"
    ) && digits.len() == 9
}

/// An address of e-mail: not `git@…` of a remote, not a version of a package, not a picture for a
/// dense screen, and its local part does not begin or end with a dot.
pub(in crate::masking) fn email(address: &[u8]) -> bool {
    let mut parts = address.split(|&b| b == b'@');
    let (Some(local), Some(domain)) = (parts.next(), parts.next()) else {
        return false;
    };
    let mut labels = domain.split(|&b| b == b'.');
    let first = labels.next().unwrap_or_default();
    let last = labels.next_back().unwrap_or_default();
    let version = first.iter().all(u8::is_ascii_digit);
    let file = [
        b"png".as_slice(),
        b"jpg",
        b"jpeg",
        b"gif",
        b"svg",
        b"webp",
        b"css",
        b"js",
        b"mjs",
        b"json",
        b"html",
    ]
    .iter()
    .any(|extension| last.eq_ignore_ascii_case(extension));
    local != b"git" && !version && !file && !local.starts_with(b".") && !local.ends_with(b".")
}

fn digits(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    text.iter().copied().filter(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn cards_need_a_right_check_digit_and_an_issuers_length() {
        // The payment networks' published test numbers.
        for number in [
            "4111 1111 1111 1111",
            "5555555555554444",
            "378282246310005",
            "3530-1113-3330-0000",
            "6011111111111117",
            "30569309025904",
        ] {
            assert!(card(number.as_bytes()), "{number}");
        }
        for number in [
            "4111 1111 1111 1112",
            "0000000000000000",
            "1234567812345670",
            "411111111111111",
            "4774711746392882472",
            "9111111111111111",
        ] {
            assert!(!card(number.as_bytes()), "{number}");
        }
    }

    #[test]
    fn ibans_need_right_check_digits() {
        // Examples of the IBAN registry.
        for number in [
            "DE89 3704 0044 0532 0130 00",
            "GB29NWBK60161331926819",
            "FR1420041010050500013M02606",
            "NO9386011117947",
        ] {
            assert!(iban(number.as_bytes()), "{number}");
        }
        for number in [
            "DE88 3704 0044 0532 0130 00",
            "GB29NWBK60161331926818",
            "DE",
            "",
        ] {
            assert!(!iban(number.as_bytes()), "{number}");
        }
    }

    #[test]
    fn social_security_numbers_come_from_ranges_that_were_given_out() {
        assert!(ssn(b"536-90-4399"));
        for number in [
            "000-12-3456",
            "666-12-3456",
            "900-12-3456",
            "536-00-1234",
            "536-12-0000",
            "078-05-1120",
        ] {
            assert!(!ssn(number.as_bytes()), "{number}");
        }
    }

    #[test]
    fn remotes_versions_and_pictures_are_no_addresses() {
        assert!(email(b"jane.doe+x@mail.example"));
        for text in [
            "git@github.com",
            "pkg@1.0.0-alpha.beta",
            "icon@2x.png",
            "x.@example.org",
            "a@b",
        ] {
            assert_eq!(email(text.as_bytes()), text == "a@b", "{text}");
        }
    }
}
