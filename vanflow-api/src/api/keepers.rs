//! What those take who keep rows: of what ended, of what began, and of events.

use vanflow_history::rows::Row;
use vanflow_proto::Timestamp;

use super::Api;
use crate::{
    selection::Directory,
    v1::TakenEvents,
    v2alpha1::{self, Due, Ended, Opened},
};

impl Api {
    /// What has ended since this was called last, for those who keep it: rows of [`tables`](crate::tables), each with the
    /// position of its table. Nothing is there twice. Some thousands come at a time, so that what ended at once, be it a
    /// million, takes no more memory: call it until none comes.
    pub fn take_ended(&self, ended: &mut Ended, due: Due) -> Vec<(usize, Row)> {
        let snapshot = ended.follow(|| self.shared.network.read());
        self.shared.whose.said_in(ended.rows(&snapshot, &self.shared.derivations, due))
    }

    /// Takes note of what has ended, while it cannot be kept: it is given later, unless it is evicted before. That costs a
    /// fraction of what a row takes. Has to be called, or [`Api::take_ended`], every few seconds.
    pub fn observe_ended(&self, ended: &mut Ended) {
        ended.follow(|| self.shared.network.read());
        ended.wait();
    }

    /// Passes over what has ended so far, as if it had been taken.
    pub fn pass_over_ended(&self, ended: &mut Ended) {
        ended.follow(|| self.shared.network.read());
        ended.pass_over();
    }

    /// The rows of what began, each once, and of what is open for long, each with the position of its table. Some thousands
    /// come at a time: call it until none comes.
    pub fn take_opened(
        &self,
        opened: &mut Opened,
        due: Due,
        now: Timestamp,
    ) -> (v2alpha1::Given, v2alpha1::Given) {
        let snapshot = opened.follow(|| self.shared.network.read());
        let (began, open) = opened.rows(&snapshot, &self.shared.derivations, due, now.as_micros());
        (self.shared.whose.said_in(began), self.shared.whose.said_in(open))
    }

    /// Passes over that what has begun so far did, as if it had been taken.
    pub fn pass_over_opened(&self, opened: &mut Opened) {
        opened.follow(|| self.shared.network.read());
        opened.pass_over();
    }

    /// The events that happened, or changed, since this was called last with `taken`, for one who keeps them: rows of
    /// [`history_tables`](crate::history_tables), each with the position of its table.
    pub fn take_events(&self, taken: &mut TakenEvents) -> Vec<(usize, Row)> {
        let rows = self.shared.events.take_rows(taken).into_iter();
        self.shared.whose.said_in(rows.map(|row| (v2alpha1::EVENTS, row)).collect())
    }

    /// What processes belong to that are held, for who filters by that.
    pub fn directory(&self) -> Directory {
        v2alpha1::directory(&self.shared.network.snapshot(), &self.shared.derivations)
    }
}
