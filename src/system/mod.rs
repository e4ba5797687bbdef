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
        assert!(disk_free_bytes(Path::new("/")) > 0);
        assert_eq!(disk_free_bytes(Path::new("/no/such/place")), 0);
    }
}
