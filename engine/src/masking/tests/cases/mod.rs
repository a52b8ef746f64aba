//! Made-up secrets of every kind. They are put together here so that no complete token stands in
//! the source.

mod azure;
mod harmless;
mod providers;

pub(super) use self::harmless::harmless;

/// A secret in its surroundings.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) detector: &'static str,
    /// What must stand before it; empty if it is recognised by itself.
    pub(super) before: String,
    pub(super) secret: String,
    /// What must stand after it.
    pub(super) after: String,
}

/// `n` characters that look random and cannot be: they say EXAMPLE, then count.
pub(super) fn filler(n: usize, alphabet: &str) -> String {
    let alphabet: Vec<char> = alphabet.chars().collect();
    let mut state = 12345_u32;
    "EXAMPLE"
        .chars()
        .filter(|c| alphabet.contains(c))
        .chain(std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            alphabet[(state >> 8) as usize % alphabet.len()]
        }))
        .take(n)
        .collect()
}

pub(super) const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
pub(super) const LOWER: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
pub(super) const CAPITALS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
pub(super) const LOWER_HEX: &str = "0123456789abcdef";
pub(super) const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
pub(super) const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn bare(detector: &'static str, prefix: &str, rest: String) -> Case {
    Case {
        detector,
        before: String::new(),
        secret: format!("{prefix}{rest}"),
        after: String::new(),
    }
}

fn after(detector: &'static str, before: &str, secret: String) -> Case {
    Case {
        detector,
        before: before.to_owned(),
        secret,
        after: String::new(),
    }
}

pub(super) fn pem(label: &str, newline: &str, lines: usize) -> String {
    let mut text = format!("-----BEGIN {label}-----{newline}");
    for i in 0..lines {
        let line = filler(64 + i, BASE64);
        text.push_str(&line[i..]);
        text.push_str(newline);
    }
    text.push_str(&filler(14, BASE64));
    text.push_str("==");
    text.push_str(newline);
    text + &format!("-----END {label}-----")
}

pub(super) fn jwt() -> String {
    // {"alg":"RS256","typ":"JWT"} . {"sub":"EXAMPLE"...
    format!(
        "{}.{}.{}",
        concat!("eyJhbGciOiJSUzI1NiIs", "InR5cCI6IkpXVCJ9"),
        concat!("eyJzdWIiOiJFWEFNUExF", "IiwiZXhwIjoxfQ"),
        filler(86, ALNUM)
    )
}

/// At least one case per detector.
#[rustfmt::skip]
pub(super) fn cases() -> Vec<Case> {
    let az = || format!("{}==", filler(86, BASE64));
    let entra = || format!("EXa8Q~{}", filler(34, ALNUM));
    let mut cases = providers::cases();
    cases.extend(azure::cases());
    cases.extend(vec![
        bare("secrets/github-pat", "ghp_", filler(36, ALNUM)),
        bare("secrets/github-fine-grained-pat", "github_pat_", format!("{}_{}", filler(22, ALNUM), filler(59, ALNUM))),
        bare("secrets/github-oauth", "gho_", filler(36, ALNUM)),
        bare("secrets/github-app-user", "ghu_", filler(36, ALNUM)),
        bare("secrets/github-app-installation", "ghs_", filler(36, ALNUM)),
        bare("secrets/github-app-installation", "ghs_", format!("12345_{}", jwt())),
        bare("secrets/github-refresh", "ghr_", filler(76, ALNUM)),
        bare("secrets/gitlab-token", "glpat-", filler(20, ALNUM)),
        bare("secrets/gitlab-token", "glpat-", format!("{}.01.{}", filler(27, ALNUM), filler(9, LOWER_HEX))),
        bare("secrets/gitlab-token", "glrt-", filler(20, ALNUM)),
        bare("secrets/aws-access-key-id", "AKIA", filler(16, BASE32)),
        bare("secrets/aws-access-key-id", "ASIA", filler(16, BASE32)),
        after("secrets/aws-secret-access-key", "aws_secret_access_key = ", filler(40, BASE64)),
        after("secrets/aws-secret-access-key", "AWS_SECRET_ACCESS_KEY=", filler(40, BASE64)),
        after("secrets/aws-secret-access-key", "{\"SecretAccessKey\": \"", filler(40, BASE64)),
        after("secrets/aws-secret-access-key", "{\\\"secretAccessKey\\\":\\\"", filler(40, BASE64)),
        after("secrets/aws-secret-access-key", "<SecretAccessKey>", filler(40, BASE64)),
        after("secrets/aws-session-token", "AWS_SESSION_TOKEN=", filler(200, BASE64)),
        after("secrets/azure-storage-key", "AccountName=x;AccountKey=", az()),
        after("secrets/azure-storage-key", "{\"keyName\":\"key1\",\"value\":\"", az()),
        after("secrets/azure-storage-key", "\\\"value\\\": \\\"", az()),
        after("secrets/azure-storage-key", "az storage blob list --account-key ", az()),
        after("secrets/azure-storage-key", "\"primaryMasterKey\": \"", az()),
        after("secrets/azure-sas", "https://x.blob.core.windows.net/c?sv=2024&sig=", format!("{}%3D", filler(43, ALNUM))),
        after("secrets/azure-sas", "?se=2026\\u0026sig=", format!("{}%2B{}=", filler(20, ALNUM), filler(22, ALNUM))),
        after("secrets/azure-access-key", "Endpoint=sb://x/;SharedAccessKeyName=r;SharedAccessKey=", format!("{}=", filler(43, BASE64))),
        after("secrets/azure-access-key", "Endpoint=https://x;Id=y;Secret=", format!("{}=", filler(43, BASE64))),
        after("secrets/azure-client-secret", "AZURE_CLIENT_SECRET=", entra()),
        after("secrets/azure-client-secret", "\"secretText\": \"", entra()),
        after("secrets/azure-client-secret", "az login --service-principal --password ", entra()),
        after("secrets/azure-client-secret", "\"", entra()),
        after("secrets/azure-client-secret", "", entra()),
        Case { after: ";Encrypt=true".to_owned(), ..after("secrets/connection-string-password", "Server=x;User Id=sa;Password=", "EXAMPLE-pass!1".to_owned()) },
        Case { after: "\"".to_owned(), ..after("secrets/connection-string-password", "\"Driver=x;UID=sa; PWD=", "EXAMPLE-pass!1".to_owned()) },
        bare("secrets/google-api-key", "AIza", filler(35, ALNUM)),
        bare("secrets/google-oauth-token", "ya29.", filler(120, ALNUM)),
        bare("secrets/google-client-secret", "GOCSPX-", filler(28, ALNUM)),
        bare("secrets/anthropic-api-key", "sk-ant-api03-", filler(95, ALNUM)),
        bare("secrets/openrouter-api-key", "sk-or-v1-", filler(64, LOWER_HEX)),
        bare("secrets/openai-api-key", "sk-proj-", format!("{}T3BlbkFJ{}", filler(74, ALNUM), filler(74, ALNUM))),
        bare("secrets/openai-api-key", "sk-svcacct-", filler(60, ALNUM)),
        bare("secrets/openai-api-key", "sk-", format!("{}T3BlbkFJ{}", filler(20, ALNUM), filler(20, ALNUM))),
        bare("secrets/huggingface-token", "hf_", filler(34, ALNUM)),
        bare("secrets/slack-token", "xoxb-", format!("123456789012-{}", filler(24, ALNUM))),
        bare("secrets/slack-token", "xoxe.xoxp-", format!("1-{}", filler(60, ALNUM))),
        bare("secrets/slack-app-token", "xapp-", format!("1-A0EXAMPLE-123456-{}", filler(64, LOWER_HEX))),
        after("secrets/slack-webhook", "https://hooks.slack.com/services/", format!("T0EXAMPLE/B0EXAMPLE/{}", filler(24, ALNUM))),
        bare("secrets/stripe-key", "sk_live_", filler(24, ALNUM)),
        bare("secrets/stripe-key", "rk_test_", filler(99, ALNUM)),
        bare("secrets/stripe-webhook-secret", "whsec_", filler(32, ALNUM)),
        bare("secrets/npm-token", "npm_", filler(36, ALNUM)),
        after("secrets/npm-token", "//registry.npmjs.org/:_authToken=", "0EXAMPLE-0000-4000-8000-000000000000".to_owned()),
        bare("secrets/pypi-token", "pypi-AgEIcHlwaS5vcmc", filler(100, ALNUM)),
        bare("secrets/docker-token", "dckr_pat_", filler(27, ALNUM)),
        // user:EXAMPLE-pass
        after("secrets/docker-config-auth", "{\"auths\":{\"r.io\":{\"auth\": \"", concat!("dXNlcjpFWEFN", "UExFLXBhc3M=").to_owned()),
        bare("secrets/jwt", "", jwt()),
        bare("secrets/jwt", "", format!("{}.{}.{}.{}.{}", concat!("eyJhbGciOiJkaXIi", "LCJlbmMiOiJBMjU2R0NNIn0"), "", filler(16, ALNUM), filler(40, ALNUM), filler(22, ALNUM))),
        after("secrets/kubernetes-client-key", "    client-key-data: ", filler(400, BASE64)),
        bare("secrets/vault-token", "hvs.", filler(95, ALNUM)),
        bare("secrets/digitalocean-token", "dop_v1_", filler(64, LOWER_HEX)),
        bare("secrets/sendgrid-key", "SG.", format!("{}.{}", filler(22, ALNUM), filler(43, ALNUM))),
    ]);
    for url in ["postgres://app:", "postgresql+psycopg2://app:", "mongodb+srv://app:", "rediss://:", "jdbc:sqlserver://sa:"] {
        let mut case = after("secrets/database-url-password", url, "EXAMPLE-pass%21".to_owned());
        "@db.internal:5432/app".clone_into(&mut case.after);
        cases.push(case);
    }
    let mut case = after("secrets/url-password", "git clone https://user:", "EXAMPLE-pass".to_owned());
    "@git.example/x.git".clone_into(&mut case.after);
    cases.push(case);
    for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
        for newline in ["\n", "\r\n", "\\n", "\\\\n", "\n      ", "\\n\" +\n  \""] {
            cases.push(bare("secrets/private-key", "", pem(label, newline, 25)));
        }
    }
    let armour = pem("PGP PRIVATE KEY BLOCK", "\n", 30).replacen('\n', "\nVersion: EXAMPLE 1.0\nComment: made up\n\n", 1);
    cases.push(bare("secrets/private-key", "", armour.replace("==\n-----END", "==\n=aB3d\n-----END")));
    let encrypted = pem("RSA PRIVATE KEY", "\n", 25).replacen('\n', "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00EXAMPLE\n\n", 1);
    cases.push(bare("secrets/private-key", "", encrypted));
    cases
}
