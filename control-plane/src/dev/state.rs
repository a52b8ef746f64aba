//! The files of `chaperone dev`: what outlives a run, and what belongs to one.
//!
//! Per user, shared by all runs, under `$XDG_STATE_HOME/chaperone/dev` (XDG Base Directory
//! Specification): the issuer's key, and `current.json`, which tells the command line where the
//! last started control plane is. Per run, a directory that only the user can read.

use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where the command line finds the last started `chaperone dev`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Current {
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
    pub(crate) fn locate() -> Result<Self, String> {
        let absolute = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path: &PathBuf| path.is_absolute())
        };
        let base = absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
            .ok_or("Neither XDG_STATE_HOME nor HOME is set; set one of them so that chaperone has a place for its development key.")?;
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

    fn current_file(&self) -> PathBuf {
        self.dir.join("current.json")
    }

    /// Makes the directory, for this user only.
    pub(crate) fn create(&self) -> io::Result<()> {
        private_dir(&self.dir)
    }

    /// The last started run that has not ended in order.
    pub(crate) fn current(&self) -> Option<Current> {
        serde_json::from_slice(&std::fs::read(self.current_file()).ok()?).ok()
    }

    /// Points the command line at this run.
    pub(crate) fn set_current(&self, current: &Current) -> io::Result<()> {
        self.create()?;
        write_private(&self.current_file(), &serde_json::to_vec_pretty(current)?)
    }

    /// Takes the pointer back, unless a later run has put its own in place.
    pub(crate) fn clear_current(&self, pid: u32) {
        if self.current().is_some_and(|current| current.pid == pid) {
            // Nothing depends on it: the command line reports a server that is gone as unreachable.
            let _ = std::fs::remove_file(self.current_file());
        }
    }
}

/// Makes a directory and its parents; the directory itself is for this user only.
pub(crate) fn private_dir(dir: &Path) -> io::Result<()> {
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
        }
        other => other,
    }
}

/// Replaces a file in one step with one that only this user can read.
pub(crate) fn write_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    replace(path, contents, 0o600)
}

/// Replaces a file in one step: a reader sees the old content or the whole new one.
pub(crate) fn replace(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = (|| {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(contents)?;
        std::fs::rename(&temporary, path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_for_their_user_only_even_where_an_open_file_stood() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        write_private(&path, b"new").unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (std::fs::read_to_string(&path).unwrap().as_str(), mode),
            ("new", 0o600)
        );
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing else stays behind"
        );
    }

    #[test]
    fn a_run_that_ends_leaves_the_pointer_of_a_later_run_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = UserState::at(dir.path().join("chaperone/dev"));
        let run = |pid| Current {
            server: format!("http://127.0.0.1:{pid}"),
            token_file: "/t".into(),
            pid,
        };
        state.set_current(&run(1)).unwrap();
        state.set_current(&run(2)).unwrap();
        state.clear_current(1);
        assert_eq!(state.current(), Some(run(2)));
        state.clear_current(2);
        assert_eq!(state.current(), None);
    }
}
