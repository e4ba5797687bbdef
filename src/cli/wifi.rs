//! `footfall wifi`: what the Wi-Fi part makes of a recording. Addresses are told apart in memory only.

use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::exit::{self, Failure};
use crate::clock::Stamp;
use crate::config::{self, Config};
use crate::event::WifiInterval;
use crate::sensor::wifi::counting::Counting;
use crate::sensor::wifi::frame::{self, Address};
use crate::sensor::wifi::meters::Meters;
use crate::sensor::wifi::savefile::{Savefile, SavefileError};
use crate::sensor::wifi::settings::Settings;

/// Distinct senders of one recording that are told apart; about 80 MB.
const MOST_SOURCES: usize = 4_000_000;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Count a recording of Wi-Fi frames (pcap or pcapng) as the daemon would; nothing is stored
    ///
    /// Record on the box with `tcpdump -i mon0 -w FILE`. Link types: 105 (802.11), 119 (Prism), 127 (radiotap), 192 (PPI).
    /// A recording holds addresses and network names in the clear: delete it when it has been looked at.
    Replay(ReplayArgs),
}

#[derive(clap::Args)]
struct ReplayArgs {
    /// The config file whose [[wifi]] settings are used; the defaults where it has none
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Which of its [[wifi]] sections; needed when there are several
    #[arg(long, value_name = "ID")]
    wifi: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// The recording
    capture: PathBuf,
}

/// What a recording came to.
#[derive(Debug, Serialize)]
struct Summary {
    frames: u64,
    probe_requests: u64,
    /// Distinct senders of probe requests.
    sources: usize,
    /// The locally administered (random) ones among them.
    local_sources: usize,
    bad_fcs: u64,
    /// Frames cut short.
    truncated: u64,
    /// Frames whose headers cannot be right.
    malformed: u64,
    /// Probe requests from the address of a group.
    no_sender: u64,
    /// Probe requests without a signal.
    no_signal: u64,
    /// Probe requests beyond what the daemon would remember.
    untracked: u64,
    /// What the daemon would have sent.
    intervals: Vec<WifiInterval>,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Command::Replay(args) = &args.command;
    let config = config::load(&args.config)?.config;
    let settings = choose(&config, args.wifi.as_deref())?;
    let summary = replay(&config, &settings, args)?;
    if args.json {
        super::print_json(&summary)?;
    } else {
        print_plain(&summary)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn choose(config: &Config, id: Option<&str>) -> Result<Settings, Failure> {
    let known = || {
        let ids: Vec<_> = config.wifi.iter().map(|wifi| wifi.id.as_str()).collect();
        ids.join(", ")
    };
    match (id, config.wifi.as_slice()) {
        (None, []) => Ok(Settings::for_recordings()),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(Failure::new(
            exit::USAGE,
            format!(
                "the config has several [[wifi]]; choose one with --wifi: {}",
                known()
            ),
        )),
        (Some(id), all) => all
            .iter()
            .find(|wifi| wifi.id == id)
            .cloned()
            .ok_or_else(|| {
                Failure::new(
                    exit::USAGE,
                    format!("no [[wifi]] {id:?} in the config; it has: {}", known()),
                )
            }),
    }
}

fn replay(config: &Config, settings: &Settings, args: &ReplayArgs) -> anyhow::Result<Summary> {
    let zone = jiff::tz::TimeZone::get(&config.device.timezone)?;
    let mut savefile = Savefile::open(&args.capture).map_err(failure)?;
    let meters = Meters::default();
    let mut sources: HashSet<Address> = HashSet::new();
    let mut intervals = Vec::new();
    let mut counting: Option<Counting> = None;
    let mut clock = RecordedTime::default();
    while let Some(packet) = savefile.next().map_err(failure)? {
        let now = clock.at(packet.at);
        let counting = match &mut counting {
            Some(counting) => counting,
            none => {
                let mut begun = Counting::new(settings, &zone, now, meters.quality())?;
                begun.listening(true, now);
                none.insert(begun)
            }
        };
        if now.wall >= counting.ends() {
            let end = clock.stamp(counting.ends());
            intervals.extend(counting.tick(end, &meters.quality())?);
            // Nothing was recorded for longer than an interval: whether the radio listened is not known.
            if now.wall >= counting.ends() {
                counting.skip_to(now);
            }
        }
        let Some(probe) = meters.heard(frame::read(packet.link, packet.bytes, packet.missing))
        else {
            continue;
        };
        if sources.insert(probe.source) && sources.len() > MOST_SOURCES {
            let why = format!(
                "more than {MOST_SOURCES} senders; split the recording with `editcap -c 1000000`"
            );
            return Err(Failure::new(exit::DATA, why).into());
        }
        let room = counting.saw(&probe, now);
        meters.untracked.add((!room).into());
    }
    if let Some(mut counting) = counting {
        intervals.push(counting.finish(clock.last(), &meters.quality()));
    }
    Ok(Summary {
        frames: meters.frames.get(),
        probe_requests: meters.probe_requests.get(),
        sources: sources.len(),
        local_sources: sources.iter().filter(|source| source.is_random()).count(),
        bad_fcs: meters.bad_fcs.get(),
        truncated: meters.truncated.get(),
        malformed: meters.malformed.get(),
        no_sender: meters.no_sender.get(),
        no_signal: meters.no_signal.get(),
        untracked: meters.untracked.get(),
        intervals,
    })
}

fn failure(why: SavefileError) -> Failure {
    let code = match &why {
        SavefileError::Unavailable { .. } => exit::UNAVAILABLE,
        SavefileError::BadData { .. } => exit::DATA,
    };
    Failure::new(code, why.to_string())
}

/// The recording's own time. Frames of several radios may be a little out of order; time does not go back for them.
#[derive(Default)]
struct RecordedTime {
    began: Option<Timestamp>,
    last: Timestamp,
}

impl RecordedTime {
    fn at(&mut self, wall: Timestamp) -> Stamp {
        let began = *self.began.get_or_insert(wall);
        self.last = self.last.max(wall).max(began);
        self.stamp(self.last)
    }

    fn last(&self) -> Stamp {
        self.stamp(self.last)
    }

    fn stamp(&self, wall: Timestamp) -> Stamp {
        let began = self.began.unwrap_or(wall);
        Stamp {
            wall,
            boot: Duration::try_from(wall.duration_since(began)).unwrap_or(Duration::ZERO),
            synced: true,
        }
    }
}

fn print_plain(summary: &Summary) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} frames, {} probe requests from {} senders ({} with a random address)",
        summary.frames, summary.probe_requests, summary.sources, summary.local_sources
    )?;
    writeln!(
        out,
        "{} wrong checksums, {} cut short, {} unreadable",
        summary.bad_fcs, summary.truncated, summary.malformed
    )?;
    let shown =
        |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    for interval in &summary.intervals {
        writeln!(
            out,
            "{}  random {:>5}  global {:>5}  visitors {:>5}  passers-by {:>5}",
            interval.from,
            shown(interval.random),
            shown(interval.global),
            shown(interval.visitors),
            shown(interval.passers_by)
        )?;
    }
    Ok(())
}
