//! Each line marked `BANNED` breaks the ban list; `.ci/bans` shows that clippy finds every one,
//! and nothing else. Not part of the crate.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

pub fn clocks() {
    let started = std::time::Instant::now(); // BANNED
    let _ = started.elapsed(); // BANNED
    let _ = std::time::SystemTime::now(); // BANNED
    std::thread::sleep(std::time::Duration::ZERO); // BANNED
}

pub fn queues() {
    let (_sender, _receiver) = std::sync::mpsc::channel::<u8>(); // BANNED
    let (_sender, _receiver) = std::sync::mpsc::sync_channel::<u8>(1);
}

pub fn randomness() -> u64 {
    let state = std::hash::RandomState::new(); // BANNED
    state.hash_one(1)
}

pub fn maps(mut map: HashMap<u8, u8>, mut set: HashSet<u8>) -> u64 {
    let _ = map.get(&1);
    let _ = set.contains(&1);
    let mut sum = map.iter().count(); // BANNED
    sum += map.iter_mut().count(); // BANNED
    sum += map.keys().count(); // BANNED
    sum += map.values().count(); // BANNED
    sum += map.values_mut().count(); // BANNED
    map.retain(|_, _| true); // BANNED
    sum += map.drain().count(); // BANNED
    sum += set.iter().count(); // BANNED
    sum += set.union(&set).count(); // BANNED
    set.retain(|_| true); // BANNED
    sum += set.drain().count(); // BANNED
    let mut product = 1;
    for key in set { // BANNED
        product *= u64::from(key);
    }
    product + sum as u64
}

pub fn floats(x: f64, y: f32) -> (f64, f32) {
    let mut a = x.sqrt().abs().floor();
    a += x.ln(); // BANNED
    a += x.log10(); // BANNED
    a += x.exp(); // BANNED
    a += x.powi(2); // BANNED
    a += x.powf(2.5); // BANNED
    a += x.sin(); // BANNED
    a += x.tanh(); // BANNED
    a += x.cbrt(); // BANNED
    a += x.hypot(a); // BANNED
    a += x.mul_add(a, a); // BANNED
    let mut b = y.sqrt();
    b += y.ln(); // BANNED
    b += y.exp(); // BANNED
    b += y.powi(2); // BANNED
    (a, b)
}
