//! From a request that has been read to the frames of its answer, and the wishes of a test that concern open requests.

use std::sync::atomic::Ordering;
use std::task::Context;

use bytes::Bytes;

use super::flow_control::Body;
use super::frame;
use super::over::Over;
use super::protocol::Protocol;
use super::streams::Stream;
use crate::apns::answer::{Action, Answer};
use crate::apns::control::Control;
use crate::apns::hpack::Head;
use crate::apns::push;
use crate::apns::record::Received;

impl Protocol {
    /// A request has been read: decides on the answer, and when it is given.
    pub(super) fn complete(&mut self, id: u32) -> Result<(), Over> {
        let Some(mut stream) = self.streams.take_read(id) else { return Ok(()) };
        self.arrived += 1;
        let judged = self.judge.judge(&stream.head, &stream.body);
        if judged.is_ok() {
            self.lift_single_stream();
        }
        let answer = match judged {
            Err((status, reason)) => Answer::refused(status, reason),
            Ok(()) => self.judge.scripted(&stream.head).unwrap_or_else(Answer::accepted),
        };
        if self.server.options.records {
            self.recorded.push(self.record(id, &stream, &answer));
        }
        if matches!(answer.action, Action::Close) {
            self.closing = true;
            return Err(Over);
        }
        if let Action::GoAway(reason) = &answer.action {
            let reason = reason.clone();
            self.streams.recycle(stream);
            self.go_away(&reason, id.saturating_sub(2));
            return Ok(());
        }
        let delay = answer.delay.unwrap_or_else(|| self.server.latency());
        if self.server.holds.load(Ordering::Relaxed) {
            self.held.push(id);
        } else if delay.is_zero() {
            self.answer(id, &answer.action, &stream.head);
            self.streams.recycle(stream);
            return Ok(());
        } else {
            self.schedule.add(id, delay);
        }
        stream.answer = Some(answer.action);
        self.streams.wait(id, stream);
        Ok(())
    }

    fn record(&self, id: u32, stream: &Stream, answer: &Answer) -> Received {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = stream.head.iter().filter(|(name, _)| !name.starts_with(b":"));
        let (status, reason) = match &answer.action {
            Action::Status { status, reason, .. } => (Some(*status), reason.clone()),
            _ => (None, None),
        };
        Received {
            number: 0,
            at: self.server.started.elapsed(),
            connection: self.number,
            stream: id,
            token: text(push::token(&stream.head).unwrap_or_default()),
            headers: headers.map(|(name, value)| (text(name), text(value))).collect(),
            body: Bytes::copy_from_slice(&stream.body),
            status,
            reason,
            woke: answer.taken,
        }
    }

    /// Everything that arrived since the last time becomes visible to the test at once.
    pub(super) fn tell_arrivals(&mut self) {
        if self.arrived > 0 {
            self.server.arrived(std::mem::take(&mut self.arrived), &mut self.recorded);
        }
    }

    /// Gives the answers whose time has come.
    pub(super) fn answer_due(&mut self, cx: &mut Context<'_>) {
        for id in self.schedule.take_due(cx) {
            self.answer_waiting(id);
        }
    }

    fn answer_waiting(&mut self, id: u32) {
        if let Some(mut stream) = self.streams.take_waiting(id) {
            if let Some(action) = stream.answer.take() {
                self.answer(id, &action, &stream.head);
            }
            self.streams.recycle(stream);
        }
    }

    fn answer(&mut self, id: u32, action: &Action, head: &Head) {
        match action {
            Action::Status { status, headers, body, .. } => {
                self.answer_status(id, *status, headers, body, head.get("apns-id"));
            }
            Action::Reset(code) => self.output.reset(id, *code),
            // These were dealt with when the request had been read.
            Action::GoAway(_) | Action::Close => {}
            Action::Silence => self.streams.wait(id, Stream::default()),
        }
    }

    fn answer_status(
        &mut self,
        id: u32,
        status: u16,
        headers: &[(String, String)],
        body: &Bytes,
        apns_id: Option<&[u8]>,
    ) {
        let made_up = apns_id.is_none().then(|| self.server.new_apns_id());
        let apns_id = apns_id.unwrap_or_else(|| made_up.as_deref().unwrap_or_default().as_bytes());
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let headers = std::iter::once(("apns-id", apns_id)).chain(headers);
        self.output.headers(id, status, headers, !body.is_empty());
        if !body.is_empty() {
            self.flow.push(id, body.clone());
            self.send_bodies();
        }
    }

    /// Sends the bodies that the client takes now.
    pub(super) fn send_bodies(&mut self) {
        while let Some(body) = self.flow.next_body() {
            match body {
                Body::Fits(id, body) => self.output.body(id, &body),
                Body::NeverFits(id) => {
                    self.server.violation("the client takes no body of the size of a reason");
                    self.output.reset(id, frame::INTERNAL_ERROR);
                }
            }
        }
    }

    /// Carries out an instruction of the test.
    pub(super) fn apply(&mut self, control: Control) {
        match control {
            Control::Release => {
                for id in std::mem::take(&mut self.held) {
                    self.answer_waiting(id);
                }
            }
            Control::Close => self.closing = true,
            Control::MaxStreams(max_streams) => self.announce(max_streams),
            Control::GoAway { reason, leaving } => {
                let mut open = self.streams.newest_first();
                open.truncate(leaving);
                let highest = self.streams.highest();
                let last = open.last().map_or(highest, |first_left| first_left.saturating_sub(2));
                self.go_away(&reason, last);
            }
        }
    }

    /// Says which stream is the last that is worked on, and forgets all later ones.
    fn go_away(&mut self, reason: &str, last: u32) {
        if self.last_stream.is_some_and(|before| before <= last) {
            return;
        }
        let reason = serde_json::json!({ "reason": reason }).to_string();
        self.output.go_away(last, 0, reason.as_bytes());
        let dropped = self.streams.drop_behind(last);
        self.tell_arrivals();
        self.server.forget_wakes(self.number, &dropped);
        self.last_stream = Some(last);
    }
}
