//! API keys: made here, shown once, kept as hashes.
//!
//! A key is 256 bits of the system's randomness. Its SHA-256 is kept: unlike a password it cannot be guessed
//! (no list, no dictionary is shorter than 2^256 tries), so a slow hash would only slow down each request.
//! A key that is offered is compared with every kept hash in constant time.
//!
//! The file is JSON, readable by its owner alone, and replaced as a whole. A running service looks once a second
//! whether it has changed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::domain::time::UnixNanos;

/// So that a key found lying about can be told for what it is.
const PREFIX: &str = "tw_";
const FILE_BYTES_MAX: u64 = 4 << 20;
const KEYS_MAX: usize = 1_000;
const NAME_CHARS_MAX: usize = 64;
/// Longer texts are no key of ours and are not hashed.
const KEY_BYTES_MAX: usize = 128;

/// What the holder of a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everything that only looks.
    Read,
    /// Also what changes something.
    Admin,
}

/// One key, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Rising, never used again.
    pub id: u32,
    pub name: String,
    pub scope: Scope,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; such a key opens nothing.
    pub revoked_at: Option<String>,
    /// So that its holder recognises it.
    pub last_four: String,
    /// SHA-256 of the whole text, hexadecimal.
    hash: String,
}

#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("{path}: {error}")]
    File { path: PathBuf, error: io::Error },
    #[error("{path} is no file of keys: {reason}")]
    Damaged { path: PathBuf, reason: String },
    #[error("another process is changing {0}")]
    Locked(PathBuf),
    #[error("the system gives no randomness: {0}")]
    Randomness(String),
    #[error("the name of a key has 1 to {NAME_CHARS_MAX} printable characters")]
    Name,
    #[error("there is a key named {0:?} already; revoke it, or choose another name")]
    NameTaken(String),
    #[error("there are {KEYS_MAX} keys, and there can be no more")]
    TooMany,
    #[error("there is no key with id or name {0:?}; `tapewatch keys list` shows all")]
    Unknown(String),
    #[error("key {0:?} was revoked before")]
    RevokedBefore(String),
}

/// All keys of a file.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    keys: Vec<Kept>,
}

#[derive(Clone, Debug)]
struct Kept {
    key: Arc<Key>,
    hash: [u8; 32],
}

impl Key {
    pub fn is_revoked(&self) -> bool {
        self.revoked_at.is_some()
    }
}

impl Keys {
    /// None where the file is not there.
    pub fn load(path: &Path) -> Result<Self, KeysError> {
        let fail = |error| KeysError::File { path: path.to_owned(), error };
        let damaged = |reason: String| KeysError::Damaged { path: path.to_owned(), reason };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(fail(error)),
        };
        let mut text = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(fail)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(damaged(format!("it is larger than {FILE_BYTES_MAX} bytes")));
        }
        let keys: Vec<Key> = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        let keep = |key: Key| {
            let hash = unhex(&key.hash).ok_or_else(|| damaged(format!("key {} has no hash", key.id)))?;
            Ok(Kept { key: Arc::new(key), hash })
        };
        Ok(Self { keys: keys.into_iter().map(keep).collect::<Result<_, _>>()? })
    }

    /// Whether requests need a key: from the first one on, even if all were revoked since.
    pub fn are_insisted_on(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whose key it is. Takes as long for a key that is there as for any other text.
    pub fn find(&self, offered: &str) -> Option<Arc<Key>> {
        if offered.len() > KEY_BYTES_MAX {
            return None;
        }
        let hash: [u8; 32] = Sha256::digest(offered.as_bytes()).into();
        let mut found: Option<&Kept> = None;
        for kept in &self.keys {
            let equal = kept.hash.ct_eq(&hash) & Choice::from(u8::from(!kept.key.is_revoked()));
            if bool::from(equal) {
                found = Some(kept);
            }
        }
        found.map(|kept| kept.key.clone())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().map(|kept| &*kept.key)
    }
}

/// Makes a key and keeps its hash. The text is returned once, and is nowhere else.
pub fn create(path: &Path, name: &str, scope: Scope, now: UnixNanos) -> Result<(Key, String), KeysError> {
    let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count())
        && name.chars().all(|c| !c.is_control())
        && name.trim() == name;
    if !fits {
        return Err(KeysError::Name);
    }
    let mut bits = [0u8; 32];
    #[expect(clippy::disallowed_methods, reason = "a key must not be foreseen, and is never replayed")]
    getrandom::fill(&mut bits).map_err(|error| KeysError::Randomness(error.to_string()))?;
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bits));
    let hash = hex(&Sha256::digest(text.as_bytes()));
    let last_four = text[text.len() - 4..].to_owned();
    let key = change(path, |keys| {
        if keys.iter().any(|key| key.name == name && !key.is_revoked()) {
            return Err(KeysError::NameTaken(name.to_owned()));
        }
        if keys.len() >= KEYS_MAX {
            return Err(KeysError::TooMany);
        }
        let id = keys.iter().map(|key| key.id).max().unwrap_or(0) + 1;
        let (name, created_at) = (name.to_owned(), now.to_string());
        let key = Key { id, name, scope, created_at, revoked_at: None, last_four, hash };
        keys.push(key.clone());
        Ok(key)
    })?;
    Ok((key, text))
}

/// Takes a key back, by its id or its name.
pub fn revoke(path: &Path, which: &str, now: UnixNanos) -> Result<Key, KeysError> {
    change(path, |keys| {
        let is_meant = |key: &&mut Key| key.id.to_string() == which || key.name == which;
        let mut meant: Vec<&mut Key> = keys.iter_mut().filter(is_meant).collect();
        // A name may have been used before; the one that still opens is meant.
        meant.sort_by_key(|key| key.is_revoked());
        let Some(key) = meant.into_iter().next() else {
            return Err(KeysError::Unknown(which.to_owned()));
        };
        if key.is_revoked() {
            return Err(KeysError::RevokedBefore(which.to_owned()));
        }
        key.revoked_at = Some(now.to_string());
        Ok(key.clone())
    })
}

/// Reads, changes and replaces the file, one process at a time.
fn change<T>(path: &Path, edit: impl FnOnce(&mut Vec<Key>) -> Result<T, KeysError>) -> Result<T, KeysError> {
    let fail = |error| KeysError::File { path: path.to_owned(), error };
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(fail)?;
    let lock_path = path.with_extension("lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(fail)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Err(KeysError::Locked(path.to_owned())),
        Err(fs::TryLockError::Error(error)) => return Err(fail(error)),
    }
    let mut keys: Vec<Key> = Keys::load(path)?.iter().cloned().collect();
    let result = edit(&mut keys)?;
    // A temporary file is readable by its owner alone, and replaces the old one at once or not at all.
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(fail)?;
    let text = serde_json::to_string_pretty(&keys).expect("keys are texts and numbers");
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    // The new name survives a loss of power.
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(fail)?;
    Ok(result)
}

/// The keys of a running service: those of the file, as it was last looked at.
#[derive(Debug)]
pub struct KeyRing {
    path: PathBuf,
    keys: ArcSwap<Keys>,
    seen: std::sync::Mutex<Option<Stamp>>,
}

/// What tells one state of the file from another.
type Stamp = (SystemTime, u64);

impl KeyRing {
    /// Refuses a file that is damaged: starting without its keys would open what should be closed.
    pub fn open(path: &Path) -> Result<Self, KeysError> {
        let stamp = stamp(path);
        let keys = Keys::load(path)?;
        Ok(Self { path: path.to_owned(), keys: ArcSwap::from_pointee(keys), seen: stamp.into() })
    }

    pub fn keys(&self) -> Arc<Keys> {
        self.keys.load_full()
    }

    /// Reads the file anew if it has changed; `true` if it had. A damaged file changes nothing, and neither does one
    /// that is gone: keys that were insisted on are until the next start.
    pub fn refresh(&self) -> Result<bool, KeysError> {
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = stamp(&self.path);
        if now.is_none() || now == *seen {
            return Ok(false);
        }
        // Told once a change, whatever comes of it.
        *seen = now;
        self.keys.store(Arc::new(Keys::load(&self.path)?));
        Ok(true)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> UnixNanos {
        UnixNanos(second * 1_000_000_000)
    }

    #[test]
    fn a_key_opens_until_it_is_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        assert!(!Keys::load(&path).unwrap().are_insisted_on());
        let (key, text) = create(&path, "grafana", Scope::Read, at(1)).unwrap();
        assert_eq!((key.id, &*key.created_at, text.len()), (1, "1970-01-01T00:00:01Z", 46));
        assert!(text.starts_with("tw_") && text.ends_with(&key.last_four));
        let (_, other) = create(&path, "me", Scope::Admin, at(2)).unwrap();
        assert_ne!(text, other);
        let kept = fs::read_to_string(&path).unwrap();
        assert!(!kept.contains(&text) && !kept.contains(&text[3..40]), "{kept}");

        let ring = KeyRing::open(&path).unwrap();
        assert_eq!(ring.keys().find(&text).unwrap().name, "grafana");
        assert_eq!(ring.keys().find(&other).unwrap().scope, Scope::Admin);
        for wrong in ["", "tw_", &text[..45], &format!("{text}x"), &kept, &"x".repeat(1 << 20)] {
            assert!(ring.keys().find(wrong).is_none(), "{wrong}");
        }
        assert!(!ring.refresh().unwrap());
        revoke(&path, "grafana", at(3)).unwrap();
        assert!(ring.refresh().unwrap());
        assert!(ring.keys().find(&text).is_none() && ring.keys().find(&other).is_some());
        revoke(&path, "2", at(4)).unwrap();
        ring.refresh().unwrap();
        assert!(ring.keys().are_insisted_on(), "also when all are revoked");
    }

    #[test]
    fn only_its_owner_reads_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/keys.json");
        create(&path, "a", Scope::Read, at(1)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        let long = "x".repeat(65);
        for name in ["", " a", "a\n", &long] {
            assert!(matches!(create(&path, name, Scope::Read, at(1)), Err(KeysError::Name)), "{name:?}");
        }
        create(&path, "a", Scope::Read, at(1)).unwrap();
        assert!(matches!(create(&path, "a", Scope::Read, at(1)), Err(KeysError::NameTaken(_))));
        assert!(matches!(revoke(&path, "b", at(1)), Err(KeysError::Unknown(_))));
        revoke(&path, "a", at(1)).unwrap();
        assert!(matches!(revoke(&path, "a", at(1)), Err(KeysError::RevokedBefore(_))));
        create(&path, "a", Scope::Read, at(1)).unwrap();
        assert_eq!(revoke(&path, "a", at(1)).unwrap().id, 2);

        let ring = KeyRing::open(&path).unwrap();
        for damaged in ["", "[{}]", "nonsense", "[{\"id\":1}]"] {
            fs::write(&path, damaged).unwrap();
            assert!(KeyRing::open(&path).is_err(), "{damaged}");
        }
        // A running service goes on with the keys that it had.
        assert!(ring.refresh().is_err());
        assert_eq!(ring.keys().iter().count(), 2);
        fs::remove_file(&path).unwrap();
        assert!(!ring.refresh().unwrap() && ring.keys().are_insisted_on());
    }
}
