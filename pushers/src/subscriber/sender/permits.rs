//! How many pushes this sender may have sent whose results are not written yet: they would be sent again if the process died.

pub(super) struct Permits {
    /// The most that are given out.
    cap: usize,
    /// Pushes, and reports of dead tokens, that wait for their answers.
    in_flight: usize,
    /// Pushes that were answered, and whose results are not written.
    unwritten: usize,
}

impl Permits {
    pub(super) fn new(cap: usize) -> Self {
        Self { cap, in_flight: 0, unwritten: 0 }
    }

    pub(super) fn cap(&self) -> usize {
        self.cap
    }

    pub(super) fn are_available(&self) -> bool {
        self.in_flight + self.unwritten < self.cap
    }

    /// Whether every push and every report has been answered.
    pub(super) fn are_all_answered(&self) -> bool {
        self.in_flight == 0
    }

    /// For a push that is sent now.
    pub(super) fn acquire(&mut self) {
        self.in_flight += 1;
    }

    /// The push has been answered. It keeps its permit until the result is [written](Self::release).
    pub(super) fn push_answered(&mut self) {
        self.in_flight -= 1;
        self.unwritten += 1;
    }

    /// The results of so many pushes are written.
    pub(super) fn release(&mut self, pushes: usize) {
        self.unwritten -= pushes;
    }

    /// The domain is told that a token is dead. That must not wait for a permit: the push that found it out had one.
    pub(super) fn report_sent(&mut self) {
        self.in_flight += 1;
    }

    pub(super) fn report_answered(&mut self) {
        self.in_flight -= 1;
    }
}
