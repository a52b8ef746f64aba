//! The plugin configuration, which Envoy hands the filter as JSON.
//!
//! [`Config::parse`] is a pure function of its bytes: no clock, no shared data, no randomness.
//! Envoy tries a configuration on its main thread first. A worker that then refuses a configuration
//! which the main thread accepted lets traffic past the filter silently; so both must always say
//! the same.
//!
//! Values are read by hand instead of by serde's derive: serde's messages quote the value that they
//! found, and here that may be the node token under a misspelt key. An error names the place and
//! the kind of value that was expected, never the value itself. `docs/filter.md` is the reference
//! for people.

mod error;
mod limits;
mod reader;

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chaperone_engine::audit::OnAuditFull;
use chaperone_engine::bundle::{self, Bundle, BundleError, PinnedKeys, PublicKey};
use chaperone_engine::gate::Gate;
use serde_json::Value;

use self::limits::{TIMEOUT_MS, limits, number};
use self::reader::Object;

pub use self::error::ConfigError;
pub use self::limits::Limits;

/// Everything that the filter is told at load time.
#[derive(Debug, Clone)]
pub struct Config {
    /// How to reach the control plane.
    pub control_plane: ControlPlane,
    /// Authenticates this node to the control plane.
    pub node_token: Secret<String>,
    /// How the node calls itself; Envoy's `node.id` when absent.
    pub node_name: Option<String>,
    /// The only keys that may sign policy.
    pub pinned: PinnedKeys,
    /// Key of the fingerprints in replacements, so that they cannot be guessed from outside.
    pub fingerprint_key: Secret<[u8; 32]>,
    /// Policy to start from before the control plane has been reached.
    pub bundle: Option<StartingBundle>,
    /// Where a held request's body waits.
    pub profile: Profile,
    /// Whether the route's metadata names the connection instead of the Host header.
    pub connection_from_route: bool,
    /// Where an agent's human can look at an approval.
    pub approval_url: Option<ApprovalUrl>,
    /// Whether new requests are refused or not recorded when the event queue is full.
    pub on_audit_full: OnAuditFull,
    /// Bounds on memory and time.
    pub limits: Limits,
}

/// How to reach the control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlPlane {
    /// Name of the Envoy cluster.
    pub cluster: String,
    /// `:authority` of the calls.
    pub authority: String,
    /// Milliseconds until a call that does not wait for anything counts as unanswered. Also how
    /// long a request with `audit: required` waits for its event to become durable.
    pub timeout_ms: u64,
}

/// A bundle from the configuration, its signature verified.
#[derive(Debug, Clone)]
pub struct StartingBundle {
    /// The envelope's bytes, to be shared with other workers.
    pub envelope: Rc<[u8]>,
    /// The bundle in it.
    pub bundle: Bundle,
}

/// Which of Envoy's two ways of holding a request the filter runs in; must agree with
/// `allow_on_headers_stop_iteration` in Envoy's configuration (`docs/filter.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Envoy holds headers and body together; the filter decides on headers alone.
    Headers,
    /// Envoy delivers the body while headers are held; the filter can decide on both.
    Body,
}

/// A value that must not be seen: its `Debug` says only that it is there.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a secret.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The secret, for the one place that uses it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> std::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// An address with `{approval}` where the approval's id goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalUrl(String);

impl ApprovalUrl {
    const PLACEHOLDER: &str = "{approval}";

    /// The address of one approval. Bytes outside RFC 3986's unreserved set are percent-encoded:
    /// the id comes from the network.
    pub fn of(&self, approval: &str) -> String {
        let mut id = String::new();
        for byte in approval.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                id.push(char::from(byte));
            } else {
                id.push_str(&format!("%{byte:02X}"));
            }
        }
        self.0.replace(Self::PLACEHOLDER, &id)
    }
}

impl Config {
    /// Reads a plugin configuration.
    ///
    /// # Errors
    /// [`ConfigError`] with the first place that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(ConfigError::new(
                "",
                "expected a JSON object, found nothing",
            ));
        }
        // serde_json's own words carry line and column and no content.
        let document: Value = serde_json::from_slice(bytes).map_err(|e| {
            let (line, column) = (e.line(), e.column());
            ConfigError::new(
                "",
                format!("expected JSON; line {line} column {column} is not"),
            )
        })?;
        let mut root = Object::open("", document)?;

        let mut plane = root.object("control_plane")?;
        let cluster = plane.text("cluster", 1, 255)?;
        let authority = plane.optional_text("authority", 1, 255)?;
        let control_plane = ControlPlane {
            authority: authority.unwrap_or_else(|| cluster.clone()),
            cluster,
            timeout_ms: number(&mut plane, &TIMEOUT_MS)?,
        };
        plane.close()?;

        let node_token = node_token(&mut root)?;
        let node_name = root.optional_text("node_name", 1, 255)?;
        if node_name
            .as_ref()
            .is_some_and(|name| name.chars().any(char::is_control))
        {
            return Err(ConfigError::new(
                "node_name",
                "expected printable characters",
            ));
        }
        let pinned = pinned(&mut root)?;
        let fingerprint_key = fingerprint_key(&mut root)?;
        let bundle = starting_bundle(&mut root, &pinned)?;
        let profile = match root.choice("profile", &["headers", "body"])? {
            Some("body") => Profile::Body,
            _ => Profile::Headers,
        };
        let connection_from_route = root.flag("connection_from_route")?.unwrap_or(false);
        let approval_url = approval_url(&mut root)?;
        let on_audit_full = match root.choice("on_audit_full", &["block", "drop"])? {
            Some("drop") => OnAuditFull::Drop,
            _ => OnAuditFull::Block,
        };
        let limits = limits(root.optional_object("limits")?)?;
        root.close()?;

        Ok(Self {
            control_plane,
            node_token,
            node_name,
            pinned,
            fingerprint_key,
            bundle,
            profile,
            connection_from_route,
            approval_url,
            on_audit_full,
            limits,
        })
    }
}

/// The token goes into a header: visible ASCII only, so that no configuration can split a header.
fn node_token(root: &mut Object) -> Result<Secret<String>, ConfigError> {
    let token = root.text("node_token", 16, 4096)?;
    if token.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(Secret(token))
    } else {
        Err(ConfigError::new(
            "node_token",
            "expected visible ASCII characters without spaces",
        ))
    }
}

/// `public_key`, or `public_keys` while the control plane's signing key changes.
fn pinned(root: &mut Object) -> Result<PinnedKeys, ConfigError> {
    let read = |place: &str, text: &str| {
        PublicKey::from_base64(text).map_err(|_| {
            ConfigError::new(
                place,
                "expected the base64 of the control plane's 32-byte Ed25519 public key",
            )
        })
    };
    let one = root.optional_text("public_key", 1, 255)?;
    let several = match (one, root.texts("public_keys", 1, 255)?) {
        (Some(one), None) => return Ok(read("public_key", &one)?.into()),
        (None, Some(several)) => several,
        (Some(_), Some(_)) => {
            return Err(ConfigError::new(
                "public_keys",
                "expected either `public_key` or `public_keys`, found both; put all keys into \
                 `public_keys`",
            ));
        }
        (None, None) => {
            return Err(ConfigError::new("public_key", "this setting is required"));
        }
    };
    let keys = several.iter().enumerate();
    let keys = keys.map(|(at, text)| read(&format!("public_keys[{at}]"), text));
    PinnedKeys::new(keys.collect::<Result<_, _>>()?)
        .map_err(|error| ConfigError::new("public_keys", error.to_string()))
}

fn fingerprint_key(root: &mut Object) -> Result<Secret<[u8; 32]>, ConfigError> {
    let text = root.text("fingerprint_key", 1, 255)?;
    STANDARD
        .decode(text.trim())
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .map(Secret)
        .ok_or_else(|| ConfigError::new("fingerprint_key", "expected the base64 of 32 bytes"))
}

fn starting_bundle(
    root: &mut Object,
    pinned: &PinnedKeys,
) -> Result<Option<StartingBundle>, ConfigError> {
    let Some(envelope) = root.value("bundle") else {
        return Ok(None);
    };
    let refused = |why: String| ConfigError::new("bundle", why);
    let envelope =
        serde_json::to_vec(&envelope).map_err(|_| refused("expected a signed bundle".into()))?;
    let bundle = bundle::open(&envelope, pinned).map_err(|e| match e {
        // Its words quote what was found.
        BundleError::Malformed(_) => refused("expected a signed bundle, as an object".to_owned()),
        e => refused(format!("expected a bundle signed by a pinned key. {e}")),
    })?;
    // Built again when it comes into force: a policy that cannot be enforced is refused here, where
    // it depends on the bytes alone.
    Gate::from_bundle(bundle.clone())
        .map_err(|why| refused(format!("expected a policy that can be enforced; {why}")))?;
    Ok(Some(StartingBundle {
        envelope: envelope.into(),
        bundle,
    }))
}

fn approval_url(root: &mut Object) -> Result<Option<ApprovalUrl>, ConfigError> {
    let Some(template) = root.optional_text("approval_url", 1, 2048)? else {
        return Ok(None);
    };
    let web = template.starts_with("https://") || template.starts_with("http://");
    let plain = template.bytes().all(|b| b.is_ascii_graphic());
    if web && plain && template.contains(ApprovalUrl::PLACEHOLDER) {
        Ok(Some(ApprovalUrl(template)))
    } else {
        Err(ConfigError::new(
            "approval_url",
            "expected an http or https address with {approval} where the approval's id goes",
        ))
    }
}
