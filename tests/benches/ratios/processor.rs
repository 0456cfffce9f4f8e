//! Processor time, as Linux counts it.

use std::fs;
use std::time::Duration;

/// What the calling thread has spent on a core.
pub(crate) fn of_this_thread() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts a thread's time");
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first field is a number"))
}

/// What a process has spent on all cores, in steps of a hundredth of a second.
pub(crate) fn of_process(id: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).expect("the process is there");
    // The second field is the name in parentheses, which may hold spaces; user and system time are the 14th and the 15th.
    let (_, fields) = text.rsplit_once(") ").expect("the name ends");
    let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
