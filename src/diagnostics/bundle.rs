//! The bundle's file: a gzipped tar of small texts, with a README that says what is inside and what was cut.

use std::io;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

/// One text, bytes.
const MOST_BYTES: usize = 512 * 1024;

/// One file in a bundle.
pub struct Part {
    pub name: &'static str,
    /// One line for the README.
    pub about: &'static str,
    pub text: String,
    /// Whether its end matters more than its beginning, when it has to be cut.
    pub newest_last: bool,
}

/// Packs `parts`, already without secrets, into one file.
///
/// # Errors
/// Of the archive; nothing touches a disk.
pub fn pack(box_id: &str, made: Timestamp, parts: &[Part]) -> io::Result<Vec<u8>> {
    let mut readme = format!(
        "footfall diagnostics of box {box_id}, {made}\n\nMade to be sent: no passwords, PINs or keys, no users or queries of URLs, no addresses of\nphones, no codes of customers, no pictures and no events.\n\n"
    );
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    let mut add = |name: &str, text: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(u64::try_from(made.as_second()).unwrap_or(0));
        header.set_entry_type(tar::EntryType::Regular);
        archive.append_data(&mut header, format!("footfall/{name}"), text)
    };
    for part in parts {
        let bytes = part.text.as_bytes();
        let over = bytes.len().saturating_sub(MOST_BYTES);
        let kept = if part.newest_last {
            bytes.get(over..)
        } else {
            bytes.get(..bytes.len() - over)
        };
        add(part.name, kept.unwrap_or_default())?;
        readme += &format!("{}: {}", part.name, part.about);
        if over > 0 {
            let end = if part.newest_last { "beginning" } else { "end" };
            readme += &format!(" (cut: {over} bytes at its {end} are missing)");
        }
        readme.push('\n');
    }
    add("README.txt", readme.as_bytes())?;
    archive.into_inner()?.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_bundle_can_be_unpacked_and_says_what_was_cut() {
        let part = |name, text: String, newest_last| Part {
            name,
            about: "something",
            text,
            newest_last,
        };
        let long = "0123456789".repeat(MOST_BYTES / 10 + 7);
        let parts = [
            part("log.txt", long.clone() + "the end", true),
            part("status.json", "the beginning".to_owned() + &long, false),
            part("short.txt", "läuft".to_owned(), false),
        ];
        let bundle = pack("b", Timestamp::UNIX_EPOCH, &parts).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&*bundle));
        let mut texts = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            texts.push((name, text));
        }
        let names: Vec<_> = texts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "footfall/log.txt",
                "footfall/status.json",
                "footfall/short.txt",
                "footfall/README.txt"
            ]
        );
        assert!(texts[0].1.ends_with("the end") && texts[0].1.len() == MOST_BYTES);
        assert!(texts[1].1.starts_with("the beginning"));
        assert_eq!(texts[2].1, "läuft");
        let readme = &texts[3].1;
        assert!(readme.contains("bytes at its beginning") && readme.contains("bytes at its end"));
        assert!(readme.contains("short.txt: something\n"), "{readme}");
    }
}
