//! What a disk can hold after a power cut, from the system calls before it.
//!
//! What is relied on, and nothing more:
//! - `fsync(file)`, once it has returned: the data and the size that writes ended before it began gave that file
//!   (POSIX.1-2017, fsync; fdatasync the same, with the metadata needed to read the data). Not the file's name.
//! - `fsync(directory)`: the names in that directory as they were when it began (Linux man-pages, fsync(2), NOTES).
//! - A rename inside one directory happens or does not. So does a write inside one sector of 512 bytes.
//! - `sync_file_range` promises nothing (its man page: metadata and the drive's cache are left out).
//!
//! Everything else may be there or not, in any order: which orders file systems really change is surveyed in Pillai
//! et al., "All File Systems Are Not Created Equal", OSDI 2014. [`Model`] says what is assumed in one cut.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use fastrand::Rng;

/// What becomes of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Names are as they were; each sector or page of unsynced data is of any age.
    TornData,
    /// Also names are of any age, each for itself.
    LateNames,
    /// Everything up to some moment is there, nothing after it; the last write is cut (ext4 with `data=ordered` and
    /// without delayed allocation comes near it).
    Ordered,
    /// Nothing is there.
    Lost,
}

impl Model {
    pub const ALL: [Self; 4] = [Self::TornData, Self::LateNames, Self::Ordered, Self::Lost];
}

/// A file or directory by itself; its names are in directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    File(Vec<u8>),
    Dir(BTreeMap<String, usize>),
}

/// Files and directories; number 0 is the one above all.
#[derive(Clone, Debug)]
pub struct Tree(pub Vec<Node>);

/// One change of one file's content or one directory's names.
#[derive(Clone, Debug)]
pub enum Change {
    Write {
        at: usize,
        data: Vec<u8>,
    },
    Resize(usize),
    /// At least this long.
    Extend(usize),
    Link {
        name: String,
        node: usize,
    },
    Unlink {
        name: String,
    },
    Rename {
        from: String,
        to: String,
    },
}

/// A change, and the moments at which its call began and had ended.
#[derive(Clone, Debug)]
pub struct Step {
    pub node: usize,
    pub change: Change,
    pub begin: usize,
    pub end: usize,
}

/// An fsync of one file or directory.
#[derive(Clone, Debug)]
pub struct Sync {
    pub node: usize,
    /// Its name at that time, from the top.
    pub path: String,
    pub begin: usize,
    pub end: usize,
}

/// What happened to a directory.
pub struct History {
    /// Every file and directory there ever was, as it was at the start: empty when it was made later.
    pub start: Tree,
    pub steps: Vec<Step>,
    pub syncs: Vec<Sync>,
}

impl History {
    /// The disk after a power cut at this moment.
    pub fn cut(&self, moment: usize, model: Model, random: &mut Rng) -> Tree {
        let mut synced: HashMap<usize, usize> = HashMap::new();
        for sync in self.syncs.iter().filter(|sync| sync.end < moment) {
            let until = synced.entry(sync.node).or_default();
            *until = sync.begin.max(*until);
        }
        let durable = |step: &Step| {
            synced
                .get(&step.node)
                .is_some_and(|until| step.end < *until)
        };
        let begun: Vec<&Step> = self
            .steps
            .iter()
            .filter(|step| step.begin < moment)
            .collect();
        let mut tree = self.start.clone();
        match model {
            Model::Lost => begun
                .into_iter()
                .filter(|step| durable(step))
                .for_each(|step| tree.apply(step)),
            Model::Ordered => {
                let least = begun
                    .iter()
                    .rposition(|step| durable(step))
                    .map_or(0, |last| last + 1);
                // Half of the cuts hit a disk that had kept up.
                let most = begun.len();
                let kept = if random.bool() {
                    most
                } else {
                    random.usize(least..=most)
                };
                for (number, step) in begun.into_iter().take(kept).enumerate() {
                    let is_cut = number + 1 == kept && kept > least;
                    tree.apply(&if is_cut {
                        torn(step, random)
                    } else {
                        step.clone()
                    });
                }
            }
            Model::TornData | Model::LateNames => {
                let late = model == Model::LateNames;
                let dice = Dice::new(random);
                let mut names: BTreeMap<usize, Vec<(&Step, bool)>> = BTreeMap::new();
                let mut contents: BTreeMap<usize, (Vec<&Step>, Vec<&Step>)> = BTreeMap::new();
                for step in begun {
                    let done = durable(step);
                    if step.change.is_name() {
                        names
                            .entry(step.node)
                            .or_default()
                            .push((step, done || !late));
                    } else {
                        let (synced, open) = contents.entry(step.node).or_default();
                        if done {
                            synced.push(step)
                        } else {
                            open.push(step)
                        }
                    }
                }
                for (_, steps) in names {
                    kept_names(&steps, &dice, random)
                        .into_iter()
                        .for_each(|step| tree.apply(step));
                }
                for (node, (synced, open)) in contents {
                    synced.into_iter().for_each(|step| tree.apply(step));
                    let Node::File(content) = &mut tree.0[node] else {
                        continue;
                    };
                    tear(content, &open, late, &dice, random);
                }
            }
        }
        tree
    }
}

/// How one cut's dice fall: on the old side, on the new one, or evenly.
struct Dice {
    granule: usize,
    side: u8,
}

impl Dice {
    fn new(random: &mut Rng) -> Self {
        Self {
            granule: random.choice([512, 4096]).unwrap(),
            side: random.u8(0..4),
        }
    }

    /// How many of `count` changes, from the first on, are there.
    fn kept(&self, count: usize, random: &mut Rng) -> usize {
        match self.side {
            0 if random.u8(0..10) > 0 => 0,
            1 if random.u8(0..10) > 0 => count,
            _ => random.usize(0..=count),
        }
    }
}

/// The write up to a sector's end.
fn torn(step: &Step, random: &mut Rng) -> Step {
    let mut step = step.clone();
    if let Change::Write { at, data } = &mut step.change {
        let sectors = (*at + data.len()).div_ceil(512) - *at / 512;
        let end = (*at / 512 + random.usize(0..=sectors)) * 512;
        data.truncate(end.saturating_sub(*at));
    }
    step
}

/// The changes of one directory that are there. Those that have a name in common happen one after another; others
/// do not wait for each other.
fn kept_names<'a>(steps: &[(&'a Step, bool)], dice: &Dice, random: &mut Rng) -> Vec<&'a Step> {
    let mut group: Vec<usize> = (0..steps.len()).collect();
    for later in 0..steps.len() {
        for earlier in 0..later {
            if steps[later].0.change.shares_name(&steps[earlier].0.change)
                && group[earlier] != group[later]
            {
                let (old, new) = (group[later], group[earlier]);
                group
                    .iter_mut()
                    .filter(|g| **g == old)
                    .for_each(|g| *g = new);
            }
        }
    }
    let mut open: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, (_, done)) in steps.iter().enumerate() {
        *open.entry(group[number]).or_default() += usize::from(!done);
    }
    for count in open.values_mut() {
        *count = dice.kept(*count, random);
    }
    let mut kept = Vec::new();
    for (number, (step, done)) in steps.iter().enumerate() {
        let left = open.get_mut(&group[number]).unwrap();
        if *done {
            kept.push(*step);
        } else if *left > 0 {
            *left -= 1;
            kept.push(*step);
        }
    }
    kept
}

/// Applies unsynced changes to a file's content, each granule as far as chance wants.
fn tear(content: &mut Vec<u8>, open: &[&Step], late: bool, dice: &Dice, random: &mut Rng) {
    let mut sizes = vec![content.len()];
    let mut granules: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, step) in open.iter().enumerate() {
        let size = *sizes.last().unwrap();
        let (from, to, new) = match &step.change {
            Change::Write { at, data } => (*at, at + data.len(), size.max(at + data.len())),
            Change::Resize(to) => (*to, size.max(*to), *to),
            Change::Extend(to) => (size, size, size.max(*to)),
            _ => unreachable!("a change of names"),
        };
        sizes.push(new);
        for granule in from / dice.granule..to.div_ceil(dice.granule) {
            granules.entry(granule).or_default().push(number);
        }
    }
    let most = *sizes.iter().max().unwrap();
    content.resize(most, 0);
    for (granule, steps) in granules {
        let (from, to) = (
            granule * dice.granule,
            ((granule + 1) * dice.granule).min(most),
        );
        for &number in &steps[..dice.kept(steps.len(), random)] {
            match &open[number].change {
                Change::Write { at, data } => {
                    let (first, last) = (from.max(*at), to.min(at + data.len()));
                    content[first..last].copy_from_slice(&data[first - at..last - at]);
                }
                Change::Resize(size) => content[from.max(*size).min(to)..to].fill(0),
                _ => {}
            }
        }
    }
    let shrunk = open
        .iter()
        .any(|step| matches!(step.change, Change::Resize(_)));
    let size = if shrunk && !late {
        sizes.len() - 1
    } else {
        dice.kept(sizes.len() - 1, random)
    };
    content.truncate(sizes[size]);
    content.resize(sizes[size], 0);
}

impl Change {
    pub const fn is_name(&self) -> bool {
        matches!(
            self,
            Self::Link { .. } | Self::Unlink { .. } | Self::Rename { .. }
        )
    }

    fn names(&self) -> [Option<&str>; 2] {
        match self {
            Self::Link { name, .. } | Self::Unlink { name } => [Some(name), None],
            Self::Rename { from, to } => [Some(from), Some(to)],
            _ => [None, None],
        }
    }

    fn shares_name(&self, other: &Self) -> bool {
        let theirs = other.names();
        self.names()
            .iter()
            .flatten()
            .any(|name| theirs.contains(&Some(name)))
    }
}

impl Tree {
    /// What is in a directory.
    pub fn load(path: &Path) -> Self {
        let mut tree = Self(Vec::new());
        tree.add(path);
        tree
    }

    fn add(&mut self, path: &Path) -> usize {
        let number = self.0.len();
        if path.is_dir() {
            self.0.push(Node::Dir(BTreeMap::new()));
            let mut names = BTreeMap::new();
            for entry in fs::read_dir(path).unwrap() {
                let entry = entry.unwrap();
                names.insert(
                    entry.file_name().into_string().unwrap(),
                    self.add(&entry.path()),
                );
            }
            self.0[number] = Node::Dir(names);
        } else {
            self.0.push(Node::File(fs::read(path).unwrap()));
        }
        number
    }

    /// Changes the tree. A change of a name that is not there has no effect.
    pub fn apply(&mut self, step: &Step) {
        match (&mut self.0[step.node], &step.change) {
            (Node::File(content), Change::Write { at, data }) => {
                let end = at + data.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*at..end].copy_from_slice(data);
            }
            (Node::File(content), Change::Resize(size)) => content.resize(*size, 0),
            (Node::File(content), Change::Extend(size)) => {
                let size = content.len().max(*size);
                content.resize(size, 0);
            }
            (Node::Dir(names), Change::Link { name, node }) => {
                names.insert(name.clone(), *node);
            }
            (Node::Dir(names), Change::Unlink { name }) => {
                names.remove(name);
            }
            (Node::Dir(names), Change::Rename { from, to }) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
            (_, change) => panic!("no such change here: {change:?}"),
        }
    }

    /// Writes it all into an empty directory; zeros become holes.
    pub fn store(&self, path: &Path) {
        self.store_node(0, path);
    }

    fn store_node(&self, number: usize, path: &Path) {
        match &self.0[number] {
            Node::Dir(names) => {
                if number != 0 {
                    fs::create_dir(path).unwrap();
                }
                for (name, node) in names {
                    self.store_node(*node, &path.join(name));
                }
            }
            Node::File(content) => {
                let file = File::create(path).unwrap();
                file.set_len(content.len() as u64).unwrap();
                for (page, bytes) in content.chunks(4096).enumerate() {
                    if bytes.iter().any(|byte| *byte != 0) {
                        file.write_all_at(bytes, page as u64 * 4096).unwrap();
                    }
                }
            }
        }
    }

    /// The same names with the same content, whatever their numbers.
    pub fn is_same(&self, other: &Self) -> Result<(), String> {
        self.compare(0, other, 0, "")
    }

    fn compare(&self, mine: usize, other: &Self, theirs: usize, path: &str) -> Result<(), String> {
        match (&self.0[mine], &other.0[theirs]) {
            (Node::File(a), Node::File(b)) if a == b => Ok(()),
            (Node::Dir(a), Node::Dir(b)) if a.keys().eq(b.keys()) => {
                a.iter().try_for_each(|(name, node)| {
                    self.compare(*node, other, b[name], &format!("{path}/{name}"))
                })
            }
            (Node::Dir(a), Node::Dir(b)) => {
                Err(format!("{path}/: {:?} and {:?}", a.keys(), b.keys()))
            }
            (Node::File(a), Node::File(b)) => Err(format!(
                "{path}: {} and {} bytes, or other ones",
                a.len(),
                b.len()
            )),
            _ => Err(format!("{path}: a file and a directory")),
        }
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
