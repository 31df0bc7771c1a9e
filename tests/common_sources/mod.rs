//! The sources as text: what is code in them, what only tests see, and which words stand where.

use std::fs;
use std::path::{Path, PathBuf};

/// Identifiers and keywords, with their places.
pub fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.split(move |c| !is_word(c))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - code.as_ptr() as usize, word))
}

/// The text with comments, string and character literals replaced by spaces, lines kept.
pub fn blank(text: &str) -> String {
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

/// The code with what only tests see replaced by spaces, lines kept: items behind `#[cfg(test)]`.
pub fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        let length = item_length(&rest[at..]);
        out.extend(rest[at..at + length].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        rest = &rest[at + length..];
    }
    out + rest
}

/// Bytes of the item that begins there with its attributes: up to a `;`, or to the end of its braces.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    let first = words(code).find(|(_, word)| !["cfg", "test", "pub", "crate", "super"].contains(word));
    let is_use = first.is_some_and(|(_, word)| word == "use");
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && c == '}' && !is_use {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
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

pub fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
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
