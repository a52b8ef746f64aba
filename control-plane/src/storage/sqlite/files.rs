//! Whether the database's files still stand where they were opened.
//!
//! SQLite goes on writing into a file that was removed or renamed, and says that all is durable. It
//! is not: nobody finds it there again. So the files at the database's paths are compared with
//! those that were opened, before and after each commit. A file is known by its device and inode,
//! which costs three calls of `stat`.
//!
//! Nothing here opens the files. Closing a file, whoever has opened it, releases all locks that the
//! process holds on it (POSIX), those of SQLite among them.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::store::{Fault, Result, StoreError};

/// The endings that SQLite adds to the database's path for the log and for the index of it.
pub(super) const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// The files as they were when the database was opened.
#[derive(Debug)]
pub(super) struct Files([(PathBuf, Inode); 3]);

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Inode {
    device: u64,
    number: u64,
}

impl Files {
    /// Those that stand there now. The database has to be open: SQLite makes the log and its index
    /// when the first connection reads, and keeps them until the last one is closed.
    ///
    /// # Errors
    /// When one of them is not there.
    pub(super) fn of(database: &Path) -> Result<Self> {
        let [log, index] = BESIDE.map(|suffix| beside(database, suffix));
        let known = |path: PathBuf| match inode(&path) {
            Ok(inode) => Ok((path, inode)),
            Err(error) => Err(moved(&path, error)),
        };
        Ok(Self([
            known(database.to_owned())?,
            known(log)?,
            known(index)?,
        ]))
    }

    /// # Errors
    /// When another file, or none, stands at one of the paths.
    pub(super) fn in_place(&self) -> Result<()> {
        for (path, opened) in &self.0 {
            match inode(path) {
                Ok(found) if found == *opened => {}
                Ok(_) => {
                    return Err(moved(
                        path,
                        io::Error::other("another file stands there now"),
                    ));
                }
                Err(error) => return Err(moved(path, error)),
            }
        }
        Ok(())
    }
}

/// The path of a file that SQLite keeps beside the database.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(database);
    path.push(suffix);
    PathBuf::from(path)
}

fn inode(path: &Path) -> io::Result<Inode> {
    let metadata = std::fs::metadata(path)?;
    Ok(Inode {
        device: metadata.dev(),
        number: metadata.ino(),
    })
}

fn moved(path: &Path, error: io::Error) -> StoreError {
    StoreError::of(Fault::Moved, format!("{}: {error}", path.display()))
}
