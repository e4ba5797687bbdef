//! Certificates for tests, made on the spot by the openssl program.

#![allow(dead_code)] // each test file uses its own part

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;

use crate::mosquitto::put;

/// Makes `name.key` and `name.pem` in `dir`, signed by `issuer` or by itself. `extensions`: lines of an
/// X.509 extension section; with them the certificate is version 3, without which rustls refuses it.
fn certificate(dir: &Path, name: &str, issuer: Option<&str>, extensions: &str) {
    put(&dir.join(format!("{name}.ext")), extensions);
    let request = format!(
        "req -new -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
    );
    openssl(dir, &request);
    let signer = match issuer {
        Some(issuer) => format!("-CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial"),
        None => format!("-signkey {name}.key"),
    };
    openssl(
        dir,
        &format!("x509 -req -in {name}.csr -days 2 -extfile {name}.ext -out {name}.pem {signer}"),
    );
}

fn openssl(dir: &Path, arguments: &str) {
    let status = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(dir)
        .stderr(Stdio::null())
        .status()
        .expect("openssl runs");
    assert!(status.success(), "openssl {arguments}");
}

/// Makes `name.key` and `name.pem`, signed by `ca`, as [`certificate`] does; valid in January 2020 only.
fn expired_certificate(dir: &Path, name: &str, extensions: &str) {
    certificate(dir, name, Some("ca"), extensions);
    put(&dir.join("index"), "");
    put(&dir.join("serial"), "01\n");
    put(
        &dir.join("ca.conf"),
        "[ca]\ndefault_ca=own\n[own]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=any\n\
         [any]\ncommonName=supplied\n",
    );
    openssl(
        dir,
        &format!(
            "ca -batch -notext -config ca.conf -cert ca.pem -keyfile ca.key -in {name}.csr -extfile {name}.ext -out {name}.pem \
             -startdate 20200101000000Z -enddate 20200201000000Z"
        ),
    );
}

/// Authorities `ca` and `other`; the broker's `server`, valid for 127.0.0.1 and localhost, `past`, which is the same and
/// expired, and `stranger`, for another name; the box's `client`; all but the authorities signed by `ca`.
pub fn certificates() -> Option<TempDir> {
    if Command::new("openssl")
        .arg("version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        eprintln!("SKIPPED: openssl is not installed");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let authority = "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n";
    certificate(dir.path(), "ca", None, authority);
    certificate(dir.path(), "other", None, authority);
    let server = "extendedKeyUsage=serverAuth\nsubjectAltName=";
    let names = format!("{server}IP:127.0.0.1,DNS:localhost\n");
    certificate(dir.path(), "server", Some("ca"), &names);
    certificate(
        dir.path(),
        "stranger",
        Some("ca"),
        &format!("{server}DNS:elsewhere.example\n"),
    );
    certificate(
        dir.path(),
        "client",
        Some("ca"),
        "extendedKeyUsage=clientAuth\n",
    );
    expired_certificate(dir.path(), "past", &names);
    Some(dir)
}

/// A TLS server that asks for a certificate signed by `ca`.
pub fn server(own: &Path, key: &Path, ca: &Path) -> Arc<rustls::ServerConfig> {
    let read = |path: &Path| std::fs::read(path).unwrap();
    let certificate = |path: &Path| CertificateDer::from_pem_slice(&read(path)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate(ca)).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap());
    let key = PrivateKeyDer::from_pem_slice(&read(key)).unwrap();
    let chain = vec![certificate(own)];
    Arc::new(config.with_single_cert(chain, key).unwrap())
}
