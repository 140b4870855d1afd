//! What this process takes of the memory of its machine.

use std::fs;

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
    fn resident_memory_is_read_from_what_linux_says_of_a_process() {
        assert_eq!(resident_of("VmHWM:\t  400 kB\nVmRSS:\t  300 kB\nRssAnon:\t 200 kB\n"), Some(300 * 1024));
        assert_eq!(resident_of("VmRSS:\t  many kB\n"), None);
        assert_eq!(resident_of(""), None, "a thread of the kernel has none");
    }
}
