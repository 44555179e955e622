//! The ways in which a scripted endpoint can fail to tell the truth. They know nothing of who is told.

use crate::model::SourceId;

/// One lie: of every listing, snapshots and id listings alike, unless it names another. Look-ups stay honest unless the lie
/// is about them. That an object is out of scope is a proof and not absence: there is no lie about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lie {
    /// These objects are left out of the listing, which ends as if it were complete.
    Drops(Vec<SourceId>),
    /// Everything in one container is invisible, also to look-ups.
    Hides(Box<str>),
    /// No lie: some users could not be listed, and the listing does not say that it has all of them.
    LeavesUsersOpen,
    /// The listing is empty and ends well.
    Empty,
    /// This group lists only so many of its members, as if they were all.
    Truncates(SourceId, usize),
    /// The listing fails after so many pages.
    FailsAfter(usize),
    /// No lie: the password was changed.
    RefusesCredentials,
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
    /// These ids are left out of the id listing, which ends as if it were complete.
    IdsDrop(Vec<SourceId>),
    /// The id listing loses all that lies in one container; look-ups find it.
    IdsHide(Box<str>),
    /// The id listing is empty and ends well.
    IdsEmpty,
    /// The id listing fails after so many pages.
    IdsFailAfter(usize),
    /// The delta leaves out the page with this number, from 0, and ends as if it had told everything.
    DeltaDropsPage(usize),
    /// Every page of the delta comes twice.
    DeltaRepeats,
    /// The delta fails after so many pages.
    DeltaFailsAfter(usize),
}
