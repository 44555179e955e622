//! Cuts a listing into slices of `uSNCreated`, narrow where objects are dense and wide where they are sparse.
//!
//! Every object has such a number of its own on one controller, also one that came by replication, and it never
//! changes: so a slice holds at most as many objects as it is wide. It must not know what the objects are.

use crate::Filter;
use tenantry::Result;

/// How many full pages a slice may hold: what an interruption costs at most. Every slice is a search of its own, which
/// some servers answer by going through the whole class.
const PAGES: u64 = 20;
/// How much a slice grows or shrinks at a time.
const STEP: u64 = 4;

/// The slice that is read now, and how the next one is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slices {
    from: u64,
    width: u64,
    /// The highest number given out when the listing began; whatever is above is in the last slice.
    highest: u64,
    /// Objects on a page of this class.
    page_size: u64,
    /// The width that holds a handful of pages however dense the objects are.
    bounded: u64,
}

impl Slices {
    /// Begins, or goes on behind a checkpoint. A class with smaller pages has as many objects in a slice as the others.
    pub(crate) fn new(from: u64, width: Option<u64>, highest: u64, page_size: u32, full_page: u32) -> Self {
        let bounded = u64::from(full_page.max(1)) * PAGES;
        let width = width.unwrap_or_default().max(bounded);
        Self { from, width, highest, page_size: u64::from(page_size.max(1)), bounded }
    }

    pub(crate) fn from(&self) -> u64 {
        self.from
    }

    pub(crate) fn width(&self) -> u64 {
        self.width
    }

    /// Tells whether the slice reaches to the end: what is created meanwhile belongs to it.
    pub(crate) fn is_last(&self) -> bool {
        self.from.saturating_add(self.width) > self.highest
    }

    /// Narrows a slice that is wider than it may be full. Only before anything of it was given out.
    ///
    /// A wide slice is a guess that there are few objects in it: it has to fit on one page.
    pub(crate) fn narrow(&mut self) -> bool {
        if self.width <= self.bounded {
            return false;
        }
        self.width = (self.width / STEP).max(self.bounded);
        true
    }

    /// Goes on behind the slice, which held that many objects.
    pub(crate) fn advance(&mut self, objects: u64) {
        self.from = self.from.saturating_add(self.width);
        if objects.saturating_mul(STEP) <= self.page_size {
            self.width = self.width.saturating_mul(STEP);
        } else if objects > self.page_size {
            self.width = (self.width / STEP).max(self.bounded);
        }
    }

    /// Selects the objects of the slice. The last one also takes those whose number may not be read.
    pub(crate) fn filter(&self) -> Result<Filter> {
        let from = at_least(self.from)?;
        if self.is_last() {
            // What may not be read is as good as absent to a filter, and would be in no slice at all.
            return Filter::or([from, Filter::present("uSNCreated")?.negate()]);
        }
        let to = i64::try_from(self.from + self.width - 1).unwrap_or(i64::MAX);
        Ok(Filter::and([from, Filter::parse(&format!("(uSNCreated<={to})"))?]))
    }
}

fn at_least(usn: u64) -> Result<Filter> {
    Filter::at_least("uSNCreated", i64::try_from(usn).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists objects with these numbers and returns how many came in each slice.
    fn list(numbers: &[u64], highest: u64, page_size: u32) -> Vec<usize> {
        let mut slices = Slices::new(0, None, highest, page_size, page_size);
        let mut sizes = Vec::new();
        loop {
            let end = if slices.is_last() { u64::MAX } else { slices.from() + slices.width() };
            let found = numbers.iter().filter(|usn| (slices.from()..end).contains(usn)).count();
            if found > page_size as usize && slices.narrow() {
                continue;
            }
            sizes.push(found);
            if slices.is_last() {
                return sizes;
            }
            slices.advance(found as u64);
        }
    }

    #[test]
    fn every_object_is_in_exactly_one_slice_and_no_slice_is_too_full() {
        let dense: Vec<u64> = (4000..24_000).collect();
        let sparse: Vec<u64> = (0..500).map(|n| 1_000_000 + n * 40_000).collect();
        let numbers = [dense, sparse].concat();
        let sizes = list(&numbers, 30_000_000, 100);
        assert_eq!(sizes.iter().sum::<usize>(), numbers.len());
        assert!(sizes.iter().all(|size| *size <= 2000), "{sizes:?}");
    }

    #[test]
    fn a_sparse_domain_takes_few_slices() {
        let numbers: Vec<u64> = (0..1000).map(|n| n * 1_000_000).collect();
        assert!(list(&numbers, 1_000_000_000, 1000).len() < 40);
    }

    #[test]
    fn a_class_with_smaller_pages_has_slices_as_wide_as_the_others() {
        let (users, groups) = (Slices::new(0, None, 9, 1000, 1000), Slices::new(0, None, 9, 200, 1000));
        assert_eq!(users.width(), groups.width());
    }

    #[test]
    fn a_small_domain_is_one_slice_that_reaches_to_the_end() {
        assert_eq!(list(&[12, 4711], 4800, 1000), [2]);
    }

    #[test]
    fn the_last_slice_takes_what_is_created_meanwhile_and_what_has_no_readable_number() {
        let last = Slices::new(0, None, 10, 1000, 1000).filter().unwrap();
        assert_eq!(last.as_str(), "(|(uSNCreated>=0)(!(uSNCreated=*)))");
        let first = Slices::new(5, None, 100_000, 1000, 1000).filter().unwrap();
        assert_eq!(first.as_str(), "(&(uSNCreated>=5)(uSNCreated<=20004))");
    }
}
