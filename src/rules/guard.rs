//! Judges whether so many removals can be believed. It does not know what is removed, only how much.
//!
//! A limit alone is no proof: what comes here was confirmed already. The guard is the last line, against a remote
//! that lies consistently and against a mistake made over there by a person.

use crate::model::{HeldChange, HeldKind, Limit};

/// How much of one sort would go, and how much went already.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Charge {
    /// What would go.
    pub(crate) kind: HeldKind,
    /// How many would go now.
    pub(crate) count: u64,
    /// How many of the kind are known now.
    pub(crate) known: u64,
    /// How many went, unapproved, in the last 24 hours.
    pub(crate) recent: u64,
    /// The configured limit.
    pub(crate) limit: Limit,
}

/// Returns how many may go in 24 hours, of those known when they began.
///
/// The larger of a share and a floor, but never half or more of four or more.
pub(crate) fn allowance(limit: Limit, known: u64) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a share of a count is a count
    let share = (known as f64 * limit.share.clamp(0.0, 1.0)).floor() as u64;
    let allowed = share.max(limit.floor);
    if known >= 4 { allowed.min((known - 1) / 2) } else { allowed }
}

/// Judges one sort of change: `None` lets it pass.
pub(crate) fn judge(charge: &Charge) -> Option<HeldChange> {
    if charge.count == 0 {
        return None;
    }
    let known_before = charge.known.saturating_add(charge.recent);
    let allowed = allowance(charge.limit, known_before).saturating_sub(charge.recent);
    (charge.count > allowed).then(|| HeldChange {
        kind: charge.kind.clone(),
        count: charge.count,
        allowed,
        known: charge.known,
        reason: if charge.recent > 0 {
            format!(
                "{} {} at once, after {} in the last 24 hours, are more than the {} that may go",
                charge.count, charge.kind, charge.recent, allowed
            )
        } else {
            format!("{} {} at once are more than the {} that may go", charge.count, charge.kind, allowed)
        },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::ObjectKind;

    fn charge(count: u64, known: u64, recent: u64) -> Charge {
        Charge { kind: HeldKind::Removed(ObjectKind::User), count, known, recent, limit: Limit::new(0.10, 5) }
    }

    #[test]
    fn a_twenty_seat_customer_can_lose_five_and_not_six() {
        assert_eq!(judge(&charge(5, 20, 0)), None);
        assert!(judge(&charge(6, 20, 0)).is_some());
    }

    #[test]
    fn half_of_four_or_more_never_goes() {
        assert!(judge(&charge(2, 4, 0)).is_some());
        assert_eq!(judge(&charge(1, 4, 0)), None);
        assert!(judge(&charge(4, 8, 0)).is_some());
    }

    #[test]
    fn the_last_person_of_a_tiny_customer_can_leave() {
        assert_eq!(judge(&charge(1, 1, 0)), None);
    }

    #[test]
    fn what_went_today_counts() {
        assert_eq!(judge(&charge(50, 1000, 50)), None);
        assert!(judge(&charge(50, 1000, 60)).is_some());
    }

    proptest! {
        #[test]
        fn a_slow_drip_over_many_runs_takes_no_more_than_one_run_may(
            start in 0_u64..5000, runs in proptest::collection::vec(0_u64..200, 1..20)
        ) {
            let (mut known, mut gone) = (start, 0);
            for count in runs {
                let count = count.min(known);
                if judge(&charge(count, known, gone)).is_none() {
                    known -= count;
                    gone += count;
                }
            }
            // The oracle: the published rule, on the numbers of the whole day.
            let rule = (start / 10).max(5);
            prop_assert!(gone <= rule);
            prop_assert!(start < 4 || gone * 2 < start);
        }
    }
}
