//! A native model of what Envoy does with a stream, to drive the filter with.
//!
//! It knows the rules that were measured on the real Envoy and that no documentation tells: which
//! callbacks come while headers are held, what Continue from a body callback releases, what a
//! resume from outside loses, when an answer passes through our own callbacks. The real Envoy stays
//! the judge (`tests/`); the model finds orders of callbacks that nobody would write a test for.

mod actions;
mod bodies;
mod control_plane;
mod envoy;
mod expanding;
mod properties;
mod steps;
mod stories;
mod waiting;
mod whole;
mod world;
