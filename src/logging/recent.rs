//! The newest log lines, in memory: for a diagnostics bundle, when nobody can look at the journal. Bounded; what is older is
//! forgotten.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// What is kept, bytes.
const MOST_BYTES: usize = 256 * 1024;
/// Of one line, bytes.
const LONGEST_LINE: usize = 2048;

/// See the module.
pub static RECENT: Recent = Recent(Mutex::new(Lines {
    lines: VecDeque::new(),
    bytes: 0,
    forgotten: 0,
}));

/// A bounded log.
pub struct Recent(Mutex<Lines>);

struct Lines {
    lines: VecDeque<Box<str>>,
    bytes: usize,
    forgotten: u64,
}

impl Recent {
    /// The lines, oldest first, and how many came before them.
    #[must_use]
    pub fn text(&self) -> (String, u64) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (
            all.lines.iter().map(|line| &**line).collect(),
            all.forgotten,
        )
    }

    fn put(&self, line: &[u8]) {
        let cut = line.get(..LONGEST_LINE).unwrap_or(line);
        let mut text = String::from_utf8_lossy(cut).into_owned();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.bytes += text.len();
        all.lines.push_back(text.into());
        while all.bytes > MOST_BYTES
            && let Some(oldest) = all.lines.pop_front()
        {
            all.bytes -= oldest.len();
            all.forgotten += 1;
        }
    }
}

/// Each write is one whole line: so `tracing_subscriber` writes.
impl Write for &Recent {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_stay_however_much_is_logged_and_a_long_one_is_cut() {
        let recent = Recent(Mutex::new(Lines {
            lines: VecDeque::new(),
            bytes: 0,
            forgotten: 0,
        }));
        recent.put(&[b'x'; 100_000]);
        assert_eq!(recent.text().0.len(), LONGEST_LINE + 1);
        for number in 0..20_000 {
            recent.put(format!("line {number} of the log\n").as_bytes());
        }
        let (text, forgotten) = recent.text();
        assert!(text.len() <= MOST_BYTES && text.len() > MOST_BYTES - 100);
        assert!(text.ends_with("line 19999 of the log\n"));
        assert_eq!(forgotten, 20_001 - text.lines().count() as u64);
    }
}
