//! Private keys as tools show them: with something before each line.

use super::{
    cases::{ALNUM, BASE64, filler, pem},
    in_pieces, masked, replacement,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const NAME: &str = "secrets/private-key";

/// A key whose lines each have `prefix` of their number before them, and `newline` between them.
fn shown(key: &str, newline: &str, prefix: impl Fn(usize) -> String) -> (String, String) {
    let lines: Vec<_> = key.lines().enumerate().collect();
    let lines: Vec<_> = lines
        .iter()
        .map(|(i, line)| format!("{}{line}", prefix(i + 1)))
        .collect();
    let first = prefix(1);
    let text = lines.join(newline);
    let secret = text[first.len()..].to_owned();
    (first, secret)
}

#[test]
fn a_token_behind_the_padding_of_a_putty_key_is_a_secret_of_its_own() {
    let key = format!("{}\r\n{}==", filler(64, BASE64), filler(20, BASE64));
    let token = format!("GR1348941{}", filler(20, ALNUM));
    let text = |key: &str, token: &str| format!("\"Private-Lines: 2\r\n{key}\" \"{token}\"");
    assert_eq!(
        masked(&text(&key, &token)),
        text(
            &replacement("secrets/putty-private-key", &key),
            &replacement("secrets/gitlab-runner-registration", &token)
        )
    );
}

fn all_shown() -> Vec<(String, String)> {
    let armour = pem("PGP PRIVATE KEY BLOCK", "\n", 4)
        .replacen('\n', "\nVersion: EXAMPLE 1.0\n\n", 1)
        .replace("==\n-----END", "==\n=aB3d\n-----END");
    let encrypted = pem("RSA PRIVATE KEY", "\n", 4).replacen(
        '\n',
        "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00EXAMPLE\n\n",
        1,
    );
    let keys = [
        pem("PRIVATE KEY", "\n", 3),
        pem("OPENSSH PRIVATE KEY", "\n", 6),
        armour,
        encrypted,
    ];
    let mut all = Vec::new();
    for key in &keys {
        for newline in ["\n", "\r\n", "\\n", "\\\\n"] {
            for fixed in [
                "> ", ">", "> > ", "| ", "> | ", "+", "-", " ", "# ", "// ", "/// ", " * ", "* ",
                "    // ", "-- ", ";; ", "\t",
            ] {
                all.push(shown(key, newline, |_| fixed.to_owned()));
            }
            all.push(shown(key, newline, |i| format!("{i:6}\t")));
            all.push(shown(key, newline, |i| format!("{i:6}\\t")));
            all.push(shown(key, newline, |i| format!("{i:6}\u{2192}")));
            all.push(shown(key, newline, |i| format!("{i:6}\\u2192")));
            all.push(shown(key, newline, |i| format!("{i:4} \u{2502} ")));
            all.push(shown(key, newline, |i| format!("{i:4} | ")));
            all.push(shown(key, newline, |i| format!("{i}: ")));
            all.push(shown(key, newline, |i| format!("{i}:")));
            all.push(shown(key, newline, |i| format!("{i:4} {:4} +", i + 7)));
            all.push(shown(key, newline, |i| format!("{i:6}\t> ")));
            all.push(shown(key, newline, |i| format!("key.pem:{i}:")));
            all.push(shown(key, newline, |i| format!("key.pem-{i}-")));
            all.push(shown(key, newline, |i| {
                format!("src/tls-1/my_key.pem:{i}:    ")
            }));
            all.push(shown(key, newline, |_| {
                "/etc/ssl/private/example/server/key.pem:".to_owned()
            }));
        }
        all.push(shown(key, "<br>", |_| String::new()));
        all.push(shown(key, "<br/>\n", |_| "> ".to_owned()));
    }
    all
}

#[test]
fn a_key_that_a_tool_shows_is_masked_whole_with_what_stands_before_its_lines() {
    let mut wrong = Vec::new();
    for (first, secret) in all_shown() {
        let text = format!("Read:\n{first}{secret}\nand more.\n");
        let expected = format!("Read:\n{first}{}\nand more.\n", replacement(NAME, &secret));
        let out = masked(&text);
        if out != expected {
            wrong.push((text, out));
        }
    }
    assert!(wrong.is_empty(), "{} {:#?}", wrong.len(), wrong.first());
}

#[test]
fn a_key_that_a_tool_shows_is_masked_alike_wherever_it_is_cut() {
    let key = pem("PRIVATE KEY", "\n", 2);
    for (first, secret) in [
        shown(&key, "\n", |i| format!("{i:6}\t")),
        shown(&key, "\n", |i| format!("{i:6}\u{2192}")),
        shown(&key, "\\n", |_| "> ".to_owned()),
        shown(&key, "\n", |i| format!("key.pem:{i}:")),
        shown(&key, "\n", |_| "// ".to_owned()),
    ] {
        let text = format!("{first}{secret}\nand more.\n");
        let expected = format!("{first}{}\nand more.\n", replacement(NAME, &secret));
        for cut in 1..text.len() {
            let (out, _) = in_pieces(text.as_bytes(), &[cut]);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{cut}");
        }
        let bytes: Vec<_> = (1..text.len()).collect();
        let (out, _) = in_pieces(text.as_bytes(), &bytes);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn each_of_two_keys_that_follow_each_other_gets_a_replacement_of_its_own() {
    let keys = [pem("PRIVATE KEY", "\n", 3), pem("RSA PRIVATE KEY", "\n", 4)];
    for prefix in ["", "> ", "    12\t", "key.pem:12:", "# "] {
        let [(first, a), (_, b)] = keys
            .each_ref()
            .map(|k| shown(k, "\n", |_| prefix.to_owned()));
        let text = format!("{first}{a}\n{first}{b}\n");
        let expected = format!(
            "{first}{}\n{first}{}\n",
            replacement(NAME, &a),
            replacement(NAME, &b)
        );
        assert_eq!(masked(&text), expected);
    }
}

#[test]
fn a_key_that_a_tool_shows_in_part_is_masked_up_to_its_last_full_line() {
    let (first, secret) = shown(&pem("PRIVATE KEY", "\n", 3), "\n", |i| format!("{i:6}\t"));
    let cut = &secret[..secret.find("\n     5").unwrap()];
    let text = format!("{first}{cut}\n     5\tand so on");
    let expected = format!("{first}{}\n     5\tand so on", replacement(NAME, cut));
    assert_eq!(masked(&text), expected);
}

#[test]
fn text_and_code_that_mention_a_key_stay_as_they_are() {
    for text in [
        "    if text.contains(\"-----BEGIN RSA PRIVATE KEY-----\") {\n        return Err(Error::PrivateKeysAreNotAllowed);\n    }\n",
        "     7\tif text.contains(\"-----BEGIN RSA PRIVATE KEY-----\") {\n     8\t    let found = true;\n     9\t}\n",
        "src/a.rs:7:    \"-----BEGIN PRIVATE KEY-----\",\nsrc/a.rs:8:    \"-----BEGIN RSA PRIVATE KEY-----\",\nsrc/a.rs:9:];\n",
        "a/key.pem:1:-----BEGIN PRIVATE KEY-----\nb/key.pem:1:-----BEGIN PRIVATE KEY-----\n",
        "> A key begins with\n> -----BEGIN PRIVATE KEY-----\n> and ends with\n> -----END PRIVATE KEY-----\n",
        "# -----BEGIN PRIVATE KEY-----\n# Note: base64 follows, see RFC 7468\n# -----END PRIVATE KEY-----\n",
        "// -----BEGIN PRIVATE KEY-----\n// shortline\n// -----END PRIVATE KEY-----\nfn a() {}\n",
        "     1\t-----BEGIN PRIVATE KEY-----\n     2\t...\n     3\t-----END PRIVATE KEY-----\n",
        "+const BEGIN: &str = \"-----BEGIN PRIVATE KEY-----\";\n+const END: &str = \"-----END PRIVATE KEY-----\";\n",
        "| -----BEGIN PRIVATE KEY----- | PKCS 8 |\n| -----BEGIN RSA PRIVATE KEY----- | PKCS 1 |\n",
    ] {
        assert_eq!(masked(text), text);
    }
}
