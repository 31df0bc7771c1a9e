//! The alerts as the rest of the process sees them: a sink for signals, and a thread that decides and sends.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tracing::{error, warn};

use crate::alerts::channel::Answer;
use crate::alerts::config::{AlertConfig, ChannelConfig, RouteConfig};
use crate::alerts::courier::{self, Courier};
use crate::alerts::error::AlertError;
use crate::alerts::notification::Notification;
use crate::alerts::outbox::{Alerted, Outbox};
use crate::alerts::policy::{Decision, Group, Key, State, Subject};
use crate::domain::insight::{Severity, Signal, SignalKind};
use crate::domain::shape::{self, Label};
use crate::domain::time::UnixNanos;
use crate::domain::told::{Roster, Told, Watch};
use crate::runtime::clock;
use crate::runtime::health::{Condition, Health};
use crate::runtime::metrics::{Metrics, QueueMeter};
use crate::runtime::sink::{Barrier, Batch, Heard, Sink};

/// Batches with signals that wait. When it is full a batch is not taken: its signals are counted, the health of
/// the alerts says so, and history has them.
const QUEUE_MAX: usize = 4_096;
const POLL_EVERY: Duration = Duration::from_millis(10);
/// What could not be written is tried again after this time; nothing further is decided meanwhile.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Alerts that are on their way when the process stops may arrive within this time; the rest after the start.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// The running alerts; ends, with what came decided and kept, when it is dropped.
#[derive(Debug)]
pub struct Alerts {
    sink: Arc<AlertSink>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct AlertSink {
    sender: Sender<Item>,
    meter: QueueMeter,
    health: Health,
}

#[derive(Debug)]
enum Item {
    Batch(Arc<Batch>),
    Mark(Barrier),
}

impl Alerts {
    /// Opens the outbox in `dir`, and starts to send what it still holds.
    pub fn start(
        config: AlertConfig,
        dir: &Path,
        roster: &Roster,
        metrics: &Metrics,
        health: &Health,
    ) -> Result<Self, AlertError> {
        let outbox = Outbox::open(dir)?;
        let client = courier::client()?;
        let (sender, items) = bounded(QUEUE_MAX);
        let meter = metrics.queue("alerts");
        let sink = Arc::new(AlertSink { sender, meter: meter.clone(), health: health.clone() });
        let stop = Arc::new(AtomicBool::new(false));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(AlertError::Thread)?;
        let (roster, metrics, health, stopping) =
            (roster.clone(), metrics.clone(), health.clone(), stop.clone());
        let thread = thread::Builder::new()
            .name("alerts".to_owned())
            .spawn(move || {
                let desk = Desk::new(config, outbox, client, &roster, &metrics, &health, meter, items);
                LocalSet::new().block_on(&runtime, desk.run(&stopping));
            })
            .map_err(AlertError::Thread)?;
        Ok(Self { sink, stop, thread: Some(thread) })
    }

    pub fn sink(&self) -> Arc<dyn Sink> {
        self.sink.clone()
    }
}

impl Drop for Alerts {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the alerts' thread panicked");
        }
    }
}

impl Sink for AlertSink {
    fn name(&self) -> &'static str {
        "alerts"
    }

    fn heard(&self, _watch: Watch) -> Heard {
        Heard::ALL
    }

    fn offer(&self, batch: &Arc<Batch>) {
        let signals = batch.tellings.iter().filter(|telling| matches!(telling.told, Told::Signal(_))).count();
        if signals == 0 {
            return;
        }
        if let Err(TrySendError::Full(_)) = self.sender.try_send(Item::Batch(batch.clone())) {
            self.meter.dropped.inc_by(signals as u64);
            self.health.set("alerts", Condition::Degraded, "signals came faster than they could be decided");
        }
    }

    fn mark(&self, barrier: Barrier) {
        // Dropped where it is full: the snapshot does not count, and the next one comes.
        let _ = self.sender.try_send(Item::Mark(barrier));
    }
}

/// What is to be written, in order.
struct Writing {
    keys: Vec<(u64, String)>,
    alerted: Vec<Alerted>,
    notification: Option<Notification>,
    barrier: Option<Barrier>,
}

struct Desk {
    config: AlertConfig,
    state: State,
    outbox: Rc<RefCell<Outbox>>,
    couriers: BTreeMap<String, Rc<Courier>>,
    roster: Roster,
    labels: Vec<Label>,
    items: Receiver<Item>,
    meter: QueueMeter,
    health: Health,
    writing: VecDeque<Writing>,
    is_stuck: bool,
}

impl Desk {
    #[expect(clippy::too_many_arguments, reason = "each is a part of the process, and all are named")]
    fn new(
        config: AlertConfig,
        outbox: Outbox,
        client: reqwest::Client,
        roster: &Roster,
        metrics: &Metrics,
        health: &Health,
        meter: QueueMeter,
        items: Receiver<Item>,
    ) -> Self {
        let mut state = State::default();
        for (signal, channel) in outbox.keys() {
            state.remember(Key { signal: *signal, channel: channel.clone() });
        }
        for alerted in outbox.alerted() {
            let severity = Severity::ALL.into_iter().find(|severity| severity.name() == alerted.severity);
            let cooldown = config
                .routes
                .values()
                .filter(|route| route.channels.contains(&alerted.channel))
                .map(|route| route.cooldown)
                .min()
                .unwrap_or(RouteConfig::COOLDOWN);
            let until = UnixNanos(alerted.at.saturating_add(cooldown.as_nanos() as i64));
            let (channel, instrument) = (&alerted.channel, &alerted.instrument);
            state.remember_alert(
                channel,
                instrument,
                &alerted.name,
                severity.unwrap_or(Severity::Critical),
                until,
            );
        }
        if outbox.damaged_lines > 0 {
            error!(lines = outbox.damaged_lines, "outbox was damaged, some alerts may be lost or come twice");
        }
        let outbox = Rc::new(RefCell::new(outbox));
        let mut couriers = BTreeMap::new();
        for (name, channel) in &config.channels {
            let courier =
                Courier::new(name, channel.clone(), client.clone(), outbox.clone(), health.clone(), metrics);
            courier.resume();
            couriers.insert(name.clone(), Rc::new(courier));
        }
        health.set("alerts", Condition::Up, "");
        Self {
            config,
            state,
            outbox,
            couriers,
            roster: roster.clone(),
            labels: roster.iter().map(|(_, instrument)| Label::new(instrument)).collect(),
            items,
            meter,
            health: health.clone(),
            writing: VecDeque::new(),
            is_stuck: false,
        }
    }

    async fn run(mut self, stopping: &AtomicBool) {
        self.give_up_orphans();
        for courier in self.couriers.values() {
            let courier = courier.clone();
            tokio::task::spawn_local(async move { courier.run().await });
        }
        while !stopping.load(Ordering::Acquire) {
            self.turn(clock::now(), false);
            tokio::time::sleep(if self.is_stuck { RETRY_AFTER } else { POLL_EVERY }).await;
        }
        self.turn(clock::now(), true);
        let arrive = async {
            while !self.couriers.values().all(|courier| courier.is_idle()) {
                tokio::time::sleep(POLL_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(STOP_PATIENCE, arrive).await;
        self.health.set("alerts", Condition::Down, "stopped");
    }

    /// Alerts for channels that the configuration no longer has.
    fn give_up_orphans(&mut self) {
        let is_orphan = |open: &&Notification| !self.couriers.contains_key(&open.channel);
        let orphans: Vec<_> = self.outbox.borrow().unsent().filter(is_orphan).cloned().collect();
        for orphan in orphans {
            warn!(channel = orphan.channel, id = orphan.id, "alert was given up: its channel is gone");
            if let Err(error) = self.outbox.borrow_mut().give_up(&orphan.id, "its channel is gone") {
                error!(%error, "outbox cannot be written");
            }
        }
    }

    fn turn(&mut self, now: UnixNanos, at_once: bool) {
        // Nothing is taken while something cannot be written: the queue is the bound.
        if self.writing.is_empty() {
            self.meter.depth.set(self.items.len() as i64);
            for item in self.items.clone().try_iter().take(QUEUE_MAX) {
                match item {
                    Item::Batch(batch) => self.decide(&batch, now),
                    Item::Mark(barrier) => {
                        // What waits for company is kept now: the snapshot stands behind its signals.
                        self.collect(now, true);
                        let (keys, alerted) = (Vec::new(), Vec::new());
                        let barrier = Some(barrier);
                        self.writing.push_back(Writing { keys, alerted, notification: None, barrier });
                    }
                }
            }
            self.collect(now, at_once);
        }
        self.write();
    }

    fn decide(&mut self, batch: &Batch, now: UnixNanos) {
        for telling in &batch.tellings {
            let Told::Signal(signal) = &telling.told else { continue };
            let label = &self.labels[telling.watch.0 as usize];
            let instrument = self.roster.instrument(telling.watch).to_string();
            let subject = subject(instrument, label, signal, telling.cause_seq);
            for decision in self.state.signal(&self.config, &subject, now) {
                if let Decision::CooledDown(key) = decision {
                    let keys = vec![(key.signal, key.channel)];
                    self.writing.push_back(Writing {
                        keys,
                        alerted: Vec::new(),
                        notification: None,
                        barrier: None,
                    });
                }
            }
        }
    }

    fn collect(&mut self, now: UnixNanos, at_once: bool) {
        for decision in self.state.due(now, at_once) {
            if let Decision::Send(group) = decision {
                self.writing.push_back(writing(&group, now));
            }
        }
    }

    fn write(&mut self) {
        while let Some(writing) = self.writing.front_mut() {
            let (keys, alerted) = (std::mem::take(&mut writing.keys), std::mem::take(&mut writing.alerted));
            if !keys.is_empty() || writing.notification.is_some() {
                let decided =
                    self.outbox.borrow_mut().decide(&keys, alerted.clone(), writing.notification.clone());
                if let Err(error) = decided {
                    (writing.keys, writing.alerted) = (keys, alerted);
                    if !self.is_stuck {
                        error!(%error, "outbox cannot be written, no alert is sent");
                        self.health.set("alerts", Condition::Down, error.to_string());
                    }
                    self.is_stuck = true;
                    return;
                }
            }
            let Some(written) = self.writing.pop_front() else { return };
            if let Some(notification) = written.notification
                && let Some(courier) = self.couriers.get(&notification.channel)
            {
                courier.take(notification);
            }
            if let Some(barrier) = written.barrier {
                barrier.reach("alerts");
            }
        }
        if self.is_stuck {
            self.is_stuck = false;
            self.health.set("alerts", Condition::Up, "");
        }
    }
}

fn writing(group: &Group, now: UnixNanos) -> Writing {
    let alerted = group.subjects.iter().map(|subject| Alerted {
        channel: group.channel.clone(),
        instrument: group.instrument.clone(),
        name: subject.name.clone(),
        severity: subject.severity.name().to_owned(),
        at: now.0,
    });
    Writing {
        keys: group.keys.iter().map(|key| (key.signal, key.channel.clone())).collect(),
        alerted: alerted.collect(),
        notification: Some(Notification::new(group, now)),
        barrier: None,
    }
}

fn subject(instrument: String, label: &Label, signal: &Signal, cause_seq: u64) -> Subject {
    let mut json = b"{".to_vec();
    shape::signal(label, signal, cause_seq, &mut json);
    json.push(b'}');
    Subject {
        id: signal.id.0,
        instrument,
        name: signal.name.to_owned(),
        kind: signal.kind,
        severity: signal.severity,
        message: signal.message.clone(),
        json: String::from_utf8(json).expect("shapes are text"),
    }
}

/// Sends one alert that says it is a test, once.
pub fn test(name: &str, config: &ChannelConfig) -> Result<Answer, AlertError> {
    let now = clock::now();
    let subject = Subject {
        id: now.0 as u64,
        instrument: "test:ONLY-TEST".to_owned(),
        name: "test".to_owned(),
        kind: SignalKind::Quality,
        severity: Severity::Info,
        message: "This is a test: nothing has happened.".to_owned(),
        json: format!(r#"{{"id":"{:016x}","name":"test","severity":"info"}}"#, now.0),
    };
    let group = Group {
        channel: name.to_owned(),
        instrument: subject.instrument.clone(),
        keys: vec![Key { signal: subject.id, channel: name.to_owned() }],
        subjects: vec![subject],
        more: 0,
    };
    let client = courier::client()?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(AlertError::Thread)?;
    Ok(runtime.block_on(courier::send(&client, config, &Notification::new(&group, now))))
}
