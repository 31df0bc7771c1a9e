//! `process_*` metrics, as Prometheus' client libraries name them, read from `/proc`.
//!
//! What the system does not tell is left out.

use std::fmt::Write;
use std::fs;

/// Linux tells times of processes in hundredths of a second, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// Appends what is known of this process.
pub fn write(text: &mut String) {
    let mut tell = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        }
    };
    let stat = read("/proc/self/stat");
    // The name of the program may hold blanks: fields are counted from behind its parenthesis.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map_or(Vec::new(), |(_, rest)| rest.split_whitespace().collect());
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    let status = read("/proc/self/status");
    let kilobytes = |name: &str| number_behind(&status, name).map(|kilobytes| kilobytes * 1_024.0);
    let limits = read("/proc/self/limits");
    let boot = number_behind(&read("/proc/stat"), "btime");
    let started = field(22).map(|ticks| ticks / TICKS_PER_SECOND);
    let cpu = field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS_PER_SECOND);
    let open_fds = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64);

    tell("process_cpu_seconds_total", "counter", "CPU time, user and system.", cpu);
    tell("process_open_fds", "gauge", "Open file descriptors.", open_fds);
    tell("process_max_fds", "gauge", "Most that may be open.", number_behind(&limits, "Max open files"));
    tell("process_resident_memory_bytes", "gauge", "Memory in use.", kilobytes("VmRSS:"));
    tell("process_virtual_memory_bytes", "gauge", "Memory that is mapped.", kilobytes("VmSize:"));
    tell("process_threads", "gauge", "Threads.", number_behind(&status, "Threads:"));
    let start_time = boot.zip(started).map(|(boot, started)| boot + started);
    tell("process_start_time_seconds", "gauge", "When it was started, since 1970.", start_time);
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn number_behind(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_behind_their_names() {
        assert_eq!(number_behind("VmSize:\t  12 kB\nVmRSS:\t 7 kB\n", "VmRSS:"), Some(7.0));
        assert_eq!(number_behind("Max open files   1024   2048 files", "Max open files"), Some(1024.0));
        assert_eq!(number_behind("Max open files   unlimited", "Max open files"), None);
        let mut text = String::new();
        write(&mut text);
        if cfg!(target_os = "linux") {
            for name in ["process_cpu_seconds_total", "process_open_fds", "process_resident_memory_bytes"] {
                assert!(text.contains(&format!("\n{name} ")), "{name} in {text}");
            }
        }
    }
}
