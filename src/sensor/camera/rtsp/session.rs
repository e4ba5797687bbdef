//! From an address to a stream that plays: login, which stream, who decodes it.

use std::sync::Arc;

use retina::client::{
    Credentials, Demuxed, Described, PlayOptions, Session, SessionGroup, SessionOptions,
    SetupOptions, TcpTransportOptions, UdpTransportOptions,
};
use retina::codec::{FrameFormat, ParametersRef};

use super::{Decoder, RtspSpec, Transport};
use crate::sensor::camera::external::Codec;
use crate::sensor::camera::h264::Config;

/// Which of a camera's streams, and who decodes it.
pub(super) struct Choice {
    pub(super) stream: usize,
    pub(super) codec: Codec,
    /// Why `ffmpeg` does.
    pub(super) outside: Option<String>,
}

/// The first H.264, else the first stream that `ffmpeg` can be given.
fn choose(session: &Session<Described>, decoder: Decoder) -> Option<Choice> {
    let known = session
        .streams()
        .iter()
        .enumerate()
        .filter_map(|(at, stream)| {
            let codec = Codec::of(stream.encoding_name())?;
            (stream.media() == "video").then_some((at, codec, stream))
        });
    let (stream, codec, described) = known.min_by_key(|(_, codec, _)| *codec != Codec::H264)?;
    let outside = match (decoder, codec, described.parameters()) {
        (Decoder::Ffmpeg, ..) => Some("the config says so".to_owned()),
        (_, Codec::H264, Some(ParametersRef::Video(video))) => {
            Config::parse(video.extra_data()).err()
        }
        (_, Codec::H264, _) => None,
        _ => Some(format!("it is not {}", Codec::H264.name())),
    };
    Some(Choice {
        stream,
        codec,
        outside,
    })
}

/// Why there is no session.
pub(super) enum Refused {
    /// None of the streams can be decoded; the names of those there are.
    NoVideo(Vec<String>),
    Rtsp(retina::Error),
}

impl From<retina::Error> for Refused {
    fn from(why: retina::Error) -> Self {
        Self::Rtsp(why)
    }
}

/// Logs in, chooses a stream and lets it play.
///
/// # Errors
/// The camera refuses, or has nothing that can be decoded.
pub(super) async fn connect(
    spec: &RtspSpec,
    credentials: Option<Credentials>,
    group: &Arc<SessionGroup>,
) -> Result<(Demuxed, Choice), Refused> {
    let options = SessionOptions::default()
        .creds(credentials)
        .user_agent(concat!("footfall/", env!("CARGO_PKG_VERSION")).to_owned())
        .session_group(Arc::clone(group));
    let mut session = Session::describe(spec.url.clone(), options).await?;
    let Some(choice) = choose(&session, spec.decoder) else {
        let video = session.streams().iter();
        let video = video.filter(|stream| stream.media() == "video");
        let offered = video.map(|stream| stream.encoding_name().to_owned());
        return Err(Refused::NoVideo(offered.take(8).collect()));
    };
    let transport = match spec.transport {
        Transport::Tcp => retina::client::Transport::Tcp(TcpTransportOptions::default()),
        Transport::Udp => retina::client::Transport::Udp(UdpTransportOptions::default()),
    };
    let setup = SetupOptions::default().transport(transport);
    let format = match choice.outside {
        None => FrameFormat::MP4,
        Some(_) => FrameFormat::SIMPLE,
    };
    session
        .setup(choice.stream, setup.frame_format(format))
        .await?;
    let playing = session.play(PlayOptions::default()).await?;
    Ok((playing.demuxed()?, choice))
}
