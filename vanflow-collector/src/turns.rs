//! Who may compute next, where more want to than there are processors.
//!
//! Clients take turns, whatever number of questions each of them has: who asks one waits for no more than one turn of each
//! of the others. A turn lasts until an answer begins, or for the next piece of it.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// A number of turns at a time, and those who wait for one.
#[derive(Debug)]
pub(crate) struct Turns {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Clients that wait, the next one first.
    order: VecDeque<IpAddr>,
    /// What waits of each of them; never nothing.
    waiting: HashMap<IpAddr, VecDeque<oneshot::Sender<Turn>>>,
}

/// A turn, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Arc<Turns>,
}

impl Turns {
    /// So many at a time.
    pub(crate) fn new(number: usize) -> Arc<Self> {
        let state = State { free: number, order: VecDeque::new(), waiting: HashMap::new() };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Waits for a turn. Who does not wait any more is passed over.
    pub(crate) async fn take(self: &Arc<Self>, client: IpAddr) -> Turn {
        let waiting = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                return Turn { turns: Arc::clone(self) };
            }
            let (sender, waiting) = oneshot::channel();
            let State { order, waiting: queues, .. } = &mut *state;
            let queue = queues.entry(client).or_default();
            if queue.is_empty() {
                order.push_back(client);
            }
            queue.push_back(sender);
            waiting
        };
        waiting.await.expect("turns are passed on for as long as somebody waits for one")
    }

    /// How many wait for one.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting.values().map(VecDeque::len).sum()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Who is next. Counts the turn as free if that is nobody.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let Some(client) = self.order.pop_front() else {
            self.free += 1;
            return None;
        };
        let queue = self.waiting.get_mut(&client)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&client);
        } else {
            self.order.push_back(client);
        }
        next
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        loop {
            let Some(next) = self.turns.lock().next() else { return };
            match next.send(Turn { turns: Arc::clone(&self.turns) }) {
                Ok(()) => return,
                // It waits no more: the turn is still ours to pass on.
                Err(turn) => std::mem::forget(turn),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::Pin, task::Poll};

    use futures_util::poll;

    use super::*;

    fn client(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    type Waiting = Pin<Box<dyn Future<Output = Turn>>>;

    async fn begun(turns: &Arc<Turns>, last: u8) -> Waiting {
        let turns = Arc::clone(turns);
        let mut waiting: Waiting = Box::pin(async move { turns.take(client(last)).await });
        assert!(matches!(poll!(&mut waiting), Poll::Pending), "there is no turn left");
        waiting
    }

    #[tokio::test]
    async fn clients_take_turns_whatever_number_of_questions_each_has() {
        let turns = Turns::new(1);
        let mut turn = turns.take(client(1)).await;
        let mut waiting = Vec::new();
        for last in [1, 1, 1, 1, 2, 2, 3] {
            waiting.push((last, begun(&turns, last).await));
        }
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(turn);
            let mut next = None;
            for (position, (_, waits)) in waiting.iter_mut().enumerate() {
                if let Poll::Ready(turn) = poll!(waits) {
                    assert!(next.replace((position, turn)).is_none(), "one at a time");
                }
            }
            let (position, taken) = next.expect("it is somebody's turn");
            order.push(waiting.remove(position).0);
            turn = taken;
        }
        assert_eq!(order, [1, 2, 3, 1, 2, 1, 1]);
        drop(turn);
        assert_eq!(turns.lock().free, 1);
    }

    #[tokio::test]
    async fn who_does_not_wait_any_more_is_passed_over_and_no_turn_is_lost() {
        let turns = Turns::new(1);
        let turn = turns.take(client(1)).await;
        let (gone, late, mut last) = (begun(&turns, 2).await, begun(&turns, 3).await, begun(&turns, 4).await);
        drop(gone);
        drop(turn);
        // It was given the turn, and is gone before it takes it.
        drop(late);
        let Poll::Ready(turn) = poll!(&mut last) else { panic!("it is its turn") };
        drop(turn);
        assert_eq!(turns.lock().free, 1);
    }
}
