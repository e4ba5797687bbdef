//! What the box remembers of commands: one small file each, written before the broker is told that the command has
//! arrived and again when it has ended. So each is begun once, whatever is cut off and however often it comes in.
//!
//! ```text
//! commands/marks.json   the latest sequence numbers, and the latest moment known for sure
//! commands/UUID.json    one command: CRC-32C in hex, a line end, JSON
//! ```
//!
//! Bounded by count: a command that has ended and expired makes room for a new one; it cannot be replayed any more.
//! While none has, new commands are refused. The file holds neither the envelope nor, once a command has ended, its
//! arguments.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tracing::warn;

use super::id::CommandId;
use super::response::{State, Trouble};
use crate::clock::Stamp;
use crate::durable;

/// Commands that are remembered at most.
pub const CAPACITY: usize = 256;
/// How long an expired command stays for whoever asks again, seconds.
const KEEP_S: i64 = 7 * 86_400;
/// Larger files are not read.
const LARGEST_FILE: u64 = 1024 * 1024;
/// Names whose order is remembered; there are fewer ordered commands.
const MOST_NAMES: usize = 32;

/// One command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub id: CommandId,
    /// The key that signed it.
    pub kid: String,
    pub name: String,
    pub exp: i64,
    pub seq: u64,
    pub state: State,
    /// When the state was reached, RFC 3339.
    pub time: String,
    /// When it was accepted, seconds since 1970; absent where the clock was not synced.
    pub accepted: Option<i64>,
    /// Kept only while the command may have to be begun again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Map<String, Value>>,
    pub reply: Reply,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Trouble>,
    /// Whether the broker has the answer.
    pub answered: bool,
}

/// Where an answer goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    pub topic: String,
    /// MQTT 5 correlation data, to be echoed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Vec<u8>>,
}

/// What outlives the commands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Marks {
    /// See [`Journal::floor`], seconds since 1970.
    floor: i64,
    /// See [`Journal::may_have_forgotten`], seconds since 1970.
    #[serde(default)]
    forgotten: i64,
    /// The highest sequence number accepted, by command name.
    seq: BTreeMap<String, u64>,
}

struct Brief {
    exp: i64,
    ended: bool,
}

/// Why a command cannot be remembered.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{CAPACITY} commands are remembered already and none of them has expired")]
    Full,
    #[error("the commands' directory cannot be written: {0}; free some space or check the storage")]
    Io(#[from] io::Error),
}

/// See the module. Every method that takes a path's worth of work blocks.
pub struct Journal {
    dir: PathBuf,
    known: BTreeMap<CommandId, Brief>,
    marks: Marks,
}

impl Journal {
    /// Opens `dir/commands`, making it if need be; gives the commands that have not ended, or whose answer nobody has.
    /// A file that is damaged is removed: its command is forgotten.
    ///
    /// # Errors
    /// I/O.
    pub fn open(dir: &Path) -> io::Result<(Self, Vec<Entry>)> {
        let dir = dir.join("commands");
        fs::create_dir_all(&dir)?;
        durable::sync_dir(durable::parent(&dir))?;
        let mut journal = Self {
            marks: read(&dir.join("marks.json"))?.unwrap_or_default(),
            known: BTreeMap::new(),
            dir,
        };
        let mut open = Vec::new();
        for file in fs::read_dir(&journal.dir)? {
            let path = file?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let id = name.and_then(|name| CommandId::parse(name.strip_suffix(".json")?).ok());
            let Some(id) = id else { continue };
            match read::<Entry>(&path)? {
                Some(entry) if entry.id == id => {
                    journal.note(&entry);
                    if !entry.state.is_final() || !entry.answered {
                        open.push(entry);
                    }
                }
                _ => {
                    warn!(%id, "the record of a command is damaged; it is forgotten");
                    fs::remove_file(&path)?;
                }
            }
        }
        Ok((journal, open))
    }

    /// The commands remembered in `dir`, the latest first: what was asked and what became of it, without arguments and
    /// results. Touches nothing.
    ///
    /// # Errors
    /// I/O.
    pub fn summary(dir: &Path) -> io::Result<Vec<Value>> {
        let mut entries: Vec<Entry> = Vec::new();
        for file in fs::read_dir(dir.join("commands"))? {
            entries.extend(read::<Entry>(&file?.path())?);
        }
        entries.sort_by_key(|entry| (Reverse(entry.exp), entry.id.clone()));
        let brief = |entry: Entry| {
            json!({
                "id": entry.id,
                "kid": entry.kid,
                "name": entry.name,
                "seq": entry.seq,
                "state": entry.state,
                "time": entry.time,
                "error": entry.error.map(|trouble| trouble.code),
                "answered": entry.answered,
            })
        };
        Ok(entries.into_iter().map(brief).collect())
    }

    /// The latest moment this box has known for sure: whatever the clock says, it is later.
    #[must_use]
    pub fn floor(&self) -> Timestamp {
        Timestamp::from_second(self.marks.floor).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Whether a command with this id was accepted or rejected before.
    #[must_use]
    pub fn knows(&self, id: &CommandId) -> bool {
        self.known.contains_key(id)
    }

    /// Whether a command that expires at `exp` (seconds since 1970) and is not known may have been known. Only a clock that
    /// was ahead and was set back makes this true for a command that has not expired: it might be done a second time.
    #[must_use]
    pub const fn may_have_forgotten(&self, exp: i64) -> bool {
        exp <= self.marks.forgotten
    }

    /// What is remembered of a command.
    ///
    /// # Errors
    /// I/O.
    pub fn get(&self, id: &CommandId) -> io::Result<Option<Entry>> {
        if !self.knows(id) {
            return Ok(None);
        }
        read(&self.path(id))
    }

    /// The highest sequence number accepted for commands of this name.
    #[must_use]
    pub fn last_seq(&self, name: &str) -> Option<u64> {
        self.marks.seq.get(name).copied()
    }

    /// Remembers a new command. `ordered`: no command of its name with the same or a lower sequence number may follow.
    ///
    /// # Errors
    /// [`JournalError`]; then it is not remembered.
    pub fn add(&mut self, entry: &Entry, ordered: bool, now: Stamp) -> Result<(), JournalError> {
        self.make_room(now)?;
        if ordered && (self.marks.seq.len() < MOST_NAMES || self.last_seq(&entry.name).is_some()) {
            let mut marks = self.marks.clone();
            marks.seq.insert(entry.name.clone(), entry.seq);
            write(&self.dir.join("marks.json"), &marks)?;
            self.marks = marks;
        }
        self.update(entry)?;
        Ok(())
    }

    /// Writes what has become of a command.
    ///
    /// # Errors
    /// I/O; the older record stays.
    pub fn update(&mut self, entry: &Entry) -> io::Result<()> {
        write(&self.path(&entry.id), entry)?;
        self.note(entry);
        Ok(())
    }

    fn note(&mut self, entry: &Entry) {
        let brief = Brief {
            exp: entry.exp,
            ended: entry.state.is_final(),
        };
        self.known.insert(entry.id.clone(), brief);
        self.marks.floor = self.marks.floor.max(entry.accepted.unwrap_or(0));
    }

    fn path(&self, id: &CommandId) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    fn make_room(&mut self, now: Stamp) -> Result<(), JournalError> {
        let now = match now.synced {
            true => now.wall.as_second(),
            false => self.marks.floor,
        };
        let mut over: Vec<(i64, CommandId)> = self
            .known
            .iter()
            .filter(|(_, brief)| brief.ended && brief.exp <= now)
            .map(|(id, brief)| (brief.exp, id.clone()))
            .collect();
        over.sort_unstable();
        let excess = (self.known.len() + 1).saturating_sub(CAPACITY);
        let old = over.partition_point(|(exp, _)| exp + KEEP_S <= now);
        over.truncate(excess.max(old));
        if over.len() < excess {
            return Err(JournalError::Full);
        }
        let Some((latest, _)) = over.last() else {
            return Ok(());
        };
        // First what stands in for them: they are expired for good.
        self.marks.floor = self.marks.floor.max(*latest);
        self.marks.forgotten = self.marks.forgotten.max(*latest);
        write(&self.dir.join("marks.json"), &self.marks)?;
        for (_, id) in over {
            match fs::remove_file(self.path(&id)) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why.into()),
                _ => self.known.remove(&id),
            };
        }
        Ok(())
    }
}

/// Writes a small file with its checksum.
pub(super) fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_string(value)?;
    let crc = crc32c::crc32c(json.as_bytes());
    durable::write(path, format!("{crc:08x}\n{json}\n").as_bytes())
}

/// `None` where the file is missing or damaged.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::metadata(path) {
        Ok(meta) if meta.len() > LARGEST_FILE => return Ok(None),
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let bytes = fs::read(path)?;
    let parse = || -> Option<T> {
        let text = str::from_utf8(&bytes).ok()?;
        let (crc, json) = text.strip_suffix('\n')?.split_once('\n')?;
        let crc = u32::from_str_radix(crc, 16).ok()?;
        (crc == crc32c::crc32c(json.as_bytes())).then(|| serde_json::from_str(json).ok())?
    };
    Ok(parse())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: i64 = 1_800_000_000;

    fn at(second: i64, synced: bool) -> Stamp {
        Stamp {
            wall: Timestamp::from_second(second).unwrap(),
            boot: Duration::ZERO,
            synced,
        }
    }

    fn entry(number: u8, exp: i64, state: State) -> Entry {
        Entry {
            id: CommandId::from_random([number; 16]),
            kid: "ops".into(),
            name: "ping".into(),
            exp,
            seq: number.into(),
            state,
            time: String::new(),
            accepted: Some(NOW),
            args: None,
            reply: Reply {
                topic: "t".into(),
                correlation: Some(vec![0, 255]),
            },
            result: Some(serde_json::json!({"a": 1.5})),
            error: None,
            answered: false,
        }
    }

    #[test]
    fn what_was_remembered_is_there_after_a_restart_and_what_is_open_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, open) = Journal::open(dir.path()).unwrap();
        assert!(open.is_empty());
        let running = entry(1, NOW + 60, State::Accepted);
        let mut done = entry(2, NOW + 60, State::Succeeded);
        let unheard = entry(3, NOW + 60, State::Failed);
        done.answered = true;
        for entry in [&running, &done, &unheard] {
            journal.add(entry, true, at(NOW, true)).unwrap();
        }
        let (journal, mut open) = Journal::open(dir.path()).unwrap();
        open.sort_by_key(|entry| entry.seq);
        assert_eq!(open, [running, unheard]);
        assert_eq!(journal.get(&done.id).unwrap(), Some(done));
        assert_eq!(
            (journal.last_seq("ping"), journal.last_seq("x")),
            (Some(3), None)
        );
        assert_eq!(journal.floor().as_second(), NOW);
    }

    #[test]
    fn a_damaged_record_is_forgotten_and_the_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path()).unwrap();
        for number in 0..4 {
            let entry = entry(number, NOW + 60, State::Succeeded);
            journal.add(&entry, false, at(NOW, true)).unwrap();
        }
        let path = |number| journal.path(&CommandId::from_random([number; 16]));
        let mut bytes = fs::read(path(0)).unwrap();
        bytes[40] ^= 1;
        durable::write(&path(0), &bytes).unwrap();
        durable::write(&path(1), b"").unwrap();
        fs::rename(path(2), path(9)).unwrap();
        let (journal, open) = Journal::open(dir.path()).unwrap();
        assert_eq!((journal.known.len(), open.len()), (1, 1));
        assert!(!path(0).exists() && path(3).exists());
    }

    #[test]
    fn a_full_journal_lets_the_expired_go_and_never_one_that_could_be_replayed() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path()).unwrap();
        for number in 0..=255 {
            let state = match number {
                0 => State::Accepted,
                _ => State::Succeeded,
            };
            let entry = entry(number, NOW + i64::from(number), state);
            journal.add(&entry, false, at(NOW, true)).unwrap();
        }
        let mut more = entry(1, NOW + 900, State::Succeeded);
        more.id = CommandId::from_random(*b"one command more");
        let full = journal.add(&more, false, at(NOW, true));
        assert!(matches!(full, Err(JournalError::Full)), "{full:?}");
        // The one still running stays though its time is over; the next one goes.
        journal.add(&more, false, at(NOW + 1, true)).unwrap();
        assert!(journal.knows(&CommandId::from_random([0; 16])));
        assert!(!journal.knows(&CommandId::from_random([1; 16])));
        assert_eq!(journal.floor().as_second(), NOW + 1);
        // Without a clock nothing counts as expired but what was before.
        more.id = CommandId::from_random(*b"another one more");
        let full = journal.add(&more, false, at(NOW + 9_999, false));
        assert!(matches!(full, Err(JournalError::Full)), "{full:?}");
        let (journal, _) = Journal::open(dir.path()).unwrap();
        assert_eq!(
            (journal.known.len(), journal.floor().as_second()),
            (256, NOW + 1)
        );
    }

    #[test]
    fn what_a_clock_that_was_ahead_made_it_forget_cannot_come_again_when_the_clock_is_right() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path()).unwrap();
        let done = entry(1, NOW + 600, State::Succeeded);
        journal.add(&done, false, at(NOW, true)).unwrap();
        assert!(!journal.may_have_forgotten(NOW + 1));
        let a_year_ahead = NOW + 365 * 86_400;
        let other = entry(2, a_year_ahead + 60, State::Succeeded);
        journal.add(&other, false, at(a_year_ahead, true)).unwrap();
        assert!(!journal.knows(&done.id));
        let (journal, _) = Journal::open(dir.path()).unwrap();
        assert!(journal.may_have_forgotten(done.exp));
        assert!(!journal.may_have_forgotten(done.exp + 1));
    }

    #[test]
    fn a_week_after_its_expiry_a_command_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path()).unwrap();
        journal
            .add(&entry(1, NOW, State::Succeeded), false, at(NOW, true))
            .unwrap();
        let later = at(NOW + KEEP_S, true);
        journal
            .add(&entry(2, NOW + KEEP_S + 60, State::Succeeded), false, later)
            .unwrap();
        assert_eq!(journal.known.len(), 1);
    }
}
