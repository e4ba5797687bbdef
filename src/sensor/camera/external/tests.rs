use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::super::testing::{difference, ffmpeg, have_ffmpeg, reference, write};
use super::super::yuv::{Matrix, to_rgb};
use super::*;
use crate::sensor::camera::Frame;

/// Pictures of 4x2: 12 bytes each.
const HEAD: &str = "printf 'YUV4MPEG2 W4 H2 F1:1 C420jpeg\\n'";
/// What the fakes are fed.
const CODED: &[u8; 12] = b"coded pictur";

/// A shell script in place of `ffmpeg`, and who feeds it.
struct Rig {
    dir: tempfile::TempDir,
    runtime: Runtime,
    external: Option<External>,
}

impl Rig {
    fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("ffmpeg");
        write(&program, format!("#!/bin/sh\n{script}\n").as_bytes());
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        Self::with(program, Codec::Jpeg, dir)
    }

    fn with(program: PathBuf, codec: Codec, dir: tempfile::TempDir) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let settings = Settings {
            program: program.to_str().unwrap().to_owned(),
            memory_mb: 64,
            ..Settings::default()
        };
        let inside = runtime.enter();
        let external = External::start(&settings, codec).unwrap();
        drop(inside);
        let external = Some(external);
        Self {
            dir,
            runtime,
            external,
        }
    }

    /// Feeds it until it has given so many pictures.
    fn pictures(&mut self, count: usize) -> Result<(), Fault> {
        let external = self.external.as_mut().unwrap();
        let mut given = 0;
        while given < count {
            if external.hungry() {
                external.feed(CODED, Duration::ZERO);
            }
            given += usize::from(self.runtime.block_on(external.step())?);
        }
        Ok(())
    }

    fn fault(script: &str) -> String {
        match Self::new(script).pictures(1_000_000) {
            Err(Fault::Failed(why)) => why,
            other => panic!("{script}: {other:?}"),
        }
    }

    /// Steps until it has been quiet for a moment.
    fn settle(&mut self) {
        let external = self.external.as_mut().unwrap();
        let step = |external: &mut External| {
            self.runtime
                .block_on(async { timeout(Duration::from_millis(300), external.step()).await })
        };
        while let Ok(stepped) = step(external) {
            stepped.unwrap();
        }
    }

    fn process(&self) -> PathBuf {
        let child = self.external.as_ref().unwrap().child.as_ref().unwrap();
        PathBuf::from(format!("/proc/{}", child.id()))
    }

    /// The number that the script has written into a file of this name.
    fn written(&self, name: &str) -> String {
        let path = self.dir.path().join(name);
        for _ in 0..2000 {
            if let Ok(text) = std::fs::read_to_string(&path)
                && text.ends_with('\n')
                && (name != "files" || text.ends_with(".\n"))
            {
                return text.trim().to_owned();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the script never wrote {name}");
    }
}

/// Whether a process is there and alive (a zombie that waits for init is not).
fn alive(process: &Path) -> bool {
    let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

#[test]
fn each_picture_that_is_fed_comes_back_and_complaints_in_between_do_no_harm() {
    let mut rig = Rig::new(&format!(
        "{HEAD}; while [ -n \"$(dd bs=12 count=1 2>/dev/null)\" ]; do
             head -c 100000 /dev/zero | tr '\\0' 'x' >&2; printf 'FRAME\\nabcdefghijkl'; done"
    ));
    rig.pictures(30).unwrap();
    let planes = rig.external.as_ref().unwrap().planes();
    assert_eq!((planes.width, planes.height), (4, 2));
    assert_eq!(
        (planes.y, planes.u, planes.v),
        (&b"abcdefgh"[..], &b"ij"[..], &b"kl"[..])
    );
}

#[test]
fn a_helper_that_ends_or_is_killed_says_why() {
    assert_eq!(
        Rig::fault("echo '[hevc @ 0x1] no such decoder' >&2; exit 3"),
        "no such decoder"
    );
    assert_eq!(Rig::fault("exit 3"), "it ended with exit status: 3");
    assert_eq!(Rig::fault("exit 0"), "it ended with exit status: 0");
    let killed = Rig::fault(&format!("{HEAD}; kill -9 $$"));
    assert!(killed.contains("signal: 9"), "{killed}");
}

#[test]
fn a_helper_that_writes_garbage_or_pictures_that_nobody_gave_it_is_refused() {
    let garbage = "what it writes are no pictures";
    assert_eq!(Rig::fault("exec cat /dev/urandom"), garbage);
    assert_eq!(Rig::fault("exec cat /dev/zero"), garbage);
    assert_eq!(Rig::fault(&format!("{HEAD}; exec cat")), garbage);
    let huge = Rig::fault("printf 'YUV4MPEG2 W9000 H9000\\n'; exec cat");
    assert!(huge.contains("9000x9000"), "{huge}");
    let invents = format!("{HEAD}; while :; do printf 'FRAME\\nabcdefghijkl'; done");
    assert_eq!(
        Rig::fault(&invents),
        "it writes pictures that nobody gave it"
    );
}

#[test]
fn a_helper_that_only_complains_is_ended() {
    let flood = Rig::fault("yes 'something is wrong' >&2");
    assert_eq!(flood, "it does nothing but complain");
}

#[test]
fn a_helper_that_takes_ever_more_memory_is_stopped_by_its_limit() {
    // `tail` keeps the last ten lines, and there is not one line end. In the shell's place: what a shell starts before it
    // gets its limit would have none.
    let why = Rig::fault("exec tail < /dev/zero");
    assert!(why.contains("memory exhausted"), "{why}");
}

#[test]
fn a_helper_that_hangs_is_noticed_by_the_clock_alone() {
    let mut rig = Rig::new(&format!("{HEAD}; exec sleep 1000"));
    let external = rig.external.as_mut().unwrap();
    assert!(
        !external.hangs(Duration::from_secs(100)),
        "nobody has fed it"
    );
    external.feed(CODED, Duration::from_secs(100));
    rig.settle();
    let external = rig.external.as_mut().unwrap();
    external.feed(CODED, Duration::from_secs(105));
    assert!(!external.hangs(Duration::from_secs(107)));
    assert!(external.hangs(Duration::from_secs(108)));
}

#[test]
fn a_helper_that_does_not_read_holds_nobody_up() {
    let mut rig = Rig::new("exec sleep 1000");
    let external = rig.external.as_mut().unwrap();
    external.feed(&vec![7; 1 << 20], Duration::ZERO);
    rig.settle();
    let external = rig.external.as_mut().unwrap();
    assert!(!external.hungry(), "a pipe does not hold a megabyte");
    assert!(external.hangs(HANGS_AFTER));
    // One that has closed its end is not fed any more.
    let mut rig = Rig::new("exec <&-; exec sleep 1000");
    let external = rig.external.as_mut().unwrap();
    external.feed(&vec![7; 1 << 20], Duration::ZERO);
    rig.settle();
    assert!(rig.external.as_ref().unwrap().hungry());
}

#[test]
fn a_helper_that_is_dropped_is_gone_with_all_that_it_started_and_leaves_no_zombie() {
    let mut rig = Rig::new(
        "trap '' TERM INT HUP PIPE; sleep 1000 & echo $! > \"${0%/*}/child\"; while :; do wait; done",
    );
    let child = PathBuf::from("/proc").join(rig.written("child"));
    let process = rig.process();
    assert!(alive(&process) && alive(&child));
    let score = std::fs::read_to_string(process.join("oom_score_adj")).unwrap();
    assert_eq!(score.trim(), "500");
    let limits = std::fs::read_to_string(process.join("limits")).unwrap();
    let data = limits
        .lines()
        .find(|line| line.starts_with("Max data size"))
        .unwrap();
    assert!(data.contains(&(64 << 20).to_string()), "{data}");
    rig.external = None;
    assert!(!process.exists(), "a zombie or a process is left");
    for _ in 0..2000 {
        if !alive(&child) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("what it started is still there");
}

#[test]
fn somebody_who_holds_the_pipes_of_a_dead_helper_holds_nobody_up() {
    let mut rig = Rig::new("setsid sleep 1000 & echo $! > \"${0%/*}/child\"; exit 0");
    let child = rig.written("child");
    let process = rig.process();
    rig.settle();
    rig.external = None;
    assert!(!process.exists());
    let pid = rustix::process::Pid::from_raw(child.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_helper_gets_none_of_the_files_that_a_careless_library_has_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a camera");
    write(&path, b"");
    let careless = std::fs::File::open(&path).unwrap();
    rustix::io::fcntl_setfd(&careless, rustix::io::FdFlags::empty()).unwrap();
    let rig = Rig::new(
        "ls -l /proc/$$/fd > \"${0%/*}/files\"; echo . >> \"${0%/*}/files\"; exec sleep 1000",
    );
    let files = rig.written("files");
    assert!(
        files.ends_with('.') && !files.contains("a camera"),
        "{files}"
    );
}

#[test]
fn a_helper_that_is_not_there_is_told_apart() {
    let settings = Settings {
        program: "/nowhere/ffmpeg".to_owned(),
        ..Settings::default()
    };
    assert_eq!(
        External::start(&settings, Codec::H265).err(),
        Some(Fault::NotInstalled)
    );
    let settings = Settings {
        program: "/etc/passwd".to_owned(),
        ..settings
    };
    let Some(Fault::Failed(why)) = External::start(&settings, Codec::H265).err() else {
        panic!("not refused")
    };
    assert!(why.contains("does not start"), "{why}");
}

#[test]
fn settings_that_cannot_work_are_told() {
    assert!(Settings::default().flaws().is_empty());
    let flawed = Settings {
        program: String::new(),
        input: vec!["-i".into(), "rtsp://camera".into()],
        output: vec![String::new(); 33],
        memory_mb: 1,
    };
    let keys: Vec<_> = flawed.flaws().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["program", "input", "output", "memory_mb"]);
}

/// Where the coded pictures of a raw H.264 or H.265 stream begin: at the first of the units that are not slices after
/// one that is, or at a first slice.
fn pictures_of(bytes: &[u8], codec: Codec) -> Vec<&[u8]> {
    let starts = bytes
        .windows(3)
        .enumerate()
        .filter(|(_, three)| *three == [0, 0, 1]);
    let (mut cuts, mut after_slice) = (vec![0], false);
    for (at, _) in starts {
        let (slice, first) = match codec {
            Codec::H265 => ((bytes[at + 3] >> 1) & 63 < 32, bytes[at + 5] & 0x80 != 0),
            _ => (
                matches!(bytes[at + 3] & 31, 1 | 5),
                bytes[at + 4] & 0x80 != 0,
            ),
        };
        if after_slice && (!slice || first) {
            cuts.push(at);
        }
        after_slice = slice;
    }
    cuts.push(bytes.len());
    cuts.windows(2)
        .map(|pair| &bytes[pair[0]..pair[1]])
        .collect()
}

/// Through the real `ffmpeg`: as many pictures as were fed, each like the one that `ffmpeg` makes of the file; returns
/// by how many pictures it is behind in the end.
fn through_ffmpeg(codec: Codec, encoder: &str, extension: &str) {
    if !have_ffmpeg() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(format!("a.{extension}"));
    ffmpeg(
        &format!("-f lavfi -i testsrc2=s=322x242:r=10:d=3 {encoder}"),
        &path,
    );
    let expected = reference(&path);
    let bytes = std::fs::read(&path).unwrap();
    let coded = pictures_of(&bytes, codec);
    assert_eq!(coded.len(), 30);
    let mut rig = Rig::with("ffmpeg".into(), codec, dir);
    let (mut shown, mut frame) = (0, Frame::default());
    for one in coded {
        rig.external.as_mut().unwrap().feed(one, Duration::ZERO);
        let external = rig.external.as_mut().unwrap();
        // A picture is there before the next one is fed: nothing waits inside.
        while !rig.runtime.block_on(external.step()).unwrap() {}
        to_rgb(&external.planes(), Matrix::BT601, &mut frame);
        let size = frame.rgb.len();
        let like = difference(&frame.rgb, &expected[shown * size..][..size]);
        assert!(like < 3.0, "picture {shown} is {like} away");
        shown += 1;
    }
    assert_eq!(shown * frame.rgb.len(), expected.len());
}

#[test]
fn h265_through_ffmpeg_gives_every_picture_before_the_next_one_is_fed() {
    through_ffmpeg(
        Codec::H265,
        "-c:v libx265 -x265-params log-level=error:bframes=0",
        "265",
    );
}

#[test]
fn h264_through_ffmpeg_gives_every_picture_before_the_next_one_is_fed() {
    through_ffmpeg(
        Codec::H264,
        "-c:v libx264 -pix_fmt yuv420p -bf 0 -refs 1 -tune zerolatency -x264-params sliced-threads=0",
        "264",
    );
}
