//! Many ids in little memory: one text, a line each. It must not know whose they are.

/// Ids in the order in which they came, or sorted, to be taken one after the other.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    text: String,
    /// Where the next one to be taken begins.
    next: usize,
}

impl Ids {
    /// Adds one. An id of more than one line is none of Google's, and left out.
    pub(crate) fn push(&mut self, id: &str) {
        if !id.contains('\n') && !id.is_empty() {
            self.text.push_str(id);
            self.text.push('\n');
        }
    }

    /// Sorts them, and leaves each in once.
    pub(crate) fn sort(&mut self) {
        let mut ids: Vec<&str> = self.iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let mut text = String::with_capacity(self.text.len());
        for id in ids {
            text.push_str(id);
            text.push('\n');
        }
        *self = Self { text, next: 0 };
    }

    /// Goes through those that were not taken.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.text[self.next..].split_terminator('\n')
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.next == self.text.len()
    }

    /// Takes the next one.
    pub(crate) fn take(&mut self) -> Option<String> {
        let id = self.iter().next()?.to_owned();
        self.next += id.len() + 1;
        Some(id)
    }

    /// Of sorted ones, passes over those up to and with one.
    pub(crate) fn pass(&mut self, last: &str) {
        let passed: usize = self.iter().take_while(|id| *id <= last).map(|id| id.len() + 1).sum();
        self.next += passed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_in_their_order_each_once_and_behind_one() {
        let mut ids = Ids::default();
        assert!(ids.is_empty() && ids.take().is_none());
        for id in ["b", "", "ab", "b", "two\nlines", "a", "c"] {
            ids.push(id);
        }
        ids.sort();
        assert_eq!(ids.iter().collect::<Vec<_>>(), ["a", "ab", "b", "c"]);
        assert_eq!(ids.take().as_deref(), Some("a"));
        ids.pass("aa");
        assert_eq!(ids.iter().collect::<Vec<_>>(), ["ab", "b", "c"]);
        ids.pass("b");
        assert_eq!(ids.take().as_deref(), Some("c"));
        assert!(ids.is_empty() && ids.take().is_none());
    }
}
