//! A serial scanner without hardware: a pseudo terminal behind a path that comes and goes, as udev's links do.

#![allow(dead_code)] // each test file uses its own part

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

pub struct SerialScanner {
    link: PathBuf,
    cable: Option<File>,
}

impl SerialScanner {
    /// Not plugged in yet.
    pub fn at(link: &Path) -> Self {
        Self {
            link: link.to_owned(),
            cable: None,
        }
    }

    pub fn plug_in(&mut self) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        symlink(name.to_str().unwrap(), &self.link).unwrap();
        self.cable = Some(File::from(master));
    }

    pub fn unplug(&mut self) {
        std::fs::remove_file(&self.link).unwrap();
        self.cable = None;
    }

    /// What the scanner sends. Only once the reader is there: what came before is passed over.
    pub fn send(&mut self, bytes: &[u8]) {
        self.cable.as_mut().unwrap().write_all(bytes).unwrap();
    }
}
