//! What outlives a command: a directory per user.
//!
//! It is `$XDG_STATE_HOME/chaperone/dev` (XDG Base Directory Specification), and all runs of
//! `chaperone dev` share it. It holds the key of the development issuer, and `current.json`, which
//! tells the other commands where the last started control plane is.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::files::{private_dir, write_private};

/// Where the last started `chaperone dev` is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastRun {
    /// URL of its control plane.
    pub(crate) server: String,
    /// File with a token of the role admin.
    pub(crate) token_file: PathBuf,
    /// The process, so that a later run does not mistake its own entry for another's.
    pub(crate) pid: u32,
}

/// The per-user directory.
#[derive(Debug, Clone)]
pub(crate) struct UserState {
    dir: PathBuf,
}

impl UserState {
    /// Finds the directory; it need not exist yet.
    ///
    /// # Errors
    /// When neither `XDG_STATE_HOME` nor `HOME` says where a user keeps such things.
    pub(crate) fn locate() -> Result<Self, Failure> {
        let absolute = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path: &PathBuf| path.is_absolute())
        };
        let base = absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
            .ok_or_else(|| Failure::failed("Neither XDG_STATE_HOME nor HOME is set; set one of them so that chaperone has a place for its development key."))?;
        Ok(Self {
            dir: base.join("chaperone/dev"),
        })
    }

    /// In a given directory.
    #[cfg(test)]
    pub(crate) fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// File with the issuer's private key.
    pub(crate) fn issuer_key(&self) -> PathBuf {
        self.dir.join("issuer.key")
    }

    fn last_run_file(&self) -> PathBuf {
        self.dir.join("current.json")
    }

    /// Makes the directory, for this user only.
    pub(crate) fn create(&self) -> io::Result<()> {
        private_dir(&self.dir)
    }

    /// The last started run that has not ended in order.
    pub(crate) fn last_run(&self) -> Option<LastRun> {
        serde_json::from_slice(&std::fs::read(self.last_run_file()).ok()?).ok()
    }

    /// Points the command line at this run.
    pub(crate) fn set_last_run(&self, run: &LastRun) -> io::Result<()> {
        self.create()?;
        write_private(&self.last_run_file(), &serde_json::to_vec_pretty(run)?)
    }

    /// Takes the pointer back, unless a later run has put its own in place.
    pub(crate) fn clear_last_run(&self, pid: u32) {
        if self.last_run().is_some_and(|run| run.pid == pid) {
            // Nothing depends on it: the command line reports a server that is gone as unreachable.
            let _ = std::fs::remove_file(self.last_run_file());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_ends_leaves_the_pointer_of_a_later_run_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = UserState::at(dir.path().join("chaperone/dev"));
        let run = |pid| LastRun {
            server: format!("http://127.0.0.1:{pid}"),
            token_file: "/t".into(),
            pid,
        };
        state.set_last_run(&run(1)).unwrap();
        state.set_last_run(&run(2)).unwrap();
        state.clear_last_run(1);
        assert_eq!(state.last_run(), Some(run(2)));
        state.clear_last_run(2);
        assert_eq!(state.last_run(), None);
    }
}
