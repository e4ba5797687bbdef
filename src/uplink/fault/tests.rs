use super::*;

fn classify(error: &ConnectionError) -> Fault {
    Fault::classify(error, "broker:8883", false)
}

#[test]
fn a_wrong_password_is_told_apart_from_a_busy_broker() {
    let refused = |code| classify(&ConnectionError::ConnectionRefused(code));
    let fault = refused(ConnectReturnCode::BadUserNamePassword);
    assert_eq!(
        (fault.cause, fault.state()),
        (Cause::WrongCredentials, LinkState::Refused)
    );
    assert!(fault.message.en.contains("uplink.password_file"));
    assert!(fault.message.zh.contains("uplink.password_file"));
    let busy = refused(ConnectReturnCode::ServerBusy);
    assert_eq!(
        (busy.cause, busy.state()),
        (Cause::Busy, LinkState::Disconnected)
    );
}

#[test]
fn a_tls_fault_is_found_at_both_depths_and_a_wrong_clock_is_suspected() {
    let wrapped = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let early = RustlsError::InvalidCertificate(CertificateError::NotValidYet);
    let fault = classify(&ConnectionError::Tls(TlsError::Io(wrapped(early))));
    assert_eq!(
        (fault.cause, fault.state()),
        (Cause::CertificateNotYetValid, LinkState::TlsError)
    );
    assert!(fault.message.en.contains("clock"), "{:?}", fault.message);
    let late = RustlsError::AlertReceived(AlertDescription::CertificateRequired);
    let late = StateError::Deserialization(PacketError::Io(wrapped(late)));
    let fault = classify(&ConnectionError::MqttState(late));
    assert_eq!(
        (fault.cause, fault.state()),
        (Cause::ClientCertificateMissing, LinkState::TlsError)
    );
    assert!(
        fault.message.en.contains("uplink.cert_file"),
        "{:?}",
        fault.message
    );
}

#[test]
fn what_the_library_cannot_read_is_told_apart_from_a_broken_line() {
    let fault = |error| {
        let error = ConnectionError::MqttState(StateError::Deserialization(error));
        Fault::classify(&error, "b:1883", true)
    };
    let max = 10;
    let too_large = fault(PacketError::PayloadSizeLimitExceeded { pkt_size: 20, max });
    assert_eq!(
        (too_large.unreadable, too_large.cause),
        (true, Cause::Garbled)
    );
    assert!(fault(PacketError::MalformedPacket).unreadable);
    let cut = fault(PacketError::Io(io::ErrorKind::BrokenPipe.into()));
    assert_eq!((cut.unreadable, cut.cause), (false, Cause::Cut));
    // The short form of DISCONNECT: the kept session is not to blame.
    assert!(!fault(PacketError::PayloadRequired).unreadable);
}

#[test]
fn a_cut_before_the_brokers_answer_points_at_the_other_kind_of_port() {
    let aborted = || ConnectionError::MqttState(StateError::ConnectionAborted);
    let early = Fault::classify(&aborted(), "b:8883", false);
    assert_eq!(early.cause, Cause::ClosedEarly);
    assert!(early.message.en.contains("mqtts://"), "{:?}", early.message);
    let later = Fault::classify(&aborted(), "b:8883", true);
    assert_eq!(later.cause, Cause::Closed);
}

#[test]
fn a_quota_is_named_however_the_broker_says_it() {
    let refused = ConnectionError::ConnectionRefused(ConnectReturnCode::QuotaExceeded);
    let thrown_out = ConnectionError::MqttState(StateError::ServerDisconnect {
        reason_code: DisconnectReasonCode::QuotaExceeded,
        reason_string: None,
    });
    assert_eq!(classify(&refused).cause, Cause::QuotaExceeded);
    let fault = Fault::classify(&thrown_out, "b:1883", true);
    assert_eq!(
        (fault.cause, fault.state()),
        (Cause::QuotaExceeded, LinkState::Refused)
    );
}

#[test]
fn connections_closed_again_and_again_point_at_another_client_and_a_few_in_a_day_do_not() {
    let closed = || Fault::new(Cause::Closed, "b:1883", "");
    let causes = |every: Duration| {
        let mut closings = Closings::default();
        (1..=6)
            .map(|turn| closings.judge(closed(), "b:1883", every * turn).cause)
            .collect::<Vec<_>>()
    };
    let quick = causes(Duration::from_secs(20));
    assert_eq!(quick[..3], [Cause::Closed; 3]);
    assert_eq!(quick[3..], [Cause::ThrownOut; 3]);
    assert_eq!(causes(Duration::from_secs(3600)), [Cause::Closed; 6]);
    let mut closings = Closings::default();
    for _ in 0..6 {
        let other = Fault::new(Cause::ShuttingDown, "b:1883", "");
        let cause = closings.judge(other, "b:1883", Duration::ZERO).cause;
        assert_eq!(cause, Cause::ShuttingDown);
    }
}
