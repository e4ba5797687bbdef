//! What each cause means to a technician, in plain words with the next step.

use crate::config::schema::Protocol;
use crate::uplink::cause::{Cause, Objection};
use crate::words::Words;

/// `broker`: `host:port`; `detail`: what the other side or the library said, in its own words; may be empty.
pub(in crate::uplink) fn of(cause: Cause, broker: &str, detail: &str) -> Words {
    // Two languages quote it differently.
    let (en, zh) = match detail {
        "" => (String::new(), String::new()),
        detail => (format!(" ({detail})"), format!("（{detail}）")),
    };
    match cause {
        Cause::NameNotFound => Words::new(
            format!(
                "the name in {broker} is not found{en}: check its spelling in uplink.broker, and that the network has a working DNS server"
            ),
            format!(
                "找不到服务器名称 {broker}{zh}：请检查 uplink.broker 的拼写，以及网络中的 DNS 服务器是否正常"
            ),
        ),
        Cause::NothingListens => Words::new(
            format!("nothing listens at {broker}: check that the broker runs, and the port"),
            format!("{broker} 上没有服务在监听：请确认服务器正在运行，并检查端口"),
        ),
        Cause::Unreachable => Words::new(
            format!("{broker} cannot be reached{en}: check the network cable and the router"),
            format!("无法到达 {broker}{zh}：请检查网线和路由器"),
        ),
        Cause::NoAnswer => Words::new(
            format!(
                "{broker} does not answer{en}: check the network, the address and any firewall"
            ),
            format!("{broker} 没有应答{zh}：请检查网络、地址和防火墙"),
        ),
        Cause::ClosedEarly => Words::new(
            format!(
                "{broker} closed the connection before it accepted it{en}: check that it is an MQTT broker of the version in \
                 uplink.protocol, and whether the port expects TLS (mqtts:// in uplink.broker, with a client certificate if it asks for one) or none (mqtt://); \
                 also user name and password"
            ),
            format!(
                "{broker} 在接受之前就关闭了连接{zh}：请确认它是 MQTT 服务器且版本与 uplink.protocol 一致，并检查该端口需要 TLS（uplink.broker 写 \
                 mqtts://，必要时配置客户端证书）还是不用 TLS（mqtt://），以及用户名和密码"
            ),
        ),
        Cause::Cut => Words::new(
            format!("the connection to {broker} broke{en}; connecting again"),
            format!("与 {broker} 的连接中断{zh}；正在重新连接"),
        ),
        Cause::Closed => Words::new(
            format!("{broker} closed the connection; connecting again"),
            format!("{broker} 关闭了连接；正在重新连接"),
        ),
        Cause::ThrownOut => Words::new(
            format!(
                "{broker} accepts this box and closes the connection again, time after time: most often another client uses the \
                 same client id (two boxes must not share one tenant, store and box name); else see the broker's log"
            ),
            format!(
                "{broker} 接受此设备后又反复关闭连接：通常是另一台设备使用了相同的客户端标识（两台设备不能同用一组 tenant、store 和 \
                 box 名称）；否则请查看服务器日志"
            ),
        ),
        Cause::Silent => Words::new(
            format!(
                "nothing is heard from {broker} any more, though nobody closed the connection; connecting again. \
                 If this returns, check the router and the mobile network"
            ),
            format!(
                "{broker} 已无任何响应，但连接并未关闭；正在重新连接。如反复出现，请检查路由器和移动网络"
            ),
        ),
        Cause::NoAcknowledgement => Words::new(
            format!(
                "{broker} does not acknowledge what is sent to it; connecting again (see the broker's log)"
            ),
            format!("{broker} 未确认收到的数据；正在重新连接（请查看服务器日志）"),
        ),
        Cause::Busy => Words::new(
            format!("{broker} is busy{en}; trying again by itself"),
            format!("{broker} 正忙{zh}；将自动重试"),
        ),
        Cause::ShuttingDown => Words::new(
            format!("{broker} is shutting down; connecting again"),
            format!("{broker} 正在关闭；正在重新连接"),
        ),
        Cause::ClosedByBroker => Words::new(
            format!("{broker} closed the connection{en}; connecting again (see the broker's log)"),
            format!("{broker} 关闭了连接{zh}；正在重新连接（请查看服务器日志）"),
        ),
        Cause::Garbled => Words::new(
            format!(
                "{broker} says what MQTT does not allow{en}; connecting again. If this returns, use another broker"
            ),
            format!(
                "{broker} 发送了不符合 MQTT 的数据{zh}；正在重新连接。如反复出现，请更换服务器"
            ),
        ),
        Cause::WrongCredentials => Words::new(
            format!(
                "{broker} does not accept this box: wrong user name or password, or not allowed to connect; \
                 check uplink.username and the content of uplink.password_file"
            ),
            format!(
                "{broker} 不接受此设备：用户名或密码错误，或不允许连接；请检查 uplink.username 和 uplink.password_file 的内容"
            ),
        ),
        Cause::ClientIdRefused => Words::new(
            format!(
                "{broker} does not accept the client id; check device.tenant, device.store, device.box and the broker's rules"
            ),
            format!(
                "{broker} 不接受客户端标识；请检查 device.tenant、device.store、device.box 和服务器规则"
            ),
        ),
        Cause::ClientIdTaken => Words::new(
            format!(
                "another client with this box's client id connected to {broker}: two boxes must not share one tenant, store and box name; \
                 change device.box of one of them"
            ),
            format!(
                "另一台设备使用相同的客户端标识连接了 {broker}：两台设备不能同用一组 tenant、store 和 box 名称；请修改其中一台的 device.box"
            ),
        ),
        Cause::Banned => Words::new(
            format!("{broker} has banned this box; ask the broker's operator"),
            format!("{broker} 已封禁此设备；请联系服务器管理员"),
        ),
        Cause::QuotaExceeded => Words::new(
            format!(
                "{broker} says that this box has used up its quota; raise it there. Events wait on the box"
            ),
            format!("{broker} 表示此设备的配额已用完；请在服务器上提高配额。事件保存在设备上等待"),
        ),
        Cause::UnsupportedVersion => Words::new(
            format!("{broker} does not speak the MQTT version in uplink.protocol; change it"),
            format!("{broker} 不支持 uplink.protocol 设定的 MQTT 版本；请修改"),
        ),
        Cause::NoRetain => Words::new(
            format!(
                "{broker} does not allow retained messages, which the box's state needs; allow them"
            ),
            format!("{broker} 不允许保留消息，而设备状态需要它；请在服务器上允许"),
        ),
        Cause::NoQos1 => Words::new(
            format!("{broker} does not offer QoS 1, without which events would be lost; allow it"),
            format!("{broker} 不提供 QoS 1，没有它事件会丢失；请在服务器上允许"),
        ),
        Cause::RefusedByBroker => Words::new(
            format!("{broker} refuses the connection{en}; see the broker's log"),
            format!("{broker} 拒绝连接{zh}；请查看服务器日志"),
        ),
        Cause::CertificateUnknown => Words::new(
            format!(
                "the certificate of {broker} is not signed by the authority in uplink.ca_file: wrong CA file, or not the broker it should be"
            ),
            format!(
                "{broker} 的证书不是由 uplink.ca_file 中的机构签发：CA 文件有误，或这不是应连接的服务器"
            ),
        ),
        Cause::CertificateExpired => Words::new(
            format!(
                "the certificate of {broker} has expired, or this box's clock is ahead: renew it, or set the clock"
            ),
            format!("{broker} 的证书已过期，或本设备时钟过快：请更新证书或校准时钟"),
        ),
        Cause::CertificateNotYetValid => Words::new(
            format!(
                "the certificate of {broker} is not valid yet; most likely this box's clock is behind: set the clock"
            ),
            format!("{broker} 的证书尚未生效；很可能是本设备时钟过慢：请校准时钟"),
        ),
        Cause::CertificateName => Words::new(
            format!(
                "the certificate of {broker} is for another name: use the name that is in the certificate in uplink.broker"
            ),
            format!("{broker} 的证书属于另一个名称：请在 uplink.broker 中使用证书里的名称"),
        ),
        Cause::CertificateRevoked => Words::new(
            format!("the certificate of {broker} is revoked: do not trust it; ask its operator"),
            format!("{broker} 的证书已被吊销：不要信任它；请联系服务器管理员"),
        ),
        Cause::CertificateUnusable => Words::new(
            format!("the certificate of {broker} cannot be used{en}: it must be X.509 version 3"),
            format!("{broker} 的证书无法使用{zh}：必须是 X.509 第 3 版"),
        ),
        Cause::ClientCertificateMissing => Words::new(
            format!(
                "{broker} asks for a client certificate: set uplink.cert_file and uplink.key_file"
            ),
            format!("{broker} 要求客户端证书：请设置 uplink.cert_file 和 uplink.key_file"),
        ),
        Cause::ClientCertificateExpired => Words::new(
            format!(
                "{broker} says that this box's certificate has expired: renew uplink.cert_file"
            ),
            format!("{broker} 表示本设备的证书已过期：请更新 uplink.cert_file"),
        ),
        Cause::ClientCertificateRefused => Words::new(
            format!(
                "{broker} does not accept this box's certificate{en}: check uplink.cert_file and who signed it"
            ),
            format!("{broker} 不接受本设备的证书{zh}：请检查 uplink.cert_file 及其签发者"),
        ),
        Cause::NotTls => Words::new(
            format!(
                "{broker} does not speak TLS on this port{en}: check the port, or use mqtt:// for a plain one"
            ),
            format!("{broker} 的该端口不使用 TLS{zh}：请检查端口，明文端口请使用 mqtt://"),
        ),
        Cause::Tls => Words::new(
            format!(
                "TLS with {broker} failed{en}: check the name in uplink.broker, and the broker's log"
            ),
            format!("与 {broker} 的 TLS 连接失败{zh}：请检查 uplink.broker 中的名称和服务器日志"),
        ),
    }
}

/// Words for a publish that the broker answered with an error.
pub(in crate::uplink) fn publish_refused(objection: Objection, topic: &str) -> Words {
    let (en, zh) = match objection {
        Objection::NotAuthorised => (
            "not authorised; allow this box to write to it in the broker's access rules",
            "没有权限；请在服务器访问规则中允许此设备写入",
        ),
        Objection::QuotaExceeded => (
            "quota exceeded; raise the broker's quota for this box",
            "超出配额；请提高服务器上此设备的配额",
        ),
        Objection::PayloadFormat => (
            "it takes the payload for malformed; check the broker's validation rules",
            "认为数据格式有误；请检查服务器的校验规则",
        ),
        Objection::TopicName => (
            "it does not allow this topic name; check the broker's topic rules",
            "不允许该主题名称；请检查服务器的主题规则",
        ),
        Objection::Unspecified => (
            "it gives no usable reason; see the broker's log",
            "未说明原因；请查看服务器日志",
        ),
    };
    Words::new(
        format!(
            "the broker refuses what is published to {topic}: {en}. What it refuses stays on the box and is tried again"
        ),
        format!("服务器拒绝发布到 {topic} 的数据：{zh}。被拒绝的数据保存在设备上，稍后重试"),
    )
}

/// Words for a subscription the broker did not grant.
pub(in crate::uplink) fn subscription_refused(topic: &str) -> Words {
    Words::new(
        format!(
            "the broker does not let this box listen to {topic}, so no command reaches it: \
             allow it to subscribe there with QoS 1 in the broker's access rules"
        ),
        format!(
            "服务器不允许此设备订阅 {topic}，因此无法收到命令：请在服务器访问规则中允许以 QoS 1 订阅"
        ),
    )
}

/// The broker speaks another version of MQTT than the configured one.
pub(in crate::uplink) fn wrong_version(configured: Protocol, broker: &str) -> Words {
    let (not, but) = match configured {
        Protocol::V5 => ("5", "3.1.1"),
        Protocol::V311 => ("3.1.1", "5"),
    };
    Words::new(
        format!(
            "{broker} does not speak MQTT {not}: set uplink.protocol = \"{but}\", or use another broker"
        ),
        format!("{broker} 不支持 MQTT {not}：请设置 uplink.protocol = \"{but}\"，或换用其他服务器"),
    )
}
