//! What is wrong with a config file, one line per fault.

use std::fmt;
use std::path::PathBuf;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub file: PathBuf,
    /// Line in the file, from 1, where it is known.
    pub line: Option<usize>,
    /// The key's full path, such as `camera[0].fps`; empty when the fault is about the whole file.
    pub key: String,
    /// The value as it stands in the file, shortened.
    pub value: Option<String>,
    /// What was expected or what to do.
    pub expected: String,
    /// A valid key or value that looks like what was written.
    pub nearest: Option<String>,
}

impl Fault {
    /// The fault for somebody who does not know the file: key, value and what was expected.
    #[must_use]
    pub fn without_file(&self) -> String {
        Bare(self).to_string()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", Bare(self))
    }
}

struct Bare<'a>(&'a Fault);

impl fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(fault) = self;
        if !fault.key.is_empty() {
            f.write_str(&fault.key)?;
            if let Some(value) = &fault.value {
                write!(f, " = {value}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&fault.expected)?;
        match &fault.nearest {
            Some(nearest) => write!(f, " (did you mean `{nearest}`?)"),
            None => Ok(()),
        }
    }
}

/// All faults that were found; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, fault) in self.0.iter().enumerate() {
            if position > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

/// The candidate that looks most like `word`, when one looks like it at all.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}
