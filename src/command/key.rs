//! Ed25519 keys as JSON Web Keys (RFC 8037: `"kty":"OKP"`, `"crv":"Ed25519"`), one per file. The box reads public
//! ones; `footfall command` makes and uses private ones.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::durable;

/// Longest key file that is read, bytes.
const LONGEST_FILE: u64 = 4096;
/// Longest `kid`, bytes.
pub const LONGEST_KID: usize = 64;
/// Keys a box trusts at most.
pub const MOST_KEYS: usize = 16;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{}: the key cannot be read: {source}; name a file made by `footfall command keygen`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {why}; `footfall command keygen` makes keys that fit", path.display())]
    Unfit { path: PathBuf, why: &'static str },
    #[error("{}: another key of command.keys has the kid {kid:?} already; give one of them another name", path.display())]
    Twice { path: PathBuf, kid: String },
    #[error(
        "command.keys names {0} keys; {MOST_KEYS} at most: remove those nobody signs with any more"
    )]
    Many(usize),
    #[error("{}: the key cannot be written: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("the operating system gives no random numbers; try again")]
    Random,
}

/// The members of a key file.
#[derive(Serialize, Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    kid: String,
    /// The public key, 32 bytes, base64url.
    x: String,
    /// The private key (its seed), 32 bytes, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<String>,
}

impl Drop for Jwk {
    fn drop(&mut self) {
        self.d.zeroize();
    }
}

/// A key whose commands the box obeys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    pub kid: String,
    bytes: [u8; 32],
}

impl PublicKey {
    /// Whether `signature` over `message` was made with this key's private half.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.bytes)
            .verify(message, signature)
            .is_ok()
    }
}

/// The keys a box trusts; none means that it takes no commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(Vec<PublicKey>);

impl Keys {
    /// Reads the files of `command.keys`.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn load(files: &[PathBuf]) -> Result<Self, KeyError> {
        if files.len() > MOST_KEYS {
            return Err(KeyError::Many(files.len()));
        }
        let mut keys: Vec<PublicKey> = Vec::new();
        for path in files {
            let (key, seed) = read(path)?;
            if seed.is_some() {
                return Err(KeyError::Unfit {
                    path: path.clone(),
                    why: "this is a private key, which belongs with the operator; put the .pub file here",
                });
            }
            if keys.iter().any(|known| known.kid == key.kid) {
                return Err(KeyError::Twice {
                    path: path.clone(),
                    kid: key.kid,
                });
            }
            keys.push(key);
        }
        Ok(Self(keys))
    }

    /// The key of that name.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&PublicKey> {
        self.0.iter().find(|key| key.kid == kid)
    }

    /// Whether the box trusts nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<PublicKey> for Keys {
    fn from_iter<T: IntoIterator<Item = PublicKey>>(keys: T) -> Self {
        Self(keys.into_iter().collect())
    }
}

/// The operator's half: signs commands.
pub struct PrivateKey {
    public: PublicKey,
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
}

impl PrivateKey {
    /// A new key. Without a `kid` its name is its RFC 7638 thumbprint.
    ///
    /// # Errors
    /// [`KeyError::Random`]
    pub fn generate(kid: Option<&str>) -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        SystemRandom::new()
            .fill(seed.as_mut())
            .map_err(|_| KeyError::Random)?;
        Self::from_seed(seed, kid).ok_or(KeyError::Random)
    }

    /// The key of a seed (RFC 8032, section 5.1.5).
    fn from_seed(seed: Zeroizing<[u8; 32]>, kid: Option<&str>) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).ok()?;
        let bytes: [u8; 32] = pair.public_key().as_ref().try_into().ok()?;
        let kid = kid.map_or_else(|| thumbprint(&bytes), str::to_owned);
        Some(Self {
            public: PublicKey { kid, bytes },
            seed,
            pair,
        })
    }

    /// Reads a private key file.
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let (public, seed) = read(path)?;
        let unfit = |why| KeyError::Unfit {
            path: path.to_owned(),
            why,
        };
        let seed = seed
            .ok_or_else(|| unfit("this is the public half; signing needs the private .key file"))?;
        let key =
            Self::from_seed(seed, Some(&public.kid)).ok_or_else(|| unfit("no Ed25519 key"))?;
        if key.public != public {
            return Err(unfit(
                "its public and private halves do not belong together",
            ));
        }
        Ok(key)
    }

    /// The half that boxes trust.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The Ed25519 signature of `message`, 64 bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    /// Writes `KID.key` (for its owner's eyes only) and `KID.pub` into `dir`; gives both paths. Never replaces a file.
    ///
    /// # Errors
    /// [`KeyError::Write`]
    pub fn save(&self, dir: &Path) -> Result<(PathBuf, PathBuf), KeyError> {
        let kid = &self.public.kid;
        let (private, public) = (
            dir.join(format!("{kid}.key")),
            dir.join(format!("{kid}.pub")),
        );
        let mut jwk = Jwk {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            kid: kid.clone(),
            x: URL_SAFE_NO_PAD.encode(self.public.bytes),
            d: None,
        };
        put(&public, 0o644, &jwk)?;
        jwk.d = Some(URL_SAFE_NO_PAD.encode(self.seed.as_ref()));
        put(&private, 0o600, &jwk)?;
        durable::sync_dir(dir).map_err(|source| KeyError::Write {
            path: dir.to_owned(),
            source,
        })?;
        Ok((private, public))
    }
}

fn put(path: &Path, mode: u32, jwk: &Jwk) -> Result<(), KeyError> {
    let written = || -> io::Result<()> {
        let mut text = Zeroizing::new(serde_json::to_string(jwk)?);
        text.push('\n');
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    written().map_err(|source| KeyError::Write {
        path: path.to_owned(),
        source,
    })
}

type Seed = Zeroizing<[u8; 32]>;

fn read(path: &Path) -> Result<(PublicKey, Option<Seed>), KeyError> {
    let unfit = |why| KeyError::Unfit {
        path: path.to_owned(),
        why,
    };
    let broken = |source| KeyError::Read {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(broken)?.len() > LONGEST_FILE {
        return Err(unfit("too large for a key"));
    }
    let text = Zeroizing::new(fs::read(path).map_err(broken)?);
    let jwk: Jwk = serde_json::from_slice(&text)
        .map_err(|_| unfit("no JSON Web Key with kty, crv, kid and x"))?;
    if jwk.kty != "OKP" || jwk.crv != "Ed25519" {
        return Err(unfit(
            "another kind of key; expected kty OKP and crv Ed25519",
        ));
    }
    if !is_kid(&jwk.kid) {
        return Err(unfit("its kid is not 1 to 64 of A-Z a-z 0-9 . _ -"));
    }
    let bytes: [u8; 32] = decoded(&jwk.x).ok_or_else(|| unfit("x is not 32 bytes of base64url"))?;
    let seed = match &jwk.d {
        None => None,
        Some(d) => {
            let seed = decoded(d).ok_or_else(|| unfit("d is not 32 bytes of base64url"))?;
            Some(Zeroizing::new(seed))
        }
    };
    let kid = jwk.kid.clone();
    Ok((PublicKey { kid, bytes }, seed))
}

fn decoded(text: &str) -> Option<[u8; 32]> {
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
    bytes.as_slice().try_into().ok()
}

/// Whether `kid` may name a key: it is a file's name, too.
#[must_use]
pub fn is_kid(kid: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=LONGEST_KID).contains(&kid.len()) && kid.bytes().all(fine) && !kid.starts_with('.')
}

/// RFC 7638 with the members of RFC 8037, appendix A.3.
fn thumbprint(public: &[u8; 32]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public);
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(canonical.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// The example key of RFC 8037, appendix A.
    const RFC_8037_SEED: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

    #[test]
    fn the_thumbprint_and_signature_are_those_of_rfc_8037() {
        let seed = Zeroizing::new(decoded(RFC_8037_SEED).unwrap());
        let key = PrivateKey::from_seed(seed, None).unwrap();
        assert_eq!(
            key.public().kid,
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert_eq!(URL_SAFE_NO_PAD.encode(key.sign(message)), signature);
        assert!(key.public().verifies(message, &key.sign(message)));
    }

    #[test]
    fn saved_keys_read_back_and_the_private_one_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let key = PrivateKey::generate(Some("ops")).unwrap();
        let (private, public) = key.save(dir.path()).unwrap();
        let mode = fs::metadata(&private).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!fs::read_to_string(&public).unwrap().contains("\"d\""));
        let keys = Keys::load(std::slice::from_ref(&public)).unwrap();
        assert_eq!(keys.find("ops"), Some(key.public()));
        assert_eq!(PrivateKey::load(&private).unwrap().public(), key.public());
        assert!(matches!(key.save(dir.path()), Err(KeyError::Write { .. })));
    }

    #[test]
    fn a_key_file_that_cannot_be_used_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let (private, public) = PrivateKey::generate(None)
            .unwrap()
            .save(dir.path())
            .unwrap();
        let text = |result: Result<Keys, KeyError>| result.unwrap_err().to_string();
        assert!(text(Keys::load(std::slice::from_ref(&private))).contains("private key"));
        assert!(text(Keys::load(&[public.clone(), public.clone()])).contains("already"));
        assert!(text(Keys::load(&[dir.path().join("none")])).contains("keygen"));
        assert!(text(Keys::load(&vec![public.clone(); 17])).contains("16 at most"));
        let other = dir.path().join("rsa.pub");
        durable::write(&other, br#"{"kty":"RSA","crv":"","kid":"x","x":""}"#).unwrap();
        assert!(text(Keys::load(&[other])).contains("another kind"));
        assert!(matches!(
            PrivateKey::load(&public),
            Err(KeyError::Unfit { .. })
        ));
    }
}
