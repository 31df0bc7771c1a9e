//! `tapewatch keys`: API keys made, listed, revoked. A running service notices within a second.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use crate::api::keys::{self, Key, Keys, KeysError, Scope};
use crate::app::config::Config;
use crate::app::outcome::{self, Failure};
use crate::runtime::clock;

#[derive(Debug, clap::Args)]
pub struct KeysArguments {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make a key and show it, this once
    Create {
        /// What it is for; no two keys that still open have the same
        #[arg(long)]
        name: String,
        /// What its holder may do
        #[arg(long, value_enum, default_value = "read")]
        scope: ScopeName,
        #[command(flatten)]
        common: Common,
    },
    /// List all keys, revoked ones too
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Take a key back
    Revoke {
        /// Its id or its name
        key: String,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, clap::Args)]
struct Common {
    /// The configuration; it says where the data directory is
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScopeName {
    /// Everything that only looks
    Read,
    /// Also what changes something
    Admin,
}

pub fn keys(arguments: &KeysArguments) -> Result<(), Failure> {
    match &arguments.command {
        KeysCommand::Create { name, scope, common } => {
            let scope = match scope {
                ScopeName::Read => Scope::Read,
                ScopeName::Admin => Scope::Admin,
            };
            let (key, text) = keys::create(&file(common)?, name, scope, clock::now())?;
            if common.json {
                let mut shown = object(&key);
                shown["key"] = json!(text);
                return outcome::print(&format!("{shown}\n"));
            }
            // What a script wants alone on standard output.
            eprintln!("key {} ({:?}, {}); it is not shown again:", key.id, key.name, scope_name(key.scope));
            outcome::print(&format!("{text}\n"))
        }
        KeysCommand::List { common } => {
            let keys = Keys::load(&file(common)?)?;
            if common.json {
                let all: Vec<_> = keys.iter().map(object).collect();
                return outcome::print(&format!("{}\n", json!(all)));
            }
            outcome::print(&table(&keys))
        }
        KeysCommand::Revoke { key, common } => {
            let key = keys::revoke(&file(common)?, key, clock::now())?;
            if common.json {
                return outcome::print(&format!("{}\n", object(&key)));
            }
            outcome::print(&format!("revoked key {} ({:?})\n", key.id, key.name))
        }
    }
}

fn file(common: &Common) -> Result<PathBuf, Failure> {
    let config = Config::load(common.config.as_deref(), &[]).map_err(Failure::refused)?;
    Ok(config.api.keys_file)
}

fn object(key: &Key) -> serde_json::Value {
    json!({
        "id": key.id, "name": key.name, "scope": scope_name(key.scope), "created_at": key.created_at,
        "revoked_at": key.revoked_at, "last_four": key.last_four,
    })
}

fn table(keys: &Keys) -> String {
    if !keys.are_insisted_on() {
        return "no keys; `tapewatch keys create --name NAME` makes one\n".to_owned();
    }
    let line = |cells: [&str; 6]| {
        let [id, name, scope, last, created, revoked] = cells;
        format!("{id:>4}  {name:<24}  {scope:<5}  {last:<7}  {created:<30}  {revoked}").trim_end().to_owned()
            + "\n"
    };
    let mut text = line(["id", "name", "scope", "ends in", "created", "revoked"]);
    for key in keys.iter() {
        let (id, revoked) = (key.id.to_string(), key.revoked_at.as_deref().unwrap_or(""));
        text.push_str(&line([
            &id,
            &key.name,
            scope_name(key.scope),
            &key.last_four,
            &key.created_at,
            revoked,
        ]));
    }
    text
}

fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "read",
        Scope::Admin => "admin",
    }
}

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Name
            | KeysError::NameTaken(_)
            | KeysError::TooMany
            | KeysError::Unknown(_)
            | KeysError::RevokedBefore(_)
            | KeysError::Damaged { .. } => Self::refused(error),
            KeysError::File { .. } | KeysError::Locked(_) | KeysError::Randomness(_) => Self::failed(error),
        }
    }
}
