//! The `chaperone` binary: the command line, and `chaperone dev`. The control plane itself is the
//! library beside it.
#![forbid(unsafe_code)]

mod cli;
mod dev;

fn main() -> std::process::ExitCode {
    cli::main()
}
