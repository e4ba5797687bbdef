//! Runs a command under `strace` and gives every system call that can change a file, with its data, when it began
//! and when it ended. strace sees what the kernel sees: no library in between can leave anything out.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What can change files or names, make them durable, or hand out the file descriptors for it.
const CALLS: &str = "trace=openat,open,creat,close,dup,dup2,dup3,fcntl,lseek,write,pwrite64,writev,pwritev,pwritev2,\
    copy_file_range,sendfile,ftruncate,truncate,fallocate,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,\
    mkdirat,link,linkat,symlink,symlinkat,fsync,fdatasync,sync,syncfs,sync_file_range";
/// Longest buffer that is recorded, bytes: far more than is written at once.
const LONGEST: &str = "67108864";

/// One system call that succeeded.
#[derive(Debug)]
pub struct Call {
    pub name: String,
    pub args: Vec<Arg>,
    pub result: i64,
    /// The lines of the trace at which it began and had ended. What happened in between was going on beside it.
    pub begin: usize,
    pub end: usize,
}

/// One argument of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arg {
    Text(Vec<u8>),
    /// Numbers, flags, structures: as strace writes them.
    Word(String),
}

impl Call {
    pub fn text(&self, at: usize) -> &[u8] {
        match &self.args[at] {
            Arg::Text(text) => text,
            Arg::Word(word) => panic!("{word} is no text: {} {at}", self.name),
        }
    }

    pub fn word(&self, at: usize) -> &str {
        match &self.args[at] {
            Arg::Word(word) => word,
            Arg::Text(_) => panic!("a text, no word: {} {at}", self.name),
        }
    }

    pub fn number(&self, at: usize) -> i64 {
        let word = self.word(at);
        word.parse()
            .unwrap_or_else(|_| panic!("{word} is no number: {} {at}", self.name))
    }
}

/// Whether this machine can trace; says loudly when it cannot.
pub fn is_possible() -> bool {
    let tried = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .output();
    let why = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("{error} (apt-get install strace)"),
    };
    eprintln!("\n*** SKIPPED: strace cannot trace here: {why} ***\n");
    false
}

/// Runs `command` to its end; the trace lies in `to` then.
pub fn record(command: &Command, to: &Path) {
    let mut traced = Command::new("strace");
    // Only the calls asked for stop the process (--seccomp-bpf).
    traced
        .args([
            "-f",
            "--seccomp-bpf",
            "-qq",
            "-e",
            "signal=none",
            "-s",
            LONGEST,
            "-e",
            CALLS,
            "-o",
        ])
        .arg(to)
        .arg(command.get_program())
        .args(command.get_args())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    for (name, value) in command.get_envs() {
        traced.env(name, value.unwrap_or_default());
    }
    let output = traced.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the traced part failed: {errors}");
}

/// The calls of a trace that succeeded, by their begin, and whether the process ended within others: nobody knows whether
/// those were carried out.
pub fn read(path: &Path) -> (Vec<Call>, bool) {
    let text = String::from_utf8(fs::read(path).unwrap()).unwrap();
    let mut calls = Vec::new();
    let mut unfinished: HashMap<&str, (usize, &str)> = HashMap::new();
    let mut cut_short = false;
    for (number, line) in text.lines().enumerate() {
        let (process, what) = line.split_once(' ').unwrap();
        let what = what.trim_start();
        if what.starts_with("+++") || what.starts_with("---") {
            continue;
        }
        if what.starts_with("???(") && what.ends_with("<detached ...>") {
            cut_short = true;
            continue;
        }
        if let Some(begun) = what.strip_suffix(" <unfinished ...>") {
            unfinished.insert(process, (number, begun));
            continue;
        }
        let resumed = what
            .strip_prefix("<... ")
            .map(|rest| rest.split_once(" resumed>").unwrap().1);
        let (begin, whole) = match resumed {
            Some(rest) => {
                let (begin, begun) = unfinished.remove(process).unwrap();
                (begin, format!("{begun}{rest}"))
            }
            None => (number, what.to_owned()),
        };
        calls.extend(call(&whole, begin, number));
    }
    calls.sort_by_key(|call| call.begin);
    (calls, cut_short || !unfinished.is_empty())
}

/// `name(arguments) = result`; `None` for a call that failed.
fn call(line: &str, begin: usize, end: usize) -> Option<Call> {
    let (name, rest) = line
        .split_once('(')
        .unwrap_or_else(|| panic!("no call: {line}"));
    let (args, result) = rest
        .rsplit_once(") ")
        .unwrap_or_else(|| panic!("no result: {line}"));
    let result = result
        .trim_start()
        .strip_prefix("= ")
        .unwrap_or_else(|| panic!("no result: {line}"));
    let result = result
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .ok()
        .filter(|result| *result >= 0)?;
    let (name, args) = (name.to_owned(), arguments(args.as_bytes()));
    Some(Call {
        name,
        args,
        result,
        begin,
        end,
    })
}

fn arguments(mut text: &[u8]) -> Vec<Arg> {
    let mut args = Vec::new();
    loop {
        text = text.trim_ascii_start();
        if text.is_empty() {
            return args;
        }
        if text[0] == b'"' {
            let (content, rest) = quoted(&text[1..]);
            assert!(!rest.starts_with(b"..."), "a buffer was cut short");
            args.push(Arg::Text(content));
            text = rest;
        } else {
            let mut depth = 0;
            let end = text.iter().position(|&byte| {
                depth += i32::from(b"[{(".contains(&byte)) - i32::from(b"]})".contains(&byte));
                byte == b',' && depth == 0
            });
            let (word, rest) = text.split_at(end.unwrap_or(text.len()));
            args.push(Arg::Word(String::from_utf8(word.to_vec()).unwrap()));
            text = rest;
        }
        text = text.strip_prefix(b",").unwrap_or(text);
    }
}

/// C's escapes up to the closing quote, and what follows it.
fn quoted(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut content = Vec::new();
    let mut at = 0;
    loop {
        let byte = text[at];
        at += 1;
        match byte {
            b'"' => return (content, &text[at..]),
            b'\\' => {}
            _ => {
                content.push(byte);
                continue;
            }
        }
        let escape = text[at];
        at += 1;
        content.push(match escape {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'v' => 11,
            b'f' => 12,
            b'0'..=b'7' => {
                let mut value = u32::from(escape - b'0');
                for _ in 0..2 {
                    if !(b'0'..=b'7').contains(&text[at]) {
                        break;
                    }
                    value = value * 8 + u32::from(text[at] - b'0');
                    at += 1;
                }
                u8::try_from(value).unwrap()
            }
            other => other,
        });
    }
}

#[test]
fn a_call_that_others_interrupt_is_one_call_with_its_bytes() {
    use std::io::Write;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let text = concat!(
        r#"7 pwrite64(6, "a,)\"\\\n\0\0011\377", 9, 4096 <unfinished ...>"#,
        "\n",
        r#"8 openat(AT_FDCWD, "/x", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)"#,
        "\n",
        "8 fsync(9)                                = 0\n",
        "7 <... pwrite64 resumed>)                  = 9\n",
        "8 +++ exited with 0 +++\n",
    );
    file.write_all(text.as_bytes()).unwrap();
    let (calls, cut_short) = read(file.path());
    assert_eq!((calls.len(), cut_short), (2, false));
    assert_eq!((calls[0].begin, calls[0].end), (0, 3));
    assert_eq!(calls[0].text(1), b"a,)\"\\\n\0\x011\xff");
    assert_eq!((calls[0].number(3), calls[0].result), (4096, 9));
    assert_eq!(
        (calls[1].name.as_str(), calls[1].begin, calls[1].end),
        ("fsync", 2, 2)
    );
    for ending in ["9 ???( <detached ...>\n", "9 fsync(3 <unfinished ...>\n"] {
        file.write_all(ending.as_bytes()).unwrap();
        let (calls, cut_short) = read(file.path());
        assert_eq!((calls.len(), cut_short), (2, true));
    }
}
