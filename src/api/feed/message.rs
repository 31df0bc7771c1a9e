//! One numbered message: encoded once, the same bytes for every client.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::api::feed::channel::{Channel, Topic};
use crate::api::feed::frame;
use crate::domain::shape::{self, Label};
use crate::domain::told::{Roster, Told};
use crate::runtime::clock::Mono;
use crate::runtime::sink::{Batch, Telling};

/// Stays on the hub's thread.
#[derive(Debug)]
pub struct Message {
    pub seq: u64,
    pub topic: Topic,
    /// When the shard handed it out, and when the frame of its cause left the socket; `None` where no
    /// latency is measured of it.
    pub published: Option<Mono>,
    pub received: Option<Mono>,
    source: Source,
    /// With the head of the websocket frame.
    frame: OnceCell<Box<[u8]>>,
}

#[derive(Debug)]
enum Source {
    /// Which telling of the batch, and which of its indicator's outputs.
    Telling(Arc<Batch>, u32, u32),
    /// Encoded from the beginning.
    Frame,
}

/// The fields that name each instrument, by its watch.
#[derive(Clone, Debug)]
pub struct Labels(Arc<[Label]>);

impl Labels {
    pub fn new(roster: &Roster) -> Self {
        Self(roster.iter().map(|(_, instrument)| Label::new(instrument)).collect())
    }
}

impl Message {
    /// `output`: which of an indicator's outputs; 0 for all else.
    pub fn of_telling(seq: u64, topic: Topic, batch: Arc<Batch>, place: usize, output: usize) -> Self {
        let received = if batch.recovered { None } else { batch.tellings[place].received };
        let published = received.map(|_| batch.published);
        let source = Source::Telling(batch, place as u32, output as u32);
        Self { seq, topic, published, received, source, frame: OnceCell::new() }
    }

    /// A message whose JSON is at hand.
    pub fn of_json(seq: u64, topic: Topic, json: &[u8]) -> Self {
        let frame = OnceCell::from(frame::text(json).into_boxed_slice());
        Self { seq, topic, published: None, received: None, source: Source::Frame, frame }
    }

    /// The whole websocket frame; encoded when somebody first asks.
    pub fn frame(&self, labels: &Labels) -> &[u8] {
        self.frame.get_or_init(|| {
            // Nearly all messages are of a size whose frame head takes four bytes: they are written in
            // place behind it.
            let mut out = Vec::with_capacity(512);
            out.extend_from_slice(&[0; 4]);
            self.write_json(labels, &mut out);
            let length = out.len() - 4;
            if let 126..=0xffff = length {
                let mut head = Vec::with_capacity(4);
                frame::text_head(length, &mut head);
                out[..4].copy_from_slice(&head);
                out.into_boxed_slice()
            } else {
                frame::text(&out[4..]).into_boxed_slice()
            }
        })
    }

    /// The JSON text.
    pub fn json(&self, labels: &Labels) -> &[u8] {
        let frame = self.frame(labels);
        let head = match frame[1] {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        &frame[head..]
    }

    fn write_json(&self, labels: &Labels, out: &mut Vec<u8>) {
        let Source::Telling(batch, place, output) = &self.source else {
            unreachable!("a message without telling is encoded from the beginning")
        };
        let telling = &batch.tellings[*place as usize];
        let label = &labels.0[telling.watch.0 as usize];
        write_message(self.seq, self.topic.channel, label, telling, *output as usize, out);
    }
}

/// Appends the message of a telling that has a channel: the same text whoever writes it.
pub fn write_message(
    seq: u64,
    channel: Channel,
    label: &Label,
    telling: &Telling,
    output: usize,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(channel.message_type().as_bytes());
    out.extend_from_slice(b"\",\"seq\":");
    shape::digits(seq, out);
    out.push(b',');
    match &telling.told {
        Told::Trade(trade) => shape::trade(label, trade, out),
        Told::Candle(candle) => shape::candle(label, candle, out),
        Told::Indicator(values) => shape::indicator(label, values, output, out),
        Told::Gap(gap) => shape::gap(label, gap, out),
        Told::Anomaly(anomaly) => shape::anomaly(label, anomaly, telling.cause_seq, out),
        Told::Forecast(forecast) => shape::forecast(label, forecast, telling.cause_seq, out),
        Told::Signal(signal) => shape::signal(label, signal, telling.cause_seq, out),
        Told::Outcome(_) | Told::Score(_) | Told::Refused { .. } => {
            unreachable!("outcomes, scores and refusals have no channel")
        }
    }
    out.push(b'}');
}

/// How many messages a telling makes: one for each output of an indicator, one of all else.
pub fn messages_of(told: &Told) -> usize {
    match (Channel::of(told), told) {
        (None, _) => 0,
        (_, Told::Indicator(values)) => values.outputs.len(),
        _ => 1,
    }
}
