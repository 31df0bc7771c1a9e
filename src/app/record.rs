//! `tapewatch record`: raw frames of a venue, as received, `<receive time> <frame>` a line.
//!
//! `replay --format binance-raw` reads them. Files are rotated by size, and the oldest go when all together
//! are too large. A lost connection is made anew, for ever; what was missed meanwhile is missing.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::app::outcome::{self, Failure};
use crate::app::quantity;
use crate::app::venue_arguments::{VenueArguments, block_on, desk};
use crate::domain::time::UnixNanos;
use crate::runtime::backoff::Backoff;
use crate::runtime::clock::{self, Mono};
use crate::venues::desk::{Desk, Listings};
use crate::venues::dialect::{Answer, Ask};
use crate::venues::error::SocketError;
use crate::venues::rest::RestClient;
use crate::venues::tap::{Tap, Tapped};

const FILE_BYTES_MAX: u64 = 64 << 20;
/// What a reader may have to wait for a line that was received.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
const SILENCE_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub struct RecordArguments {
    #[command(flatten)]
    venue: VenueArguments,
    /// BASE-QUOTE, several with commas between
    #[arg(long, value_name = "SYMBOL", value_delimiter = ',', required = true)]
    symbol: Vec<String>,
    /// The directory of the files; made where it is missing
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// End after so long; without it, at SIGTERM or ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = quantity::parse_duration)]
    length: Option<Duration>,
    /// All files together hold no more, the oldest go
    #[arg(long, value_name = "SIZE", default_value = "10GB", value_parser = quantity::parse_bytes)]
    keep_bytes: u64,
}

pub fn record(arguments: &RecordArguments) -> Result<(), Failure> {
    let config = arguments.venue.load()?;
    let desk = desk(arguments.venue.venue_config(&config, &arguments.symbol)?)?;
    let mut files = Files::new(&arguments.to, desk.name, arguments.keep_bytes)?;
    let (frames, connections) = block_on(async {
        let spellings = spellings(&desk, &arguments.symbol).await?;
        let ended = outcome::until_told_to_end(arguments.length);
        tokio::select! {
            ended = ended => ended?,
            failed = keep_recording(&desk, &spellings, &mut files) => failed?,
        }
        files.flush()?;
        Ok((files.frames, files.connections))
    })?;
    let _ = connections;
    outcome::print(&format!("{frames} frames in {}\n", arguments.to.display()))
}

/// The venue's names of these symbols.
pub async fn spellings(desk: &std::sync::Arc<Desk>, symbols: &[String]) -> Result<Vec<String>, Failure> {
    let client = RestClient::new()?;
    let listings = match client.ask(desk, &Ask::Listings).await {
        Ok(Answer::Listings(listings)) => Listings::new(listings),
        Ok(_) => Listings::default(),
        Err(error) => return Err(Failure::failed(format!("the venue does not list its markets: {error}"))),
    };
    symbols
        .iter()
        .map(|symbol| {
            let listing = listings.find(symbol);
            listing
                .map(|listing| listing.spelling.clone())
                .ok_or_else(|| Failure::refused(format!("--symbol {symbol}: {} does not list it", desk.name)))
        })
        .collect()
}

/// Connections, one after another; ends only where a file cannot be written.
async fn keep_recording(desk: &Desk, spellings: &[String], files: &mut Files) -> Result<(), Failure> {
    let names: Vec<&str> = spellings.iter().map(String::as_str).collect();
    let mut backoff =
        Backoff::new(Duration::from_millis(250), Duration::from_secs(30), clock::now().0 as u64);
    loop {
        let why = match record_one(desk, &names, files, &mut backoff).await? {
            Ok(()) => "nothing came".to_owned(),
            Err(error) => error.to_string(),
        };
        files.flush()?;
        let wait = backoff.failed();
        let _ = writeln!(io::stderr().lock(), "record: {why}; connecting again in {wait:?}");
        tokio::time::sleep(wait).await;
    }
}

async fn record_one(
    desk: &Desk,
    names: &[&str],
    files: &mut Files,
    backoff: &mut Backoff,
) -> Result<Result<(), SocketError>, Failure> {
    let mut tap = match Tap::open(&*desk.dialect, desk.config.ws_url.as_deref()).await {
        Ok(tap) => tap,
        Err(error) => return Ok(Err(error)),
    };
    if let Err(error) = tap.subscribe(&*desk.dialect, names, 1).await {
        return Ok(Err(error));
    }
    files.connections += 1;
    let mut heard = Mono::now();
    loop {
        match tap.next(FLUSH_EVERY).await {
            Ok(Tapped::Frame(frame)) => {
                heard = Mono::now();
                backoff.reset();
                files.write(clock::now(), &frame)?;
            }
            Ok(Tapped::Ping) => heard = Mono::now(),
            Ok(Tapped::Nothing) => {
                files.flush()?;
                if Mono::now().since(heard) >= SILENCE_MAX {
                    return Ok(Ok(()));
                }
            }
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// The files of a recording.
struct Files {
    dir: PathBuf,
    venue: &'static str,
    keep_bytes: u64,
    /// Ours, oldest first, the open one aside.
    closed: VecDeque<(PathBuf, u64)>,
    open: Option<(PathBuf, BufWriter<File>, u64)>,
    flushed: Mono,
    frames: u64,
    connections: u64,
}

impl Files {
    fn new(dir: &Path, venue: &'static str, keep_bytes: u64) -> Result<Self, Failure> {
        fs::create_dir_all(dir).map_err(|e| failed(dir, "make", &e))?;
        let mut closed = Vec::new();
        for entry in fs::read_dir(dir).map_err(|e| failed(dir, "read", &e))? {
            let entry = entry.map_err(|e| failed(dir, "read", &e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(&format!("{venue}-")) && name.ends_with(".frames") {
                closed.push((entry.path(), entry.metadata().map_or(0, |metadata| metadata.len())));
            }
        }
        // Names begin with the time, of equal length.
        closed.sort();
        Ok(Self {
            dir: dir.to_owned(),
            venue,
            keep_bytes: keep_bytes.max(FILE_BYTES_MAX),
            closed: closed.into(),
            open: None,
            flushed: Mono::now(),
            frames: 0,
            connections: 0,
        })
    }

    fn write(&mut self, received_at: UnixNanos, frame: &str) -> Result<(), Failure> {
        if self.open.as_ref().is_some_and(|(_, _, bytes)| *bytes >= FILE_BYTES_MAX) {
            self.close()?;
        }
        if self.open.is_none() {
            let path = self.dir.join(format!("{}-{:020}.frames", self.venue, received_at.0));
            let file = File::create(&path).map_err(|e| failed(&path, "make", &e))?;
            self.open = Some((path, BufWriter::new(file), 0));
        }
        let (path, file, bytes) = self.open.as_mut().expect("it was opened above");
        // A line break inside of JSON is a blank like any other.
        let line = format!("{} {}\n", received_at.0, frame.replace(['\n', '\r'], " "));
        file.write_all(line.as_bytes()).map_err(|e| failed(path, "write", &e))?;
        *bytes += line.len() as u64;
        self.frames += 1;
        if Mono::now().since(self.flushed) >= FLUSH_EVERY {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.flushed = Mono::now();
        match self.open.as_mut() {
            Some((path, file, _)) => file.flush().map_err(|e| failed(path, "write", &e)),
            None => Ok(()),
        }
    }

    /// Closes the open file, and removes the oldest while all are too large.
    fn close(&mut self) -> Result<(), Failure> {
        self.flush()?;
        if let Some((path, _, bytes)) = self.open.take() {
            self.closed.push_back((path, bytes));
        }
        let mut all: u64 = self.closed.iter().map(|(_, bytes)| bytes).sum::<u64>() + FILE_BYTES_MAX;
        while all > self.keep_bytes
            && let Some((path, bytes)) = self.closed.pop_front()
        {
            fs::remove_file(&path).map_err(|e| failed(&path, "remove", &e))?;
            all -= bytes;
        }
        Ok(())
    }
}

fn failed(path: &Path, what: &str, error: &io::Error) -> Failure {
    Failure::failed(format!("failed to {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_rotated_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::new(folder.path(), "binance", 0).unwrap();
        for at in 0..4 {
            files.write(UnixNanos(at), "{\"a\":\n1}").unwrap();
            files.flush().unwrap();
            if let Some((_, _, bytes)) = files.open.as_mut() {
                *bytes = FILE_BYTES_MAX;
            }
        }
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["binance-00000000000000000003.frames"]);
        let text = fs::read_to_string(folder.path().join(&names[0])).unwrap();
        assert_eq!(text, "3 {\"a\": 1}\n");
        assert_eq!(Files::new(folder.path(), "binance", 0).unwrap().closed.len(), 1);
    }
}
