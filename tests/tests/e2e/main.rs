//! Every end-to-end test, in one binary: the kit with its TLS, HTTP and cryptography is linked once
//! instead of once for each file. A module is named after the promise that its tests keep.
//!
//! The list below names every file of this folder. The tests of a file that it does not name would
//! never run, so `documents::every_file_of_tests_is_a_module` fails then.

mod actions;
mod allowed;
mod approval;
mod bounds;
mod channels;
mod denial;
mod dev;
mod documents;
mod evasions;
mod failures;
mod floods;
mod framing;
mod holds;
mod identity;
mod kit;
mod malformed;
mod manifests;
mod masking;
mod mcp;
mod metrics;
mod openid;
mod policy;
mod recording;
mod signing;
mod statuses;
mod steps;
mod streams;
mod versions;
mod waiting;
