//! TLS against a real broker, with certificates made on the spot by the openssl program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/memory_queue.rs"]
mod memory_queue;
#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/uplink_rig.rs"]
mod uplink_rig;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use footfall::config::schema;
use footfall::event::Stream;
use footfall::uplink::cause::Cause;
use footfall::uplink::{LinkState, LinkStatus};
use memory_queue::MemoryQueue;
use mosquitto::{Mosquitto, put};
use tempfile::TempDir;
use uplink_rig::{Rig, plain};

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

/// Authorities `ca` and `other`; the broker's `server`, valid for 127.0.0.1 and localhost, and `stranger`,
/// for another name; the box's `client`, all three signed by `ca`.
fn certificates() -> Option<TempDir> {
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

fn broker(certificates: &Path, server: &str) -> Option<Mosquitto> {
    let at = certificates.display();
    Mosquitto::start(&format!(
        "cafile {at}/ca.pem\ncertfile {at}/{server}.pem\nkeyfile {at}/{server}.key\nrequire_certificate true\n"
    ))
}

fn config(
    broker: &Mosquitto,
    certificates: &Path,
    ca: &str,
    client: Option<&str>,
) -> schema::Uplink {
    let file = |name: &str| -> PathBuf { certificates.join(name) };
    schema::Uplink {
        ca_file: Some(file(&format!("{ca}.pem"))),
        cert_file: client.map(|client| file(&format!("{client}.pem"))),
        key_file: client.map(|client| file(&format!("{client}.key"))),
        ..plain(format!("mqtts://127.0.0.1:{}", broker.port()))
    }
}

async fn tls_error(config: &schema::Uplink, cause: Cause) -> LinkStatus {
    let mut rig = Rig::start(config, Arc::new(MemoryQueue::default()));
    let status = rig
        .until("a TLS error", |status| status.state == LinkState::TlsError)
        .await;
    rig.stop().await;
    assert_eq!(status.cause, Some(cause), "{:?}", status.message);
    status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_the_right_certificates_on_both_sides_events_are_delivered() {
    let Some(files) = certificates() else { return };
    let Some(broker) = broker(files.path(), "server") else {
        return;
    };
    let queue = Arc::new(MemoryQueue::default());
    queue.produce(Stream::Count, 300, 100);
    let rig = Rig::start(&config(&broker, files.path(), "ca", Some("client")), queue);
    rig.until_delivered().await;
    let last = rig.stop().await;
    assert_eq!(
        (last.counters.connections, last.counters.connections_lost),
        (1, 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_another_authority_the_state_names_the_ca_file() {
    let Some(files) = certificates() else { return };
    let Some(broker) = broker(files.path(), "server") else {
        return;
    };
    let status = tls_error(
        &config(&broker, files.path(), "other", Some("client")),
        Cause::CertificateUnknown,
    )
    .await;
    assert!(
        status.message.en.contains("uplink.ca_file"),
        "{}",
        status.message.en
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_broker_with_another_name_the_state_says_so() {
    let Some(files) = certificates() else { return };
    let Some(broker) = broker(files.path(), "stranger") else {
        return;
    };
    let status = tls_error(
        &config(&broker, files.path(), "ca", Some("client")),
        Cause::CertificateName,
    )
    .await;
    assert!(
        status.message.en.contains("for another name"),
        "{}",
        status.message.en
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_broker_whose_certificate_has_expired_the_state_says_so_and_suspects_the_clock() {
    let Some(files) = certificates() else { return };
    let Some(broker) = broker(files.path(), "past") else {
        return;
    };
    let config = config(&broker, files.path(), "ca", Some("client"));
    let status = tls_error(&config, Cause::CertificateExpired).await;
    assert!(status.message.en.contains("clock"), "{}", status.message.en);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_no_client_certificate_or_a_strangers_the_state_names_the_cert_file() {
    let Some(files) = certificates() else { return };
    let Some(broker) = broker(files.path(), "server") else {
        return;
    };
    for (client, cause) in [
        (None, Cause::ClientCertificateMissing),
        (Some("other"), Cause::ClientCertificateRefused),
    ] {
        let status = tls_error(&config(&broker, files.path(), "ca", client), cause).await;
        assert!(
            status.message.en.contains("uplink.cert_file"),
            "{}",
            status.message.en
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_a_plain_port_or_a_tls_port_taken_for_the_other_the_state_says_so() {
    let Some(files) = certificates() else { return };
    let Some(plain_broker) = Mosquitto::start("") else {
        return;
    };
    let mut rig = Rig::start(
        &config(&plain_broker, files.path(), "ca", None),
        Arc::new(MemoryQueue::default()),
    );
    let status = rig
        .until("failed", |status| status.counters.failed_attempts > 0)
        .await;
    assert!(
        matches!(status.cause, Some(Cause::NotTls | Cause::ClosedEarly)),
        "{status:?}"
    );
    rig.stop().await;
    let Some(tls_broker) = broker(files.path(), "server") else {
        return;
    };
    let mut rig = Rig::start(&plain(tls_broker.url()), Arc::new(MemoryQueue::default()));
    let status = rig
        .until("failed", |status| status.counters.failed_attempts > 0)
        .await;
    assert!(
        status.message.en.contains("mqtts://"),
        "{}",
        status.message.en
    );
    rig.stop().await;
}
