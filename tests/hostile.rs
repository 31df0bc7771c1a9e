//! Hostile input: whatever is fed, the program says what is wrong, ends with the exit code of the
//! interface, never panics, and holds its memory.
//!
//! Files are made here; nothing of them is large on disk, and every run is bounded in time.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;

mod common;

const HEADER: &str = "exchange_time,trade_id,price,quantity,taker_side\n";
const BTC: [&str; 4] = ["--venue", "binance", "--symbol", "BTC-USDT"];

/// What became of one run.
struct Ended {
    /// `None`: killed by a signal.
    code: Option<i32>,
    summary: Value,
    messages: String,
    /// Lines of quarantine.jsonl.
    quarantine: Vec<Value>,
    /// Most memory held at once, where the system tells it.
    peak_kib: Option<u64>,
}

/// Runs the program in `folder`, without settings from outside; the last look at its memory is kept.
fn run(folder: &Path, words: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapewatch"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TAPEWATCH__") {
            command.env_remove(name);
        }
    }
    let out = fs::File::create(folder.join("stdout")).unwrap();
    let err = fs::File::create(folder.join("stderr")).unwrap();
    command.args(words).current_dir(folder).stdin(Stdio::null()).stdout(out).stderr(err);
    let mut child = command.spawn().expect("the program starts");
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak_kib = None;
    let mut looks = 0;
    let status = loop {
        // The high-water mark: it only rises, so the last look is a lower bound of the whole.
        let status = fs::read_to_string(&status_file).unwrap_or_default();
        let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak_kib = mark.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok()).max(peak_kib);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        looks += 1;
        if looks > 60_000 {
            child.kill().unwrap();
            panic!("{words:?} does not end");
        }
        #[expect(clippy::disallowed_methods, reason = "another process is waited for")]
        std::thread::sleep(Duration::from_millis(2));
    };
    let text = |name: &str| String::from_utf8_lossy(&fs::read(folder.join(name)).unwrap()).into_owned();
    let quarantine = fs::read_to_string(folder.join("out/quarantine.jsonl")).unwrap_or_default();
    let ended = Ended {
        code: status.code(),
        summary: serde_json::from_str(&text("stdout")).unwrap_or(Value::Null),
        messages: text("stderr"),
        quarantine: quarantine.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        peak_kib,
    };
    assert!(
        matches!(ended.code, Some(0..=2)) && !ended.messages.contains("panicked"),
        "{words:?} ends with {:?}: {}",
        ended.code,
        ended.messages
    );
    ended
}

/// Replays `bytes` under that name.
fn replay(name: &str, bytes: &[u8], flags: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
    let mut words = vec!["replay", name, "--out", "out", "--json"];
    words.extend(flags);
    run(folder.path(), &words)
}

fn check_parts(what: &str, ended: &Ended, code: i32, parts: &[&str]) {
    assert_eq!(ended.code, Some(code), "{what}: {}", ended.messages);
    for part in parts {
        assert!(ended.messages.contains(part), "{what}: {:?} lacks {part:?}", ended.messages);
    }
}

/// The whole file is refused.
fn check_refused(name: &str, bytes: &[u8], parts: &[&str]) {
    let ended = replay(name, bytes, &BTC);
    check_parts(name, &ended, 2, parts);
    assert!(ended.messages.contains(name), "{name} is not named: {}", ended.messages);
}

/// So many trades are taken, and the lines skipped are these, each for that reason.
fn check_skipped(what: &str, bytes: &[u8], trades: u64, skipped: &[(u64, &str)]) {
    let ended = replay("x.csv", bytes, &BTC);
    check_parts(what, &ended, 0, &[]);
    assert_eq!(ended.summary["trades"], trades, "{what}: {:?}", ended.quarantine);
    assert_eq!(ended.summary["quarantined"], skipped.len(), "{what}: {:?}", ended.quarantine);
    let mut found: Vec<_> = ended
        .quarantine
        .iter()
        .map(|row| (row["line"].as_u64().unwrap(), row["reason"].as_str().unwrap()))
        .collect();
    found.sort_unstable();
    assert_eq!(found.len(), skipped.len(), "{what}");
    for ((line, reason), (expected, part)) in found.iter().zip(skipped) {
        assert!(line == expected && reason.contains(part), "{what}: line {line}: {reason}; not {part:?}");
    }
    if let Some((line, _)) = ended.quarantine.first().map(|row| (row["line"].as_u64().unwrap(), ())) {
        let told = format!("skipped, see out/quarantine.jsonl; the first: x.csv, line {line}: ");
        assert!(ended.messages.contains(&told), "{what}: {}", ended.messages);
    }
}

/// Sound rows with the ids `first..first + count`, a second apart.
fn rows(first: u64, count: u64) -> String {
    (first..first + count)
        .map(|id| format!("{},{id},61000.5,0.25,buy\n", 1_714_521_600_000 + id * 1_000))
        .collect()
}

fn sound() -> String {
    format!("{HEADER}{}", rows(1, 20))
}

/// The sound rows (lines 2 to 21), and behind them these.
fn with_rows(more: &[&str]) -> Vec<u8> {
    format!("{}{}\n", sound(), more.join("\n")).into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A small and fixed source of bytes (xorshift, Marsaglia 2003).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

#[test]
fn files_that_are_no_recordings_are_refused() {
    let (whole, packed) = (sound(), gzip(sound().as_bytes()));
    check_refused("empty.csv", b"", &["is empty"]);
    check_refused("blank.csv", b"\n\r\n\n", &["nothing but blank lines"]);
    check_refused("cut.csv.gz", &packed[..packed.len() / 2], &["is cut short"]);
    check_refused("cut.gz", &packed[..3], &["is cut short", "line 1"]);
    check_refused("twice.csv.gz", &gzip(&packed), &["is of no format", "line 1"]);
    let mut crc = packed.clone();
    let at = crc.len() - 6;
    crc[at] ^= 1;
    check_refused("crc.csv.gz", &crc, &["is damaged", "checksum"]);
    check_refused(
        "tail.csv.gz",
        &[&packed[..], b"what does not belong here"].concat(),
        &["is damaged", "line 22"],
    );

    let archive = zip(&[("a.csv", whole.as_bytes())]);
    check_refused("cut.zip", &archive[..archive.len() / 2], &["no whole zip archive"]);
    let mut damaged = archive.clone();
    damaged[60] ^= 0xff;
    check_refused("bad.zip", &damaged, &["a.csv", "is damaged"]);
    check_refused("none.zip", &zip(&[]), &["holds no file"]);
    check_refused("inner.zip", &zip(&[("a.zip", &archive)]), &["a.zip", "is of no format"]);
    check_refused(
        "notes.zip",
        &zip(&[("a.csv", whole.as_bytes()), ("notes.txt", b"hello")]),
        &["notes.txt", "line 1 is \"hello\""],
    );

    check_refused("wrong.csv", b"\nwhen,what,why\n1,2,3\n", &["line 2 is \"when,what,why\"", "say --format"]);
    check_refused("utf16.csv", b"\xff\xfee\0x\0", &["UTF-16"]);
    check_refused("x.csv.zst", b"\x28\xb5\x2f\xfd1234", &["zstd"]);
    check_refused("noise.bin", &Noise(7).bytes(1 << 20), &["is of no format"]);
    check_refused(
        "noise.gz",
        &[b"\x1f\x8b\x08\0\0\0\0\0\0\0".to_vec(), Noise(8).bytes(10_000)].concat(),
        &["is damaged"],
    );
    check_refused("long.csv", &vec![b'a'; 20 << 20], &["is of no format"]);
    let renamed = whole.replacen("price", "prize", 1);
    let ended = replay("x.csv", renamed.as_bytes(), &[&BTC[..], &["--format", "csv"]].concat());
    check_parts("a renamed column", &ended, 2, &["x.csv", "line 1", "price", "allowed is exchange_time"]);
}

#[test]
fn sound_recordings_in_odd_clothes_are_read() {
    let whole = sound();
    let halves = [format!("{HEADER}{}", rows(1, 10)), format!("{HEADER}{}", rows(11, 10))];
    let two = zip(&[("b.csv", halves[1].as_bytes()), ("a.csv", halves[0].as_bytes())]);
    for (what, bytes) in [
        ("plain", whole.clone().into_bytes()),
        ("byte order mark", [b"\xef\xbb\xbf", whole.as_bytes()].concat()),
        ("CRLF", whole.replace('\n', "\r\n").into_bytes()),
        ("no last line end", whole.trim_end().as_bytes().to_vec()),
        ("gzip", gzip(whole.as_bytes())),
        ("two gzip members", [gzip(halves[0].as_bytes()), gzip(rows(11, 10).as_bytes())].concat()),
        ("two entries", two),
    ] {
        check_skipped(what, &bytes, 20, &[]);
    }
    check_skipped("a header alone", HEADER.as_bytes(), 0, &[]);
}

#[test]
fn bad_lines_are_skipped_and_named() {
    check_skipped(
        "prices",
        &with_rows(&[
            "1714521700000,21,NaN,1,buy",
            "1714521700000,21,-1,1,buy",
            "1714521700000,21,0,1,buy",
            "1714521700000,21,1e5,1,buy",
            "1714521700000,21,inf,1,buy",
            "1714521700000,21,1234567890123456789,1,buy",
            "1714521700000,21,0.0000000000000001,1,buy",
            "1714521700000,21,,1,buy",
            "1714521700000,21,1.000000000000000000000000000000,1,buy",
        ]),
        21,
        &[
            (22, "\"NaN\" is not a decimal"),
            (23, "\"-1\" is negative"),
            (24, "is zero"),
            (25, "has an exponent"),
            (26, "\"inf\""),
            (27, "more than 18 significant digits"),
            (28, "more than 15 digits after the point"),
            (29, "is empty"),
        ],
    );
    check_skipped(
        "quantities and sides",
        &with_rows(&[
            "1714521700000,21,1,0,buy",
            "1714521700000,21,1,-0.5,buy",
            "1714521700000,21,1,1,up",
            "1714521700000,21,1,1,",
        ]),
        21,
        &[(22, "quantity \"0\" is zero"), (23, "is negative"), (24, "neither buy nor sell")],
    );
    check_skipped(
        "times",
        &with_rows(&[
            "1000,21,1,1,buy",
            "-5,21,1,1,buy",
            "1714521700000000,21,1,1,buy",
            "18446744073709551616,21,1,1,buy",
            "4133980800000,21,1,1,buy",
            "NaN,21,1,1,buy",
        ]),
        20,
        &[
            (22, "before 2009-01-03"),
            (23, "before 2009-01-03"),
            (24, "counts microseconds, where milliseconds are expected"),
            (25, "outside"),
            (26, "after 2100"),
            (27, "is not a time"),
        ],
    );
    check_skipped(
        "ids",
        &with_rows(&[
            "1714521700000,18446744073709551615,1,1,buy",
            "1714521700000,18446744073709551616,1,1,buy",
            "1714521700000,-1,1,1,buy",
            "1714521700000,,1,1,buy",
            "1714521700000,1\0,1,1,buy",
        ]),
        20,
        &[
            (22, "no later trade confirmed it"),
            (23, "without the numeric id"),
            (24, "without the numeric id"),
            (25, "the venue promises one"),
            (26, "no id of at most 64"),
        ],
    );
    check_skipped(
        "a jump that nobody confirms",
        &with_rows(&["1714521700000,5000000,1,1,buy", "1714521701000,21,1,1,buy"]),
        21,
        &[(22, "more than 1000000 away")],
    );
    check_skipped(
        "a header in the middle",
        format!("{}{HEADER}{}", sound(), rows(21, 5)).as_bytes(),
        25,
        &[(22, "\"price\" is not a decimal")],
    );
    let swapped = format!("{HEADER}buy,1,1714521600000,61000,0.5\n");
    check_skipped("swapped columns", swapped.as_bytes(), 0, &[(2, "time \"buy\" is not a time")]);
    let long = format!("{}{},21,1,1,buy\n{}", sound(), "9".repeat(10 << 20), rows(21, 1));
    check_skipped("a line of 10 MB", long.as_bytes(), 21, &[(22, "is outside of")]);
    let longer = format!("{}{}\n{}", sound(), "9".repeat(17 << 20), rows(21, 1));
    check_skipped("a line of 17 MB", longer.as_bytes(), 21, &[(22, "longer than 16777216 bytes")]);
}

#[test]
fn a_confirmed_jump_restarts_the_numbering() {
    let text = with_rows(&["1714521700000,5000000,1,1,buy", "1714521701000,5000001,1,1,buy"]);
    let ended = replay("x.csv", &text, &BTC);
    check_parts("jump", &ended, 0, &[]);
    assert_eq!((ended.summary["trades"].as_u64(), ended.summary["gaps"].as_u64()), (Some(22), Some(1)));
}

#[test]
fn too_many_bad_lines_end_the_run() {
    let bad = |count: usize| format!("{}{}", sound(), "x\n".repeat(count));
    let ended = replay("x.csv", bad(1_000).as_bytes(), &BTC);
    check_parts("at the limit", &ended, 0, &["1000 lines were skipped"]);
    let ended = replay("x.csv", bad(1_001).as_bytes(), &BTC);
    check_parts("over the limit", &ended, 1, &["1001 lines", "1000 are allowed", "x.csv, line 1022"]);
    assert_eq!(ended.quarantine.len(), 1_001, "what was skipped stays beside the failure");
    let ended = replay("x.csv", bad(2).as_bytes(), &[&BTC[..], &["--max-quarantined", "1"]].concat());
    check_parts("over a limit of one", &ended, 1, &["--max-quarantined allows 1", "line 23"]);
    let ended = replay("x.csv", bad(3_000).as_bytes(), &[&BTC[..], &["--max-quarantined", "3000"]].concat());
    check_parts("a higher limit", &ended, 0, &["3000 lines were skipped"]);
}

#[test]
fn sums_of_the_longest_numbers_are_exact() {
    const NINES: &str = "999999999999999999";
    const COUNT: u128 = 5_000;
    let text: String = (0..COUNT)
        .map(|i| format!("{},{},{NINES},{NINES},buy\n", 1_714_521_600_000_u128 + i, i + 1))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.csv"), format!("{HEADER}{text}")).unwrap();
    let words = [&["replay", "x.csv", "--out", "out", "--json", "--intervals", "1h"], &BTC[..]].concat();
    check_parts("nines", &run(folder.path(), &words), 0, &[]);
    let candles = fs::read_to_string(folder.path().join("out/candles.csv")).unwrap();
    let row: Vec<_> = candles.lines().nth(1).unwrap().split(',').collect();
    let one: u128 = NINES.parse().unwrap();
    // 5,000 times the square is more than 128 bits hold: 5 times it, and three zeros.
    let square_sum = format!("{}000", one * one * 5);
    assert_eq!((row[9], row[10]), ((one * COUNT).to_string().as_str(), square_sum.as_str()));
    assert_eq!((row[11], row[14]), ("5000", NINES));
}

#[test]
fn places_and_pipes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("x.csv"), sound()).unwrap();
    fs::create_dir(at.join("dir")).unwrap();
    fs::create_dir(at.join("thesis")).unwrap();
    fs::write(at.join("thesis/thesis.tex"), "").unwrap();
    let check = |words: &[&str], code, parts: &[&str]| {
        let words = [&["replay", "--json"], &BTC[..], words].concat();
        check_parts(&format!("{words:?}"), &run(at, &words), code, parts);
    };
    check(&["absent.csv", "--out", "out"], 2, &["absent.csv does not exist"]);
    check(&["dir", "--out", "out"], 2, &["dir"]);
    check(&["x.csv/y", "--out", "out"], 2, &["x.csv/y cannot be opened"]);
    check(&["x.csv", "./x.csv", "--out", "out"], 2, &["is named twice"]);
    check(&["x.csv", "--out", "x.csv"], 2, &["x.csv", "is no directory"]);
    check(&["x.csv", "--out", "x.csv/y"], 2, &["is no directory"]);
    check(&["x.csv", "--out", "thesis"], 2, &["thesis.tex", "a new or an empty one"]);
    assert!(
        at.join("thesis/thesis.tex").exists() && fs::read_to_string(at.join("x.csv")).unwrap() == sound()
    );
    #[cfg(unix)]
    {
        assert!(Command::new("mkfifo").arg(at.join("pipe")).status().unwrap().success());
        // Nobody writes into it: to open it would be to wait forever.
        check(&["pipe", "--out", "out"], 2, &["pipe is a pipe or a device"]);
        check(&["/dev/zero", "--out", "out"], 2, &["/dev/zero is a pipe or a device"]);
        std::os::unix::fs::symlink("loop", at.join("loop")).unwrap();
        check(&["loop", "--out", "out"], 2, &["loop cannot be opened"]);
    }
}

#[test]
fn wrong_words_say_what_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("x.csv"), sound()).unwrap();
    let check = |flags: &[&str], parts: &[&str]| {
        let words = [&["replay", "x.csv", "--out", "out"], flags].concat();
        check_parts(&format!("{flags:?}"), &run(at, &words), 2, parts);
    };
    check(&[], &["x.csv", "say --venue"]);
    check(&["--venue", "binance"], &["say --symbol BASE-QUOTE"]);
    check(&["--venue", "BINANCE"], &["lower-case"]);
    for symbol in ["BTCUSDT", "btc-usdt", "-", "../../x-Y"] {
        check(&["--venue", "binance", &format!("--symbol={symbol}")], &["BASE-QUOTE"]);
    }
    for (flags, parts) in [
        (["--intervals", "7m"], ["\"7m\"", "allowed are 1s 5s"]),
        (["--intervals", "ticks:0"], ["ticks:0", "above zero"]),
        (["--intervals", ""], ["engine.intervals", "1 to 64"]),
        (["--indicators", "foo"], ["foo", "tapewatch check"]),
        (["--indicators", "sma(0)"], ["sma(0)", "from 1 to 10000"]),
        (["--indicators", "sma("], ["sma(", "name(number"]),
        (["--grace", "-1s"], ["\"-1s\"", "a whole number and a unit"]),
        (["--grace", "2"], ["\"2\"", "a whole number and a unit"]),
        (["--shards", "-1"], ["\"-1\"", "0 to 1024"]),
        (["--shards", "1000000"], ["1000000", "0 to 1024"]),
        (["--speed", "0"], ["--speed", "above zero"]),
        (["--speed", "-1"], ["--speed", "above zero"]),
        (["--speed", "NaN"], ["--speed", "above zero"]),
        (["--expect", "abc"], ["--expect", "64 hexadecimal digits"]),
        (["--from", "yesterday"], ["--from", "2024-05-01T00:00:00Z"]),
        (["--max-quarantined", "-1"], ["--max-quarantined", "whole number from 0"]),
        (["--format", "xml"], ["xml", "allowed are auto"]),
        (["--format", "binance-trades"], ["x.csv", "line 1"]),
        (["--config", "absent.toml"], ["absent.toml", "cannot be read"]),
    ] {
        check(&[&BTC[..], &flags].concat(), &parts);
    }
    let backwards = ["--from", "2024-05-02T00:00:00Z", "--to", "2024-05-01T00:00:00Z"];
    check(&[&BTC[..], &backwards].concat(), &["must be before"]);
    let endless = run(at, &["generate", "--to", "m.jsonl", "--duration-seconds", "99999999999999"]);
    check_parts("an endless market", &endless, 2, &["duration_seconds", "ends before 2101"]);
    assert!(!at.join("m.jsonl").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_and_leaves_nothing_half() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("x.csv"), sound()).unwrap();
    check_parts("import", &run(at, &[&["import", "x.csv", "--to", "j"], &BTC[..]].concat()), 0, &[]);
    let script = "\"$0\" \"$@\" > /dev/full";
    for words in [&["check"][..], &["config"], &["export", "j"], &["--help"]] {
        let output = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_tapewatch")])
            .args(words)
            .current_dir(at)
            .output()
            .unwrap();
        let messages = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {messages}");
        assert!(messages.contains("No space left"), "{words:?}: {messages}");
    }
    // A limit on the size of files stands for a full disk: results, and a market, end early.
    let limited = "ulimit -f 8; trap '' XFSZ; \"$0\" \"$@\"";
    for (words, left) in [
        (&["generate", "--to", "m.jsonl", "--duration-seconds", "600"][..], "m.jsonl"),
        (&[&["replay", "big.csv", "--out", "out"], &BTC[..]].concat(), "out/candles.csv"),
    ] {
        fs::write(at.join("big.csv"), format!("{HEADER}{}", rows(1, 2_000))).unwrap();
        let output = Command::new("sh")
            .args(["-c", limited, env!("CARGO_BIN_EXE_tapewatch")])
            .args(words)
            .current_dir(at)
            .output()
            .unwrap();
        let messages = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {messages}");
        assert!(messages.contains("File too large"), "{words:?}: {messages}");
        assert!(!at.join(left).exists(), "{left} is left half written");
    }
}

#[cfg(unix)]
#[test]
fn a_killed_run_can_be_run_again_into_the_same_place() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("x.csv"), format!("{HEADER}{}", rows(1, 2_000))).unwrap();
    let words = [&["replay", "x.csv", "--out", "out", "--json"], &BTC[..]].concat();
    // Paced, it would take half an hour: it is in the middle when its first file is there.
    let mut child = Command::new(env!("CARGO_BIN_EXE_tapewatch"))
        .args(&words)
        .args(["--speed", "1"])
        .current_dir(at)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..60_000 {
        if at.join("out/quarantine.jsonl.tmp").exists() {
            break;
        }
        #[expect(clippy::disallowed_methods, reason = "another process is waited for")]
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(child.try_wait().unwrap().is_none(), "it was still running");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!at.join("out/summary.json").exists() && at.join("out/quarantine.jsonl.tmp").exists());
    let again = run(at, &words);
    check_parts("again", &again, 0, &[]);
    let fresh = run(at, &[&["replay", "x.csv", "--out", "fresh", "--json"], &BTC[..]].concat());
    assert_eq!(again.summary["digest"], fresh.summary["digest"]);
    assert!(!at.join("out/quarantine.jsonl.tmp").exists());
}

#[test]
fn a_damaged_journal_is_reported_and_a_torn_one_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("x.csv"), format!("{HEADER}{}", rows(1, 2_000))).unwrap();
    check_parts("import", &run(at, &[&["import", "x.csv", "--to", "j"], &BTC[..]].concat()), 0, &[]);
    let segments = || fs::read_dir(at.join("j")).unwrap().map(|entry| entry.unwrap().path());
    let segment = segments().find(|path| path.to_string_lossy().contains(".twj")).unwrap();
    let whole = fs::read(&segment).unwrap();
    let words = ["replay", "j", "--out", "out", "--json"];
    let replayed = run(at, &words);
    check_parts("whole", &replayed, 0, &[]);
    assert_eq!(replayed.summary["trades"], 2_000);

    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0xff;
    fs::write(&segment, &damaged).unwrap();
    check_parts("damaged", &run(at, &words), 1, &["00001.twj", "offset"]);
    fs::write(&segment, Noise(9).bytes(10_000)).unwrap();
    check_parts("no segment", &run(at, &words), 2, &["00001.twj"]);
    // Cut short, it is read to its last whole block, and that is said.
    for cut in [1, 7, 100, whole.len() / 2] {
        fs::write(&segment, &whole[..whole.len() - cut]).unwrap();
        let torn = run(at, &words);
        check_parts(&format!("{cut} bytes less"), &torn, 0, &["00001.twj"]);
        assert!(torn.messages.contains("torn") || torn.messages.contains("offset"), "{}", torn.messages);
    }
}

#[test]
fn ten_thousand_symbols_work() {
    const SYMBOLS: usize = 10_000;
    let line = |i: usize| {
        let (symbol, round) = (i % SYMBOLS, i / SYMBOLS);
        format!(
            "{{\"instrument\":\"binance:S{symbol}-USDT\",\"exchange_time\":{},\"trade_id\":{},\"price\":\"1.5\",\"quantity\":\"2\",\"taker_side\":\"buy\"}}\n",
            1_714_521_600_000 + i,
            round + 1
        )
    };
    let text: String = (0..3 * SYMBOLS).map(line).collect();
    let ended = replay("x.jsonl", text.as_bytes(), &["--intervals", "1m"]);
    check_parts("symbols", &ended, 0, &[]);
    assert_eq!(ended.summary["trades"], 3 * SYMBOLS);
    assert_eq!(ended.summary["candles"], SYMBOLS);
    println!("{SYMBOLS} symbols: {:?} KiB", ended.peak_kib);
}

#[test]
fn memory_does_not_grow_with_the_length() {
    let peak = |symbols: u64, count: u64, shards: &str| {
        let text: String = (0..count)
            .map(|i| {
                let id = i / symbols + 1;
                format!(
                    "{},binance:S{}-USDT,{id},{}.5,0.25,buy\n",
                    1_714_521_600_000 + i * 200,
                    i % symbols,
                    100 + i % 7
                )
            })
            .collect();
        let header = "exchange_time,instrument,trade_id,price,quantity,taker_side\n";
        let ended = replay("x.csv", format!("{header}{text}").as_bytes(), &["--shards", shards]);
        check_parts("memory", &ended, 0, &[]);
        assert_eq!(ended.summary["trades"], count);
        ended.peak_kib
    };
    // From the first length on the rows that are held before they are spilled have reached their budget.
    for (symbols, shards, trades) in [(1, "1", 320_000), (20, "4", 80_000)] {
        let (short, long) = (peak(symbols, trades, shards), peak(symbols, 4 * trades, shards));
        println!("{symbols} symbols, {shards} shards: {short:?} KiB, four times as long {long:?} KiB");
        if let (Some(short), Some(long)) = (short, long) {
            assert!(long < short * 13 / 10 + 16 * 1_024, "{short} KiB, then {long} KiB");
        }
    }
}

#[test]
fn mutated_captures_never_break_it() {
    let Some(data) = common::shared("data") else { return };
    let mut files = Vec::new();
    let mut folders = vec![data.join("ws"), data.join("ticks")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::metadata(&path).unwrap().len() < 64 << 20 {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "{} holds no captures", data.display());
    let mut noise = Noise(20_240_501);
    let mut counts = [0_u32; 3];
    for path in &files {
        // Unpacked first: otherwise the checksum would catch every change before a decoder sees it.
        let mut head = Vec::new();
        let file = fs::File::open(path).unwrap();
        let packed = path.extension().is_some_and(|ending| ending == "gz");
        let mut reader: Box<dyn Read> =
            if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        reader.by_ref().take(200_000).read_to_end(&mut head).unwrap();
        for _ in 0..3 {
            let mut bytes = head.clone();
            for _ in 0..=noise.below(40) {
                if bytes.len() < 2 {
                    break;
                }
                let at = noise.below(bytes.len());
                match noise.below(5) {
                    0 => bytes[at] = noise.next() as u8,
                    1 => bytes.truncate(at.max(bytes.len() / 2)),
                    2 => drop(bytes.drain(at..(at + noise.below(64)).min(bytes.len()))),
                    3 => {
                        let piece = bytes[at..(at + noise.below(256)).min(bytes.len())].to_vec();
                        bytes.splice(at..at, piece);
                    }
                    _ => bytes[at] = b"\n\0,\"{}[]-9e."[noise.below(12)],
                }
            }
            let name = path.file_name().unwrap().to_str().unwrap().trim_end_matches(".gz");
            let ended = replay(name, &bytes, &["--max-quarantined", "100000", "--intervals", "1m"]);
            counts[ended.code.unwrap() as usize] += 1;
            assert!(ended.code == Some(0) || !ended.messages.is_empty(), "{name} fails without a word");
            assert!(ended.peak_kib.is_none_or(|peak| peak < 300 * 1_024), "{name}: {:?} KiB", ended.peak_kib);
        }
    }
    println!("{} files: exit codes 0, 1, 2: {counts:?}", files.len());
}
