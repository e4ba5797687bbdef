//! Network cameras: RTSP through `retina`, H.264 through `openh264`.
//!
//! The session lives on a small runtime of its own on the capturing thread: nothing of it can hold up the rest. Only the
//! host and port of a camera are ever named; paths and queries of cheap cameras carry passwords.

mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use retina::client::{
    Credentials, Demuxed, PlayOptions, Session, SessionGroup, SessionOptions, SetupOptions,
    TcpTransportOptions, UdpTransportOptions,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoFrame};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tracing::info;
use url::Url;

use super::h264::{Config, H264, planes};
use super::yuv::to_rgb;
use super::{CameraError, Frame, FrameSource, Next};
use crate::clock::SharedClock;
use crate::metric::Counter;
use crate::stop::Stop;

/// From the first packet to the camera's promise to play.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A session without a picture for so long is given up.
const SILENCE: Duration = Duration::from_secs(10);
/// How late the source may notice that it is to stop.
const NAP: Duration = Duration::from_millis(200);
/// For the good bye, without which a camera goes on sending UDP for a minute.
const PART_WITHIN: Duration = Duration::from_secs(1);
/// Largest coded picture, bytes; a key frame of 4K video has about 1 MB.
const MAX_CODED: usize = 16 << 20;

/// How pictures travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Inside the RTSP connection: nothing is lost.
    #[default]
    Tcp,
    /// For cameras that cannot do better: what is lost or overtaken stays lost until the next key frame.
    Udp,
}

/// Which camera and how to log in.
#[derive(Clone)]
pub struct RtspSpec {
    /// Without user and password.
    pub url: Url,
    pub username: Option<String>,
    /// Read at each connection, so that a corrected password needs no restart.
    pub password_file: Option<PathBuf>,
    pub transport: Transport,
}

impl RtspSpec {
    /// The camera's name in messages: `host:port`.
    fn name(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        format!("{host}:{}", self.url.port().unwrap_or(554))
    }

    fn credentials(&self) -> Result<Option<Credentials>, CameraError> {
        let (Some(username), Some(file)) = (&self.username, &self.password_file) else {
            return Ok(None);
        };
        Ok(Some(Credentials {
            username: username.clone(),
            password: password(file)?,
        }))
    }
}

/// The address of a camera, as the config may give it.
///
/// # Errors
/// What was expected. The text does not repeat the address: it may hold a password.
pub fn address(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| url.scheme() == "rtsp" && url.host().is_some())
        .ok_or(
            "expected \"rtsp://host:554/path\", as the camera's manual or settings page gives it",
        )?;
    if url.username().is_empty() && url.password().is_none() {
        Ok(url)
    } else {
        Err("user and password do not belong here; put them into `username` and `password_file`")
    }
}

/// Reads a password file; one trailing line end is ignored.
///
/// # Errors
/// The file cannot be read.
pub fn password(file: &Path) -> Result<String, CameraError> {
    let text = std::fs::read_to_string(file).map_err(|why| {
        let fix = "create it with the camera's password in it, readable by footfall's user";
        CameraError::unavailable(file, format!("the password cannot be read ({why})"), fix)
    })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// A network camera; it is connected to when the first frame is wanted.
pub struct Rtsp {
    spec: RtspSpec,
    clock: SharedClock,
    stop: Arc<Stop>,
    damaged: Counter,
    stage: Stage,
    index: u64,
}

enum Stage {
    Closed,
    Playing(Box<Playing>),
    Over,
}

impl Rtsp {
    /// `stop` ends the source, also while it waits; `damaged` counts pictures that are lost or cannot be decoded.
    #[must_use]
    pub const fn new(
        spec: RtspSpec,
        clock: SharedClock,
        stop: Arc<Stop>,
        damaged: Counter,
    ) -> Self {
        Self {
            spec,
            clock,
            stop,
            damaged,
            stage: Stage::Closed,
            index: 0,
        }
    }
}

impl FrameSource for Rtsp {
    fn next_kept(
        &mut self,
        frame: &mut Frame,
        keep: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<Next, CameraError> {
        let mut heard = self.clock.now().boot;
        loop {
            if self.stop.asked() {
                self.stage = Stage::Over;
            }
            let playing = match &mut self.stage {
                Stage::Over => return Ok(Next::End),
                Stage::Playing(playing) => playing,
                Stage::Closed => {
                    self.stage = Stage::Over;
                    if let Some(playing) = Playing::start(&self.spec, &self.stop)? {
                        info!(camera = self.spec.name(), "network camera plays");
                        self.stage = Stage::Playing(Box::new(playing));
                        heard = self.clock.now().boot;
                    }
                    continue;
                }
            };
            let (clock, index) = (&self.clock, &mut self.index);
            let got = playing.picture(&self.damaged, |h264, coded| {
                let matrix = h264.matrix();
                let Some(picture) = h264.decode(coded)? else {
                    return Ok(Picture::None);
                };
                let at = clock.now().boot;
                frame.index = *index;
                *index += 1;
                if !keep(at) {
                    return Ok(Picture::PassedOver);
                }
                frame.at = at;
                to_rgb(&planes(&picture), matrix, frame);
                Ok(Picture::Shown)
            });
            let now = self.clock.now().boot;
            let why = match got {
                Ok(Picture::Shown) => return Ok(Next::Frame),
                Ok(Picture::PassedOver) => {
                    heard = now;
                    continue;
                }
                Ok(Picture::None) if now.saturating_sub(heard) < SILENCE => continue,
                Ok(Picture::None) => words::silent(&self.spec.name()),
                Err(Lost::Ended) => words::ended(&self.spec.name()),
                Err(Lost::Failed(why)) => words::failed(&self.spec.name(), &why),
                Err(Lost::Undecodable(why)) => words::undecodable(&self.spec.name(), &why),
            };
            self.stage = Stage::Over;
            return Err(CameraError::Live(why));
        }
    }
}

/// What became of waiting for a picture.
enum Picture {
    /// None came, or the decoder still keeps it.
    None,
    /// One came and was not wanted.
    PassedOver,
    /// One came and is in the frame.
    Shown,
}

/// Why a session is over.
enum Lost {
    Ended,
    Failed(retina::Error),
    /// The stream is of a kind that cannot be decoded here.
    Undecodable(String),
}

/// A session under way.
struct Playing {
    runtime: Option<Runtime>,
    group: Arc<SessionGroup>,
    /// `None` only while it is dropped.
    session: Option<Demuxed>,
    stream: usize,
    decoder: Option<H264>,
    /// Pictures before the next key frame depend on something that was lost.
    wait_for_key: bool,
}

impl Playing {
    /// Connects; `None` when `stop` was asked meanwhile.
    fn start(spec: &RtspSpec, stop: &Stop) -> Result<Option<Self>, CameraError> {
        let name = spec.name();
        let credentials = spec.credentials()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .map_err(|why| CameraError::Live(words::no_runtime(&name, &why)))?;
        let group = Arc::new(SessionGroup::default());
        let connected = runtime.block_on(async {
            tokio::select! {
                connected = timeout(CONNECT_WITHIN, connect(spec, credentials, &group)) => Some(connected),
                () = asked(stop) => None,
            }
        });
        let connected = match connected {
            None => Ok(None),
            Some(Ok(Ok((session, stream)))) => Ok(Some((session, stream))),
            Some(Ok(Err(why))) => Err(CameraError::Live(match why {
                Refused::NoH264(offered) => words::no_h264(&name, &offered),
                Refused::Rtsp(why) => words::refused(&name, &why),
            })),
            Some(Err(_)) => Err(CameraError::Live(words::no_answer(&name))),
        };
        match connected {
            Ok(Some((session, stream))) => Ok(Some(Self {
                runtime: Some(runtime),
                group,
                session: Some(session),
                stream,
                decoder: None,
                wait_for_key: true,
            })),
            nothing => {
                // A look-up of the host's name may still be under way; it must not hold us up.
                runtime.shutdown_background();
                nothing.map(|_| None)
            }
        }
    }

    /// Waits a moment for a coded picture and hands it to `decode`.
    fn picture(
        &mut self,
        damaged: &Counter,
        decode: impl FnOnce(&mut H264, &[u8]) -> Result<Picture, String>,
    ) -> Result<Picture, Lost> {
        let (Some(runtime), Some(session)) = (&self.runtime, &mut self.session) else {
            return Err(Lost::Ended);
        };
        let coded = match runtime.block_on(async { timeout(NAP, session.next()).await }) {
            Err(_) => return Ok(Picture::None),
            Ok(None) => return Err(Lost::Ended),
            Ok(Some(Err(why))) => return Err(Lost::Failed(why)),
            Ok(Some(Ok(CodecItem::VideoFrame(coded)))) if coded.stream_id() == self.stream => coded,
            Ok(Some(Ok(_))) => return Ok(Picture::None),
        };
        if coded.has_new_parameters() {
            self.decoder = None;
        }
        if coded.loss() > 0 && !self.wait_for_key {
            damaged.add(1);
            self.wait_for_key = true;
        }
        if self.wait_for_key && !coded.is_random_access_point() {
            return Ok(Picture::None);
        }
        self.wait_for_key = false;
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            None => {
                let Some(config) = config(session, self.stream) else {
                    self.wait_for_key = true;
                    return Ok(Picture::None);
                };
                let decoder = config.and_then(H264::new).map_err(Lost::Undecodable)?;
                self.decoder.insert(decoder)
            }
        };
        decoded(&coded, decoder, decode).or_else(|_| {
            damaged.add(1);
            self.decoder = None;
            self.wait_for_key = true;
            Ok(Picture::None)
        })
    }
}

fn decoded(
    coded: &VideoFrame,
    decoder: &mut H264,
    decode: impl FnOnce(&mut H264, &[u8]) -> Result<Picture, String>,
) -> Result<Picture, String> {
    if coded.data().len() > MAX_CODED {
        return Err("a picture is larger than 16 MB".to_owned());
    }
    decode(decoder, coded.data())
}

/// What the camera says about its H.264; `None` when it has not said it yet.
fn config(session: &Demuxed, stream: usize) -> Option<Result<Config, String>> {
    match session.streams().get(stream)?.parameters()? {
        ParametersRef::Video(video) => Some(Config::parse(video.extra_data())),
        _ => None,
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        {
            let _inside = runtime.enter();
            self.session = None;
        }
        let parted = async { timeout(PART_WITHIN, self.group.await_teardown()).await };
        let _ = runtime.block_on(parted);
        runtime.shutdown_background();
    }
}

/// Why there is no session.
enum Refused {
    /// None of the streams is H.264; the names of those there are.
    NoH264(Vec<String>),
    Rtsp(retina::Error),
}

impl From<retina::Error> for Refused {
    fn from(why: retina::Error) -> Self {
        Self::Rtsp(why)
    }
}

async fn connect(
    spec: &RtspSpec,
    credentials: Option<Credentials>,
    group: &Arc<SessionGroup>,
) -> Result<(Demuxed, usize), Refused> {
    let options = SessionOptions::default()
        .creds(credentials)
        .user_agent(concat!("footfall/", env!("CARGO_PKG_VERSION")).to_owned())
        .session_group(Arc::clone(group));
    let mut session = Session::describe(spec.url.clone(), options).await?;
    let video = || {
        session
            .streams()
            .iter()
            .filter(|stream| stream.media() == "video")
    };
    let h264 = session
        .streams()
        .iter()
        .position(|stream| stream.media() == "video" && stream.encoding_name() == "h264");
    let Some(stream) = h264 else {
        let offered = video().map(|stream| stream.encoding_name().to_owned());
        return Err(Refused::NoH264(offered.take(8).collect()));
    };
    let transport = match spec.transport {
        Transport::Tcp => retina::client::Transport::Tcp(TcpTransportOptions::default()),
        Transport::Udp => retina::client::Transport::Udp(UdpTransportOptions::default()),
    };
    let setup = SetupOptions::default().transport(transport);
    session
        .setup(stream, setup.frame_format(FrameFormat::MP4))
        .await?;
    let playing = session.play(PlayOptions::default()).await?;
    Ok((playing.demuxed()?, stream))
}

/// Comes back when `stop` was asked.
async fn asked(stop: &Stop) {
    while !stop.asked() {
        tokio::time::sleep(NAP).await;
    }
}

#[cfg(test)]
mod tests;
