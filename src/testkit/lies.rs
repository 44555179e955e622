//! The ways in which a scripted endpoint can fail to tell the truth.

use crate::model::SourceId;

/// One lie of a listing. Look-ups stay honest unless the lie is about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lie {
    /// These objects are left out of the listing, which ends as if it were complete.
    Drops(Vec<SourceId>),
    /// Everything in one container is invisible, also to look-ups.
    Hides(Box<str>),
    /// The listing is empty and ends well.
    Empty,
    /// This group lists only so many of its members, as if they were all.
    Truncates(SourceId, usize),
    /// The listing fails after so many pages.
    FailsAfter(usize),
    /// The listing merely stops after so many pages: an error of the connector.
    PanicsAfter(usize),
    /// The rights change after so many pages.
    LosesRightsAfter(usize),
    /// Every page comes twice.
    Repeats,
    /// Second readings of members cannot tell.
    SecondReadingUnknown,
    /// Look-ups fail.
    LookupFails,
    /// The second reading of memberships fails.
    SecondReadingFails,
    /// No lie: the caller wants to stop after so many pages.
    CancelsAfter(usize),
    /// No lie: the caller wants to stop while what seems to be gone is looked up.
    CancelsAtLookup,
    /// Actions on these objects fail: the connection breaks each time.
    ActionFails(Vec<SourceId>),
    /// No lie: actions on these objects are refused.
    ActionRefused(Vec<SourceId>),
    /// No lie: the caller wants to stop once this object was acted on.
    CancelsAfterAction(SourceId),
    /// These attributes are no longer told.
    Unreadable(Vec<crate::model::AttributeName>),
}
