//! Makes the history of a directory out of a trace: which file each descriptor meant, what was written where, which
//! names came and went, and what the traced program said meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::disk::{Change, History, Node, Step, Sync, Tree};
use crate::trace::{self, Arg, Call};

/// A history, and the lines on standard output with the moment each began to be written.
pub struct Replayed {
    pub history: History,
    pub said: Vec<(usize, String)>,
    /// Moments at which something happened to the directory or was said.
    pub moments: Vec<usize>,
    /// The directory at the end, as the history has it.
    pub end: Tree,
    /// The process ended within calls of which nobody knows whether they were carried out.
    pub cut_short: bool,
}

struct Open {
    node: usize,
    at: usize,
}

struct Replay<'a> {
    root: &'a str,
    /// As a program would see it now.
    now: Tree,
    open: HashMap<i64, Open>,
    out: Replayed,
    line: Vec<u8>,
}

/// Where a path leads.
enum Place {
    Elsewhere,
    Root,
    Name(usize, String),
}

/// `start`: what was in the directory `root` when the trace began.
pub fn replay(trace: &Path, root: &str, start: Tree) -> Replayed {
    let (calls, cut_short) = trace::read(trace);
    let mut ordered: Vec<&Call> = calls.iter().collect();
    // A descriptor is there when its open has ended and gone when its close begins.
    let opens = |call: &Call| {
        call.name.starts_with("open") || call.name.starts_with("dup") || call.name == "fcntl"
    };
    ordered.sort_by_key(|call| if opens(call) { call.end } else { call.begin });
    let history = History {
        start: start.clone(),
        steps: Vec::new(),
        syncs: Vec::new(),
    };
    let mut replay = Replay {
        root,
        now: start,
        open: HashMap::new(),
        out: Replayed {
            history,
            said: Vec::new(),
            moments: Vec::new(),
            end: Tree(Vec::new()),
            cut_short,
        },
        line: Vec::new(),
    };
    for call in ordered {
        replay.call(call);
    }
    replay.out.end = replay.now;
    replay.out.moments.sort_unstable();
    replay.out
}

impl Replay<'_> {
    fn call(&mut self, call: &Call) {
        match call.name.as_str() {
            "open" => panic!("open is not understood"),
            "openat" => self.open_file(call),
            "close" => drop(self.open.remove(&call.number(0))),
            "fcntl" if !call.word(1).starts_with("F_DUPFD") => {}
            "dup" | "dup2" | "dup3" | "fcntl" => {
                if let Some(Open { node, at }) = self.open.get(&call.number(0)) {
                    let copy = Open {
                        node: *node,
                        at: *at,
                    };
                    self.open.insert(call.result, copy);
                }
            }
            "write" if call.number(0) == 1 => self.say(call),
            "write" => {
                let Some(open) = self.open.get_mut(&call.number(0)) else {
                    return;
                };
                let (node, at) = (open.node, open.at);
                let data = call.text(1)[..call.result as usize].to_vec();
                open.at += data.len();
                self.step(call, node, Change::Write { at, data });
            }
            "pwrite64" => {
                let data = call.text(1)[..call.result as usize].to_vec();
                self.content(
                    call,
                    Change::Write {
                        at: call.number(3) as usize,
                        data,
                    },
                );
            }
            "ftruncate" => self.content(call, Change::Resize(call.number(1) as usize)),
            "fallocate" => {
                assert_eq!(call.word(1), "0", "how does it allocate?");
                self.content(
                    call,
                    Change::Extend((call.number(2) + call.number(3)) as usize),
                );
            }
            "lseek" => {
                if let Some(open) = self.open.get_mut(&call.number(0)) {
                    open.at = call.result as usize;
                }
            }
            "copy_file_range" => self.copy(call),
            "rename" => self.rename(
                call,
                self.place(None, call.text(0)),
                self.place(None, call.text(1)),
            ),
            "renameat" | "renameat2" => {
                let from = self.place(Some(&call.args[0]), call.text(1));
                let to = self.place(Some(&call.args[2]), call.text(3));
                self.rename(call, from, to);
            }
            "unlink" | "rmdir" => self.unlink(call, self.place(None, call.text(0))),
            "unlinkat" => self.unlink(call, self.place(Some(&call.args[0]), call.text(1))),
            "mkdir" => self.make_dir(call, self.place(None, call.text(0))),
            "mkdirat" => self.make_dir(call, self.place(Some(&call.args[0]), call.text(1))),
            "fsync" | "fdatasync" => {
                let Some(open) = self.open.get(&call.number(0)) else {
                    return;
                };
                let node = open.node;
                let path = self.name_of(node);
                self.out.moments.extend([call.begin, call.end]);
                self.out.history.syncs.push(Sync {
                    node,
                    path,
                    begin: call.begin,
                    end: call.end,
                });
            }
            // It promises nothing.
            "sync_file_range" => {}
            name => {
                let is_ours = |arg: &Arg| match arg {
                    Arg::Text(text) => text.starts_with(self.root.as_bytes()),
                    Arg::Word(word) => word
                        .parse()
                        .is_ok_and(|number: i64| self.open.contains_key(&number)),
                };
                assert!(!call.args.iter().any(is_ours), "{name} is not understood");
            }
        }
    }

    fn open_file(&mut self, call: &Call) {
        let place = self.place(Some(&call.args[0]), call.text(1));
        let flags = call.word(2);
        assert!(!flags.contains("O_APPEND"), "appending is not understood");
        let node = match place {
            Place::Elsewhere => return,
            Place::Root => 0,
            Place::Name(dir, name) => match self.child(dir, &name) {
                Some(node) => node,
                None => {
                    assert!(
                        flags.contains("O_CREAT"),
                        "{name} was opened and is not there"
                    );
                    self.make(call, dir, name, Node::File(Vec::new()))
                }
            },
        };
        let is_empty = matches!(&self.now.0[node], Node::File(content) if content.is_empty());
        if flags.contains("O_TRUNC") && !is_empty {
            self.step(call, node, Change::Resize(0));
        }
        self.open.insert(call.result, Open { node, at: 0 });
    }

    fn make_dir(&mut self, call: &Call, place: Place) {
        if let Place::Name(dir, name) = place {
            self.make(call, dir, name, Node::Dir(BTreeMap::new()));
        }
    }

    fn make(&mut self, call: &Call, dir: usize, name: String, empty: Node) -> usize {
        let node = self.now.0.len();
        self.now.0.push(empty.clone());
        self.out.history.start.0.push(empty);
        self.step(call, dir, Change::Link { name, node });
        node
    }

    fn unlink(&mut self, call: &Call, place: Place) {
        if let Place::Name(dir, name) = place {
            self.step(call, dir, Change::Unlink { name });
        }
    }

    fn rename(&mut self, call: &Call, from: Place, to: Place) {
        match (from, to) {
            (Place::Elsewhere, Place::Elsewhere) => {}
            (Place::Name(dir, from), Place::Name(other, to)) if dir == other => {
                self.step(call, dir, Change::Rename { from, to });
            }
            _ => panic!("a rename between directories is not understood"),
        }
    }

    fn copy(&mut self, call: &Call) {
        let Some(to) = self.open.get(&call.number(2)) else {
            return;
        };
        assert_eq!(
            (call.word(1), call.word(3)),
            ("NULL", "NULL"),
            "from where to where?"
        );
        let (node, at) = (to.node, to.at);
        let length = call.result as usize;
        let from = self.open.get_mut(&call.number(0)).unwrap();
        let Node::File(content) = &self.now.0[from.node] else {
            unreachable!()
        };
        let data = content[from.at..from.at + length].to_vec();
        from.at += length;
        self.open.get_mut(&call.number(2)).unwrap().at += length;
        self.step(call, node, Change::Write { at, data });
    }

    fn content(&mut self, call: &Call, change: Change) {
        if let Some(open) = self.open.get(&call.number(0)) {
            self.step(call, open.node, change);
        }
    }

    fn step(&mut self, call: &Call, node: usize, change: Change) {
        let step = Step {
            node,
            change,
            begin: call.begin,
            end: call.end,
        };
        self.now.apply(&step);
        self.out.moments.extend([step.begin, step.end]);
        self.out.history.steps.push(step);
    }

    fn say(&mut self, call: &Call) {
        self.out.moments.push(call.begin);
        for &byte in &call.text(1)[..call.result as usize] {
            match byte {
                b'\n' => {
                    let line = String::from_utf8(std::mem::take(&mut self.line)).unwrap();
                    self.out.said.push((call.begin, line));
                }
                byte => self.line.push(byte),
            }
        }
    }

    fn child(&self, dir: usize, name: &str) -> Option<usize> {
        match &self.now.0[dir] {
            Node::Dir(names) => names.get(name).copied(),
            Node::File(_) => None,
        }
    }

    /// Where a path leads that is given from the descriptor `from`.
    fn place(&self, from: Option<&Arg>, path: &[u8]) -> Place {
        let path = std::str::from_utf8(path).unwrap();
        let (mut dir, inside) = if path.starts_with('/') {
            match path.strip_prefix(self.root) {
                Some("") => return Place::Root,
                Some(inside) if inside.starts_with('/') => (0, &inside[1..]),
                _ => return Place::Elsewhere,
            }
        } else {
            let Some(Arg::Word(word)) = from else {
                return Place::Elsewhere;
            };
            match word
                .parse()
                .ok()
                .and_then(|number: i64| self.open.get(&number))
            {
                Some(open) => (open.node, path),
                None => return Place::Elsewhere,
            }
        };
        let mut parts = inside.trim_end_matches('/').split('/').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return Place::Name(dir, part.to_owned());
            }
            dir = self
                .child(dir, part)
                .unwrap_or_else(|| panic!("{path} leads nowhere"));
        }
        Place::Root
    }

    fn name_of(&self, node: usize) -> String {
        let mut path = String::new();
        let mut at = node;
        while at != 0 {
            let above = self
                .now
                .0
                .iter()
                .enumerate()
                .find_map(|(dir, entry)| match entry {
                    Node::Dir(names) => names
                        .iter()
                        .find(|(_, n)| **n == at)
                        .map(|(name, _)| (dir, name)),
                    Node::File(_) => None,
                });
            let Some((dir, name)) = above else {
                return format!("(gone){path}");
            };
            path = format!("/{name}{path}");
            at = dir;
        }
        path
    }
}
