//! The commands that ask the control plane, or the engine on the spot, and print the answer.
//!
//! Each group of commands is a module with its arguments and what they do:
//!
//! | module | command |
//! |---|---|
//! | [`approvals`] | `chaperone approvals` |
//! | [`audit`] | `chaperone audit` |
//! | [`detectors`] | `chaperone detectors` |
//! | [`mask`] | `chaperone mask` |
//! | [`nodes`] | `chaperone nodes` |
//! | [`policy`] | `chaperone policy` |
//! | [`token`] | `chaperone token` |
//!
//! They share the rest, and `chaperone dev` uses it too:
//!
//! | module | what it is for |
//! |---|---|
//! | [`args`] | arguments that several commands take |
//! | `causes` | why a call was not answered |
//! | [`client`] | calls of the management API |
//! | [`context`] | what every command gets |
//! | [`document`] | policies and detectors, read from files |
//! | [`failure`] | how a command ends when it does not end well |
//! | [`files`] | files that only their user can read |
//! | [`logging`] | what is logged |
//! | [`masking_args`] | arguments of `mask` and `detectors` |
//! | [`output`] | tables and sentences for people, JSON for programs |
//! | [`server_events`] | streams that the management API sends |
//! | [`signals`] | being told to stop |
//! | [`user_state`] | what outlives a command, in the user's directory |

pub(crate) mod approvals;
pub(crate) mod args;
pub(crate) mod audit;
mod causes;
pub(crate) mod client;
pub(crate) mod context;
pub(crate) mod detectors;
pub(crate) mod document;
pub(crate) mod failure;
pub(crate) mod files;
pub(crate) mod logging;
pub(crate) mod mask;
mod masking_args;
pub(crate) mod nodes;
pub(crate) mod output;
pub(crate) mod policy;
pub(crate) mod server_events;
pub(crate) mod signals;
pub(crate) mod signing;
pub(crate) mod token;
pub(crate) mod user_state;
