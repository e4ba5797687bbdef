//! The technician's PIN: which ones are good enough, and the file that holds the Argon2id hash of it.

use std::io;
use std::path::{Path, PathBuf};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::durable;
use crate::words::Words;

/// Characters of a PIN.
pub const SHORTEST: usize = 6;
pub const LONGEST: usize = 64;
/// A hash is about 100 characters.
const LARGEST_FILE: u64 = 1024;

/// Why there is no PIN. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    #[error("the PIN is too easy to guess: {0}; choose another one")]
    Weak(&'static str),
    #[error(
        "status.pin_file {} cannot be used: {why}; make it with: footfall status pin --file {}",
        path.display(),
        path.display()
    )]
    File { path: PathBuf, why: String },
    #[error("cannot write the PIN's hash to {}: {source}; name a place that this user may write", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot hash the PIN: {0}; try again")]
    Hash(String),
}

impl PinError {
    /// For the page.
    #[must_use]
    pub fn words(&self) -> Words {
        let zh = match self {
            Self::File { path, .. } => format!(
                "无法读取 PIN 文件 {0}；请在设备上运行：footfall status pin --file {0}",
                path.display()
            ),
            other => other.to_string(),
        };
        Words::new(self.to_string(), zh)
    }
}

/// Whether `pin` may be used: long enough, and neither one character all over nor a plain sequence.
///
/// # Errors
/// [`PinError::Weak`].
pub fn check(pin: &str) -> Result<(), PinError> {
    let length = pin.chars().count();
    if !(SHORTEST..=LONGEST).contains(&length) {
        return Err(PinError::Weak("it needs 6 to 64 characters"));
    }
    if pin.chars().any(char::is_control) {
        return Err(PinError::Weak("it holds a control character"));
    }
    let chars: Vec<i64> = pin.chars().map(|c| i64::from(u32::from(c))).collect();
    let same_step = |step: i64| {
        chars
            .iter()
            .zip(chars.iter().skip(1))
            .all(|(a, b)| b - a == step)
    };
    if [-1, 0, 1].into_iter().any(same_step) {
        return Err(PinError::Weak("it is one character or a plain sequence"));
    }
    Ok(())
}

/// The Argon2id hash of `pin` as a PHC string.
///
/// # Errors
/// [`PinError::Weak`], or [`PinError::Hash`] when the system gives no random bytes.
pub fn hash(pin: &str) -> Result<String, PinError> {
    check(pin)?;
    let salt: [u8; 16] = super::random().map_err(|why| PinError::Hash(why.to_string()))?;
    hasher()
        .hash_password_with_salt(pin.as_bytes(), &salt)
        .map(|hash: PasswordHash| hash.to_string())
        .map_err(|why| PinError::Hash(why.to_string()))
}

/// Writes the hash of `pin` to `path`: readable by the file's owner and the group of its directory.
///
/// # Errors
/// [`PinError`].
pub fn write(path: &Path, pin: &str) -> Result<(), PinError> {
    use std::os::unix::fs::MetadataExt;

    let hash = hash(pin)? + "\n";
    durable::write_with_mode(path, hash.as_bytes(), 0o640).map_err(|source| PinError::Write {
        path: path.to_owned(),
        source,
    })?;
    // In /etc/footfall the group is the daemon's. Only root may give files away; for others the group is right already.
    if let Ok(dir) = std::fs::metadata(durable::parent(path)) {
        let _ = std::os::unix::fs::chown(path, None, Some(dir.gid()));
    }
    Ok(())
}

/// The hash in `path`.
///
/// # Errors
/// [`PinError::File`]: missing, unreadable or no hash.
pub fn read(path: &Path) -> Result<String, PinError> {
    let fault = |why: String| PinError::File {
        path: path.to_owned(),
        why,
    };
    let about = std::fs::metadata(path).map_err(|why| fault(why.to_string()))?;
    if !about.is_file() || about.len() > LARGEST_FILE {
        return Err(fault("it is no file that footfall has written".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|why| fault(why.to_string()))?;
    let hash = text.trim().to_owned();
    let argon2id = hash.starts_with("$argon2id$");
    if !argon2id || PasswordHash::new(&hash).is_err() {
        return Err(fault("it holds no Argon2id hash".to_owned()));
    }
    Ok(hash)
}

/// Whether `pin` is the one of `hash`. Takes tens of milliseconds and 19 MiB; compares in constant time.
#[must_use]
pub fn is_right(pin: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| hasher().verify_password(pin.as_bytes(), &hash).is_ok())
}

/// 19 MiB, two passes, one lane: the first choice of OWASP's Password Storage Cheat Sheet.
fn hasher() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_pin_that_anybody_guesses_is_refused() {
        for weak in [
            "", "12345", "111111", "123456", "987654", "abcdefg", "12\n456",
        ] {
            assert!(check(weak).is_err(), "{weak:?}");
        }
        let too_long = "ab".repeat(40);
        assert!(check(&too_long).is_err());
        for good in ["274916", "blue door 7", "门口的猫咪很好"] {
            assert!(check(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn the_file_holds_no_pin_is_not_for_everybody_and_tells_right_from_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pin");
        write(&path, "274916").unwrap();
        assert!(!std::fs::read_to_string(&path).unwrap().contains("274916"));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        let hash = read(&path).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(is_right("274916", &hash));
        assert!(!is_right("274917", &hash) && !is_right("", &hash));
        write(&path, "274916").unwrap();
        assert_ne!(read(&path).unwrap(), hash, "another salt");
    }

    #[test]
    fn a_file_that_is_no_hash_says_how_to_make_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pin");
        let missing = read(&path).unwrap_err().to_string();
        assert!(missing.contains("footfall status pin --file"), "{missing}");
        for content in [
            "274916",
            "$argon2id$",
            "$argon2i$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAA",
        ] {
            durable::write(&path, content.as_bytes()).unwrap();
            let why = read(&path).unwrap_err().to_string();
            assert!(why.contains("no Argon2id hash"), "{content}: {why}");
            assert!(!why.contains("274916"));
        }
        durable::write(&path, &[b'x'; 5000]).unwrap();
        assert!(read(&path).is_err());
    }
}
