//! The rules of a job, one sentence each.

use cqrs_es::test::TestFramework;

use super::*;
use crate::ids::{PassId, UnixSeconds};

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

fn pass(serial: &str) -> PassId {
    PassId::parse(&format!("pass.com.example/{serial}")).unwrap()
}

fn place(serial: &str) -> JobCursor {
    JobCursor::from(&pass(serial))
}

fn start() -> JobCommand {
    JobCommand::Start { work: JobWork::BrandAssets, total: 3, at: NOW }
}

fn started() -> JobEvent {
    JobEvent::Started { work: JobWork::BrandAssets, total: 3, started_at: NOW }
}

fn advance(from: Option<&str>, to: &str, failures: Vec<JobFailure>) -> JobCommand {
    JobCommand::Advance { from: from.map(place), to: place(to), done: 100, failures }
}

fn advanced(cursor: &str, done: u64, failed: u64, failures: Vec<JobFailure>) -> JobEvent {
    JobEvent::Advanced { cursor: place(cursor), done, failed, failures }
}

fn failures(count: usize) -> Vec<JobFailure> {
    let failure = |number: usize| JobFailure {
        pass: Some(pass(&number.to_string())),
        subject: None,
        code: "missing_image".into(),
        detail: "it would have no icon".into(),
    };
    (0..count).map(failure).collect()
}

fn finish(from: Option<&str>) -> JobCommand {
    JobCommand::Finish { from: from.map(place), at: NOW }
}

fn finished() -> JobEvent {
    JobEvent::Finished { finished_at: NOW }
}

#[track_caller]
fn check(history: Vec<JobEvent>, command: JobCommand, expected: Vec<JobEvent>) {
    TestFramework::<Job>::with(()).given(history).when(command).then_expect_events(expected);
}

#[track_caller]
fn refuse(history: Vec<JobEvent>, command: JobCommand, expected: &JobError) {
    let found = TestFramework::<Job>::with(()).given(history).when(command).inspect_result();
    assert_eq!(found.as_ref(), Err(expected));
}

#[test]
fn a_job_is_started_once() {
    check(vec![], start(), vec![started()]);
    check(vec![started()], start(), vec![]);
    check(vec![started(), advanced("A", 100, 0, vec![]), finished()], start(), vec![]);
}

#[test]
fn steps_add_up() {
    check(vec![started()], advance(None, "A", vec![]), vec![advanced("A", 100, 0, vec![])]);
    let history = vec![started(), advanced("A", 100, 0, vec![])];
    check(history, advance(Some("A"), "B", failures(2)), vec![advanced("B", 200, 2, failures(2))]);
}

#[test]
fn a_step_that_another_worker_took_is_refused() {
    let history = || vec![started(), advanced("A", 100, 0, vec![])];
    refuse(history(), advance(None, "A", vec![]), &JobError::Elsewhere);
    refuse(history(), finish(None), &JobError::Elsewhere);
}

#[test]
fn only_the_first_failures_are_kept_in_words_and_all_are_counted() {
    let history = vec![started(), advanced("A", 100, 15, failures(15))];
    check(history, advance(Some("A"), "B", failures(9)), vec![advanced("B", 200, 24, failures(5))]);
    let history = vec![started(), advanced("A", 100, 90, failures(KEPT_FAILURES))];
    check(history, advance(Some("A"), "B", failures(9)), vec![advanced("B", 200, 99, vec![])]);
}

#[test]
fn a_job_is_finished_once_and_goes_no_further() {
    check(vec![started()], finish(None), vec![finished()]);
    check(vec![started(), advanced("A", 100, 0, vec![])], finish(Some("A")), vec![finished()]);
    check(vec![started(), finished()], finish(None), vec![]);
    refuse(vec![started(), finished()], advance(None, "A", vec![]), &JobError::Finished);
}

#[test]
fn what_was_not_started_goes_nowhere() {
    refuse(vec![], advance(None, "A", vec![]), &JobError::NotStarted);
    refuse(vec![], finish(None), &JobError::NotStarted);
}
