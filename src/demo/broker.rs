//! The demo's broker: Mosquitto where it is installed, otherwise one inside this process.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

/// Where Debian puts it; not in an ordinary user's PATH.
const SYSTEM_PLACE: &str = "/usr/sbin/mosquitto";
/// Mosquitto listens within milliseconds; a machine that needs longer than this has another problem.
const TRIES: u32 = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// A running broker on loopback. It ends with this value.
pub struct Broker {
    pub port: u16,
    pub name: &'static str,
    child: Option<Child>,
}

impl Broker {
    /// Starts one; `dir` is for its config file.
    ///
    /// # Errors
    /// There is none to start, or it does not listen.
    pub fn start(dir: &Path) -> anyhow::Result<Self> {
        match mosquitto() {
            Some(program) => Self::start_mosquitto(&program, dir),
            None => Self::start_embedded(),
        }
    }

    fn start_mosquitto(program: &Path, dir: &Path) -> anyhow::Result<Self> {
        let port = free_port()?;
        let config = dir.join("mosquitto.conf");
        let lines = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_inflight_messages 100\n"
        );
        std::fs::File::create(&config)?.write_all(lines.as_bytes())?;
        let child = Command::new(program)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{} does not start", program.display()))?;
        // From here on the child ends with this value, whatever happens.
        let mut broker = Self {
            port,
            name: "Mosquitto",
            child: Some(child),
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        for _ in 0..TRIES {
            if TcpStream::connect(address).is_ok() {
                return Ok(broker);
            }
            if let Some(status) = broker
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok()?)
            {
                bail!(
                    "Mosquitto ended at once ({status}); try `{} -c {}`",
                    program.display(),
                    config.display()
                );
            }
            std::thread::sleep(BETWEEN_TRIES);
        }
        bail!("Mosquitto does not listen on port {port}")
    }

    #[cfg(feature = "embedded-broker")]
    fn start_embedded() -> anyhow::Result<Self> {
        let port = crate::uplink::broker::start()?;
        Ok(Self {
            port,
            name: "the embedded broker",
            child: None,
        })
    }

    #[cfg(not(feature = "embedded-broker"))]
    fn start_embedded() -> anyhow::Result<Self> {
        Err(crate::cli::exit::Failure::new(
            crate::cli::exit::UNAVAILABLE,
            "no MQTT broker on this machine: install one (sudo apt install mosquitto), \
             or build with --features embedded-broker",
        )
        .into())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn mosquitto() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join("mosquitto"))
        .chain([PathBuf::from(SYSTEM_PLACE)])
        .find(|program| program.is_file())
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}
