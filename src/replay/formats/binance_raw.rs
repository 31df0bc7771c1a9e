//! `binance-raw`: frames as they were received, `<receive time> <frame>` a line.
//!
//! The receive time counts nanoseconds, microseconds or milliseconds, one unit a file, or is
//! ISO 8601. Only frames that are trades matter. Binance's frames tell spot from USD-M
//! themselves; frames of other venues are read where their dialect is known, or `--venue`
//! says it. Layout: hftbacktest's collectors, and `tapewatch record`.

use crate::domain::fields::shown;
use crate::domain::frame::{FrameParser, FrameSource};
use crate::replay::columns::TimeForm;
use crate::replay::decoder::{Batch, Decoder, Facts, FormatEntry, Likeness, Opened, Sample};
use crate::replay::frame_feed::{Markets, parser_for, read_frame};

pub const ENTRY: FormatEntry = FormatEntry { name: "binance-raw", sniff, open, mixes_kinds: true };

struct RawFrames {
    parser: Box<dyn FrameParser>,
    markets: Markets,
    form: TimeForm,
}

/// Receive time and frame.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    // An ISO time may hold a blank of its own: the frame begins at the first bracket.
    let at = memchr::memchr2(b'{', b'[', line)?;
    let received = line[..at].trim_ascii();
    (!received.is_empty() && received.len() <= 40 && line[at - 1].is_ascii_whitespace())
        .then(|| (received, &line[at..]))
}

fn sniff(sample: &Sample, _facts: &Facts<'_>) -> Likeness {
    let fits = |line: &[u8]| split(line).is_some_and(|(received, _)| TimeForm::of(received).is_some());
    let (fitting, all) = (sample.iter().filter(|line| fits(line)).count(), sample.iter().count());
    if fitting > 0 && fitting * 2 >= all { Likeness::Sure } else { Likeness::No }
}

fn open(sample: &Sample, facts: &Facts<'_>) -> Opened {
    let frames = || sample.iter().filter_map(split);
    if frames().next().is_none() {
        return Err(format!(
            "line 1: {:?} is no frame with its receive time before it: allowed is <receive time> <frame>",
            shown(sample.first(), 60)
        ));
    }
    let form = TimeForm::detect(frames().map(|(received, _)| received));
    let form = form.ok_or("line 1: no line begins with a receive time: allowed is <receive time> <frame>")?;
    let parser = match facts.venue {
        Some(_) => parser_for(facts, "")?,
        None => {
            let speaks = |frame: &[u8]| {
                let text = std::str::from_utf8(frame).unwrap_or_default();
                facts.frame_parsers.iter().find(|entry| (entry.recognises)(text))
            };
            // Without a trade in the sample: as the format is called.
            let entry = frames().find_map(|(_, frame)| speaks(frame)).or(facts.frame_parsers.first());
            match entry {
                Some(entry) => (entry.make)(FrameSource::default()),
                None => parser_for(facts, "")?,
            }
        }
    };
    Ok(Box::new(RawFrames { parser, markets: Markets::new(facts), form }))
}

impl Decoder for RawFrames {
    fn line(&mut self, number: u64, line: &[u8], batch: &mut Batch) -> Result<(), String> {
        if line.is_empty() {
            return Ok(());
        }
        let Some((received, frame)) = split(line) else {
            batch.skip(number, "the line is no receive time and frame", line);
            return Ok(());
        };
        let received_at = match self.form.read(received) {
            Ok(at) => at.stamp(),
            Err(reason) => {
                batch.skip(number, reason.to_string().replacen("time", "receive time", 1), line);
                return Ok(());
            }
        };
        match std::str::from_utf8(frame) {
            Ok(frame) => {
                read_frame(&mut *self.parser, &mut self.markets, frame, received_at, number, line, batch)
            }
            Err(_) => batch.skip(number, "the frame is not UTF-8", line),
        }
        Ok(())
    }
}
