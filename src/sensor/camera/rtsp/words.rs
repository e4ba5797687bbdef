//! What is wrong with a network camera, in plain words. Names the camera by host and port alone, and says nothing of
//! `retina`'s that could repeat an address.

use crate::sensor::camera::external::{Codec, Fault};
use crate::words::Words;

/// The network or the camera refuses.
pub(super) fn refused(name: &str, why: &retina::Error) -> Words {
    match why.status_code() {
        Some(code @ (401 | 403)) => Words::new(
            format!(
                "{name}: the camera refuses user or password ({code}); correct `username` and `password_file`"
            ),
            format!("{name}：摄像头拒绝了用户名或密码（{code}）；请修改 username 和 password_file"),
        ),
        Some(404) => Words::new(
            format!("{name}: the camera has no such stream (404); correct the path in `rtsp`"),
            format!("{name}：摄像头没有该视频流（404）；请修改 rtsp 中的路径"),
        ),
        Some(461) => Words::new(
            format!("{name}: the camera refuses this `transport` (461); try the other one"),
            format!("{name}：摄像头不支持该传输方式（461）；请修改 transport"),
        ),
        Some(453) => Words::new(
            format!("{name}: the camera has too many viewers (453); close some of them"),
            format!("{name}：摄像头的连接数已满（453）；请关闭其他观看程序"),
        ),
        Some(code) => Words::new(
            format!(
                "{name}: the camera answers with error {code}; restart it, then check its stream settings"
            ),
            format!("{name}：摄像头返回错误 {code}；请重启摄像头并检查其视频流设置"),
        ),
        None => failed(name, why),
    }
}

/// The connection broke or was never made.
pub(super) fn failed(name: &str, why: &retina::Error) -> Words {
    let text = why.to_string();
    let system = system(&text).unwrap_or("it breaks the RTSP protocol");
    Words::new(
        format!(
            "{name}: no connection to the camera ({system}); check its power, its network cable and the address in `rtsp`"
        ),
        format!("{name}：无法连接摄像头（{system}）；请检查电源、网线和 rtsp 中的地址"),
    )
}

/// What the operating system said, out of `retina`'s text; nothing else of it is passed on.
fn system(text: &str) -> Option<&str> {
    let first = text.lines().next()?;
    [
        "Unable to connect to RTSP server: ",
        "Error reading from RTSP peer: ",
        "Error receiving UDP packet: ",
        "Error writing to RTSP peer: ",
    ]
    .into_iter()
    .find_map(|prefix| first.strip_prefix(prefix))
}

/// Nobody answered in time.
pub(super) fn no_answer(name: &str) -> Words {
    Words::new(
        format!(
            "{name}: the camera does not answer; check its power, its network cable and the address in `rtsp`"
        ),
        format!("{name}：摄像头没有应答；请检查电源、网线和 rtsp 中的地址"),
    )
}

/// Connected, but nothing comes.
pub(super) fn silent(name: &str) -> Words {
    Words::new(
        format!(
            "{name}: the camera sends no picture; restart it; with `transport = \"udp\"` try \"tcp\""
        ),
        format!("{name}：摄像头没有发送画面；请重启摄像头；如使用 udp，请改用 tcp"),
    )
}

/// The camera ended the session.
pub(super) fn ended(name: &str) -> Words {
    Words::new(
        format!(
            "{name}: the camera closed the connection; it is tried again, restart the camera if it stays away"
        ),
        format!("{name}：摄像头断开了连接；系统会自动重连，如长时间不恢复请重启摄像头"),
    )
}

/// Its video is of a kind that cannot be decoded.
pub(super) fn undecodable(name: &str, why: &str) -> Words {
    Words::new(
        format!(
            "{name}: {why}; choose H.264, 8 bits, main or high profile in the camera's settings"
        ),
        format!("{name}：无法解码该视频（{why}）；请在摄像头设置中选择 H.264 Main 或 High"),
    )
}

/// None of its video can be decoded; `offered` are the names of the codecs.
pub(super) fn no_video(name: &str, offered: &[String]) -> Words {
    let sends = if offered.is_empty() {
        "no video".to_owned()
    } else {
        offered.join(", ")
    };
    Words::new(
        format!(
            "{name}: the camera sends {sends}; choose H.264 in its settings (H.265 and MJPEG take ffmpeg and more of the box)"
        ),
        format!(
            "{name}：摄像头发送的是 {sends}；请在其设置中改为 H.264（H.265 和 MJPEG 需要 ffmpeg，占用更多资源）"
        ),
    )
}

/// `ffmpeg` is missing or does not do its work.
pub(super) fn decoder(name: &str, codec: Codec, program: &str, fault: &Fault) -> Words {
    let codec = codec.name();
    match fault {
        Fault::NotInstalled => Words::new(
            format!(
                "{name}: the camera sends {codec}, which takes {program} to decode, and that is not installed; choose H.264 in the camera's settings (its second stream often is), or apt install ffmpeg"
            ),
            format!(
                "{name}：摄像头发送的是 {codec}，需要 {program} 解码，但未安装；请在摄像头设置中改为 H.264（子码流通常就是），或 apt install ffmpeg"
            ),
        ),
        Fault::Failed(why) => Words::new(
            format!(
                "{name}: {program}, which decodes the camera's {codec}, failed ({why}); it is started again; if that goes on choose H.264 in the camera's settings and check [ffmpeg] in the config"
            ),
            format!(
                "{name}：负责解码 {codec} 的 {program} 出错（{why}）；系统会自动重启它；如反复出错，请将摄像头改为 H.264 并检查配置中的 [ffmpeg]"
            ),
        ),
    }
}

/// The operating system has nothing left to give.
pub(super) fn no_runtime(name: &str, why: &std::io::Error) -> Words {
    Words::new(
        format!("{name}: the camera cannot be connected to ({why}); restart the box"),
        format!("{name}：无法建立连接（{why}）；请重启设备"),
    )
}
