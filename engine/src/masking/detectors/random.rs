//! Does a value look random, or like a password? For values that only their name makes suspicious.
//!
//! Entropy alone does not tell: an identifier of 24 letters has 3.5 bits per character, as a random
//! token of hex digits has. But words are runs of letters of one kind, and random text changes its
//! kind all the time.

/// Whether `value` looks like the work of a random generator: it has digits and letters, few
/// repetitions, and changes between capitals, small letters and digits at least at every third
/// character.
pub(in crate::masking) fn is_random(value: &[u8]) -> bool {
    let has = |kind: fn(&u8) -> bool| value.iter().any(kind);
    if !has(u8::is_ascii_digit) || !has(u8::is_ascii_alphabetic) {
        return false;
    }
    let (mut characters, mut runs, mut last) = (0_usize, 0_usize, Kind::Other);
    for &byte in value {
        let kind = Kind::of(byte);
        // A capital and the small letters after it are one word.
        let goes_on = kind == last || (last == Kind::Capital && kind == Kind::Small);
        if kind != Kind::Other {
            characters = characters.saturating_add(1);
            runs = runs.saturating_add(usize::from(!goes_on));
        }
        last = kind;
    }
    runs.saturating_mul(3) >= characters && entropy(value) >= 2.8
}

/// Whether `value` looks like a password that somebody chose: special characters and at least two
/// of capitals, small letters and digits; or capitals, small letters and two digits; or it looks
/// random.
pub(in crate::masking) fn is_password(value: &[u8]) -> bool {
    let count = |kind: fn(&u8) -> bool| value.iter().filter(|&b| kind(b)).count();
    let small = count(u8::is_ascii_lowercase) > 0;
    let capital = count(u8::is_ascii_uppercase) > 0;
    let digits = count(u8::is_ascii_digit);
    let special = count(|b| b"!@#$%^&*?~+=|".contains(b)) > 0;
    let kinds = usize::from(small)
        .saturating_add(usize::from(capital))
        .saturating_add(usize::from(digits > 0));
    (special && kinds >= 2) || (small && capital && digits >= 2) || is_random(value)
}

/// Shannon's entropy of the bytes of `value`, in bits per byte: 0 for one repeated, at most 8.
pub(in crate::masking) fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for &byte in value {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count = count.saturating_add(1);
        }
    }
    let length = value.len() as f64;
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| f64::from(count) / length)
        .map(|share| -share * share.log2())
        .sum()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Small,
    Capital,
    Digit,
    Other,
}

impl Kind {
    fn of(byte: u8) -> Self {
        match byte {
            b'a'..=b'z' => Self::Small,
            b'A'..=b'Z' => Self::Capital,
            b'0'..=b'9' => Self::Digit,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn entropy_is_that_of_shannon() {
        assert_eq!(entropy(b"aaaa"), 0.0);
        assert_eq!(entropy(b"abab"), 1.0);
        assert_eq!(entropy(b"abcdefgh"), 3.0);
        assert_eq!(entropy(b""), 0.0);
    }

    #[test]
    fn random_text_is_told_from_names() {
        for text in [
            "9f86d081884c7d659a2feaa0c55ad015",
            "k7Dq2mPz9XvB4nLw",
            "q8fj2k1x9d0s7a6z5w4e",
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "dGhpc0lzQVRlc3Q5OHg3",
        ] {
            assert!(is_random(text.as_bytes()), "{text}");
        }
        for text in [
            "get_access_token_from_keychain",
            "process.env.OPENAI_API_KEY",
            "your-api-key-here-1234",
            "ConfigurationManager2",
            "abcdefghijklmnopqrstuvwxyz123456",
            "1234567890123456",
            "xxxxxxxxxxxxxxxxxxxx",
            "oauth2_client_credentials",
            "/var/run/secrets/token1",
            "com.example.app2.SecretKeyProvider",
            "AuthenticationTokenV2Handler",
        ] {
            assert!(!is_random(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn passwords_are_told_from_words() {
        for text in ["P@ssw0rd!", "Summer2024", "tr0ub4dor&3", "hunter2!"] {
            assert!(is_password(text.as_bytes()), "{text}");
        }
        for text in [
            "password",
            "required",
            "changeme",
            "PasswordField",
            "inputPassword1",
            "my-password",
        ] {
            assert!(!is_password(text.as_bytes()), "{text}");
        }
    }
}
