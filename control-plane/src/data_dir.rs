//! The data directory: secrets made on first start, and who may read them.
//!
//! Secrets are files of their own rather than rows of the database, so that a copy of the database
//! neither signs policy nor opens the data plane. The control plane refuses to start when somebody
//! else could read them: a warning in a log is read after the fact.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::random;

/// Where everything of one control plane lies.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

/// Why the data directory cannot be used. Says what to do; never holds a secret.
#[derive(Debug)]
pub struct DataDirError(String);

impl std::fmt::Display for DataDirError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DataDirError {}

impl DataDirError {
    /// `message` is a sentence without its full stop.
    pub(crate) fn new(message: String) -> Self {
        Self(message)
    }
}

type Result<T> = std::result::Result<T, DataDirError>;

/// Held as long as the control plane runs: two on one directory would number policy versions twice.
#[derive(Debug)]
pub(crate) struct Lock {
    #[expect(dead_code, reason = "closing the file releases the lock")]
    locked: [Option<File>; 2],
}

/// Which database belongs here, as the directory remembers it: the id and the mark of
/// [`Instance`](crate::storage::sqlite::Instance).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) id: String,
    pub(crate) mark: u64,
}

impl DataDir {
    /// The directory, made with mode 0700 when it is not there.
    ///
    /// # Errors
    /// When it cannot be made, or others may enter it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| {
                DataDirError(format!(
                    "cannot make the data directory {}: {error}",
                    path.display()
                ))
            })?;
        let dir = Self(path.to_owned());
        check_mode(path, "directory", "700")?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir.keys())
            .map_err(|error| {
                DataDirError(format!("cannot make {}: {error}", dir.keys().display()))
            })?;
        Ok(dir)
    }

    /// Makes sure that no other control plane works here.
    ///
    /// The directory itself is locked. A file that is there for the lock alone can be removed, and
    /// then the next control plane makes and locks another one. That file is locked all the same:
    /// earlier versions lock nothing else.
    ///
    /// # Errors
    /// When one does.
    pub(crate) fn lock(&self) -> Result<Lock> {
        let path = self.0.join("lock");
        let directory = File::open(&self.0)
            .map_err(|error| DataDirError(format!("cannot open {}: {error}", self.0.display())))?;
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| DataDirError(format!("cannot open {}: {error}", path.display())))?;
        let directory = match directory.try_lock() {
            Ok(()) => Some(directory),
            Err(TryLockError::WouldBlock) => return Err(self.taken()),
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, "the file system cannot lock a directory, so the file `lock` alone keeps a second control plane out: do not remove it");
                None
            }
        };
        match file.try_lock() {
            Ok(()) => Ok(Lock {
                locked: [directory, Some(file)],
            }),
            Err(TryLockError::WouldBlock) => Err(self.taken()),
            Err(TryLockError::Error(error)) => Err(DataDirError(format!(
                "cannot lock {}: {error}",
                path.display()
            ))),
        }
    }

    fn taken(&self) -> DataDirError {
        DataDirError(format!(
            "another control plane works in {}; stop it or choose another --data-dir",
            self.0.display()
        ))
    }

    /// Which database belongs here; `None` while the directory has not been used.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn marker(&self) -> Result<Option<Marker>> {
        let path = self.instance();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(DataDirError(format!(
                    "cannot read {}: {error}",
                    path.display()
                )));
            }
        };
        let marker = text.trim().split_once(' ').and_then(|(id, mark)| {
            Some(Marker {
                id: id.to_owned(),
                mark: mark.parse().ok()?,
            })
        });
        marker.map(Some).ok_or_else(|| {
            DataDirError(format!(
                "{} does not say which database belongs here; restore it from a backup, or run \
                 `chaperone db restored` to keep the database that is there",
                path.display()
            ))
        })
    }

    /// Remembers which database belongs here.
    ///
    /// # Errors
    /// When it cannot be written; what was remembered before stays.
    pub(crate) fn remember(&self, marker: &Marker) -> Result<()> {
        let path = self.instance();
        replace(&path, &format!("{} {}", marker.id, marker.mark))
            .map_err(|error| DataDirError(format!("cannot write {}: {error}", path.display())))
    }

    /// Says which database belongs here. Its name has nothing in common with those of the
    /// database's files: who removes them by a pattern must not remove it, too.
    pub(crate) fn instance(&self) -> PathBuf {
        self.0.join("instance")
    }

    /// The database's file, made empty with mode 0600 when it is not there. SQLite gives the files
    /// that it adds beside it the same mode.
    ///
    /// # Errors
    /// When it cannot be made, or others may read it.
    pub(crate) fn ready_database(&self) -> Result<PathBuf> {
        let path = self.database();
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| DataDirError(format!("cannot open {}: {error}", path.display())))?;
        check_mode(&path, "file", "600")?;
        Ok(path)
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.0.join("chaperone.db")
    }

    /// Key sets as they were fetched last.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// The token that filters carry.
    pub fn node_token(&self) -> PathBuf {
        self.0.join("node.token")
    }

    /// The first administrator's token.
    pub fn admin_token(&self) -> PathBuf {
        self.0.join("admin.token")
    }

    /// The key that secrets' fingerprints are made with; filters carry it.
    pub fn fingerprint_key(&self) -> PathBuf {
        self.0.join("fingerprint.key")
    }

    /// The key that bundles are signed with.
    pub fn signing_key(&self) -> PathBuf {
        self.0.join("signing.key")
    }

    /// The key that bundles will be signed with next.
    pub fn next_signing_key(&self) -> PathBuf {
        self.0.join("signing.next.key")
    }

    /// The key that bundles were signed with before.
    pub fn previous_signing_key(&self) -> PathBuf {
        self.0.join("signing.previous.key")
    }

    /// Puts the next signing key in the place of the current one, which is kept as the previous
    /// one. There is a whole key in `signing.key` at any moment.
    ///
    /// # Errors
    /// When a file cannot be written; the current key is the same then. Only where the directory
    /// cannot be synced at last, `signing.key` is the new one already.
    pub(crate) fn promote_signing_key(&self) -> Result<()> {
        let (next, current) = (self.next_signing_key(), self.signing_key());
        let previous = self.previous_signing_key();
        // Asked again after such an end, there is nothing to do, and the key before must stay what
        // it is.
        if !next.exists() && current.exists() && previous.exists() {
            return sync_parent(&current).map_err(|error| {
                DataDirError(format!("cannot sync {}: {error}", self.0.display()))
            });
        }
        if let Some(text) = read_secret(&current)? {
            replace(&previous, &text).map_err(|error| {
                DataDirError(format!("cannot write {}: {error}", previous.display()))
            })?;
        }
        std::fs::rename(&next, &current)
            .and_then(|()| sync_parent(&current))
            .map_err(|error| {
                DataDirError(format!(
                    "cannot put {} in the place of {}: {error}",
                    next.display(),
                    current.display()
                ))
            })
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// When it is still there.
    pub(crate) fn remove(&self, path: &Path) -> Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done.and_then(|()| sync_parent(path)).map_err(|error| {
                DataDirError(format!("cannot remove {}: {error}", path.display()))
            }),
        }
    }

    /// A key of 32 bytes in standard base64, made when it is not there.
    pub(crate) fn key(path: &Path) -> Result<Zeroizing<[u8; 32]>> {
        let text = secret(path, || {
            Ok(Zeroizing::new(STANDARD.encode(&random::bytes::<32>()?[..])))
        })?;
        Self::key_of(path, &text)
    }

    /// Keeps a key of 32 bytes, in standard base64, in a new file.
    pub(crate) fn keep_key(path: &Path, key: &[u8; 32]) -> Result<()> {
        write_new(path, &Zeroizing::new(STANDARD.encode(key)))
            .map_err(|error| DataDirError(format!("cannot write {}: {error}", path.display())))
    }

    /// A key of 32 bytes in standard base64, or `None` when there is no such file.
    pub(crate) fn existing_key(path: &Path) -> Result<Option<Zeroizing<[u8; 32]>>> {
        let text = read_secret(path)?;
        text.map(|text| Self::key_of(path, &text)).transpose()
    }

    fn key_of(path: &Path, text: &str) -> Result<Zeroizing<[u8; 32]>> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).unwrap_or_default());
        <[u8; 32]>::try_from(&bytes[..]).map(Zeroizing::new).map_err(|_| {
            DataDirError(format!(
                "{} does not hold 32 bytes in base64; restore it from a backup (removing it makes a \
                 new key, which filters do not know)",
                path.display()
            ))
        })
    }
}

/// The text of a secret file, or `None` when there is no such file.
///
/// # Errors
/// When others may read it, or it cannot be read.
pub(crate) fn read_secret(path: &Path) -> Result<Option<Zeroizing<String>>> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(DataDirError(format!(
                "cannot look at {}: {error}",
                path.display()
            )));
        }
        Ok(_) => check_mode(path, "file", "600")?,
    }
    std::fs::read_to_string(path)
        .map(|text| Some(Zeroizing::new(text.trim().to_owned())))
        .map_err(|error| DataDirError(format!("cannot read {}: {error}", path.display())))
}

/// The text of a secret file; written with `make`'s when there is none.
///
/// # Errors
/// Those of [`read_secret`], and when it cannot be written.
pub(crate) fn secret(
    path: &Path,
    make: impl FnOnce() -> io::Result<Zeroizing<String>>,
) -> Result<Zeroizing<String>> {
    if let Some(text) = read_secret(path)? {
        return Ok(text);
    }
    let text = make().map_err(|error| DataDirError(format!("no randomness: {error}")))?;
    write_new(path, &text)
        .map_err(|error| DataDirError(format!("cannot write {}: {error}", path.display())))?;
    Ok(text)
}

/// Written beside, then linked into place: the file has its mode and its whole content from the
/// moment that it has its name, and an existing one is never replaced.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let written = write_durably(&beside, text).and_then(|()| std::fs::hard_link(&beside, path));
    let removed = std::fs::remove_file(&beside);
    written?;
    if let Err(error) = removed.and_then(|()| sync_parent(path)) {
        // Its name may be lost again, and whoever asked was told that there is no file. Were it
        // left, the next try would find another secret in its place.
        drop(std::fs::remove_file(path));
        return Err(error);
    }
    Ok(())
}

/// Written beside, then renamed: whoever reads it finds the old text or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if let Err(error) = write_durably(&beside, text).and_then(|()| std::fs::rename(&beside, path)) {
        // On a full disk it would take the room of something that matters.
        drop(std::fs::remove_file(&beside));
        return Err(error);
    }
    sync_parent(path)
}

fn write_durably(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

/// Nobody may use it but this process: others never, and a group only when it is one of the
/// process's own. Kubernetes gives a volume, and again at each start all that is in it, to a group
/// that was made for the pod (`fsGroup`), and to no user. Of a link its target counts: Kubernetes
/// mounts secrets as links, and the mode of a link says nothing.
fn check_mode(path: &Path, what: &str, wanted: &str) -> Result<()> {
    const GROUP: u32 = 0o070;
    const OTHERS: u32 = 0o007;
    let metadata = std::fs::metadata(path)
        .map_err(|error| DataDirError(format!("cannot look at {}: {error}", path.display())))?;
    let mode = metadata.mode();
    let shared = mode & GROUP != 0 && !in_group(metadata.gid());
    if mode & OTHERS != 0 || shared {
        return Err(DataDirError(format!(
            "others may use the {what} {} (mode {:o}, group {}), which holds secrets; run \
             `chmod {wanted} {}`, and consider the secrets in it known",
            path.display(),
            mode & 0o777,
            metadata.gid(),
            path.display()
        )));
    }
    Ok(())
}

/// Whether this process is in the group.
fn in_group(group: u32) -> bool {
    let own = rustix::process::getegid().as_raw();
    // Whoever is not told the groups is in none of them.
    let further = rustix::process::getgroups().unwrap_or_default();
    own == group || further.iter().any(|gid| gid.as_raw() == group)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn secrets_are_made_once_and_only_their_owner_can_read_them() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&temp.path().join("data")).unwrap();
        let first = DataDir::key(&dir.signing_key()).unwrap();
        assert_eq!(*first, *DataDir::key(&dir.signing_key()).unwrap());
        assert_eq!(
            std::fs::metadata(dir.signing_key()).unwrap().mode() & 0o777,
            0o600
        );
        assert_eq!(
            std::fs::metadata(temp.path().join("data")).unwrap().mode() & 0o777,
            0o700
        );
        assert_ne!(*first, *DataDir::key(&dir.fingerprint_key()).unwrap());
        let names: Vec<_> = std::fs::read_dir(temp.path().join("data"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name.to_string_lossy().contains("new-"))
            .collect();
        assert!(names.is_empty(), "left behind: {names:?}");
    }

    #[test]
    fn loose_modes_are_refused_with_the_command_that_mends_them() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("data");
        let dir = DataDir::open(&path).unwrap();
        DataDir::key(&dir.signing_key()).unwrap();
        set_mode(&dir.signing_key(), 0o604);
        let error = DataDir::key(&dir.signing_key()).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        set_mode(&path, 0o701);
        let error = DataDir::open(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 700"), "{error}");
    }

    #[test]
    fn a_group_may_use_it_when_it_is_the_processs_own() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("data");
        let dir = DataDir::open(&path).unwrap();
        let key = DataDir::key(&dir.signing_key()).unwrap();
        // As Kubernetes leaves a volume with `fsGroup`.
        set_mode(&path, 0o2770);
        set_mode(&dir.signing_key(), 0o660);
        let dir = DataDir::open(&path).unwrap();
        assert_eq!(*DataDir::key(&dir.signing_key()).unwrap(), *key);
        // Only root can give a file to a group that it is not in.
        if std::os::unix::fs::chown(&path, None, Some(54_321)).is_ok() {
            let error = DataDir::open(&path).unwrap_err().to_string();
            assert!(error.contains("group 54321"), "{error}");
        }
    }

    #[test]
    fn the_next_signing_key_takes_the_place_of_the_current_one_which_is_kept() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&temp.path().join("data")).unwrap();
        let read = |path: PathBuf| DataDir::existing_key(&path).unwrap();
        assert_eq!(read(dir.next_signing_key()), None);
        let mut before = DataDir::key(&dir.signing_key()).unwrap();
        assert!(dir.promote_signing_key().is_err(), "there is no next one");
        assert_eq!(read(dir.signing_key()).as_ref(), Some(&before));
        for _ in 0..2 {
            let next = DataDir::key(&dir.next_signing_key()).unwrap();
            assert_ne!(next, before);
            dir.promote_signing_key().unwrap();
            assert_eq!(read(dir.signing_key()).as_ref(), Some(&next));
            assert_eq!(read(dir.previous_signing_key()).as_ref(), Some(&before));
            assert_eq!(read(dir.next_signing_key()), None);
            for path in [dir.signing_key(), dir.previous_signing_key()] {
                assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o777, 0o600);
            }
            // Asked again, it is done already, and what was before stays what it is.
            dir.promote_signing_key().unwrap();
            assert_eq!(read(dir.previous_signing_key()).as_ref(), Some(&before));
            before = next;
        }
        dir.remove(&dir.previous_signing_key()).unwrap();
        dir.remove(&dir.previous_signing_key()).unwrap();
        assert_eq!(read(dir.previous_signing_key()), None);
    }

    #[test]
    fn of_a_link_the_target_counts() {
        let temp = tempfile::tempdir().unwrap();
        let (real, link) = (temp.path().join("real"), temp.path().join("link"));
        drop(DataDir::open(&real).unwrap());
        std::os::unix::fs::symlink(&real, &link).unwrap();
        drop(DataDir::open(&link).unwrap());
        let (token, linked) = (temp.path().join("token"), real.join("some.token"));
        std::fs::write(&token, "made up").unwrap();
        std::os::unix::fs::symlink(&token, &linked).unwrap();
        for (mode, good) in [(0o600, true), (0o644, false)] {
            std::fs::set_permissions(&token, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read_secret(&linked).is_ok(), good, "{mode:o}");
        }
    }

    #[test]
    fn one_data_directory_serves_one_control_plane() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&temp.path().join("data")).unwrap();
        let lock = dir.lock().unwrap();
        let error = dir.lock().unwrap_err().to_string();
        assert!(error.contains("another control plane"), "{error}");
        std::fs::remove_file(temp.path().join("data/lock")).unwrap();
        let error = dir.lock().unwrap_err().to_string();
        assert!(error.contains("another control plane"), "{error}");
        drop(lock);
        dir.lock().unwrap();
    }

    #[test]
    fn the_directory_remembers_its_database() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&temp.path().join("data")).unwrap();
        assert_eq!(dir.marker().unwrap(), None);
        for mark in [1, u64::MAX] {
            let id = "db-1".to_owned();
            let marker = Marker { id, mark };
            dir.remember(&marker).unwrap();
            assert_eq!(dir.marker().unwrap(), Some(marker));
        }
        std::fs::write(dir.instance(), "\n").unwrap();
        let error = dir.marker().unwrap_err().to_string();
        assert!(error.contains("chaperone db restored"), "{error}");
    }

    #[test]
    fn a_damaged_key_is_an_error_and_is_not_replaced() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&temp.path().join("data")).unwrap();
        std::fs::write(dir.signing_key(), "bm90IDMyIGJ5dGVz").unwrap();
        set_mode(&dir.signing_key(), 0o600);
        assert!(DataDir::key(&dir.signing_key()).is_err());
        assert_eq!(
            std::fs::read_to_string(dir.signing_key()).unwrap(),
            "bm90IDMyIGJ5dGVz"
        );
    }
}
