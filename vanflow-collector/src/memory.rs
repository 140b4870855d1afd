//! What this process takes of the memory of its machine, and what of that records may take.

use std::{alloc::System, fs, time::Duration};

use cap::Cap;
use tokio::time::Instant;

/// Counts what is allocated, which the system's allocator does not say.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// How often the system is asked for what the process takes.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is allocated, in octets.
pub(crate) fn allocated() -> usize {
    ALLOCATOR.allocated()
}

/// What records may take, so that the whole process stays within a bound.
#[derive(Debug)]
pub(crate) struct Budget {
    most: usize,
    resident: usize,
    looked: Option<Instant>,
}

impl Budget {
    /// One of so many octets for the process.
    pub(crate) fn of(most: usize) -> Self {
        Self { most, resident: 0, looked: None }
    }

    /// What records may take at the moment, when they have so much.
    pub(crate) fn of_records(&mut self, held: usize) -> usize {
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            self.looked = Some(Instant::now());
            self.resident = resident().and_then(|octets| usize::try_from(octets).ok()).unwrap_or(0);
        }
        left_for_records(self.most, allocated(), self.resident, held)
    }
}

/// Two fifths of the bound, as who reads while much changes sees as much of them once more, as it was; and no more than all else
/// leaves of four fifths: the program and what its allocator keeps take the rest. Where the process has more than the bound
/// nevertheless, as much less. An eighth of it is theirs in any case.
fn left_for_records(most: usize, allocated: usize, resident: usize, held: usize) -> usize {
    let of_others = allocated.saturating_sub(held);
    let beyond = resident.saturating_sub(most);
    let left = (most / 5 * 4).saturating_sub(of_others.saturating_add(beyond));
    left.clamp(most / 8, most / 5 * 2)
}

/// Resident memory in octets, where the system says it as Linux does.
pub(crate) fn resident() -> Option<u64> {
    resident_of(&fs::read_to_string("/proc/self/status").ok()?)
}

fn resident_of(status: &str) -> Option<u64> {
    let kibibytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    kibibytes.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_what_all_else_leaves_and_an_eighth_in_any_case() {
        const MIB: usize = 1 << 20;
        let left = |allocated, resident, held| {
            left_for_records(500 * MIB, allocated * MIB, resident * MIB, held * MIB) / MIB
        };
        assert_eq!(left(20, 30, 0), 200, "two fifths");
        assert_eq!(left(400, 450, 150), 150, "others have 250 of 400");
        assert_eq!(left(380, 450, 150), 170, "what records have is not what others have");
        assert_eq!(left(400, 520, 150), 130, "the allocator keeps more than a fifth");
        assert_eq!(left(100, 120, 150), 200, "what records take is an estimate");
        assert_eq!(left(5000, 6000, 10), 62);
    }

    #[test]
    fn what_is_allocated_is_counted() {
        // Others allocate meanwhile.
        const MUCH: usize = 1 << 30;
        let before = allocated();
        let much = Vec::<u8>::with_capacity(MUCH);
        assert!(allocated() > before + MUCH / 2);
        drop(much);
        assert!(allocated() < before + MUCH / 2);
    }

    #[test]
    fn resident_memory_is_read_from_what_linux_says_of_a_process() {
        assert_eq!(resident_of("VmHWM:\t  400 kB\nVmRSS:\t  300 kB\nRssAnon:\t 200 kB\n"), Some(300 * 1024));
        assert_eq!(resident_of("VmRSS:\t  many kB\n"), None);
        assert_eq!(resident_of(""), None, "a thread of the kernel has none");
    }
}
