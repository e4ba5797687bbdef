//! Network cameras: RTSP through `retina`, H.264 through `openh264`, everything else through `ffmpeg`.
//!
//! The session lives on a small runtime of its own on the capturing thread: nothing of it can hold up the rest. Only the
//! host and port of a camera are ever named; paths and queries of cheap cameras carry passwords.

mod session;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use retina::client::{Credentials, Demuxed, SessionGroup};
use retina::codec::{CodecItem, ParametersRef, VideoFrame};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tracing::info;
use url::Url;

use self::session::{Refused, connect};
use super::external::{Codec, External, Fault, Settings};
use super::h264::{Config, H264, planes};
use super::yuv::{Matrix, Planes, to_rgb};
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

/// Who decodes the pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decoder {
    /// This process, where it can; else `ffmpeg`.
    #[default]
    Auto,
    /// `ffmpeg`: for boards whose decoder it can use.
    Ffmpeg,
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
    pub decoder: Decoder,
    pub ffmpeg: Settings,
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
                        let (codec, decoder) = playing.decoding.names();
                        let why = playing.why.as_deref();
                        info!(
                            camera = self.spec.name(),
                            codec, decoder, why, "network camera plays"
                        );
                        self.stage = Stage::Playing(Box::new(playing));
                        heard = self.clock.now().boot;
                    }
                    continue;
                }
            };
            let (clock, index) = (&self.clock, &mut self.index);
            let mut show = |planes: &Planes<'_>, matrix| {
                let at = clock.now().boot;
                frame.index = *index;
                *index += 1;
                if !keep(at) {
                    return Picture::PassedOver;
                }
                frame.at = at;
                to_rgb(planes, matrix, frame);
                Picture::Shown
            };
            let got = playing.picture(&self.damaged, clock.now().boot, &mut show);
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
                Err(Lost::Decoder(codec, fault)) => {
                    words::decoder(&self.spec.name(), codec, &self.spec.ffmpeg.program, &fault)
                }
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
    /// `ffmpeg` fails.
    Decoder(Codec, Fault),
}

/// Shows a picture or passes over it.
type Show<'a> = dyn FnMut(&Planes<'_>, Matrix) -> Picture + 'a;

/// Who decodes, and the decoder once the first key frame has come.
enum Decoding {
    Inside(Option<H264>),
    Outside(Codec, Settings, Option<External>),
}

impl Decoding {
    /// Of the codec, and of who decodes it.
    const fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::Inside(_) => (Codec::H264.name(), "own"),
            Self::Outside(codec, ..) => (codec.name(), "ffmpeg"),
        }
    }
}

/// A session under way.
struct Playing {
    runtime: Option<Runtime>,
    group: Arc<SessionGroup>,
    /// `None` only while it is dropped.
    session: Option<Demuxed>,
    stream: usize,
    decoding: Decoding,
    /// Why `ffmpeg` decodes, where it does.
    why: Option<String>,
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
            Some(Ok(Ok(connected))) => Ok(Some(connected)),
            Some(Ok(Err(why))) => Err(CameraError::Live(match why {
                Refused::NoVideo(offered) => words::no_video(&name, &offered),
                Refused::Rtsp(why) => words::refused(&name, &why),
            })),
            Some(Err(_)) => Err(CameraError::Live(words::no_answer(&name))),
        };
        match connected {
            Ok(Some((session, choice))) => Ok(Some(Self {
                runtime: Some(runtime),
                group,
                session: Some(session),
                stream: choice.stream,
                decoding: match choice.outside {
                    None => Decoding::Inside(None),
                    Some(_) => Decoding::Outside(choice.codec, spec.ffmpeg.clone(), None),
                },
                why: choice.outside,
                wait_for_key: true,
            })),
            nothing => {
                // A look-up of the host's name may still be under way; it must not hold us up.
                runtime.shutdown_background();
                nothing.map(|_| None)
            }
        }
    }

    /// Waits a moment for a picture. `now`: time since boot.
    fn picture(
        &mut self,
        damaged: &Counter,
        now: Duration,
        show: &mut Show<'_>,
    ) -> Result<Picture, Lost> {
        let (Some(runtime), Some(session)) = (&self.runtime, &mut self.session) else {
            return Err(Lost::Ended);
        };
        let step = match &mut self.decoding {
            Decoding::Outside(codec, _, Some(external)) => {
                if external.hangs(now) {
                    let fault = Fault::Failed("it takes pictures and gives none".to_owned());
                    return Err(Lost::Decoder(*codec, fault));
                }
                let (hungry, codec) = (external.hungry(), *codec);
                let step = runtime.block_on(async {
                    let next = async {
                        tokio::select! {
                            item = session.next(), if hungry => Step::Item(item),
                            done = external.step() => Step::Decoder(done),
                        }
                    };
                    timeout(NAP, next).await
                });
                match step {
                    Ok(Step::Decoder(Err(fault))) => return Err(Lost::Decoder(codec, fault)),
                    Ok(Step::Decoder(Ok(true))) => {
                        return Ok(show(&external.planes(), Matrix::BT601));
                    }
                    step => step,
                }
            }
            _ => runtime.block_on(async { timeout(NAP, session.next()).await.map(Step::Item) }),
        };
        let coded = match step {
            Err(_) | Ok(Step::Decoder(_)) => return Ok(Picture::None),
            Ok(Step::Item(None)) => return Err(Lost::Ended),
            Ok(Step::Item(Some(Err(why)))) => return Err(Lost::Failed(why)),
            Ok(Step::Item(Some(Ok(CodecItem::VideoFrame(coded)))))
                if coded.stream_id() == self.stream =>
            {
                coded
            }
            Ok(Step::Item(Some(Ok(_)))) => return Ok(Picture::None),
        };
        if coded.has_new_parameters()
            && let Decoding::Inside(decoder) = &mut self.decoding
        {
            *decoder = None;
        }
        if (coded.loss() > 0 || coded.data().len() > MAX_CODED) && !self.wait_for_key {
            damaged.add(1);
            self.wait_for_key = true;
        }
        if self.wait_for_key && !coded.is_random_access_point() || coded.data().len() > MAX_CODED {
            return Ok(Picture::None);
        }
        self.wait_for_key = false;
        match &mut self.decoding {
            Decoding::Inside(decoder) => {
                let ready = match decoder {
                    Some(decoder) => decoder,
                    None => {
                        let Some(config) = config(session, self.stream) else {
                            self.wait_for_key = true;
                            return Ok(Picture::None);
                        };
                        let made = config.and_then(H264::new).map_err(Lost::Undecodable)?;
                        decoder.insert(made)
                    }
                };
                decoded(&coded, ready, show).or_else(|_| {
                    damaged.add(1);
                    *decoder = None;
                    self.wait_for_key = true;
                    Ok(Picture::None)
                })
            }
            Decoding::Outside(codec, settings, external) => {
                let external = match external {
                    Some(external) => external,
                    None => {
                        let _inside = runtime.enter();
                        let started = External::start(settings, *codec);
                        external.insert(started.map_err(|fault| Lost::Decoder(*codec, fault))?)
                    }
                };
                external.feed(coded.data(), now);
                Ok(Picture::None)
            }
        }
    }
}

/// What a moment's waiting brought.
enum Step {
    Item(Option<Result<CodecItem, retina::Error>>),
    Decoder(Result<bool, Fault>),
}

fn decoded(coded: &VideoFrame, decoder: &mut H264, show: &mut Show<'_>) -> Result<Picture, String> {
    let matrix = decoder.matrix();
    let picture = decoder.decode(coded.data())?;
    Ok(picture.map_or(Picture::None, |picture| show(&planes(&picture), matrix)))
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

/// Comes back when `stop` was asked.
async fn asked(stop: &Stop) {
    while !stop.asked() {
        tokio::time::sleep(NAP).await;
    }
}

#[cfg(test)]
mod tests;
