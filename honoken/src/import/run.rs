//! Many lines at a time. Lines about the same pass keep their order, all others do not.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::BufRead;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::journal::Journal;
use super::line::{self, Call};
use super::lines::{LONGEST, Line, Lines, Mark};
use super::outcome::{Outcome, Refusal};
use super::sender::{Sender, Stop};
use super::shown::Shown;

/// Lines that are read ahead of those that are looked at.
const READ_AHEAD: usize = 64;

/// The bytes of lines that wait to be sent, at most.
const WAITING_BYTES: usize = 64 * LONGEST;

/// Lines that are done or on their way while a line before them is not done, at most.
const AHEAD: usize = 8192;

/// An import of many lines.
pub(super) struct Import {
    pub(super) sender: Sender,
    /// Lines that are on their way at a time.
    pub(super) concurrency: usize,
    pub(super) shown: Shown,
}

/// A line that is to be sent.
struct Job {
    call: Call,
    end: Mark,
}

/// The result of a line that was sent.
struct Sent {
    lane: usize,
    bytes: usize,
    end: Mark,
    outcome: Result<Outcome, Stop>,
}

/// The lines that wait behind each other. Of each lane one line is on its way.
struct Lanes {
    waiting: Vec<VecDeque<Job>>,
    busy: Vec<bool>,
    /// Bytes of the calls that wait or are on their way.
    bytes: usize,
    on_their_way: JoinSet<Sent>,
}

impl Import {
    /// Sends every line, and returns the journal in any case.
    ///
    /// # Errors
    /// When the import did not come to its end.
    pub(super) async fn run<R: BufRead + Send + 'static>(
        self,
        input: Lines<R>,
        mut journal: Journal,
        stop: &CancellationToken,
    ) -> (Journal, anyhow::Result<()>) {
        let ended = self.send_all(input, &mut journal, stop).await;
        self.shown.ends();
        (journal, ended)
    }

    async fn send_all<R: BufRead + Send + 'static>(
        &self,
        input: Lines<R>,
        journal: &mut Journal,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut read = read_ahead(input);
        let mut lanes = Lanes::new(self.concurrency);
        let mut is_read = false;
        loop {
            self.shown.at(journal.bytes(), journal.counts());
            if is_read && lanes.on_their_way.is_empty() {
                return Ok(());
            }
            let has_room = lanes.bytes < WAITING_BYTES && journal.ahead() + lanes.lines() < AHEAD;
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Stop::Interrupted.into()),
                Some(sent) = lanes.on_their_way.join_next() => {
                    let Sent { lane, bytes, end, outcome } = sent?;
                    lanes.bytes -= bytes;
                    journal.note(end, outcome?)?;
                    lanes.go_on(lane, &self.sender);
                }
                line = read.recv(), if !is_read && has_room => match line {
                    Some(line) => self.take(line?, &mut lanes, journal)?,
                    None => is_read = true,
                },
            }
        }
    }

    fn take(&self, line: Line, lanes: &mut Lanes, journal: &mut Journal) -> anyhow::Result<()> {
        let Line { text, end } = line;
        let Some(text) = text else {
            let detail = format!("a line has {LONGEST} bytes at most");
            let refusal = Refusal::of_line("too_large", detail);
            return journal.note(end, Outcome::Refused(refusal));
        };
        match line::read(&text) {
            None => journal.note(end, Outcome::Empty),
            Some(Err(refusal)) => journal.note(end, Outcome::Refused(refusal)),
            Some(Ok(call)) => {
                lanes.take(Job { call, end }, &self.sender);
                Ok(())
            }
        }
    }
}

impl Lanes {
    fn new(count: usize) -> Self {
        let waiting = (0..count).map(|_| VecDeque::new()).collect();
        Self { waiting, busy: vec![false; count], bytes: 0, on_their_way: JoinSet::new() }
    }

    /// Lines that wait or are on their way.
    fn lines(&self) -> usize {
        self.on_their_way.len() + self.waiting.iter().map(VecDeque::len).sum::<usize>()
    }

    fn take(&mut self, job: Job, sender: &Sender) {
        self.bytes += job.call.body.len();
        let mut hasher = DefaultHasher::new();
        job.call.subject.pass().hash(&mut hasher);
        let lane = usize::try_from(hasher.finish() % self.busy.len() as u64).unwrap_or_default();
        if self.busy[lane] {
            self.waiting[lane].push_back(job);
        } else {
            self.send(lane, job, sender);
        }
    }

    /// Sends the next line of a lane whose line is done.
    fn go_on(&mut self, lane: usize, sender: &Sender) {
        self.busy[lane] = false;
        if let Some(job) = self.waiting[lane].pop_front() {
            self.send(lane, job, sender);
        }
    }

    fn send(&mut self, lane: usize, Job { call, end }: Job, sender: &Sender) {
        self.busy[lane] = true;
        let sender = sender.clone();
        self.on_their_way.spawn(async move {
            let outcome = sender.carry_out(&call).await;
            Sent { lane, bytes: call.body.len(), end, outcome }
        });
    }
}

/// Reads in a thread of its own, since standard input and files make a thread wait. It ends when its lines are taken no longer; the end of the
/// process does not wait for it, as standard input may never say more.
fn read_ahead<R: BufRead + Send + 'static>(mut lines: Lines<R>) -> mpsc::Receiver<anyhow::Result<Line>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    std::thread::spawn(move || {
        while let Some(line) = lines.next().transpose() {
            let is_last = line.is_err();
            if sender.blocking_send(line).is_err() || is_last {
                return;
            }
        }
    });
    receiver
}
