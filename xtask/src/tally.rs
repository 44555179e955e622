//! Counts what ran, from the lines that the test runner prints.
//!
//! It must not know which suites exist.

use std::fmt;

/// The start of the line by which a live suite says that it did not run.
pub(crate) const SKIPPED: &str = "SKIPPED live suite ";

/// How many tests passed, failed and were skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Tally {
    /// Adds what one printed line says: a `test result:` line or a suite's word that it skipped itself.
    pub(crate) fn read(&mut self, line: &str) {
        if line.starts_with(SKIPPED) {
            // The runner counts a test that returned early as passed; it is not.
            self.skipped += 1;
            self.passed = self.passed.wrapping_sub(1);
            return;
        }
        let Some(counts) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else { return };
        for part in counts.1.split("; ") {
            let Some((number, what)) = part.split_once(' ') else { continue };
            let Ok(number) = number.parse::<usize>() else { continue };
            match what {
                "passed" => self.passed = self.passed.wrapping_add(number),
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_of_several_binaries_add_up() {
        let mut tally = Tally::default();
        tally.read("running 3 tests");
        tally.read("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 9 filtered out; finished in 0.01s");
        tally.read("test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        assert_eq!(tally, Tally { passed: 7, failed: 2, skipped: 1 });
    }

    #[test]
    fn a_test_that_skipped_itself_is_not_counted_as_passed() {
        let mut tally = Tally::default();
        tally.read("SKIPPED live suite samba: not root");
        tally.read("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        assert_eq!(tally.to_string(), "0 passed, 0 failed, 1 skipped");
    }
}
