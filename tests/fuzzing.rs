//! The fuzz targets, on a few seeds and what becomes of them under seeded slips: whatever a fuzzer would run
//! compiles, and holds on what everybody tries first. A fuzzer goes further (fuzz/Cargo.toml).

use std::panic;

#[path = "../fuzz/targets/answers.rs"]
mod answers;
#[path = "../fuzz/targets/configuration.rs"]
mod configuration;
#[path = "../fuzz/targets/dialects.rs"]
mod dialects;
#[path = "../fuzz/targets/formats.rs"]
mod formats;
#[path = "../fuzz/targets/frames.rs"]
mod frames;
#[path = "../fuzz/targets/journal.rs"]
mod journal;
#[path = "../fuzz/targets/kept.rs"]
mod kept;
#[path = "../fuzz/targets/numbers.rs"]
mod numbers;
#[path = "../fuzz/targets/packing.rs"]
mod packing;
#[path = "../fuzz/targets/requests.rs"]
mod requests;
#[path = "../fuzz/targets/states.rs"]
mod states;

/// Inputs that are made of each seed; `TAPEWATCH_SLIPS` says otherwise.
const SLIPS: u64 = 100;

fn slips() -> u64 {
    std::env::var("TAPEWATCH_SLIPS").map_or(SLIPS, |text| text.parse().expect("TAPEWATCH_SLIPS is a number"))
}

const BINANCE: &str = r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1700000000123,"s":"BTCUSDT","t":4100200300,"p":"43000.10000000","q":"0.00120000","T":1700000000120,"m":false,"M":true}}"#;
const COINBASE: &str = r#"{"channel":"market_trades","timestamp":"2026-01-02T03:04:05.716490130Z","sequence_num":1,"events":[{"type":"update","trades":[{"trade_id":"929248658","product_id":"BTC-USD","price":"88355.59","size":"0.00022409","side":"SELL","time":"2026-01-02T03:04:05.605867Z"}]}]}"#;
const PAGE: &str = r#"[{"id":7,"price":"43000.1","qty":"0.5","time":1700000000120,"isBuyerMaker":true},{"id":8,"price":"43000","qty":"1","time":1700000000121,"isBuyerMaker":false}]"#;
const CSV: &str =
    "exchange_time,trade_id,price,quantity,taker_side\n2024-05-01T00:00:00Z,1,60000.5,0.25,buy\n";

/// Numbers from a seed: the steps of splitmix64.
fn step(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A copy with a few bytes changed, left out or said twice.
fn slipped(seed: &[u8], state: &mut u64) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=step(state) % 4 {
        let length = bytes.len() as u64;
        if length == 0 {
            break;
        }
        let at = (step(state) % length) as usize;
        match step(state) % 6 {
            0 => bytes.truncate(at),
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, b"\0\xff\n\",:{}[]e-.0"[(step(state) % 14) as usize]),
            3 => bytes.extend_from_within(at..),
            4 => bytes[at] ^= 1 << (step(state) % 8),
            _ => bytes[at] = b'9',
        }
    }
    bytes
}

fn check(run: fn(&[u8]), seeds: &[&[u8]]) {
    let mut state = 20_240_501;
    for seed in seeds {
        run(seed);
        for _ in 0..slips() {
            let input = slipped(seed, &mut state);
            if let Err(panic) = panic::catch_unwind(|| run(&input)) {
                eprintln!("input: {:?}", String::from_utf8_lossy(&input));
                panic::resume_unwind(panic);
            }
        }
    }
}

/// A seed behind each of the first bytes by which a target chooses.
fn chosen(choices: u8, seed: &[u8]) -> Vec<Vec<u8>> {
    (0..choices).map(|choice| [&[choice], seed].concat()).collect()
}

fn check_chosen(run: fn(&[u8]), choices: u8, seeds: &[&[u8]]) {
    let seeds: Vec<_> = seeds.iter().flat_map(|seed| chosen(choices, seed)).collect();
    check(run, &seeds.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

#[test]
fn numbers_and_times() {
    let seeds: [&[u8]; 6] = [
        b"0.00000001",
        b"-1e400",
        b"999999999999999999.5",
        b"2024-05-01T00:00:00.123456789Z",
        b"binance:BTC-USDT",
        b"1w",
    ];
    check(numbers::run, &seeds);
}

#[test]
fn frames_and_dialects() {
    check_chosen(frames::run, 16, &[BINANCE.as_bytes(), COINBASE.as_bytes()]);
    for text in [
        PAGE,
        BINANCE,
        COINBASE,
        r#"{"serverTime":1700000000123}"#,
        r#"{"code":-1121,"msg":"Invalid symbol."}"#,
    ] {
        check_chosen(
            dialects::run,
            3,
            &[&[&[8], text.as_bytes()].concat(), &[&[0], text.as_bytes()].concat()],
        );
    }
}

#[test]
fn recordings() {
    let raw = format!("1700000000123000000 {BINANCE}\n");
    for text in [CSV, raw.as_str(), PAGE] {
        check_chosen(formats::run, 13, &[&[&[3], text.as_bytes()].concat()]);
    }
    check(packing::run, &[CSV.as_bytes(), b"\x1f\x8b\x08\0\0\0\0\0\0\x03", b"PK\x03\x04\x14\0\0\0\x08\0"]);
}

#[test]
fn journals_and_states() {
    check_chosen(journal::run, 8, &[include_bytes!("golden/journal/0000000001.twj"), &[7; 64]]);
    check_chosen(states::run, 4, &[&[3; 200], &[0, 0, 255, 255, 255, 255, 255, 255, 255, 255]]);
}

#[test]
fn what_is_kept() {
    let keys = r#"{"next_id":2,"keys":[]}"#;
    let queued = r#"{"line":"decided","signal":7,"channel":"ops"}"#;
    check_chosen(
        kept::run,
        8,
        &[keys.as_bytes(), queued.as_bytes(), b"TWPS\x03\0\0\0\0\0\0\0abc", b"0000000000000007 9\n"],
    );
}

#[test]
fn requests_and_answers() {
    let subscribe = r#"{"op":"subscribe","id":1,"channels":["signals"],"instruments":["binance:*"],"kinds":["anomaly"],"min_severity":"warning","after":12345,"on_slow":"close"}"#;
    let query = "from=2024-05-01T00:00:00.1234567890123Z&limit=10&instrument=binance%3ABTC-USDT&interval=1m";
    check(requests::run, &[subscribe.as_bytes(), query.as_bytes(), b"c00000000000000010000000000000002"]);
    let complaint = br#"{"code":"invalid","message":"cast error","line":2,"errorId":"x"}"#;
    let rows = br#"{"columns":[{"name":"a","type":"LONG"}],"dataset":[[1]],"count":1}"#;
    for text in [&complaint[..], &rows[..], b"120", b"Wed, 21 Oct 2015 07:28:00 GMT"] {
        let seeds = [[&[1, 44], text].concat(), [&[0, 100], text].concat(), [&[1, 73], text].concat()];
        check(answers::run, &seeds.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
}

#[test]
fn configurations() {
    let file = "[venues.binance]\nsymbols = [\"BTC-USDT\"]\n[engine]\ngrace = \"2s\"\nintervals = [\"1m\", \"ticks:10\"]\n";
    let variables = "TAPEWATCH__ENGINE__GRACE=500ms\nTAPEWATCH__VENUES__BINANCE__SYMBOLS=BTC-USDT,ETH-USDT\n";
    check(configuration::run, &[file.as_bytes(), variables.as_bytes()]);
}
