//! A lane for each organisation: its commands wait there one behind the other, and do not hold up those of other organisations.
//!
//! A lane holds the stream sequence numbers of its next [`MAX_PER_LANE`] commands. The commands of an organisation beyond that are found by
//! reading the stream again, from where the lane left off. So memory is bounded, however much waits in the stream and from whichever
//! organisation. There is no I/O here.

use std::collections::{BTreeMap, HashMap, VecDeque};

use honoken_domain::ids::OrganizationId;
use tokio::time::Instant;

/// The most commands that a lane holds.
const MAX_PER_LANE: usize = 64;

/// The most organisations with waiting commands. While there are more, the rest of the stream is not read.
const MAX_LANES: usize = 4096;

/// The owner of a lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    Organization(OrganizationId),
    /// Senders without a valid key share one lane, in which their commands are refused one after the other.
    Unauthenticated,
}

/// The result of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It is done.
    Done,
    /// It is tried again at this time, and the commands behind it in its lane wait.
    RetryAt(Instant),
}

/// All lanes, and the sequence number up to which the stream was read.
#[derive(Debug)]
pub(super) struct Lanes {
    by_owner: HashMap<Owner, Lane>,
    /// The lanes with a command to start, in order.
    ready: VecDeque<Owner>,
    /// The lanes that wait for a time. The number tells two with the same time apart.
    delayed: BTreeMap<(Instant, u64), Owner>,
    delays: u64,
    /// Every command before this number is in its lane, or behind the end of a lane that is full, or done.
    frontier: u64,
}

#[derive(Debug, Default)]
struct Lane {
    /// In order; the first may be in progress.
    waiting: VecDeque<u64>,
    /// When the lane is behind: its commands from this number up to the frontier are not in the lane yet.
    behind_from: Option<u64>,
    /// How often the first command was tried.
    tries: u32,
    /// Whether it is neither ready, nor in progress, nor delayed.
    idle: bool,
}

impl Lanes {
    /// Lanes that start reading at this number.
    pub(super) fn from(frontier: u64) -> Self {
        Self {
            by_owner: HashMap::new(),
            ready: VecDeque::new(),
            delayed: BTreeMap::new(),
            delays: 0,
            frontier,
        }
    }

    /// The number from which new commands are read.
    pub(super) fn frontier(&self) -> u64 {
        self.frontier
    }

    /// The number from which to read commands of a lane that is behind and has room by now.
    pub(super) fn behind(&self) -> Option<u64> {
        let with_room = self.by_owner.values().filter(|lane| lane.waiting.len() <= MAX_PER_LANE / 2);
        with_room.filter_map(|lane| lane.behind_from).min()
    }

    /// Records that the stream was read from `from`: there is no command before `to`, and one of `owner` at `to` if that is given. Returns
    /// `false` when there is no lane for it; the command is then to be read again later.
    pub(super) fn record(&mut self, from: u64, to: u64, owner: Option<Owner>) -> bool {
        let Some(owner) = owner else {
            self.record_none_between(from, to);
            self.frontier = if from == self.frontier { self.frontier.max(to) } else { self.frontier };
            return true;
        };
        let number = to;
        if number >= self.frontier && self.by_owner.len() >= MAX_LANES && !self.by_owner.contains_key(&owner)
        {
            return false;
        }
        self.record_none_between(from, number);
        let is_new = number >= self.frontier;
        self.frontier = self.frontier.max(number + 1);
        let is_next_of_those_behind =
            self.by_owner.get(&owner).is_some_and(|lane| lane.behind_from == Some(number));
        for lane in self.by_owner.values_mut().filter(|lane| lane.behind_from == Some(number)) {
            lane.behind_from = (number + 1 < self.frontier).then_some(number + 1);
        }
        if is_new || is_next_of_those_behind {
            self.enqueue(number, owner);
        }
        true
    }

    /// Moves on the lanes that were behind from a number in this range, since they have no command there.
    fn record_none_between(&mut self, from: u64, to: u64) {
        let frontier = self.frontier;
        for lane in self.by_owner.values_mut() {
            if lane.behind_from.is_some_and(|behind| from <= behind && behind < to) {
                lane.behind_from = (to < frontier).then_some(to);
            }
        }
    }

    /// Puts a command at the end of its lane, if the lane holds all commands before it and has room. Otherwise the command is found again
    /// when the lane reaches it.
    fn enqueue(&mut self, number: u64, owner: Owner) {
        let lane =
            self.by_owner.entry(owner.clone()).or_insert_with(|| Lane { idle: true, ..Lane::default() });
        if lane.behind_from.is_some_and(|behind| behind < number) {
            return;
        }
        if lane.waiting.len() >= MAX_PER_LANE {
            lane.behind_from = Some(number);
            return;
        }
        lane.waiting.push_back(number);
        if std::mem::take(&mut lane.idle) {
            self.ready.push_back(owner);
        }
    }

    /// Starts the next command of the lane whose turn it is. [`Lanes::finish`] records its result.
    pub(super) fn next_command(&mut self, now: Instant) -> Option<(u64, Owner)> {
        while let Some(due) = self.delayed.first_entry().filter(|due| due.key().0 <= now) {
            self.ready.push_back(due.remove());
        }
        let owner = self.ready.pop_front()?;
        let number = *self.by_owner.get(&owner)?.waiting.front()?;
        Some((number, owner))
    }

    /// When the first delayed lane is to go on.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.delayed.first_key_value().map(|((due, _), _)| *due)
    }

    /// How often the first command of a lane was tried.
    pub(super) fn tries(&self, owner: &Owner) -> u32 {
        self.by_owner.get(owner).map_or(0, |lane| lane.tries)
    }

    /// Records the result of the command of a lane that was started.
    pub(super) fn finish(&mut self, owner: Owner, end: End) {
        let Some(lane) = self.by_owner.get_mut(&owner) else { return };
        if let End::RetryAt(at) = end {
            lane.tries = lane.tries.saturating_add(1);
            self.delays += 1;
            self.delayed.insert((at, self.delays), owner);
            return;
        }
        lane.waiting.pop_front();
        lane.tries = 0;
        if !lane.waiting.is_empty() {
            self.ready.push_back(owner);
        } else if lane.behind_from.is_some() {
            lane.idle = true;
        } else {
            self.by_owner.remove(&owner);
        }
    }

    /// Whether every command up to a number is done.
    pub(super) fn are_done_up_to(&self, number: u64) -> bool {
        let has_one = |lane: &Lane| {
            let first = lane.waiting.front().copied().or(lane.behind_from);
            first.is_some_and(|first| first <= number)
        };
        number < self.frontier && !self.by_owner.values().any(has_one)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn owner(name: &str) -> Owner {
        Owner::Organization(OrganizationId::parse(name).unwrap())
    }

    /// A stream that is read in the order that the lanes ask for.
    struct Stream(Vec<(u64, Owner)>);

    impl Stream {
        fn of(owners: &[&str]) -> Self {
            Self((1..).zip(owners.iter().map(|name| owner(name))).collect())
        }

        fn is_read_from(&self, lanes: &mut Lanes, from: u64) {
            // For a lane that is behind, the stream is read up to the frontier only.
            let end = if from < lanes.frontier() { lanes.frontier() } else { u64::MAX };
            match self.0.iter().find(|(number, _)| (from..end).contains(number)).cloned() {
                Some((number, owner)) => assert!(lanes.record(from, number, Some(owner))),
                None => assert!(lanes.record(from, end.min(lanes.frontier()), None)),
            }
        }

        /// Reads all new commands, and all for which lanes have room.
        fn is_read(&self, lanes: &mut Lanes) {
            let last = self.0.last().map_or(0, |(number, _)| *number);
            while lanes.frontier() <= last {
                self.is_read_from(lanes, lanes.frontier());
            }
            while let Some(behind) = lanes.behind() {
                self.is_read_from(lanes, behind);
            }
        }

        fn finish(&mut self, number: u64) {
            self.0.retain(|(known, _)| *known != number);
        }
    }

    #[test]
    fn one_that_rests_holds_up_its_own_and_nobody_else() {
        let mut lanes = Lanes::from(1);
        Stream::of(&["a", "a", "b", "a", "b"]).is_read(&mut lanes);
        let now = Instant::now();
        assert_eq!(lanes.next_command(now), Some((1, owner("a"))));
        assert_eq!(lanes.next_command(now), Some((3, owner("b"))), "while the first is at work");
        assert_eq!(lanes.next_command(now), None, "one after the other in each lane");
        let later = now + Duration::from_secs(1);
        lanes.finish(owner("a"), End::RetryAt(later));
        lanes.finish(owner("b"), End::Done);
        assert_eq!(lanes.next_command(now), Some((5, owner("b"))));
        lanes.finish(owner("b"), End::Done);
        assert_eq!((lanes.next_command(now), lanes.next_due()), (None, Some(later)));
        assert_eq!((lanes.next_command(later), lanes.tries(&owner("a"))), (Some((1, owner("a"))), 1));
        lanes.finish(owner("a"), End::Done);
        assert_eq!((lanes.next_command(later), lanes.tries(&owner("a"))), (Some((2, owner("a"))), 0));
        assert!(
            lanes.are_done_up_to(1) && !lanes.are_done_up_to(2) && !lanes.are_done_up_to(5),
            "5 is done, 2 is not"
        );
    }

    #[test]
    fn however_many_one_sends_what_is_known_of_them_is_bounded_and_none_is_left_out() {
        let flood = [vec!["a"; 500], vec!["b"], vec!["a"; 500], vec!["c", "b"]].concat();
        let mut stream = Stream::of(&flood);
        let mut lanes = Lanes::from(1);
        let now = Instant::now();
        stream.is_read(&mut lanes);
        assert_eq!(lanes.by_owner.values().map(|lane| lane.waiting.len()).sum::<usize>(), MAX_PER_LANE + 3);
        assert!(lanes.are_done_up_to(0) && !lanes.are_done_up_to(1));
        let mut carried_out: HashMap<Owner, Vec<u64>> = HashMap::new();
        while let Some((number, of)) = lanes.next_command(now) {
            stream.finish(number);
            carried_out.entry(of.clone()).or_default().push(number);
            lanes.finish(of, End::Done);
            stream.is_read(&mut lanes);
        }
        let of_a: Vec<u64> = (1..=500).chain(502..=1001).collect();
        assert_eq!(carried_out[&owner("a")], of_a);
        assert_eq!((&carried_out[&owner("b")], &carried_out[&owner("c")]), (&vec![501, 1003], &vec![1002]));
        assert!(lanes.by_owner.is_empty() && lanes.behind().is_none());
        assert!(lanes.are_done_up_to(1003) && !lanes.are_done_up_to(1004));
    }

    #[test]
    fn two_that_send_much_in_turns_are_both_carried_out_in_order_whoever_is_faster() {
        let mut stream = Stream::of(&["a", "b"].repeat(300));
        let mut lanes = Lanes::from(1);
        let (mut now, mut carried_out) = (Instant::now(), HashMap::<Owner, Vec<u64>>::new());
        stream.is_read(&mut lanes);
        for turn in 0.. {
            now += Duration::from_secs(1);
            let Some((number, of)) = lanes.next_command(now) else { break };
            if of == owner("a") && turn % 3 != 0 {
                lanes.finish(of, End::RetryAt(now));
                continue;
            }
            stream.finish(number);
            carried_out.entry(of.clone()).or_default().push(number);
            lanes.finish(of, End::Done);
            // New commands arrive all the time, and are read before those that lanes are behind with.
            if turn % 5 == 0 && turn < 1000 {
                let next = lanes.frontier();
                stream.0.push((next, owner("b")));
                stream.is_read_from(&mut lanes, next);
            }
            stream.is_read(&mut lanes);
        }
        assert!(stream.0.is_empty(), "{} are left", stream.0.len());
        assert_eq!(carried_out[&owner("a")].len(), 300);
        assert!(carried_out.values().all(|numbers| numbers.is_sorted()));
    }

    #[test]
    fn there_is_no_lane_for_more_organisations_than_fit_until_one_is_done() {
        let mut lanes = Lanes::from(1);
        for number in 1..=MAX_LANES as u64 {
            assert!(lanes.record(number, number, Some(owner(&number.to_string()))));
        }
        let next = MAX_LANES as u64 + 1;
        assert!(!lanes.record(next, next, Some(owner("another"))));
        assert_eq!(lanes.frontier(), next, "it is read again");
        assert!(lanes.record(next, next, Some(owner("1"))), "who has a lane keeps it");
        let (_, first) = lanes.next_command(Instant::now()).unwrap();
        lanes.finish(first, End::Done);
        let (_, second) = lanes.next_command(Instant::now()).unwrap();
        lanes.finish(second, End::Done);
        assert!(lanes.record(next + 1, next + 1, Some(owner("another"))));
    }
}
