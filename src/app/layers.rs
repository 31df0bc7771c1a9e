//! The layers of a configuration: embedded default, file, `.env`, environment, flags.
//!
//! Each layer puts its settings over those below it. A setting remembers where it came from, so
//! that a problem can name the line or the variable; all problems are collected before
//! anything is refused. What the keys mean is not known here.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;
use toml::de::{DeTable, DeValue};

/// Variables of ours begin with it, and `__` stands between the parts of a key.
const VARIABLE_PREFIX: &str = "TAPEWATCH__";

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// Lines count from 1; `None` where the file as a whole is meant.
    File {
        name: String,
        line: Option<usize>,
    },
    Dotenv {
        line: usize,
    },
    Environment {
        variable: String,
    },
    Flag {
        flag: &'static str,
    },
}

/// What a setting says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    /// A whole number, as written.
    Whole(String),
    /// A number with a point or an exponent, as written.
    Fraction(String),
    Boolean(bool),
    List(Vec<String>),
    /// A list of whole numbers, as written.
    Wholes(Vec<String>),
    /// From a variable or a flag: text, number, boolean or list, as the key has it.
    Raw(String),
    /// A kind that no key has (a date, a list of tables), in words.
    Other(&'static str),
    /// `[name]` with nothing in it.
    EmptyTable,
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    pub value: Value,
    pub origin: Origin,
    /// Of two settings the one with the greater number came from the higher layer.
    pub layer: u32,
}

/// What is wrong with a setting, or with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub origin: Origin,
    /// Dotted; empty where a line is no setting at all.
    pub key: String,
    /// As written.
    pub value: Option<String>,
    /// A fragment that says what is allowed.
    pub message: String,
}

/// The settings of all layers, the highest of each key.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    settings: BTreeMap<String, Setting>,
    /// Layers until now.
    layer: u32,
    problems: Vec<Problem>,
}

impl Layers {
    /// The embedded default.
    pub fn put_default(&mut self, text: &str) {
        self.layer += 1;
        self.put_toml(text, &|_| Origin::Default);
    }

    /// A TOML file.
    pub fn put_file(&mut self, name: &str, text: &str) {
        self.layer += 1;
        self.put_toml(text, &|line| Origin::File { name: name.to_owned(), line: Some(line) });
    }

    /// Lines `NAME=value`, optionally behind `export`, values optionally in quotes. Other
    /// programs read the file too: variables that are not ours are passed over.
    pub fn put_dotenv(&mut self, text: &str) {
        self.layer += 1;
        for (index, line) in text.lines().enumerate() {
            let line_of = || Origin::Dotenv { line: index + 1 };
            let assignment = line.trim().trim_start_matches("export ").trim_start();
            if !assignment.starts_with(VARIABLE_PREFIX) {
                continue;
            }
            match assignment.split_once('=') {
                Some((name, value)) => self.put_variable(name.trim_end(), unquoted(value.trim()), line_of()),
                None => self.problems.push(Problem {
                    origin: line_of(),
                    key: String::new(),
                    value: Some(line.to_owned()),
                    message: "not of the form NAME=value".to_owned(),
                }),
            }
        }
    }

    /// The variables of the process, ours and others.
    pub fn put_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        self.layer += 1;
        for (variable, value) in variables {
            if variable.starts_with(VARIABLE_PREFIX) {
                self.put_variable(&variable, &value, Origin::Environment { variable: variable.clone() });
            }
        }
    }

    /// `flag` as typed, `--intervals`.
    pub fn put_flag(&mut self, key: &str, flag: &'static str, value: &str) {
        self.layer += 1;
        self.put(key.to_owned(), Value::Raw(value.to_owned()), Origin::Flag { flag });
    }

    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.get(key)
    }

    /// All keys, in order, with their settings.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.settings.iter().map(|(key, setting)| (key.as_str(), setting))
    }

    /// Something is wrong with what the key says.
    pub fn complain(&mut self, key: &str, message: impl Into<String>) {
        let (origin, value) = match self.settings.get(key) {
            Some(setting) => (setting.origin.clone(), Some(setting.value.to_string())),
            None => (Origin::Default, None),
        };
        self.problems.push(Problem { origin, key: key.to_owned(), value, message: message.into() });
    }

    /// The text of a key, where it has one; a value of another kind is complained about.
    pub fn text(&mut self, key: &str) -> Option<String> {
        match &self.settings.get(key)?.value {
            Value::Text(text) | Value::Raw(text) => Some(text.clone()),
            _ => {
                self.complain(key, "must be text in quotes");
                None
            }
        }
    }

    /// The whole number of a key, from zero to `max`.
    pub fn whole(&mut self, key: &str, max: u64) -> Option<u64> {
        let number = match &self.settings.get(key)?.value {
            Value::Whole(text) | Value::Raw(text) => text.replace('_', "").parse().ok(),
            _ => None,
        };
        let number = number.filter(|&number| number <= max);
        if number.is_none() {
            self.complain(key, format!("must be a whole number from 0 to {max}"));
        }
        number
    }

    /// The finite number of a key; whoever asks says what is allowed where there is none.
    pub fn number(&self, key: &str) -> Option<f64> {
        let number = match &self.settings.get(key)?.value {
            Value::Whole(text) | Value::Fraction(text) | Value::Raw(text) => {
                text.replace('_', "").parse().ok()
            }
            _ => None,
        };
        number.filter(|number: &f64| number.is_finite())
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &str) -> Option<bool> {
        let boolean = match &self.settings.get(key)?.value {
            Value::Boolean(boolean) => Some(*boolean),
            Value::Raw(text) => text.parse().ok(),
            _ => None,
        };
        if boolean.is_none() {
            self.complain(key, "must be true or false");
        }
        boolean
    }

    /// A secret, which only the environment or `.env` may hold. It is taken out: nobody prints it.
    pub fn secret(&mut self, key: &str) -> Option<SecretString> {
        let setting = self.settings.get_mut(key)?;
        let taken = std::mem::replace(&mut setting.value, Value::Other("a secret"));
        match (&setting.origin, taken) {
            (Origin::Environment { .. } | Origin::Dotenv { .. }, Value::Raw(text)) => {
                Some(SecretString::from(text))
            }
            _ => {
                self.complain(key, "a secret stands in the environment, or in a file of its own");
                None
            }
        }
    }

    /// The list of texts of a key. A variable or a flag may write it `a,b` or `["a","b"]`;
    /// commas inside parentheses belong to the item.
    pub fn list(&mut self, key: &str) -> Option<Vec<String>> {
        let items = match &self.settings.get(key)?.value {
            Value::List(items) => Some(items.clone()),
            Value::Raw(text) if text.trim_start().starts_with('[') => raw_list(text),
            Value::Raw(text) => Some(split_list(text)),
            _ => None,
        };
        if items.is_none() {
            self.complain(key, "must be a list of texts, like [\"a\", \"b\"]");
        }
        items
    }

    /// The list of whole numbers of a key, as written. A variable or a flag may write it `1,5` or `[1,5]`.
    pub fn wholes(&mut self, key: &str) -> Option<Vec<String>> {
        let items = match &self.settings.get(key)?.value {
            Value::Wholes(items) => Some(items.clone()),
            // Of no kind yet.
            Value::List(items) if items.is_empty() => Some(Vec::new()),
            Value::Raw(text) => Some(split_list(text.trim().trim_start_matches('[').trim_end_matches(']'))),
            _ => None,
        };
        if items.is_none() {
            self.complain(key, "must be a list of whole numbers, like [1, 5]");
        }
        items
    }

    /// What was complained about, in the order of the keys' places.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    fn put(&mut self, key: String, value: Value, origin: Origin) {
        self.settings.insert(key, Setting { value, origin, layer: self.layer });
    }

    fn put_variable(&mut self, name: &str, value: &str, origin: Origin) {
        let mut parts: Vec<String> = name[VARIABLE_PREFIX.len()..]
            .split("__")
            .map(|part| segment(&part.to_ascii_lowercase()))
            .collect();
        // A variable's name has no hyphens, a venue's no underscores.
        if parts.len() > 2 && parts[0] == "venues" {
            parts[1] = parts[1].replace('_', "-");
        }
        self.put(parts.join("."), Value::Raw(value.to_owned()), origin);
    }

    fn put_toml(&mut self, text: &str, origin_of: &dyn Fn(usize) -> Origin) {
        let line_at =
            |at: usize| text.as_bytes()[..at.min(text.len())].iter().filter(|&&b| b == b'\n').count() + 1;
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let line = error.span().map_or(1, |span| line_at(span.start));
            self.problems.push(Problem {
                origin: origin_of(line),
                key: String::new(),
                value: None,
                message: error.message().to_owned(),
            });
        }
        self.put_table("", table.get_ref(), &|at| origin_of(line_at(at)));
    }

    fn put_table(&mut self, prefix: &str, table: &DeTable<'_>, origin_at: &dyn Fn(usize) -> Origin) {
        for (name, value) in table {
            let origin = origin_at(name.span().start);
            let name = segment(name.get_ref());
            let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match value.get_ref() {
                DeValue::Table(inner) if !inner.is_empty() => self.put_table(&key, inner, origin_at),
                value => self.put(key, plain(value), origin),
            }
        }
    }
}

fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Whole(number.to_string()),
        DeValue::Float(number) => Value::Fraction(number.to_string()),
        DeValue::Boolean(boolean) => Value::Boolean(*boolean),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(items) => {
            let wholes = items.iter().map(|item| match item.get_ref() {
                DeValue::Integer(number) => Some(number.to_string()),
                _ => None,
            });
            if let Some(wholes) = wholes.collect::<Option<Vec<_>>>().filter(|wholes| !wholes.is_empty()) {
                return Value::Wholes(wholes);
            }
            let texts = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Some(text.to_string()),
                _ => None,
            });
            texts
                .collect::<Option<Vec<_>>>()
                .map_or(Value::Other("a list of other things than texts"), Value::List)
        }
        DeValue::Table(_) => Value::EmptyTable,
    }
}

/// A part of a key; in quotes where it could be taken for several.
fn segment(name: &str) -> String {
    let is_bare =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if is_bare { name.to_owned() } else { format!("{name:?}") }
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote)
            && let Some((inner, _comment)) = inner.rsplit_once(quote)
        {
            return inner;
        }
    }
    value.split_once(" #").map_or(value, |(value, _comment)| value.trim_end())
}

fn raw_list(text: &str) -> Option<Vec<String>> {
    let document = format!("list = {text}");
    let table = DeTable::parse(&document).ok()?;
    // More than the one line would be another document.
    if table.get_ref().len() != 1 {
        return None;
    }
    match plain(table.get_ref().get("list")?.get_ref()) {
        Value::List(items) => Some(items),
        _ => None,
    }
}

fn split_list(text: &str) -> Vec<String> {
    let (mut depth, mut items) = (0_usize, vec![String::new()]);
    for c in text.chars() {
        match c {
            ',' if depth == 0 => items.push(String::new()),
            c => {
                match c {
                    '(' => depth += 1,
                    ')' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if let Some(last) = items.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    items.into_iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line: Some(line) } => write!(f, "{name}:{line}"),
            Self::File { name, line: None } => f.write_str(name),
            Self::Dotenv { line } => write!(f, ".env:{line}"),
            Self::Environment { variable } => write!(f, "environment {variable}"),
            Self::Flag { flag } => f.write_str(flag),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Raw(text) => write!(f, "{text:?}"),
            Self::Whole(text) | Self::Fraction(text) => f.write_str(text),
            Self::Boolean(boolean) => write!(f, "{boolean}"),
            Self::List(items) => write!(f, "{items:?}"),
            Self::Wholes(items) => write!(f, "[{}]", items.join(", ")),
            Self::Other(words) => write!(f, "<{words}>"),
            Self::EmptyTable => f.write_str("<an empty table>"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        match (self.key.as_str(), &self.value) {
            ("", None) => {}
            ("", Some(value)) => write!(f, "{value:?}: ")?,
            (key, None) => write!(f, "{key}: ")?,
            (key, Some(value)) => write!(f, "{key} = {value}: ")?,
        }
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn check_problems(layers: &Layers, expected: &[&str]) {
        let printed: Vec<_> = layers.problems().iter().map(ToString::to_string).collect();
        assert_eq!(printed, expected);
    }

    #[test]
    fn higher_layers_win() {
        let mut layers = Layers::default();
        layers.put_default("a.b = 'default'\nc = 1\nd = ['x']\ne = 'kept'");
        layers.put_file("my.toml", "c = 2\n[a]\nb = 'file'");
        layers.put_dotenv("OTHER=1\n# TAPEWATCH__A__B=comment\nexport TAPEWATCH__A__B = \"dotenv\" # why");
        layers.put_environment([
            ("TAPEWATCH__D".to_owned(), "y, sma(1,2)".to_owned()),
            ("TAPEWATCH_SHARED".to_owned(), "no setting".to_owned()),
        ]);
        assert_eq!(layers.text("a.b").as_deref(), Some("dotenv"));
        layers.put_flag("a.b", "--b", "flag");
        assert_eq!(layers.text("a.b").as_deref(), Some("flag"));
        assert_eq!(layers.whole("c", 9), Some(2));
        assert_eq!(
            layers.get("c").unwrap().origin,
            Origin::File { name: "my.toml".to_owned(), line: Some(1) }
        );
        assert_eq!(layers.list("d").unwrap(), ["y", "sma(1,2)"]);
        assert_eq!(layers.text("e").as_deref(), Some("kept"));
        assert_eq!(layers.iter().count(), 4);
        check_problems(&layers, &[]);
    }

    #[test]
    fn variables_name_keys() {
        let check = |variable: &str, key: &str| {
            let mut layers = Layers::default();
            layers.put_environment([(variable.to_owned(), "7".to_owned())]);
            let keys: Vec<_> = layers.iter().map(|(key, _)| key).collect();
            assert_eq!(keys, [key], "{variable}");
        };
        check("TAPEWATCH__DATA_DIR", "data_dir");
        check("TAPEWATCH__ENGINE__GRACE", "engine.grace");
        check("TAPEWATCH__VENUES__BINANCE_USDM__WS_URL", "venues.binance-usdm.ws_url");
        check("TAPEWATCH__", "\"\"");
        check("TAPEWATCH__A.B", "\"a.b\"");
    }

    #[test]
    fn lists_from_variables() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let mut layers = Layers::default();
            layers.put_flag("l", "--l", text);
            let expected = expected.map(|items| items.iter().map(|&item| item.to_owned()).collect());
            assert_eq!(layers.list("l"), expected, "{text}");
        };
        check("a,b", Some(&["a", "b"]));
        check("macd(12,26,9), obv,", Some(&["macd(12,26,9)", "obv"]));
        check("[\"a\", 'b']", Some(&["a", "b"]));
        check("", Some(&[]));
        check("[1]", None);
        check("['a']\nlist2 = ['b']", None);
    }

    #[test]
    fn wrong_kinds_are_complained_about_with_their_place() {
        let mut layers = Layers::default();
        layers.put_file("my.toml", "a = 1\nb = 'x'\nc = [1]\n\nd = 1.5\n[e]\n");
        assert_eq!(layers.text("a"), None);
        assert_eq!(layers.whole("b", 5), None);
        assert_eq!(layers.list("c"), None);
        assert_eq!(layers.whole("d", 5), None);
        assert_eq!(layers.text("e"), None);
        check_problems(
            &layers,
            &[
                "my.toml:1: a = 1: must be text in quotes",
                "my.toml:2: b = \"x\": must be a whole number from 0 to 5",
                "my.toml:3: c = [1]: must be a list of texts, like [\"a\", \"b\"]",
                "my.toml:5: d = 1.5: must be a whole number from 0 to 5",
                "my.toml:6: e = <an empty table>: must be text in quotes",
            ],
        );
    }

    #[test]
    fn secrets_are_taken_out_and_never_printed() {
        let mut layers = Layers::default();
        layers.put_environment([("TAPEWATCH__S".to_owned(), "hidden".to_owned())]);
        layers.put_file("my.toml", "t = 'hidden too'");
        assert_eq!(layers.secret("s").unwrap().expose_secret(), "hidden");
        assert!(layers.secret("t").is_none() && layers.secret("u").is_none());
        check_problems(
            &layers,
            &["my.toml:1: t = <a secret>: a secret stands in the environment, or in a file of its own"],
        );
        assert_eq!(layers.get("s").unwrap().value.to_string(), "<a secret>");
    }

    #[test]
    fn every_line_that_is_no_toml_is_named() {
        let mut layers = Layers::default();
        layers.put_file("my.toml", "a = \nb = 'fine'\n[c\nd = 1");
        layers.put_dotenv("TAPEWATCH__A");
        let lines: Vec<_> = layers.problems().iter().map(|problem| problem.origin.to_string()).collect();
        assert!(lines.contains(&"my.toml:1".to_owned()), "{lines:?}");
        assert!(lines.contains(&"my.toml:3".to_owned()), "{lines:?}");
        assert!(lines.contains(&".env:1".to_owned()), "{lines:?}");
        assert_eq!(layers.text("b").as_deref(), Some("fine"));
    }
}
