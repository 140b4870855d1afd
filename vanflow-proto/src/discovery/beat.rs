//! Restarts of controllers, as the times of their BEACONs and HEARTBEATs show them.
//!
//! A controller has the identity of its site, its messages have no ids, and its record of the site is as old as the site:
//! nothing that it says tells one of its processes from the next. But each sends a BEACON when it begins and every 10 s from
//! then on, and a HEARTBEAT every 2 s from then on. So another process is there when a BEACON comes before its time, when
//! HEARTBEATs come on another beat, and when two in a row are missing, since a process takes as long to begin. One that begins
//! when a BEACON of the former one is due, within a moment, and while no more than one HEARTBEAT is missing, is not told from it.

use super::settings::SECOND;
use crate::Timestamp;

/// From one HEARTBEAT to the next.
const PERIOD: u64 = 2 * SECOND;

/// HEARTBEATs that are off the beat by no more are on it: the process had something else to do.
const TOLERANCE: u64 = SECOND / 4;

/// Two HEARTBEATs are missing where they are so far apart.
const MISSING: u64 = 5 * SECOND;

/// From one BEACON to the next, less what can delay the former one.
const ANNOUNCED: u64 = 9 * SECOND;

/// What comes again within less has come by a longer path.
const COPY: u64 = SECOND;

/// A clock that falls back by more than this has been set, or is that of another machine.
const SET_BACK: u64 = 10 * SECOND;

/// When a controller sends what it sends again and again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beat {
    heard: Option<Heard>,
    /// When its last BEACON came, by our clock.
    announced: Option<Timestamp>,
    /// It is another process, and nothing has come of that yet.
    is_broken: bool,
    /// Until then nothing is to come of it.
    quiet_until: Timestamp,
}

/// HEARTBEATs, by the clock of their source.
#[derive(Clone, Copy, Debug)]
struct Heard {
    last: Timestamp,
    /// A moment at which one was due, about as long ago as the last that came when it was due.
    due: Timestamp,
    /// Whether the last one came at another time.
    is_off: bool,
}

impl Beat {
    /// A BEACON came. Those from before `attached` were not looked at when they came.
    pub(super) fn announced(&mut self, now: Timestamp, attached: Timestamp) {
        let last = self.announced.replace(now).filter(|last| *last > attached);
        let since = last.map_or(u64::MAX, |last| now.micros_since(last));
        self.is_broken |= (COPY..ANNOUNCED).contains(&since);
    }

    /// A HEARTBEAT came, with that time.
    pub(super) fn heard(&mut self, clock: Timestamp) {
        let Some(heard) = &mut self.heard else {
            self.heard = Some(Heard { last: clock, due: clock, is_off: false });
            return;
        };
        if clock <= heard.last {
            // A copy by a longer path, as long as it is not too old for that.
            if heard.last.micros_since(clock) > SET_BACK {
                (*heard, self.is_broken) = (Heard { last: clock, due: clock, is_off: false }, true);
            }
            return;
        }
        let since = clock.micros_since(heard.last);
        heard.last = clock;
        let late = clock.micros_since(heard.due) % PERIOD;
        let early = PERIOD - late;
        let is_on_the_old_beat = late.min(early) <= TOLERANCE;
        let is_on_a_new_beat = heard.is_off && since.abs_diff(PERIOD) <= TOLERANCE;
        // One that comes late comes less than that before the next.
        let is_back = is_on_the_old_beat && heard.is_off && since > PERIOD + TOLERANCE;
        self.is_broken |= since >= MISSING || is_back || is_on_a_new_beat && !is_on_the_old_beat;
        heard.is_off = !is_on_the_old_beat && !is_on_a_new_beat;
        heard.due = match (is_on_the_old_beat, is_on_a_new_beat) {
            // Clocks are adjusted little by little; what delays one HEARTBEAT delays no other.
            (true, _) if late <= early => clock.minus_micros(late - late / 8),
            (true, _) => clock.plus_micros(early - early / 8),
            (false, true) => clock,
            (false, false) => heard.due,
        };
    }

    /// Whether it is another process, which is answered once, and once in `quiet` at most.
    pub(super) fn is_broken(&mut self, now: Timestamp, quiet: u64) -> bool {
        let is_broken = self.is_broken && self.quiet_until <= now;
        if is_broken {
            (self.is_broken, self.quiet_until) = (false, now.plus_micros(quiet));
        }
        is_broken
    }

    /// Whatever process is there: what matters is whether it is another from now on.
    pub(super) fn forget(&mut self) {
        (self.heard, self.is_broken) = (None, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_micros((1e9 + seconds * 1e6) as u64)
    }

    /// Which of the HEARTBEATs at those times show another process.
    fn broken(beats: &[f64]) -> Vec<f64> {
        let mut beat = Beat::default();
        let mut broken = Vec::new();
        for &seconds in beats {
            beat.heard(at(seconds));
            if beat.is_broken(at(seconds), 0) {
                broken.push(seconds);
            }
        }
        broken
    }

    const NONE: [f64; 0] = [];

    #[test]
    fn heartbeats_that_come_late_or_twice_or_not_at_all_are_those_of_one_process() {
        assert_eq!(broken(&[0.0, 2.0, 4.2, 6.0, 8.0]), NONE, "a little late");
        assert_eq!(broken(&[0.0, 2.0, 4.9, 6.0, 8.7, 10.0]), NONE, "very late, and then again in time");
        assert_eq!(broken(&[0.0, 2.0, 2.0, 4.0, 2.0, 4.0, 6.0]), NONE, "by two paths");
        assert_eq!(broken(&[0.0, 4.0, 6.0, 10.0, 12.0]), NONE, "one is missing here and there");
        assert_eq!(broken(&[0.0, 1.0, 2.0, 3.0, 4.0]), NONE, "twice as many");
        let drifting: Vec<_> = (0..1000).map(|beat| f64::from(beat) * 2.01).collect();
        assert_eq!(broken(&drifting), NONE, "a clock that goes fast");
        let late: Vec<_> = (0..1000_u32)
            .map(|beat| f64::from(beat * 2 + (beat / 10 % 2)) - 0.8 * f64::from(beat / 10 % 2))
            .collect();
        assert_eq!(broken(&late), NONE, "a machine that is busy now and then");
    }

    #[test]
    fn heartbeats_on_another_beat_are_those_of_another_process() {
        assert_eq!(broken(&[0.0, 2.0, 5.1, 7.1, 9.1, 11.1]), [7.1]);
        assert_eq!(broken(&[0.0, 3.0, 5.0, 7.0]), [5.0], "though only one was heard before");
        assert_eq!(broken(&[0.0, 2.0, 3.0, 5.0, 7.5, 9.5, 11.5]), [5.0, 9.5], "and another");
        assert_eq!(broken(&[0.0, 2.0, 5.0, 8.0]), [8.0], "and a third, on the beat of the first");
    }

    #[test]
    fn two_heartbeats_that_are_missing_in_a_row_show_another_process() {
        assert_eq!(broken(&[0.0, 2.0, 8.0, 10.0, 12.0]), [8.0]);
        assert_eq!(broken(&[0.0, 2.0, 7.3, 9.3, 11.3]), [7.3, 9.3]);
    }

    #[test]
    fn a_clock_that_is_set_back_shows_another_process_and_a_copy_does_not() {
        assert_eq!(broken(&[20.0, 22.0, 12.1, 24.0]), NONE);
        assert_eq!(broken(&[20.0, 22.0, 11.9, 13.9, 15.9]), [11.9]);
    }

    #[test]
    fn a_beacon_before_its_time_shows_another_process_and_a_copy_does_not() {
        let broken = |beacons: &[f64]| {
            let mut beat = Beat::default();
            beacons.iter().for_each(|&seconds| beat.announced(at(seconds), at(-5.0)));
            beat.is_broken
        };
        assert!(!broken(&[0.0, 10.0, 20.0, 20.9, 30.0]));
        assert!(!broken(&[0.0, 0.9, 1.8, 2.7, 3.6]), "one that says very often that it is there");
        assert!(!broken(&[0.0, 9.1, 20.0, 40.0]));
        assert!(broken(&[0.0, 10.0, 12.5]));
        assert!(broken(&[0.0, 10.0, 18.9]));
        assert!(!broken(&[-5.0, 0.0, 10.0]), "one that waited while nobody looked");
    }

    #[test]
    fn what_comes_of_it_comes_once_in_a_while_and_is_not_forgotten_meanwhile() {
        let mut beat = Beat::default();
        let break_it = |beat: &mut Beat| beat.is_broken = true;
        break_it(&mut beat);
        assert!(beat.is_broken(at(0.0), 60 * SECOND));
        assert!(!beat.is_broken(at(1.0), 60 * SECOND));
        break_it(&mut beat);
        assert!(!beat.is_broken(at(59.0), 60 * SECOND));
        assert!(beat.is_broken(at(60.0), 60 * SECOND));
        break_it(&mut beat);
        beat.forget();
        assert!(!beat.is_broken(at(200.0), 60 * SECOND));
    }
}
