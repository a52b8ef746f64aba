//! How a command ends when it does not end well.
//!
//! A [`Failure`] is a sentence for a person, a hint what to do next, and an exit code for a script.
//! All that a caller does with one is to end the command, so the command line and `dev` have this
//! one type where a module's border is crossed. Values of flags are read by clap, which has its own
//! way to end: they fail with an [`ArgumentError`].

use std::fmt;
use std::io;

/// Exit codes, as documented in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// A check failed, or the control plane refused what was asked.
    Failed = 1,
    /// The command line cannot be understood.
    Usage = 2,
    /// The control plane cannot be reached, or cannot do its work now: the same may work in a
    /// while.
    Unreachable = 3,
    /// `mask` found a secret that may not pass.
    Blocked = 4,
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// For the shell.
    pub(crate) exit: Exit,
    /// What went wrong, a sentence.
    pub(crate) message: String,
    /// What to do next, a sentence.
    pub(crate) next: Option<String>,
    /// The reader of our output has gone away (`chaperone … | head`): nothing to report.
    pub(crate) reader_gone: bool,
}

impl Failure {
    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            next: None,
            reader_gone: false,
        }
    }

    /// A check failed, or was refused.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Nobody answers.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, message)
    }

    /// Adds what to do next.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.next {
            Some(next) => write!(f, "\n{next}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    /// Only for writing to standard output; anything else names its file.
    fn from(error: io::Error) -> Self {
        let mut failure = Self::failed(format!("Cannot write the output: {error}."));
        failure.reader_gone = error.kind() == io::ErrorKind::BrokenPipe;
        failure
    }
}

/// Why the value of a flag cannot be read. clap prints it behind the flag and the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArgumentError(String);

impl ArgumentError {
    /// Says what is wrong, or what was expected instead.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ArgumentError {}
