//! The real program in a directory of its own: configs, recordings, how it ended and what it said.

#![allow(dead_code)] // each test file uses its own part

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use footfall::sensor::vision::runtime;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Far more than any of it takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// -1 when a signal ended it.
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// A directory with a config, a short recording and a model, all of them good.
pub struct Home(TempDir);

impl Home {
    pub fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(home.path("clip")).unwrap();
        for number in 0..3 {
            let picture = image::RgbImage::from_pixel(64, 48, image::Rgb([number * 40; 3]));
            let name = format!("clip/{number}.png");
            picture.save(home.path(&name)).unwrap();
        }
        for name in ["person-oblique-int8.toml", "person-oblique-int8.onnx"] {
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("models")
                .join(name);
            std::fs::copy(shipped, home.path(name)).unwrap();
        }
        home.put("good.toml", good(&home).as_bytes());
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a small file; tests need no durability.
    pub fn put(&self, name: &str, content: &[u8]) -> PathBuf {
        use std::io::Write;
        let path = self.path(name);
        std::fs::File::create(&path)
            .and_then(|mut file| file.write_all(content))
            .unwrap();
        path
    }

    /// Writes the good config with `from` replaced by `to`.
    pub fn config(&self, name: &str, from: &str, to: &str) -> PathBuf {
        let good = good(self);
        assert!(
            good.contains(from),
            "{name}: the good config has no {from:?}"
        );
        self.put(name, good.replace(from, to).as_bytes())
    }

    /// The program in this directory, silent but for faults, with nothing of the caller's settings but the library.
    pub fn footfall<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = footfall(args);
        command
            .current_dir(self.0.path())
            .env_remove("FOOTFALL_MODELS");
        command
    }
}

/// Where manifests and the weights of the test data are, for `FOOTFALL_MODELS`.
pub fn models(data: &Path) -> String {
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
    format!("{manifests}:{}", data.join("models").display())
}

/// An example config as it is, but with another model and the threshold that suits its recording; `to`: where it is written.
pub fn example(config: &str, model: &str, threshold: Option<f64>, to: &Path) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware-config/examples");
    let text = std::fs::read_to_string(path.join(config)).unwrap();
    let own = "model = \"person-oblique\"";
    assert!(text.contains(own), "{config}");
    let threshold = threshold.map_or(String::new(), |value| format!("\nthreshold = {value:?}"));
    let other = format!("model = \"{model}\"{threshold}");
    let text = text
        .replace(own, &other)
        .replace("min_moving_share = 0.4", "");
    footfall::durable::write(to, text.as_bytes()).unwrap();
}

/// The program, silent but for faults.
pub fn footfall<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footfall"));
    command
        .args(args)
        .env("FOOTFALL_LOG", "off")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Found from the project's directory, which is not the working directory.
    if let Ok(runtime) = runtime::load(None) {
        command.env(runtime::LIBRARY_VARIABLE, runtime.path());
    }
    command
}

fn good(home: &Home) -> String {
    let dir = home.0.path().display();
    format!(
        r#"[device]
tenant = "acme"
store = "shop-7"
box = "box-0042"
timezone = "Europe/Berlin"

[outbox]
dir = "{dir}/data"

[uplink]
keep_alive_s = 30

[status]
listen = ""

[vision]
threads = 1

[[camera]]
id = "entrance"
file = "{dir}/clip"
model = "{dir}/person-oblique-int8.toml"

[[camera.line]]
id = "door"
points = [[0.5, 1.0], [0.5, 0.0]]
"#
    )
}

/// Runs a command to its end. One that does not end by itself is killed and fails the test.
pub fn ended(mut command: Command) -> Ended {
    let mut child = command.spawn().unwrap();
    let (sender, receiver) = sync_channel(1);
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = std::io::Read::read_to_end(&mut err, &mut text);
        text
    });
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = std::io::Read::read_to_end(&mut out, &mut text);
        let _ = sender.send(text);
    });
    // Standard output closes when the process ends.
    let Ok(out) = receiver.recv_timeout(PATIENCE) else {
        let _ = child.kill();
        panic!("{command:?} does not end");
    };
    let code = child.wait().unwrap().code().unwrap_or(-1);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended {
        code,
        out: text(&out),
        err: text(&errors.join().unwrap()),
    }
}

/// A daemon that runs until it is stopped; dropping it kills it.
pub struct Daemon {
    child: Child,
    log: Receiver<String>,
    seen: Vec<String>,
}

impl Daemon {
    pub fn start(home: &Home, config: &Path) -> Self {
        let mut command =
            home.footfall([OsStr::new("run"), OsStr::new("--config"), config.as_ref()]);
        command.env("FOOTFALL_LOG", "info").stdout(Stdio::null());
        Self::watch(command)
    }

    /// Like [`Daemon::start`], from a command that becomes the daemon.
    pub fn watch(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, log) = sync_channel(1000);
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self {
            child,
            log,
            seen: Vec::new(),
        }
    }

    /// Waits for a log line with `words` and returns it.
    pub fn says(&mut self, words: &str) -> String {
        while let Ok(line) = self.log.recv_timeout(PATIENCE) {
            self.seen.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
        panic!(
            "the daemon does not say {words:?}, but:\n{}",
            self.seen.join("\n")
        );
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM; the exit code.
    pub fn stop(mut self) -> i32 {
        assert!(
            self.child.try_wait().unwrap().is_none(),
            "it ended: {:?}",
            self.seen
        );
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.says("good bye");
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the ONNX Runtime library is not: says so, loudly.
pub fn library() -> bool {
    match runtime::load(None) {
        Ok(_) => true,
        Err(why) => {
            skipped(&why.to_string());
            false
        }
    }
}

/// The test data's directory, or a loud line.
pub fn data() -> Option<PathBuf> {
    let data = std::env::var_os("FOOTFALL_DATA").map(PathBuf::from);
    if data.is_none() {
        skipped("FOOTFALL_DATA names no directory with clips and models");
    }
    data
}

/// Makes a clip with `ffmpeg`; says loudly when it cannot.
pub fn ffmpeg(args: &str, to: &Path) -> bool {
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(args.split_whitespace())
        .arg(to)
        .status()
        .is_ok_and(|status| status.success());
    if !made {
        skipped(&format!("no ffmpeg that makes {}", to.display()));
    }
    made
}

pub fn skipped(why: &str) {
    eprintln!("\n*** SKIPPED: {why} ***\n");
}
