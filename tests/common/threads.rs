//! Ranks as threads of one process.
#![allow(dead_code, reason = "each test that includes it uses a part")]

use shadegrad::ranks::{Collective, OnNode};
use shadegrad::{Error, Result};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Longest time that a rank waits for another: when one fails, the others must not wait forever.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the threads share.
struct Meeting {
    state: Mutex<State>,
    complete: Condvar,
}

#[derive(Default)]
struct State {
    /// Number of exchanges that are complete.
    number: usize,
    given: Vec<Option<Vec<u8>>>,
    result: Arc<Vec<Vec<u8>>>,
}

/// One of several threads that exchange data.
pub struct Thread {
    rank: usize,
    ranks: usize,
    meeting: Arc<Meeting>,
}

impl Collective for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn on_node(&self) -> OnNode {
        OnNode { rank: self.rank, ranks: self.ranks }
    }

    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut state = self.meeting.state.lock().unwrap();
        let number = state.number;
        state.given[self.rank] = Some(own.to_vec());
        if state.given.iter().all(Option::is_some) {
            state.result = Arc::new(state.given.iter_mut().map(|given| given.take().unwrap()).collect());
            state.number += 1;
            self.meeting.complete.notify_all();
        } else {
            let waits = |state: &mut State| state.number == number;
            let (after, timeout) = self.meeting.complete.wait_timeout_while(state, PATIENCE, waits).unwrap();
            if timeout.timed_out() {
                return Err(Error::Run(format!("rank {} waits for another rank in vain", self.rank)));
            }
            state = after;
        }
        Ok(state.result.to_vec())
    }
}

/// Runs a function as every rank; returns what each returns.
pub fn run<T: Send>(ranks: usize, f: impl Fn(&Thread) -> T + Sync) -> Vec<T> {
    let state = State { given: vec![None; ranks], ..State::default() };
    let meeting = Arc::new(Meeting { state: Mutex::new(state), complete: Condvar::new() });
    std::thread::scope(|scope| {
        let start = |rank| {
            let thread = Thread { rank, ranks, meeting: meeting.clone() };
            let f = &f;
            scope.spawn(move || f(&thread))
        };
        let threads: Vec<_> = (0..ranks).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
