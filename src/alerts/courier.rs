//! Brings the alerts of one channel to where they go: one after the other, each until it has arrived.
//!
//! First try again after a second, then after twice as long each time, at most five minutes, or as long as the
//! other side asks for. After a day, or where it will never be taken, it is given up: counted, in the log, in the
//! outbox, and in the health of the channel.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::sync::Notify;
use tracing::{error, info, warn};

use crate::alerts::channel::{self, Answer};
use crate::alerts::config::ChannelConfig;
use crate::alerts::error::AlertError;
use crate::alerts::notification::Notification;
use crate::alerts::outbox::Outbox;
use crate::runtime::clock::{self, Stopwatch};
use crate::runtime::health::{Condition, Health};
use crate::runtime::metrics::{Metrics, QueueMeter};

const TRY_FIRST_AFTER: Duration = Duration::from_secs(1);
const TRY_AT_LEAST_EVERY: Duration = Duration::from_secs(300);
/// Whoever asks for more is asked again after this time.
const ASKED_MAX: Duration = Duration::from_secs(3_600);
const GIVE_UP_AFTER: Duration = Duration::from_secs(86_400);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Alerts that may wait for a channel; further ones are given up at once.
pub const WAITING_MAX: usize = 1_000;

pub struct Courier {
    pub name: String,
    config: ChannelConfig,
    client: reqwest::Client,
    outbox: Rc<RefCell<Outbox>>,
    waiting: RefCell<VecDeque<Notification>>,
    bell: Notify,
    health: Health,
    /// Alerts that wait, and those that were given up, of all channels.
    meter: QueueMeter,
    sent: prometheus::IntCounter,
}

/// One for all channels.
pub fn client() -> Result<reqwest::Client, AlertError> {
    // Whoever was first has installed the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("tapewatch/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| AlertError::Client(error.to_string()))
}

/// One try.
pub async fn send(client: &reqwest::Client, config: &ChannelConfig, notification: &Notification) -> Answer {
    let Some(outgoing) = config.outgoing(notification, clock::now()) else {
        let (id, severity) = (&notification.id, &notification.severity);
        warn!(id, severity, channel = notification.channel, text = notification.text(), "alert");
        return Answer::Taken;
    };
    let mut request = client.post(outgoing.url.expose_secret()).body(outgoing.body);
    for (name, value) in outgoing.headers {
        request = request.header(name, value);
    }
    match request.send().await {
        Ok(response) => {
            let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
            channel::answer(response.status().as_u16(), retry_after, clock::now())
        }
        // The address is a secret: it is taken out of the error.
        Err(error) => {
            let why = if error.is_timeout() { "timed out".to_owned() } else { reason(&error.without_url()) };
            Answer::Again { after: None, why }
        }
    }
}

/// An error with its causes.
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl Courier {
    pub fn new(
        name: &str,
        config: ChannelConfig,
        client: reqwest::Client,
        outbox: Rc<RefCell<Outbox>>,
        health: Health,
        metrics: &Metrics,
    ) -> Self {
        let courier = Self {
            name: name.to_owned(),
            config,
            client,
            outbox,
            waiting: RefCell::default(),
            bell: Notify::new(),
            health,
            meter: metrics.queue("alerts_outbox"),
            sent: metrics.sink_rows.with_label_values(&["alerts", name]),
        };
        courier.tell(Condition::Up, "");
        courier
    }

    /// What the outbox holds of it from before.
    pub fn resume(&self) {
        let unsent: Vec<_> =
            self.outbox.borrow().unsent().filter(|open| open.channel == self.name).cloned().collect();
        self.meter.depth.add(unsent.len() as i64);
        self.waiting.borrow_mut().extend(unsent);
    }

    /// Takes an alert that the outbox holds.
    pub fn take(&self, notification: Notification) {
        if self.waiting.borrow().len() >= WAITING_MAX {
            return self.give_up(&notification, "too many alerts wait for this channel");
        }
        self.waiting.borrow_mut().push_back(notification);
        self.meter.depth.inc();
        self.bell.notify_one();
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    pub async fn run(&self) {
        loop {
            let next = self.waiting.borrow().front().cloned();
            match next {
                Some(notification) => {
                    self.deliver(&notification).await;
                    self.waiting.borrow_mut().pop_front();
                    self.meter.depth.dec();
                }
                None => self.bell.notified().await,
            }
        }
    }

    async fn deliver(&self, notification: &Notification) {
        let stopwatch = Stopwatch::start();
        let mut wait = TRY_FIRST_AFTER;
        loop {
            match send(&self.client, &self.config, notification).await {
                Answer::Taken => {
                    // Kept as open where this fails: told once more after a restart, rather than never.
                    if let Err(error) = self.outbox.borrow_mut().sent(&notification.id) {
                        error!(%error, "outbox cannot be written");
                    }
                    self.sent.inc();
                    if wait > TRY_FIRST_AFTER {
                        info!(channel = self.name, "alert arrived at last");
                    }
                    return self.tell(Condition::Up, "");
                }
                Answer::Refused(why) => return self.give_up(notification, &why),
                Answer::Again { why, .. } if stopwatch.elapsed() > GIVE_UP_AFTER => {
                    return self.give_up(notification, &format!("given up after a day: {why}"));
                }
                Answer::Again { after, why } => {
                    let pause = after.unwrap_or(Duration::ZERO).min(ASKED_MAX).max(wait);
                    warn!(channel = self.name, why, ?pause, "alert was not taken, trying again");
                    self.tell(Condition::Degraded, &format!("not taken, tried again: {why}"));
                    tokio::time::sleep(pause).await;
                    wait = (wait * 2).min(TRY_AT_LEAST_EVERY);
                }
            }
        }
    }

    fn give_up(&self, notification: &Notification, why: &str) {
        self.meter.dropped.inc();
        let id = &notification.id;
        error!(channel = self.name, id, why, text = notification.text(), "alert was given up");
        self.tell(Condition::Degraded, &format!("an alert was given up: {why}"));
        if let Err(error) = self.outbox.borrow_mut().give_up(id, why) {
            error!(%error, "outbox cannot be written");
        }
    }

    fn tell(&self, condition: Condition, reason: &str) {
        self.health.set(&format!("alerts:{}", self.name), condition, reason);
    }
}
