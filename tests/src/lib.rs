//! The kit that end-to-end tests are written with: every part real, started and stopped by the test
//! that needs it.
//!
//! | module | gives |
//! |---|---|
//! | [`upstream`] | a server that answers as scripted and remembers what it saw |
//! | [`client`] | requests over HTTP/1.1 and HTTP/2, answers as they arrive |
//! | [`models`] | answers of model providers, event by event, and what is planted in them |
//! | [`cuts`] | the same bytes, cut where a reader is most likely to stumble |
//! | [`agents`] | the official client libraries of model providers and of MCP, and an MCP server |
//! | [`runs`] | streamed answers, read by a library directly and through the gate |
//! | [`readings`] | everything that can be made of bytes in which a secret may hide |
//! | [`compressed`] | bodies in gzip and deflate |
//! | [`masked`] | what is left of a secret in an answer, and whether the rest is as it was |
//! | [`raw`] | bytes on a socket, for traffic that no client library sends |
//! | [`load`] | requests one after the other, and what became of each |
//! | [`issuer`] | tokens of every kind, good and bad, and the key set they verify with |
//! | [`oidc`] | a certified OpenID provider |
//! | [`envoy`] | Envoy and its admin interface |
//! | [`chaperone`] | the `chaperone` binary: its commands, and `chaperone dev` as a user starts it |
//! | [`deployment`] | `chaperone serve` and Envoy with the shipped configuration, apart |
//! | [`recorder`] | what filter and control plane say to each other, byte for byte |
//! | [`stage`] | a deployment between agents and an upstream, with the questions that tests ask of it |
//! | [`wasm`] | what a wasm module imports and exports |
//! | [`crds`] | what a Kubernetes API server says to a manifest |
//! | [`oci`] | an OCI image layout, read back |
//! | [`api`] | the management API as an administrator uses it |
//! | [`process`], [`wait`], [`places`], [`files`] | what these stand on |
//!
//! # Rules
//!
//! - Nothing sleeps for a condition: [`wait::until`] polls it, and says what it waited for when it
//!   gives up.
//! - Everything listens on 127.0.0.1, on free ports, so tests run side by side.
//! - What a test starts, ends with it, also when it panics; then the logs of its processes are
//!   printed.
//! - The kit panics when its own parts fail, with a sentence that says what to do; what a test is
//!   about comes back as a value.
#![forbid(unsafe_code)]

pub mod agents;
pub mod api;
pub mod chaperone;
pub mod client;
pub mod compressed;
pub mod crds;
pub mod cuts;
pub mod deployment;
pub mod envoy;
pub mod files;
pub mod issuer;
pub mod load;
pub mod masked;
pub mod models;
pub mod oci;
pub mod oidc;
pub mod places;
pub mod process;
pub mod raw;
pub mod readings;
pub mod recorder;
pub mod runs;
pub mod script;
pub mod stage;
pub mod upstream;
pub mod wait;
pub mod wasm;
