//! The floors of the house: imports go down only, neighbours never import each other, nobody
//! imports through a re-export of `lib.rs`, and the core is still.
//!
//! Reads the sources as text, comments and string literals blanked out, so that it needs no
//! compiler; what it looks for are the words after `crate::` and `super::`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms a room may import, itself aside.
const TABLE: [(&str, &[&str]); 11] = [
    ("domain", &[]),
    ("analytics", &["domain"]),
    ("journal", &["domain"]),
    ("runtime", &["domain"]),
    ("venues", &["runtime", "domain"]),
    ("alerts", &["runtime", "domain"]),
    ("storage", &["runtime", "journal", "domain"]),
    ("engine", &["analytics", "runtime", "journal", "domain"]),
    ("replay", &["analytics", "runtime", "journal", "domain"]),
    ("api", &["storage", "runtime", "domain"]),
    (
        "app",
        &[
            "alerts",
            "analytics",
            "api",
            "domain",
            "engine",
            "journal",
            "replay",
            "runtime",
            "storage",
            "venues",
        ],
    ),
];

/// Rooms in which the same events give the same bytes.
const STILL_ROOMS: [&str; 2] = ["domain", "analytics"];

/// What they do without, and why. (Iteration over hash maps and the platform's float functions
/// need a compiler to see them: .clippy.toml.)
const STIRRING_WORDS: [(&str, &str); 14] = [
    ("async", "the core computes, it never waits"),
    ("await", "the core computes, it never waits"),
    ("actix", "the core computes, it never waits"),
    ("tokio", "the core computes, it never waits"),
    ("thread", "the core has no threads of its own"),
    ("Instant", "time is a parameter"),
    ("SystemTime", "time is a parameter"),
    ("tracing", "what happened is an output, not a log line"),
    ("log", "what happened is an output, not a log line"),
    ("println", "what happened is an output, not a log line"),
    ("eprintln", "what happened is an output, not a log line"),
    ("RandomState", "randomness cannot be replayed"),
    ("rand", "randomness cannot be replayed"),
    ("fs", "the core reads and writes nothing"),
];

#[test]
fn the_sources_keep_to_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    assert!(files.len() > 20, "only {} files under {}", files.len(), root.display());

    let mut problems = Vec::new();
    for path in files {
        let name =
            path.strip_prefix(&root).expect("a file under src").display().to_string().replace('\\', "/");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        problems.extend(violations(&name, &text));
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn every_folder_is_in_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            assert!(TABLE.iter().any(|(room, _)| *room == name), "src/{name} has no line in the table");
        } else {
            assert!(["lib.rs", "main.rs"].contains(&&*name), "src/{name} belongs into a room");
        }
    }
}

#[test]
fn made_up_violations_are_found() {
    let check = |file: &str, text: &str, part: &str| {
        let found = violations(file, text);
        assert!(found.len() == 1 && found[0].contains(part), "{file}: {text:?} gave {found:?}");
    };
    // Upwards, sideways.
    check("domain/event.rs", "use crate::analytics::pipeline::Counts;", "domain may not import analytics");
    check("journal/reader.rs", "use crate::runtime::clock::Stopwatch;", "journal may not import runtime");
    check("replay/merge.rs", "use crate::venues::binance::parse;", "replay may not import venues");
    check("venues/okx.rs", "fn f() { crate::replay::driver::run() }", "venues may not import replay");
    check("analytics/mod.rs", "use super::journal::reader;", "analytics may not import journal");
    check("analytics/rolling/mod.rs", "use super :: super::app::cli;", "analytics may not import app");
    check(
        "runtime/clock.rs",
        "use crate::{\n    domain::time::UnixNanos,\n    app::config::{self, Config},\n};",
        "runtime/clock.rs:3: runtime may not import app",
    );
    check("domain/a.rs", "pub(in crate::app) fn f() {}", "domain may not import app");
    // Through the front door.
    check("replay/driver.rs", "use crate::Trade;", "crate::Trade is no room");
    check("replay/driver.rs", "use crate::*;", "crate::* is no room");
    check("app/cli.rs", "use tapewatch::domain::event::Trade;", "tapewatch:: names this crate");
    check("lib.rs", "pub use domain::event::Trade;", "lib.rs re-exports");
    check("lib.rs", "pub use crate::domain::event::Trade;", "lib.rs re-exports");
    check("main.rs", "use tapewatch::replay::driver;", "main may not import replay");
    check("cellar/mod.rs", "", "cellar has no line");
    // A stirring core.
    check("domain/time.rs", "async fn now() {}", "async");
    check("analytics/ledger.rs", "fn f() { tracing::info!(\"seen\"); }", "tracing");
    check("analytics/ledger.rs", "use std::time::Instant;", "Instant");
    check("analytics/ledger.rs", "fn f(state: std::hash::RandomState) {}", "RandomState");
    check("analytics/ledger.rs", "use std::fs;\n#[cfg(test)]\nmod tests {}", "fs");
}

#[test]
fn what_is_allowed_passes() {
    let check = |file: &str, text: &str| assert_eq!(violations(file, text), Vec::<String>::new(), "{text:?}");
    check("domain/event.rs", "use crate::domain::time::UnixNanos;");
    check(
        "replay/driver.rs",
        "use crate::analytics::pipeline::{Counts, Settings};\nuse crate::journal::reader;",
    );
    check("replay/driver.rs", "use crate::{analytics::pipeline::Counts, domain::{event::Trade, time}};");
    check("analytics/rolling/mod.rs", "use super::super::domain::time;\nuse super::indicator;");
    check("analytics/mod.rs", "mod tests { use super::*; fn f() { super::super::rolling(); } }");
    check("analytics/a.rs", "// async, Instant, crate::app\n/* crate::app /* nested */ tracing */");
    check("analytics/a.rs", "const A: &str = \"crate::app async \\\" tracing\"; const B: char = '\"';");
    check("analytics/a.rs", "const A: &str = r#\"crate::app \" async\"#; fn f<'a>(x: &'a str) {}");
    check("analytics/a.rs", "fn logarithm(rand_state: u8, asynchronous: u8) { libm::log(1.0); }");
    check("main.rs", "use tapewatch::app::cli;");
    check("lib.rs", "pub mod domain;");
    check("replay/driver.rs", "async fn f() { std::thread::spawn(f); }");
    check("analytics/a.rs", "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    use std::time::Instant;\n}");
    check("domain/macros.rs", "macro_rules! m { () => { $crate::domain::time::UnixNanos(0) } }");
}

/// What breaks the table in the text of `src/<file>`, one line each.
fn violations(file: &str, text: &str) -> Vec<String> {
    let code = blank(text);
    let room = file.split_once('/').map_or(file.trim_end_matches(".rs"), |(room, _)| room);
    let mut problems = BTreeMap::new();
    let mut complain = |at: usize, problem: String| {
        let line = code[..at].matches('\n').count() + 1;
        problems.entry((line, problem)).or_insert(());
    };

    let allowed: &[&str] = match room {
        "lib" => {
            for at in words(&code).filter(|&(_, word)| word == "use").map(|(at, _)| at) {
                complain(at, "lib.rs re-exports: name the file where the thing lives".to_owned());
            }
            return listed(file, problems);
        }
        "main" => &["app"],
        _ => match TABLE.iter().find(|(name, _)| *name == room) {
            Some((_, allowed)) => allowed,
            None => {
                complain(0, format!("{room} has no line in the table of tests/layering.rs"));
                &[]
            }
        },
    };

    for (at, target) in imports(file, &code) {
        if target == "*" || !TABLE.iter().any(|(name, _)| *name == target) {
            complain(at, format!("crate::{target} is no room: name the file where the thing lives"));
        } else if target != room && !allowed.contains(&&*target) {
            complain(at, format!("{room} may not import {target}"));
        }
    }
    // What computes is still; what checks it may look things up as it likes.
    let tests_at = code.find("#[cfg(test)]\nmod ").unwrap_or(code.len());
    for (at, word) in words(&code) {
        if word == "tapewatch" && room != "main" && code[at + word.len()..].trim_start().starts_with("::") {
            complain(at, "tapewatch:: names this crate from outside: write crate::".to_owned());
        }
        if STILL_ROOMS.contains(&room) && at < tests_at {
            // `libm::log` is a logarithm, and `std::thread_local` would be one word.
            let is_logarithm = word == "log" && code[..at].ends_with("libm::");
            if let Some((_, reason)) = STIRRING_WORDS.iter().find(|(w, _)| *w == word && !is_logarithm) {
                complain(at, format!("`{word}` in {room}: {reason}"));
            }
        }
    }
    listed(file, problems)
}

fn listed(file: &str, problems: BTreeMap<(usize, String), ()>) -> Vec<String> {
    problems.into_keys().map(|(line, problem)| format!("src/{file}:{line}: {problem}")).collect()
}

/// The first segment after the crate's root of every path, and where it stands.
fn imports(file: &str, code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    // How many `super::` lead from the file's module to the root: `analytics/rolling/mod.rs`
    // is two down, `analytics/pipeline.rs` as well, `main.rs` and `lib.rs` none.
    let depth = match file {
        "main.rs" | "lib.rs" => 0,
        _ => file.trim_end_matches("/mod.rs").split('/').count(),
    };
    let root = if file == "main.rs" { "tapewatch" } else { "crate" };
    for (at, word) in words(code) {
        if word == root {
            heads(code, at + word.len(), &mut found);
        } else if word == "super" && !code[..at].trim_end().ends_with("super::") {
            // Inline modules (tests) are deeper than the file; counting from the file may only
            // take a neighbour's name for a room's, so names that are no rooms are left out.
            let mut end = at + word.len();
            let mut count = 1;
            while let Some(rest) = code[end..].trim_start().strip_prefix("::") {
                let Some(next) = rest.trim_start().strip_prefix("super") else { break };
                end = code.len() - next.len();
                count += 1;
            }
            if count >= depth {
                let mut candidates = Vec::new();
                heads(code, end, &mut candidates);
                candidates.retain(|(_, name)| TABLE.iter().any(|(room, _)| room == name));
                found.extend(candidates);
            }
        }
    }
    found
}

/// The names right behind the `::` at `at`: one, or each of a `{...}` list.
fn heads(code: &str, at: usize, found: &mut Vec<(usize, String)>) {
    let Some(rest) = code[at..].trim_start().strip_prefix("::") else { return };
    let rest = rest.trim_start();
    let start = code.len() - rest.len();
    if let Some(list) = rest.strip_prefix('{') {
        let (mut depth, mut is_head) = (0_usize, true);
        let mut skip_until = 0;
        for (i, c) in list.char_indices() {
            if i < skip_until {
                continue;
            }
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => is_head = true,
                c if depth == 0 && is_head && !c.is_whitespace() => {
                    let name = head(&list[i..]);
                    skip_until = i + name.len();
                    found.push((start + 1 + i, name));
                    is_head = false;
                }
                _ => {}
            }
        }
    } else {
        found.push((start, head(rest)));
    }
}

fn head(text: &str) -> String {
    if text.starts_with('*') {
        return "*".to_owned();
    }
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Identifiers and keywords, with their places.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.split(move |c| !is_word(c))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - code.as_ptr() as usize, word))
}

/// The text with comments, string and character literals replaced by spaces, lines kept.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = literal_length(rest, code.chars().next_back());
        let (taken, is_code) = if length == 0 { (c.len_utf8(), true) } else { (length, false) };
        for c in rest[..taken].chars() {
            code.push(if is_code || c == '\n' { c } else { ' ' });
        }
        rest = &rest[taken..];
    }
    code
}

/// Bytes of the comment or literal that the text begins with; 0 where it begins with code.
fn literal_length(text: &str, before: Option<char>) -> usize {
    let until = |end: &str| text.find(end).unwrap_or(text.len());
    if text.starts_with("//") {
        return until("\n");
    }
    if text.starts_with("/*") {
        let (mut depth, mut at) = (0, 0);
        while at < text.len() {
            if text[at..].starts_with("/*") {
                depth += 1;
                at += 2;
            } else if text[at..].starts_with("*/") {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            } else {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
            }
        }
        return text.len();
    }
    let starts_a_word = !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    for prefix in ["r", "br", "cr"] {
        if let Some(raw) = text.strip_prefix(prefix).filter(|_| starts_a_word) {
            let hashes = raw.bytes().take_while(|&b| b == b'#').count();
            if let Some(body) = raw[hashes..].strip_prefix('"') {
                let end = format!("\"{}", "#".repeat(hashes));
                let head = prefix.len() + hashes + 1;
                return body.find(&end).map_or(text.len(), |at| head + at + end.len());
            }
        }
    }
    if text.starts_with('"') {
        return quoted_length(text, '"');
    }
    // A lifetime has no closing quote right behind its first character.
    let mut chars = text.chars();
    if chars.next() == Some('\'') {
        let first = chars.next();
        if first == Some('\\') || (first.is_some() && chars.next() == Some('\'')) {
            return quoted_length(text, '\'');
        }
    }
    0
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}
