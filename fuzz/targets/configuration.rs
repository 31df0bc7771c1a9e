//! Configurations from any text, as a file, as `.env` and as variables: read, or refused with a reason for each.

use tapewatch::app::config::{Config, DEFAULT};
use tapewatch::app::layers::Layers;

pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // Files that it names are read: nothing of this machine is opened at random.
    if text.contains("_file") || text.contains("_FILE") {
        return;
    }
    for put in [
        |layers: &mut Layers, text: &str| layers.put_file("my.toml", text),
        |layers: &mut Layers, text: &str| layers.put_dotenv(text),
        |layers: &mut Layers, text: &str| {
            let pairs = text.lines().filter_map(|line| line.split_once('='));
            layers.put_environment(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        },
    ] {
        let mut layers = Layers::default();
        layers.put_default(DEFAULT);
        put(&mut layers, text);
        match Config::read(layers) {
            Ok(config) => assert_eq!(config.digest().len(), 64),
            Err(error) => assert!(!error.0.is_empty() && !error.to_string().is_empty()),
        }
    }
}
