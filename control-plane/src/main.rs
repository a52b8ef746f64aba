//! The `chaperone` program: its commands, and `chaperone dev`.
//!
//! | module | what it is for |
//! |---|---|
//! | [`commands`] | reads the arguments and starts the command: the server, `dev`, or one of `cli` |
//! | [`dev`] | a policy tried on one's own machine |
//! | [`cli`] | commands that talk to the management API, or ask the engine on the spot |
//!
//! Each uses those below it and never those above. The control plane itself is the library beside
//! this program.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod dev;

fn main() -> std::process::ExitCode {
    commands::main()
}
