//! TLS against a real broker, with certificates made on the spot by the openssl program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions, not their helpers

#[path = "common/certificates.rs"]
mod certificates;
#[path = "common/memory_queue.rs"]
mod memory_queue;
#[path = "common/mosquitto.rs"]
mod mosquitto;
#[path = "common/uplink_rig.rs"]
mod uplink_rig;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use certificates::certificates;
use footfall::config::schema;
use footfall::event::Stream;
use footfall::uplink::cause::Cause;
use footfall::uplink::{LinkState, LinkStatus};
use memory_queue::MemoryQueue;
use mosquitto::Mosquitto;
use uplink_rig::{Rig, plain};

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
