//! Facts about the host and about this process.

use std::path::Path;

/// Resident memory of this process, bytes; 0 where `/proc` is missing.
#[must_use]
pub fn rss_bytes() -> u64 {
    // proc(5), /proc/pid/statm: the second field is resident pages.
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// Processor time this process has used so far, on all cores, seconds; 0 where `/proc` is missing.
#[must_use]
pub fn cpu_seconds() -> f64 {
    // proc(5), /proc/pid/stat: utime and stime are the 14th and 15th field; the 2nd, in brackets, may hold spaces.
    let ticks = std::fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|text| {
            let (_, rest) = text.rsplit_once(')')?;
            let mut fields = rest.split_whitespace().skip(11);
            let mut next = || fields.next()?.parse::<u64>().ok();
            Some(next()? + next()?)
        });
    ticks.unwrap_or(0) as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// Space that an ordinary user may still fill on the file system of `path`, bytes; 0 when unknown.
#[must_use]
pub fn disk_free_bytes(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_its_disk_has_a_size() {
        let touched = vec![1u8; 32 << 20];
        assert!(rss_bytes() > touched.iter().map(|byte| u64::from(*byte)).sum());
        assert!(cpu_seconds() > 0.0);
        assert!(disk_free_bytes(Path::new("/")) > 0);
        assert_eq!(disk_free_bytes(Path::new("/no/such/place")), 0);
    }
}
