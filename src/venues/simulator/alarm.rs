//! Sleeps to the microsecond.
//!
//! The runtime's own timers go in milliseconds, so that a thousand trades a second would be told in clumps, each
//! waiting for the next millisecond, as no exchange does it. Linux wakes a thread in time (`timerfd_create(2)`); elsewhere
//! the runtime's timers have to do.

use std::time::Duration;

#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;

#[cfg(target_os = "linux")]
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
#[cfg(target_os = "linux")]
use tokio::io::unix::AsyncFd;

/// Waits once at a time, on the thread of its runtime.
pub struct Alarm {
    /// `None`: the system has none to give.
    #[cfg(target_os = "linux")]
    timer: Option<AsyncFd<OwnedFd>>,
}

#[cfg(target_os = "linux")]
impl Alarm {
    /// To be made inside of the runtime that waits for it.
    pub fn of_runtime() -> Self {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).ok();
        #[expect(unsafe_code, reason = "there is no other door to the runtime's reactor")]
        // SAFETY: an `OwnedFd` is open, and the same, for as long as the `AsyncFd` owns it; nobody takes it out.
        let register = |timer| unsafe { AsyncFd::register(timer) }.ok();
        Self { timer: timer.and_then(register) }
    }

    /// Returns after that time.
    pub async fn wait(&self, time: Duration) {
        let Some(timer) = &self.timer else { return tokio::time::sleep(time).await };
        if ring(timer, time).await.is_err() {
            tokio::time::sleep(time).await;
        }
    }
}

#[cfg(target_os = "linux")]
async fn ring(timer: &AsyncFd<OwnedFd>, time: Duration) -> std::io::Result<()> {
    let none = Timespec { tv_sec: 0, tv_nsec: 0 };
    // Nothing at all would disarm it.
    let it_value = Timespec::try_from(time.max(Duration::from_nanos(1))).unwrap_or(none);
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: none, it_value })?;
    loop {
        let mut ready = timer.readable().await?;
        let mut times = [0; 8];
        match ready.try_io(|timer| Ok(rustix::io::read(timer, &mut times)?)) {
            Ok(read) => {
                // It rings once: there is nothing to read until it is set again.
                ready.clear_ready();
                return read.map(drop);
            }
            Err(_would_block) => {}
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Alarm {
    pub fn of_runtime() -> Self {
        Self {}
    }

    /// Returns after that time.
    pub async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock::Mono;

    #[test]
    fn it_rings_again_and_again_and_never_early() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let alarm = Alarm::of_runtime();
            for micros in [0, 1, 50, 300, 2_000, 100] {
                let (time, begun) = (Duration::from_micros(micros), Mono::now());
                alarm.wait(time).await;
                // Two clocks: they agree in the long run.
                assert!(Mono::now().since(begun) >= time.mul_f64(0.9), "{micros}");
            }
        });
    }

    #[test]
    fn a_wait_that_was_given_up_does_not_ring_later() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (alarm, begun) = (Alarm::of_runtime(), Mono::now());
            tokio::select! {
                biased;
                () = alarm.wait(Duration::from_millis(1)) => unreachable!("nothing was waited for"),
                () = std::future::ready(()) => {}
            }
            alarm.wait(Duration::from_millis(20)).await;
            assert!(Mono::now().since(begun) >= Duration::from_millis(19));
        });
    }
}
