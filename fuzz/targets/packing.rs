//! Files of any bytes as lines: archives, compressed or plain; bounded, and nothing panics.

use std::path::PathBuf;
use std::sync::LazyLock;

use tapewatch::replay::lines::{LINE_BYTES_MAX, Line, Part};

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("tapewatch-fuzz-{}", std::process::id())));

pub fn run(bytes: &[u8]) {
    std::fs::write(&*FILE, bytes).unwrap();
    let Ok(parts) = Part::all_of(&FILE) else { return };
    for part in parts {
        let Ok(mut lines) = part.open(Default::default()) else { continue };
        // A small archive may unpack to very much: enough is seen soon.
        for _ in 0..100_000 {
            match lines.next_line() {
                Ok(Some(Line::Text(text) | Line::TooLong(text))) => assert!(text.len() <= LINE_BYTES_MAX * 2),
                _ => break,
            }
        }
    }
}
