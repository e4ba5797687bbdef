//! The TLS client: whom to trust and how to identify the box, from PEM files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Why the TLS client cannot be set up. Every text names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    #[error(
        "uplink.{key}: {path} cannot be read ({source}); check that it exists and that the daemon's user may read it"
    )]
    Read {
        key: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(
        "uplink.{key}: {path} holds no usable {what} ({why}); it must be PEM, starting with -----BEGIN"
    )]
    Content {
        key: &'static str,
        path: PathBuf,
        what: &'static str,
        why: String,
    },
    #[error(
        "uplink.cert_file {cert} and uplink.key_file {key} do not work together ({why}); the key must be the certificate's own"
    )]
    Pair {
        cert: PathBuf,
        key: PathBuf,
        why: String,
    },
    #[error("the TLS library cannot be set up ({0}); report this")]
    Library(rustls::Error),
}

/// Trusts only the authority in `ca_file` (the system's own list stays out: the broker is ours);
/// `identity`: the box's certificate chain and key, for brokers that ask for one.
///
/// # Errors
/// [`TlsFileError`]
pub fn client(
    ca_file: &Path,
    identity: Option<(&Path, &Path)>,
) -> Result<ClientConfig, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca_file", ca_file)? {
        roots
            .add(certificate)
            .map_err(|error| TlsFileError::Content {
                key: "ca_file",
                path: ca_file.to_owned(),
                what: "authority",
                why: error.to_string(),
            })?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsFileError::Library)?
        .with_root_certificates(roots);
    let Some((cert_file, key_file)) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates("cert_file", cert_file)?;
    let text = read("key_file", key_file)?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| TlsFileError::Content {
        key: "key_file",
        path: key_file.to_owned(),
        what: "private key",
        why: pem_words(&error),
    })?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| TlsFileError::Pair {
            cert: cert_file.to_owned(),
            key: key_file.to_owned(),
            why: error.to_string(),
        })
}

fn certificates(
    key: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let text = read(key, path)?;
    let content = |why| TlsFileError::Content {
        key,
        path: path.to_owned(),
        what: "certificate",
        why,
    };
    let found = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| content(pem_words(&error)))?;
    if found.is_empty() {
        return Err(content("no certificate inside".to_owned()));
    }
    Ok(found)
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsFileError> {
    fs::read(path).map_err(|source| TlsFileError::Read {
        key,
        path: path.to_owned(),
        source,
    })
}

fn pem_words(error: &PemError) -> String {
    match error {
        PemError::NoItemsFound => "none inside; an encrypted key cannot be used".to_owned(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_and_a_wrong_file_are_named_with_their_key() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("ca.pem");
        let text = client(&missing, None).unwrap_err().to_string();
        assert!(
            text.starts_with("uplink.ca_file: ") && text.contains("ca.pem cannot be read"),
            "{text}"
        );
        fs::File::create(&missing).unwrap();
        let text = client(&missing, None).unwrap_err().to_string();
        assert!(text.contains("no certificate inside"), "{text}");
    }
}
