//! Where the broker is: reads `mqtt://host[:1883]` and `mqtts://host[:8883]`.

/// Why a broker's URL cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "uplink.broker is {url:?}: {why}; write mqtt://host, mqtts://host or with a port, mqtts://host:8883"
)]
pub struct AddressError {
    url: String,
    why: &'static str,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) over_tls: bool,
    /// An IPv6 address keeps its brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

pub(super) fn parse(url: &str) -> Result<Address, AddressError> {
    let fault = |why| AddressError {
        // A password may have been written into it.
        url: match url.rsplit_once('@') {
            Some((_, host)) => format!("…@{host}"),
            None => url.to_owned(),
        },
        why,
    };
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| fault("it does not start with mqtt:// or mqtts://"))?;
    let (over_tls, default_port) = match scheme {
        "mqtt" => (false, 1883),
        "mqtts" => (true, 8883),
        "ws" | "wss" => return Err(fault("MQTT over WebSocket is not offered")),
        _ => return Err(fault("it does not start with mqtt:// or mqtts://")),
    };
    if rest.contains('@') {
        return Err(fault(
            "user and password do not belong here but into username and password_file",
        ));
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#']) {
        return Err(fault("nothing may follow the host and the port"));
    }
    let (host, port) = if rest.starts_with('[') {
        let end = rest
            .find(']')
            .ok_or_else(|| fault("the closing ] of the IPv6 address is missing"))?;
        let (host, port) = rest.split_at(end + 1);
        let inside = host.trim_start_matches('[').trim_end_matches(']');
        if inside.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(fault("what stands in [ ] is not an IPv6 address"));
        }
        if over_tls {
            return Err(fault(
                "TLS to a bare IPv6 address is not offered; use the name in the broker's certificate",
            ));
        }
        match port.strip_prefix(':') {
            None if !port.is_empty() => return Err(fault("only :port may follow the ]")),
            port => (host, port),
        }
    } else {
        match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        }
    };
    let is_name_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if host.is_empty() || !(host.starts_with('[') || host.bytes().all(is_name_byte)) {
        return Err(fault(
            "the host name is missing or has characters no host name has",
        ));
    }
    let port = match port {
        None => default_port,
        Some(port) => match port.parse() {
            Ok(port) if port > 0 => port,
            _ => return Err(fault("the port is not a number from 1 to 65535")),
        },
    };
    Ok(Address {
        over_tls,
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broker_urls_give_scheme_host_and_port_with_the_schemes_default_port() {
        let cases = [
            ("mqtt://broker", false, "broker", 1883),
            ("mqtts://mq.example.com", true, "mq.example.com", 8883),
            ("mqtt://10.0.0.2:1884/", false, "10.0.0.2", 1884),
            ("mqtt://[::1]:1884", false, "[::1]", 1884),
            ("mqtt://[fe80::2]", false, "[fe80::2]", 1883),
        ];
        for (url, over_tls, host, port) in cases {
            let address = parse(url).unwrap();
            assert_eq!(
                (address.over_tls, address.host.as_str(), address.port),
                (over_tls, host, port)
            );
        }
    }

    #[test]
    fn a_broker_url_that_cannot_be_used_says_why_and_never_shows_a_password() {
        for (url, why) in [
            ("broker:1883", "does not start with"),
            ("http://broker", "does not start with"),
            ("wss://broker", "WebSocket"),
            ("mqtt://", "host name is missing"),
            ("mqtt://:1883", "host name is missing"),
            ("mqtt://a b", "characters"),
            ("mqtt://broker:0", "port"),
            ("mqtt://broker:70000", "port"),
            ("mqtt://broker:", "port"),
            ("mqtt://broker/path", "nothing may follow"),
            ("mqtt://[::1", "closing ]"),
            ("mqtt://[x]", "not an IPv6"),
            ("mqtt://[::1]9", "only :port"),
            ("mqtts://[::1]", "bare IPv6"),
            ("mqtt://ann:s3cret@broker", "password_file"),
        ] {
            let text = parse(url).unwrap_err().to_string();
            assert!(text.contains(why), "{url}: {text}");
            assert!(!text.contains("s3cret"), "{text}");
        }
    }
}
