//! The floors of the house: imports go down only, neighbours never import each other, nobody
//! imports through a re-export of `lib.rs`, no two files import each other in a circle, and the core is still.
//!
//! Reads the sources as text, comments and string literals blanked out, so that it needs no
//! compiler; what it looks for are the paths that begin at `crate`, at `super`, or at a member of the folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

mod common_sources;

use common_sources::{blank, rust_files, without_tests, words};

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
    let problems: Vec<_> = sources().iter().flat_map(|(name, text)| violations(name, text)).collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// Two files that know each other are cut by giving what both need a file beneath them, or what brings them together
/// one above.
#[test]
fn no_files_import_each_other_in_a_circle() {
    let arrows = arrows(&sources());
    assert!(arrows.len() > 1_000, "only {} imports were read", arrows.len());
    let mut problems = Vec::new();
    for circle in circles(&arrows) {
        problems.push("these import each other in a circle:".to_owned());
        let within = |(from, to): &&(String, String)| circle.contains(from) && circle.contains(to);
        problems.extend(arrows.iter().filter(within).map(|(from, to)| format!("    {from} -> {to}")));
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
    check("analytics/mod.rs", "mod tests { use super::*; fn f() { super::rolling(); } }");
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

#[test]
fn made_up_circles_are_found() {
    let check = |files: &[(&str, &str)], expected: &[&[&str]]| {
        let files: Vec<_> =
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        assert_eq!(circles(&arrows(&files)), expected, "{files:?}");
    };
    let pair: &[&[&str]] = &[&["a/b.rs", "a/c.rs"]];
    // By use lines, by paths in the code, through `super`, in braces, in an inline module.
    check(&[("a/b.rs", "use crate::a::c::X;"), ("a/c.rs", "use crate::a::b::Y;")], pair);
    check(&[("a/b.rs", "fn f() { crate::a::c::g() }"), ("a/c.rs", "use super::b;")], pair);
    check(
        &[("a/b.rs", "use super::{\n    c::{self, X},\n    d,\n};"), ("a/c.rs", "use crate::{a::b::Y};")],
        pair,
    );
    check(&[("a/b.rs", "use super::c::*;"), ("a/c.rs", "mod inner { use super::super::b::Y; }")], pair);
    // Three, and two at once.
    check(
        &[("a.rs", "use crate::b::X;"), ("b.rs", "use crate::c::X;"), ("c.rs", "use crate::a::X;")],
        &[&["a.rs", "b.rs", "c.rs"]],
    );
    check(
        &[
            ("a.rs", "use crate::b::X; use crate::c::Y;"),
            ("b.rs", "use crate::a::X;"),
            ("c.rs", "use crate::d::Y;"),
            ("d.rs", "use crate::c::Y;"),
        ],
        &[&["a.rs", "b.rs"], &["c.rs", "d.rs"]],
    );
    // A catalogue that names its members, and a member that knows the catalogue.
    check(
        &[
            ("a/mod.rs", "pub mod b;\nstatic ALL: [Entry; 1] = [b::ENTRY];"),
            ("a/b.rs", "use crate::a::Entry;"),
        ],
        &[&["a/b.rs", "a/mod.rs"]],
    );
}

#[test]
fn what_is_no_circle_passes() {
    let check = |files: &[(&str, &str)]| {
        let files: Vec<_> =
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        assert_eq!(circles(&arrows(&files)), Vec::<Vec<String>>::new(), "{files:?}");
    };
    let upper = ("a/b.rs", "use crate::a::c::X;");
    check(&[upper, ("a/c.rs", "use crate::a::d::X;"), ("a/d.rs", "fn f() {}")]);
    check(&[upper, ("a/c.rs", "// crate::a::b\nconst A: &str = \"crate::a::b\";")]);
    // What tests do.
    check(&[upper, ("a/c.rs", "fn f() {}\n#[cfg(test)]\npub mod trial {\n    use crate::a::b::Y;\n}")]);
    check(&[upper, ("a/c.rs", "#[cfg(test)]\nuse crate::a::{b::Y, d};\nfn f() {}")]);
    check(&[upper, ("a/c.rs", "#[cfg(test)]\nfn f() { crate::a::b::g() }")]);
    check(&[
        ("a/mod.rs", "pub mod b;\n#[cfg(test)]\nmod trial;"),
        ("a/b.rs", "use crate::a::trial::X;"),
        ("a/trial.rs", "use crate::a::b::X;"),
    ]);
    // A folder that declares its members knows none of them; nor does a crate of their name.
    check(&[("a/mod.rs", "pub mod b;\nuse ::b::X;"), ("a/b.rs", "use crate::a::Entry;")]);
    // `super` in an inline module is the file.
    check(&[("a/mod.rs", "static ALL: [Entry; 1] = [b::ENTRY];"), ("a/b.rs", "mod inner { use super::X; }")]);
}

/// Every source file: its place under `src`, and its text.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    assert!(files.len() > 20, "only {} files under {}", files.len(), root.display());
    let source = |path: &PathBuf| {
        let name = path.strip_prefix(&root).expect("a file under src").display().to_string();
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (name.replace('\\', "/"), text)
    };
    files.iter().map(source).collect()
}

/// Who imports whom, by file; what only tests see is left out, and so are `lib.rs` and `main.rs`, above which is nobody.
fn arrows(files: &[(String, String)]) -> BTreeSet<(String, String)> {
    let mut modules = BTreeMap::new();
    let mut codes = Vec::new();
    for (file, text) in files {
        let code = blank(text);
        let module = module_of(file);
        if !module.is_empty() {
            codes.push((file, module.clone(), without_tests(&code), code));
            modules.insert(module, file.clone());
        }
    }
    // Files that a folder declares for its tests alone.
    let declares = |code: &str, name: &str| {
        code.match_indices(name)
            .any(|(at, _)| code[..at].ends_with("mod ") && code[at + name.len()..].starts_with(';'))
    };
    let of_tests: BTreeSet<Vec<String>> = modules
        .keys()
        .filter(|module| {
            let (name, parent) = module.split_last().expect("no root");
            let declared = codes.iter().find(|(_, folder, ..)| folder == parent);
            declared.is_some_and(|(_, _, computes, code)| declares(code, name) && !declares(computes, name))
        })
        .cloned()
        .collect();
    let is_of_tests = |module: &[String]| (1..=module.len()).any(|n| of_tests.contains(&module[..n]));

    let mut arrows = BTreeSet::new();
    for (file, module, code, _) in &codes {
        if is_of_tests(module) {
            continue;
        }
        for (_, path) in paths(module, code, &modules) {
            let target = (1..=path.len()).rev().find_map(|n| modules.get_key_value(&path[..n]));
            if let Some((_, name)) = target.filter(|(target, _)| *target != module && !is_of_tests(target)) {
                arrows.insert(((*file).clone(), name.clone()));
            }
        }
    }
    arrows
}

/// `analytics/rolling/mod.rs` is `[analytics, rolling]`; `lib.rs` and `main.rs` are nothing.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    if ["lib", "main"].contains(&path) { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// Every path in the code that begins at the crate, at `super`, at `self`, or at a member of the folder: where it ends,
/// and its names from the root; none for all that the root holds.
fn paths(
    module: &[String],
    code: &str,
    modules: &BTreeMap<Vec<String>, String>,
) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut inline: Vec<(Range<usize>, &str)> = Vec::new();
    let mut before = "";
    for (at, word) in words(code) {
        let behind = code[at + word.len()..].trim_start();
        if before == "mod" && behind.starts_with('{') {
            let start = code.len() - behind.len();
            inline.push((start..start + braces_length(behind), word));
        }
        before = word;
        // A path that has begun before, or that begins at another crate.
        if code[..at].trim_end().ends_with("::") || !behind.starts_with("::") {
            continue;
        }
        let here = || {
            let inner = inline.iter().filter(|(range, _)| range.contains(&at));
            module.iter().cloned().chain(inner.map(|(_, name)| (*name).to_owned())).collect::<Vec<_>>()
        };
        let start = match word {
            "crate" | "tapewatch" => Vec::new(),
            "self" => here(),
            "super" => {
                let mut here = here();
                here.pop();
                here
            }
            member => {
                let member = [module, &[member.to_owned()]].concat();
                if !modules.contains_key(&member) {
                    continue;
                }
                member
            }
        };
        tree(start, code, code.len() - behind.len() + 2, &mut found);
    }
    found
}

/// The paths of what follows a `::` that ends at `at`: one, or each of a `{...}` list. Gives where it ends.
fn tree(mut path: Vec<String>, code: &str, at: usize, found: &mut Vec<(usize, Vec<String>)>) -> usize {
    let text = code[at..].trim_start();
    if let Some(mut list) = text.strip_prefix('{') {
        loop {
            list = list.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
            if list.is_empty() || list.starts_with('}') {
                return code.len() - list.len() + usize::from(!list.is_empty());
            }
            let rest = &code[tree(path.clone(), code, code.len() - list.len(), found)..];
            // ` as name`, or what no list of imports holds.
            list = &rest[rest.find([',', '}']).unwrap_or(rest.len())..];
        }
    }
    let name = head(text);
    let at = code.len() - text.len() + name.len();
    match &*name {
        "super" => _ = path.pop(),
        "self" | "*" | "" => {}
        _ => path.push(name),
    }
    match code[at..].trim_start().strip_prefix("::") {
        Some(rest) => tree(path, code, code.len() - rest.len(), found),
        None => {
            found.push((at, path));
            at
        }
    }
}

fn braces_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// The files of each circle, in order: those that can be reached from each other.
fn circles(arrows: &BTreeSet<(String, String)>) -> Vec<Vec<String>> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in arrows {
        next.entry(from).or_default().push(to);
    }
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        next.keys().map(|&file| (file, reached(file, &next))).collect();
    let mut circles = BTreeSet::new();
    for (file, seen) in &reach {
        if seen.contains(file) {
            let is_back = |other: &&&str| reach.get(**other).is_some_and(|seen| seen.contains(file));
            circles.insert(seen.iter().filter(is_back).map(|other| (*other).to_owned()).collect());
        }
    }
    circles.into_iter().collect()
}

/// What can be reached from there, by one arrow at least.
fn reached<'a>(from: &'a str, next: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let (mut seen, mut todo) = (BTreeSet::new(), vec![from]);
    while let Some(file) = todo.pop() {
        todo.extend(next.get(file).into_iter().flatten().copied().filter(|to| seen.insert(*to)));
    }
    seen
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

    for (at, path) in paths(&module_of(file), &code, &BTreeMap::new()) {
        let target = path.first().map_or("*", String::as_str);
        if target == "*" || !TABLE.iter().any(|(name, _)| *name == target) {
            complain(at, format!("crate::{target} is no room: name the file where the thing lives"));
        } else if target != room && !allowed.contains(&target) {
            complain(at, format!("{room} may not import {target}"));
        }
    }
    // What computes is still; what checks it may look things up as it likes.
    let computes = without_tests(&code);
    for (at, word) in words(&code) {
        if word == "tapewatch" && room != "main" && code[at + word.len()..].trim_start().starts_with("::") {
            complain(at, "tapewatch:: names this crate from outside: write crate::".to_owned());
        }
        if STILL_ROOMS.contains(&room) && computes[at..].starts_with(word) {
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

fn head(text: &str) -> String {
    if text.starts_with('*') {
        return "*".to_owned();
    }
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
