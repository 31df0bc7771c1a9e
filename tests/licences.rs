//! Every dependency is under a licence that lets people use tapewatch as its own licence says.
//!
//! Reads what cargo knows of the packages of this machine's target, without any network.

use std::collections::BTreeMap;
use std::process::Command;

/// One of these is enough where a package offers a choice.
const ALLOWED: [&str; 9] = [
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "MPL-2.0",
    "ISC",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Zlib",
];

#[test]
fn every_dependency_has_an_allowed_licence() {
    let packages = packages();
    assert!(packages.len() > 50, "cargo tells of {} packages only", packages.len());
    let refused: Vec<_> =
        packages.iter().filter(|(_, licence)| !licence.as_deref().is_some_and(is_allowed)).collect();
    assert!(refused.is_empty(), "allowed are {ALLOWED:?}; these are under others: {refused:#?}");
}

#[test]
fn expressions_are_read_as_they_are_meant() {
    for allowed in [
        "MIT",
        "MIT OR Apache-2.0",
        "MIT/Apache-2.0",
        "GPL-3.0-only OR MIT",
        "CC0-1.0 OR Apache-2.0 OR Apache-2.0 WITH LLVM-exception",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "(GPL-3.0-only AND MIT) OR (ISC AND Zlib)",
    ] {
        assert!(is_allowed(allowed), "{allowed}");
    }
    for refused in [
        "",
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "(MIT OR Apache-2.0) AND AGPL-3.0-only",
        "MIT AND (GPL-3.0-only OR LGPL-3.0-only)",
        // An exception widens what is allowed, but of a licence that is not.
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "MIT OR",
        "(MIT",
        "MIT Apache-2.0",
    ] {
        assert!(!is_allowed(refused), "{refused}");
    }
}

/// Name and version, and licence where there is one, of every package that is built here.
fn packages() -> Vec<(String, Option<String>)> {
    // `cargo metadata` would list what only other platforms build.
    let format = ["--prefix", "none", "--format", "{p}|{l}"];
    let tree = run("cargo", env!("CARGO"), &[&["tree", "--offline", "--locked"][..], &format].concat());
    let packages: BTreeMap<_, _> = tree
        .lines()
        // `(*)`: listed before.
        .filter_map(|line| line.trim_end_matches(" (*)").split_once('|'))
        .map(|(package, licence)| (package.to_owned(), Some(licence.to_owned()).filter(|l| !l.is_empty())))
        .collect();
    packages.into_iter().collect()
}

fn run(name: &str, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
    assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the output is text")
}

/// Whether the SPDX expression can be met with the allowed licences. One that cannot be read is not.
fn is_allowed(expression: &str) -> bool {
    // The slash is the older way to write OR.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest).is_some_and(|met| met && rest.is_empty())
}

fn any_of(rest: &mut &[&str]) -> Option<bool> {
    let mut met = all_of(rest)?;
    while let Some(after) = rest.strip_prefix(&["OR"]) {
        *rest = after;
        met |= all_of(rest)?;
    }
    Some(met)
}

fn all_of(rest: &mut &[&str]) -> Option<bool> {
    let mut met = licence(rest)?;
    while let Some(after) = rest.strip_prefix(&["AND"]) {
        *rest = after;
        met &= licence(rest)?;
    }
    Some(met)
}

fn licence(rest: &mut &[&str]) -> Option<bool> {
    let (&word, after) = rest.split_first()?;
    *rest = after;
    if word == "(" {
        let met = any_of(rest)?;
        *rest = rest.strip_prefix(&[")"])?;
        return Some(met);
    }
    if let [with, _exception, after @ ..] = *rest
        && *with == "WITH"
    {
        *rest = after;
    }
    let is_name = !["OR", "AND", "WITH", ")"].contains(&word);
    is_name.then(|| ALLOWED.contains(&word))
}
