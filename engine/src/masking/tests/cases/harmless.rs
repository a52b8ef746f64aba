//! Text that resembles secrets and is none.

use super::{BASE32, BASE64, filler};

/// Harmless text that resembles secrets.
#[rustfmt::skip]
pub(in super::super) fn harmless() -> Vec<String> {
    vec![
        "ghp_short and github_pat_ alone and gho_".to_owned(),
        "the task-force sat at the desk-side; disk-usage-of-the-very-long-directory-name-listing".to_owned(),
        "sk-learn sk-proj- sk-ant- sk-".to_owned(),
        format!("AKIA{} is longer than a key", filler(20, BASE32)),
        format!("xAKIA{}", filler(16, BASE32)),
        "aws_secret_access_key = ${AWS_SECRET_ACCESS_KEY}".to_owned(),
        "{\"value\": \"just a value\", \"key1\": 12, \"auth\": \"AuthenticationRequired\"}".to_owned(),
        format!("{{\"value\":\"{}\"}}", filler(86, BASE64)),
        "AccountKey=<your key>;SharedAccessKey=$KEY;Password=[masked:x:00000000];Pwd=${X};".to_owned(),
        "def connect(password=None, pwd=os.environ['X']): client_secret = get()".to_owned(),
        "?sig=short&design=1&config=abc".to_owned(),
        "the Q~ of 8Q~ and \"abc8Q~short\"".to_owned(),
        "eyJ and eyJhbGciOiJub25lIn0 and eyJhbGciOiJub25lIn0.eyJ9 are no tokens".to_owned(),
        "-----BEGIN CERTIFICATE-----\nMIIBEXAMPLEMIIBEXAMPLEMIIBEXAMPLE\n-----END CERTIFICATE-----".to_owned(),
        "-----BEGIN PUBLIC KEY-----\nMIIBEXAMPLEMIIBEXAMPLEMIIBEXAMPLE\n-----END PUBLIC KEY-----".to_owned(),
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----".to_owned(),
        "grep -----BEGIN RSA PRIVATE KEY----- finds keys".to_owned(),
        "postgres://app@db/x postgres://app:${PASSWORD}@db/x postgres://app:<password>@db/x".to_owned(),
        "https://host:8080/path https://[::1]:80/ http://a:1234 mysql://h:3306/db?x=@".to_owned(),
        "https://api.example/v1?at=10:30@noon mailto:a:b@c".to_owned(),
        "hooks.slack.com/services/ hooks.slack.com/services/T0/B0/x".to_owned(),
        "npm_config_registry=https://registry.npmjs.org/ _authToken=${NPM_TOKEN}".to_owned(),
        "hf_hub_download(whsec_, pypi-AgE, dckr_pat_x, SG.a.b, hvs.short)".to_owned(),
        "client-key-data: REDACTED".to_owned(),
        "session_token: null, security-token: none".to_owned(),
        "password = base64.b16encode(random_bytes[8:])".to_owned(),
        "console.input(prompt, password=password, stream=stream)".to_owned(),
        "api_key = os.environ['ACME_API_KEY_V2'], secret: Secret<String>, access_token=oauth2.fetch_token()".to_owned(),
        "\"nextPageToken\": \"CAUQAA3dK9x0f8Zq1\", \"continuation_token\": \"k7Dq2mPz9XvB4nLw1\"".to_owned(),
        "\"integrity\": \"sha512-9fK2mP7xQ4nR8wL1sT6uA3bC5dE0==\", \"sha\": \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b\"".to_owned(),
        "uid: 3f2504e0-4f89-11d3-9a0c-0305e82c3301, image: data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ".to_owned(),
        "[masked:github-pat:3f9a1c02]".to_owned(),
    ]
}
