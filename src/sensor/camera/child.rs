//! A helper process that can do no harm: it has a process group of its own, a limit on its memory, is the first to go
//! when the box runs out of memory, and is killed with all that it started and reaped when it is dropped. What it
//! complains about is read and forgotten but for the last line.
//!
//! Made and used inside a tokio runtime. When footfall itself is killed the helper's pipes close, which ends it.

use std::ffi::OsStr;
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child as Process, Command, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use tokio::net::unix::pipe::{Receiver, Sender};
use tracing::warn;

/// Longest part of a complaint that is kept, bytes.
const MAX_COMPLAINT: usize = 300;
/// Complaints without any other output beyond this are a fault, bytes.
const MAX_COMPLAINTS: usize = 1 << 20;
/// How often and how long a killed process is waited for before a thread takes that over.
const REAP_TRIES: u32 = 100;
const REAP_NAP: Duration = Duration::from_millis(5);
/// Whom the kernel kills first when memory runs out; footfall itself has less (proc(5), oom_score_adj).
const EXPENDABLE: &[u8] = b"500";

/// A running helper.
pub(super) struct Child {
    /// `None` once somebody else waits for its end.
    process: Option<Process>,
    pub(super) stdin: Sender,
    pub(super) stdout: Receiver,
    pub(super) ears: Ears,
}

/// What a helper complains about.
pub(super) struct Ears {
    /// `None` once the helper has closed it.
    stderr: Option<Receiver>,
    said: LastWords,
    /// Bytes of complaints since [`Ears::forgive`].
    complaints: usize,
}

impl Child {
    /// Starts `program`. `memory`: bytes that it may allocate (`RLIMIT_DATA`), and each process that it starts from then on.
    /// A script around the real program should end with `exec`, because the limit comes just after the start.
    ///
    /// # Errors
    /// It cannot be started; `NotFound`: it is not installed.
    pub(super) fn start(
        program: &OsStr,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        memory: u64,
    ) -> std::io::Result<Self> {
        keep_files_to_ourselves();
        let mut process = Command::new(program)
            .args(arguments)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pipes = (
            process.stdin.take(),
            process.stdout.take(),
            process.stderr.take(),
        );
        // From here on the process is ended however this ends.
        let guard = Guard(Some(process));
        guard.limit(memory);
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(ErrorKind::BrokenPipe.into());
        };
        Ok(Self {
            stdin: Sender::from_owned_fd(OwnedFd::from(stdin))?,
            stdout: Receiver::from_owned_fd(OwnedFd::from(stdout))?,
            ears: Ears {
                stderr: Some(Receiver::from_owned_fd(OwnedFd::from(stderr))?),
                said: LastWords::default(),
                complaints: 0,
            },
            process: guard.release(),
        })
    }

    /// Ends it; what it complained about last, or how it ended.
    pub(super) fn last_words(mut self) -> String {
        let mut process = self.process.take();
        let mut status = None;
        // It has closed its output and is about to end by itself, which tells more than being killed.
        for _ in 0..REAP_TRIES {
            status = process
                .as_mut()
                .and_then(|process| process.try_wait().ok().flatten());
            if status.is_some() {
                break;
            }
            std::thread::sleep(REAP_NAP);
        }
        for _ in 0..16 {
            if !self.ears.hear() {
                break;
            }
        }
        // Also when it has ended: what it started must not stay.
        drop(Guard(process));
        let ended = || match status {
            Some(status) => format!("it ended with {status}"),
            None => "it closed its output".to_owned(),
        };
        self.ears.said.get().unwrap_or_else(ended)
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> u32 {
        self.process.as_ref().map_or(0, Process::id)
    }
}

impl Ears {
    /// The helper gave something useful: what it complained about before is no reason for anything.
    pub(super) const fn forgive(&mut self) {
        self.complaints = 0;
    }

    /// Waits for complaints and reads some; never comes back once they have ended. May be abandoned at any time.
    ///
    /// # Errors
    /// There are too many of them.
    pub(super) async fn listen(&mut self) -> Result<(), String> {
        let Some(stderr) = &self.stderr else {
            return std::future::pending().await;
        };
        let ready = stderr.readable().await;
        if ready.is_err() || !self.hear() {
            self.stderr = None;
        }
        if self.complaints > MAX_COMPLAINTS {
            return Err("it does nothing but complain".to_owned());
        }
        Ok(())
    }

    /// Reads what is there of complaints; `false` at their end.
    fn hear(&mut self) -> bool {
        let Some(stderr) = &self.stderr else {
            return false;
        };
        let mut chunk = [0; 4096];
        match stderr.try_read(&mut chunk) {
            Ok(0) => false,
            Ok(count) => {
                self.complaints = self.complaints.saturating_add(count);
                self.said.take(chunk.get(..count).unwrap_or_default());
                true
            }
            Err(why) => why.kind() == ErrorKind::WouldBlock,
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(Guard(self.process.take()));
    }
}

/// Marks every open file to be closed in child processes. Libraries forget to, and a camera that a helper holds open
/// cannot be opened again.
pub(super) fn keep_files_to_ourselves() {
    let Ok(files) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    for file in files.flatten() {
        let number = file.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(number @ 3..) = number {
            let _ = fcntl(number, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
        }
    }
}

/// A process that is ended with its group when this is dropped.
struct Guard(Option<Process>);

impl Guard {
    fn pid(process: &Process) -> Option<Pid> {
        i32::try_from(process.id()).ok().and_then(Pid::from_raw)
    }

    fn limit(&self, bytes: u64) {
        let Some(process) = &self.0 else { return };
        let limit = Rlimit {
            current: Some(bytes),
            maximum: Some(bytes),
        };
        if let Err(why) = prlimit(Self::pid(process), Resource::Data, limit) {
            warn!(%why, "the memory of a helper process is not limited");
        }
        let score = format!("/proc/{}/oom_score_adj", process.id());
        // A kernel without it kills by size, as ever.
        let _ = std::fs::OpenOptions::new()
            .write(true)
            .open(score)
            .and_then(|mut file| file.write_all(EXPENDABLE));
    }

    fn release(mut self) -> Option<Process> {
        self.0.take()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(mut process) = self.0.take() else {
            return;
        };
        // Before it is reaped: until then its number cannot belong to anybody else.
        if let Some(group) = Self::pid(&process) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        for _ in 0..REAP_TRIES {
            if !matches!(process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(REAP_NAP);
        }
        // Inside a driver that hangs; it dies when the driver lets it, and must not be a zombie then.
        let reap = move || drop(process.wait());
        let _ = std::thread::Builder::new()
            .name("reaper".to_owned())
            .spawn(reap);
    }
}

/// The last line of many, without the part of the program that says it.
#[derive(Default)]
pub(super) struct LastWords {
    line: Vec<u8>,
    last: Vec<u8>,
}

impl LastWords {
    /// More of what is said.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if !matches!(byte, b'\n' | b'\r') {
                if self.line.len() < MAX_COMPLAINT {
                    self.line.push(*byte);
                }
            } else if !self.line.is_empty() {
                std::mem::swap(&mut self.line, &mut self.last);
                self.line.clear();
            }
        }
    }

    /// The last line so far.
    pub(super) fn get(&self) -> Option<String> {
        let last = if self.line.is_empty() {
            &self.last
        } else {
            &self.line
        };
        let text = String::from_utf8_lossy(last);
        let text = match text.split_once("] ") {
            Some((speaker, said)) if speaker.starts_with('[') => said,
            _ => &text,
        };
        let text = text.trim().replace(char::is_control, " ");
        (!text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_complaints_the_last_is_kept_and_its_length_is_bounded() {
        let said = |text: &[u8]| {
            let mut words = LastWords::default();
            text.chunks(3).for_each(|part| words.take(part));
            words.get()
        };
        assert_eq!(said(b""), None);
        assert_eq!(
            said(b"first\n[avi @ 0x55] second\n\n").as_deref(),
            Some("second")
        );
        assert_eq!(said(b"no line end").as_deref(), Some("no line end"));
        assert_eq!(said(b"bell\x07\x1b[0m").as_deref(), Some("bell  [0m"));
        assert_eq!(said(&[b'x'; 1 << 20]).unwrap().len(), MAX_COMPLAINT);
    }
}
